"""Score against time: how long what was learned goes on to hold."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import check_scoring

from sktraffic._compat import _safe_indexing
from sktraffic._routing import group_params
from sktraffic.inspection._curve_plot import plot_band, summarise
from sktraffic.model_selection import ChronologicalSplit, session_times

__all__ = ["DriftCurveDisplay", "drift_curve"]

UNITS = (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


def drift_curve(
    estimator, X, y, *, n_blocks=5, train_share=0.5, gap=0.0, groups=None, scoring=None, n_repeats=1
):
    """Learn from the earliest sessions, then score block after block of later ones.

    Programs are updated, servers move, habits change: a score on captures of the same day is the
    start of this curve, not what a model is worth a month later.

    Parameters
    ----------
    estimator : classifier
        A pipeline that takes what `X` is; cloned, and fitted once a repeat.
    X : DataFrame of shape (n_sessions, n_columns)
        Session table with `start` (and `duration`, where there is one: a training session must be
        over before the tests begin). Anything without `start` is taken to be in order of time.
    y : array-like of shape (n_sessions,)
        Labels.
    n_blocks : int, default=5
        Test blocks of the same number of sessions, one after another in time.
    train_share : float, default=0.5
        Share of the sessions that come before the first test.
    gap : float, default=0.0
        Seconds (rows, without `start`) between the training side and the first test.
    groups : array-like of shape (n_sessions,), default=None
        Captures, for estimators whose `fit` takes `groups`.
    scoring : str, callable or None, default=None
        scikit-learn's; None is the estimator's own score.
    n_repeats : int, default=1
        Fits; more than one where the estimator has a `random_state`, which then counts up from 0.

    Returns
    -------
    DataFrame of shape (n_blocks * n_repeats, 6)
        `block` (from 0), `repeat`, `after` (seconds, or rows, from the last training session's
        start to the middle of the block), `sessions`, `unseen` (share of the block's sessions
        whose class is not on the training side) and `score`.

    Raises
    ------
    ValueError
        If a side is empty, or the shares make no sense.

    See Also
    --------
    sktraffic.model_selection.ChronologicalSplit : The split, for cross-validation.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sktraffic.inspection import drift_curve
    >>> time = np.arange(120)
    >>> y = time % 2
    >>> moved = np.where(time < 90, y, 1 - y)  # what tells the classes apart changes its sign
    >>> curve = drift_curve(KNeighborsClassifier(1), moved[:, None], y, n_blocks=2)
    >>> curve["score"].tolist()
    [1.0, 0.0]
    """
    if not 0 < train_share < 1:
        raise ValueError(f"train_share is {train_share}; it must lie between 0 and 1.")
    if n_blocks < 1 or n_repeats < 1:
        raise ValueError(f"n_blocks is {n_blocks} and n_repeats {n_repeats}; both are at least 1.")
    y = np.asarray(y)
    start, _ = session_times(X)
    size = int(len(y) * (1 - train_share)) // n_blocks
    splits = list(ChronologicalSplit(n_blocks, test_size=max(size, 1), gap=gap).split(X))
    train = splits[0][0]
    scorer = check_scoring(estimator, scoring)
    rows = []
    for repeat in range(n_repeats):
        fitted = _fitted(estimator, X, y, train, groups, repeat if n_repeats > 1 else None)
        for block, (_, test) in enumerate(splits):
            after = float(np.median(start[test]) - start[train].max())
            unseen = float((~np.isin(y[test], y[train])).mean())
            score = float(scorer(fitted, _safe_indexing(X, test), y[test]))
            rows.append((block, repeat, after, len(test), unseen, score))
    columns = ["block", "repeat", "after", "sessions", "unseen", "score"]
    return pd.DataFrame(rows, columns=columns)


def _fitted(estimator, X, y, train, groups, seed):
    model = clone(estimator)
    if seed is not None:
        seeded = [name for name in model.get_params() if name.split("__")[-1] == "random_state"]
        if not seeded:
            raise ValueError("n_repeats is more than 1, but the estimator has no random_state.")
        model.set_params(**dict.fromkeys(seeded, seed))
    params = {} if groups is None else group_params(model, np.asarray(groups)[train])
    return model.fit(_safe_indexing(X, train), y[train], **params)


class DriftCurveDisplay:
    """Score against the time since training.

    Parameters
    ----------
    curve : DataFrame
        From :func:`drift_curve`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    line_ : matplotlib Line2D
        The means.
    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import DriftCurveDisplay
    >>> curve = pd.DataFrame(
    ...     {"block": [0, 1], "after": [86_400.0, 604_800.0], "score": [0.9, 0.8]}
    ... )
    >>> DriftCurveDisplay(curve).plot().line_.get_xdata().tolist()
    [1.0, 7.0]
    """

    def __init__(self, curve):
        self.curve = curve

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None, name=None, **kwargs):
        """Compute the curve and draw it; further arguments are those of `drift_curve`."""
        display = cls(drift_curve(estimator, X, y, **kwargs))
        return display.plot(ax=ax, name=name or type(estimator).__name__)

    def plot(self, ax=None, *, name=None):
        """Draw the curve, in days, hours, minutes or seconds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        name : str, default=None
            Label in the legend.

        Returns
        -------
        self
        """
        table = summarise(self.curve, "block")
        after = self.curve.groupby("block")["after"].mean().reindex(table.index).to_numpy()
        unit, seconds = next(
            (pair for pair in UNITS if after.max(initial=0.0) >= pair[1]), UNITS[-1]
        )
        ax, self.line_, _ = plot_band(ax, after / seconds, table["mean"], table["std"], label=name)
        ax.set(xlabel=f"{unit} after the last training session", ylabel="score")
        if name:
            ax.legend(frameon=False, loc="lower left")
        self.ax_, self.figure_ = ax, ax.figure
        return self
