"""The one parser of IP and transport headers."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.packets import SCTP, TCP, UDP, PacketTable, parse_headers
from tests.messages._build import ip4, ip6, tcp, udp

FIELDS = [name for name in vars(PacketTable.blank(0)) if name not in ("data", "record", "time")]
EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)
HEADER = {1: 8, 6: 20, 17: 8, 33: 12, 47: 4, 50: 8, 58: 8, 132: 12, 136: 8}


def parse(packets, around=b"", wire=None):
    """Parse packets that lie one behind the other, with some bytes before, between and behind."""
    data, at = around, []
    for packet in packets:
        at.append(len(data))
        data += packet + around
    at = np.array(at, np.int64)
    stop = at + np.array([len(packet) for packet in packets], np.int64)
    return parse_headers(np.frombuffer(data, np.uint8), at, stop, wire)


def row(table, i=0):
    """Return the fields of a packet; places count from its IP header."""
    out = {name: getattr(table, name)[i].tolist() for name in FIELDS}
    for name in ("transport", "payload", "stop"):
        out[name] -= out["at"]
    out["at"] = 0
    return out


def reference(packet):
    """Parse one packet byte by byte: what the arrays must say of it, or None."""
    version = packet[0] >> 4 if packet else 0
    if (version, len(packet) >= 20) == (4, True):
        header, size, protocol = (packet[0] & 15) * 4, int.from_bytes(packet[2:4]), packet[9]
        bits = int.from_bytes(packet[6:8])
        fragment = 2 if bits & 0x1FFF else (1 if bits & 0x2000 else 0)
    elif (version, len(packet) >= 40) == (6, True):
        header, protocol, fragment = 40, packet[6], 0
        size = 40 + int.from_bytes(packet[4:6])
        if size == 40 and protocol != 59:
            size = 0
    else:
        return None
    size = size if size >= header else len(packet)
    stop, at = min(len(packet), size), max(header, 20)
    cut = header < 20 or at > stop
    for _ in range(17):
        known = protocol in EXTENSIONS and (version == 6 or protocol == 51)
        if cut or fragment == 2 or not known:
            break
        units = packet[at + 1] if at + 2 <= stop else 0
        length = {44: 8, 51: (units + 2) * 4}.get(protocol, (units + 1) * 8)
        if at + length > stop:
            cut = True
            break
        if protocol == 44:
            bits = int.from_bytes(packet[at + 2 : at + 4])
            fragment = 2 if bits >> 3 else max(fragment, bits & 1)
        protocol, at = packet[at], at + length
    rest, room = size - at, stop - at
    ports, flags, payload = (0, 0), 0, -1
    if cut:
        ports, flags = (-1, -1), -1
    elif fragment == 2:
        payload = rest
    elif rest < HEADER.get(protocol, 0):
        payload = 0
    else:
        if protocol in (6, 17, 33, 132, 136):
            ports = struct.unpack_from(">HH", packet, at) if room >= 4 else (-1, -1)
        if protocol == 6:
            flags = packet[at + 13] if room >= 14 else -1
        length = HEADER.get(protocol, 0)
        if room >= (13 if protocol == 6 else length):
            length = packet[at + 12] >> 4 << 2 if protocol == 6 else length
            payload = max(rest - length, 0) if length >= HEADER.get(protocol, 0) else -1
    return {
        "version": version, "size": size, "protocol": protocol, "fragment": fragment,
        "src_port": ports[0], "dst_port": ports[1], "flags": flags, "payload_size": payload,
        "transport_size": max(rest, 0),
    }  # fmt: skip


def _option(kind, following, units=0):
    return bytes([following, units]) + bytes(6 + 8 * units)


@st.composite
def packets(draw):
    """Packets of both versions with options, extension headers, fragments; many of them cut."""
    protocol = draw(st.sampled_from([6, 17, 132, 136, 33, 1, 58, 47, 50, 89, 59, 51]))
    body = draw(
        st.one_of(
            st.builds(tcp, st.binary(max_size=9), flags=st.integers(0, 255),
                      options=st.sampled_from([b"", bytes(8)])),
            st.builds(udp, st.binary(max_size=9)),
            st.binary(max_size=40),
        )
    )  # fmt: skip
    if draw(st.booleans()):
        options = draw(st.sampled_from([b"", bytes(4), bytes(40)]))
        fragment = draw(st.sampled_from([0, 0, 0, 0x2000, 0x2005, 7]))
        packet = ip4(body, protocol, options=options, fragment=fragment)
    else:
        kinds = draw(st.lists(st.sampled_from([0, 43, 44, 60, 51, 135]), max_size=4))
        extensions = b""
        for kind, following in zip(kinds, [*kinds, protocol][1:], strict=True):
            if kind == 44:
                bits = draw(st.sampled_from([0, 1, 1, 8, 16]))
                extensions += struct.pack(">BBHI", following, 0, bits, 77)
            elif kind == 51:
                extensions += bytes([following, 4]) + bytes(22)
            else:
                extensions += _option(kind, following, draw(st.integers(0, 2)))
        packet = ip6(body, protocol, extensions, kinds[0] if kinds else None)
    packet = bytearray(packet[: draw(st.integers(0, len(packet)))])
    if packet and draw(st.booleans()):  # one byte of the first ones is something else
        packet[draw(st.integers(0, min(len(packet), 48) - 1))] = draw(st.integers(0, 255))
    return bytes(packet)


@given(st.lists(packets(), min_size=1, max_size=20))
def test_agrees_with_a_parser_of_one_packet(drawn):
    """Every field that sessions are made of, for whole, cut and damaged packets."""
    table = parse(drawn)
    for i, packet in enumerate(drawn):
        expected = reference(packet)
        if expected is None:
            assert table.version[i] == 0
            continue
        found = {name: int(getattr(table, name)[i]) for name in expected}
        assert found == expected, packet.hex(" ")


@given(st.lists(packets(), min_size=1, max_size=8), st.binary(min_size=64, max_size=64))
def test_bytes_around_a_packet_say_nothing(drawn, noise):
    """What a packet is does not depend on the bytes before and behind it, nor on its neighbours."""
    among, alone = parse(drawn, noise), [parse([packet]) for packet in drawn]
    assert [row(among, i) for i in range(len(drawn))] == [row(one) for one in alone]


@given(st.binary(max_size=200), st.data())
def test_places_stay_inside(data, draw):
    """Whatever the bytes, headers and payload lie in order inside what was captured."""
    n = draw.draw(st.integers(1, 5))
    at = np.sort([draw.draw(st.integers(0, len(data))) for _ in range(n)]).astype(np.int64)
    stop = np.array([draw.draw(st.integers(a, len(data))) for a in at.tolist()], np.int64)
    table = parse_headers(np.frombuffer(data, np.uint8), at, stop)
    known = table.version > 0
    assert (table.at[known] <= table.transport[known]).all()
    assert (table.transport[known] <= table.payload[known]).all()
    assert (table.payload[known] <= table.stop[known]).all()
    assert (table.stop <= stop).all()
    assert (table.payload_size[known] <= table.transport_size[known]).all()


def test_all_fields_of_a_tcp_packet():
    """Values that stand in the bytes."""
    packet = ip4(tcp(b"abc", seq=2**32 - 1, ack=7, flags=0xC2, options=bytes(4)), TCP)
    assert row(parse([packet + bytes(6)])) == {
        "wire": 53, "size": 47, "transport_size": 27, "payload_size": 3, "version": 4,
        "protocol": 6, "src": [0, 0x0A000001], "dst": [0, 0x0A000002], "src_port": 50000,
        "dst_port": 443, "vlan": 0, "flags": 0xC2, "seq": 2**32 - 1, "ack": 7, "ttl": 64,
        "window": 1000, "ip_header_size": 20, "transport_header_size": 24, "fragment": 0,
        "fragment_id": -1, "tunnel": 0, "at": 0, "transport": 20, "payload": 44, "stop": 47,
    }  # fmt: skip


def test_ipv6_addresses_and_hop_limit():
    """Sixteen bytes as two numbers; the hop limit is the time to live."""
    table = parse([ip6(udp(b"xy"), UDP)])
    assert table.src.tolist() == [[0x6161616161616161] * 2]
    assert table.dst.tolist() == [[0x6262626262626262] * 2]
    assert (table.ttl[0], table.ip_header_size[0], table.payload_size[0]) == (64, 40, 2)


@pytest.mark.parametrize("length", range(20, 41))
def test_a_cut_header_is_unknown(length):
    """Ports need four bytes of TCP, the payload's size thirteen (its header's), flags fourteen."""
    table = parse([ip4(tcp(b"payload"), TCP)[:length]])
    assert table.size[0] == 47
    assert table.src_port[0] == (50000 if length >= 24 else -1)
    assert table.dst_port[0] == (443 if length >= 24 else -1)
    assert table.flags[0] == (0x18 if length >= 34 else -1)
    assert table.payload_size[0] == (7 if length >= 33 else -1)


def test_segmentation_offload():
    """An empty length field: the packet is as long as the frame says."""
    four, six = bytearray(ip4(tcp(bytes(500)), TCP)), bytearray(ip6(tcp(bytes(500)), TCP))
    four[2:4] = six[4:6] = b"\0\0"
    table = parse([bytes(four)[:60], bytes(six)[:80]], wire=np.array([5040, 5060]))
    assert table.size.tolist() == [5040, 5060]
    assert table.transport_size.tolist() == [5020, 5020]
    assert table.payload_size.tolist() == [5000, 5000]


def test_protocols_without_ports_and_those_with():
    """ICMP, GRE and ESP have sizes but no ports; SCTP, UDP-Lite and DCCP have both."""
    body = struct.pack(">HH", 50000, 36412) + bytes(28)
    table = parse([ip4(body, protocol) for protocol in (SCTP, 136, 33, 1, 47, 50, 89)])
    assert table.src_port.tolist() == [50000] * 3 + [0] * 4
    assert table.dst_port.tolist() == [36412] * 3 + [0] * 4
    assert table.transport_size.tolist() == [32] * 7
    assert table.payload_size.tolist() == [20, 24, 20, 24, 28, 24, 32]
    assert table.flags.tolist() == [0] * 7


def test_a_packet_too_short_for_its_header_is_one_between_two_addresses():
    """TCP of 15 bytes is no TCP: ports 0, no flags, no payload."""
    table = parse([ip4(bytes([200] * 15), TCP), ip4(b"", UDP)])
    assert table.src_port.tolist() == table.flags.tolist() == table.payload_size.tolist() == [0, 0]
    assert table.transport_size.tolist() == [15, 0]


def test_udp_may_end_before_ip():
    """What lies behind UDP's own length is no payload to look at."""
    table = parse([ip4(udp(b"abcd", length=10), UDP)])
    assert table.stop[0] - table.payload[0] == 2
    assert table.payload_size[0] == 4
