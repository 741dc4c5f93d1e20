"""Packets of a capture to rows of the session table, vectorised and in bounded memory.

Packets arrive in batches in the order of the capture. What later arithmetic needs of each, some
thirty bytes, waits until its session ends; then all ended sessions of the moment are cut out of the
waiting store at once. A store is searched only when at least half of it may go, so every packet
is moved a constant number of times however long some sessions live.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sktraffic.capture._engine import FLAG_BITS, FLOW_FIELDS
from sktraffic.capture._merge import describe_flows, describe_merged, merge
from sktraffic.capture._messages import MessageReader
from sktraffic.capture._vocabulary import MESSAGES
from sktraffic.ragged import segment_sum
from sktraffic.sessions import SCHEMA

# ended packets that are worth a walk over the store
ENOUGH = 100_000
_WORDS = pa.array(MESSAGES)


@dataclass(frozen=True)
class Settings:
    """What shapes a session table; the parameters of SessionExtractor of the same names."""

    idle_timeout: int = 120
    active_timeout: int = 1800
    key: str = "five_tuple"
    size: str = "ip"
    max_packets: int | None = None
    messages: bool = True
    n_bytes: int = 256
    n_byte_packets: int = 4
    n_dissections: int = 20
    bpf_filter: str | None = None
    decode_tunnels: bool = True


class Assembler:
    """Collects the packets of one capture and gives finished sessions as Arrow tables.

    Parameters
    ----------
    capture : str
        What the column `capture` says.
    settings : Settings
    """

    def __init__(self, capture, settings):
        self._capture = capture
        self._settings = settings
        self._reader = MessageReader() if settings.messages else None
        self._store = _Store()
        self._bytes = _Store()
        self._flows = {}
        self._ended_packets = 0

    @property
    def merges(self):
        """Whether a session may hold several flows."""
        return self._settings.key != "five_tuple"

    def add(self, batch, time, wire):
        """Take a batch of packets.

        Parameters
        ----------
        batch : PacketBatch
        time : ndarray of shape (n_packets,), int64
            Nanoseconds since 1970, never decreasing.
        wire : ndarray of shape (n_packets,), int64
            Length of each frame on the wire.
        """
        packets = batch.packets
        if len(packets):
            size = wire if self._settings.size == "frame" else packets[self._settings.size]
            columns = {
                "flow": packets["flow"].astype(np.int64),
                "time": time,
                "size": size.astype(np.int32),
                "payload": packets["payload"].astype(np.int32),
                "direction": np.where(packets["direction"] == 0, 1, -1).astype(np.int8),
                "flags": packets["flags"] @ FLAG_BITS,
            }
            if self._reader is not None:
                columns["message"] = self._reader.read(
                    batch.data, batch.offsets, columns["flow"], columns["direction"]
                )
            if self.merges:
                columns["place"] = packets["place"].astype(np.int32)
            self._store.append(columns)
            self._keep_bytes(batch)
        for entry in batch.ended:
            flow = dict(zip(FLOW_FIELDS, entry, strict=True))
            self._flows[flow["flow"]] = flow
            self._ended_packets += flow["packets"]
        if self._reader is not None and batch.ended:
            self._reader.forget(np.array([entry[0] for entry in batch.ended]))

    def _keep_bytes(self, batch):
        """Keep the first bytes of each flow's first packets."""
        width = self._settings.n_bytes
        chosen = np.flatnonzero(batch.packets["place"] <= self._settings.n_byte_packets)
        if not width or not len(chosen):
            return
        length = np.minimum(batch.packets["captured"][chosen], width).astype(np.int64)
        inside = np.arange(width) < length[:, None]
        at = np.where(inside, batch.offsets[chosen][:, None] + np.arange(width), 0)
        self._bytes.append(
            {
                "flow": batch.packets["flow"][chosen].astype(np.int64),
                "place": batch.packets["place"][chosen].astype(np.int32),
                "length": length,
                "bytes": np.where(inside, batch.data[at], np.uint8(0)),
            }
        )

    @property
    def ended(self):
        """Flows that have ended and wait to be taken: number to `FLOW_FIELDS`."""
        return self._flows

    def ready(self):
        """Say whether a good part of what waits belongs to ended sessions."""
        if self.merges:
            return False  # a host pair's sessions are cut when all of its packets are there
        return self._ended_packets >= max(ENOUGH, len(self._store) // 2)

    def take(self):
        """Return the sessions that have ended as an Arrow table, by running number; or None."""
        flows, self._flows = self._flows, {}
        self._ended_packets = 0
        ended = np.fromiter(flows, np.int64, len(flows))
        rows, kept = self._store.take(ended), self._bytes.take(ended)
        if not rows:
            return None
        if self.merges:
            merge(rows, flows, self._settings)
        else:
            rows["session"] = rows["flow"]
        order = np.argsort(rows["session"], kind="stable")
        rows = {name: values[order] for name, values in rows.items()}
        if self.merges and self._settings.max_packets:
            rows = _first_of_each_session(rows, self._settings.max_packets)
        return self._table(rows, flows, kept)

    def _table(self, rows, flows, kept):
        first = _run_starts(rows["session"])
        offsets = np.append(first, len(rows["session"]))
        if self.merges:
            columns = describe_merged(rows, offsets, flows)
        else:
            columns = describe_flows(rows["flow"][first], flows)
        columns["capture"] = [self._capture] * len(first)
        columns["session"] = rows["session"][first]
        columns["start"] = rows["time"][first]
        columns["duration"] = (rows["time"][offsets[1:] - 1] - rows["time"][first]) / 1e9
        columns["packet_count"] = np.diff(offsets)
        columns["total_bytes"] = segment_sum(rows["size"].astype(np.int64), offsets)
        columns |= _per_packet(rows, offsets)
        columns["packet_bytes"] = self._byte_lists(rows, first, kept)
        arrays = [
            columns[f.name]
            if isinstance(columns[f.name], pa.Array)
            else pa.array(columns[f.name], f.type)
            for f in SCHEMA
        ]
        return pa.table(arrays, schema=SCHEMA)

    def _byte_lists(self, rows, first, kept):
        """First bytes of the first packets of each session, as lists of binary."""
        n_sessions = len(first)
        if not kept:
            ends = pa.array(np.zeros(n_sessions + 1, np.int32))
            return pa.ListArray.from_arrays(ends, pa.array([], pa.binary()))
        if self.merges:
            row, kept = _bytes_of_merged(rows, first, kept, self._settings.n_byte_packets)
        else:
            row = np.searchsorted(rows["session"][first], kept["flow"])
        order = np.argsort(row, kind="stable")
        row, length, padded = row[order], kept["length"][order], kept["bytes"][order]
        flat = padded[np.arange(padded.shape[1]) < length[:, None]]
        ends = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
        binary = pa.Array.from_buffers(
            pa.binary(), len(length), [None, pa.py_buffer(ends), pa.py_buffer(flat)]
        )
        counts = np.bincount(row, minlength=n_sessions)
        at = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(at), binary)


class _Store:
    """Columns of equal length that grow by batches and are cut by flow."""

    def __init__(self):
        self._parts = []
        self._length = 0

    def __len__(self):
        return self._length

    def append(self, columns):
        self._parts.append(columns)
        self._length += len(columns["flow"])

    def take(self, flows):
        """Remove and return the rows of the given flows; an empty dict where there are none."""
        if not self._parts or not len(flows):
            return {}
        columns = {
            name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]
        }
        if not len(columns["flow"]):
            return {}
        lowest = min(columns["flow"].min(), flows.min())  # flows of a stream count ever on
        gone = np.zeros(max(columns["flow"].max(), flows.max()) - lowest + 1, bool)
        gone[flows - lowest] = True
        gone = gone[columns["flow"] - lowest]
        rest = {name: values[~gone] for name, values in columns.items()}
        self._parts, self._length = [rest], len(rest["flow"])
        return {name: values[gone] for name, values in columns.items()} if gone.any() else {}


def _run_starts(sorted_values):
    """Where each run of equal values begins."""
    return np.flatnonzero(np.diff(sorted_values, prepend=-1))


def _places(session, first):
    """Which packet of its session each packet is, from 0; sessions begin at `first`."""
    return np.arange(len(session)) - np.repeat(first, np.diff(first, append=len(session)))


def _first_of_each_session(rows, n_packets):
    chosen = _places(rows["session"], _run_starts(rows["session"])) < n_packets
    return {name: values[chosen] for name, values in rows.items()}


def _per_packet(rows, offsets):
    at = pa.array(offsets.astype(np.int32))
    start = np.repeat(rows["time"][offsets[:-1]], np.diff(offsets))
    count = len(rows["time"])
    codes = pa.array(rows["message"]) if "message" in rows else pa.nulls(count, pa.int16())
    values = {
        "packet_time": pa.array((rows["time"] - start) / 1e9),
        "packet_size": pa.array(rows["size"]),
        "packet_direction": pa.array(rows["direction"]),
        "packet_payload_size": pa.array(rows["payload"]),
        "packet_flags": pa.array(rows["flags"]),
        "packet_message": pa.DictionaryArray.from_arrays(codes, _WORDS),
    }
    return {name: pa.ListArray.from_arrays(at, value) for name, value in values.items()}


def _bytes_of_merged(rows, first, kept, n_packets):
    """Find the bytes of the packets that come first in a merged session, whatever their flow."""
    place = _places(rows["session"], first)
    head = np.flatnonzero((place < n_packets) & (rows["place"] <= n_packets))
    width = int(max(rows["flow"].max(), kept["flow"].max())) + 1
    known = kept["place"].astype(np.int64) * width + kept["flow"]
    order = np.argsort(known)
    asked = rows["place"][head].astype(np.int64) * width + rows["flow"][head]
    chosen = order[np.searchsorted(known[order], asked)]
    row = np.searchsorted(first, head, side="right") - 1
    return row, {name: values[chosen] for name, values in kept.items()}
