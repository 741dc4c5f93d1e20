"""Classic pcap files: both byte orders, micro- and nanoseconds, 16- and 24-byte record headers."""

import struct

import numpy as np

from sktraffic.packets._bytes import numbers
from sktraffic.packets._records import MAXIMUM_BLOCK, MAXIMUM_LENGTH, RecordBlock
from sktraffic.packets._walk import Chain, record_starts

__all__ = ["read_pcap"]

MAGIC = {  # magic number -> (nanoseconds per unit of the fraction, bytes of a record header)
    0xA1B2C3D4: (1000, 16),
    0xA1B23C4D: (1, 16),
    0xA1B2CD34: (1000, 24),  # Kuznetzov's variant
}
FILE_HEADER = 24
# so many records of nothing but zeros in a row are no records: a file that was never written to
# its end, or a bomb
ZEROS = 1 << 16
# the upper bits of the link type say how long the frame check sequences are
LINK_TYPE = 0x03FFFFFF


def read_pcap(window, facts):
    """Yield the records of a classic file, whose first bytes are in the window."""
    if len(window) < FILE_HEADER:
        window.advance(0, FILE_HEADER)
    if len(window) < FILE_HEADER:
        facts.unread_bytes, facts.damage = len(window), "the file header is cut"
        return
    head = bytes(window.data[:FILE_HEADER])
    order = "<" if struct.unpack("<I", head[:4])[0] in MAGIC else ">"
    magic, *_, snap_length, network = struct.unpack(order + "IHHiIII", head)
    unit, header_size = MAGIC[magic]
    link_type = network & LINK_TYPE
    facts.link_types.add(link_type)
    limit = min(max(MAXIMUM_LENGTH, snap_length), MAXIMUM_BLOCK)
    position, need = FILE_HEADER, header_size
    if len(window) < position + need:
        position = window.advance(position, need)
    if header_size == 16 and _looks_long(window, position, order, limit):
        header_size = 24
        facts.remark("record headers of 24 bytes under the magic number of 16-byte ones")
    if unit == 1000 and _looks_nano(window, position, order, header_size, limit):
        unit = 1
        facts.remark(
            "the magic number says microseconds, but fractions of a second go beyond a million: "
            "they are read as nanoseconds"
        )
    empty = 0  # records of zeros at the end of what was read so far
    while len(window) - position > 0:
        chain = _chain(window.data, position, order, header_size, limit)
        starts, position, claimed = record_starts(window.data, position, window.end, chain)
        if claimed is not None:
            facts.damage = f"a record claims {claimed} captured bytes"
        if len(starts):
            n_kept, empty = _before_zeros(window.data, starts, position, header_size, empty)
            if n_kept < len(starts):
                starts, position = starts[:n_kept], int(starts[n_kept])
                facts.damage = f"{ZEROS:,} records of zeros in a row: the rest is not read"
        if len(starts):
            yield _block(window.data, starts, order, unit, header_size, link_type)
        if facts.damage or window.ended:
            break
        need = header_size
        if position + 12 <= window.end:
            need += struct.unpack_from(order + "I", window.data, position + 8)[0]
        position = window.advance(position, need)
    window.close(position, facts)


def _chain(data, position, order, header_size, limit):
    # the upper byte of the seconds is the same for half a year
    mark_at = 3 if order == "<" else 0
    mark = int(data[position + mark_at])
    return Chain(header_size, 8, header_size, 0, limit, 1, order, mark, mark_at, (8, 12))


def _before_zeros(data, starts, end, header_size, empty):
    """Count the records to keep, and those of zeros at their end; `empty` of these came before."""
    bare = np.flatnonzero(np.diff(starts, append=end) == header_size)  # records of no bytes
    if not len(bare):
        return len(starts), 0
    filled = np.ones(len(starts), dtype=bool)
    headers = numbers(data, f"V{header_size}")[starts[bare]].view(np.uint8)
    filled[bare] = headers.reshape(len(bare), header_size).any(axis=1)
    # the records of zeros in front of each other record, and behind the last one
    ends = np.concatenate([[-1 - empty], np.flatnonzero(filled), [len(starts)]])
    runs = np.diff(ends) - 1
    long = np.flatnonzero(runs > ZEROS)
    if len(long):
        return int(ends[long[0]]) + 1 + ZEROS, ZEROS
    return len(starts), int(runs[-1])


def _block(data, starts, order, unit, header_size, link_type):
    """Read the record headers at `starts`."""
    # all fields of a header as one item, then field after field in native byte order
    head = numbers(data, "V16")[starts].view(f"{order}u4").reshape(-1, 4)
    seconds, fraction, captured, wire = head.T.astype(np.int64)
    return RecordBlock(
        seconds * 10**9 + fraction * unit,
        captured,
        wire,
        np.broadcast_to(np.int64(link_type), len(starts)),
        starts + header_size,
        data,
    )


def _first_headers(window, position, order, header_size, limit, probe):
    """Read the first record headers, as far as their lengths make sense; and whether all do."""
    heads = []
    while len(heads) < probe and position + header_size <= window.end:
        head = struct.unpack_from(order + "4I", window.data, position)
        if head[2] > min(limit, head[3]):
            return heads, False
        heads.append(head)
        position += header_size + head[2]
    return heads, True


def _looks_long(window, position, order, limit, probe=20):
    """Say whether records make sense with 24-byte headers only.

    Some writers put the longer header of Kuznetzov's variant under the standard magic number.
    Read as 16 bytes, a packet's length comes out absurd within the first records.
    """
    short, sound = _first_headers(window, position, order, 16, limit, probe)
    if sound:
        return False
    heads, sound = _first_headers(window, position, order, 24, limit, probe)
    return sound and len(heads) > len(short)


def _looks_nano(window, position, order, header_size, limit, probe=20):
    """Say whether most of the first fractions are too large for microseconds, but not for these."""
    heads, _ = _first_headers(window, position, order, header_size, limit, probe)
    beyond = [head[1] >= 10**6 for head in heads]
    return 2 * sum(beyond) > len(beyond) and all(head[1] < 10**9 for head in heads)
