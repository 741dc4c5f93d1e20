"""A small reader of capture files for tests: frames, their IP bytes, and five-tuple sessions.

It is independent of the package's own capture engine: plain struct, one frame at a time.
"""

import struct

import numpy as np

from sktraffic.packets import PacketSessions, parse_headers

_MAGIC = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<",
          b"\xa1\xb2\x3c\x4d": ">"}  # fmt: skip
_TAGS = (0x8100, 0x88A8, 0x9100)


def read_frames(path):
    """Yield (link type, captured bytes) of every frame of a pcap or pcapng file."""
    content = path.read_bytes()
    if content[:4] == b"\x0a\x0d\x0d\x0a":
        yield from _pcapng(content)
    elif content[:4] in _MAGIC:
        yield from _pcap(content)
    else:
        raise ValueError(f"{path} is no pcap or pcapng file (it begins with {content[:4]!r})")


def _pcap(content):
    order = _MAGIC[content[:4]]
    link = struct.unpack_from(order + "I", content, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(content):
        size = struct.unpack_from(order + "I", content, at + 8)[0]
        if at + 16 + size > len(content):
            return
        yield link, content[at + 16 : at + 16 + size]
        at += 16 + size


def _pcapng(content):
    at, order, links = 0, "<", []
    while at + 12 <= len(content):
        if content[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if content[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, size = struct.unpack_from(order + "II", content, at)
        if size < 12 or at + size > len(content):
            return
        if kind == 1:
            links.append(struct.unpack_from(order + "H", content, at + 8)[0])
        elif kind == 6:
            interface, _, _, captured = struct.unpack_from(order + "IIII", content, at + 8)
            yield links[interface], content[at + 28 : at + 28 + captured]
        elif kind == 3:
            yield links[0], content[at + 12 : at + size - 4]
        at += size


def ip_bytes(link, frame):
    """Return the bytes of a frame from its IP header on, or nothing."""
    found = _behind_link(link, frame)
    if found and found[0] >> 4 in (4, 6):
        return found
    return b""


def _behind_link(link, frame):
    if link == 1:
        return _behind_type(frame, 12)
    if link == 113:
        return _behind_type(frame, 14)
    if link == 276:
        return _behind_type(frame[:2] + frame[20:], 0)
    if link in (0, 108):
        return frame[4:]
    if link in (12, 14, 101, 228, 229):
        return frame
    if link in (9, 50):
        start = 2 if frame[:2] == b"\xff\x03" else 0
        return frame[start + 2 :] if frame[start : start + 2] in (b"\0\x21", b"\0\x57") else b""
    if link == 104:
        return _behind_type(frame, 2)
    return b""


def _behind_type(frame, at):
    """Follow EtherTypes: VLAN tags, PPPoE sessions, MPLS labels, SNAP."""
    while at + 2 <= len(frame):
        kind = struct.unpack_from(">H", frame, at)[0]
        if kind in (0x0800, 0x86DD):
            return frame[at + 2 :]
        if kind in _TAGS:
            at += 4
        elif kind == 0x8864 and frame[at + 8 : at + 10] in (b"\0\x21", b"\0\x57"):
            return frame[at + 10 :]
        elif kind == 0x8847:
            at += 2
            while at + 4 <= len(frame) and not frame[at + 2] & 1:
                at += 4
            return frame[at + 4 :]
        elif kind <= 1500 and frame[at + 2 : at + 8] == b"\xaa\xaa\x03\0\0\0":
            at += 8
        else:
            return b""
    return b""


def five_tuple(packet):
    """Return (session key, direction) of a packet's bytes from the IP header on."""
    if packet[0] >> 4 == 4:
        source, target, protocol = packet[12:16], packet[16:20], packet[9:10]
        at = (packet[0] & 15) * 4
        first = not (struct.unpack(">H", packet[6:8].ljust(2, b"\0"))[0] & 0x1FFF)
    else:
        source, target, protocol = packet[8:24], packet[24:40], packet[6:7]
        at, first = 40, True
    ports = packet[at : at + 4] if first and protocol in (b"\x06", b"\x11") else b""
    one, two = (source, ports[:2]), (target, ports[2:])
    return (protocol, min(one, two), max(one, two)), (1 if one <= two else -1)


class Packets:
    """The IP packets of a capture as `MessageReader` wants them.

    Attributes
    ----------
    frame : which frame of the file each is, from 1
    data, offsets, session, direction : arrays
    """

    def __init__(self, packets, frame=None):
        keys = {}
        self.frame = np.arange(1, len(packets) + 1) if frame is None else np.array(frame, dtype=int)
        self.data = np.frombuffer(b"".join(packets), dtype=np.uint8)
        sizes = np.array([len(p) for p in packets], dtype=np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        session, direction = [], []
        for packet in packets:
            key, sign = five_tuple(packet)
            number, first = keys.setdefault(key, (len(keys), sign))
            session.append(number)
            direction.append(1 if sign == first else -1)
        self.session = np.array(session, dtype=np.int64)
        self.direction = np.array(direction, dtype=np.int8)

    def __len__(self):
        return len(self.session)

    def read(self, reader, begin=0, end=None):
        """Give packets begin to end to a reader; their codes."""
        end = len(self) if end is None else end
        rows = slice(begin, end)
        table = parse_headers(self.data, self.offsets[:-1][rows], self.offsets[1:][rows])
        sessions = PacketSessions.given(table, self.session[rows], self.direction[rows])
        return reader.read(table, sessions)


def load(path, cut=1536):
    """Read the IP packets of a capture file, cut as the extractor cuts them."""
    packets, frames = [], []
    for number, (link, frame) in enumerate(read_frames(path), 1):
        packet = ip_bytes(link, frame)
        if packet:
            packets.append(packet[:cut])
            frames.append(number)
    return Packets(packets, frames)
