"""The one parser of IP and transport headers: all packets at once, never beyond their bytes."""

import numpy as np

from sktraffic.packets._bytes import be16, be32, window
from sktraffic.packets._table import PacketTable

__all__ = ["ICMP", "ICMPV6", "SCTP", "TCP", "UDP", "parse_headers"]

ICMP, TCP, UDP, DCCP, GRE, ESP, AH, ICMPV6, SCTP, UDP_LITE = (
    1, 6, 17, 33, 47, 50, 51, 58, 132, 136,
)  # fmt: skip
FRAGMENT = 44
# what is stepped over: hop-by-hop, routing, fragment, destination options, mobility, host
# identity, shim6 (all of IPv6), and authentication
EXTENSIONS = np.zeros(256, dtype=bool)
EXTENSIONS[[0, 43, FRAGMENT, AH, 60, 135, 139, 140]] = True
MAX_EXTENSIONS = 8
# bytes of the transport headers whose size is fixed
HEADER_SIZE = np.zeros(256, np.int64)
for _number, _size in {ICMP: 8, TCP: 20, UDP: 8, DCCP: 12, GRE: 4, ESP: 8, ICMPV6: 8, SCTP: 12,
                       UDP_LITE: 8}.items():  # fmt: skip
    HEADER_SIZE[_number] = _size
HAS_PORTS = np.zeros(256, dtype=bool)
HAS_PORTS[[TCP, UDP, DCCP, SCTP, UDP_LITE]] = True


def parse_headers(data, at, stop, wire=None):
    """Parse the IP and transport headers of many packets.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    at, stop : ndarray of shape (n_packets,), int64
        Packet i has its IP header at ``at[i]``, and ``data[at[i]:stop[i]]`` was captured of it.
    wire : ndarray of shape (n_packets,), int64, optional
        Bytes from the IP header on that were on the wire: the packet's size where its own length
        field is empty (segmentation offload). By default what was captured.

    Returns
    -------
    PacketTable
        `version` is 0 where there is no IP header with both addresses. `record`, `time`, `vlan`
        and `tunnel` are left blank, `wire` is as given. A protocol behind extension headers that
        were cut is the number of the header that was cut.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import parse_headers
    >>> packet = bytes.fromhex("4500001e0000000040110000" "0a0000010a000002"
    ...                        "d9030035000a0000" "abcd")
    >>> table = parse_headers(np.frombuffer(packet, np.uint8), np.array([0]), np.array([30]))
    >>> table.src_port, table.dst_port, table.payload, table.payload_size
    (array([55555], dtype=int32), array([53], dtype=int32), array([28]), array([2]))
    """
    table = PacketTable.blank(len(at))
    table.data = data
    rows = window(data, at, stop, 40)
    captured = stop - at
    wire = np.maximum(captured, 0) if wire is None else wire
    four = (rows[:, 0] >> 4 == 4) & (captured >= 20)
    six = (rows[:, 0] >> 4 == 6) & (captured >= 40)
    header = np.where(four, (rows[:, 0] & 15).astype(np.int64) * 4, 40)
    told = np.where(four, be16(rows, 2), be16(rows, 4) + 40)
    empty = (told < header) | (six & (told == 40) & (rows[:, 6] != 59))
    table.wire, table.at = wire, at
    table.size = np.where(four | six, np.where(empty, wire, told), 0)
    table.stop = np.where(four | six, np.minimum(stop, at + table.size), stop)
    table.version = (four * 4 + six * 6).astype(np.uint8)
    table.ttl = np.where(four, rows[:, 8], np.where(six, rows[:, 7], -1)).astype(np.int32)
    _addresses(table, rows, four)
    bits = np.where(four, be16(rows, 6), 0)
    table.fragment = np.where(bits & 0x1FFF, 2, np.where(bits & 0x2000, 1, 0)).astype(np.uint8)
    table.protocol = np.where(four, rows[:, 9], np.where(six, rows[:, 6], 0)).astype(np.uint8)
    table.transport = at + header
    broken = ~(four | six) | (header < 20) | (table.transport > table.stop)
    _skip_extensions(table, broken)
    table.ip_header_size = np.where(four | six, table.transport - at, -1).astype(np.int32)
    table.transport_size = np.maximum(at + table.size - table.transport, 0)
    table.transport = np.minimum(table.transport, table.stop)
    _transport(table, broken)
    return table


def _addresses(table, rows, four):
    six = table.version == 6
    parts = rows[:, 8:40].copy().view(">u8").astype(np.uint64)
    parts[~six] = 0
    parts[four, 1], parts[four, 3] = be32(rows[four], 12), be32(rows[four], 16)
    table.src, table.dst = parts[:, :2], parts[:, 2:]


def _skip_extensions(table, broken):
    """Step over extension headers in place; marks those that are cut as broken."""
    extended = EXTENSIONS[table.protocol] & ((table.version == 6) | (table.protocol == AH))
    rows = np.flatnonzero(extended & ~broken & (table.fragment < 2))
    for _ in range(MAX_EXTENSIONS):
        if not len(rows):
            return
        at, end = table.transport[rows], table.stop[rows]
        head = window(table.data, at, end, 8)
        kind = table.protocol[rows]
        length = (head[:, 1].astype(np.int64) + 1) * 8
        length = np.where(kind == AH, (head[:, 1].astype(np.int64) + 2) * 4, length)
        length = np.where(kind == FRAGMENT, 8, length)
        whole = at + length <= end
        broken[rows] |= ~whole
        rows, head, kind, at, length = (x[whole] for x in (rows, head, kind, at, length))
        bits = np.where(kind == FRAGMENT, be16(head, 2), 0)
        part = np.where(bits >> 3, 2, bits & 1).astype(np.uint8)
        table.fragment[rows] = np.maximum(table.fragment[rows], part)
        table.protocol[rows] = head[:, 0]
        table.transport[rows] = at + length
        rows = rows[EXTENSIONS[head[:, 0]] & (table.fragment[rows] < 2)]
    broken[rows] = True


def _transport(table, broken):
    head = window(table.data, table.transport, table.stop, 20)
    protocol, later = table.protocol, table.fragment == 2
    room = table.stop - table.transport
    upper = ~broken & ~later
    size = HEADER_SIZE[protocol]
    tcp = upper & (protocol == TCP)
    size = np.where(tcp, (head[:, 12] >> 4).astype(np.int64) * 4, size)
    least = np.where(tcp, 20, HEADER_SIZE[protocol])
    # the packet itself is too short for the header: malformed, not cut
    short = upper & (table.transport_size < least)
    ports = upper & HAS_PORTS[protocol] & ~short
    known = ports & (room >= 4)
    unknown = (ports & ~known) | (broken & (table.version > 0))
    for name, column in (("src_port", 0), ("dst_port", 2)):
        port = np.where(known, be16(head, column), np.where(unknown, -1, 0))
        setattr(table, name, port.astype(np.int32))
    ok = upper & ~short & (room >= least) & (size >= least)
    with_flags = tcp & ~short & (room >= 14)
    table.flags = np.where(with_flags, head[:, 13], np.where(tcp & ~short, -1, 0)).astype(np.int16)
    table.flags[broken] = -1
    whole = tcp & ok
    table.seq = np.where(whole, be32(head, 4), -1)
    table.ack = np.where(whole, be32(head, 8), -1)
    table.window = np.where(whole, be16(head, 14), -1).astype(np.int32)
    table.transport_header_size = np.where(ok, size, -1).astype(np.int32)
    rest = np.maximum(table.transport_size - size, 0)
    table.payload_size = np.where(ok, rest, np.where(later, table.transport_size, -1))
    table.payload_size[short] = 0
    # UDP may end before IP does
    told = be16(head, 4)
    ends = table.transport + told
    shorter = (protocol == UDP) & ok & (told >= 8) & (ends < table.stop)
    table.stop = np.where(shorter, ends, table.stop)
    table.payload = np.where(ok, np.minimum(table.transport + size, table.stop), table.stop)
