"""docs/results.md: a template that a person writes, filled with numbers of the result files."""

import json
import math
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

TEMPLATE = Path(__file__).parents[2] / "docs" / "results.md.jinja"
DASH = "–"
SCALES = ("gpu", "cpu")  # the larger one goes before


@dataclass(frozen=True)
class Result:
    """Rows of an experiment with what made them; a unit's own keys are columns of its rows."""

    rows: pd.DataFrame
    settings: dict
    scale: str
    about: dict


def read(folder, name, scales=SCALES):
    """Return the result of an experiment at the largest scale that has one."""
    for scale in scales:
        path = Path(folder) / f"{name}-{scale}.json"
        if path.exists():
            break
    else:
        raise FileNotFoundError(
            f"{folder} holds no result of {name}: `papers.py run {name}` first."
        )
    entries = json.loads(path.read_text("utf-8"))["units"]
    settings = entries[-1]["settings"]
    about = {
        "units": len(entries),
        "minutes": sum(entry["cpu_seconds"] for entry in entries) / 60,
        "last": max(entry["finished"] for entry in entries)[:10],
        "made_with": machines([entry["made_with"] for entry in entries]),
    }
    rows = pd.DataFrame(
        entry["unit"] | row | {"gpu": entry["made_with"]["gpu"]}
        for entry in entries
        for row in entry["rows"]
    )
    return Result(rows, settings, scale, about)


def machines(made_with):
    """Pairs of (runs, what they were made with), the latest of each machine; most runs first."""
    of_each = {}
    for made in made_with:
        of_each.setdefault((made["processor"], made["cores"], made["gpu"]), []).append(made)
    return sorted(((len(runs), runs[-1]) for runs in of_each.values()), key=lambda pair: -pair[0])


def render(results, template=TEMPLATE, scales=SCALES):
    """Fill the template; returns the text of the page.

    What it may call: `result(name)`, every public name of `tables` and
    `group_tables`, `check`, and the filters
    `f` (decimals), `signed`, `count`, `percent`, `wrap` and `md` (a DataFrame as a Markdown table).
    """
    from results_page import group_tables, tables

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False, extensions=["jinja2.ext.do"],
    )  # fmt: skip
    environment.filters |= {
        "f": lambda x, digits=3: f"{x:.{digits}f}",
        "signed": lambda x, digits=3: f"{x:+.{digits}f}",
        "count": lambda x: f"{int(x):,}",
        "percent": lambda x, digits=0: f"{100 * x:.{digits}f} %",
        "md": markdown,
        "wrap": lambda text: textwrap.fill(text, 100, break_on_hyphens=False),
    }
    environment.globals |= {
        name: value
        for module in (tables, group_tables)
        for name, value in vars(module).items()
        if not name.startswith("_")
    }
    environment.globals |= {
        "result": lambda name: read(results, name, scales),
        "check": check,
        "max": max,
        "min": min,
        "yes": lambda holds: "yes" if holds else "no",
    }
    text = environment.from_string(Path(template).read_text("utf-8")).render()
    return re.sub(r"\n{3,}", "\n\n", text)


def write(page, results):
    """Write the page and the figures that it shows."""
    from results_page import figures

    page = Path(page)
    page.write_text(render(results), "utf-8")
    figures.save_all(lambda name: read(results, name), page.parent / "images" / "results")


def check(holds, sentence=""):
    """Stop where what the hand-written sentence beside it says is no longer so."""
    if not holds:
        raise ValueError(f"This is no longer what the results say; write it anew: {sentence!r}")
    return ""


def markdown(table, index=True):
    """Write a DataFrame as a Markdown table; text to the left, figures to the right."""
    table = table.reset_index() if index else table
    cells = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    right = [
        pd.api.types.is_numeric_dtype(table.iloc[:, i])
        or all(row[i][:1].isdigit() or row[i] == DASH for row in cells)
        for i in range(table.shape[1])
    ]
    lines = [
        "| " + " | ".join(map(str, table.columns)) + " |",
        "|" + "|".join("---:" if number else "---" for number in right) + "|",
    ]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in cells])


def _cell(value):
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)
