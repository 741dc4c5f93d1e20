"""Where the active timeout cuts sessions, and timeouts in whole milliseconds."""

import numpy as np

__all__ = ["FOREVER", "cut_long", "timeout_ms"]

#: Milliseconds, longer than any capture.
FOREVER = 2**62


def timeout_ms(seconds):
    """Whole milliseconds of a timeout; infinity becomes longer than any capture."""
    return FOREVER if np.isinf(seconds) else round(seconds * 1000)


def cut_long(clock, starts, heads, origin, active):
    """Add the starts of sessions that the active timeout cuts.

    Parameters
    ----------
    clock : ndarray of shape (n_packets,), int64
        Milliseconds; packets sorted by key.
    starts : ndarray of shape (n_packets,), bool
        Packets that open a session for other reasons.
    heads : ndarray of shape (n_keys,), int64
        Where each key begins.
    origin : ndarray of shape (n_keys,), int64
        When the session began that the head goes on with.
    active : int
        Milliseconds.

    Returns
    -------
    ndarray of shape (n_packets,), bool
    """
    late = np.maximum.reduceat(clock, heads) - origin >= active
    if not late.any():
        return starts
    # only the keys that may be concerned, each behind a made-up packet at its session's beginning
    counts = np.diff(np.append(heads, len(clock)))
    rows = np.flatnonzero(np.repeat(late, counts))
    at = np.concatenate([[0], np.cumsum(counts[late])[:-1]])
    clock = np.insert(clock[rows], at, origin[late])
    begin = np.insert(starts[rows], at, True)
    made_up = np.zeros(len(clock), bool)
    made_up[at + np.arange(len(at))] = True
    starts = starts.copy()
    starts[rows] = _follow(clock, begin, active)[~made_up]
    return starts


def _follow(clock, starts, active):
    """Cut where `active` has passed since the cut before it.

    Where a session is cut depends on where it was cut before. `after` says for each packet which
    one would open the next session if it opened one itself. Following it from all starts at
    once and doubling the stride each time reaches every cut in log2(n) rounds.
    """
    after = _first_after(clock, np.cumsum(starts), active)
    while True:
        reached = starts.copy()
        reached[after[starts]] = True
        if (reached == starts).all():
            return starts
        starts, after = reached, after[after]


def _first_after(clock, segment, wait):
    """Index of the first packet `wait` or more after each one in its segment, or its own index."""
    n = len(clock)
    # sort packets and moments of cutting together; at equal times the moment comes first
    times = np.concatenate([clock, clock + wait])
    is_moment = np.repeat([False, True], n)
    order = np.lexsort((~is_moment, times, np.concatenate([segment, segment])))
    packets_before = np.cumsum(~is_moment[order])
    found = np.empty(2 * n, dtype=np.int64)
    found[order] = packets_before
    found = np.maximum(found[n:], np.arange(n) + 1)
    inside = found < n
    inside[inside] = segment[found[inside]] == segment[inside]
    return np.where(inside, found, np.arange(n))
