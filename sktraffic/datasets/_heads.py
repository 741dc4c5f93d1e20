"""Session heads: the first bytes of one-session captures, many at once.

Published sets of the "session as a picture" kind hold, for each session, the first 784 bytes of a
pcap file with that session alone: the file header, then record headers and frames. Everything here
looks at one field of all sessions, so the time goes into some NumPy calls whatever their number.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from sktraffic.messages import MESSAGES, MessageReader
from sktraffic.packets import (
    CAUSES,
    FOUND,
    TCP,
    PacketSessions,
    RecordBlock,
    SessionBuilder,
    find_ip,
    number_at,
    parse_headers,
)
from sktraffic.sessions import SCHEMA, from_arrow

__all__ = ["parse_heads", "recordings"]

FILE_HEADER, RECORD_HEADER = 24, 16
# magic number as it stands in the file -> (byte order, nanoseconds a tick)
MAGIC = {
    bytes.fromhex("a1b2c3d4"): (">u4", 1000),
    bytes.fromhex("a1b23c4d"): (">u4", 1),
    bytes.fromhex("d4c3b2a1"): ("<u4", 1000),
    bytes.fromhex("4d3cb2a1"): ("<u4", 1),
}
CUT = next(cause for cause, name in CAUSES.items() if name == "cut_header")
LONGEST_FRAME = 262_144  # what capture programs take for the longest there is
ALL = 1 << 20  # more packets and bytes than a head can hold


def parse_heads(heads, capture=""):
    """Read the packets of session heads into a session table.

    Parameters
    ----------
    heads : ndarray of shape (n_heads, width), uint8
        Each row the first bytes of a pcap file that holds one session, zeros behind its end. Both
        byte orders, micro- and nanoseconds, any link layer that captures may have.
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
    order, tick = _orders(heads)
    if len(heads) and not tick.any():
        raise ValueError(
            f"None of the {len(heads)} session heads starts with a pcap file header. Files of the "
            "kind 'AllLayers' are wanted; those of the kind 'L7' have no headers."
        )
    row, block = _records(heads, order, tick)
    row, table = _packets(row, block)
    sessions = PacketSessions.given(table, row, _directions(table, row))
    builder = SessionBuilder("", n_bytes=ALL, n_byte_packets=ALL, words=MESSAGES)
    builder.add(table, sessions, MessageReader().read(table, sessions))
    out = builder.take()
    if out is None:
        out = SCHEMA.empty_table()
    kept = sessions.numbers
    names = np.broadcast_to(np.asarray(capture, dtype=object), len(heads))[kept]
    return from_arrow(out.set_column(0, out.schema.field(0), pa.array(names, pa.string()))), kept


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
    """Find the frames of each head: their heads' numbers, which rise, and a RecordBlock."""
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
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] if found else [[]] * 5
    columns = [np.asarray(column, np.int64) for column in columns]
    by_row = np.argsort(columns[0], kind="stable")
    row, start, captured, wire, time = (column[by_row] for column in columns)
    link = _words(heads, order, row, np.full(len(row), 20), 1)[:, 0] & 0xFFFF
    return row, RecordBlock(time, captured, wire, link, row * width + start, heads.reshape(-1))


def _packets(row, block):
    """Parse the packets of the heads whose first packet has its addresses.

    A frame that is cut before its addresses, most often the last, is a packet of the session all
    the same: of version 0, its IP header where that of the first packet's frame is.

    Returns the heads' numbers and a PacketTable.
    """
    stop = block.at + block.captured
    at, vlan, state = find_ip(block.data, block.at, stop, block.link_type)
    fine = np.flatnonzero((state == FOUND) | (state == CUT))
    row, at, stop = row[fine], at[fine], stop[fine]
    begins = np.diff(row, prepend=-1) > 0
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]  # each packet's head's first packet
    link_size = (at - block.at[fine])[first]
    table = parse_headers(block.data, at, stop, block.wire[fine] - (at - block.at[fine]))
    table.record, table.wire, table.vlan = fine, block.wire[fine], vlan[fine]
    # as in reading captures: where the clock goes back, the latest time so far stands in
    table.time = pd.Series(block.time[fine]).groupby(row).cummax().to_numpy()
    _mend_cut(table, first, np.minimum(block.at[fine] + link_size, stop), stop, link_size)
    good = table.version[first] > 0
    return row[good], table.take(good)


def _mend_cut(table, first, at, stop, link_size):
    """Say what is known of packets without addresses: place, size, and what the session tells."""
    cut = np.flatnonzero(table.version == 0)
    at, stop, data = at[cut], stop[cut], table.data
    version = number_at(data, at, stop, np.uint8) >> 4
    size = np.where(
        version == 6,
        number_at(data, at + 4, stop, ">u2").astype(np.int64) + 40,
        number_at(data, at + 2, stop, ">u2"),
    )
    told = ((version == 4) & (stop - at >= 4) & (size >= 20)) | (
        (version == 6) & (stop - at >= 6) & (size > 40)
    )
    on_wire = np.maximum(table.wire[cut] - link_size[cut], 0)
    table.size[cut] = np.where(told, size, on_wire)
    table.at[cut] = at
    table.flags[cut] = np.where(table.protocol[first[cut]] == TCP, -1, 0)


def _directions(table, row):
    """+1 for the sender of the session's first packet, -1 for the other, 0 where not known."""
    first = np.searchsorted(row, row)
    same = (table.src == table.src[first]).all(axis=1)
    back = (table.src == table.dst[first]).all(axis=1)
    # one host that talks to itself: the ports tell
    itself = same & back
    same_port = table.src_port == table.src_port[first]
    forth = np.where(itself, same_port, same)
    back = np.where(itself, ~same_port, back)
    return ((table.version > 0) * (forth.astype(np.int8) - back)).astype(np.int8)
