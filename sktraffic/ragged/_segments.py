"""Sums, extremes, moments, differences and quantiles of many sessions at once.

Every function takes flat values of all sessions and the offsets that divide them (see
:func:`sktraffic.ragged.ragged`), and returns one number a session. None loops over sessions.
"""

import numpy as np

from sktraffic.ragged._lists import offsets_to_rows

__all__ = [
    "ragged_diff",
    "ragged_select",
    "safe_divide",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_quantiles",
    "segment_std",
    "segment_sum",
]


def segment_sum(values, offsets):
    """Sum per session; 0 for a session without packets. Shapes (n_packets,) -> (n_sessions,).

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import segment_sum
    >>> segment_sum(np.array([1, 2, 5]), np.array([0, 2, 2, 3]))
    array([3, 0, 5])
    """
    return _reduce(np.add, values, offsets, 0)


def segment_min(values, offsets, empty=0):
    """Minimum per session; `empty` for a session without packets.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import segment_min
    >>> segment_min(np.array([1, 2, 5]), np.array([0, 2, 2, 3]), empty=-1)
    array([ 1, -1,  5])
    """
    return _reduce(np.minimum, values, offsets, empty)


def segment_max(values, offsets, empty=0):
    """Maximum per session; `empty` for a session without packets.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import segment_max
    >>> segment_max(np.array([1, 2, 5]), np.array([0, 2, 2, 3]), empty=-1)
    array([ 2, -1,  5])
    """
    return _reduce(np.maximum, values, offsets, empty)


def safe_divide(numerator, denominator):
    """Divide; 0 where the denominator is 0. Broadcasts.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import safe_divide
    >>> safe_divide(np.array([1, 2]), np.array([4, 0]))
    array([0.25, 0.  ])
    """
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    out = np.zeros(numerator.shape)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out


def ragged_select(mask, offsets):
    """Offsets of the values that are left when `mask` selects some of them.

    Parameters
    ----------
    mask : ndarray of shape (n_packets,), bool
    offsets : ndarray of shape (n_sessions + 1,)

    Returns
    -------
    ndarray of shape (n_sessions + 1,), int64
        Session i of ``values[mask]`` is ``[out[i], out[i + 1])``.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import ragged_select
    >>> ragged_select(np.array([True, False, True]), np.array([0, 2, 3]))
    array([0, 1, 2])
    """
    return np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])[offsets]


def ragged_diff(values, offsets):
    """Differences of neighbours inside each session; a session of N values has N - 1 of them.

    Returns
    -------
    differences : ndarray of shape (n_packets - number of sessions with packets,)
    offsets : ndarray of shape (n_sessions + 1,), int64

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import ragged_diff
    >>> ragged_diff(np.array([0.0, 0.5, 2.0, 0.0, 3.0]), np.array([0, 3, 5]))
    (array([0.5, 1.5, 3. ]), array([0, 2, 3]))
    """
    inside = np.ones(len(values), dtype=bool)
    inside[offsets[:-1][np.diff(offsets) > 0]] = False
    differences = np.diff(values, prepend=values[:1])[inside]
    return differences, ragged_select(inside, offsets)


def segment_mean(values, offsets):
    """Mean per session; 0 for a session without values.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import segment_mean
    >>> segment_mean(np.array([1, 2, 5]), np.array([0, 2, 3]))
    array([1.5, 5. ])
    """
    return safe_divide(segment_sum(np.asarray(values, np.float64), offsets), np.diff(offsets))


def segment_std(values, offsets):
    """Return the standard deviation per session (N - 1); 0 for fewer than two values.

    Two passes, mean first: the one-pass formula loses all digits when the mean is large.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import segment_std
    >>> segment_std(np.array([1, 3, 5]), np.array([0, 2, 3])).round(3)
    array([1.414, 0.   ])
    """
    values = np.asarray(values, np.float64)
    centred = values - np.repeat(segment_mean(values, offsets), np.diff(offsets))
    squares = segment_sum(centred * centred, offsets)
    return np.sqrt(safe_divide(squares, np.maximum(np.diff(offsets) - 1, 0)))


def segment_quantiles(values, offsets, quantiles):
    """Quantiles per session, linear between neighbours as in :func:`numpy.quantile`.

    Returns
    -------
    ndarray of shape (n_sessions, n_quantiles)
        0 for a session without values.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import segment_quantiles
    >>> segment_quantiles(np.array([1.0, 2.0, 3.0, 9.0]), np.array([0, 3, 4]), [0.5])
    array([[2.],
           [9.]])
    """
    values = np.asarray(values, np.float64)
    counts = np.diff(offsets)
    out = np.zeros((len(counts), len(quantiles)))
    filled = counts > 0
    if not filled.any():
        return out
    ordered = values[np.lexsort((values, offsets_to_rows(offsets)))]
    last = (counts[filled] - 1)[:, None]
    position = last * np.asarray(quantiles, dtype=np.float64)
    low = np.floor(position).astype(np.int64)
    start = offsets[:-1][filled][:, None]
    below = ordered[start + low]
    above = ordered[start + np.minimum(low + 1, last)]
    out[filled] = below + (above - below) * (position - low)
    return out


def _reduce(ufunc, values, offsets, empty):
    values = np.asarray(values)
    filled = np.diff(offsets) > 0
    out = np.full(len(filled), empty, dtype=values.dtype if len(values) else None)
    if filled.any():
        out[filled] = ufunc.reduceat(values, offsets[:-1][filled])
    return out
