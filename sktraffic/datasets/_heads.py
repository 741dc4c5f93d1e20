"""Session heads: the first bytes of one-session captures, many at once.

Published sets of the "session as a picture" kind hold, for each session, the first 784 bytes of a
pcap file with that session alone: the file header, then record headers and frames. Everything here
looks at one field of all sessions, so the time goes into some NumPy calls whatever their number.
"""

import ipaddress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from sktraffic.capture._packet_headers import Headers, PacketView, parse_headers
from sktraffic.messages import MESSAGES, MessageReader
from sktraffic.ragged import segment_sum
from sktraffic.sessions import SCHEMA, from_arrow

__all__ = ["parse_heads", "recordings"]

FILE_HEADER, RECORD_HEADER, ETHERNET = 24, 16, 14
# magic number as it stands in the file -> (byte order, nanoseconds a tick)
MAGIC = {
    bytes.fromhex("a1b2c3d4"): (">u4", 1000),
    bytes.fromhex("a1b23c4d"): (">u4", 1),
    bytes.fromhex("d4c3b2a1"): ("<u4", 1000),
    bytes.fromhex("4d3cb2a1"): ("<u4", 1),
}
LINK_ETHERNET, LINK_RAW = 1, (12, 14, 101, 228, 229)
VLAN, IP_TYPES = (0x8100, 0x88A8, 0x9100), (0x0800, 0x86DD)
LONGEST_FRAME = 262_144  # what capture programs take for the longest there is
HEADER_BYTES = 160  # of a packet: IP, extension headers and transport header lie within
TCP, UDP = 6, 17


@dataclass
class _Packets:
    """Packets of all sessions, session after session; arrays of shape (n_packets,)."""

    row: np.ndarray  # session
    at: np.ndarray  # where the IP header starts in the head
    captured: np.ndarray  # bytes from there that the head holds
    length: np.ndarray  # bytes from there on the wire, by the record header
    time: np.ndarray  # ns since 1970
    vlan: np.ndarray  # -1 where there is none


def parse_heads(heads, capture=""):
    """Read the packets of session heads into a session table.

    Parameters
    ----------
    heads : ndarray of shape (n_heads, width), uint8
        Each row the first bytes of a pcap file that holds one session, zeros behind its end. Both
        byte orders, micro- and nanoseconds; Ethernet (with VLAN tags) and raw IP.
    capture : str or sequence of str of shape (n_heads,), default=""
        For the column of that name.

    Returns
    -------
    X : DataFrame of shape (n_sessions, 25)
        Session table. `duration`, `packet_count` and `total_bytes` are those of the packets in the
        head. `packet_size` is the IP packet's length on the wire; `packet_bytes` starts with the
        IP header and ends with the packet or the head. A last packet that the head cuts before its
        addresses has direction 0, and size flags and payload size are missing where their headers
        are cut off.
    kept : ndarray of int of shape (n_sessions,)
        Rows of `heads` that became sessions: those whose first packet is IP with its addresses.

    Raises
    ------
    ValueError
        If no row starts like a pcap file.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.datasets._heads import parse_heads
    >>> head = bytes.fromhex(
    ...     "a1b2c3d40002000400000000000000000000ffff00000065"  # raw IP
    ...     "0000000a000000000000001d0000001d"  # ten seconds after 1970, 29 bytes
    ...     "4500001d000000004011000001020304050607080035d43100090000ff"
    ... )
    >>> X, kept = parse_heads(np.frombuffer(head.ljust(784, bytes(1)), np.uint8)[None])
    >>> X.loc[0, ["src_ip", "src_port", "dst_ip", "dst_port", "total_bytes"]].tolist()
    ['1.2.3.4', 53, '5.6.7.8', 54321, 29]
    """
    heads = np.ascontiguousarray(heads, dtype=np.uint8)
    n = len(heads)
    order, tick = _orders(heads)
    if n and not tick.any():
        raise ValueError(
            f"None of the {n} session heads starts with a pcap file header. Files of the kind "
            "'AllLayers' are wanted; those of the kind 'L7' have no headers."
        )
    packets = _network(heads, order, _records(heads, order, tick))
    headers, view = _headers(heads, packets)
    good = _usable(packets, headers, view, n)
    keep = good[packets.row]
    kept = np.flatnonzero(good)
    packets = _Packets(**{name: values[keep] for name, values in vars(packets).items()})
    view = PacketView(view.data[keep], view.lengths[keep])
    headers = Headers(
        *(getattr(headers, name)[keep] for name in Headers.__dataclass_fields__ if name != "fields")
    )
    packets.row = np.searchsorted(kept, packets.row)
    offsets = np.searchsorted(packets.row, np.arange(len(kept) + 1))
    names = np.broadcast_to(np.asarray(capture, dtype=object), n)[kept]
    return _table(heads[kept], packets, headers, view, offsets, names, kept), kept


def recordings(labels, start, gap=1800.0):
    """Give sessions the number of their recording, which ends where its class is silent for long.

    Parameters
    ----------
    labels : array-like of shape (n_sessions,)
    start : Series or ndarray of shape (n_sessions,)
        When the sessions began.
    gap : float, default=1800.0
        Seconds without a new session of the class that separate two recordings.

    Returns
    -------
    ndarray of str of shape (n_sessions,)
        ``"label/number"``, from 0 in the order of time.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.datasets._heads import recordings
    >>> start = np.array([0, 60, 7200], dtype="datetime64[s]")
    >>> recordings(["chat", "chat", "chat"], start).tolist()
    ['chat/0', 'chat/0', 'chat/1']
    """
    labels = np.asarray(labels, dtype=str)
    seconds = np.asarray(start, dtype="datetime64[ns]").astype(np.int64) / 1e9
    by_time = np.lexsort((seconds, labels))
    name, time = labels[by_time], seconds[by_time]
    new_class = np.append(True, name[1:] != name[:-1])[: len(name)]
    later = ~new_class & (np.diff(time, prepend=time[:1]) > gap)
    running = np.cumsum(later)
    number = running - np.maximum.accumulate(np.where(new_class, running, 0))
    out = np.empty(len(labels), dtype=object)
    out[by_time] = [f"{word}/{count}" for word, count in zip(name, number, strict=True)]
    return out.astype(str)


def _orders(heads):
    """Byte order and ns a tick of each head; "" and 0 where it is no pcap file."""
    if heads.shape[1] < FILE_HEADER:
        raise ValueError(f"Session heads of {heads.shape[1]} bytes do not hold a file header (24).")
    magic = heads[:, :4]
    order, tick = np.full(len(heads), "", dtype="U3"), np.zeros(len(heads), np.int64)
    for word, (kind, nanoseconds) in MAGIC.items():
        found = np.flatnonzero((magic == np.frombuffer(word, np.uint8)).all(axis=1))
        order[found], tick[found] = kind, nanoseconds
    return order, tick


def _words(heads, order, rows, at, count):
    """32-bit numbers of each row from its position on; (len(rows), count) int64."""
    raw = heads[rows[:, None], at[:, None] + np.arange(4 * count)]
    big, little = (raw.view(kind).astype(np.int64) for kind in (">u4", "<u4"))
    return np.where((order[rows] == ">u4")[:, None], big, little)


def _records(heads, order, tick):
    """Find the frames: row, start, captured, length on the wire and time of each, by row."""
    width, at = heads.shape[1], np.full(len(heads), FILE_HEADER)
    rows, found = np.flatnonzero(tick), []
    while len(rows := rows[at[rows] + RECORD_HEADER <= width]):
        seconds, part, captured, length = _words(heads, order, rows, at[rows], 4).T
        # zeros fill the row behind the last packet
        there = (captured > 0) & (captured <= LONGEST_FRAME) & (part < 1_000_000_000)
        rows = rows[there]
        start = at[rows] + RECORD_HEADER
        in_head = np.minimum(captured[there], width - start)
        time = seconds[there] * 1_000_000_000 + part[there] * tick[rows]
        found.append((rows, start, in_head, length[there], time))
        at[rows] = start + captured[there]
    if not found:
        return tuple(np.empty(0, np.int64) for _ in range(5))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    by_row = np.argsort(columns[0], kind="stable")
    return tuple(column[by_row] for column in columns)


def _network(heads, order, records):
    """Take the link layer off; leaves out frames that are not IP."""
    row, at, captured, length, time = records
    view = PacketView(heads, np.full(len(heads), heads.shape[1]))
    link = np.zeros(len(heads), np.int64)
    known = np.flatnonzero(order != "")
    link[known] = _words(heads, order, known, np.full(len(known), 20), 1)[:, 0] & 0xFFFF
    ethernet = link[row] == LINK_ETHERNET
    size = np.where(ethernet, ETHERNET, 0)
    vlan = np.full(len(row), -1)
    kind = np.where(ethernet, view.word(row, at + 12), 0)
    for _ in range(2):
        tagged = ethernet & np.isin(kind, VLAN) & (captured >= size + 4)
        number = view.word(row, at + size) & 0xFFF
        vlan = np.where(tagged & (vlan < 0), number, vlan)
        kind = np.where(tagged, view.word(row, at + size + 2), kind)
        size = size + 4 * tagged
    # a frame that is cut within its link header belongs to the session all the same
    cut = captured < size
    ip = np.isin(kind, IP_TYPES) | cut
    fine = (ethernet & ip) | np.isin(link[row], LINK_RAW)
    packets = _Packets(row, at + size, np.maximum(captured - size, 0), length - size, time, vlan)
    return _Packets(**{name: values[fine] for name, values in vars(packets).items()})


def _headers(heads, packets):
    """Parse the packets' headers; also their first bytes."""
    lengths = np.minimum(packets.captured, HEADER_BYTES)
    place = packets.at[:, None] + np.arange(HEADER_BYTES)
    there = np.arange(HEADER_BYTES) < lengths[:, None]
    data = heads[packets.row[:, None], np.minimum(place, heads.shape[1] - 1)] * there
    return parse_headers(data, lengths), PacketView(data, lengths)


def _has_addresses(headers, view):
    return (headers.version > 0) & (view.lengths >= np.where(headers.version == 4, 20, 40))


def _usable(packets, headers, view, n):
    """Say which heads have a first packet with addresses; (n,) bool."""
    first = np.diff(packets.row, prepend=-1) > 0
    good = np.zeros(n, dtype=bool)
    good[packets.row[first]] = _has_addresses(headers, view)[first]
    return good


def _sizes(packets, headers, view):
    """Lengths of the IP packets on the wire, from their own headers where these are there."""
    rows = np.arange(len(packets.row))
    four = headers.version == 4
    own = np.where(four, view.word(rows, rows * 0 + 2), view.word(rows, rows * 0 + 4) + 40)
    # segmentation offload leaves the field empty
    empty = np.where(four, own < 20, own == 40)
    known = (headers.version > 0) & (view.lengths >= np.where(four, 4, 6)) & ~empty
    return np.where(known, own, np.maximum(packets.length, 0))


def _addresses(headers, view):
    """Source and destination of each packet, 16 bytes each, zeros behind an IPv4 address."""
    four = (headers.version == 4)[:, None]
    data, n = view.data, len(view.data)
    out = []
    for v4, v6 in ((12, 8), (16, 24)):
        short = np.hstack([data[:, v4 : v4 + 4], np.zeros((n, 12), np.uint8)])
        out.append(np.where(four, short, data[:, v6 : v6 + 16]))
    return out


def _directions(headers, view, offsets):
    """+1 for the sender of the session's first packet, -1 for the other, 0 where not known."""
    if not len(view.data):
        return np.empty(0, np.int8)
    source, destination = _addresses(headers, view)
    first = np.repeat(offsets[:-1], np.diff(offsets))
    same = (source == source[first]).all(axis=1)
    back = (source == destination[first]).all(axis=1)
    ports = (headers.src_port >= 0) & (headers.src_port[first] >= 0)
    same_port = headers.src_port == headers.src_port[first]
    # one host that talks to itself: the ports tell
    itself = same & back
    forth = np.where(itself, ports & same_port, same)
    back = np.where(itself, ports & ~same_port, back)
    there = _has_addresses(headers, view)
    return (there * (forth.astype(np.int8) - back)).astype(np.int8)


def _transport(headers, view, size, protocol):
    """TCP flags and payload sizes as Arrow arrays, missing where the headers are cut."""
    rows = np.arange(len(view.data))
    first, six = view.byte(rows, rows * 0), headers.version == 6
    at = np.where(six, 40, (first & 15) * 4)
    # behind IPv6 extension headers the transport header's place is not kept
    plain = ~six | (view.byte(rows, rows * 0 + 6) == headers.protocol)
    tcp, udp = headers.protocol == TCP, headers.protocol == UDP
    there = (headers.src_port >= 0) & plain
    whole = there & ((tcp & (view.lengths >= at + 14)) | (udp & (view.lengths >= at + 8)))
    length = np.where(tcp, (view.byte(rows, at + 12) >> 4) * 4, 8)
    payload = np.maximum(size - at - length, 0)
    return (
        pa.array(headers.flags.astype(np.uint8), mask=(protocol == TCP) & ~whole),
        pa.array(payload.astype(np.int32), mask=~whole),
    )


def _bytes(heads, packets, size):
    """Bytes of the packets, IP header on, without what the link layer padded; and their ends."""
    length = np.minimum(packets.captured, size)
    edges = np.zeros((len(heads), heads.shape[1] + 1), np.int8)
    some = length > 0
    np.add.at(edges, (packets.row[some], packets.at[some]), 1)
    np.add.at(edges, (packets.row[some], (packets.at + length)[some]), -1)
    # the packets of a head follow each other, so its bytes come in their order
    content = heads[np.cumsum(edges[:, :-1], axis=1, dtype=np.int8) > 0]
    ends = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    return content, ends


def _messages(content, ends, row, direction):
    """Say what each packet says, as reading captures does."""
    codes = MessageReader().read(content, ends, row, np.where(direction < 0, -1, 1))
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(MESSAGES))


def _host(data, at, version):
    """Write the addresses at a place in the first packets' headers."""
    sizes = np.where(version == 4, 4, 16)
    return [
        str(ipaddress.ip_address(row[place : place + size].tobytes()))
        for row, place, size in zip(data, at, sizes, strict=True)
    ]


def _table(heads, packets, headers, view, offsets, capture, number):
    """Put the columns of a session table together."""
    first, n = offsets[:-1], len(heads)
    size = _sizes(packets, headers, view)
    # as in reading captures: where the clock goes back, the latest time so far stands in
    time = pd.Series(packets.time).groupby(packets.row).cummax().to_numpy()
    since = (time - np.repeat(time[first], np.diff(offsets))) / 1e9
    protocol = headers.protocol[first]
    flags, payload = _transport(headers, view, size, np.repeat(protocol, np.diff(offsets)))
    direction = _directions(headers, view, offsets)
    content, ends = _bytes(heads, packets, size)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(content)]
    at = pa.array(offsets.astype(np.int32))
    version = headers.version[first]
    per_packet = {
        "packet_time": pa.array(since),
        "packet_size": pa.array(size.astype(np.int32)),
        "packet_direction": pa.array(direction),
        "packet_payload_size": payload,
        "packet_flags": flags,
        "packet_message": _messages(content, ends, packets.row, direction),
        "packet_bytes": pa.Array.from_buffers(pa.binary(), len(size), buffers),
    }
    columns = {
        "capture": pa.array(list(capture), pa.string()),
        "session": pa.array(number),
        "start": pa.array(time[first], pa.timestamp("ns", tz="UTC")),
        "src_ip": _host(view.data[first], np.where(version == 4, 12, 8), version),
        "dst_ip": _host(view.data[first], np.where(version == 4, 16, 24), version),
        "src_port": np.maximum(headers.src_port[first], 0),
        "dst_port": np.maximum(headers.dst_port[first], 0),
        "protocol": protocol,
        "ip_version": version,
        "vlan_id": np.maximum(packets.vlan[first], 0),
        "duration": since[offsets[1:] - 1] if n else since,
        "packet_count": np.diff(offsets),
        "total_bytes": segment_sum(size, offsets),
        **{name: pa.ListArray.from_arrays(at, flat) for name, flat in per_packet.items()},
    }
    arrays = [
        pa.array(columns[f.name], f.type)
        if isinstance(columns.get(f.name), (list, np.ndarray))
        else columns.get(f.name, pa.nulls(n, f.type))
        for f in SCHEMA
    ]
    return from_arrow(
        pa.table([a.cast(f.type) for a, f in zip(arrays, SCHEMA, strict=True)], SCHEMA)
    )
