"""Where sessions are meant to differ from nfstream's, each kind by a capture of a few packets.

`benchmarks/same_sessions.py` puts every difference on whole sets of captures down to one of these.
"""

import json
import struct
import subprocess
import sys

import pytest

from sktraffic.capture import SessionExtractor
from tests.capture.craft import Craft
from tests.messages._build import ip4, ip6, tcp, tcp4, udp, udp4

pytestmark = pytest.mark.filterwarnings("ignore::sktraffic.capture.CaptureWarning")
SCRIPT = """
import json, sys
from nfstream import NFStreamer
for path in sys.argv[1:]:
    print(json.dumps([
        [f.src_ip, f.dst_ip, f.src_port, f.dst_port, f.protocol, f.bidirectional_packets,
         f.bidirectional_bytes, f.bidirectional_duration_ms]
        for f in NFStreamer(source=path, n_meters=1, n_dissections=0)]))
"""
A, B = "10.0.0.1", "10.0.0.2"  # the ends of the hand-made packets
craft = Craft()


def capture(*packets, times=None, **options):
    """Return a file of Ethernet frames, a second apart."""
    frames = [packet if isinstance(packet, tuple) else (packet,) for packet in packets]
    times = times or range(len(frames))
    return craft.pcap(
        [(1_500_000_000 + t, 0, craft.ethernet(frame[0]), *frame[1:])
         for t, frame in zip(times, frames, strict=True)], **options
    )  # fmt: skip


def without_length(packet):
    """Return an IPv4 packet as segmentation offload hands it over."""
    return packet[:2] + b"\0\0" + packet[4:]


def sctp4(payload=b"data"):
    """Return an IPv4 packet with SCTP inside."""
    return ip4(struct.pack(">HHII", 50000, 36412, 1, 0) + payload, 132)


def vxlan(frame):
    """Return a VXLAN packet."""
    return udp4(b"\x08\0\0\0\0\0\x05\0" + frame, ports=(40000, 4789))


SYN_ACK = tcp4(back=True, flags=0x12)
ACK = tcp4(flags=0x10)
FIRST = ip4(udp(b"a" * 24, length=56), 17, fragment=0x2000)
LATER = ip4(b"b" * 24, 17, fragment=4)
INNER = craft.ethernet(udp4(b"dns?", ports=(5353, 53)))
AH = ip4(struct.pack(">BBHII", 17, 4, 0, 1, 1) + bytes(12) + udp(b"xy"), 51)
FABRIC_PATH = bytes(12) + b"\x89\x03\x40\x20" + craft.ethernet(udp4(b"xy"))

# reason -> file, then sessions as (source, target, ports, protocol, packets, frame bytes, duration
# in ms): nfstream's, and ours where they are others
CASES = {
    "client": (
        capture(SYN_ACK, ACK),
        [(B, A, 443, 50000, 6, 2, 108, 1000)],
        [(A, B, 50000, 443, 6, 2, 108, 1000)],
    ),
    "clock": (  # the second of four time stamps is a year ahead
        capture(*[udp4(b"x")] * 4, times=(0, 31_536_000, 1, 2)),
        [(A, B, 50000, 5000, 17, 1, 43, 0), (A, B, 50000, 5000, 17, 3, 129, 0)],
        [(A, B, 50000, 5000, 17, 4, 172, 2000)],
    ),
    "fragments": (
        capture(FIRST, LATER),
        [(A, B, 50000, 5000, 17, 1, 66, 0)],
        [(A, B, 50000, 5000, 17, 2, 124, 1000)],
    ),
    "offload": (
        capture(tcp4(b"x"), without_length(tcp4(b"y" * 3000))),
        [(A, B, 50000, 443, 6, 1, 55, 0)],
        [(A, B, 50000, 443, 6, 2, 3109, 1000)],
    ),
    "ports": (
        capture(sctp4()),
        [(A, B, 0, 0, 132, 1, 50, 0)],
        [(A, B, 50000, 36412, 132, 1, 50, 0)],
    ),
    "tunnel": (
        capture(vxlan(INNER)),
        [(A, B, 40000, 4789, 17, 1, 96, 0)],
        [(A, B, 5353, 53, 17, 1, 96, 0)],
    ),
    "extension": (
        capture(AH),
        [(A, B, 0, 0, 51, 1, 68, 0)],
        [(A, B, 50000, 5000, 17, 1, 68, 0)],
    ),
}


@pytest.fixture(scope="module")
def nfstream(tmp_path_factory):
    """Return what nfstream says of each case, and the files."""
    folder = tmp_path_factory.mktemp("cases")
    paths = {name: folder / f"{name}.pcap" for name in CASES}
    for name, path in paths.items():
        path.write_bytes(CASES[name][0])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, paths.values())],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = map(json.loads, done.stdout.splitlines())
    flows = dict(zip(paths, lines, strict=True))
    return {name: (paths[name], sorted(map(tuple, flows[name]))) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_sessions_differ_for_a_reason(nfstream, name):
    """What nfstream says, and what is right."""
    path, flows = nfstream[name]
    _, theirs, ours = CASES[name]
    assert flows == sorted(theirs)
    X = SessionExtractor(size="frame", n_dissections=0).transform(path)
    columns = [
        "src_ip",
        "dst_ip",
        "src_port",
        "dst_port",
        "protocol",
        "packet_count",
        "total_bytes",
    ]
    rows = X[columns].assign(ms=(X["duration"] * 1000).round()).values.tolist()
    assert sorted(map(tuple, rows)) == sorted(ours)


def read(tmp_path, content, **settings):
    """Return the one session of a file, as a dict."""
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    X = SessionExtractor(n_dissections=0, **settings).transform(path)
    (row,) = X.to_dict("records")
    return row


@pytest.mark.parametrize("packet", [tcp4(flags=0x10), ip6(udp(b"xy"), 17)])
def test_padding_is_no_part_of_a_packet(tmp_path, packet):
    """Ethernet fills frames up to 60 bytes."""
    row = read(tmp_path, capture(packet + b"\xaa" * 6))
    assert list(row["packet_bytes"]) == [packet]


@pytest.mark.parametrize(
    ("packet", "payload"),
    [
        (ip4(struct.pack(">II", 1, 1) + b"c" * 16, 50), 16),
        (ip4(b"\0\0\x88\xb5" + b"g" * 10, 47), 10),
        (sctp4(b"d" * 4), 4),
        (ip4(b"o" * 44, 89), 44),
    ],
    ids=["ESP", "GRE", "SCTP", "OSPF"],
)
def test_protocols_without_a_plugin_have_payload(tmp_path, packet, payload):
    """What nfstream says of all but TCP, UDP and ICMP is 0."""
    assert list(read(tmp_path, capture(packet))["packet_payload_size"]) == [payload]


def test_what_was_cut_is_missing(tmp_path):
    """Thirty bytes of an IPv4 packet hold the ports, not the flags."""
    packet = tcp4(b"x" * 100)
    row = read(tmp_path, capture((packet[:30], 14 + len(packet))))
    assert (row["src_port"], row["dst_port"], row["packet_count"]) == (50000, 443, 1)
    assert row["packet_payload_size"] is None
    assert row["packet_flags"] is None
    assert list(row["packet_size"]) == [140]


def test_a_malformed_header_has_no_payload_size(tmp_path):
    """The data offset of a TCP header cannot be below five words."""
    packet = ip4(tcp(b"x" * 10, ports=(50000, 443))[:12] + b"\x10" + bytes(17), 6)
    row = read(tmp_path, capture(packet))
    assert (row["src_port"], row["packet_payload_size"]) == (50000, None)


def test_nanoseconds_under_the_microsecond_magic(tmp_path):
    """Fractions of a second beyond a million prove it."""
    frames = [(1_500_000_000, ns, craft.ethernet(udp4(b"x"))) for ns in (10_000_000, 80_000_000)]
    row = read(tmp_path, craft.pcap(frames))
    assert row["duration"] == pytest.approx(0.07)


def test_link_layers_that_nfstream_does_not_read(tmp_path):
    """Per-packet information, and Cisco's FabricPath in front of Ethernet."""
    ppi = struct.pack("<BBHI", 0, 0, 8, 1) + craft.ethernet(udp4(b"xy"))
    for frame, link_type in ((ppi, 192), (FABRIC_PATH, 1)):
        row = read(tmp_path, craft.pcap([(1, 0, frame)], link_type=link_type))
        assert (row["src_port"], row["dst_port"], row["protocol"]) == (50000, 5000, 17)
