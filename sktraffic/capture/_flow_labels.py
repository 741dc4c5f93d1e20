"""Labels of sessions, also of those that hold several flows."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa

from sktraffic.packets import SessionTracker
from sktraffic.sessions import LABELS, SCHEMA

__all__ = ["FlowLabels", "with_labels"]


class FlowLabels:
    """Labels of sessions that hold several flows: those of the flow with the most packets.

    Stands between the reader of a capture and its `CaptureLabels`, which names flows.

    Parameters
    ----------
    labels : CaptureLabels
    settings : Settings
    """

    def __init__(self, labels, settings):
        self._labels, self._max_packets = labels, settings.max_packets
        self._tracker = SessionTracker(
            idle_timeout=settings.idle_timeout,
            active_timeout=settings.active_timeout,
            end_on=settings.end_on,
            vlan_in_key=settings.vlan_in_key,
        )
        self._counts = defaultdict(Counter)  # session -> its flows and their packets
        self._names = {}

    def add(self, table, session, place):
        """Take the packets of a table; see `CaptureLabels.add`."""
        flows = self._tracker.add(table)
        kept = slice(None)
        if self._max_packets is not None:
            kept = np.flatnonzero(place < self._max_packets)
        pairs = (session[kept] << 32) | flows.session[kept]
        pairs, counts = np.unique(pairs, return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self._counts[pair >> 32][pair & 0xFFFFFFFF] += count
        self._labels.add(table, flows.session, flows.place)
        self._labels.end(flows.ended)

    @property
    def settled(self):
        """Whether there is nothing to wait for."""
        return self._labels.settled

    @property
    def lost(self):
        """Flows that stay unnamed because nfstream failed."""
        return self._labels.lost

    @property
    def failure(self):
        """How nfstream failed; None if it did not."""
        return self._labels.failure

    def end(self, sessions):
        """Flows end by themselves."""

    def finish(self):
        """Say that all flows have ended."""
        self._labels.finish()

    def take(self, sessions):
        """Return the labels of these sessions; see `CaptureLabels.take`."""
        largest = [self._counts.pop(session).most_common(1)[0][0] for session in sessions.tolist()]
        new = [flow for flow in dict.fromkeys(largest) if flow not in self._names]
        columns = self._labels.take(np.array(new, np.int64))
        self._names.update(zip(new, zip(*columns.values(), strict=True), strict=True))
        rows = [self._names[flow] for flow in largest]
        return dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))


def with_labels(table, labels):
    """Fill in the label columns of a table, waiting for nDPI.

    Parameters
    ----------
    table : pyarrow.Table
    labels : CaptureLabels or FlowLabels, or None

    Returns
    -------
    pyarrow.Table
    """
    if labels is None or not table.num_rows:
        return table
    columns = labels.take(table["session"].to_numpy())
    for name in LABELS:
        at, field = SCHEMA.get_field_index(name), SCHEMA.field(name)
        table = table.set_column(at, field, pa.array(columns[name], pa.string()))
    return table
