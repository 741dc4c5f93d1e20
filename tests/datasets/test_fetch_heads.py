"""Session heads to sessions: what a reader of the wire formats can work out by hand."""

import numpy as np
import pytest

from sktraffic.datasets._heads import parse_heads, recordings
from sktraffic.sessions import SCHEMA, to_arrow

WIDTH = 784


def heads(*files, width=WIDTH):
    """First bytes of files, zeros behind their ends."""
    rows = [np.frombuffer(file[:width].ljust(width, b"\0"), np.uint8) for file in files]
    return np.stack(rows)


def lists(X, name):
    """One list a session."""
    return [list(row) for row in X[name]]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_both_byte_orders_and_resolutions(make, order, nanoseconds):
    """Two packets half a second apart: the same sessions from any kind of pcap file."""
    there = make.ethernet(make.ipv4(make.a, make.b, (5000, 443), b"hello world"))
    back = make.ethernet(make.ipv4(make.b, make.a, (443, 5000), flags=0x10))
    file = make.pcap([(7.25, there), (7.75, back)], order=order, nanoseconds=nanoseconds)
    X, kept = parse_heads(heads(file), "one")
    assert kept.tolist() == [0]
    row = X.iloc[0]
    assert (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]) == (
        "10.0.0.1", 5000, "10.0.0.2", 443,
    )  # fmt: skip
    assert (row["protocol"], row["ip_version"], row["vlan_id"]) == (6, 4, 0)
    assert (row["duration"], row["packet_count"], row["total_bytes"]) == (0.5, 2, 91)
    assert row["start"].value == 7_250_000_000
    assert row["capture"] == "one"
    assert lists(X, "packet_time") == [[0.0, 0.5]]
    assert lists(X, "packet_size") == [[51, 40]]
    assert lists(X, "packet_direction") == [[1, -1]]
    assert lists(X, "packet_payload_size") == [[11, 0]]
    assert lists(X, "packet_flags") == [[0x18, 0x10]]


def test_link_layers_say_the_same(make):
    """Ethernet, a VLAN tag and raw IP: sizes and bytes start at the IP header, padding is off."""
    packet = make.ipv4(make.a, make.b, (5000, 53), b"?", protocol=17)
    files = (
        make.pcap([make.ethernet(packet)]),
        make.pcap([make.ethernet(packet, vlan=12)]),
        make.pcap([packet], link=101),
        make.pcap([packet], link=12),
    )
    X, _ = parse_heads(heads(*files))
    assert lists(X, "packet_size") == [[29]] * 4
    assert lists(X, "packet_bytes") == [[packet]] * 4
    assert lists(X, "packet_payload_size") == [[1]] * 4
    assert X["vlan_id"].tolist() == [0, 12, 0, 0]


def test_ipv6(make):
    """Addresses of sixteen bytes; size is the payload's length and forty."""
    one, two = bytes(15) + b"\x01", bytes.fromhex("fe80" + "00" * 13 + "02")
    there = make.ipv6(one, two, (1000, 53), b"abc")
    back = make.ipv6(two, one, (53, 1000), b"defg")
    X, _ = parse_heads(heads(make.pcap([make.ethernet(p, 0x86DD) for p in (there, back)])))
    assert X.loc[0, ["src_ip", "dst_ip"]].tolist() == ["::1", "fe80::2"]
    assert lists(X, "packet_size") == [[51, 52]]
    assert lists(X, "packet_direction") == [[1, -1]]
    assert lists(X, "packet_payload_size") == [[3, 4]]
    assert X["ip_version"].tolist() == [6]


@pytest.mark.parametrize("shown", [0, 3, 10, 19, 20, 33, 34, 39, 40, 100])
def test_cut_last_packet(make, shown):
    """However few of its bytes the head holds, a last packet counts with its true size."""
    first = make.ipv4(make.a, make.b, (5000, 443), bytes(100))
    last = make.ipv4(make.b, make.a, (443, 5000), bytes(500))
    file = make.pcap([first, last], link=101)
    X, _ = parse_heads(heads(file, width=24 + 16 + len(first) + 16 + shown))
    assert lists(X, "packet_size") == [[140, 540]]
    assert [len(packet) for packet in X["packet_bytes"][0]] == [140, shown]
    assert X["packet_bytes"][0][1] == last[:shown]
    assert lists(X, "packet_direction") == [[1, -1 if shown >= 20 else 0]]
    # the length of TCP's header is in its 13th byte, the flags are in its 14th
    assert lists(X, "packet_payload_size") == [[100, 500 if shown >= 33 else None]]
    assert lists(X, "packet_flags") == [[0x18, 0x18 if shown >= 34 else None]]


def test_cut_record_header_is_no_packet(make):
    """A record header that the head cuts says nothing."""
    packet = make.ipv4(make.a, make.b, (5000, 443))
    file = make.pcap([packet, packet], link=101)
    X, _ = parse_heads(heads(file, width=24 + 16 + len(packet) + 15))
    assert X["packet_count"].tolist() == [1]


def test_padding_is_no_packet(make):
    """Zeros behind a short capture are nothing; so is a head of nothing else."""
    packet = make.ipv4(make.a, make.b, (5000, 443))
    empty = make.pcap([], link=101)
    X, kept = parse_heads(heads(empty, make.pcap([packet], link=101), bytes(WIDTH)))
    assert X["packet_count"].tolist() == [1]
    assert kept.tolist() == [1]
    assert X["session"].tolist() == [1]


def test_other_frames_and_captures_are_left_out(make):
    """ARP, an unknown link layer and a file that is no capture make no session."""
    arp = make.pcap([make.ethernet(bytes(28), kind=0x0806)])
    wifi = make.pcap([bytes(60)], link=105)
    packet = make.ipv4(make.a, make.b, (5000, 443))
    X, kept = parse_heads(heads(arp, wifi, b"\x16\x03\x01", make.pcap([packet], link=101)))
    assert kept.tolist() == [3]
    assert len(X) == 1


def test_files_without_headers_are_an_error():
    """Heads of the kind L7 are no captures, and the error names the right kind."""
    with pytest.raises(ValueError, match="AllLayers"):
        parse_heads(heads(b"\x16\x03\x01", b"GET /"))


def test_clock_that_goes_back(make):
    """The latest time so far stands in, as when captures are read."""
    packet = make.ipv4(make.a, make.b, (5000, 443))
    X, _ = parse_heads(heads(make.pcap([(10, packet), (12, packet), (11, packet)], link=101)))
    assert lists(X, "packet_time") == [[0.0, 2.0, 2.0]]
    assert X["duration"].tolist() == [2.0]


def test_host_that_talks_to_itself(make):
    """One address on both sides: ports tell the direction."""
    there = make.ipv4(make.a, make.a, (5000, 443))
    back = make.ipv4(make.a, make.a, (443, 5000))
    X, _ = parse_heads(heads(make.pcap([there, back, there], link=101)))
    assert lists(X, "packet_direction") == [[1, -1, 1]]


def test_empty_length_field_takes_the_record_header(make):
    """Segmentation offload leaves the IP length 0: then the frame's length counts."""
    packet = bytearray(make.ipv4(make.a, make.b, (5000, 443), bytes(80)))
    packet[2:4] = bytes(2)
    X, _ = parse_heads(heads(make.pcap([make.ethernet(bytes(packet))])))
    assert lists(X, "packet_size") == [[120]]


def test_result_is_a_session_table(make):
    """Columns and types are the schema's, for no heads as well."""
    packet = make.ipv4(make.a, make.b, (5000, 443))
    for rows in (heads(make.pcap([packet], link=101)), np.empty((0, WIDTH), np.uint8)):
        X, kept = parse_heads(rows)
        assert len(X) == len(kept) == len(rows)
        assert to_arrow(X).schema == SCHEMA


def test_order_of_heads_does_not_matter(make, rng):
    """Sessions are read each on their own."""
    files = [
        make.pcap([make.ipv4(make.a, make.b, (5000 + i, 443), bytes(i))] * (1 + i % 4), link=101)
        for i in range(20)
    ]
    rows = heads(*files)
    order = rng.permutation(len(rows))
    X, _ = parse_heads(rows)
    shuffled, _ = parse_heads(rows[order])
    same = X.drop(columns="session").iloc[order].reset_index(drop=True)
    assert shuffled.drop(columns="session").equals(same)


def test_recordings():
    """A silence longer than the gap ends a recording; classes do not mix; order does not count."""
    seconds = np.array([5000, 0, 100, 90, 1901, 10])
    labels = ["a", "a", "a", "b", "a", "b"]
    found = recordings(labels, seconds.astype("datetime64[s]"), gap=1800)
    assert found.tolist() == ["a/2", "a/0", "a/0", "b/0", "a/1", "b/0"]
    assert recordings([], np.array([], "datetime64[s]")).tolist() == []
