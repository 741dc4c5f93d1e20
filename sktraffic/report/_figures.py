"""The figures of an evaluation; all are matplotlib Figures that no window shows."""

import numpy as np
import pandas as pd

from sktraffic.inspection import (
    ClassImportanceDisplay,
    DriftCurveDisplay,
    LatencyCurveDisplay,
    RobustnessCurveDisplay,
    TransferMatrixDisplay,
    TwinScoreDisplay,
)

MODEL, OTHERS = "#0072B2", ("#E69F00", "#999999", "#56B4E9")


def new_axes(width, height):
    """Return the axes of a figure that pyplot does not keep."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").subplots()


def f1_figure(per_class, others=None, name="model"):
    """Draw the F1 of every class, with its interval, beside that of other models.

    Parameters
    ----------
    per_class : DataFrame
        From :func:`sktraffic.metrics.per_class_scores`.
    others : dict of str to DataFrame, default=None
        The same of other models.
    name : str, default="model"

    Returns
    -------
    matplotlib Figure
    """
    tables = {name: per_class, **(others or {})}
    n, m = len(per_class), len(tables)
    ax = new_axes(8.0, 1.0 + n * (0.16 + 0.16 * m))
    height = 0.82 / m
    for i, (label, table) in enumerate(tables.items()):
        table = table.reindex(per_class.index)
        y = np.arange(n) + (i - (m - 1) / 2) * height
        colour = MODEL if i == 0 else OTHERS[(i - 1) % len(OTHERS)]
        ax.barh(y, table["f1"].fillna(0), 0.92 * height, color=colour, label=label)
        if "f1_low" in table:
            low, high = (table["f1"] - table["f1_low"], table["f1_high"] - table["f1"])
            ends = np.clip(np.vstack([low, high]), 0, None)
            ax.errorbar(
                table["f1"], y, xerr=ends, fmt="none", ecolor="#333333", elinewidth=0.8, capsize=1.5
            )
    ax.set_yticks(range(n), [str(label) for label in per_class.index])
    ax.set_ylim(n - 0.5, -0.5)  # the first class on top
    ax.set(xlim=(0, 1.02), xlabel="F1 of sessions (line: 95 % over captures)")
    ax.grid(True, axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.figure.legend(loc="outside upper center", ncols=m, frameon=False)
    return ax.figure


def confusion_figure(table):
    """Draw a confusion matrix: counts, coloured by the share of the true class.

    Parameters
    ----------
    table : DataFrame
        Counts; true classes are rows, called ones columns.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.report import confusion_figure
    >>> names = ["chat", "voip"]
    >>> figure = confusion_figure(pd.DataFrame([[8, 2], [1, 9]], index=names, columns=names))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['8', '2', '1', '9']
    """
    counts = table.to_numpy()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n = len(table)
    ax = new_axes(2.6 + 0.5 * n, 2.1 + 0.42 * n)
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[i, j] > 0.55 else "black"
        ax.text(j, i, counts[i, j], ha="center", va="center", color=colour, fontsize=8)
    names = [str(name) for name in table.index]
    ax.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n), names)
    ax.set(xlabel="called", ylabel="true")
    ax.figure.colorbar(image, ax=ax, label="share of the true class", pad=0.02)
    return ax.figure


def importance_figure(selector, top_k=3):
    """Draw which features tell each class from the rest, from a fitted ForestSelector."""
    scores = pd.DataFrame(
        selector.class_importances_, selector.classes_, selector.feature_names_in_
    )
    display = ClassImportanceDisplay(importances=scores, top_k=top_k)
    n_shown = int((display.ranks > 0).any(axis=0).sum())
    ax = new_axes(4.2 + 0.36 * len(scores), 2.0 + 0.26 * n_shown)
    return display.plot(ax).figure_


def robustness_figure(curves):
    """Draw robustness curves, a panel a kind of disturbance."""
    figures = []
    for curve in curves:
        ax = new_axes(5.2, 3.2)
        figure = RobustnessCurveDisplay(curve).plot(ax).figure_
        ax.set(ylim=(0, 1.02), ylabel="macro F1 of sessions")
        figures.append(figure)
    return figures


def latency_figure(curve):
    """Draw milliseconds a session against batch size."""
    return LatencyCurveDisplay(curve).plot(new_axes(5.2, 3.2)).figure_


def twin_figure(scores):
    """Draw macro F1 on all sessions, on twins and on new ones; names of models and tables."""
    return TwinScoreDisplay(scores).plot(new_axes(6.4, 1.7 + 0.4 * len(scores))).figure_


def drift_figure(curve):
    """Draw a score against the time since training."""
    return DriftCurveDisplay(curve).plot(new_axes(5.2, 3.2)).figure_


def transfer_figure(matrix):
    """Draw scores between sources."""
    n_rows, n_columns = matrix["train"].nunique(), matrix["test"].nunique()
    ax = new_axes(3.0 + 0.9 * n_columns, 1.6 + 0.7 * n_rows)
    return TransferMatrixDisplay(matrix).plot(ax).figure_
