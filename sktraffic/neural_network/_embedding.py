"""How the networks for feature tables read numbers."""

import numpy as np

from sktraffic._compat import StrOptions
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._params import AT_LEAST_TWO, parameter
from sktraffic.neural_network._runtime import DTYPES
from sktraffic.nn import PiecewiseLinearEncoding


class FeatureTableClassifier(BaseTorchClassifier):
    """A network for feature tables: how it reads numbers, and what it learns of them beforehand."""

    embedding: str = parameter("piecewise", StrOptions({"linear", "piecewise"}))
    n_bins: int = parameter(48, AT_LEAST_TWO)

    def _without_effect(self):
        yield from super()._without_effect()
        if self.embedding == "linear":
            yield "n_bins", "embedding='linear'"

    def _learn_inputs(self, X, weight, seed):
        if self.embedding == "piecewise":
            self.bin_edges_ = bin_edges(X, self.n_bins, weight)

    def _encoding(self):
        """Return the bins that were learned, as the first layer of a network."""
        return PiecewiseLinearEncoding(self.bin_edges_, DTYPES[self.precision])

    def _forget(self):
        super()._forget()
        self.__dict__.pop("bin_edges_", None)


def token_groups(counts, max_tokens, seed):
    """Deal the columns of a table out to tokens.

    Up to ``max_tokens`` columns have a token each, in their order. More share them: the columns
    with most numbers are dealt first, those with as many in random order, so that tokens have
    about as many numbers each.

    Parameters
    ----------
    counts : ndarray of int of shape (n_features,)
        Numbers that each column is read as; a column of 0 is not read.
    max_tokens : int or None
        None gives every column a token.
    seed : int
        Of the random order.

    Returns
    -------
    ndarray of int of shape (n_features,)
        Token of each column, counted from 0; -1 of columns that are not read.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network._embedding import token_groups
    >>> token_groups(np.array([1, 0, 9, 5, 2]), 2, seed=0)
    array([ 0, -1,  0,  1,  1])
    >>> token_groups(np.array([1, 0, 9, 5, 2]), 4, seed=0)
    array([ 0, -1,  1,  2,  3])
    """
    groups = np.full(len(counts), -1)
    read = np.flatnonzero(counts)
    if max_tokens is None or len(read) <= max_tokens:
        groups[read] = np.arange(len(read))
        return groups
    order = np.random.default_rng(seed).permutation(read)
    order = order[np.argsort(-counts[order], kind="stable")]
    turn = np.arange(len(order)) % (2 * max_tokens)  # there and back
    groups[order] = np.minimum(turn, 2 * max_tokens - 1 - turn)
    return groups


def bin_edges(X, n_bins, weight=None):
    """Edges of the bins of each column: quantiles of the rows and of the distinct values.

    Quantiles of the rows put as many rows into one bin as into another. Where most rows have the
    same value, as those of a message that few sessions hold, they say little of the others; so
    half as many quantiles of the distinct values join them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite numbers.
    n_bins : int
        Bins of equal weight.
    weight : ndarray of shape (n_samples,), default=None
        A row of weight 2 counts as two rows.

    Returns
    -------
    ndarray of shape (n_features, n_bins + n_bins // 2 + 2)
        Rising edges, all of them values of the column; NaN after the last. A constant column has
        one.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network._embedding import bin_edges
    >>> X = np.array([[0.0], [0.0], [0.0], [0.0], [0.0], [2.0], [3.0], [90.0]])
    >>> bin_edges(X, 2)
    array([[ 0., 90., nan, nan, nan]])
    """
    of_rows = np.linspace(0, 1, n_bins + 1)
    of_values = np.linspace(0, 1, n_bins // 2 + 1)
    edges = np.full((X.shape[1], len(of_rows) + len(of_values)), np.nan)
    for column, row in zip(X.T, edges, strict=True):
        values, inverse = np.unique(column, return_inverse=True)
        passed = np.cumsum(np.bincount(inverse, weight))  # weight at or below each value
        # smallest value that a share of the weight does not exceed; sums of weights are rounded
        at = np.searchsorted(passed, of_rows * passed[-1] * (1 - 1e-12))
        spread = np.rint(of_values * (len(values) - 1)).astype(int)
        found = values[np.union1d(at, spread)]
        row[: len(found)] = found
    return edges
