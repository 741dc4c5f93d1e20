"""Situations that users of such tools report: one conversation, and what happens to it."""

import struct

import pyarrow.parquet as pq
import pytest

from sktraffic.capture import CaptureWarning, SessionExtractor
from tests.messages._build import ip4, tcp, tcp4, udp4

SYN, SYN_ACK, ACK, DATA, FIN = 2, 18, 16, 24, 17
PLAIN = {"n_dissections": 0, "messages": False, "n_bytes": 0}


def conversation(
    port=50000,
    steps=(
        (SYN, 0, 0),
        (SYN_ACK, 1, 0),
        (ACK, 0, 0),
        (DATA, 0, 100),
        (DATA, 1, 1000),
        (FIN, 0, 0),
        (FIN, 1, 0),
        (ACK, 0, 0),
    ),
):
    """Return the packets of a TCP conversation: 8 of together 1,420 bytes."""  # fmt: skip
    seq, packets = [1, 1], []
    for flags, back, size in steps:
        packets.append(
            tcp4(bytes(size), back=bool(back), ports=(port, 443), flags=flags, seq=seq[back])
        )
        # what makes packets different from their copies, the IP identification
        packets[-1] = packets[-1][:4] + struct.pack(">H", len(packets)) + packets[-1][6:]
        seq[back] += size + (flags & 3 != 0)
    return packets


def capture(path, craft, packets, times, tags=None):
    """Write packets behind Ethernet; times in seconds."""
    tags = tags or [()] * len(packets)
    frames = [
        (int(t), round(t % 1 * 1e6), craft.ethernet(packet, tag))
        for t, packet, tag in zip(times, packets, tags, strict=True)
    ]
    path.write_bytes(craft.pcap(frames))
    return path


@pytest.fixture
def path(tmp_path):
    """Return where a capture goes."""
    return tmp_path / "case.pcap"


def ends(X):
    """Return source and destination of each session."""
    return list(zip(X["src_ip"], X["src_port"], X["dst_ip"], X["dst_port"], strict=True))


CLIENT_FIRST = ("10.0.0.1", 50000, "10.0.0.2", 443)


def test_a_conversation_as_it_is(path, craft):
    """Eight packets, 1,420 bytes, 0.07 s, the client the source."""
    times = [i / 100 for i in range(8)]
    X = SessionExtractor(**PLAIN).transform(capture(path, craft, conversation(), times))
    assert X[["packet_count", "total_bytes", "duration"]].to_numpy().tolist() == [[8, 1420, 0.07]]
    assert ends(X) == [CLIENT_FIRST]
    assert list(X["packet_direction"][0]) == [1, -1, 1, 1, -1, 1, -1, 1]


def test_the_client_stays_the_source_in_the_pieces_after_a_timeout(path, craft):
    """The server sends first in the second piece; it is the destination all the same."""
    steps = [(SYN, 0, 0), (SYN_ACK, 1, 0), (DATA, 1, 9), (ACK, 0, 0), (DATA, 1, 9), (ACK, 0, 0)]
    times = [0, 0.1, 1, 1.1, 5, 5.1]
    capture(path, craft, conversation(steps=steps), times)
    X = SessionExtractor(active_timeout=5, **PLAIN).transform(path)
    assert ends(X) == [CLIENT_FIRST] * 2
    assert [list(d) for d in X["packet_direction"]] == [[1, -1, -1, 1], [-1, 1]]


def test_a_capture_that_begins_at_the_syn_ack_knows_the_client(path, craft):
    """The receiver of a SYN-ACK is the client."""
    capture(path, craft, conversation()[1:], [i / 100 for i in range(7)])
    X = SessionExtractor(**PLAIN).transform(path)
    assert ends(X) == [CLIENT_FIRST]
    assert list(X["packet_direction"][0]) == [-1, 1, 1, -1, 1, -1, 1]
    # of packets without a SYN the first sender is the source, as in nfstream
    capture(path, craft, conversation()[4:], range(4))
    assert ends(SessionExtractor(**PLAIN).transform(path)) == [CLIENT_FIRST[2:] + CLIENT_FIRST[:2]]


@pytest.mark.parametrize(("wrong", "off"), [(0, 3600), (0, 5000), (4, 100_000)])
def test_one_time_stamp_far_ahead_stops_nobodys_clock(path, craft, wrong, off):
    """Two conversations keep their durations; a warning names the record and the jump."""
    times = [100 + i / 100 for i in range(8)]
    times[wrong] += off
    packets = conversation() + conversation(50001)
    capture(path, craft, packets, [*times, *(200 + i / 100 for i in range(8))])
    with pytest.warns(CaptureWarning, match=rf"1 time stamp.*record {wrong}, \+\d"):
        X, report = SessionExtractor(**PLAIN).extract(path)
    # what the first packet's time was only whole hours tell
    first = 0.06 if (wrong, off) == (0, 5000) else 0.07
    assert X["duration"].round(6).tolist() == [first, 0.07]
    assert X["packet_count"].tolist() == [8, 8]
    assert f"record {wrong}" in report.loc[0, "remarks"]


def test_packets_captured_twice_are_told_and_left_out_on_request(path, craft):
    """Copies ten microseconds later, their time to live one less."""
    packets, times = [], []
    for i, packet in enumerate(conversation()):
        packets += [packet, packet[:8] + b"\x3f" + packet[9:]]
        times += [i / 100, i / 100 + 1e-5]
    capture(path, craft, packets, times)
    with pytest.warns(CaptureWarning, match="50% of the first packets are there twice"):
        X = SessionExtractor(**PLAIN).transform(path)
    assert X["packet_count"].tolist() == [16]
    X, report = SessionExtractor(drop_duplicates=True, **PLAIN).extract(path)
    assert X[["packet_count", "total_bytes"]].to_numpy().tolist() == [[8, 1420]]
    assert report.loc[0, ["records", "session_packets", "duplicates"]].tolist() == [16, 8, 8]


def test_a_tag_in_one_direction_only(path, craft):
    """Two one-way sessions, as in nfstream; one where VLANs are not in the key."""
    tags = [[(0x8100, 7)] if p[15] == 2 else () for p in conversation()]
    capture(path, craft, conversation(), [i / 100 for i in range(8)], tags)
    assert SessionExtractor(**PLAIN).transform(path)["packet_count"].tolist() == [5, 3]
    X = SessionExtractor(vlan_in_key=False, **PLAIN).transform(path)
    assert X["packet_count"].tolist() == [8]


def test_a_port_used_again_is_two_sessions_on_request(path, craft):
    """The same five-tuple twice within a second, each with its FINs."""
    capture(path, craft, conversation() * 2, [i / 100 for i in range(16)])
    assert SessionExtractor(**PLAIN).transform(path)["packet_count"].tolist() == [16]
    X = SessionExtractor(end_on="fin", **PLAIN).transform(path)
    assert X["packet_count"].tolist() == [8, 8]


def test_later_fragments_belong_to_their_datagram(path, craft):
    """They count with their own sizes; left out on request they are a cause of the report."""
    datagram = udp4(bytes(2000))[20:]
    packets = [ip4(datagram[:1480], 17, fragment=0x2000), ip4(datagram[1480:], 17, fragment=185)]
    capture(path, craft, packets, [0, 0.001])
    X, report = SessionExtractor(**PLAIN).extract(path)
    assert X[["packet_count", "total_bytes"]].to_numpy().tolist() == [[2, 20 + 20 + 8 + 2000]]
    assert ends(X) == [("10.0.0.1", 50000, "10.0.0.2", 5000)]
    assert report.loc[0, "joined_fragments"] == 1
    X, report = SessionExtractor(join_fragments=False, **PLAIN).extract(path)
    assert report.loc[0, ["session_packets", "later_fragment"]].tolist() == [1, 1]


def test_what_lies_behind_a_cut_is_missing_and_not_zero(path, craft):
    """Ports are there, flags and payload size are not; with two bytes of TCP no ports either."""
    for kept, known in ((14 + 24, True), (14 + 22, False)):
        frames = [
            (i, 0, craft.ethernet(packet)[:kept], 14 + len(packet))
            for i, packet in enumerate(conversation())
        ]
        path.write_bytes(craft.pcap(frames))
        X = SessionExtractor(n_dissections=0).transform(path)
        assert X["packet_count"].tolist() == [8]
        assert X["packet_flags"].isna().all() and X["packet_payload_size"].isna().all()
        assert X["src_port"].notna().all() == known
        assert list(X["packet_size"][0]) == [len(packet) for packet in conversation()]


def test_packets_without_time_stamps(tmp_path, craft):
    """Simple packet blocks have none: times are missing, and a warning says so."""
    blocks = [craft.interface()]
    for packet in conversation():
        frame = craft.ethernet(packet)
        blocks.append(craft.block(3, struct.pack("<I", len(frame)) + frame))
    path = tmp_path / "timeless.pcapng"
    path.write_bytes(craft.pcapng(blocks))
    with pytest.warns(CaptureWarning, match=r"8 record\(s\) have no time stamp"):
        X = SessionExtractor(**PLAIN).transform(path)
    assert X["packet_count"].tolist() == [8]
    assert X["start"].isna().all() and X["duration"].isna().all()
    assert X["packet_time"].isna().all()


def test_an_empty_length_field_is_segmentation_offload(path, craft):
    """The frame's length says how much there was."""
    steps = [(SYN, 0, 0), (SYN_ACK, 1, 0), (DATA, 0, 5000), (ACK, 1, 0)]
    packets = conversation(steps=steps)
    packets[2] = packets[2][:2] + b"\0\0" + packets[2][4:]
    capture(path, craft, packets, range(4))
    X = SessionExtractor(**PLAIN).transform(path)
    assert list(X["packet_size"][0]) == [40, 40, 5040, 40]
    assert list(X["packet_payload_size"][0]) == [0, 0, 5000, 0]


def test_sctp_has_ports_and_sizes(path, craft):
    """Sizes count the IP packet, the payload what follows the common header."""
    sctp = struct.pack(">HHII", 50000, 36412, 1, 0) + bytes(20)
    capture(path, craft, [ip4(sctp, 132)], [0])
    X = SessionExtractor(**PLAIN).transform(path)
    assert ends(X) == [("10.0.0.1", 50000, "10.0.0.2", 36412)]
    assert [list(X["packet_size"][0]), list(X["packet_payload_size"][0])] == [[52], [20]]


@pytest.mark.parametrize("tags", [[(0x8100, 3)], [(0x88A8, 4), (0x8100, 3)]])
def test_a_filter_means_the_packet_inside_tags(path, craft, tags):
    """DNS is left out behind tags, and TCP found."""
    packets = [*conversation(), udp4(bytes(12), ports=(50000, 53))]
    capture(path, craft, packets, [i / 100 for i in range(9)], [tags] * 9)
    for text in ("not port 53", "tcp port 443"):
        X, report = SessionExtractor(bpf_filter=text, **PLAIN).extract(path)
        assert X["packet_count"].tolist() == [8]
        assert report.loc[0, "filtered"] == 1
    with pytest.raises(ValueError, match=r"bpf_filter='tcp\.port == 443'.*libpcap"):
        SessionExtractor(bpf_filter="tcp.port == 443", **PLAIN).transform(path)


def test_tunnelled_conversations_are_one_session_each(path, craft):
    """IP in IP, unless tunnels are to stand for themselves."""
    packets = [ip4(packet, 4, source=9, target=8) for packet in conversation()]
    capture(path, craft, packets, [i / 100 for i in range(8)])
    X, report = SessionExtractor(**PLAIN).extract(path)
    assert (ends(X), X["packet_count"].tolist()) == ([CLIENT_FIRST], [8])
    assert report.loc[0, "tunnelled"] == 8
    X = SessionExtractor(decode_tunnels=False, **PLAIN).transform(path)
    assert X["protocol"].tolist() == [4]


def test_a_file_name_that_is_no_text(tmp_path, craft):
    """It is read like any other, written out in the table, and into a part."""
    import os

    path = tmp_path / os.fsdecode(b"latin1-\xe9.pcap")
    try:
        path.touch()
    except (OSError, UnicodeError):
        pytest.skip("this system has no such names")
    capture(path, craft, conversation(), range(8))
    X = SessionExtractor(**PLAIN).transform(path)
    assert X["capture"][0].endswith("latin1-\\xe9.pcap")
    report = SessionExtractor(**PLAIN).to_parquet(path, tmp_path / "parts")
    assert report["sessions"].tolist() == [1]
    (part,) = (tmp_path / "parts").iterdir()
    assert pq.read_metadata(part).num_rows == 1


def test_a_pipe_is_read_like_a_file(tmp_path, craft):
    """A named pipe has no size and no second reading."""
    import os
    import threading

    whole = capture(tmp_path / "whole.pcap", craft, conversation(), range(8))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(whole.read_bytes()))
    writer.start()
    X = SessionExtractor(**PLAIN).transform(pipe)
    writer.join()
    expected = SessionExtractor(**PLAIN).transform(whole)
    assert X.drop(columns="capture").map(str).equals(expected.drop(columns="capture").map(str))


def test_a_rst_ends_what_it_resets(path, craft):
    """Without a SYN behind it nothing begins, whatever comes late."""
    late = ip4(tcp(b"late", ports=(50000, 443)), 6)
    steps = [(SYN, 0, 0), (SYN_ACK, 1, 0), (4, 1, 0)]
    capture(path, craft, [*conversation(steps=steps), late], range(4))
    X = SessionExtractor(end_on="fin", **PLAIN).transform(path)
    assert X["packet_count"].tolist() == [4]
