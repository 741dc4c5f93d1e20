"""What every parse promises, whatever it is given: checked by harnesses, tests and campaigns.

Each function raises AssertionError where a promise is broken.
"""

import struct
from itertools import pairwise

import numpy as np
import pyarrow as pa

from sktraffic.packets import CAUSES, LATER_FRAGMENT, NO_TIME, TUNNEL_FRAGMENT, TUNNELS
from sktraffic.sessions import SCHEMA

#: Bytes that reading may take: a constant for windows and tables, and a multiple of the input.
MEMORY, MEMORY_FACTOR = 64 << 20, 64
REPORT_CAUSES = (*CAUSES.values(), LATER_FRAGMENT, TUNNEL_FRAGMENT, "filtered", "duplicates")
# 1960 and 2253, ns: what interface offsets and wide times of pcapng may lead to
EARLIEST, LATEST = -(3 * 10**17), 892 * 10**16


def expect(condition, *what):
    """Raise AssertionError with words, with python -O too."""
    if not condition:
        raise AssertionError(" ".join(map(str, what)))


def check_block(block):
    """Lengths are not negative, frames lie inside the bytes, times are finite or missing."""
    n = len(block)
    for name in ("captured", "wire", "link_type", "at"):
        expect(len(getattr(block, name)) == n, "column", name, "is short")
    expect((block.captured >= 0).all() and (block.wire >= 0).all(), "negative length")
    expect((block.at >= 0).all(), "frame before the bytes")
    expect((block.at + block.captured <= len(block.data)).all(), "frame behind the bytes")
    check_times(block.time)


def check_times(time):
    """Raise unless times are missing or lie in the years 1960 to 2252."""
    known = time[time != NO_TIME]
    expect(((known >= EARLIEST) & (known <= LATEST)).all(), "time before 1960 or after 2252")


def check_packets(table):
    """Places are in order and inside the bytes, sizes not negative, fields in their ranges."""
    places = [table.at, table.transport, table.payload, table.stop]
    expect(all((a >= 0).all() for a in places), "negative place")
    expect(all((a <= b).all() for a, b in pairwise(places)), "places out of order")
    expect((table.stop <= len(table.data)).all(), "place behind the bytes")
    expect(np.isin(table.version, (4, 6)).all(), "no IP version")
    for name in ("wire", "size", "transport_size"):
        expect((getattr(table, name) >= 0).all(), "negative", name)
    expect((table.payload_size >= -1).all(), "negative payload size")
    expect((table.payload_size <= table.transport_size).all(), "payload longer than its packet")
    expect((table.transport_size <= table.size).all(), "transport longer than its packet")
    ranges = {
        "src_port": (-1, 65535), "dst_port": (-1, 65535), "vlan": (0, 4095), "flags": (-1, 511),
        "ttl": (-1, 255), "window": (-1, 65535), "fragment": (0, 2), "seq": (-1, 2**32 - 1),
        "ack": (-1, 2**32 - 1), "tunnel": (0, len(TUNNELS) - 1), "fragment_id": (-1, 2**32 - 1),
    }  # fmt: skip
    for name, (least, most) in ranges.items():
        values = getattr(table, name)
        expect(((values >= least) & (values <= most)).all(), name, "out of range")
    expect((table.src[table.version == 4, 0] == 0).all(), "IPv4 address of 128 bits")
    expect((np.diff(table.record) > 0).all(), "records do not rise")
    check_times(table.time)


def same_packets(one, other):
    """Two tables say the same of their packets, wherever the bytes lie."""
    expect(len(one) == len(other), len(one), "packets or", len(other))
    for name in vars(one):
        a, b = getattr(one, name), getattr(other, name)
        if name in ("at", "data"):
            continue
        if name in ("transport", "payload", "stop"):
            a, b = a - one.at, b - other.at
        expect(np.array_equal(a, b), name, "differs")


def check_facts(facts, size=None):
    """Every record is a packet or has a cause; nothing is said to be longer than the file."""
    told = facts.packets + sum(facts.causes.values())
    expect(facts.records == told, facts.records, "records, told of", told)
    expect(min(facts.causes.values(), default=0) >= 0, "negative cause")
    expect(facts.unread_bytes >= 0, "negative rest")
    if size is not None:
        expect(facts.unread_bytes <= size, "rest longer than the file")
    expect(bool(facts.damage) or not facts.unread_bytes, "a rest and no word about it")


def check_sessions(rows, n_packets=None):
    """Raise unless a session table has sound rows, and all packets are in one of them.

    Parameters
    ----------
    rows : pyarrow.Table
    n_packets : int, optional
        Packets that were put in.
    """
    expect(rows.schema.names == SCHEMA.names, "other columns")
    rows.validate(full=True)
    count = rows["packet_count"].to_numpy()
    expect((count > 0).all(), "a session without packets")
    if n_packets is not None:
        expect(int(count.sum()) == n_packets, count.sum(), "packets in sessions of", n_packets)
    duration, size = rows["duration"].to_numpy(), rows["packet_size"].combine_chunks()
    expect(np.isfinite(duration[~np.isnan(duration)]).all(), "endless session")
    expect((duration[~np.isnan(duration)] >= 0).all(), "negative duration")
    for name in ("packet_time", "packet_size", "packet_direction", "packet_message"):
        lists = rows[name].combine_chunks()
        if lists.null_count:
            continue
        length = lists.value_lengths().to_numpy(zero_copy_only=False)
        expect((length == count).all(), name, "has other lengths")
    sizes = size.flatten().drop_null().to_numpy(zero_copy_only=False)
    expect((sizes >= 0).all(), "negative size")
    for total, lengths in zip(rows["total_bytes"].to_pylist(), size.to_pylist(), strict=True):
        known = [length for length in lengths or () if length is not None]
        expect(total is None or total == sum(known), total, "bytes in packets of", sum(known))
    _check_clock(rows["packet_time"].combine_chunks(), count)


def _check_clock(times, count):
    """Raise unless times of packets are finite, begin at zero and do not fall."""
    if times.null_count:
        return
    time = times.flatten().to_numpy(zero_copy_only=False)
    known = time[~np.isnan(time)]
    expect(np.isfinite(known).all() and (known >= 0).all(), "packet before its session")
    step = np.diff(time)
    step[(np.cumsum(count) - 1)[:-1]] = 0
    expect((step[~np.isnan(step)] >= 0).all(), "time falls in a session")


def check_report(row):
    """Raise unless every record of a report is in a session or has a cause."""
    told = int(row["session_packets"]) + sum(int(row[name]) for name in REPORT_CAUSES)
    expect(told == row["records"], row["records"], "records, told of", told)


def count_records(data):
    """Count the whole records of a plain capture by the plainest walk: one at a time.

    Returns
    -------
    int or None
        None where the file's own words are not to be believed (record headers of odd size), or it
        is no capture.
    """
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0] if len(data) >= 4 else 0
        if magic in (0xA1B2C3D4, 0xA1B23C4D):
            return _count_pcap(data, order)
    if data[:4] == b"\n\r\r\n":
        return _count_pcapng(data)
    return None


def _count_pcap(data, order):
    if len(data) < 24:
        return 0
    snap = struct.unpack_from(order + "I", data, 16)[0]
    limit = min(max(262144, snap), 16 << 20)
    at, count = 24, 0
    while at + 16 <= len(data):
        length, wire = struct.unpack_from(order + "II", data, at + 8)
        if count < 20 and length > wire:
            return None
        if length > limit or at + 16 + length > len(data):
            break
        at, count = at + 16 + length, count + 1
    return count


def _count_pcapng(data):
    at, count, order = 0, 0, None
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\n\r\r\n":
            mark = data[at + 8 : at + 12]
            order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(mark)
            if order is None:
                break
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or length % 4 or length > 16 << 20 or at + length > len(data):
            break
        if kind == 1 and length < 20:
            break
        count += kind in (2, 3, 6)
        at += length
    return count


def to_arrow(tables):
    """Join Arrow tables of sessions; an empty one where there are none."""
    tables = [table for table in tables if table is not None]
    return pa.concat_tables(tables).unify_dictionaries() if tables else SCHEMA.empty_table()
