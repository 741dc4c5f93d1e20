"""Scores with and without the sessions that were in training already, drawn."""

import numpy as np
import pandas as pd

from sktraffic.inspection._plotting import COLOURS, get_axes
from sktraffic.metrics import twin_scores

__all__ = ["TwinScoreDisplay"]

MARKERS = {"with twin": "^", "all": "o", "without twin": "s"}


class TwinScoreDisplay:
    """Macro-F1 of one or more models on all sessions, on twins, and on sessions that are new.

    Parameters
    ----------
    scores : dict of str to DataFrame
        Names of models and what :func:`~sktraffic.metrics.twin_scores` returned for each.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    points_ : dict of str to matplotlib PathCollection
        The points of "with twin", "all" and "without twin", a point a model.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    sktraffic.model_selection.has_twin : Which test sessions have an equal one in training.

    Examples
    --------
    >>> from sktraffic.inspection import TwinScoreDisplay
    >>> twins = [True, True, True, False]
    >>> answers = {"forest": ["a", "a", "b", "a"], "neighbours": ["a", "a", "b", "b"]}
    >>> display = TwinScoreDisplay.from_predictions(["a", "a", "b", "b"], answers, twins).plot()
    >>> display.points_["without twin"].get_offsets()[:, 0].tolist()
    [0.0, 1.0]
    """

    def __init__(self, scores):
        self.scores = scores

    @classmethod
    def from_predictions(cls, y_true, y_pred, twins):
        """Score the answers of models.

        Parameters
        ----------
        y_true : array-like of shape (n_sessions,)
            Labels.
        y_pred : dict of str to array-like of shape (n_sessions,)
            Names of models and their answers.
        twins : array-like of bool of shape (n_sessions,)
            From :func:`~sktraffic.model_selection.has_twin`.

        Returns
        -------
        TwinScoreDisplay
        """
        return cls({name: twin_scores(y_true, answer, twins) for name, answer in y_pred.items()})

    def plot(self, ax=None):
        """Draw a line a model, from its score with a twin to that without.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        self
        """
        figure, ax = get_axes(ax, (6.0, 1.5 + 0.4 * len(self.scores)))
        table = pd.DataFrame({name: scores["f1_macro"] for name, scores in self.scores.items()})
        place = np.arange(len(self.scores))
        ax.hlines(place, table.min(), table.max(), color="#BBBBBB", zorder=1)
        self.points_ = {
            side: ax.scatter(table.loc[side], place, marker=marker, color=colour, label=side, s=42)
            for (side, marker), colour in zip(MARKERS.items(), COLOURS, strict=False)
        }
        share = next(iter(self.scores.values())).loc["with twin", "share"]
        ax.set_yticks(place, list(self.scores))
        ax.set(ylim=(len(place) - 0.5, -0.5), xlim=(0, 1.02), xlabel="macro F1")
        ax.set_title(f"{share:.0%} of the sessions have a twin in training", fontsize=10)
        ax.grid(True, axis="x", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.35))
        self.ax_, self.figure_ = ax, figure
        return self
