"""Session numbers and directions of packets, in memory bounded by the sessions that are open."""

from dataclasses import dataclass

import numpy as np

from sktraffic.packets._clock import JUMP, Clock
from sktraffic.packets._cuts import timeout_ms
from sktraffic.packets._keys import group_keys
from sktraffic.packets._order import stable_order
from sktraffic.packets._runs import Runs
from sktraffic.packets._states import ENDED, KeyStates
from sktraffic.packets._table import NO_TIME

__all__ = ["PacketSessions", "SessionTracker"]

# silent sessions are looked for when so many milliseconds have passed
SWEEP = 1000


@dataclass
class PacketSessions:
    """Which sessions the packets of a table belong to.

    Attributes
    ----------
    time : ndarray of shape (n_packets,), int64
        Times as sessions see them (see :class:`~sktraffic.packets.Clock`), ns, never falling
        within a session; `NO_TIME` where there is none.
    direction : ndarray of shape (n_packets,), int8
        +1 from the sender of the session's first packet, -1 back to it.
    place : ndarray of shape (n_packets,), int64
        Which packet of its session each is, from 0.
    local : ndarray of shape (n_packets,), int64
        Index of each packet's session in `numbers`.
    numbers : ndarray of shape (n_sessions,), int64
        Running numbers of the sessions in this table, from 0 in the order of first packets.
    first : ndarray of shape (n_new,), int64
        First packets of the sessions that begin in this table, rising.
    client : ndarray of shape (n_new,), int8
        Direction of those sessions' packets from the client, as far as the packets before them
        tell: in the pieces after a timeout the client stays the client.
    ended : ndarray of shape (n_ended,), int64
        Numbers of the sessions that are known to have ended by the end of this table.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import PacketTable, SessionTracker
    >>> table = PacketTable.blank(3)
    >>> table.time = np.array([0, 1, 130]) * 10**9
    >>> sessions = SessionTracker().add(table)
    >>> sessions.place, sessions.local, sessions.numbers, sessions.first
    (array([0, 1, 0]), array([0, 0, 1]), array([0, 1]), array([0, 2]))
    """

    time: np.ndarray
    direction: np.ndarray
    place: np.ndarray
    local: np.ndarray
    numbers: np.ndarray
    first: np.ndarray
    client: np.ndarray
    ended: np.ndarray

    @property
    def session(self):
        """Number of each packet's session; shape (n_packets,), int64."""
        return self.numbers[self.local]

    @classmethod
    def given(cls, table, session, direction):
        """Return the sessions of a table's packets where they are known already.

        Parameters
        ----------
        table : PacketTable
        session : ndarray of shape (n_packets,), int64
            Any numbers from 0 on.
        direction : ndarray of shape (n_packets,), int8
            +1 from the client, -1 back to it.

        Returns
        -------
        PacketSessions
            All of which end with the table.
        """
        numbers, first, local = np.unique(session, return_index=True, return_inverse=True)
        order = stable_order(local)
        place = np.empty(len(order), np.int64)
        begin = np.searchsorted(local[order], np.arange(len(numbers)))
        place[order] = np.arange(len(order)) - begin[local[order]]
        client = np.ones(len(numbers), np.int8)
        return cls(table.time, direction, place, local, numbers, first, client, numbers)

    def take(self, rows):
        """Return the sessions of some packets, for those who look at numbers and directions."""
        numbers, local = np.unique(self.local[rows], return_inverse=True)
        none = np.zeros(0, np.int64)
        return PacketSessions(
            self.time[rows], self.direction[rows], self.place[rows], local,
            self.numbers[numbers], none, none.astype(np.int8), none,
        )  # fmt: skip


class SessionTracker:
    """Say which session each packet belongs to, table after table.

    Packets of one key, in either direction, form a session until one comes `idle_timeout` or more
    after the one before, or `active_timeout` or more after the session's first; that packet opens
    the next session. Times count in whole milliseconds. All of this is as in nfstream, so that
    the same packets give the same sessions there and here. How the packets are cut into tables
    makes no difference, unless the time steps back far and later forward again
    (`clock.steps_back`): which sessions were over by then shows between tables only.

    Parameters
    ----------
    key : {"five_tuple", "host_pair", "capture"}, default="five_tuple"
        What the packets of a session have in common: addresses, ports, protocol and VLAN; the two
        addresses; or being in the same capture, whatever the timeouts.
    idle_timeout, active_timeout : float, default=120 and 1800
        Seconds; ``numpy.inf`` for never.
    end_on : {"timeout", "fin"}, default="timeout"
        With "fin", a SYN that comes after a FIN or RST of the same five-tuple opens a new session,
        too: the port is used again.
    vlan_in_key : bool, default=True
        Whether packets of different VLANs belong to different five-tuples.

    Attributes
    ----------
    clock : Clock
        What it says of wrong time stamps.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import PacketTable, SessionTracker
    >>> table = PacketTable.blank(4)
    >>> table.time = np.array([0, 1, 2, 130]) * 10**9
    >>> table.src[:, 1], table.dst[:, 1] = [1, 1, 2, 1], [2, 3, 1, 2]
    >>> sessions = SessionTracker().add(table)
    >>> sessions.session, sessions.direction
    (array([0, 1, 0, 2]), array([ 1,  1, -1,  1], dtype=int8))
    """

    def __init__(
        self,
        *,
        key="five_tuple",
        idle_timeout=120,
        active_timeout=1800,
        end_on="timeout",
        vlan_in_key=True,
    ):
        if key == "capture":
            idle_timeout = active_timeout = np.inf
        self._key, self._vlan_in_key = key, vlan_in_key
        self._on_fin = end_on == "fin"
        self._idle, self._active = timeout_ms(idle_timeout), timeout_ms(active_timeout)
        self.clock = Clock(JUMP if np.isinf(idle_timeout) else max(JUMP, idle_timeout))
        self._states = KeyStates()
        self._next = 0
        self._swept = None  # when silent sessions were looked for last, ms
        self._anchor = None  # sender of a capture's first packet

    def __len__(self):
        """Sessions that are open."""
        return int((self._states.number >= 0).sum())

    def add(self, table, following=None):
        """Give the sessions of the next packets.

        Parameters
        ----------
        table : PacketTable
        following : int, optional
            The time stamp of the packet behind them, ns, where it is known already (see
            :meth:`Clock.waits`).

        Returns
        -------
        PacketSessions
        """
        before = self.clock.now
        time = self.clock.read(table.time, table.record, following)
        keys = group_keys(table, self._key, self._vlan_in_key)
        if self._key == "capture" and len(table):
            if self._anchor is None:
                self._anchor = (table.src[0].copy(), table.version[0])
            sender, version = self._anchor
            keys.from_low = (table.src == sender).all(axis=1) & (table.version == version)
        rows, fresh = self._states.find(keys.names)
        runs = Runs(
            table, _filled(time, before), keys, rows, fresh, self._states, self._key == "five_tuple"
        )
        runs.cut(self._idle, self._active, self._on_fin)
        runs.number(self._next)
        self._next += len(runs.first)
        client = runs.clients(self._idle, self._active)
        ended = runs.ended()
        runs.remember()
        order, unknown = runs.order, time == NO_TIME
        if not unknown.all():  # what stands in for an unknown time tells nobody how late it is
            ended = np.concatenate([ended, self._sweep(runs.ms[~unknown[order]])])
        time = _scatter(runs.ns, order)
        time[unknown] = NO_TIME
        return PacketSessions(
            time=time,
            direction=_scatter(runs.direction, order),
            place=_scatter(runs.place, order),
            local=_scatter(runs.run, order),
            numbers=runs.session,
            first=runs.first,
            client=client,
            ended=ended,
        )

    def _sweep(self, ms):
        """End the sessions that no packet can go on with; returns their numbers."""
        # sessions of a capture that was put behind a later one live in their own time
        now = int(ms.min() if self.clock.lags else ms.max())
        if self._swept is not None and abs(now - self._swept) < min(SWEEP, self._idle):
            return np.zeros(0, np.int64)
        self._swept = now
        return self._end_silent(now, int(ms.max()))

    def _end_silent(self, early, late):
        state = self._states
        silent = (early - state.last_ms >= self._idle) | (state.last_ms - late >= self._idle)
        # what a client was is remembered of TCP connections that nobody has closed
        kept = state.tcp & state.low & state.high & ~state.finished
        kept &= np.abs(early - state.last_ms) < self._active
        return self._end(np.flatnonzero(silent & (state.number >= ENDED)), kept)

    def _end(self, rows, kept):
        """End the sessions of these rows, and forget the keys that are not kept."""
        state = self._states
        numbers = state.number[rows]
        state.number[rows] = ENDED
        state.forget(rows[~kept[rows]])
        return numbers[numbers >= 0]

    def pass_time(self, now):
        """Let time pass without packets, in live traffic.

        Parameters
        ----------
        now : int
            Nanoseconds since 1970.

        Returns
        -------
        ndarray of shape (n_ended,), int64
            Numbers of the sessions that are over now.
        """
        now = now // 1_000_000
        self._swept = now
        return self._end_silent(now, now)

    def end_oldest(self, n_open):
        """End those sessions that are silent for longest until `n_open` are left.

        Returns
        -------
        ndarray of shape (n_ended,), int64
        """
        state = self._states
        used = np.flatnonzero(state.number >= ENDED)
        excess = len(used) - n_open
        if excess <= 0:
            return np.zeros(0, np.int64)
        longest = used[np.argpartition(state.last_ms[used], excess - 1)[:excess]]
        return self._end(longest, np.zeros(len(state.number), bool))

    def finish(self):
        """End all sessions that are open; returns their numbers."""
        rows = np.flatnonzero(self._states.number >= ENDED)
        return self._end(rows, np.zeros(len(self._states.number), bool))


def _filled(time, before):
    """Give packets without time stamps the time before them."""
    known = time != NO_TIME
    if known.all():
        return time
    at = np.maximum.accumulate(np.where(known, np.arange(len(time)), -1))
    return np.where(at < 0, 0 if before == NO_TIME else before, time[at])


def _scatter(values, order):
    """Bring sorted values back into the order of the packets."""
    out = np.empty_like(values)
    out[order] = values
    return out
