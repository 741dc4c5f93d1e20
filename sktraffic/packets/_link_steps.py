"""Headers between a link layer and IP: EtherTypes, LLC, PPP, MPLS and tags.

Each function takes ``(data, at, stop)``, arrays of one kind of header, and returns the kind of
the next header and its place; numbers behind a frame's end read as 0, and the walk notes that.
"""

import numpy as np

from sktraffic.packets._bytes import number_at
from sktraffic.packets._kinds import (
    CUT,
    ENCRYPTED,
    ETHERNET,
    FOUND,
    IP,
    LLC,
    MALFORMED,
    MPLS,
    NOT_IP,
    PPP,
)

__all__ = ["ETHER_TYPES", "STEPS", "byte_at", "ethernet", "llc", "ppp_protocol"]


def byte_at(data, at, stop):
    """One byte of each frame, 0 behind its end."""
    return number_at(data, at, stop, np.uint8)


def ethernet(data, at, stop):
    """Two addresses, then the EtherType, or a length and LLC."""
    return number_at(data, at + 12, stop), at + 14


def ip(data, at, stop):
    """Tell IP by its version, the upper half of the first byte."""
    version = byte_at(data, at, stop) >> 4
    kind = np.where((version == 4) | (version == 6), FOUND, MALFORMED)
    return np.where(at < stop, kind, CUT), at


def vlan_tag(data, at, stop):
    """802.1Q and its relatives: priority and identifier, then the next EtherType."""
    return number_at(data, at + 2, stop), at + 4


def e_tag(data, at, stop):
    """802.1BR: three words of port extender's channel, then the next EtherType."""
    return number_at(data, at + 6, stop), at + 8


def vn_tag(data, at, stop):
    """Cisco's VN-Tag: two words of interfaces, then the next EtherType."""
    return number_at(data, at + 4, stop), at + 6


def macsec(data, at, stop):
    """802.1AE: flags, short length, packet number and, if flagged, a channel of 8 bytes."""
    flags = byte_at(data, at, stop)
    behind = at + np.where(flags & 0x20, 14, 6)
    return np.where(flags & 0x0C, ENCRYPTED, number_at(data, behind, stop)), behind + 2


def provider_backbone(data, at, stop):
    """802.1ah: a service instance, then the customer's frame."""
    return np.full(len(at), ETHERNET), at + 4


def fabric_path(data, at, stop):
    """Cisco FabricPath: a tag, then the inner frame."""
    return np.full(len(at), ETHERNET), at + 2


def service_header(data, at, stop):
    """NSH, RFC 8300: the length in words, and what follows."""
    words = byte_at(data, at + 1, stop) & 0x3F
    follows = byte_at(data, at + 3, stop)
    kind = np.select(
        [(follows == 1) | (follows == 2), follows == 3, follows == 4, follows == 5],
        [IP, ETHERNET, 0x894F, MPLS],
        NOT_IP,
    )
    return kind, at + np.maximum(words * 4, 8)


def mpls(data, at, stop):
    """Take a label; behind the last one is IP, or a pseudowire with or without control word."""
    last = byte_at(data, at + 2, stop) & 1
    below = at + 4
    nibble = byte_at(data, below, stop) >> 4
    # an Ethernet pseudowire is told by the EtherType of the frame in it
    with_word = (nibble == 0) & _is_ether_type(number_at(data, below + 16, stop))
    without = _is_ether_type(number_at(data, below + 12, stop))
    carries_ip = (nibble == 4) | (nibble == 6)
    inner = np.select([carries_ip, with_word, without], [IP, ETHERNET, ETHERNET], NOT_IP)
    kind = np.where(last == 1, inner, MPLS)
    return np.where(below < stop, kind, CUT), below + 4 * ((last == 1) & ~carries_ip & with_word)


def _is_ether_type(number):
    return np.isin(number, list(ETHER_TYPES))


def llc(data, at, stop):
    """802.2: IP itself, or SNAP with an EtherType."""
    access = number_at(data, at, stop)
    snap = (access == 0xAAAA) & (byte_at(data, at + 2, stop) == 3)
    kind = number_at(data, at + 6, stop)
    kind = np.where(snap & (kind > 1500), kind, NOT_IP)
    direct = access == 0x0606
    return np.where(direct, IP, kind), at + np.where(snap, 8, 3)


def pppoe(data, at, stop):
    """Step over a session's header of 6 bytes, to PPP."""
    return ppp_protocol(data, at + 6, stop)


def ppp_protocol(data, at, stop):
    """PPP's protocol field: one byte where it is odd (compressed), else two."""
    first = byte_at(data, at, stop)
    short = first & 1
    return PPP + np.where(short, first, number_at(data, at, stop)), at + 2 - short


def ppp_ethernet(data, at, stop):
    """Bridging control (RFC 3518): flags and the kind of network, then a frame."""
    is_ethernet = byte_at(data, at + 1, stop) == 1
    return np.where(is_ethernet, ETHERNET, NOT_IP), at + 2


def jumbo(data, at, stop):
    """LLC in a frame that is longer than a length can say."""
    return llc(data, at, stop)


VLAN_TAGS = (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
ETHER_TYPES = {
    0x0800: ip,
    0x86DD: ip,
    **dict.fromkeys(VLAN_TAGS, vlan_tag),
    0x6558: ethernet,  # transparent bridging, as in GRE
    0x8847: mpls,
    0x8848: mpls,
    0x8864: pppoe,
    0x8870: jumbo,
    0x880B: ppp_protocol,
    0x88E5: macsec,
    0x88E7: provider_backbone,
    0x8903: fabric_path,
    0x8926: vn_tag,
    0x893F: e_tag,
    0x894F: service_header,
}
STEPS = {
    **ETHER_TYPES,
    IP: ip,
    LLC: llc,
    MPLS: mpls,
    PPP + 0x0021: ip,
    PPP + 0x0031: ppp_ethernet,
    PPP + 0x0057: ip,
    PPP + 0x0281: mpls,
    PPP + 0x0283: mpls,
}
