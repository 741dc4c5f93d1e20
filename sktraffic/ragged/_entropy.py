"""Shannon entropies of binned packet values, in bits."""

from numbers import Integral

import numpy as np

from sktraffic.ragged._lists import offsets_to_rows
from sktraffic.ragged._segments import safe_divide, segment_sum

__all__ = ["IAT_RANGE", "bin_codes", "iat_edges", "segment_entropy", "size_edges"]

# The shortest and longest inter-arrival times (s) that get bins of their own: a microsecond is a
# capture's clock tick, a thousand seconds is longer than any usual idle timeout.
IAT_RANGE = (1e-6, 1e3)
MAX_SIZE = 65_536


def size_edges(bins):
    """Edges (bytes) of the packet size bins.

    Parameters
    ----------
    bins : int or array-like
        An int is the width of equal bins from 0 on; an array-like holds the edges.

    Returns
    -------
    ndarray of shape (n_edges,)

    Raises
    ------
    ValueError
        If the edges do not grow.

    Examples
    --------
    >>> from sktraffic.ragged import size_edges
    >>> size_edges(64)[:3], size_edges([100, 1000])
    (array([ 64., 128., 192.]), array([ 100., 1000.]))
    """
    if isinstance(bins, Integral):
        return np.arange(bins, MAX_SIZE + bins, bins, dtype=np.float64)
    return _checked_edges(bins, "size_bins")


def iat_edges(bins):
    """Edges (s) of the inter-arrival time bins.

    Parameters
    ----------
    bins : int or array-like
        An int is the number of bins a decade, equal on the logarithmic scale, from a microsecond
        to 1000 s; an array-like holds the edges.

    Returns
    -------
    ndarray of shape (n_edges,)

    Examples
    --------
    >>> from sktraffic.ragged import iat_edges
    >>> len(iat_edges(4)), iat_edges([0.001, 1.0])
    (37, array([0.001, 1.   ]))
    """
    if isinstance(bins, Integral):
        low, high = np.log10(IAT_RANGE)
        return 10.0 ** np.linspace(low, high, round(high - low) * bins + 1)
    return _checked_edges(bins, "iat_bins")


def bin_codes(values, edges):
    """Return the bin number of each value; bin k holds ``edges[k - 1] <= value < edges[k]``.

    Below the first edge is bin 0 and from the last edge on bin ``len(edges)``: no value is lost.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import bin_codes
    >>> bin_codes(np.array([40, 100, 1500]), np.array([100, 1000]))
    array([0, 1, 2])
    """
    return np.searchsorted(edges, values, side="right")


def segment_entropy(codes, offsets):
    """Shannon entropy of the codes of each session, in bits.

    H = - sum_k p_k log2 p_k = log2 N - (1 / N) sum_k c_k log2 c_k, where c_k of the session's N
    values fall into bin k. 0 for a session without values.

    Parameters
    ----------
    codes : ndarray of shape (n_packets,), int
    offsets : ndarray of shape (n_sessions + 1,)

    Returns
    -------
    ndarray of shape (n_sessions,)

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import segment_entropy
    >>> segment_entropy(np.array([0, 1, 0, 1, 2, 2]), np.array([0, 4, 6]))
    array([1., 0.])
    """
    counts = np.diff(offsets)
    if not len(codes):
        return np.zeros(len(counts))
    rows = offsets_to_rows(offsets)
    width = int(codes.max()) + 1
    cells, occupied = np.unique(rows * width + codes, return_counts=True)
    cell_offsets = np.searchsorted(cells // width, np.arange(len(counts) + 1))
    sums = segment_sum(occupied * np.log2(occupied), cell_offsets)
    entropy = np.log2(np.maximum(counts, 1)) - safe_divide(sums, counts)
    # rounding leaves -1e-16 where all values share a bin
    return np.maximum(entropy, 0.0)


def _checked_edges(bins, name):
    edges = np.asarray(bins, dtype=np.float64)
    if edges.ndim != 1 or not len(edges) or not (np.diff(edges) > 0).all():
        raise ValueError(
            f"{name} must be an int or edges that grow strictly, got {bins!r}. "
            "Sort them and drop the repeated ones."
        )
    return edges
