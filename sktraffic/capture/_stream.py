"""Sessions of live traffic, as they end."""

import contextlib
import dataclasses
import time
import warnings

from sktraffic.capture._errors import CaptureWarning
from sktraffic.capture._flow_labels import with_labels
from sktraffic.capture._labels import Labeller
from sktraffic.capture._naming import POOL
from sktraffic.capture._read import packet_tables
from sktraffic.capture._report import account, check, note_labels, notices
from sktraffic.capture._sessions import SessionReader
from sktraffic.capture._sources import LiveSource
from sktraffic.packets import NO_TIME, read_packets
from sktraffic.sessions import from_arrow

__all__ = ["SessionStream", "stream_settings"]

# seconds between two tables while packets come: laying out goes over all that wait
PAUSE = 0.2


class SessionStream:
    """An iterator over session tables, for traffic that goes on; made by `SessionExtractor.stream`.

    Each item is a table of the sessions that were decided since the last: a session table with a
    column `closed`, False for sessions that go on but have shown `max_packets` packets (or more
    than their share, where too many packets wait). `close` ends the stream, as leaving a ``with``
    block does; sessions that are still open are dropped then. When the source itself ends, or is
    ended by `stop`, they are given.

    Attributes
    ----------
    source : str
    dropped : int
        Packets that the kernel could not keep so far.
    report : dict or None
        What became of every record, as in the report of `SessionExtractor.extract`, and
        ``dropped``, the packets that the kernel could not keep and that are no records; when the
        source has ended.

    Examples
    --------
    >>> from sktraffic.capture import SessionExtractor
    >>> from sktraffic.datasets import lab_captures
    >>> with SessionExtractor().stream(lab_captures()[0][4], stop_after=0.5) as stream:
    ...     n_sessions = sum(len(table) for table in stream)
    ...
    >>> n_sessions == stream.report["sessions"], stream.dropped
    (True, 0)
    """

    def __init__(self, source, settings, *, stop_after, max_waiting, max_open):
        if settings.key != "five_tuple":
            raise ValueError(
                f"key is {settings.key!r}: such sessions are known only when all packets are "
                "there. A stream needs key='five_tuple'."
            )
        self._settings = settings
        self._max_waiting, self._max_open = max_waiting, max_open
        self.report = None
        packet_filter = settings.packet_filter()
        self._source = LiveSource(source, stop_after=stop_after)
        self.source = self._source.name
        # what is to be freed, also where nobody asks for a table
        self._held = contextlib.ExitStack()
        self._held.callback(self._source.close)
        self._labels = None
        if settings.n_dissections:
            self._held.callback(POOL.close)
            self._labels = self._held.enter_context(Labeller(settings.dissections)).capture()
        self._reader = SessionReader(self.source, settings, self._labels, packet_filter, early=True)
        self._unnamed = []  # tables that wait for labels
        self._taken = time.monotonic()
        self._tables = self._run()

    @property
    def dropped(self):
        return self._source.dropped

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self._tables)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def stop(self):
        """End the source: iterate on to get what is there already and the sessions still open.

        May be called from another thread or a signal handler.
        """
        self._source.stop()

    def close(self):
        """End the stream and free what it holds; safe to call again."""
        self._tables.close()
        self._held.close()

    def _run(self):
        packets = read_packets(
            self._source,
            decode_tunnels=self._settings.decode_tunnels,
            join_fragments=self._settings.join_fragments,
        )
        with contextlib.closing(packets):
            for table in packet_tables(packets, self.source):
                yield from self._read(table)
            self._reader.finish()
            yield from self._decided(wait=True)
        self._finish(packets.facts)

    def _pass_time(self):
        """End the sessions that are silent for too long while no packet comes."""
        self._reader.settle()
        latest = self._reader.tracker.clock.now
        if latest != NO_TIME:
            self._reader.end(self._reader.tracker.pass_time(self._source.now(latest)))

    def _read(self, table):
        """Take packets, or notice that there are none; in pieces small for the bounds."""
        if not len(table):
            self._pass_time()
        step = max(1, min(self._max_waiting, self._max_open) // 4)
        for first in range(0, max(len(table), 1), step):
            self._reader.add(table.take(slice(first, first + step)))
            full = len(self._reader.builder) > self._max_waiting
            if full or not len(table) or time.monotonic() - self._taken >= PAUSE:
                yield from self._decided()
                self._taken = time.monotonic()
            self._reader.bound(self._max_waiting, self._max_open)

    def _decided(self, wait=False):
        """Yield a table of the sessions that were decided, once nDPI has named them."""
        table = self._reader.take()
        if table is not None:
            going_on = self._reader.builder.given(table["session"].to_numpy())
            self._unnamed.append((table, going_on))
        while self._unnamed:
            table, going_on = self._unnamed[0]
            if self._labels is not None and not wait and not self._named(table):
                return
            self._unnamed.pop(0)
            yield from_arrow(with_labels(table, self._labels)).assign(closed=~going_on)

    def _named(self, table):
        """Whether labels of these sessions are there; sees to it that they will be."""
        self._labels.ask()
        return self._labels.unnamed.isdisjoint(table["session"].to_pylist())

    def _finish(self, facts):
        facts.damage = facts.damage or self._source.facts.damage
        facts.unread_bytes = self._source.facts.unread_bytes
        facts.format = self._source.facts.format
        self.report = {"capture": self.source, **account(facts, self._reader)}
        self.report["dropped"] = self.dropped
        if self._labels is not None:
            note_labels(self.report, self._labels)
        check(self.report)
        for _, text in notices(self.report):
            warnings.warn(text, CaptureWarning, stacklevel=4)
        if self.dropped:
            warnings.warn(
                f"{self.source}: {self.dropped} packets were dropped; they came faster than they "
                "could be read.",
                CaptureWarning,
                stacklevel=4,
            )


def stream_settings(settings, max_packets):
    """Return settings with another number of packets a session, unless that is None."""
    if max_packets is None:
        return settings
    return dataclasses.replace(settings, max_packets=max_packets)
