"""Cross-validation over whole captures, stratified by class."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d

__all__ = ["CaptureKFold"]


class CaptureKFold(StratifiedGroupKFold):
    """K folds of whole captures, each class spread over as many folds as it has captures.

    Sessions of one capture are not independent: they share hosts, paths and minutes. A split that
    puts some into training and some into the test scores how well a model knows the capture.
    The folds are those of scikit-learn's :class:`~sklearn.model_selection.StratifiedGroupKFold`,
    which balances them well; on top of that, a session table brings its own groups, a class that
    cannot be tested is named instead of being scored from nothing, and a capture moves where
    scikit-learn leaves a fold empty or a training side without a class. With as many folds as
    captures every fold is one capture.

    Parameters
    ----------
    n_splits : int, default=5
        Folds, at least 2.
    shuffle : bool, default=False
        Break ties between captures at random; False gives the same folds always.
    random_state : int, RandomState instance or None, default=None
        For `shuffle=True`.
    single_capture : {"raise", "train"}, default="raise"
        What to do about a class whose sessions all come from one capture: it cannot be tested
        honestly. "train" keeps such captures on every training side and never tests them (so the
        folds are no partition, and `cross_val_predict` refuses them).

    See Also
    --------
    ChronologicalSplit : When there is one capture a class.
    check_split : Says what two sides of a split share.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.model_selection import CaptureKFold
    >>> y = np.array(["chat", "chat", "mail", "mail", "chat", "chat", "mail", "mail"])
    >>> captures = np.array(["c1", "c1", "m1", "m1", "c2", "c2", "m2", "m2"])
    >>> for train, test in CaptureKFold(2).split(np.zeros(8), y, captures):
    ...     print(captures[train], captures[test])
    ['c2' 'c2' 'm2' 'm2'] ['c1' 'c1' 'm1' 'm1']
    ['c1' 'c1' 'm1' 'm1'] ['c2' 'c2' 'm2' 'm2']
    """

    def __init__(self, n_splits=5, shuffle=False, random_state=None, *, single_capture="raise"):
        super().__init__(n_splits=n_splits, shuffle=shuffle, random_state=random_state)
        self.single_capture = single_capture

    def split(self, X, y=None, groups=None):
        """Yield row numbers of the training and of the test side, fold by fold.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            A session table brings its own groups: its column `capture`.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), default=None
            The capture of each row; by default the column `capture` of `X`.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If there are no groups, fewer captures than folds, or a class has a single capture.
        """
        if y is None:
            raise ValueError("CaptureKFold stratifies by class: pass y, the labels of the rows.")
        yield from super().split(X, y, capture_groups(X, groups))

    def _iter_test_indices(self, X, y, groups):
        labels, y = np.unique(column_or_1d(y), return_inverse=True)
        names, groups = np.unique(np.asarray(groups), return_inverse=True)
        counts = np.zeros((len(names), len(labels)))
        np.add.at(counts, (groups, y), 1)
        testable = self._testable(counts, labels)
        if testable.sum() < self.n_splits:
            raise ValueError(
                f"{testable.sum()} captures cannot make n_splits={self.n_splits} folds of whole "
                f"captures. Use CaptureKFold({max(2, testable.sum())}) or fewer, or add captures."
            )
        self._warn_of_few(counts, labels)
        rows = np.flatnonzero(testable[groups])
        fold_of = np.full(len(names), -1)
        for fold, test in enumerate(self._plain_folds(y[rows], groups[rows])):
            fold_of[groups[rows[test]]] = fold
        sizes = counts[testable].sum(axis=1)
        filled = fill_folds(sizes, fold_of[testable], self.n_splits)
        fold_of[testable] = spread_classes(counts[testable], filled)
        for fold in range(self.n_splits):
            yield np.flatnonzero(fold_of[groups] == fold)

    def _plain_folds(self, y, groups):
        if self.shuffle:
            # (n_rows,): each capture's place in a random order. scikit-learn before 1.8 shuffles
            # the captures' class counts without the captures; the draws are those of 1.8
            names, groups = np.unique(groups, return_inverse=True)
            order = np.arange(len(names))
            check_random_state(self.random_state).shuffle(order)
            groups = np.argsort(order)[groups]
        # scikit-learn's StackingClassifier sets `random_state` whether or not the folds shuffle
        plain = StratifiedGroupKFold(self.n_splits)
        with warnings.catch_warnings():
            # `_warn_of_few` has said so already, in captures instead of sessions
            warnings.filterwarnings("ignore", message="The least populated class")
            return [test for _, test in plain.split(y, y, groups)]

    def _testable(self, counts, labels):
        """Say which captures may be tested; raise where a class has one only."""
        if self.single_capture not in ("raise", "train"):
            raise ValueError(
                f"single_capture is {self.single_capture!r}; it may be 'raise' or 'train'."
            )
        captures = (counts > 0).sum(axis=0)
        single = captures == 1
        if single.any() and self.single_capture == "raise":
            raise ValueError(
                f"All sessions of class(es) {', '.join(map(str, labels[single]))} come from one "
                "capture each, so no fold could both learn and test them. Add a capture of them, "
                "leave them out, merge them with a kindred class, keep them on the training side "
                "with single_capture='train', or split in time with ChronologicalSplit."
            )
        return ~(counts[:, single] > 0).any(axis=1)

    def _warn_of_few(self, counts, labels):
        captures = (counts > 0).sum(axis=0)
        few = (captures > 1) & (captures < self.n_splits)
        if few.any():
            worst = labels[few][np.argmin(captures[few])]
            warnings.warn(
                f"{few.sum()} class(es), {worst!s} among them, have fewer captures than "
                f"n_splits={self.n_splits}: they are missing from some test sides.",
                UserWarning,
                stacklevel=5,
            )


def capture_groups(X, groups=None):
    """Return `groups`, or the capture of every row of a session table."""
    if groups is not None:
        return groups
    if "capture" in getattr(X, "columns", ()):
        return np.asarray(X["capture"], dtype=object)
    raise ValueError(
        "There are no groups: pass groups=, the capture of each row, or a session table, whose "
        "column 'capture' is then used."
    )


def fill_folds(sizes, fold_of, n_splits):
    """Move a capture into every fold that has none.

    Parameters
    ----------
    sizes : ndarray of shape (n_captures,)
        Sessions of each capture; at least `n_splits` captures.
    fold_of : ndarray of shape (n_captures,), int
        Fold of each capture.
    n_splits : int

    Returns
    -------
    ndarray of shape (n_captures,), int
        The largest fold of several captures gives the one that comes nearest to half of it.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.model_selection._capture_kfold import fill_folds
    >>> fill_folds(np.array([9, 5, 4, 8]), np.array([0, 1, 1, 1]), 3)
    array([0, 1, 1, 2])
    """
    fold_of = fold_of.copy()
    for empty in np.setdiff1d(np.arange(n_splits), fold_of):
        several = np.bincount(fold_of, minlength=n_splits) > 1
        sessions = np.bincount(fold_of, weights=sizes, minlength=n_splits)
        donor = np.argmax(np.where(several, sessions, -1))
        members = np.flatnonzero(fold_of == donor)
        nearest = np.argmin(np.abs(sizes[members] - sessions[donor] / 2))
        fold_of[members[nearest]] = empty
    return fold_of


def spread_classes(counts, fold_of):
    """Move a capture of every class whose captures are all in one fold.

    Parameters
    ----------
    counts : ndarray of shape (n_captures, n_classes)
        Sessions of each class in each capture.
    fold_of : ndarray of shape (n_captures,), int
        Fold of each capture.

    Returns
    -------
    ndarray of shape (n_captures,), int
        Folds in which no class is missing from a training side.

    Raises
    ------
    ValueError
        If captures of mixed classes allow no such folds that are found by moving one a class.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.model_selection._capture_kfold import spread_classes
    >>> spread_classes(np.array([[9, 0], [8, 0], [7, 1], [6, 2]]), np.array([0, 0, 1, 1]))
    array([0, 0, 0, 1])
    """
    fold_of = fold_of.copy()
    present = counts > 0
    for column in np.flatnonzero(_in_one_fold(present, fold_of)):
        members = np.flatnonzero(present[:, column])
        smallest = members[np.argmin(counts[members].sum(axis=1))]
        sizes = np.bincount(fold_of, weights=counts.sum(axis=1)).astype(float)
        sizes[fold_of[smallest]] = np.inf
        fold_of[smallest] = np.argmin(sizes)
    left = _in_one_fold(present, fold_of)
    if left.any():
        raise ValueError(
            f"{left.sum()} class(es) occur only in captures that must share a fold. Ask for more "
            "folds, or add captures of them."
        )
    return fold_of


def _in_one_fold(present, fold_of):
    """Tell the classes all of whose captures, two or more, are in one fold."""
    low = np.where(present, fold_of[:, np.newaxis], fold_of.max()).min(axis=0)
    high = np.where(present, fold_of[:, np.newaxis], -1).max(axis=0)
    return (low == high) & (present.sum(axis=0) > 1)
