"""What fuzzing starts from: small inputs for each harness, made from the bundled captures."""

import functools
import gzip
import lzma
import os
import struct
import tempfile

import numpy as np
from sklearn.preprocessing import StandardScaler

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import lab_captures
from sktraffic.packets import FileFacts, read_records
from sktraffic.persistence import save
from sktraffic.sessions import write_sessions
from tests.capture.craft import Craft

__all__ = ["regressions", "seeds"]

CORPUS = os.path.join(os.path.dirname(__file__), "corpus")
EXPORT = (
    '"No.","Time","Source","Destination","Protocol","Length","Info"\n'
    '"1","0.000000","10.0.0.1","10.0.0.2","TCP","74","40000 > 443 [SYN] Seq=0 Win=64240 Len=0"\n'
    '"2","0.010000","10.0.0.2","10.0.0.1","TCP","74","443 > 40000 [SYN, ACK] Seq=0 Ack=1 Len=0"\n'
    '"3","0.020000","10.0.0.1","10.0.0.2","TLSv1.3","583","Client Hello"\n'
)
FIELDS = (
    "frame.number\tframe.time_epoch\tip.src\tip.dst\tip.proto\ttcp.srcport\ttcp.dstport\tframe.len\n"
    "1\t1500000000.5\t10.0.0.1\t10.0.0.2\t6\t40000\t443\t74\n"
    "2\t1500000000.6\t10.0.0.2\t10.0.0.1\t6\t443\t40000\t74\n"
)


def regressions(name):
    """Yield (path, bytes) of the files that once broke a harness's promises."""
    folder = os.path.join(CORPUS, name)
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = os.path.join(folder, file)
        with open(path, "rb") as opened:
            yield path, opened.read()


@functools.cache
def seeds():
    """Return lists of bytes by the name of their harness."""
    captures = _captures()
    packets = [frame[14:] for frame in _frames()]
    lanes = [_lane(packets[i : i + 6]) for i in range(0, 36, 6)]
    talk = [_talk(packets[i : i + 8]) for i in range(0, 64, 8)]
    links = [bytes([0]) + _lane(_frames()[i : i + 4]) for i in range(0, 16, 4)]
    links += [bytes([link]) + _lane([bytes(size) + packets[0]]) for link, size in _FRONT.items()]
    tunnels = [*lanes, *(_lane([_in_tunnel(kind, packets[0])]) for kind in _TUNNELS)]
    return {
        "records": captures,
        "packets": captures,
        "extraction": captures,
        "links": links,
        "headers": tunnels,
        "tunnels": tunnels,
        "messages": talk,
        "stray_messages": lanes,
        "sessions": [_times(step) for step in (1, 10**6, 10**9, 10**12)],
        "exports": [EXPORT.encode(), FIELDS.encode(), EXPORT.replace(",", ";").encode("utf-16")],
        "heads": [_heads()],
        "archive": [_archive()],
        "parquet": [_parquet()],
        "tokens": lanes,
    }


@functools.cache
def _frames(most=80):
    """First frames of a bundled capture, without the longest."""
    found = []
    for block in read_records(lab_captures()[0][0], FileFacts()):
        for at, size in zip(block.at.tolist(), block.captured.tolist(), strict=True):
            if size <= 600:
                found.append(bytes(memoryview(block.data)[at : at + size]))
            if len(found) == most:
                return found
    return found


def _captures():
    craft = Craft()
    frames = [(1_500_000_000 + i, 10 * i, frame) for i, frame in enumerate(_frames()[:10])]
    plain = craft.pcap(frames)
    blocks = [craft.interface()]
    blocks += [craft.packet(frame, 10**15 + i * 10**5) for i, (*_, frame) in enumerate(frames)]
    simple = craft.block(3, struct.pack("<I", 60) + frames[0][2][:60])
    resolution = craft.interface(options=struct.pack("<HHB3xHHqHH", 9, 1, 9, 14, 8, 7, 0, 0))
    swapped = craft.pcapng(
        [craft.interface(order=">"), craft.packet(frames[1][2], 5, order=">")], ">"
    )
    return [
        plain,
        craft.pcap(frames[:3], order=">", magic=0xA1B23C4D),
        craft.pcap(frames[:3], magic=0xA1B2CD34, extra=bytes(8)),
        craft.pcapng(blocks),
        craft.pcapng([resolution, craft.packet(frames[0][2], 10**18), simple]) + swapped,
        gzip.compress(plain, mtime=0),
        lzma.compress(plain),
    ]


def _lane(pieces):
    """Write frames as harnesses read them, each behind its length."""
    return b"".join(struct.pack("<H", len(piece)) + piece for piece in pieces)


_FRONT = {2: 4, 4: 4, 9: 4, 10: 0, 15: 16, 16: 16, 20: 0, 26: 20, 29: 20}
_TUNNELS = ((4, b""), (47, b"\0\0\x08\0"), (17, 2152), (17, 4789), (17, 6081), (17, 1701))


def _in_tunnel(kind, packet):
    """Put an IP packet into another one, behind a tunnel's header."""
    protocol, inside = kind
    if protocol == 17:
        front = {
            2152: b"\x30\xff" + struct.pack(">HI", len(packet), 1),
            4789: b"\x08\0\0\0\0\0\x01\0" + bytes(12) + b"\x08\0",
            6081: b"\0\0\x08\0\0\0\x01\0",
            1701: b"\x00\x02\0\x01\0\x01\xff\x03\0\x21",
        }[inside]
        length = 8 + len(front) + len(packet)
        inside = struct.pack(">HHHH", inside, inside, length, 0) + front
    content = inside + packet
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 1, 0, 64, protocol, 0)
    return head + bytes([10, 1, 0, 1, 10, 1, 0, 2]) + content


def _talk(packets):
    """Payloads of packets as the harness of messages reads them."""
    out = []
    for i, packet in enumerate(packets):
        size = 4 * (packet[0] & 15)
        udp = packet[9] == 17
        head = 8 if udp else 4 * (packet[size + 12] >> 4)
        payload = packet[size + head :][:1000]
        out.append(bytes([i & 1 | 2 * udp, i, i, 0x18]) + struct.pack("<H", len(payload)) + payload)
    return b"".join(out)


def _times(step):
    """Packets as the harness of sessions reads them."""
    return b"".join(
        struct.pack("<qBBBB", i * step + 10**18, 1, i * 37 & 255, i, 2 if i % 5 == 0 else 16)
        for i in range(24)
    )


def _heads():
    """Rows of 160 bytes, each the beginning of a capture."""
    craft = Craft()
    return b"".join(
        craft.pcap([(10, 0, frame[:100])])[:160].ljust(160, b"\0") for frame in _frames()[:8]
    )


def _in_folder(write, name):
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, name)
        write(path)
        with open(path, "rb") as file:
            return file.read()


def _archive():
    model = StandardScaler().fit(np.arange(6.0).reshape(3, 2))
    return _in_folder(lambda path: save(model, path), "model.skt")


def _parquet():
    def write(path):
        capture = path + ".pcap"
        with open(capture, "wb") as file:
            file.write(_captures()[0])
        X = SessionExtractor(n_dissections=0).transform(capture)
        write_sessions(X.assign(capture="fuzz"), path)

    return _in_folder(write, "sessions.parquet")
