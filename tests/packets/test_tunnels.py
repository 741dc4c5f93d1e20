"""Packets inside tunnels stand for themselves, and nothing else is taken for one."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.packets import TUNNELS, PacketTable, read_packets
from tests.capture.craft import Craft
from tests.messages._build import ip4, ip6, tcp, udp

# a conversation of two hosts, a packet each way
THERE = ip4(tcp(b"request", ports=(40000, 443)), 6, source=101, target=102)
BACK = ip4(tcp(b"", ports=(443, 40000)), 6, source=102, target=101)
SIX = ip6(udp(b"datagram", ports=(40000, 443)), 17)


def _with_sum(packet):
    """Write the IPv4 header's own checksum."""
    words = struct.unpack(">10H", packet[:20])
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return packet[:10] + struct.pack(">H", 0xFFFF - total) + packet[12:]


def _ethernet(packet):
    return Craft.ethernet(packet)


def _over_udp(port, head):
    return lambda packet: ip4(udp(head + packet, ports=(50000, port)), 17)


def _over_ip(protocol, head=b""):
    return lambda packet: ip4(head + packet, protocol)


def _behind(wrap, prepare):
    return lambda packet: wrap(prepare(packet))


def _wireless(swapped):
    control = b"\x01\x08" if swapped else b"\x08\x01"
    return lambda p: control + bytes(22) + bytes.fromhex("aaaa030000000800") + p


VXLAN = b"\x08\0\0\0" + b"\0\0\x07\0"
LONG_ERSPAN = b"\x10\0\x22\xeb" + bytes(15) + b"\x01" + bytes(8)
LONG_GTP = b"\x36\xff\0\0" + bytes(4) + b"\0\0\0\x85" + b"\x01\0\0\0"
WAYS = {
    "IP in IP": ("IP in IP", _over_ip(4)),
    "GRE": ("GRE", _over_ip(47, b"\0\0\x08\0")),
    "GRE with checksum, key and number": ("GRE", _over_ip(47, b"\xb0\0\x08\0" + bytes(12))),
    "GRE with Ethernet": ("GRE", _behind(_over_ip(47, b"\x20\0\x65\x58" + bytes(4)), _ethernet)),
    "GRE of PPTP": ("GRE", _over_ip(47, b"\x30\x81\x88\x0b" + bytes(12) + b"\xff\x03\0\x21")),
    "ERSPAN I": ("GRE", _behind(_over_ip(47, b"\0\0\x88\xbe"), _ethernet)),
    "ERSPAN II": ("GRE", _behind(_over_ip(47, b"\x10\0\x88\xbe" + bytes(12)), _ethernet)),
    "ERSPAN III": ("GRE", _behind(_over_ip(47, b"\x10\0\x22\xeb" + bytes(16)), _ethernet)),
    "ERSPAN III with more": ("GRE", _behind(_over_ip(47, LONG_ERSPAN), _ethernet)),
    "MPLS in IP": ("MPLS in IP", _over_ip(137, b"\0\x01\x01\x40")),
    "L2TPv3": ("L2TPv3", _behind(_over_ip(115, b"\0\0\0\x05"), _ethernet)),
    "L2TPv3 with cookie": ("L2TPv3", _behind(_over_ip(115, b"\0\0\0\x05" + bytes(8)), _ethernet)),
    "L2TPv3 with cookie and sublayer": (
        "L2TPv3", _behind(_over_ip(115, b"\0\0\0\x05" + bytes(12)), _ethernet)),
    "L2TPv3 over UDP": (
        "L2TP", _behind(_over_udp(1701, b"\0\x03\0\0\0\0\0\x05" + bytes(4)), _ethernet)),
    "L2TPv2": ("L2TP", _over_udp(1701, b"\0\x02\0\x01\0\x02\xff\x03\0\x21")),
    "L2TPv2 with all fields": (
        "L2TP", _over_udp(1701, b"\x4a\x02\0\0\0\x01\0\x02\0\0\0\0\0\x02\0\0\xff\x03\0\x21")),
    "VXLAN": ("VXLAN", _behind(_over_udp(4789, VXLAN), _ethernet)),
    "VXLAN of Linux": ("VXLAN", _behind(_over_udp(8472, VXLAN), _ethernet)),
    "VXLAN-GPE": ("VXLAN-GPE", _over_udp(4790, b"\x0c\0\0\x01\0\0\x07\0")),
    "GENEVE": ("GENEVE", _behind(_over_udp(6081, b"\0\0\x65\x58\0\0\x07\0"), _ethernet)),
    "GENEVE with options": ("GENEVE", _over_udp(6081, b"\x02\0\x08\0\0\0\x07\0" + bytes(8))),
    "GTP-U": ("GTP-U", _over_udp(2152, b"\x30\xff\0\0" + bytes(4))),
    "GTP-U with a number": ("GTP-U", _over_udp(2152, b"\x32\xff\0\0" + bytes(8))),
    "GTP-U with extension": ("GTP-U", _over_udp(2152, LONG_GTP)),
    "CAPWAP": ("CAPWAP", _behind(_over_udp(5247, b"\0\x10\x03\0" + bytes(4)), _wireless(False))),
    "CAPWAP of Cisco": ("CAPWAP", _behind(_over_udp(5247, b"\0\x10\x03\0" + bytes(4)),
                                          _wireless(True))),
    "CAPWAP with 802.3": ("CAPWAP", _behind(_over_udp(5247, b"\0\x10\x02\0" + bytes(4)),
                                            _ethernet)),
    "TZSP": ("TZSP", _behind(_over_udp(37008, b"\x01\0\0\x01\0\x0a\x01\x05\x01"), _ethernet)),
}  # fmt: skip


def read(tmp_path, packets, **options):
    """Read packets from a capture of raw IP, into one table; and the facts."""
    path = tmp_path / "x"
    path.write_bytes(Craft.pcap([(i, 0, packet) for i, packet in enumerate(packets)], 101))
    reader = read_packets(path, **options)
    return PacketTable.concatenate(list(reader)), reader.facts


@pytest.mark.parametrize("name", WAYS)
def test_the_inner_conversation_is_seen(tmp_path, name):
    """Both directions of one conversation, with its own sizes; without decoding the tunnel's."""
    tunnel, wrap = WAYS[name]
    inner = [_with_sum(THERE), _with_sum(BACK)]
    outer = [wrap(packet) for packet in inner]
    table, facts = read(tmp_path, outer)
    assert [bytes(table.data[a:b]) for a, b in zip(table.at, table.stop, strict=True)] == inner
    assert table.src[:, 1].tolist() == [0x0A000065, 0x0A000066]
    assert list(zip(table.src_port, table.dst_port, strict=True)) == [(40000, 443), (443, 40000)]
    assert table.size.tolist() == [47, 40]
    assert table.payload_size.tolist() == [7, 0]
    assert table.wire.tolist() == [len(packet) for packet in outer]
    assert [TUNNELS[number] for number in table.tunnel] == [tunnel] * 2
    assert facts.tunnelled == {tunnel: 2}
    table, facts = read(tmp_path, outer, decode_tunnels=False)
    assert table.src[:, 1].tolist() == [0x0A000001] * 2
    assert table.size.tolist() == [len(packet) for packet in outer]
    assert table.tunnel.tolist() == [0, 0]
    assert facts.tunnelled == {}


@pytest.mark.parametrize(
    ("tunnel", "wrap"),
    [
        ("6in4", _over_ip(41)),
        ("Teredo", _over_udp(3544, b"")),
        ("Teredo", _over_udp(3544, b"\0\0" + bytes(6))),
        ("Teredo", _over_udp(3544, b"\0\x01\x02\x03" + bytes(14) + b"\0\0" + bytes(6))),
        ("IP in IP", lambda packet: ip6(packet, 41)),
    ],
)
def test_ipv6_in_tunnels(tmp_path, tunnel, wrap):
    """IPv6 over IPv4 and UDP, with Teredo's authentication and origin, and in IPv6."""
    table, facts = read(tmp_path, [wrap(SIX)])
    assert (table.version[0], table.src_port[0], table.payload_size[0]) == (6, 40000, 8)
    assert sum(facts.tunnelled.values()) == 1
    assert tunnel in facts.tunnelled or wrap(SIX)[0] >> 4 == 6


def test_tunnels_in_tunnels(tmp_path):
    """GTP-U in VXLAN in GRE: the innermost packet; and no end of tunnels ends somewhere."""
    packet = THERE
    for name in ("GTP-U", "VXLAN", "GRE"):
        packet = WAYS[name][1](packet)
    table, _ = read(tmp_path, [packet])
    assert (table.src_port[0], TUNNELS[table.tunnel[0]]) == (40000, "GTP-U")
    for _ in range(50):
        packet = ip4(packet, 4)
    table, facts = read(tmp_path, [packet])
    assert (len(table), facts.packets) == (1, 1)


@given(st.binary(max_size=80), st.sampled_from([1701, 2152, 3544, 4789, 4790, 5247, 6081, 8472,
                                                37008]))  # fmt: skip
def test_other_traffic_on_a_tunnels_port_stays_itself(tmp_path_factory, data, port):
    """Random datagrams are their own, or hold a packet that fits into them."""
    packet = ip4(udp(data, ports=(port, 50000)), 17)
    table, facts = read(tmp_path_factory.mktemp("x"), [packet])
    assert (len(table), facts.packets) == (1, 1)
    if table.tunnel[0]:
        assert table.size[0] <= len(data)
    else:
        assert (table.src_port[0], table.size[0]) == (port, len(packet))


def test_an_inner_packet_larger_than_its_tunnel_is_none(tmp_path):
    """A length that does not fit is no packet: the tunnel's own stays."""
    inner = bytearray(THERE)
    inner[2:4] = struct.pack(">H", 2000)
    table, _ = read(tmp_path, [WAYS["VXLAN"][1](bytes(inner))])
    assert (table.dst_port[0], table.tunnel[0]) == (4789, 0)


def test_an_inner_vlan_is_the_innermost(tmp_path):
    """The tag inside the tunnel counts; without one that of the frame."""
    tagged = _over_udp(4789, VXLAN)(Craft.ethernet(THERE, [(0x8100, 7)]))
    plain = _over_udp(4789, VXLAN)(Craft.ethernet(THERE))
    path = tmp_path / "x"
    frames = [Craft.ethernet(packet, [(0x8100, 5)]) for packet in (tagged, plain)]
    path.write_bytes(Craft.pcap([(1, 0, frame) for frame in frames]))
    (table,) = read_packets(path)
    assert table.vlan.tolist() == [7, 5]


def test_a_cut_inner_packet_keeps_its_size(tmp_path):
    """A short snap length cuts the inner packet's payload, not what is known of it."""
    packet = WAYS["VXLAN"][1](ip4(tcp(bytes(1000), ports=(40000, 443)), 6))
    path = tmp_path / "x"
    path.write_bytes(Craft.pcap([(1, 0, packet[:96], len(packet))], 101))
    (table,) = read_packets(path)
    assert (table.size[0], table.payload_size[0], table.src_port[0]) == (1040, 1000, 40000)
    assert np.all(table.stop <= len(table.data))
