"""Classic pcap files: both byte orders, micro- and nanoseconds, 16- and 24-byte record headers."""

import struct

import numpy as np

from sktraffic.packets._records import MAXIMUM_LENGTH, RecordBlock, Window, close, columns

MAGIC = {  # magic number -> (nanoseconds per unit of the fraction, bytes of a record header)
    0xA1B2C3D4: (1000, 16),
    0xA1B23C4D: (1, 16),
    0xA1B2CD34: (1000, 24),  # Kuznetzov's variant
}


def read_classic(file, facts):
    head = file.read(24)
    if len(head) < 24:
        facts.unread_bytes, facts.damage = len(head), "the file header is cut"
        return
    order = "<" if struct.unpack("<I", head[:4])[0] in MAGIC else ">"
    magic, *_, snap_length, network = struct.unpack(order + "IHHiIII", head)
    unit, header_size = MAGIC[magic]
    link_type = network & 0x0FFFFFFF
    facts.link_types.add(link_type)
    limit = max(MAXIMUM_LENGTH, snap_length if snap_length <= 0x7FFFFFFF else 0)
    record = [(name, order + "u4") for name in ("seconds", "fraction", "captured", "wire")]
    length_at = struct.Struct(order + "I").unpack_from
    window = Window(file)
    position = window.advance(0, header_size)
    if header_size == 16 and _looks_long(window.data, length_at, limit):
        header_size, facts.long_headers = 24, True
    while len(window.data) - position > 0:
        data, positions = window.data, []
        end = len(data)
        need = header_size
        while position + header_size <= end:
            captured = length_at(data, position + 8)[0]
            if captured > limit:
                facts.damage = f"a record claims {captured} captured bytes"
                break
            if position + header_size + captured > end:
                need = header_size + captured
                break
            positions.append(position)
            position += header_size + captured
        if positions:
            rows = columns(data, positions, record)
            seconds, fraction, captured, wire = (rows[name].astype(np.int64) for name, _ in record)
            yield RecordBlock(
                seconds * 10**9 + fraction * unit,
                captured,
                wire,
                np.full(len(rows), link_type),
                np.asarray(positions) + header_size,
                data,
            )
        if facts.damage or window.ended:
            break
        position = window.advance(position, need)
    close(file, window, position, facts)


def _looks_long(data, length_at, limit, probe=20):
    """Say whether records make sense with 24-byte headers only.

    Some writers put the longer header of Kuznetzov's variant under the standard magic number.
    Read as 16 bytes, a packet's length comes out absurd within the first records.
    """

    def sound(header_size):
        position = 0
        for _ in range(probe):
            if position + header_size > len(data):
                return position > 0
            captured, wire = length_at(data, position + 8)[0], length_at(data, position + 12)[0]
            if captured > min(limit, wire):
                return False
            position += header_size + captured
        return True

    return not sound(16) and sound(24)
