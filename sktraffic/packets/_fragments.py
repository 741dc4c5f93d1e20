"""Fragments: the later ones of a datagram get the ports of its first."""

import numpy as np

from sktraffic.packets._table import NO_TIME

__all__ = ["FragmentJoiner"]

# how long a first fragment is remembered: the longest that a receiver waits (RFC 1122, 3.3.2)
PATIENCE = 120 * 10**9
MOST = 1 << 16
_KEPT = ("src_port", "dst_port", "protocol", "tunnel")


def fragment_keys(table, rows):
    """Put together what the fragments of a datagram share; ndarray of shape (n, 7), uint64."""
    four = table.version[rows] == 4
    # RFC 791 counts the protocol in, RFC 8200 does not: later headers may differ there
    protocol = np.where(four, table.protocol[rows], 0)
    columns = (table.version[rows], protocol, table.fragment_id[rows], *table.src[rows].T)
    return np.stack([np.asarray(c).astype(np.uint64) for c in (*columns, *table.dst[rows].T)], 1)


class FragmentJoiner:
    """Remembers first fragments for those that follow.

    A fragment that comes before its datagram's first one stays alone: what a packet belongs to
    depends on what came before it, however the capture is cut into tables.
    """

    def __init__(self):
        self._keys = np.empty((0, 7), np.uint64)
        self._time = np.empty(0, np.int64)
        self._decoded = np.empty(0, bool)
        self._values = {name: np.empty(0, np.int64) for name in _KEPT}

    def join(self, table, outer_rows, outer_keys):
        """Give later fragments what their first ones say, in place.

        Parameters
        ----------
        table : PacketTable
        outer_rows : ndarray of shape (n,), int64
            Rows of first fragments of a tunnel's packets whose inner packet stands in the table.
        outer_keys : ndarray of shape (n, 7)
            Their keys before the inner packet took their place.

        Returns
        -------
        joined, alone, rest : ndarray of int64
            Rows of later fragments: with a first one, without one, and those that belong to a
            packet that was counted whole as the inner packet of its first fragment.
        """
        rows = np.flatnonzero(table.fragment)
        if not len(rows) and not len(outer_rows):
            return rows, rows, rows
        first = rows[table.fragment[rows] == 1]
        later = rows[table.fragment[rows] == 2]
        if not len(self._keys) and not len(first) and not len(outer_rows):
            return later[:0], later, later[:0]
        n_old, n_first, n_outer = len(self._keys), len(first), len(outer_rows)
        sources = np.concatenate([first, outer_rows])
        keys = np.concatenate([self._keys, fragment_keys(table, first), outer_keys])
        decoded = np.concatenate([self._decoded, np.zeros(n_first, bool), np.ones(n_outer, bool)])
        time = np.concatenate([self._time, table.time[sources]])
        values = {
            name: np.concatenate([old, getattr(table, name)[sources]])
            for name, old in self._values.items()
        }
        match = _latest_before(
            keys,
            np.concatenate([np.full(n_old, -1), sources]),
            fragment_keys(table, later),
            later,
        )
        known = match >= 0
        known &= _within(table.time[later], time[match])
        rest = known & decoded[match]
        joined = known & ~rest
        for name in _KEPT:
            getattr(table, name)[later[joined]] = values[name][match[joined]]
        self._remember(keys, time, decoded, values)
        return later[joined], later[~known], later[rest]

    def _remember(self, keys, time, decoded, values):
        kept = np.flatnonzero(_within(time[-1:], time))[-MOST:]
        self._keys, self._time, self._decoded = keys[kept], time[kept], decoded[kept]
        self._values = {name: column[kept] for name, column in values.items()}


def _within(time, first):
    """Whether times are near enough to those of first fragments, or one is not known."""
    return (time == NO_TIME) | (first == NO_TIME) | (np.abs(time - first) <= PATIENCE)


def _latest_before(keys, places, wanted, wanted_places):
    """For each wanted key the last equal one at a lower place; -1 where there is none."""
    if not len(wanted) or not len(keys):
        return np.full(len(wanted), -1)
    both = np.concatenate([keys, wanted])
    place = np.concatenate([places, wanted_places])
    is_key = np.arange(len(both)) < len(keys)
    # equal keys together, in the order of their places; older ones (-1) keep theirs
    order = np.lexsort((np.arange(len(both)), place, *both.T))
    run = np.append(True, (both[order[1:]] != both[order[:-1]]).any(axis=1))
    begin = np.maximum.accumulate(np.where(run, np.arange(len(both)), 0))
    last = np.maximum.accumulate(np.where(is_key[order], np.arange(len(both)), -1))
    found = np.where(last >= begin, order[last], -1)
    out = np.empty(len(both), np.int64)
    out[order] = found
    return out[len(keys) :]
