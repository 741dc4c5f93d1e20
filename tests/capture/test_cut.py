"""From sessions back to packets: byte for byte, whole sessions, and captures that changed."""

import lzma
import struct

import numpy as np
import pandas as pd
import pytest

from sktraffic.capture import CaptureError, SessionExtractor, cut_sessions
from sktraffic.datasets import lab_captures
from tests.capture.craft import Craft

PLAIN = SessionExtractor(n_dissections=0)


def records(path):
    """Read (time in ns, bytes on the wire, frame) of a little-endian pcap file."""
    data = path.read_bytes()
    unit = {0xA1B2C3D4: 1_000, 0xA1B23C4D: 1}[struct.unpack_from("<I", data)[0]]
    at, out = 24, []
    while at < len(data):
        seconds, fraction, size, wire = struct.unpack_from("<4I", data, at)
        out.append((seconds * 10**9 + fraction * unit, wire, data[at + 16 : at + 16 + size]))
        at += 16 + size
    return out


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Unpack a bundled capture."""
    path = tmp_path_factory.mktemp("cut") / "run.pcap"
    with lzma.open(lab_captures()[0][0]) as file:
        path.write_bytes(file.read())
    return path


@pytest.mark.parametrize("suffix", [".pcap", ".pcapng"])
def test_all_sessions_are_the_capture_without_what_is_no_ip(capture, tmp_path, suffix):
    """Extracted again, they give the same table, times to the nanosecond included."""
    X = PLAIN.transform(capture)
    out = tmp_path / f"all{suffix}"
    assert cut_sessions(X, out, extractor=PLAIN) == X["packet_count"].sum()
    again = PLAIN.transform(out)
    pd.testing.assert_frame_equal(again.drop(columns="capture"), X.drop(columns="capture"))


def test_frames_are_equal_and_those_of_the_session_alone(capture, tmp_path):
    """Each frame stands in the capture, in order, with its size on the wire."""
    X = PLAIN.transform(capture)
    chosen = X[X["packet_count"] > X["packet_count"].median()].iloc[::2]
    out = tmp_path / "some.pcap"
    n_packets = cut_sessions(chosen, out, extractor=PLAIN)
    found, everything = records(out), records(capture)
    assert len(found) == n_packets == chosen["packet_count"].sum()
    rest = iter(everything)
    assert all(record in rest for record in found)  # a subsequence
    again = PLAIN.transform(out)
    assert again["packet_count"].tolist() == chosen["packet_count"].tolist()
    assert again["start"].tolist() == chosen["start"].tolist()


def two_kinds(tmp_path):
    """Return captures of Ethernet and of raw IP."""
    craft = Craft()
    packet = craft.udp()
    (tmp_path / "ether.pcap").write_bytes(craft.pcap([(1, 0, craft.ethernet(packet))]))
    (tmp_path / "raw.pcap").write_bytes(craft.pcap([(2, 0, packet)], link_type=101))
    return [tmp_path / "ether.pcap", tmp_path / "raw.pcap"]


def test_two_link_types_need_pcapng(tmp_path):
    """A pcap file holds one; the error names both and leaves nothing behind."""
    X = PLAIN.transform(two_kinds(tmp_path))
    with pytest.raises(ValueError, match=r"link types 1 and 101.*pcapng"):
        cut_sessions(X, tmp_path / "out.pcap", extractor=PLAIN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ether.pcap", "raw.pcap"]
    assert cut_sessions(X, tmp_path / "out.pcapng", extractor=PLAIN) == 2
    again = PLAIN.transform(tmp_path / "out.pcapng")
    assert again["packet_count"].sum() == 2


def test_a_filter_and_timeouts_say_which_packets_a_session_has(capture, tmp_path):
    """The extractor's settings hold for the cut as for the table."""
    extractor = SessionExtractor(n_dissections=0, idle_timeout=1, bpf_filter="udp")
    X = extractor.transform(capture)
    assert cut_sessions(X, tmp_path / "o.pcap", extractor=extractor) == X["packet_count"].sum()


def test_packets_behind_max_packets_are_written(capture, tmp_path):
    """A table of first packets cuts whole sessions."""
    extractor = SessionExtractor(n_dissections=0, max_packets=2)
    X, whole = extractor.transform(capture), PLAIN.transform(capture)
    n_packets = cut_sessions(X, tmp_path / "o.pcap", extractor=extractor)
    assert n_packets == whole["packet_count"].sum() > X["packet_count"].sum()


def test_a_capture_that_changed_is_told(tmp_path):
    """Fewer packets than the table says, or other settings: an error, and no file."""
    craft = Craft()
    frames = [(at, 0, craft.ethernet(craft.udp())) for at in range(3)]
    path, out = tmp_path / "a.pcap", tmp_path / "out.pcap"
    path.write_bytes(craft.pcap(frames))
    X = PLAIN.transform(path)
    path.write_bytes(craft.pcap(frames[:2]))
    with pytest.raises(CaptureError, match=r"2 packets there but 3 in the table"):
        cut_sessions(X, out, extractor=PLAIN)
    path.write_bytes(craft.pcap(frames))
    with pytest.raises(CaptureError, match="other settings"):
        cut_sessions(X, out, extractor=SessionExtractor(idle_timeout=0, n_dissections=0))
    assert not out.exists()
    out.write_bytes(b"mine")
    with pytest.raises(ValueError, match="there already"):
        cut_sessions(X, out, extractor=PLAIN)
    assert cut_sessions(X, out, extractor=PLAIN, overwrite=True) == 3
    with pytest.raises(ValueError, match="no session"):
        cut_sessions(X.iloc[:0], out, extractor=PLAIN)
    assert np.unique([wire for _, wire, _ in records(out)]).size == 1
