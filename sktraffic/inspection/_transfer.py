"""Learned here, asked there: scores between networks, sites or data sets."""

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import check_consistent_length

from sktraffic._compat import _safe_indexing
from sktraffic._routing import group_params
from sktraffic.inspection._plotting import get_axes
from sktraffic.model_selection import CaptureKFold

__all__ = ["TransferMatrixDisplay", "transfer_matrix"]

OTHERS = "all others"


def transfer_matrix(estimator, X, y, sources, *, groups=None, cv=3, scoring="f1_macro"):
    """Learn from each source and score on each other one; at home, on captures held out.

    A capture that was not learnt from is still one of the same network, the same resolver, the same
    week. What a model is worth elsewhere is what it scores on sources that it has not seen: other
    networks, other sites, other data sets, or the same programs without and inside a tunnel.
    For a single number rather than a matrix, scikit-learn's
    :class:`~sklearn.model_selection.LeaveOneGroupOut` with ``groups=sources`` is the splitter.

    Parameters
    ----------
    estimator : classifier
        A pipeline that takes what `X` is; cloned for every fit.
    X : DataFrame or array-like of shape (n_sessions, n_columns)
        Session table, or whatever the estimator takes.
    y : array-like of shape (n_sessions,)
        Labels, the same names in all sources.
    sources : array-like of shape (n_sessions,)
        Where each session was recorded; two sources or more.
    groups : array-like of shape (n_sessions,), default=None
        Captures; by default the column `capture` of `X`. Without either, sessions are held out at
        random at home, which flatters.
    cv : int, splitter or iterable, default=3
        How captures are held out at home. A number: folds of
        :class:`~sktraffic.model_selection.CaptureKFold`, or fewer where a class has fewer captures;
        classes of one capture stay on the training side.
    scoring : str, callable or None, default="f1_macro"
        scikit-learn's; None is the estimator's own score.

    Returns
    -------
    DataFrame of shape (n_pairs, 5)
        `train` and `test` (sources), `sessions` (of the test side), `unseen` (share of them whose
        class the training side lacks; they are scored, as wrong) and `score`. Where `train` is
        `test`, the mean over the folds. With three sources or more, further rows learn from all
        others: `train` is "all others".

    Raises
    ------
    ValueError
        If there is only one source, or a source has one class only.

    See Also
    --------
    TransferMatrixDisplay : Draws it.
    drift_curve : The same question in time.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sktraffic.inspection import transfer_matrix
    >>> y = np.tile(["chat", "mail"], 40)
    >>> office = np.repeat(["north", "south"], 40)
    >>> size = np.where(y == "chat", 1.0, 3.0) + np.where(office == "north", 0.0, 1.5)
    >>> matrix = transfer_matrix(KNeighborsClassifier(1), size[:, None], y, office)
    >>> (matrix["train"] + " to " + matrix["test"]).tolist()
    ['north to north', 'north to south', 'south to south', 'south to north']
    >>> matrix["score"].round(2).tolist()
    [1.0, 0.33, 1.0, 0.33]
    """
    y, sources = np.asarray(y), np.asarray(sources)
    if groups is None and "capture" in getattr(X, "columns", ()):
        groups = np.asarray(X["capture"], dtype=object)
    groups = None if groups is None else np.asarray(groups)
    check_consistent_length(X, y, sources, groups)
    names = np.unique(sources)
    _check(names, y, sources)
    scorer = check_scoring(estimator, scoring)

    def row(train, test, learnt, asked):
        params = {} if groups is None else group_params(estimator, groups[learnt])
        fitted = clone(estimator).fit(_safe_indexing(X, learnt), y[learnt], **params)
        score = float(scorer(fitted, _safe_indexing(X, asked), y[asked]))
        unseen = float((~np.isin(y[asked], y[learnt])).mean())
        return train, test, len(asked), unseen, score

    rows = []
    for train in names:
        here = np.flatnonzero(sources == train)
        own = None if groups is None else groups[here]
        folds = _folds(cv, _safe_indexing(X, here), y[here], own)
        rows.append(_mean([row(train, train, here[a], here[b]) for a, b in folds]))
        for test in names[names != train]:
            rows.append(row(train, test, here, np.flatnonzero(sources == test)))
    if len(names) > 2:
        for test in names:
            sides = (np.flatnonzero(sources != test), np.flatnonzero(sources == test))
            rows.append(row(OTHERS, test, *sides))
    return pd.DataFrame(rows, columns=["train", "test", "sessions", "unseen", "score"])


def _check(names, y, sources):
    """Say what makes a matrix impossible."""
    if len(names) < 2:
        raise ValueError(
            f"All sessions come from {', '.join(map(str, names))}: name two sources or more, one "
            "label a session (the network, the site, the data set)."
        )
    for name in names:
        classes = np.unique(y[sources == name])
        if len(classes) < 2:
            raise ValueError(
                f"The source {name!s} has one class only, {classes[0]!s}: nothing can be learnt "
                "from it. Leave it out, or merge it with another one."
            )


def _folds(cv, X, y, groups):
    """Rows learnt from and asked about inside one source, fold by fold."""
    if not isinstance(cv, Integral):
        return list(check_cv(cv, y, classifier=True).split(X, y, groups))
    if groups is None:
        return list(StratifiedKFold(cv).split(np.zeros(len(y)), y))
    captures = [len(np.unique(groups[y == label])) for label in np.unique(y)]
    several = [count for count in captures if count > 1]
    if not several:
        raise ValueError(
            "Every class of a source has a single capture there: none can be held out at home. "
            "Pass cv=ChronologicalSplit(1, per_group=True), or add captures."
        )
    folds = max(2, min(cv, *several))
    return list(CaptureKFold(folds, single_capture="train").split(np.zeros(len(y)), y, groups))


def _mean(rows):
    """One row of the folds' rows: sessions add up, shares and scores are means."""
    train, test = rows[0][:2]
    sessions, unseen, score = zip(*(row[2:] for row in rows), strict=True)
    return train, test, sum(sessions), float(np.mean(unseen)), float(np.mean(score))


class TransferMatrixDisplay:
    """Heat map of scores: a row for what was learnt from, a column for what was asked about.

    Parameters
    ----------
    matrix : DataFrame
        From :func:`transfer_matrix`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    image_ : matplotlib AxesImage
        The heat map.
    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import TransferMatrixDisplay
    >>> pairs = {"train": ["a", "a", "b", "b"], "test": ["a", "b", "a", "b"]}
    >>> matrix = pd.DataFrame(pairs | {"score": [0.9, 0.5, 0.4, 0.8]})
    >>> [text.get_text() for text in TransferMatrixDisplay(matrix).plot().ax_.texts]
    ['0.90', '0.50', '0.40', '0.80']
    """

    def __init__(self, matrix):
        self.matrix = matrix

    @classmethod
    def from_estimator(cls, estimator, X, y, sources, *, ax=None, **kwargs):
        """Compute the matrix and draw it; further arguments are those of `transfer_matrix`."""
        return cls(transfer_matrix(estimator, X, y, sources, **kwargs)).plot(ax)

    def plot(self, ax=None):
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        self
        """
        rows = list(dict.fromkeys(self.matrix["train"]))
        columns = list(dict.fromkeys(self.matrix["test"]))
        columns.sort(key=rows.index)
        wide = self.matrix.pivot(index="train", columns="test", values="score")
        table = wide.loc[rows, columns].to_numpy(dtype=float)
        size = (2.6 + 0.9 * len(columns), 1.4 + 0.7 * len(rows))
        figure, ax = get_axes(ax, size)
        self.image_ = ax.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for i, j in zip(*np.nonzero(~np.isnan(table)), strict=True):
            ax.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center",
                    color="white" if table[i, j] > 0.55 else "black",
                    weight="bold" if rows[i] == columns[j] else "normal")  # fmt: skip
        ax.set_xticks(range(len(columns)), [str(name) for name in columns])
        ax.set_yticks(range(len(rows)), [str(name) for name in rows])
        ax.set(xlabel="asked about", ylabel="learnt from")
        ax.set_title("at home (bold): captures held out", fontsize=9)
        figure.colorbar(self.image_, ax=ax, label="score", pad=0.02)
        self.ax_, self.figure_ = ax, figure
        return self
