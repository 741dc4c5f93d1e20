"""Splits in time: learn from the past, test on what came later."""

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable

from sktraffic._compat import _num_samples
from sktraffic.model_selection._capture_kfold import capture_groups

__all__ = ["ChronologicalSplit", "session_times"]


class ChronologicalSplit(BaseCrossValidator):
    """Train on sessions that were over before the test's first began, with a gap between.

    A session belongs to the training side only when its last packet came before the test began,
    less the gap; sessions that reach over the cut are left out. That is stricter than cutting a
    sorted table.

    Parameters
    ----------
    n_splits : int, default=5
        Test blocks, one after another at the end of the data; the training side grows.
    test_size : int, float or None, default=None
        Sessions a test block, as a number or a share of all; by default 1 / (n_splits + 1).
    gap : float, default=0.0
        Silence between training and test: seconds for a session table, rows for anything else.
    per_group : bool, default=False
        Cut each capture on its own, at the same shares. This is for data with one capture a class,
        where a cut of the whole would part the classes. It tests whether a model holds for later
        sessions of the *same* capture, which is less than new captures.

    See Also
    --------
    CaptureKFold : Whole captures on either side: prefer it where classes have several.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.model_selection import ChronologicalSplit
    >>> for train, test in ChronologicalSplit(2, test_size=2, gap=1).split(np.zeros(8)):
    ...     print(train, test)
    [0 1 2] [4 5]
    [0 1 2 3 4] [6 7]
    """

    # groups are asked for under metadata routing, as scikit-learn's group splitters do
    __metadata_request__split = {"groups": True}

    def __init__(self, n_splits=5, *, test_size=None, gap=0.0, per_group=False):
        self.n_splits = n_splits
        self.test_size = test_size
        self.gap = gap
        self.per_group = per_group

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of test blocks."""
        return self.n_splits

    def split(self, X, y=None, groups=None):
        """Yield row numbers of the training and of the test side, block by block.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A session table is cut by its columns `start` and `duration`; anything without `start`
            is taken to be in order of time.
        y : array-like of shape (n_samples,), default=None
            Not used.
        groups : array-like of shape (n_samples,), default=None
            For `per_group=True`: the capture of each row; by default the column `capture`.

        Yields
        ------
        train, test : ndarray of int
            In order of the rows.

        Raises
        ------
        ValueError
            If a side would be empty, or a session has no start.
        """
        X, y, groups = indexable(X, y, groups)
        self._check()
        start, end = session_times(X)
        if self.per_group:
            parts = _parts(capture_groups(X, groups))
        else:
            parts = [np.arange(_num_samples(X))]
        for fold in range(self.n_splits):
            sides = [self._cut(start[part], end[part], fold) for part in parts]
            train, test = (
                np.sort(np.concatenate([p[s[i]] for p, s in zip(parts, sides, strict=True)]))
                for i in (0, 1)
            )
            for name, side in (("training", train), ("test", test)):
                if not len(side):
                    raise ValueError(
                        f"The {name} side of block {fold + 1} of {self.n_splits} is empty for "
                        f"{len(start)} sessions, test_size={self.test_size} and gap={self.gap}. "
                        "Ask for fewer or smaller blocks, or a smaller gap."
                    )
            yield train, test

    def _check(self):
        if not isinstance(self.n_splits, Integral) or self.n_splits < 1:
            raise ValueError(f"n_splits is {self.n_splits!r}; it must be a number, at least 1.")
        if self.gap < 0:
            raise ValueError(f"gap is {self.gap}; it must not be negative.")

    def _cut(self, start, end, fold):
        """Rows of one part in training and in test block `fold`."""
        n = len(start)
        size = self._block_size(n)
        first = n - (self.n_splits - fold) * size
        if size < 1 or first < 1:
            # too few to be tested: learn from them in every block
            return np.arange(n), np.empty(0, dtype=np.intp)
        order = np.argsort(start, kind="stable")
        test = order[first : first + size]
        return np.flatnonzero(end + self.gap < start[test].min()), test

    def _block_size(self, n):
        if self.test_size is None:
            return n // (self.n_splits + 1)
        if isinstance(self.test_size, Integral):
            return int(self.test_size)
        return int(np.floor(self.test_size * n))


def session_times(X):
    """Start and end of every row in seconds, or its number where there is no `start`.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_samples, n_features)

    Returns
    -------
    start, end : ndarray of shape (n_samples,), float64
        Seconds since the first start.

    Raises
    ------
    ValueError
        If a session has no start.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.model_selection import session_times
    >>> table = pd.DataFrame({"start": pd.to_datetime(["2024-01-01", "2024-01-02"]), "duration": 5})
    >>> start, end = session_times(table)
    >>> start.tolist(), end.tolist()
    ([0.0, 86400.0], [5.0, 86405.0])
    """
    if "start" not in getattr(X, "columns", ()):
        rows = np.arange(_num_samples(X), dtype=np.float64)
        return rows, rows
    stamps = pd.Series(pd.to_datetime(X["start"], utc=True))
    if stamps.isna().any():
        raise ValueError(
            f"{int(stamps.isna().sum())} of {len(stamps)} sessions have no start: they cannot be "
            "put in order. Drop them, or use CaptureKFold."
        )
    # not dt.total_seconds(): it refuses Arrow times of more than 2**53 ns, a hundred days
    times = stamps.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    start = (times - times.min()) / 1e9
    if "duration" not in X.columns:
        return start, start
    return start, start + X["duration"].to_numpy(dtype=np.float64, na_value=0.0)


def _parts(groups):
    _, groups = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
