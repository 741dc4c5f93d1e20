"""The packets of one table sorted by key, and cut into runs: one run is one session's share."""

import numpy as np
import pandas as pd

from sktraffic.packets._cuts import FOREVER, cut_long
from sktraffic.packets._headers import TCP
from sktraffic.packets._order import stable_order

__all__ = ["Runs"]

FIN, SYN, RST, ACK = 1, 2, 4, 16


class Runs:
    """What :class:`~sktraffic.packets.SessionTracker` computes for one table.

    Parameters
    ----------
    table : PacketTable
    time : ndarray of shape (n_packets,), int64
        Nanoseconds, known for every packet.
    keys : KeyGroups
    states : KeyStates
        Rows of what earlier tables left; changed by `remember` only.
    rows, fresh : ndarray of shape (n_keys,)
        Each key's row there, and whether it is new.
    connections : bool
        Whether the packets of a key are those of one connection, so that its SYNs, FINs and RSTs
        mean the key.

    Attributes
    ----------
    order : ndarray of shape (n_packets,), int64
        The packets sorted by key. All other arrays of shape (n_packets,) are in this order.
    heads, tails : ndarray of shape (n_keys,), int64
        First and last packet of each key.
    begin : ndarray of shape (n_runs,), int64
        First packet of each run.
    run : ndarray of shape (n_packets,), int64
    is_new : ndarray of shape (n_runs,), bool
        The run opens a session; the others go on with the one that an earlier table left.
    session : ndarray of shape (n_runs,), int64
    opened : ndarray of shape (n_new,), int64
        The runs that open sessions, in the order of these.
    """

    def __init__(self, table, time, keys, rows, fresh, states, connections):
        self.rows, self.fresh, self.states = rows, fresh, states
        self.order = stable_order(keys.group)
        counts = np.bincount(keys.group, minlength=len(rows))
        self.tails = np.cumsum(counts) - 1
        self.heads = self.tails - counts + 1
        self.key = np.repeat(np.arange(len(rows)), counts)
        self.ns = time[self.order]
        self.low = keys.from_low[self.order]
        self.tcp = connections & (table.protocol[self.order[self.heads]] == TCP)
        self._events(table, connections)

    def _events(self, table, connections):
        """Find the packets with SYN, FIN or RST: `event` says where, in sorted order."""
        marks = connections & (table.flags > 0) & ((table.flags & (FIN | SYN | RST)) != 0)
        self.event = np.zeros(0, np.int64)
        if marks.any():
            self.event = np.flatnonzero(marks[self.order])
        flags = table.flags[self.order[self.event]]
        self.is_syn = (flags & SYN) != 0
        self.from_server = (flags & ACK) != 0  # of a SYN
        self.is_close = (flags & (FIN | RST)) != 0

    def cut(self, idle, active, on_fin):
        """Find the first packet of each run."""
        state, rows, heads = self.states, self.rows, self.heads
        goes_on = state.number[rows] >= 0
        self.ms = self.ns // 1_000_000
        self.gap = np.diff(self.ms, prepend=0)
        self.gap[heads] = np.where(self.fresh, FOREVER, self.ms[heads] - state.last_ms[rows])
        starts = np.abs(self.gap) >= idle
        starts[heads[~goes_on]] = True
        self._find_closings(starts)
        if on_fin and len(self.told_at):
            again = ~self.told_close & self._closed(self.told_at, -1)
            starts[self.told_at[again]] = True
        if active < FOREVER and len(heads):
            origin = np.where(starts[heads], self.ms[heads], state.first_ms[rows])
            starts = cut_long(self.ms, starts, heads, origin, active)
        begins = starts.copy()
        begins[heads] = True
        self.begin = np.flatnonzero(begins)
        self.run = np.cumsum(begins) - 1
        self.is_new = starts[self.begin]
        self._level(goes_on)

    def _find_closings(self, silent):
        """Note when connections are opened and closed; a long silence forgets about it."""
        told = self.is_close | (self.is_syn & ~self.from_server)
        self.told_at, self.told_close = self.event[told], self.is_close[told]
        loud = silent.copy()
        loud[self.heads] = True
        self.era = np.cumsum(loud)
        self.carried = self.states.finished[self.rows] & ~silent[self.heads]

    def _closed(self, packets, shift=0):
        """Say whether the connections of these packets were closed by then.

        That is: whether of the key's SYNs, FINs and RSTs the latest up to the packet (with a
        `shift` of -1: before it) was no SYN.
        """
        key = self.key[packets]
        out = self.carried[key] & (self.era[packets] == self.era[self.heads[key]])
        if len(self.told_at):
            at = np.searchsorted(self.told_at, packets + shift, side="right") - 1
            here = (at >= 0) & (self.era[self.told_at[at]] == self.era[packets])
            out = np.where(here, self.told_close[at], out)
        return out

    def _level(self, goes_on):
        """Let no time fall within a session."""
        falling = np.append(False, self.ns[1:] < self.ns[:-1])[: len(self.ns)]
        falling[self.heads] = self.ns[self.heads] < self.states.last_ns[self.rows]
        falling[self.begin[self.is_new]] = False
        if not falling.any():
            return
        carried = self.heads[goes_on & ~self.is_new[self.run[self.heads]]]
        self.ns[carried] = np.maximum(
            self.ns[carried], self.states.last_ns[self.rows[self.key[carried]]]
        )
        self.ns = pd.Series(self.ns).groupby(self.run).cummax().to_numpy()
        self.ms = self.ns // 1_000_000

    def number(self, following):
        """Give the sessions that begin numbers from `following` on, by their first packets."""
        state, row = self.states, self.rows[self.key[self.begin]]
        opening = self.order[self.begin]  # each run's first packet
        new = np.flatnonzero(self.is_new)
        self.opened = new[np.argsort(opening[new])]
        self.first = opening[self.opened]
        self.session = state.number[row]
        self.session[self.opened] = following + np.arange(len(new))
        before = np.where(self.is_new, 0, state.count[row])
        self.place = np.arange(len(self.run)) + (before - self.begin)[self.run]
        self.first_low = np.where(self.is_new, self.low[self.begin], state.first_low[row])
        self.direction = np.where(self.low == self.first_low[self.run], 1, -1).astype(np.int8)

    def ended(self):
        """Numbers of the sessions that were cut; shape (n_ended,), int64."""
        last = np.zeros(len(self.begin), bool)
        last[self.run[self.tails]] = True
        old = self.states.number[self.rows[self.is_new[self.run[self.heads]]]]
        return np.concatenate([old[old >= 0], self.session[~last]])

    def clients(self, idle, active):
        """Say of each new session whether its first sender is its client; +1 or -1, int8.

        A SYN tells the client of its session from there on. A session that goes on with a
        conversation takes over the client that was known before.
        """
        state, n = self.states, len(self.begin)
        row = self.rows[self.key[self.begin]]
        at_head = np.zeros(n, bool)
        at_head[self.run[self.heads]] = True
        self._sides(row)
        inherits = self.is_new & self._goes_on(row, at_head, idle, active)
        # the SYN of each run that comes first
        syn = self.event[self.is_syn]
        told, at = np.unique(self.run[syn], return_index=True)
        syn_low = self.low[syn] ^ self.from_server[self.is_syn]
        known = np.where(self.is_new, False, state.told[row])
        value = np.where(self.is_new & ~inherits, self.first_low, state.client_low[row])
        late = ~known[told]
        value[told[late]] = syn_low[at[late]]
        self.told = known
        self.told[told] = True
        # what is inherited from a run of this table comes from the nearest that knows better
        asks = inherits & ~at_head
        asks[told] = False
        value = value[np.maximum.accumulate(np.where(asks, 0, np.arange(n)))] if n else value
        self.client_low = value
        before = np.where(at_head, state.client_low[row], np.append(False, value)[:n])
        first = np.where(inherits, before, self.first_low)
        return np.where(first == self.first_low, 1, -1).astype(np.int8)[self.opened]

    def _sides(self, row):
        """Find which ends have sent in each session so far."""
        counts = np.diff(np.append(self.begin, len(self.run)))
        from_low = np.add.reduceat(self.low, self.begin, dtype=np.int64) if len(counts) else counts
        self.seen_low = (from_low > 0) | (~self.is_new & self.states.low[row])
        self.seen_high = (from_low < counts) | (~self.is_new & self.states.high[row])

    def _goes_on(self, row, at_head, idle, active):
        """Say of each run whether it goes on with the conversation of its key before it.

        That is after a short silence, and in TCP as long as both ends were heard and none has
        closed the connection.
        """
        state = self.states
        silence = np.abs(self.gap[self.begin])
        closed = np.where(at_head, state.finished[row], self._closed(self.begin - 1))
        both = self.seen_low & self.seen_high
        earlier = np.append(False, both)[: len(both)]
        both = np.where(at_head, state.low[row] & state.high[row], earlier)
        open_tcp = self.tcp[self.key[self.begin]] & ~closed & both
        return (silence < idle) | (open_tcp & (silence < active))

    def remember(self):
        """Leave the latest run of each key to the tables that follow."""
        state, rows, last = self.states, self.rows, self.run[self.tails]
        is_new = self.is_new[last]
        state.number[rows] = self.session[last]
        state.first_ms[rows] = np.where(is_new, self.ms[self.begin[last]], state.first_ms[rows])
        state.last_ms[rows], state.last_ns[rows] = self.ms[self.tails], self.ns[self.tails]
        state.count[rows] = self.place[self.tails] + 1
        for name in ("first_low", "client_low", "told"):
            getattr(state, name)[rows] = getattr(self, name)[last]
        state.low[rows], state.high[rows] = self.seen_low[last], self.seen_high[last]
        state.tcp[rows] = self.tcp
        state.finished[rows] = self._closed(self.tails)
