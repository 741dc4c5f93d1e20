"""Link types of capture files: what their frames begin with.

Each function is a step of the walk in `_link`: it takes ``(data, at, stop)`` and returns the kind
of the next header and its place.
"""

import numpy as np

from sktraffic.packets._bytes import number_at
from sktraffic.packets._kinds import (
    AGGREGATE,
    ENCRYPTED,
    ETHERNET,
    IP,
    LINK_TYPE,
    LLC,
    NOT_IP,
    PPP_FRAME,
    WIRELESS,
)
from sktraffic.packets._link_steps import byte_at, ethernet, ip, ppp_protocol

__all__ = ["NAMES", "STEPS", "link_name"]

# AF_INET, and AF_INET6 as Linux, Windows, BSD systems and macOS number it
FAMILIES = (2, 10, 23, 24, 26, 28, 30)
NFLOG_PAYLOAD = 9
MAX_ATTRIBUTES = 64

NAMES = {
    0: "BSD loopback",
    1: "Ethernet",
    6: "Token Ring",
    8: "SLIP",
    9: "PPP",
    12: "raw IP",
    14: "raw IP",
    50: "PPP in HDLC framing",
    51: "PPPoE session",
    101: "raw IP",
    104: "Cisco HDLC",
    105: "IEEE 802.11",
    107: "Frame Relay",
    108: "OpenBSD loopback",
    109: "OpenBSD encapsulation",
    113: "Linux cooked v1",
    117: "OpenBSD packet filter log",
    119: "IEEE 802.11 with Prism header",
    127: "IEEE 802.11 with radiotap",
    138: "IP over IEEE 1394",
    149: "reserved for users; macOS packet tap",
    163: "IEEE 802.11 with AVS header",
    166: "PPP with direction",
    187: "Bluetooth HCI",
    189: "USB on Linux",
    192: "per-packet information",
    195: "IEEE 802.15.4",
    201: "Bluetooth HCI with direction",
    204: "PPP with direction",
    215: "IEEE 802.15.4 without preamble",
    220: "USB on Linux, padded",
    227: "CAN bus",
    228: "raw IPv4",
    229: "raw IPv6",
    230: "IEEE 802.15.4 without frame check",
    239: "NFLOG",
    242: "IP over InfiniBand",
    249: "USBPcap",
    251: "Bluetooth Low Energy",
    253: "netlink",
    258: "macOS packet tap",
    276: "Linux cooked v2",
    283: "IEEE 802.15.4 with tap header",
}


def link_name(link_type):
    """Name a link type for a message.

    Examples
    --------
    >>> from sktraffic.packets import link_name
    >>> link_name(195), link_name(147)
    ('IEEE 802.15.4 (195)', 'link type (147)')
    """
    return f"{NAMES.get(link_type, 'link type')} ({link_type})"


def loopback(data, at, stop):
    """Step over the address family, in the writer's byte order or (OpenBSD) the network's."""
    big = number_at(data, at + 2, stop)
    little = number_at(data, at, stop, "<u2")
    known = np.isin(big, FAMILIES) | np.isin(little, FAMILIES)
    return np.where(known, IP, NOT_IP), at + 4


def cooked(data, at, stop):
    """Linux, version 1: an EtherType behind 14 bytes; small numbers stand for LLC."""
    return _after_cooked(number_at(data, at + 14, stop)), at + 16


def cooked_2(data, at, stop):
    """Linux, version 2: the EtherType comes first, 20 bytes in all."""
    return _after_cooked(number_at(data, at, stop)), at + 20


def _after_cooked(kind):
    return np.select([kind == 4, kind <= 1500], [LLC, NOT_IP], kind)


def slip(data, at, stop):
    """Step over the direction and the compressed header that SLIP's writers put in front."""
    return np.full(len(at), IP), at + 16


def ppp(data, at, stop):
    """PPP, with its address and control bytes or without; Cisco's framing under the same type."""
    first = byte_at(data, at, stop)
    addressed = number_at(data, at, stop) == 0xFF03
    cisco = (first == 0x0F) | (first == 0x8F)
    kind, behind = ppp_protocol(data, at + 2 * addressed, stop)
    return np.where(cisco, number_at(data, at + 2, stop), kind), np.where(cisco, at + 4, behind)


def ppp_with_direction(data, at, stop):
    """Step over the byte that says who sent it."""
    return np.full(len(at), PPP_FRAME), at + 1


def pppoe_session(data, at, stop):
    """PPPoE without Ethernet in front."""
    return ppp_protocol(data, at + 6, stop)


def cisco_hdlc(data, at, stop):
    """Address, control, EtherType."""
    return number_at(data, at + 2, stop), at + 4


def frame_relay(data, at, stop):
    """Q.922 address of two to four bytes, then RFC 2427 or Cisco's EtherType."""
    size = np.full(len(at), 2)
    for place in (1, 2):
        size += (size == place + 1) & ((byte_at(data, at + place, stop) & 1) == 0)
    behind = at + size
    control = byte_at(data, behind, stop)
    behind_pad = behind + 1 + (byte_at(data, behind + 1, stop) == 0)
    identifier = byte_at(data, behind_pad, stop)
    snap = number_at(data, behind_pad + 4, stop)
    # bridged Ethernet with (1) or without (7) its frame check
    bridged = (number_at(data, behind_pad + 1, stop) == 0x0080) & np.isin(snap, (1, 7))
    standard = control == 3
    routed = standard & np.isin(identifier, (0xCC, 0x8E))
    with_snap = standard & (identifier == 0x80)
    kind = np.select(
        [routed, with_snap & bridged, with_snap & (snap > 1500), ~standard],
        [IP, ETHERNET, snap, number_at(data, behind, stop)],
        NOT_IP,
    )
    size = np.where(routed, behind_pad + 1, np.where(with_snap, behind_pad + 6, behind + 2))
    return kind, size


def token_ring(data, at, stop):
    """Two addresses behind two bytes, a source route where the sender's first bit says so."""
    routed = byte_at(data, at + 8, stop) >> 7
    return np.full(len(at), LLC), at + 14 + routed * (byte_at(data, at + 14, stop) & 0x1F)


def encapsulation(data, at, stop):
    """OpenBSD's enc: address family, index and flags."""
    return np.full(len(at), IP), at + 12


def filter_log(data, at, stop):
    """OpenBSD's pflog: its own length first, padded to words."""
    return np.full(len(at), IP), at + ((byte_at(data, at, stop) + 3) & ~3)


def firewire(data, at, stop):
    """IP over IEEE 1394: two addresses of 8 bytes, then the EtherType."""
    return number_at(data, at + 16, stop), at + 18


def infiniband(data, at, stop):
    """IP over InfiniBand: a routing header of 40 bytes, then the EtherType."""
    return number_at(data, at + 40, stop), at + 44


def nflog(data, at, stop):
    """Netfilter's log: attributes in the writer's byte order; the packet is one of them."""
    family = byte_at(data, at, stop)
    place = at + 4
    out = np.full(len(at), -1)
    open_rows = np.flatnonzero((family == 2) | (family == 10))
    for _ in range(MAX_ATTRIBUTES):
        here, end = place[open_rows], stop[open_rows]
        little, big = (number_at(data, here, end, f"{order}u2") for order in "<>")
        # an attribute is shorter than 256 bytes unless it is the packet, so one order makes sense
        kinds = [number_at(data, here + 2, end, f"{order}u2") & 0x7FFF for order in "<>"]
        is_little = kinds[0] < 256
        length = np.where(is_little, little, big)
        found = np.where(is_little, *kinds) == NFLOG_PAYLOAD
        out[open_rows[found]] = here[found] + 4
        going = ~found & (length >= 4)
        place[open_rows] = here + ((np.maximum(length, 4) + 3) & ~3)
        open_rows = open_rows[going & (place[open_rows] < end)]
        if not len(open_rows):
            break
    return np.where(out < 0, NOT_IP, IP), np.where(out < 0, at, out)


def packet_tap(data, at, stop):
    """PKTAP of macOS: its own length, 1 for a packet, and the link type of what follows."""
    length, kind, link = (number_at(data, at + k, stop, "<u4") for k in (0, 4, 8))
    sound = (length >= 12) & (kind == 1) & (link < 1 << 16)
    # a DLT number; that of raw IP is 12 or 14 there
    return np.where(sound, LINK_TYPE + link, NOT_IP), at + np.maximum(length, 12)


def per_packet_information(data, at, stop):
    """PPI: its length, and the link type of what follows."""
    length = number_at(data, at + 2, stop, "<u2")
    link = number_at(data, at + 4, stop, "<u4")
    kind = np.where(link < 1 << 16, LINK_TYPE + link, NOT_IP)
    return kind, at + np.maximum(length, 8)


def radiotap(data, at, stop):
    """Radiotap: its length; flags say whether the 802.11 header is padded to words."""
    length = number_at(data, at + 2, stop, "<u2")
    present = number_at(data, at + 4, stop, "<u4")
    words = np.ones(len(at), np.int64)
    for k in range(1, 8):  # further words of presence
        more = number_at(data, at + 4 * k, stop, "<u4") >> 31
        words += (words == k) & (more == 1)
    # the flags stand behind the words and, if present, an aligned time of 8 bytes
    flags_at = 4 + 4 * words
    flags_at = np.where(present & 1, ((flags_at + 7) & ~7) + 8, flags_at)
    flags = byte_at(data, at + flags_at, stop) * ((present >> 1) & 1)
    return _wireless(data, at + np.maximum(length, 8), stop, (flags & 0x20) > 0)


def prism(data, at, stop):
    """Prism: its length in the second word, in the writer's order; else an AVS header."""
    little, big = (number_at(data, at + 4, stop, f"{order}u4") for order in "<>")
    avs = (number_at(data, at, stop, ">u4") & 0xFFFFF000) == 0x80211000
    length = np.where(avs, big, np.minimum(little, big))
    return np.full(len(at), WIRELESS), at + np.maximum(length, 8)


def wireless(data, at, stop):
    """IEEE 802.11 data frames; in a tunnel of Cisco's the first two bytes may be exchanged."""
    return _wireless(data, at, stop, False)


def _wireless(data, at, stop, padded):
    control = number_at(data, at, stop, "<u2")
    swapped = ((control & 3) != 0) & (control >> 8 & 3 == 0)
    control = np.where(swapped, (control >> 8) | (control & 0xFF) << 8, control)
    is_data = (control & 0x0F) == 0x08
    empty = control & 0x40
    quality = (control >> 7) & 1
    four_addresses = (control & 0x0300) == 0x0300
    size = 24 + 6 * four_addresses
    # bit 7 of the quality of service: several packets in one frame
    aggregate = quality & (byte_at(data, at + size, stop) >> 7)
    size = size + 2 * quality + 4 * (quality & (control >> 15))
    size = np.where(padded, (size + 3) & ~3, size)
    kind = np.select(
        [~is_data | (empty > 0), (control & 0x4000) > 0, aggregate > 0],
        [NOT_IP, ENCRYPTED, AGGREGATE],
        LLC,
    )
    return kind, np.where(kind == LLC, at + size, at)


STEPS = {
    0: loopback,
    1: ethernet,
    6: token_ring,
    8: slip,
    9: ppp,
    12: ip,
    14: ip,
    50: ppp,
    51: pppoe_session,
    101: ip,
    104: cisco_hdlc,
    105: wireless,
    107: frame_relay,
    108: loopback,
    109: encapsulation,
    113: cooked,
    117: filter_log,
    119: prism,
    127: radiotap,
    138: firewire,
    149: packet_tap,
    163: prism,
    166: ppp_with_direction,
    192: per_packet_information,
    204: ppp_with_direction,
    228: ip,
    229: ip,
    239: nflog,
    242: infiniband,
    258: packet_tap,
    276: cooked_2,
}
STEPS = {LINK_TYPE + number: step for number, step in STEPS.items()} | {WIRELESS: wireless}
