"""Later fragments belong to their datagram's session."""

import struct

import numpy as np
import pytest

from sktraffic.packets import NO_TIME, PacketTable, _read, read_packets
from tests.capture.craft import Craft
from tests.messages._build import ip4, ip6, udp


def fragments4(datagram, protocol=17, size=64, identifier=7, **ends):
    """Cut an IPv4 packet's content into fragments."""
    parts = [datagram[at : at + size] for at in range(0, len(datagram), size)]
    out = []
    for i, part in enumerate(parts):
        field = i * size // 8 | (0x2000 if i < len(parts) - 1 else 0)
        packet = bytearray(ip4(part, protocol, fragment=field, **ends))
        packet[4:6] = struct.pack(">H", identifier)
        out.append(bytes(packet))
    return out


def fragments6(datagram, protocol=17, size=64, identifier=70000):
    """Cut an IPv6 packet's content into fragments."""
    parts = [datagram[at : at + size] for at in range(0, len(datagram), size)]
    heads = [
        struct.pack(">BBHI", protocol, 0, i * size | (i < len(parts) - 1), identifier)
        for i in range(len(parts))
    ]
    return [ip6(part, protocol, head, 44) for head, part in zip(heads, parts, strict=True)]


def read(tmp_path, packets, times=None, **options):
    """Read packets from a capture of raw IP, into one table; and the facts."""
    path = tmp_path / "x"
    times = times or range(len(packets))
    path.write_bytes(Craft.pcap([(t, 0, p) for t, p in zip(times, packets, strict=True)], 101))
    reader = read_packets(path, **options)
    return PacketTable.concatenate(list(reader)), reader.facts


@pytest.mark.parametrize("cut", [fragments4, fragments6])
def test_later_fragments_get_the_first_ones_ports(tmp_path, cut):
    """One datagram of three packets: ports, protocol and every byte."""
    packets = cut(udp(bytes(150), ports=(5000, 6000)))
    table, facts = read(tmp_path, packets)
    assert table.src_port.tolist() == [5000] * 3
    assert table.dst_port.tolist() == [6000] * 3
    assert table.protocol.tolist() == [17] * 3
    assert table.fragment.tolist() == [1, 2, 2]
    assert table.size.tolist() == [len(packet) for packet in packets]
    assert table.payload_size.tolist() == [56, 64, 30]
    assert (facts.joined_fragments, facts.lone_fragments) == (2, 0)


def test_fragments_of_several_datagrams(tmp_path):
    """Identifier, protocol and both addresses tell datagrams apart; a new one takes its place."""
    a = fragments4(udp(bytes(100), ports=(1, 2)), identifier=1)
    b = fragments4(udp(bytes(100), ports=(3, 4)), identifier=2)
    c = fragments4(udp(bytes(100), ports=(5, 6)), identifier=1, source=9)
    again = fragments4(udp(bytes(100), ports=(7, 8)), identifier=1)
    table, _ = read(tmp_path, [a[0], b[0], c[0], b[1], c[1], a[1], again[0], again[1]])
    assert table.src_port.tolist() == [1, 3, 5, 3, 5, 1, 7, 7]


def test_a_fragment_without_its_first_stays_alone(tmp_path):
    """Its first one comes later, never, or too long before: a packet of two addresses."""
    first, later = fragments4(udp(bytes(100), ports=(1, 2)))
    table, facts = read(tmp_path, [later, first, later], [0, 1, 1000])
    assert table.src_port.tolist() == [0, 1, 0]
    assert (facts.joined_fragments, facts.lone_fragments) == (0, 2)
    assert len(table) == facts.records == 3


def test_left_out_and_counted_on_request(tmp_path):
    """As nfstream does: first fragments only."""
    packets = fragments4(udp(bytes(150))) + fragments6(udp(bytes(150)))
    table, facts = read(tmp_path, packets, join_fragments=False)
    assert table.fragment.tolist() == [1, 1]
    assert facts.causes == {"later_fragment": 4}
    assert facts.packets + 4 == facts.records


def test_fragments_of_a_tunnels_packet(tmp_path):
    """The inner packet counts once and whole; what follows of the tunnel's is accounted for."""
    inner = ip4(udp(bytes(120), ports=(40000, 443)), 17, source=101, target=102)
    outer = fragments4(udp(b"\x30\xff\0\0" + bytes(4) + inner, ports=(2152, 2152)))
    table, facts = read(tmp_path, outer)
    assert (table.src_port.tolist(), table.size.tolist()) == ([40000], [len(inner)])
    assert facts.causes == {"tunnel_fragment": len(outer) - 1}
    table, facts = read(tmp_path, outer, decode_tunnels=False)
    assert table.src_port.tolist() == [2152] * len(outer)
    assert facts.joined_fragments == len(outer) - 1


def test_inner_fragments_are_joined_too(tmp_path):
    """Fragments inside IP in IP."""
    packets = [ip4(part, 4) for part in fragments4(udp(bytes(150), ports=(1, 2)), source=101)]
    table, facts = read(tmp_path, packets)
    assert table.src_port.tolist() == [1] * 3
    assert facts.joined_fragments == 2


def test_the_cut_into_tables_does_not_matter(tmp_path, rng):
    """Many interleaved datagrams, joined alike in tables of three packets and of all."""
    queues = [fragments4(udp(bytes(200), ports=(i, 9)), identifier=i) for i in range(1, 40)]
    packets = []
    while queues:
        chosen = int(rng.integers(len(queues)))
        packets.append(queues[chosen].pop(0))
        queues = [queue for queue in queues if queue]
    times = [i // 2 for i in range(len(packets))]
    whole, facts = read(tmp_path, packets, times)
    assert facts.joined_fragments == 39 * 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_read, "ROWS", 3)
        parts, again = read(tmp_path, packets, times)
    assert parts.src_port.tolist() == whole.src_port.tolist()
    assert again == facts


def test_fragments_of_packets_without_times(tmp_path):
    """Simple packets of pcapng say no time; their fragments are joined all the same."""
    craft = Craft()
    blocks = [craft.block(3, struct.pack("<I", len(p)) + p) for p in fragments4(udp(bytes(100)))]
    path = tmp_path / "x"
    path.write_bytes(craft.pcapng([craft.interface(101), *blocks]))
    (table,) = read_packets(path)
    assert np.all(table.time == NO_TIME)
    assert table.src_port.tolist() == [50000] * 2
