"""Packet tables to session tables: what files and live traffic have in common."""

import functools

import numpy as np
import pyarrow.compute as pc

from sktraffic.messages import MESSAGES, MessageReader
from sktraffic.packets import DuplicateFinder, PacketTable, SessionBuilder, SessionTracker

__all__ = ["SessionReader"]

# packets at the beginning of a capture that are looked at for copies, and how many of them must be
# copies for a warning
PROBED, SUSPICIOUS = 20_000, 0.2


class SessionReader:
    """Turn the packets of one capture into sessions, table after table.

    Parameters
    ----------
    name : str
        What the column `capture` says.
    settings : Settings
    labels : CaptureLabels or FlowLabels, optional
        Where names of sessions come from.
    packet_filter : PacketFilter, optional
        The settings' own, compiled.
    early : bool, default=False
        Whether sessions are given when they have shown `max_packets` packets, not when they end.
    watch : callable, optional
        Called with each packet table and its sessions.
    put : callable, optional
        Where packets wait until their messages are read together with those of other captures
        (see `MessageQueue.put`): sessions can be ended and taken when they have been.

    Attributes
    ----------
    tracker : SessionTracker
    builder : SessionBuilder
    filtered, duplicates : int
        Packets that the filter or `max_packets` hid, and copies that were left out.
    sessions, session_packets : int
        Rows taken, and packets in them.
    """

    def __init__(
        self, name, settings, labels=None, packet_filter=None, early=False, watch=None, put=None
    ):
        self._watch = watch
        self._settings, self._filter, self._early = settings, packet_filter, early
        self.tracker = SessionTracker(
            key=settings.key,
            idle_timeout=settings.idle_timeout,
            active_timeout=settings.active_timeout,
            end_on=settings.end_on,
            vlan_in_key=settings.vlan_in_key,
        )
        self.builder = SessionBuilder(
            name,
            key=settings.key,
            size=settings.size,
            max_packets=settings.max_packets,
            n_bytes=settings.n_bytes,
            n_byte_packets=settings.n_byte_packets,
            headers=settings.headers,
            words=MESSAGES,
        )
        self._put = put
        self._messages = MessageReader() if settings.messages and put is None else None
        self.labels = labels
        self._copies = DuplicateFinder()
        self._probed = self._copied = 0
        self._held = None  # a packet whose time stamp cannot be judged yet
        self.filtered = self.duplicates = self.sessions = self.session_packets = 0

    @property
    def doubled(self):
        """Share of the first packets that are copies of others, if suspicious; else 0."""
        share = self._copied / max(self._probed, 1)
        return share if share > SUSPICIOUS and not self._settings.drop_duplicates else 0

    def add(self, table):
        """Take packets."""
        table = self._without_copies(self._filtered(table))
        if self._held is not None:
            table = PacketTable.concatenate([self._held, table]) if len(table) else self._held
            self._held = None
        following = None
        if self.tracker.clock.waits(table.time):
            self._held, following = _last(table), int(table.time[-1])
            table = table.take(slice(None, -1))
        self._track(table, following)

    def _filtered(self, table):
        if self._filter is None or not len(table):
            return table
        passed = self._filter.match(table)
        self.filtered += len(table) - int(np.count_nonzero(passed))
        return table.take(passed)

    def _without_copies(self, table):
        drop = self._settings.drop_duplicates
        if not drop and self._probed >= PROBED:
            return table
        copies = self._copies.find(table)
        count = int(np.count_nonzero(copies))
        self._probed, self._copied = self._probed + len(table), self._copied + count
        if not drop or not count:
            return table
        self.duplicates += count
        return table.take(~copies)

    def _track(self, table, following=None):
        if not len(table):
            return
        sessions = self.tracker.add(table, following)
        if self._watch is not None:
            self._watch(table, sessions)
        if self.labels is not None:
            self.labels.add(table, sessions.session, sessions.place)
            self.labels.end(sessions.ended)
        if self._put is not None:
            self._put(table, sessions, functools.partial(self._keep, table, sessions))
            return
        message = None
        if self._messages is not None:
            message = self._messages.read(table, sessions)
            self._messages.forget(sessions.ended)
        self._keep(table, sessions, message)

    def _keep(self, table, sessions, message):
        """Have packets laid out when their sessions end."""
        self.filtered += len(table) - self.builder.add(table, sessions, message)
        if self._early and self._settings.max_packets is not None:
            full = sessions.place == self._settings.max_packets - 1
            self._give(np.setdiff1d(sessions.session[full], sessions.ended))

    def end(self, numbers):
        """Take note of sessions that ended without a packet saying so."""
        if not len(numbers):
            return
        self.builder.end(numbers)
        if self._messages is not None:
            self._messages.forget(numbers)
        if self.labels is not None:
            self.labels.end(numbers)

    def settle(self):
        """Take the packet that waits for the one behind it, as none comes."""
        held, self._held = self._held, None
        if held is not None:
            self._track(held)

    def bound(self, max_waiting, max_open):
        """Keep memory bounded: end the oldest sessions, and give the largest as they are."""
        self._give(self.builder.largest(max_waiting))
        self.end(self.tracker.end_oldest(max_open))

    def _give(self, numbers):
        if len(numbers):
            self.builder.give(numbers)
            if self.labels is not None:
                self.labels.end(numbers)

    def finish(self):
        """End all sessions."""
        self.settle()
        self.end(self.tracker.finish())
        if self.labels is not None:
            self.labels.finish()

    def take(self):
        """Return the sessions that have ended, without labels so far; None where there are none."""
        table = self.builder.take()
        if table is not None:
            self.sessions += table.num_rows
            self.session_packets += pc.sum(table["packet_count"]).as_py()
        return table


def _last(table):
    """Return the last packet with bytes of its own."""
    last = table.take(slice(-1, None))
    at, stop = int(last.at[0]), int(last.stop[0])
    last.data = last.data[at:stop].copy()
    for name in ("at", "transport", "payload", "stop"):
        setattr(last, name, getattr(last, name) - at)
    return last
