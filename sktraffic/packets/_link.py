"""Link layers: where the IP header of a frame begins, for all frames of a block at once.

nfstream reads Ethernet, raw IP, Linux cooked (version 1), loopback, PPP and Cisco HDLC. What it
passes over although IP lies inside (stacked VLAN tags of IEEE 802.1ad, Linux cooked version 2,
which today's ``tcpdump -i any`` writes, OpenBSD loopback, PPP with its address field, IP over
InfiniBand) is found here, so that `_survey.rewrite` can hand it over as plain Ethernet.
"""

import numpy as np

ETHERNET = 1
# what nfstream 6.6 was seen to read as it is
NATIVE = frozenset({0, 1, 9, 12, 50, 101, 104, 113, 228, 229})
NAMES = {
    0: "BSD loopback",
    1: "Ethernet",
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
    113: "Linux cooked v1",
    127: "IEEE 802.11 with radiotap",
    192: "per-packet information",
    195: "IEEE 802.15.4",
    228: "raw IPv4",
    229: "raw IPv6",
    239: "NFLOG",
    242: "IP over InfiniBand",
    276: "Linux cooked v2",
}

_IPV4, _IPV6 = 0x0800, 0x86DD
_VLAN = (0x8100, 0x88A8, 0x9100, 0x9200)
_MPLS = (0x8847, 0x8848)
_PPPOE = 0x8864
_FAMILIES = (2, 10, 24, 28, 30)  # AF_INET, and AF_INET6 as Linux, OpenBSD, FreeBSD, macOS number it


def link_name(link_type):
    """Name a link type for a message, such as ``Ethernet (1)``."""
    return f"{NAMES.get(link_type, 'link type')} ({link_type})"


class _Frames:
    """Bytes of many frames; reads beyond a frame's captured bytes give zeros."""

    def __init__(self, data, start, captured):
        self.data = np.frombuffer(data, np.uint8)
        self.start, self.captured = start, captured

    def byte(self, at):
        inside = (at >= 0) & (at < self.captured)
        where = np.where(inside, self.start + at, 0)
        if not len(self.data):
            return np.zeros(len(where), np.int64)
        return np.where(inside, self.data[where].astype(np.int64), 0)

    def word(self, at):
        return (self.byte(at) << 8) | self.byte(at + 1)


def network_offset(data, start, captured, link_type):
    """Find the IP header of each frame.

    Parameters
    ----------
    data : bytes-like
        What holds the frames.
    start, captured : ndarray of shape (n_frames,), int64
        Where each frame begins in `data`, and how many of its bytes are there.
    link_type : ndarray of shape (n_frames,), int64
        LINKTYPE numbers.

    Returns
    -------
    offset : ndarray of shape (n_frames,), int64
        Bytes before the IP header; -1 where there is none.
    vlan : ndarray of shape (n_frames,), int64
        Identifier of the innermost VLAN tag, 0 without one.
    stacked : ndarray of shape (n_frames,), bool
        Whether the frame has a tag that nfstream does not look behind.
    """
    offset = np.full(len(start), -1, np.int64)
    vlan = np.zeros(len(start), np.int64)
    stacked = np.zeros(len(start), bool)
    for kind in np.unique(link_type):
        rows = np.flatnonzero(link_type == kind)
        frames = _Frames(data, start[rows], captured[rows])
        if kind == ETHERNET:
            offset[rows], vlan[rows], stacked[rows] = _ethernet(frames)
        elif kind in _FINDERS:
            offset[rows] = _FINDERS[kind](frames)
    frames = _Frames(data, start, captured)
    version = frames.byte(np.maximum(offset, 0)) >> 4
    offset[(version != 4) & (version != 6)] = -1
    return offset, vlan, stacked


def _ethernet(frames):
    n = len(frames.start)
    at = np.full(n, 12, np.int64)
    kind = frames.word(at)
    vlan = np.zeros(n, np.int64)
    tags = np.zeros(n, np.int64)
    odd = np.zeros(n, bool)
    for _ in range(4):
        tagged = np.isin(kind, _VLAN)
        if not tagged.any():
            break
        tags += tagged
        odd |= tagged & (kind != _VLAN[0])
        vlan = np.where(tagged, frames.word(at + 2) & 0x0FFF, vlan)
        at = np.where(tagged, at + 4, at)
        kind = np.where(tagged, frames.word(at), kind)
    offset = _after_type(frames, kind, at + 2)
    return offset, vlan, odd


def _after_type(frames, kind, at):
    """Where IP begins behind an EtherType `kind` whose contents begin at `at`."""
    offset = np.where((kind == _IPV4) | (kind == _IPV6), at, -1)
    snap = (kind <= 1500) & (frames.word(at) == 0xAAAA) & (frames.byte(at + 2) == 3)
    if snap.any():
        inner = frames.word(at + 6)
        offset = np.where(snap & ((inner == _IPV4) | (inner == _IPV6)), at + 8, offset)
    session = kind == _PPPOE
    if session.any():
        offset = np.where(session & np.isin(frames.word(at + 6), (0x21, 0x57)), at + 8, offset)
    labelled = np.isin(kind, _MPLS)
    if labelled.any():
        below, last = at, ~labelled
        for _ in range(8):
            bottom = (frames.byte(below + 2) & 1).astype(bool)
            below = np.where(last, below, below + 4)
            last = last | bottom
        offset = np.where(labelled, below, offset)
    return offset


def _loopback(frames):
    big = frames.word(np.full(len(frames.start), 2))
    little = frames.byte(np.zeros(len(frames.start), np.int64))
    known = np.isin(big, _FAMILIES) | np.isin(little, _FAMILIES)
    return np.where(known, 4, -1)


def _raw(frames):
    return np.zeros(len(frames.start), np.int64)


def _cooked(frames):
    here = np.zeros(len(frames.start), np.int64)
    return _after_type(frames, frames.word(here + 14), here + 16)


def _cooked_2(frames):
    here = np.zeros(len(frames.start), np.int64)
    return _after_type(frames, frames.word(here), here + 20)


def _ppp(frames):
    here = np.zeros(len(frames.start), np.int64)
    at = np.where(frames.word(here) == 0xFF03, 2, 0)
    short = np.isin(frames.byte(at), (0x21, 0x57))
    full = np.isin(frames.word(at), (0x21, 0x57))
    offset = np.where(short, at + 1, np.where(full, at + 2, -1))
    # Cisco routers put their own framing under PPP's link type
    cisco = np.isin(frames.byte(here), (0x0F, 0x8F))
    return np.where(cisco, _hdlc(frames), offset)


def _pppoe(frames):
    here = np.zeros(len(frames.start), np.int64)
    return np.where(np.isin(frames.word(here + 6), (0x21, 0x57)), 8, -1)


def _hdlc(frames):
    here = np.zeros(len(frames.start), np.int64)
    return _after_type(frames, frames.word(here + 2), here + 4)


def _infiniband(frames):
    here = np.zeros(len(frames.start), np.int64)
    return _after_type(frames, frames.word(here + 40), here + 44)


_FINDERS = {
    0: _loopback,
    9: _ppp,
    12: _raw,
    14: _raw,
    50: _ppp,
    51: _pppoe,
    101: _raw,
    104: _hdlc,
    108: _loopback,
    113: _cooked,
    228: _raw,
    229: _raw,
    242: _infiniband,
    276: _cooked_2,
}
