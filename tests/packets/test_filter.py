"""Filters in libpcap's language: libpcap and tcpdump on plain frames say what must come out."""

import pickle
import shutil
import struct
import subprocess
import sys

import cypcap
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.packets import PacketFilter, PacketTable, compile_filter, read_packets
from tests.capture.craft import Craft
from tests.messages._build import ip4, ip6, tcp, tcp4, udp, udp4

FILTERS = """
tcp port 443
not port 53
udp
ip6
host 10.0.0.1 and not tcp
src host 10.0.0.2
dst net 10.0.0.0/30
host 6161:6161:6161:6161:6161:6161:6161:6161
portrange 400-500 or icmp
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0
tcp[((tcp[12] & 0xf0) >> 2):2] = 0x1603
ip[2:2] / 3 > 20 and ip[8] % 7 = 1
ip[2:2] * 2 - 10 < 200 or ip[9] ^ 6 = 0
ip[6:2] & 0x1fff != 0
(ip[0] & 0xf) << 2 > 20
udp[4:2] > 12 and udp[8:4] = 0x61626364
tcp src port 443 and tcp dst port 50000
ip proto 47 or ip6 proto 17
ip6[6] = 44
sctp port 7
not arp
""".strip().splitlines()

# what stands before a packet: (link type, bytes before IPv4, bytes before IPv6)
MACS = bytes(12)
QINQ = MACS + b"\x88\xa8\0\x09\x81\0\0\x05"
PPPOE = MACS + b"\x88\x64\x11\0\0\x01\0\x64"
DRESSES = {
    "plain": (1, MACS + b"\x08\x00", MACS + b"\x86\xdd"),
    "vlan": (1, MACS + b"\x81\0\0\x05\x08\0", MACS + b"\x81\0\0\x05\x86\xdd"),
    "qinq": (1, QINQ + b"\x08\0", QINQ + b"\x86\xdd"),
    "pppoe": (1, PPPOE + b"\0\x21", PPPOE + b"\0\x57"),
    "mpls": (1, MACS + b"\x88\x47\0\x01\x01\x40", MACS + b"\x88\x47\0\x01\x01\x40"),
    "sll": (113, bytes(14) + b"\x08\0", bytes(14) + b"\x86\xdd"),
    "sll2": (276, b"\x08\0" + bytes(18), b"\x86\xdd" + bytes(18)),
    "raw": (101, b"", b""),
}  # fmt: skip


def mixture():
    """Packets of many kinds: options, extension headers, fragments, cut ones."""
    whole = [
        tcp4(b"\x16\x03\x03" + bytes(60)), tcp4(back=True, flags=0x12), tcp4(flags=0x02),
        udp4(b"abcdefgh", ports=(50000, 53)), udp4(b"abcdefgh", back=True, ports=(50000, 53)),
        ip4(tcp(b"\x16\x03\x01", options=bytes(8)), 6, options=bytes(12)),
        ip4(tcp(bytes(99), ports=(401, 402)), 6, fragment=0x2000), ip4(bytes(80), 17, fragment=20),
        ip4(b"\x08\0" + bytes(30), 1), ip4(bytes(24), 47),
        ip4(struct.pack(">HHII", 7, 9, 0, 0), 132),
        ip6(tcp(b"hello"), 6), ip6(udp(b"abcd", ports=(53, 4)), 17), ip6(bytes(8), 58),
        ip6(udp(b"abcd" * 9, ports=(3, 443)), 17, b"\x11\0\0\1" + bytes(4), first=44),
    ]  # fmt: skip
    return whole + [packet[:cut] for packet in whole for cut in (22, 41, 45)]


def write(path, dress, packets):
    link, four, six = DRESSES[dress]
    frames = [(four if packet[0] >> 4 == 4 else six) + packet for packet in packets]
    path.write_bytes(Craft.pcap([(1, i, f, len(f) + 50) for i, f in enumerate(frames)], link))
    return PacketTable.concatenate(read_packets(path))


def passes(program, data):
    return bool(program.offline_filter(cypcap.Pkthdr(0, len(data), len(data)), data))


def by_libpcap(text, packets):
    """Ask libpcap's own machine about the packets as plain Ethernet frames."""
    program = cypcap.compile(cypcap.DatalinkType.EN10MB, 262144, text, True, 0)
    _, four, six = DRESSES["plain"]
    frames = [(four if packet[0] >> 4 == 4 else six) + packet for packet in packets]
    return [passes(program, frame) for frame in frames]


@pytest.mark.parametrize("dress", DRESSES)
def test_whatever_stands_before_it_a_packet_is_filtered_as_a_plain_one(tmp_path, dress):
    """Behind tags, labels, PPPoE and cooked headers the answers are libpcap's on plain frames."""
    packets = mixture()
    table = write(tmp_path / "x.pcap", dress, packets)
    seen = [packets[record] for record in table.record]
    assert len(seen) > 50
    for text in FILTERS:
        found = compile_filter(text).match(table)
        assert found.tolist() == by_libpcap(text, seen), text
        assert found.any(), text


WORDS = st.integers(0, 2**32 - 1)
PLACES = st.integers(0, 24)
LOADS = [0x20, 0x28, 0x30, 0x40, 0x48, 0x50]
JUMPS = [0x15, 0x25, 0x35, 0x45, 0x1D, 0x2D, 0x3D, 0x4D]


@st.composite
def programs(draw):
    """Random programs whose jumps go forward, as libpcap's do."""
    n = draw(st.integers(1, 14))
    out = []
    for left in range(n, 0, -1):
        plain = st.one_of(
            st.tuples(st.sampled_from([*LOADS, 0xB1]), PLACES),  # loads, the IP header's length
            st.tuples(st.sampled_from([0x00, 0x01, 0x80, 0x07, 0x87, 0x0C, 0x1C, 0x2C, 0x3C,
                                       0x4C, 0x5C, 0x6C, 0x7C, 0x84, 0x9C, 0xAC, 0x04, 0x14,
                                       0x24, 0x44, 0x54, 0xA4]), WORDS),
            st.tuples(st.sampled_from([0x34, 0x94]), st.integers(1, 1000)),  # divisions
            st.tuples(st.sampled_from([0x64, 0x74]), st.integers(0, 31)),  # shifts
            st.tuples(st.sampled_from([0x02, 0x03, 0x60, 0x61]), st.integers(0, 15)),  # memory
        )  # fmt: skip
        jump = st.integers(0, left - 1)
        step = draw(
            st.one_of(
                plain.map(lambda pair: (pair[0], 0, 0, pair[1])),
                st.tuples(st.sampled_from(JUMPS), jump, jump, st.one_of(WORDS, PLACES)),
                st.tuples(st.just(0x05), st.just(0), st.just(0), jump),
            )
        )
        out.append(step)
    cells = [(0x02, 0, 0, k) for k in range(16)]  # libpcap leaves the memory as it finds it
    return [
        *cells,
        *out,
        draw(st.sampled_from([(0x16, 0, 0, 0), (0x06, 0, 0, 1), (0x06, 0, 0, 0)])),
    ]


@given(programs(), st.lists(st.binary(min_size=0, max_size=30), min_size=1, max_size=8))
def test_any_program_gives_what_libpcaps_machine_gives(program, packets):
    """Every instruction, on bytes that end too early as well."""
    table = PacketTable.blank(len(packets), b"".join(packets))
    sizes = np.array([len(packet) for packet in packets])
    table.stop, table.wire = np.cumsum(sizes), sizes
    table.at = table.stop - sizes
    machine = cypcap.BpfProgram(program)
    expected = [passes(machine, packet) for packet in packets]
    assert PacketFilter("", tuple(program)).match(table).tolist() == expected


def test_vlan_asks_for_the_innermost_tag(tmp_path):
    """`vlan` moves no other word's place, and may stand anywhere."""
    packets = mixture()
    tagged = write(tmp_path / "x.pcap", "qinq", packets)
    plain = write(tmp_path / "y.pcap", "plain", packets)
    port = compile_filter("tcp port 443").match(tagged)
    for text in (
        "vlan and tcp port 443",
        "tcp port 443 and vlan 5",
        "vlan 0x5 and port 443 and tcp",
    ):
        np.testing.assert_array_equal(compile_filter(text).match(tagged), port)
        assert not compile_filter(text).match(plain).any()
    assert not compile_filter("vlan 9").match(tagged).any()
    assert compile_filter("not vlan").match(plain).all()
    np.testing.assert_array_equal(compile_filter("vlan 9 or tcp port 443").match(tagged), port)


def test_len_is_the_frames_length_on_the_wire(tmp_path):
    """As tcpdump has it, captured or not."""
    table = write(tmp_path / "x.pcap", "plain", mixture())
    middle = int(np.median(table.wire))
    found = compile_filter(f"greater {middle}").match(table)
    np.testing.assert_array_equal(found, table.wire >= middle)


@pytest.mark.skipif(not shutil.which("tcpdump"), reason="tcpdump is not installed")
@pytest.mark.parametrize(
    "text", ["tcp port 443", "not port 53 and len > 100", "ip6 or arp", "tcp[13] & 2 != 0"]
)
def test_real_captures_are_filtered_as_by_tcpdump(traffic_data, tmp_path, text):
    """The same records pass as tcpdump writes, on captures without tags."""
    compiled, seen = compile_filter(text), 0
    for path in sorted(traffic_data.rglob("*.pcap"))[:40]:
        reader = read_packets(path)
        table = PacketTable.concatenate(reader)
        if reader.facts.link_types != {1} or reader.facts.damage or table.vlan.any():
            continue
        kept = tmp_path / "kept.pcap"
        subprocess.run(
            ["tcpdump", "-r", path, "-w", kept, f"({text}) and (ip or ip6)"],
            check=True, capture_output=True,
        )  # fmt: skip
        np.testing.assert_array_equal(
            table.time[compiled.match(table)], PacketTable.concatenate(read_packets(kept)).time
        )
        seen += 1
    assert seen


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("tcp.port == 443", "display filter of Wireshark.*'tcp port 443'"),
        ("ip.addr==10.0.0.1 && udp.dstport eq 53", "'host 10.0.0.1 and udp dst port 53'"),
        ("tls.handshake.type == 1", "display filter of Wireshark.*no names of fields"),
        ("tcp prot 4", "syntax error.*pcap-filter"),
        ("ether host 00:11:22:33:44:55", "ethernet addresses.*leave out words about link layers"),
        ("arp", "rejects all packets.*leave out words"),
        ("vlan 5000", "identifiers end at 4095"),
        ("inbound", "what captures do not hold"),
    ],
)
def test_what_does_not_compile_is_an_error_about_the_filter(text, match):
    """The message gives the filter, what libpcap says, and a remedy."""
    with pytest.raises(ValueError, match=match) as error:
        compile_filter(text)
    assert text in str(error.value)


def test_compiled_filters_pickle(tmp_path):
    """Workers need no libpcap: the program travels."""
    compiled = compile_filter("tcp port 443")
    assert pickle.loads(pickle.dumps(compiled)) == compiled


def test_without_cypcap_the_error_names_it(monkeypatch):
    """The remedy is a package to install."""
    monkeypatch.setitem(sys.modules, "cypcap", None)
    with pytest.raises(ImportError, match="pip install cypcap"):
        compile_filter("tcp")


def test_tables_without_packets_pass_nothing():
    """An empty table gives an empty answer."""
    assert compile_filter("tcp").match(PacketTable.blank(0)).tolist() == []
