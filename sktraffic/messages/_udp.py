"""Messages of datagrams: port-bound protocols, and those known by their bytes or their session."""

import numpy as np

from sktraffic.messages._names import (
    dhcp_codes,
    dhcpv6_codes,
    dns_codes,
    llmnr_codes,
    mdns_codes,
    nbns_codes,
    question_types,
)
from sktraffic.messages._tls import dtls_codes
from sktraffic.messages._vocabulary import CODES
from sktraffic.packets import be16, be32

__all__ = ["QUIC", "looks_like_stun", "ntp_codes", "quic_codes", "stun_codes", "udp_codes"]

#: What a session speaks, kept in `SessionStates.speaks`; TCP's are in `_messages_tcp`.
QUIC, GQUIC, STUN, CLASSIC_STUN, DTLS, RTP = 101, 102, 103, 104, 105, 106

_MAGIC = 0x2112A442
_METHODS = {1: "Binding", 2: "Shared Secret", 3: "Allocate", 4: "Refresh", 6: "Send", 7: "Data",
            8: "CreatePermission", 9: "Channel-Bind"}  # fmt: skip
_CLASSES = ("Request", "Indication", "Success Response", "Error Response")
_STUN = np.full(0x4000, CODES["STUN: Other"], dtype=np.int16)
for _method, _name in _METHODS.items():
    for _class, _kind in enumerate(_CLASSES):
        _type = (_class >> 1) << 8 | (_class & 1) << 4 | _method
        _short = f"STUN: {_name} {_kind.split()[-1]}"
        _STUN[_type] = CODES.get(f"STUN: {_name} {_kind}", CODES.get(_short, _STUN[_type]))
_STUN[0x0004] = CODES["STUN: Send Indication"]
_STUN[0x0004] = CODES["STUN: Refresh Request"]
_STUN[0x0115] = CODES["STUN: Data Indication"]  # TURN before its RFC

_QUIC_1 = np.array([CODES[f"QUIC: {kind}"] for kind in (
    "Initial", "0-RTT", "Handshake", "Retry")], dtype=np.int16)  # fmt: skip
_QUIC_2 = np.roll(_QUIC_1, 1)
_VERSION_2 = 0x6B3343CF

_NTP = np.array([CODES[f"NTP: {kind}"] for kind in (
    "Other", "Symmetric", "Symmetric", "Client", "Server", "Broadcast", "Control", "Private")],
    dtype=np.int16)  # fmt: skip

_RTP_KINDS = {0: "PCMU", 8: "PCMA", 13: "Comfort Noise", 19: "Comfort Noise"}
_RTP = np.full(128, -1, dtype=np.int16)
_RTP[96:128] = CODES["RTP: Dynamic"]
_RTP[[3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 18]] = CODES["RTP: Other Audio"]
_RTP[[26, 28, 31, 32, 33, 34]] = CODES["RTP: Video"]
for _number, _kind in _RTP_KINDS.items():
    _RTP[_number] = CODES[f"RTP: {_kind}"]


def quic_codes(heads, length):
    """Name QUIC packets; (n, >= 27), (n,) -> (n,) int16, -1 where the head is no long one.

    The known versions are 1, 2, the drafts, and the experimental ones of their first users.
    """
    first, version = heads[:, 0], be32(heads, 1)
    draft = (version >= 0xFF000000 + 9) & (version <= 0xFF000000 + 34)
    facebook = (version & 0xFFFFFFF0) == 0xFACEB000
    known = (version == 1) | (version == _VERSION_2) | draft | facebook
    kind = (first >> 4) & 3
    codes = np.where(version == _VERSION_2, _QUIC_2[kind], _QUIC_1[kind])
    codes = np.where(version == 0, CODES["QUIC: Version Negotiation"], codes)
    google = ((version >> 16) == int.from_bytes(b"Q0")) | ((version >> 16) == int.from_bytes(b"T0"))
    known |= google
    grease = (version & 0x0F0F0F0F) == 0x0A0A0A0A
    good = (first >= 0xC0) & (known | grease)
    good |= _negotiates_version(heads, length)
    return np.where(good, codes, -1).astype(np.int16)


def _negotiates_version(heads, length):
    """Tell Version Negotiation: version 0, two connection ids, whole versions of four bytes."""
    target = np.minimum(heads[:, 5], 20).astype(np.int64)
    source = heads[np.arange(len(heads)), 6 + target].astype(np.int64)
    rest = length - 7 - target - source
    good = (heads[:, 0] >= 0x80) & (be32(heads, 1) == 0) & (heads[:, 5] <= 20) & (source <= 20)
    return good & (rest >= 4) & (rest % 4 == 0)


def gquic_codes(heads):
    """Name packets of Google's QUIC up to version Q043 and tell which ones give a version.

    Parameters
    ----------
    heads : ndarray of shape (n, >= 13), uint8

    Returns
    -------
    codes : ndarray of shape (n,), int16
    versioned : ndarray of shape (n,), bool
        The packet has a version, "Q0..", behind the connection id; it opens a session.
    """
    first = heads[:, 0]
    versioned = ((first & 0xC9) == 9) & (be16(heads, 9) == int.from_bytes(b"Q0"))
    codes = np.full(len(heads), CODES["QUIC: Protected Payload"], dtype=np.int16)
    codes[(first & 2) != 0] = CODES["QUIC: Other"]
    return codes, versioned


def _has_tag(heads):
    """Tell packets with a hello or its rejection in clear, message tags "CHLO" and "REJ"."""
    words = (heads[:, :-3].astype(np.uint32) << 24) | (heads[:, 1:-2].astype(np.uint32) << 16)
    words |= (heads[:, 2:-1].astype(np.uint32) << 8) | heads[:, 3:]
    tags = (int.from_bytes(b"CHLO"), int.from_bytes(b"REJ\0"))
    return ((words == tags[0]) | (words == tags[1])).any(axis=1)


def looks_like_stun(heads, length):
    """Tell STUN messages by magic cookie and length; (n, >= 8), (n,) -> (n,) bool."""
    size = be16(heads, 2)
    return (
        (heads[:, 0] < 0x40) & (be32(heads, 4) == _MAGIC) & (size + 20 <= length) & (length >= 20)
    )


def stun_codes(heads):
    """Name STUN messages by method and class; (n, >= 2) -> (n,) int16."""
    return _STUN[be16(heads, 0) & 0x3FFF]


def ntp_codes(heads):
    """Name NTP messages by mode; (n, >= 1) -> (n,) int16."""
    return _NTP[heads[:, 0] & 7]


def rtp_codes(heads, length):
    """Name RTP packets by payload type; -1 where version, type or length say it is none."""
    kind = heads[:, 1] & 127
    good = (heads[:, 0] >> 6 == 2) & (length >= 13)
    return np.where(good, _RTP[kind], -1).astype(np.int16)


def looks_like_rtcp(heads, length):
    """Tell RTCP packets by version, type and length; (n, >= 8), (n,) -> (n,) bool."""
    size = (be16(heads, 2) + 1) * 4
    kind = heads[:, 1]
    good = (heads[:, 0] & 0xE0 == 0x80) & (kind >= 200) & (kind <= 207)
    return good & (size <= length) & (size >= 8) & (length % 4 == 0)


# Kinds of well-known ports, by the order in which Wireshark would ask them.
_DNS, _MDNS, _LLMNR, _NBNS, _DHCP, _DHCPV6, _NTP_PORT = range(1, 8)
_PORTS = {53: _DNS, 5353: _MDNS, 5355: _LLMNR, 137: _NBNS, 67: _DHCP, 68: _DHCP, 546: _DHCPV6,
          547: _DHCPV6, 123: _NTP_PORT, 4011: _DHCP}  # fmt: skip
_PORT_KIND = np.zeros(65536, dtype=np.int8)
for _port, _number in _PORTS.items():
    _PORT_KIND[_port] = _number
_NAMERS = {_DNS: dns_codes, _MDNS: mdns_codes, _LLMNR: llmnr_codes, _NBNS: nbns_codes,
           _DHCP: dhcp_codes, _DHCPV6: dhcpv6_codes}  # fmt: skip


def udp_codes(batch, packets, codes):
    """Name datagrams of well-known ports in place; returns the packets that are left."""
    table = batch.table
    source, target = table.src_port[packets], table.dst_port[packets]
    low, high = np.minimum(source, target), np.maximum(source, target)
    kind = np.where(_PORT_KIND[low] > 0, _PORT_KIND[low], _PORT_KIND[high])
    for number in np.unique(kind[kind > 0]).tolist():
        rows = packets[kind == number]
        if number == _NTP_PORT:
            codes[rows] = ntp_codes(batch.heads(rows, 1))
        else:
            codes[rows] = _NAMERS[number](batch.data, table.payload[rows], table.stop[rows])
    return packets[kind == 0]


def read_datagrams(batch, packets, codes):
    """Name UDP datagrams with payload, in place.

    Parameters
    ----------
    batch : the batch of `MessageReader`
    packets : ndarray of shape (n,)
        Rising.
    codes : ndarray of shape (n_packets,), int16
    """
    packets = udp_codes(batch, packets, codes)
    if not len(packets):
        return
    table = batch.table
    heads, length = batch.heads(packets), batch.length[packets]
    source, target = table.src_port[packets], table.dst_port[packets]
    named = _classic_stun(heads, length, (source == 3478) | (target == 3478))
    dtls = dtls_codes(heads, length)
    named = np.where(dtls >= 0, dtls, named)
    stun = looks_like_stun(heads, length)
    kind = stun_codes(heads)
    named = np.where(stun & (kind != CODES["STUN: Other"]), kind, named)
    named = _foreign_dns(batch, packets, heads, length, named)
    # ESP in UDP (RFC 3948): four zero bytes would mark a key exchange, one byte a keep-alive.
    encapsulated = ((source == 4500) | (target == 4500)) & (length > 8) & (be32(heads, 0) != 0)
    named = np.where(encapsulated & (named < 0), CODES["IP: ESP"], named)
    named = _channel_data(batch, packets, heads, length, stun, named)
    dht = (heads[:, 0] == ord("d")) & (heads[:, 1] == ord("1")) & (heads[:, 2] == ord(":"))
    named = np.where(dht, CODES["BitTorrent: DHT"], named)
    named = _quic(batch, packets, heads, length, named)
    control = looks_like_rtcp(heads, length)
    named = np.where(control & (named < 0), CODES["RTP: Control"], named)
    rtp = _rtp(batch, packets, heads, length, named < 0)
    named = np.where(rtp >= 0, rtp, named)
    codes[packets] = np.where(named >= 0, named, codes[packets])


def _channel_data(batch, packets, heads, length, stun, named):
    """Name TURN's ChannelData (RFC 8656, section 12.4) in sessions that spoke STUN before."""
    states = batch.states
    since, first = batch.since_first(packets, packets[stun], states.speaks[batch.rows] == STUN)
    fresh = (first < len(batch.local)) & (states.speaks[batch.rows] == 0)
    states.speaks[batch.rows[fresh]] = STUN
    size = be16(heads, 2)
    channel = (heads[:, 0] >= 0x40) & (heads[:, 0] < 0x50) & (size + 4 <= length)
    channel &= length - size < 8
    return np.where(since & channel & (named < 0), CODES["STUN: ChannelData"], named)


def _foreign_dns(batch, packets, heads, length, named):
    """Name DNS messages at unusual ports: one question whose name, type and class are sound."""
    flags = be16(heads, 2)
    likely = (be16(heads, 4) == 1) & (length >= 17) & ((flags & 0x7800) == 0)
    likely &= ((flags & 0x8000) != 0) | ((be16(heads, 6) == 0) & (be16(heads, 8) == 0))
    likely &= ((flags & 0x0040) == 0) & (be16(heads, 10) <= 32) & (heads[:, 12] < 64)
    rows = np.flatnonzero(likely & (named < 0))
    if len(rows):
        start, stop = batch.table.payload[packets[rows]], batch.table.stop[packets[rows]]
        kind = question_types(batch.data, start, stop)
        rows, start, stop = (part[(kind > 0) & (kind < 261)] for part in (rows, start, stop))
        named = named.copy()
        named[rows] = dns_codes(batch.data, start, stop)
    return named


def _quic(batch, packets, heads, length, named):
    """Name QUIC packets, and all packets of sessions that a QUIC packet was seen in."""
    states = batch.states
    quic = quic_codes(heads, length)
    google, versioned = gquic_codes(heads)
    known = states.speaks[batch.rows]
    since, first = batch.since_first(packets, packets[quic >= 0], known == QUIC)
    states.speaks[batch.rows[first < len(batch.local)]] = QUIC
    old, first = batch.since_first(packets, packets[versioned], known == GQUIC)
    fresh = (first < len(batch.local)) & (states.speaks[batch.rows] == 0)
    states.speaks[batch.rows[fresh]] = GQUIC
    rows = np.flatnonzero(old)
    if len(rows):
        google[rows[_has_tag(batch.heads(packets[rows], 64))]] = CODES["QUIC: Initial"]
    # Inside a session an unknown version is read like version 1.
    kind = np.where(heads[:, 0] >= 0x80, _QUIC_1[(heads[:, 0] >> 4) & 3], CODES["QUIC: Other"])
    short = (heads[:, 0] & 0xC0) == 0x40
    inside = np.where(short, CODES["QUIC: Protected Payload"], kind)
    named = np.where(old, google, named)
    return np.where(since, np.where(quic >= 0, quic, inside), named)


def _classic_stun(heads, length, port):
    """Name STUN messages of RFC 3489, which have no magic cookie."""
    kind, size = be16(heads, 0), be16(heads, 2)
    known = ((kind & 0xFEEF) == 1) | ((kind & 0xFEEF) == 2)
    good = known & (size + 20 == length)
    return np.where(good, _STUN[kind & 0x3FFF], -1).astype(np.int16)


def _rtp(batch, packets, heads, length, free):
    """Name RTP in sessions where a stream's numbers have gone on from packet to packet."""
    named = rtp_codes(heads, length)
    rows = np.flatnonzero(free & (named >= 0))
    if not len(rows):
        return np.full(len(packets), -1, dtype=np.int16)
    states = batch.states
    number = be32(heads, 8) << 16 | be16(heads, 2)
    stream = batch.stream[packets]
    order = rows[np.argsort(stream[rows], kind="stable")]
    before = np.empty(len(order), dtype=np.int64)
    before[1:] = number[order[:-1]]
    opening = np.append(True, stream[order[1:]] != stream[order[:-1]])
    before[opening] = states.ssrc[stream[order[opening]]]
    closing = np.append(opening[1:], True)
    states.ssrc[stream[order[closing]]] = number[order[closing]]
    step = (number[order] - before) & 0xFFFF
    goes_on = (number[order] >> 16 == before >> 16) & (step > 0) & (step < 16) & (before >= 0)
    goes_on &= heads[order, 1] & 127 < 96
    marks = np.sort(packets[order[goes_on]])
    known = states.speaks[batch.rows] == RTP
    since, first = batch.since_first(packets, marks, known)
    fresh = (first < len(batch.local)) & (states.speaks[batch.rows] == 0)
    states.speaks[batch.rows[fresh]] = RTP
    return np.where(since & free, named, -1)
