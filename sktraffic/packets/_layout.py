"""Packets and their sessions to the rows of a session table: the one place that lays them out.

What a row needs of each packet, some thirty bytes, waits until its session ends; then all ended
sessions of the moment are cut out of what waits at once. That is done only where a good part of
it may go, so every packet is moved a constant number of times however long some sessions live.
"""

import socket

import numpy as np
import pyarrow as pa

from sktraffic.packets._bytes import binaries
from sktraffic.packets._headers import TCP
from sktraffic.packets._keys import pair_hashes
from sktraffic.packets._order import stable_order
from sktraffic.packets._table import NO_TIME
from sktraffic.ragged import segment_max, segment_min, segment_sum
from sktraffic.sessions import HEADERS, SCHEMA, session_schema

__all__ = ["SessionBuilder", "address_text"]

SYN, ACK = 2, 16
SIZES = {"ip": "size", "frame": "wire", "transport": "transport_size", "payload": "payload_size"}
_PACKET = {
    "session": np.int32,
    "time": np.int64,
    "size": np.int32,
    "payload": np.int32,
    "flags": np.int16,
    "direction": np.int8,
}
# column -> field of a packet table
_HEADERS = {
    "packet_header_size": "transport_header_size",
    "packet_window": "window",
    "packet_ttl": "ttl",
    "packet_seq": "seq",
}
_FACTS = ("src", "dst", "src_port", "dst_port", "protocol", "version", "vlan")
LONGEST = np.iinfo(np.int32).max
# ended packets that are worth a walk over those that wait
ENOUGH = 100_000


class SessionBuilder:
    """Collect packets, and lay out the sessions that have ended as rows of a session table.

    Parameters
    ----------
    capture : str
        What the column `capture` says.
    key : {"five_tuple", "host_pair", "capture"}, default="five_tuple"
        What the packets of a session have in common. Where that is less than a five-tuple, ports
        and protocol are missing for sessions that hold several, and no SYN says who the client is.
    size : {"ip", "frame", "transport", "payload"}, default="ip"
    max_packets : int, optional
        Packets kept of a session.
    n_bytes, n_byte_packets : int, default=256 and 4
        How many first bytes of how many first packets become `packet_bytes`.
    headers : bool, default=False
        Whether rows have the columns of `sktraffic.sessions.HEADERS`.
    words : sequence of str, optional
        What the messages' codes mean.
    host_text : callable, default=address_text
        Writes addresses: from arrays of shape (n, 2), uint64, and of shape (n,), uint8 (the IP
        version) to a sequence of n strings.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import PacketTable, SessionBuilder, SessionTracker
    >>> table = PacketTable.blank(3)
    >>> table.time, table.size = np.array([0, 1, 130]) * 10**9, np.array([60, 1500, 40])
    >>> tracker, builder = SessionTracker(), SessionBuilder("monday.pcap")
    >>> builder.add(table, tracker.add(table))
    3
    >>> builder.end(tracker.finish())
    >>> builder.take().select(["duration", "packet_count", "total_bytes"]).to_pylist()[0]
    {'duration': 1.0, 'packet_count': 2, 'total_bytes': 1560}
    """

    def __init__(
        self,
        capture,
        *,
        key="five_tuple",
        size="ip",
        max_packets=None,
        n_bytes=256,
        n_byte_packets=4,
        headers=False,
        words=(),
        host_text=None,
    ):
        self._capture, self._key, self._size = capture, key, SIZES[size]
        self._max_packets = max_packets
        self._n_bytes, self._n_byte_packets = n_bytes, n_byte_packets
        self._headers = _HEADERS if headers else {}
        self._schema = session_schema(headers)
        self._words = pa.array(words, pa.string())
        self._host_text = host_text or address_text
        self._packets, self._bytes, self._facts = _Store(), _Store(), _Store()
        self._ended, self._given = [], set()

    def __len__(self):
        """Packets that wait."""
        return len(self._packets)

    def add(self, table, sessions, message=None):
        """Take the packets of a table.

        Parameters
        ----------
        table : PacketTable
        sessions : PacketSessions
        message : ndarray of shape (n_packets,), int16, optional
            Index into `words`, -1 where nothing is known.

        Returns
        -------
        int
            Packets that were kept: not those beyond `max_packets`, or of sessions that were given.
        """
        self._begin(table, sessions)
        kept = slice(None)
        if self._max_packets is not None or self._given:
            kept = np.ones(len(table), bool)
            if self._max_packets is not None:
                kept &= sessions.place < self._max_packets
            if self._given:
                given = np.fromiter(self._given, np.int64)
                kept &= ~np.isin(sessions.numbers, given)[sessions.local]
        values = {
            "session": sessions.session,
            "time": sessions.time,
            "size": _credible(getattr(table, self._size)),
            "payload": table.payload_size,
            "flags": table.flags,
            "direction": sessions.direction,
        }
        columns = {name: values[name][kept].astype(kind) for name, kind in _PACKET.items()}
        if len(sessions.numbers) and sessions.numbers.max() > LONGEST:  # streams count ever on
            columns["session"] = sessions.session[kept]
        for name, attribute in self._headers.items():
            columns[name] = getattr(table, attribute)[kept]
        if message is not None:
            columns["message"] = message[kept]
        self._packets.append(columns)
        self._keep_bytes(table, sessions)
        if len(sessions.ended):
            self.end(sessions.ended)
        return len(columns["session"])

    def _begin(self, table, sessions):
        """Note who talks in the sessions that begin."""
        first = sessions.first
        facts = {name: getattr(table, name)[first] for name in _FACTS}
        facts["session"] = sessions.numbers[sessions.local[first]]
        facts["client"], facts["lead"] = sessions.client, sessions.direction[first]
        if self._key != "five_tuple":
            flow = pair_hashes(table)
            facts["flow"], facts["several"] = flow[first], np.zeros(len(first), bool)
        if len(first) or not len(self._facts):
            self._facts.append(facts)
        if self._key != "five_tuple" and len(table):
            known = self._facts.columns()
            row = np.searchsorted(known["session"], sessions.numbers)[sessions.local]
            known["several"][row[flow != known["flow"][row]]] = True

    def _keep_bytes(self, table, sessions):
        """Keep the first bytes of each session's first packets."""
        n_packets = self._n_byte_packets
        if self._max_packets is not None:
            n_packets = min(n_packets, self._max_packets)
        rows = np.flatnonzero(sessions.place < n_packets)
        if not self._n_bytes or not len(rows):
            return
        at = table.at[rows]
        stop = np.maximum(np.minimum(table.stop[rows], at + self._n_bytes), at)
        self._bytes.append(
            {
                "session": sessions.session[rows],
                "bytes": binaries(table.data, at, stop),
            }
        )

    def end(self, numbers):
        """Say that sessions have ended.

        Parameters
        ----------
        numbers : ndarray of int64
        """
        self._ended.append(numbers)
        self._given.difference_update(numbers.tolist())

    def give(self, numbers):
        """Have sessions laid out that go on; their further packets are not kept.

        Parameters
        ----------
        numbers : ndarray of int64
            Those that have ended, or were given before, count no more.
        """
        if self._ended:
            numbers = np.setdiff1d(numbers, np.concatenate(self._ended))
        self._ended.append(numbers)
        self._given.update(numbers.tolist())

    def given(self, numbers):
        """Say which of these sessions were given and go on; ndarray of bool."""
        return np.isin(numbers, np.fromiter(self._given, np.int64))

    def largest(self, n_packets):
        """Return the numbers of the largest sessions if more than `n_packets` packets wait.

        Without them at most half as many wait, so that the search comes seldom.
        """
        if len(self) <= n_packets:
            return np.zeros(0, np.int64)
        excess = len(self) - n_packets // 2
        numbers, counts = np.unique(self._packets.columns()["session"], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        enough = np.searchsorted(np.cumsum(counts[order]), excess) + 1
        return numbers[order[:enough]]

    def ready(self):
        """Say whether a good part of what waits may belong to ended sessions."""
        return self._packets.fresh >= max(ENOUGH, len(self._packets) // 2) and bool(self._ended)

    def take(self):
        """Lay out the sessions that have ended.

        Returns
        -------
        pyarrow.Table of shape (n_sessions, 25 or 29), or None
            Rows of `sktraffic.sessions.session_schema` in the order of the sessions' numbers; None
            where no session has ended.
        """
        if not self._ended:
            return None
        numbers = np.concatenate(self._ended)
        self._ended = []
        facts = self._facts.take(numbers)
        if facts is None:
            return None
        packets, kept = self._packets.take(numbers), self._bytes.take(numbers)
        if (packets["session"][1:] < packets["session"][:-1]).any():
            order = stable_order(packets["session"])
            for name in packets:  # one after the other, so that little is held twice
                packets[name] = packets[name][order]
        offsets = np.searchsorted(packets["session"], np.append(facts["session"], 2**62))
        client = _client(facts, packets, offsets, self._key)
        columns = self._identity(facts, client)
        columns |= _measures(packets, offsets)
        columns |= _packet_lists(packets, offsets, client, self._words)
        columns["packet_bytes"] = self._byte_lists(facts["session"], kept)
        n = len(client)
        arrays = [
            pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type)
            for f in self._schema
        ]
        return pa.table(arrays, schema=self._schema)

    def _identity(self, facts, client):
        """Say who talks: the client is the source."""
        n, back = len(client), client * facts["lead"] < 0
        several = facts.get("several", np.zeros(n, bool))
        columns = {"capture": pa.repeat(pa.scalar(self._capture, pa.string()), n)}
        columns["session"] = facts["session"]
        ends = np.concatenate([facts["src"], facts["dst"]])
        texts = _texts(self._host_text, ends, np.tile(facts["version"], 2))
        here, there = np.arange(n) + n * back, np.arange(n) + n * ~back
        columns["src_ip"], columns["dst_ip"] = texts.take(here), texts.take(there)
        ports = np.concatenate([facts["src_port"], facts["dst_port"]])
        for name, at in (("src_port", here), ("dst_port", there)):
            columns[name] = pa.array(ports[at].astype(np.uint16), mask=several | (ports[at] < 0))
        columns["protocol"] = pa.array(facts["protocol"], mask=several)
        columns["ip_version"] = pa.array(facts["version"], mask=facts["version"] == 0)
        columns["vlan_id"] = pa.array(facts["vlan"].astype(np.uint16), mask=facts["vlan"] < 0)
        return columns

    def _byte_lists(self, sessions, kept):
        """First bytes of the first packets of each session, as lists of binary."""
        n = len(sessions)
        if kept is None:
            ends = pa.array(np.zeros(n + 1, np.int32))
            return pa.ListArray.from_arrays(ends, pa.array([], pa.binary()))
        order = stable_order(kept["session"])
        at = np.searchsorted(kept["session"][order], np.append(sessions, 2**62))
        binary = kept["bytes"]
        binary = binary.take(pa.array(order))
        # sources without bytes say nothing at all
        size = np.diff(np.frombuffer(binary.buffers()[1], np.int32)[: len(binary) + 1])
        unknown = (segment_max(size, at) == 0) & (np.diff(at) > 0)
        return pa.ListArray.from_arrays(
            pa.array(at.astype(np.int32)), binary, mask=pa.array(unknown) if unknown.any() else None
        )


class _Store:
    """Columns of equal length that grow by tables and are cut by session."""

    def __init__(self):
        self._parts = []
        self._length = 0
        self.fresh = 0  # rows since the latest `take`

    def __len__(self):
        return self._length

    def append(self, columns):
        self._parts.append(columns)
        self._length += len(columns["session"])
        self.fresh += len(columns["session"])

    def columns(self):
        """Everything, in one array a column."""
        if len(self._parts) > 1:
            names = list(self._parts[0])
            whole = {}
            for name in names:  # one after the other, so that little is held twice
                whole[name] = _joined([part.pop(name) for part in self._parts])
            self._parts = [whole]
        return self._parts[0] if self._parts else {}

    def take(self, sessions):
        """Remove and return the rows of these sessions; None where there are none."""
        columns = self.columns()
        self.fresh = 0
        if not self._length or not len(sessions):
            return None
        own = columns["session"]
        lowest = min(int(own.min()), int(sessions.min()))
        gone = np.zeros(max(int(own.max()), int(sessions.max())) - lowest + 1, bool)
        gone[sessions - lowest] = True
        gone = gone[own - lowest]
        if gone.all():
            self._parts, self._length = [], 0
            return columns
        if not gone.any():
            return None
        kept, gone = np.flatnonzero(~gone), np.flatnonzero(gone)
        self._parts = [{name: _rows(values, kept) for name, values in columns.items()}]
        self._length = len(kept)
        return {name: _rows(values, gone) for name, values in columns.items()}


def _joined(arrays):
    return np.concatenate(arrays) if isinstance(arrays[0], np.ndarray) else pa.concat_arrays(arrays)


def _rows(values, rows):
    return values[rows] if isinstance(values, np.ndarray) else values.take(pa.array(rows))


def _credible(size):
    """Turn lengths that no packet has, as in fuzzed captures, into unknown ones."""
    return np.where(size <= LONGEST, size, -1) if (size > LONGEST).any() else size


def address_text(address, version):
    """Write IP addresses; shapes (n, 2) uint64 and (n,) uint8 -> list of n str.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import address_text
    >>> address_text(np.array([[0, 0x0A000001], [0, 1]], np.uint64), np.array([4, 6]))
    ['10.0.0.1', '::1']
    """
    big = address.astype(">u8").tobytes()
    return [
        socket.inet_ntop(socket.AF_INET6, big[at : at + 16])
        if six
        else socket.inet_ntop(socket.AF_INET, big[at + 12 : at + 16])
        for at, six in zip(range(0, len(big), 16), (version == 6).tolist(), strict=True)
    ]


def _texts(write, address, version):
    """Write each different address once; -> Arrow strings of shape (n,)."""
    if not len(address):
        return pa.array([], pa.string())
    order = np.lexsort((version, address[:, 1], address[:, 0]))
    ordered, kinds = address[order], version[order]
    new = np.ones(len(order), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1) | (kinds[1:] != kinds[:-1])
    word = np.empty(len(order), np.int64)
    word[order] = np.cumsum(new) - 1
    return pa.array(write(ordered[new], kinds[new]), pa.string()).take(pa.array(word))


def _client(facts, packets, offsets, key):
    """Give the direction of packets from each session's client; the first SYN tells.

    Returns +1 or -1, shape (n_sessions,), int8.
    """
    client = facts["client"].copy()
    if key != "five_tuple":
        return client
    syn = np.flatnonzero((packets["flags"] > 0) & (packets["flags"] & SYN != 0))
    row = np.searchsorted(offsets, syn, side="right") - 1
    tcp = facts["protocol"][row] == TCP
    row, at = np.unique(row[tcp], return_index=True)
    first = syn[tcp][at]
    from_server = packets["flags"][first] & ACK != 0
    client[row] = np.where(from_server, -1, 1) * packets["direction"][first]
    return client


def _measures(packets, offsets):
    """Start, duration, packets and bytes of each session."""
    time, size = packets["time"], packets["size"].astype(np.int64)
    known = time != NO_TIME
    if known.all():
        start, last = time[offsets[:-1]], time[offsets[1:] - 1]
        timed = np.ones(len(start), bool)
    else:
        start = segment_min(np.where(known, time, np.iinfo(np.int64).max), offsets)
        last = segment_max(time, offsets)
        timed = last != NO_TIME
        start, last = np.where(timed, start, 0), np.where(timed, last, 0)
    missing = segment_min(size, offsets) < 0
    return {
        "start": pa.array(start, mask=~timed).cast(SCHEMA.field("start").type),
        "duration": pa.array((last - start) / 1e9, mask=~timed),
        "packet_count": np.diff(offsets),
        "total_bytes": pa.array(segment_sum(size, offsets), mask=missing),
    }


def _packet_lists(packets, offsets, client, words):
    counts = np.diff(offsets)
    time = packets.pop("time")
    known, direction = time != NO_TIME, packets["direction"]
    if (client < 0).any():
        direction = direction * np.repeat(client, counts)
    if known.all():
        start = time[offsets[:-1]]
    else:
        start = segment_min(np.where(known, time, np.iinfo(np.int64).max), offsets)
        time = np.where(known, time, 0)
    np.subtract(time, np.repeat(start, counts), out=time)
    since = time / 1e9
    del time
    flags, payload, size = (packets.pop(name) for name in ("flags", "payload", "size"))
    values = {
        "packet_time": (pa.array(since, mask=None if known.all() else ~known), known),
        "packet_size": _known(size, np.int32),
        "packet_direction": (pa.array(direction), None),
        "packet_payload_size": _known(payload, np.int32),
        "packet_flags": _known(flags, np.uint8),
    }
    lists = {name: _lists(array, offsets, good) for name, (array, good) in values.items()}
    for field in HEADERS:
        if field.name in packets:
            array, _ = _known(packets.pop(field.name), field.type.value_type.to_pandas_dtype())
            lists[field.name] = _lists(array, offsets, None)
    codes = packets.get("message")
    codes = pa.nulls(len(since), pa.int16()) if codes is None else _known(codes, np.int16)[0]
    message = pa.DictionaryArray.from_arrays(codes, words)
    lists["packet_message"] = _lists(message, offsets, None)
    return lists


def _known(values, kind):
    """Arrow array in which -1 is missing, and which values are there (None: all)."""
    known = values >= 0
    if known.all():
        return pa.array(values.astype(kind, copy=False)), None
    return pa.array(np.where(known, values, 0).astype(kind), mask=~known), known


def _lists(values, offsets, known):
    """One list a session; null where it has no known value at all."""
    unknown = None
    if known is not None and not known.all():
        unknown = segment_sum(known.astype(np.int64), offsets) == 0
        unknown = pa.array(unknown & (np.diff(offsets) > 0))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values, mask=unknown)
