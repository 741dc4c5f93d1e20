"""Tunnels: packets inside packets, for all packets of a block at once.

A tunnel's header is told by the outer packet's protocol or port, and never by that alone: what is
inside must be an IP packet that fits into the outer one, or the outer packet stays as it is.
"""

import numpy as np

from sktraffic.packets._bytes import number_at
from sktraffic.packets._headers import GRE, UDP, parse_headers
from sktraffic.packets._kinds import ETHERNET, FOUND, IP, MPLS, NOT_IP, PPP_FRAME, WIRELESS
from sktraffic.packets._link import walk
from sktraffic.packets._link_steps import byte_at

__all__ = ["TUNNELS", "decode_tunnels"]

# packets in packets in packets are followed so deep
MAX_DEPTH = 4
IPIP, SIX_IN_FOUR, L2TPV3, MPLS_IN_IP = 4, 41, 115, 137
ERSPAN_1_2, ERSPAN_3, PPP_TYPE = 0x88BE, 0x22EB, 0x880B


def _ip_in_ip(data, at, stop):
    return np.full(len(at), IP), at


def _mpls_in_ip(data, at, stop):
    return np.full(len(at), MPLS), at


def _gre(data, at, stop):
    """RFC 2784, 2890 and (version 1) 2637; ERSPAN inside has a header of its own."""
    flags, kind = number_at(data, at, stop), number_at(data, at + 2, stop)
    # checksum, key, sequence number and acknowledgement take a word each if their bit is set
    size = 4 + 4 * sum((flags >> bit) & 1 for bit in (15, 13, 12, 7))
    numbered = (flags >> 12) & 1
    # type I of ERSPAN has neither number nor header, type II 8 bytes, type III 12 and 8 more
    extra = byte_at(data, at + size + 11, stop) & 1
    size = size + np.where(kind == ERSPAN_1_2, 8 * numbered, 0)
    size = size + np.where(kind == ERSPAN_3, 12 + 8 * extra, 0)
    kind = np.where((kind == ERSPAN_1_2) | (kind == ERSPAN_3), ETHERNET, kind)
    kind = np.where(kind == PPP_TYPE, PPP_FRAME, kind)
    return np.where((kind > 1500) & (flags & 0x4006 == 0), kind, NOT_IP), at + size


def _l2tp_ip(data, at, stop):
    """RFC 3931 over IP: a session number, then what `_l2tp_session` finds."""
    return _l2tp_session(data, at + 4, stop)


def _l2tp_session(data, at, stop):
    """Find the frame behind a cookie and a sublayer, whose sizes only the two ends know."""
    kind, place = np.full(len(at), NOT_IP), at
    for size in (12, 8, 4, 0):
        found = walk(data, at + size, stop, np.full(len(at), ETHERNET))
        fits = (found[2] == FOUND) & _plausible(data, found[0], stop)
        kind, place = np.where(fits, ETHERNET, kind), np.where(fits, at + size, place)
    return kind, place


def _plausible(data, at, stop):
    """Whether an IPv4 header has a sane length of its own and a sum of zero, or IPv6 starts."""
    halves = [number_at(data, at + 2 * k, stop) for k in range(10)]
    total = sum(halves)
    total = (total & 0xFFFF) + (total >> 16)
    sound = (halves[0] >> 8 == 0x45) & (((total & 0xFFFF) + (total >> 16)) == 0xFFFF)
    return sound | (halves[0] >> 12 == 6)


def _l2tp(data, at, stop):
    """Version 2 carries PPP, version 3 (RFC 3931, 4.1.2) frames."""
    flags = number_at(data, at, stop)
    version, control = flags & 15, flags >> 15
    with_length, numbered, with_offset = ((flags >> bit) & 1 for bit in (14, 11, 9))
    size = 6 + 2 * with_length + 4 * numbered
    padding = number_at(data, at + size, stop)
    size = size + with_offset * (2 + padding)
    third = (version == 3) & (control == 0)
    kind, place = np.where((version == 2) & (control == 0), PPP_FRAME, NOT_IP), at + size
    if third.any():
        rows = np.flatnonzero(third)
        kind[rows], place[rows] = _l2tp_session(data, at[rows] + 8, stop[rows])
    return kind, place


def _vxlan(data, at, stop):
    """RFC 7348: a flag, the rest of the first word empty (but for a group policy's bits)."""
    flags, rest = byte_at(data, at, stop), byte_at(data, at + 7, stop)
    sound = ((flags & 0x08) > 0) & (flags & 0x70 == 0) & (rest == 0)
    return np.where(sound, ETHERNET, NOT_IP), at + 8


def _vxlan_gpe(data, at, stop):
    """VXLAN with a next protocol: IP, Ethernet or a service header."""
    follows = byte_at(data, at + 3, stop)
    told = (byte_at(data, at, stop) & 0x04) > 0
    kinds = [(follows == 1) | (follows == 2), follows == 3, follows == 4]
    inner = np.select(kinds, [IP, ETHERNET, 0x894F], NOT_IP)
    return np.where(told, inner, ETHERNET), at + 8


def _geneve(data, at, stop):
    """RFC 8926: options in words, then an EtherType's content."""
    first = byte_at(data, at, stop)
    kind = number_at(data, at + 2, stop)
    return np.where((first >> 6 == 0) & (kind > 1500), kind, NOT_IP), at + 8 + 4 * (first & 0x3F)


def _gtp(data, at, stop):
    """GTP-U version 1 (3GPP TS 29.281) with its extension headers; the user's packet is IP."""
    flags, message = byte_at(data, at, stop), byte_at(data, at + 1, stop)
    sound = (flags >> 5 == 1) & (message == 0xFF)
    behind = at + 8 + 4 * ((flags & 7) > 0)
    extended = sound & ((flags & 4) > 0)
    follows = np.where(extended, byte_at(data, at + 11, stop), 0)
    for _ in range(8):
        going = (follows > 0) & sound
        if not going.any():
            break
        length = 4 * byte_at(data, behind, stop)
        sound &= ~going | (length > 0)
        behind = np.where(going, behind + length, behind)
        follows = np.where(going, byte_at(data, behind - 1, stop), follows)
    return np.where(sound & (follows == 0), IP, NOT_IP), behind


def _capwap(data, at, stop):
    """RFC 5415: an 802.11 frame where the header says native, else 802.3."""
    first, second, third, fourth = (byte_at(data, at + k, stop) for k in range(4))
    sound = (first & 0x0F == 0) & (fourth & 0x80 == 0)  # no fragment of one
    native = (third & 1) > 0
    kind = np.where(native, WIRELESS, ETHERNET)
    return np.where(sound, kind, NOT_IP), at + 4 * (second >> 3)


def _teredo(data, at, stop):
    """RFC 4380: authentication and origin in front of an IPv6 packet."""
    authenticated = number_at(data, at, stop) == 1
    size = 13 + byte_at(data, at + 2, stop) + byte_at(data, at + 3, stop)
    at = np.where(authenticated, at + size, at)
    at = np.where(number_at(data, at, stop) == 0, at + 8, at)
    return np.where(byte_at(data, at, stop) >> 4 == 6, IP, NOT_IP), at


def _tzsp(data, at, stop):
    """TaZmen sniffer protocol: tags, then an Ethernet frame."""
    sound = (number_at(data, at, stop) == 0x0100) & (number_at(data, at + 2, stop) == 1)
    at, open_rows = at + 4, sound.copy()
    for _ in range(32):
        tag = byte_at(data, at, stop)
        size = np.where(tag <= 1, 1, 2 + byte_at(data, at + 1, stop))
        at = np.where(open_rows, at + size, at)
        open_rows &= (tag != 1) & (at < stop)
        if not open_rows.any():
            break
    return np.where(sound & ~open_rows, ETHERNET, NOT_IP), at


TUNNELS = (
    "", "IP in IP", "6in4", "GRE", "L2TPv3", "MPLS in IP", "GTP-U", "VXLAN", "VXLAN-GPE",
    "GENEVE", "L2TP", "CAPWAP", "Teredo", "TZSP",
)  # fmt: skip
_BY_PROTOCOL = {
    IPIP: ("IP in IP", _ip_in_ip),
    SIX_IN_FOUR: ("6in4", _ip_in_ip),
    GRE: ("GRE", _gre),
    L2TPV3: ("L2TPv3", _l2tp_ip),
    MPLS_IN_IP: ("MPLS in IP", _mpls_in_ip),
}
_BY_PORT = {
    1701: ("L2TP", _l2tp),
    2152: ("GTP-U", _gtp),
    3544: ("Teredo", _teredo),
    4789: ("VXLAN", _vxlan),
    4790: ("VXLAN-GPE", _vxlan_gpe),
    5247: ("CAPWAP", _capwap),
    6081: ("GENEVE", _geneve),
    8472: ("VXLAN", _vxlan),
    37008: ("TZSP", _tzsp),
}
_PORTS = np.zeros(1 << 16, np.uint8)
_PROTOCOLS = np.zeros(256, np.uint8)
_READERS = {}
for _name, _reader in [*_BY_PROTOCOL.values(), *_BY_PORT.values()]:
    _READERS[TUNNELS.index(_name)] = _reader
for _numbers, _known in ((_PROTOCOLS, _BY_PROTOCOL), (_PORTS, _BY_PORT)):
    for _number, (_name, _) in _known.items():
        _numbers[_number] = TUNNELS.index(_name)


def decode_tunnels(table, rows=None):
    """Put inner packets in the place of the tunnel's, in place.

    Parameters
    ----------
    table : PacketTable
    rows : ndarray of int, optional
        Where to look; everywhere by default.

    Returns
    -------
    ndarray of shape (n_decoded,), int64
        Rows that were in a tunnel.
    """
    found = []
    for _ in range(MAX_DEPTH):
        rows = _decode_once(table, rows)
        if not len(rows):
            break
        found.append(rows)
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def _tunnel_kinds(table, rows):
    """Say which tunnel each packet may be of; 0 for none."""
    protocol = table.protocol[rows]
    kind = _PROTOCOLS[protocol]
    udp = np.flatnonzero(protocol == UDP)
    if len(udp):
        ports = table.dst_port[rows][udp], table.src_port[rows][udp]
        by_port = [np.where(port >= 0, _PORTS[port], 0) for port in ports]
        kind[udp] = np.where(by_port[0] > 0, by_port[0], by_port[1])
    return kind


def _decode_once(table, rows):
    """Look one packet deeper; returns the rows where there was one."""
    rows = slice(None) if rows is None else rows
    kinds = _tunnel_kinds(table, rows)
    candidates = np.flatnonzero(kinds) if isinstance(rows, slice) else rows[kinds > 0]
    kinds = kinds[kinds > 0]
    # a later fragment has no header of the tunnel
    whole = table.fragment[candidates] < 2
    candidates, kinds = candidates[whole], kinds[whole]
    if not len(candidates):
        return candidates
    data, stop = table.data, table.stop[candidates]
    at = np.where(kinds <= 5, table.transport[candidates], table.payload[candidates])
    header = np.full(len(at), NOT_IP)
    for kind in np.flatnonzero(np.bincount(kinds)).tolist():
        same = np.flatnonzero(kinds == kind)
        header[same], at[same] = _READERS[kind](data, at[same], stop[same])
    at, vlan, state = walk(data, at, stop, header)
    good = np.flatnonzero(state == FOUND)
    candidates, kinds, at, vlan = candidates[good], kinds[good], at[good], vlan[good]
    # what the outer packet has left from the inner header on
    left = table.at[candidates] + table.size[candidates] - at
    inner = parse_headers(data, at, stop[good], np.maximum(left, 0))
    # the first fragment of a tunnel's packet may hold less than the inner packet says
    room = (inner.size <= left) | (table.fragment[candidates] == 1)
    fits = (inner.version > 0) & room & (inner.ip_header_size >= 20)
    rows = candidates[fits]
    inner.record, inner.time = table.record[candidates], table.time[candidates]
    inner.wire = table.wire[candidates]
    inner.vlan = np.where(vlan > 0, vlan, table.vlan[candidates]).astype(np.int32)
    inner.tunnel = kinds.astype(np.uint8)
    table.put(rows, inner.take(fits))
    return rows
