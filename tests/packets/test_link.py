"""Link layers: the IP packet behind each, and why there is none."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.packets import CAUSES, FOUND, find_ip, link_name, read_packets
from sktraffic.packets._link_types import STEPS
from tests.capture.craft import Craft

IP = Craft.udp()
ETHERNET = Craft.ethernet(IP)
SNAP = bytes.fromhex("aaaa03 000000 0800")


def _radiotap(body, flags=0, time=False):
    head = struct.pack("<BBHIB", 0, 0, 9, 2, flags)
    if time:  # the time of eight bytes stands in front of the flags, aligned
        head = struct.pack("<BBHIQB", 0, 0, 17, 3, 99, flags)
    return head + body


def _wireless(control, size=24, body=SNAP + IP):
    return struct.pack("<H", control) + bytes(size - 2) + body


def _attribute(kind, content, order="<"):
    head = struct.pack(order + "HH", 4 + len(content), kind)
    return head + content + bytes(-len(content) % 4)


def _tap(link, frame, extra=100):
    return struct.pack("<III", 12 + extra, 1, link) + bytes(extra) + frame


def _label(bottom):
    return bytes([0, 1, bottom, 64])


FRAMES = {
    "Ethernet": (1, ETHERNET),
    "VLAN": (1, Craft.ethernet(IP, [(0x8100, 5)])),
    "stacked VLAN": (1, Craft.ethernet(IP, [(0x88A8, 5), (0x8100, 6)])),
    "old stacked VLAN": (1, Craft.ethernet(IP, [(0x9100, 5), (0x8100, 6)])),
    "E-Tag": (1, bytes(12) + b"\x89\x3f" + bytes(6) + b"\x08\x00" + IP),
    "VN-Tag": (1, bytes(12) + b"\x89\x26" + bytes(4) + b"\x08\x00" + IP),
    "FabricPath": (1, bytes(12) + b"\x89\x03\x40\x20" + ETHERNET),
    "provider backbone": (1, bytes(12) + b"\x88\xe7" + bytes(4) + ETHERNET),
    "MACsec": (1, bytes(12) + b"\x88\xe5\x00\x00\x00\x00\x00\x01\x08\x00" + IP + bytes(16)),
    "MACsec with channel": (1, bytes(12) + b"\x88\xe5\x20" + bytes(13) + b"\x08\x00" + IP),
    "NSH": (1, bytes(12) + b"\x89\x4f\x0f\xc6\x01\x01" + bytes(20) + IP),
    "NSH with Ethernet": (1, bytes(12) + b"\x89\x4f\x0f\xc2\x02\x03" + bytes(4) + ETHERNET),
    "MPLS": (1, bytes(12) + b"\x88\x47" + _label(0) + _label(1) + IP),
    "pseudowire with control word": (
        1, bytes(12) + b"\x88\x47" + _label(1) + bytes(4) + b"\x02" + ETHERNET[1:]),
    "pseudowire without": (1, bytes(12) + b"\x88\x47" + _label(1) + b"\x02" + ETHERNET[1:]),
    "PPPoE": (1, bytes(12) + b"\x88\x64\x11\x00\x00\x01\x00\x22\x00\x21" + IP),
    "SNAP": (1, bytes(12) + struct.pack(">H", 8 + len(IP)) + SNAP + IP),
    "LLC": (1, bytes(12) + struct.pack(">H", 3 + len(IP)) + b"\x06\x06\x03" + IP),
    "BSD loopback": (0, b"\x02\x00\x00\x00" + IP),
    "big-endian loopback": (0, b"\x00\x00\x00\x02" + IP),
    "OpenBSD loopback": (108, b"\x00\x00\x00\x02" + IP),
    "raw": (101, IP),
    "raw BSD": (12, IP),
    "raw OpenBSD": (14, IP),
    "raw IPv4": (228, IP),
    "cooked": (113, bytes(14) + b"\x08\x00" + IP),
    "cooked with VLAN": (113, bytes(14) + b"\x81\x00\x00\x05\x08\x00" + IP),
    "cooked 2": (276, b"\x08\x00" + bytes(18) + IP),
    "cooked 2 with VLAN": (276, b"\x81\x00" + bytes(18) + b"\x00\x05\x08\x00" + IP),
    "cooked with LLC": (113, bytes(14) + b"\x00\x04" + SNAP + IP),
    "SLIP": (8, bytes(16) + IP),
    "PPP": (9, b"\x00\x21" + IP),
    "PPP with address": (9, b"\xff\x03\x00\x21" + IP),
    "PPP, short protocol": (9, b"\x21" + IP),
    "PPP, address and short protocol": (9, b"\xff\x03\x21" + IP),
    "PPP in HDLC framing": (50, b"\xff\x03\x00\x21" + IP),
    "PPP with direction": (204, b"\x01\xff\x03\x00\x21" + IP),
    "PPP with MPLS": (9, b"\x02\x81" + _label(1) + IP),
    "PPPoE session": (51, b"\x11\x00\x00\x01\x00\x22\x00\x21" + IP),
    "Cisco HDLC": (104, b"\x0f\x00\x08\x00" + IP),
    "Cisco HDLC under PPP": (9, b"\x0f\x00\x08\x00" + IP),
    "Frame Relay": (107, b"\x18\x41\x03\xcc" + IP),
    "Frame Relay with SNAP": (107, b"\x18\x41\x03\x00\x80\x00\x00\x00\x08\x00" + IP),
    "Frame Relay of Cisco": (107, b"\x18\x41\x08\x00" + IP),
    "Frame Relay, long address": (107, b"\x18\x40\x40\x01\x03\xcc" + IP),
    "bridged Frame Relay": (107, b"\x18\x41\x03\x00\x80\x00\x80\xc2\x00\x07" + ETHERNET),
    "Token Ring": (6, bytes(14) + SNAP + IP),
    "Token Ring with a route": (6, bytes(8) + b"\x80" + bytes(5) + b"\x06" + bytes(5) + SNAP + IP),
    "InfiniBand": (242, bytes(40) + b"\x08\x00\x00\x00" + IP),
    "FireWire": (138, bytes(16) + b"\x08\x00" + IP),
    "OpenBSD encapsulation": (109, bytes(12) + IP),
    "packet filter log": (117, b"\x3d" + bytes(63) + IP),
    "NFLOG": (239, b"\x02\x00\x00\x01" + _attribute(1, bytes(4)) + _attribute(9, IP)),
    "NFLOG, big-endian": (239, b"\x02\x00\x00\x01" + _attribute(10, b"prefix\0", ">")
                          + _attribute(9, IP, ">")),
    "packet tap": (258, _tap(1, ETHERNET)),
    "packet tap, old number": (149, _tap(12, IP)),
    "per-packet information": (192, struct.pack("<BBHI", 0, 0, 12, 1) + bytes(4) + ETHERNET),
    "802.11": (105, _wireless(0x0208)),
    "802.11 with quality of service": (105, _wireless(0x0188, 26)),
    "802.11 with four addresses": (105, _wireless(0x0308, 30)),
    "802.11 with HT control": (105, _wireless(0x8188, 30)),
    "radiotap": (127, _radiotap(_wireless(0x0208))),
    "radiotap with padding": (127, _radiotap(_wireless(0x0188, 28), 0x20)),
    "radiotap with time and padding": (127, _radiotap(_wireless(0x0188, 28), 0x20, True)),
    "Prism": (119, struct.pack("<II", 0x44, 144) + bytes(136) + _wireless(0x0208)),
    "AVS": (163, struct.pack(">II", 0x80211001, 64) + bytes(56) + _wireless(0x0208)),
}  # fmt: skip

NOTHING = {
    "ARP": (1, bytes(12) + b"\x08\x06" + bytes(46), "not_ip"),
    "spanning tree": (1, bytes(12) + b"\x00\x26\x42\x42\x03" + bytes(40), "not_ip"),
    "LLDP, first nibble 4": (1, bytes(12) + b"\x88\xcc\x45" + bytes(40), "not_ip"),
    "frame of 13 bytes": (1, bytes(13), "cut_header"),
    "IP header of 19 bytes": (1, ETHERNET[:33], "cut_header"),
    "VLAN tag at the end": (1, bytes(12) + b"\x81\x00\x00", "cut_header"),
    "version 5": (1, bytes(12) + b"\x08\x00\x55" + IP[1:], "malformed_ip"),
    "encrypted MACsec": (1, bytes(12) + b"\x88\xe5\x0c" + bytes(60), "encrypted_link"),
    "802.11 beacon": (105, _wireless(0x0080), "not_ip"),
    "802.11 without data": (105, _wireless(0x0148), "not_ip"),
    "encrypted 802.11": (105, _wireless(0x4208), "encrypted_link"),
    "aggregated 802.11": (105, struct.pack("<H", 0x0188) + bytes(22) + b"\x80\0" + IP,
                          "aggregate"),
    "IEEE 802.15.4": (195, bytes(60), "unread_link_layer"),
    "USB": (220, bytes(60), "unread_link_layer"),
    "packet tap of USB": (258, _tap(220, bytes(60)), "unread_link_layer"),
    "PPP control": (9, b"\xc0\x21" + bytes(40), "not_ip"),
    "netlink under cooked": (113, bytes(14) + b"\x00\x10" + bytes(40), "not_ip"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_ip_is_found_behind_every_link_layer(tmp_path, name):
    """One and the same packet, taken out of its framing, with its tag."""
    link, frame = FRAMES[name]
    path = tmp_path / "x"
    path.write_bytes(Craft.pcap([(1, 0, frame + bytes(4))] * 2, link))
    (table,) = read_packets(path)
    assert [bytes(table.data[a:b]) for a, b in zip(table.at, table.stop, strict=True)] == [IP] * 2
    tag = 6 if "stacked" in name else 5 if "VLAN" in name else 0
    assert table.vlan.tolist() == [tag] * 2


@pytest.mark.parametrize("name", NOTHING)
def test_a_frame_without_a_packet_has_a_cause(tmp_path, name):
    """The cause is named, and the packet beside it is found."""
    link, frame, cause = NOTHING[name]
    good = FRAMES["Ethernet"][1] if link == 1 else frame
    path = tmp_path / "x"
    path.write_bytes(Craft.pcap([(1, 0, frame), (1, 0, good)], link))
    reader = read_packets(path)
    packets = sum(map(len, reader))
    assert packets == (link == 1)
    assert reader.facts.causes == {cause: 2 - packets}


def test_other_networks_are_named():
    """A link type that is not read has a name for the message that says so."""
    assert link_name(195) == "IEEE 802.15.4 (195)"
    assert link_name(230).startswith("IEEE 802.15.4")
    assert link_name(147) == "link type (147)"


@given(st.lists(st.sampled_from(sorted(FRAMES)), min_size=1, max_size=12), st.data())
def test_frames_of_all_kinds_at_once(names, data):
    """What is found for a frame does not depend on its neighbours, nor on what lies behind it."""
    noise = data.draw(st.binary(min_size=40, max_size=40))
    cuts = [data.draw(st.integers(0, len(FRAMES[name][1]))) for name in names]
    frames = [FRAMES[name][1][:cut] for name, cut in zip(names, cuts, strict=True)]
    links = np.array([FRAMES[name][0] for name in names])
    content, at = noise, []
    for frame in frames:
        at.append(len(content))
        content += frame + noise
    at = np.array(at)
    stop = at + [len(frame) for frame in frames]
    found = find_ip(np.frombuffer(content, np.uint8), at, stop, links)
    for i, frame in enumerate(frames):
        alone = find_ip(np.frombuffer(frame, np.uint8), np.array([0]), np.array([len(frame)]),
                        links[i : i + 1])  # fmt: skip
        assert (found[2][i], found[1][i]) == (alone[2][0], alone[1][0])
        if found[2][i] == FOUND:
            assert found[0][i] - at[i] == alone[0][0] < max(len(frame), 1)


@given(st.binary(max_size=120), st.data())
def test_any_bytes_come_to_an_end(frame, data):
    """Random frames of any link type are IP or have a cause, and no place lies outside."""
    link = data.draw(st.sampled_from([kind & 0xFFFF for kind in STEPS] + [7, 195, 65535, -1]))
    at, _, state = find_ip(
        np.frombuffer(frame, np.uint8), np.array([0]), np.array([len(frame)]), np.array([link])
    )
    assert state[0] == FOUND or state[0] in CAUSES
    if state[0] == FOUND:
        assert 0 <= at[0] < len(frame)
