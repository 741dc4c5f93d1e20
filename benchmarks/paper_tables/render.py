"""From result files to docs/results.md: tables, figures, and the settings behind them."""

import json
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from paper_tables.core import Store

DASH = "–"


def markdown(table, index=True):
    """Write a DataFrame as a Markdown table; text to the left, figures to the right."""
    table = table.reset_index() if index else table
    right = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    cells = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    right = [
        number or all(row[i][:1].isdigit() or row[i] == DASH for row in cells)
        for i, number in enumerate(right)
    ]
    lines = [
        "| " + " | ".join(map(str, table.columns)) + " |",
        "|" + "|".join("---:" if number else "---" for number in right) + "|",
    ]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in cells])


def _cell(value):
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return DASH
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)


def spread(rows, by, columns, digits=3):
    """Mean ± standard deviation over the seeds, as text; a single run stands alone.

    ``rows`` has one row a seed and combination of ``by``; the order of first appearance is kept.
    """
    grouped = rows.groupby(by, sort=False)[list(columns)]
    mean, std, count = grouped.mean(), grouped.std(), grouped.count()

    def text(m, s, n):
        if np.isnan(m):
            return DASH
        return f"{m:.{digits}f}" + (f" ± {s:.{digits}f}" if n > 1 else "")

    out = {
        name: [text(*cell) for cell in zip(mean[name], std[name], count[name], strict=True)]
        for name in columns
    }
    return pd.DataFrame(out, index=mean.index)


class Images:
    """Where a section puts its figures, and the Markdown that shows them."""

    def __init__(self, folder, relative_to):
        self.folder, self.base = Path(folder), Path(relative_to)

    def save(self, figure, name, alt):
        """Save a matplotlib figure; return the Markdown of it."""
        import matplotlib.pyplot as plt

        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)
        return f"![{alt}]({path.relative_to(self.base).as_posix()})"


def settings_line(result):
    """Say what made a table: scale, settings, versions, time."""
    about, made = result.about, result.about["made_with"]
    versions = ", ".join(f"{k} {v}" for k, v in made["versions"].items())
    machine = f"{made['processor']}, {made['cores']} cores"
    machine += f", {made['gpu']}" if made["gpu"] else ", no GPU"
    return "\n".join(
        [
            f"<details><summary>Scale {result.scale}: {about['units']} runs, "
            f"{about['cpu_seconds'] / 60:.1f} processor minutes, last {about['last'][:10]}; "
            "settings</summary>\n",
            f"{machine}; Python {made['python']}, {versions}.\n",
            "```json",
            textwrap.fill(json.dumps(result.settings), 96, break_long_words=False),
            "```",
            "</details>",
        ]
    )


def write_page(path, tables, results, head, scales=("gpu", "cpu")):
    """Write the page from the largest scale at which each table has results."""
    path = Path(path)
    images = Images(path.parent / "images" / "results", path.parent)
    claims, parts = [], []
    for table in tables:
        stores = (Store(results, table, scale) for scale in scales)
        result = next((store.result() for store in stores if store.done), None)
        if result is None or result.rows.empty:
            continue
        parts += [f"## {table.title}", table.section(result, images), settings_line(result)]
        claims += table.claims(result) if table.claims else []
    path.write_text("\n\n".join([head, claims_table(claims), *parts]) + "\n", "utf-8")


def claims_table(claims):
    """Write the papers' claims beside what was found."""
    words = {True: "yes", False: "no"}
    table = pd.DataFrame(
        [(*rest, words.get(holds, holds)) for *rest, holds in claims],
        columns=["claim", "paper", "here", "holds here"],
    )
    return f"## The claims at a glance\n\n{markdown(table, index=False)}"
