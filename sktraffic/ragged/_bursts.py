"""Bursts: maximal runs of packets in one direction."""

import numpy as np

from sktraffic.ragged._segments import segment_sum

__all__ = ["burst_bounds", "burst_sums"]


def burst_bounds(direction, offsets):
    """Find where bursts begin and which session they belong to.

    Parameters
    ----------
    direction : ndarray of shape (n_packets,)
        +1 or -1.
    offsets : ndarray of shape (n_sessions + 1,)

    Returns
    -------
    packets : ndarray of shape (n_bursts + 1,), int64
        Burst b holds the packets ``packets[b]`` to ``packets[b + 1] - 1``.
    bursts : ndarray of shape (n_sessions + 1,), int64
        Session i has the bursts ``bursts[i]`` to ``bursts[i + 1] - 1``.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import burst_bounds
    >>> burst_bounds(np.array([1, 1, -1, -1, 1]), np.array([0, 3, 5]))
    (array([0, 2, 3, 4, 5]), array([0, 2, 4]))
    """
    new = np.ones(len(direction), dtype=bool)
    new[1:] = direction[1:] != direction[:-1]
    # a session's first packet opens a burst, whatever the session before ended with
    new[offsets[:-1][np.diff(offsets) > 0]] = True
    before = np.concatenate([[0], np.cumsum(new, dtype=np.int64)])
    return np.append(np.flatnonzero(new), len(direction)), before[offsets]


def burst_sums(values, packets):
    """Sum of a packet value over each burst; shape (n_bursts,).

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import burst_bounds, burst_sums
    >>> packets, _ = burst_bounds(np.array([1, 1, -1, -1, 1]), np.array([0, 3, 5]))
    >>> burst_sums(np.array([60, 40, 1500, 52, 52]), packets)
    array([ 100, 1500,   52,   52])
    """
    return segment_sum(values, packets)
