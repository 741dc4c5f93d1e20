"""The one parser of IP and transport headers: all packets at once, never beyond their bytes."""

import numpy as np

from sktraffic.packets._bytes import be16, window
from sktraffic.packets._table import PacketTable

__all__ = ["ICMP", "ICMPV6", "SCTP", "TCP", "UDP", "extension_headers", "parse_headers"]

IGMP, ICMP, TCP, UDP, DCCP, GRE, ESP, AH, ICMPV6, SCTP, UDP_LITE = (
    2, 1, 6, 17, 33, 47, 50, 51, 58, 132, 136,
)  # fmt: skip
FRAGMENT, NO_NEXT_HEADER = 44, 59
# what is stepped over: hop-by-hop, routing, fragment, destination options, mobility, host
# identity, shim6 (all of IPv6), and authentication
EXTENSIONS = np.zeros(256, dtype=bool)
EXTENSIONS[[0, 43, FRAGMENT, AH, 60, 135, 139, 140]] = True
MAX_EXTENSIONS = 16
# bytes of the transport headers; TCP's at least
HEADER_SIZE = np.zeros(256, np.int64)
for _number, _size in {ICMP: 8, TCP: 20, UDP: 8, DCCP: 12, GRE: 4, ESP: 8, ICMPV6: 8, SCTP: 12,
                       UDP_LITE: 8}.items():  # fmt: skip
    HEADER_SIZE[_number] = _size
# columns that are read from the transport header
_FROM_TRANSPORT = (
    "src_port", "dst_port", "flags", "seq", "ack", "window", "transport_header_size",
    "payload_size", "payload",
)  # fmt: skip
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
        field is empty (segmentation offload) or less than its header. By default what was
        captured.

    Returns
    -------
    PacketTable
        `version` is 0 where there is no IP header with both addresses. `record`, `time`, `vlan`
        and `tunnel` are left blank, `wire` is as given. A protocol behind extension headers that
        were cut is the number of the header that was cut, with unknown ports (-1); a transport
        header that is longer than its packet is no header: ports 0.

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
    captured = np.maximum(stop - at, 0)
    wire = captured if wire is None else wire
    words = _header_words(data, at, stop)
    first = words[0]
    version = first >> 28
    size = (first & 0xFFFF).astype(np.int64)
    header = ((first >> 22) & 0x3C).astype(np.int64)
    # as if all were IPv4; rows with anything else are then written anew
    src, dst = np.zeros((2, len(at), 2), np.uint64)
    src[:, 1], dst[:, 1] = words[3], words[4]
    table = PacketTable.blank(
        len(at),
        data,
        at=at,
        wire=wire,
        version=version.astype(np.uint8),
        protocol=(words[2] >> 16).astype(np.uint8),
        ttl=(words[2] >> 24).astype(np.int32),
        src=src,
        dst=dst,
        transport=at + header,
        **dict.fromkeys(_FROM_TRANSPORT),
    )
    fragments = np.flatnonzero((words[1] & 0x3FFF != 0) & (version == 4))
    if len(fragments):
        later = words[1, fragments] & 0x1FFF != 0
        table.fragment[fragments] = 1 + later
        table.fragment_id[fragments] = words[1, fragments] >> 16
    six = np.flatnonzero(version == 6)
    if len(six):
        _read_ipv6(table, six, words, size, header)
    empty = np.flatnonzero(size < header)
    size[empty] = np.maximum(wire[empty], 0)
    table.size, table.stop = size, np.minimum(stop, at + size)
    # odd: anything whose transport header is not the 20 bytes behind the first 20
    odd = (version != 4) | (header != 20) | (captured < 20) | (table.protocol == AH)
    broken = np.zeros(len(at), bool)
    if odd.any():
        odd = np.flatnonzero(odd)
        _read_odd(table, odd, words, broken, header, captured)
    table.ip_header_size = (table.transport - at).astype(np.int32)
    table.transport_size = np.maximum(at + size - table.transport, 0)
    np.minimum(table.transport, table.stop, out=table.transport)
    _read_transport(table, words[5:], broken)
    return table


def _header_words(data, at, stop):
    """Copy the first 40 bytes of each packet as ten native words; (10, n) uint32."""
    inside = bool(len(at)) and int(at.max()) + 40 <= len(data) and int(at.min()) >= 0
    # bytes behind a packet's own are never looked at: what tells is how many it has
    rows = window(data, at, at + 40 if inside else stop, 40)
    return rows.view(">u4").T.astype(np.uint32, order="C")


def _read_ipv6(table, rows, words, size, header):
    """Write the rows of IPv6 packets anew."""
    own = words[:, rows]
    size[rows] = (own[1] >> 16).astype(np.int64) + 40
    header[rows] = 40
    protocol = (own[1] >> 8).astype(np.uint8)
    # a length of 0 is what segmentation offload leaves, unless nothing is said to follow
    size[rows] = np.where((own[1] >> 16 == 0) & (protocol != NO_NEXT_HEADER), 0, size[rows])
    table.protocol[rows] = protocol
    table.ttl[rows] = own[1] & 0xFF
    high = own.astype(np.uint64) << np.uint64(32)
    for column, low, high_word in (("src", 3, 2), ("dst", 7, 6)):
        addresses = getattr(table, column)
        addresses[rows, 0] = high[high_word] | own[low]
        addresses[rows, 1] = high[high_word + 2] | own[low + 2]
    table.transport[rows] = table.at[rows] + 40


def _read_odd(table, rows, words, broken, header, captured):
    """Find the transport headers that are not where most are, and headers that are none."""
    version = table.version[rows]
    addressed = captured[rows] >= np.where(version == 6, 40, 20)
    none = rows[~addressed | ((version != 4) & (version != 6))]
    table.version[none] = 0
    table.size[none] = 0
    table.stop[none] = table.at[none] + captured[none]
    table.src[none] = table.dst[none] = 0
    table.fragment[none], table.fragment_id[none] = 0, -1
    table.transport[rows] = table.at[rows] + np.maximum(header[rows], 20)
    broken[rows] = (
        (table.version[rows] == 0)
        | (header[rows] < 20)
        | (table.transport[rows] > table.stop[rows])
    )
    _skip_extensions(table, rows[~broken[rows] & (table.fragment[rows] < 2)], broken)
    head = window(table.data, table.transport[rows], table.stop[rows], 20)
    words[5:, rows] = head.view(">u4").T


def _skip_extensions(table, rows, broken):
    """Step over extension headers in place; marks packets in which one is cut as broken."""
    steps = extension_headers(
        table.data,
        rows,
        table.transport[rows],
        table.stop[rows],
        table.protocol[rows],
        table.version[rows],
    )
    for rows, at, kind, size, head in steps:
        whole = at + size <= table.stop[rows]
        broken[rows[~whole]] = True
        rows, at, kind, size, head = (x[whole] for x in (rows, at, kind, size, head))
        bits = np.where(kind == FRAGMENT, be16(head, 2), 0)
        is_part = bits & 0xFFF9 != 0
        parts = rows[is_part]
        table.fragment[parts] = np.where(bits >> 3 != 0, 2, 1)[is_part]
        table.fragment_id[parts] = head[is_part, 4:8].copy().view(">u4")[:, 0]
        table.protocol[rows] = head[:, 0]
        table.transport[rows] = at + size


def extension_headers(data, rows, at, stop, protocol, version):
    """Walk over extension headers: the first of each packet, then the second, and so on.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    rows : ndarray of shape (n,), int64
        Numbers of packets, to be given back.
    at, stop : ndarray of shape (n,), int64
        Where their first extension header would begin, and where the packets end.
    protocol, version : ndarray of shape (n,)
        The number that the IP header names, and 4 or 6: IPv4 has but the authentication header.

    Yields
    ------
    rows, at, kind, size : ndarray of int64
        Packets with an extension header, where it is, its number and its bytes, which may go
        beyond the packet's end: then it is the last.
    head : ndarray of shape (n, 8), uint8
        Its first bytes; the very first is the number of what follows.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import extension_headers
    >>> data = np.array([6, 0, 0, 0, 0, 0, 0, 0, *range(20)], np.uint8)  # options, then TCP
    >>> one = np.array([0])
    >>> steps = extension_headers(data, one, one, one + 28, one, one + 6)
    >>> [(kind.item(), size.item(), head[0, 0].item()) for _, _, kind, size, head in steps]
    [(0, 8, 6)]
    """
    kind = protocol
    going = EXTENSIONS[kind] & ((version == 6) | (kind == AH))
    for _ in range(MAX_EXTENSIONS):
        rows, at, stop, kind, version = (x[going] for x in (rows, at, stop, kind, version))
        if not len(rows):
            return
        head = window(data, at, stop, 8)
        units = head[:, 1].astype(np.int64)
        size = np.select([kind == FRAGMENT, kind == AH], [8, (units + 2) * 4], (units + 1) * 8)
        yield rows, at, kind.astype(np.int64), size, head
        later = (kind == FRAGMENT) & (be16(head, 2) >> 3 != 0)
        at, kind = at + size, head[:, 0]
        going = (at <= stop) & ~later & EXTENSIONS[kind] & ((version == 6) | (kind == AH))


def _read_transport(table, words, broken):
    """Read ports, TCP's fields and the payload; `words` are the transport headers', (5, n)."""
    protocol = table.protocol
    room = table.stop - table.transport
    least = HEADER_SIZE[protocol]
    size = least
    tcp = protocol == TCP
    if tcp.any():
        size = np.where(tcp, (words[3] >> 26) & 0x3C, least).astype(np.int64)
    ports = HAS_PORTS[protocol]
    ok = (room >= least) & (size >= least) & (table.transport_size >= least)
    table.src_port = np.where(ports, words[0] >> 16, 0).astype(np.int32)
    table.dst_port = np.where(ports, words[0] & 0xFFFF, 0).astype(np.int32)
    table.flags = np.where(tcp, (words[3] >> 16) & 0xFF, 0).astype(np.int16)
    table.seq = np.where(tcp, words[1], np.int64(-1))
    table.ack = np.where(tcp, words[2], np.int64(-1))
    table.window = np.where(tcp, words[3] & 0xFFFF, np.int64(-1)).astype(np.int32)
    table.transport_header_size = size.astype(np.int32)
    table.payload_size = np.maximum(table.transport_size - size, 0)
    table.payload = np.minimum(table.transport + size, table.stop)
    if (protocol == IGMP).any():
        _read_igmp(table)
    rows = np.flatnonzero(~ok | broken | (table.fragment == 2))
    if len(rows):
        _correct(table, rows, ports, tcp, room, least, broken)
    # UDP may end before IP does
    told = words[1] >> 16
    ends = table.transport + told
    shorter = np.flatnonzero((protocol == UDP) & (told >= 8) & (ends < table.stop))
    shorter = shorter[table.transport_header_size[shorter] > 0]
    table.stop[shorter] = ends[shorter]
    np.minimum(table.payload, table.stop, out=table.payload)


def _read_igmp(table):
    """Take IGMP's messages for headers: they are of any length, and nothing follows."""
    rows = np.flatnonzero(table.protocol == IGMP)
    table.transport_header_size[rows] = table.transport_size[rows]
    table.payload_size[rows], table.payload[rows] = 0, table.stop[rows]


def _correct(table, rows, ports, tcp, room, least, broken):
    """Write the rows of packets without a whole transport header anew."""
    broken, room = broken[rows], room[rows]
    later = table.fragment[rows] == 2
    # the packet itself ends before its header would: malformed, not cut
    short = ~broken & ~later & (table.transport_size[rows] < least[rows])
    cut = ~broken & ~later & ~short
    known = (table.version[rows] > 0).astype(bool)
    unknown = (broken & known) | (cut & ports[rows] & (room < 4))
    for name in ("src_port", "dst_port"):
        port = np.where(cut & ports[rows], getattr(table, name)[rows], 0)
        getattr(table, name)[rows] = np.where(unknown, -1, port)
    flags = np.where(cut & tcp[rows] & (room >= 14), table.flags[rows], 0)
    table.flags[rows] = np.where(broken | (cut & tcp[rows] & (room < 14)), -1, flags)
    # its length is in TCP's 13th byte, so the payload's is known where the rest is cut off
    size = table.transport_header_size[rows]
    told = cut & tcp[rows] & (room >= 13) & (size >= least[rows])
    rest = np.maximum(table.transport_size[rows] - size, 0)
    for name in ("seq", "ack", "window", "transport_header_size"):
        getattr(table, name)[rows] = -1
    table.payload_size[rows] = np.select(
        [later & ~broken, short, told], [table.transport_size[rows], 0, rest], -1
    )
    table.payload[rows] = np.where(later, table.transport[rows], table.stop[rows])
    without = rows[~known]
    for name in ("ttl", "ip_header_size"):
        getattr(table, name)[without] = -1
    table.protocol[without] = 0
    table.transport_size[without] = 0
