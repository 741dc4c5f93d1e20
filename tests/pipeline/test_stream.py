"""predict_stream: live traffic gets the labels that reading the file gives."""

import lzma
import os
import socket
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from sktraffic.capture import CaptureError, SessionExtractor
from sktraffic.capture._naming import POOL
from sktraffic.feature_extraction import ProtocolMatrix
from sktraffic.packets import FileFacts, read_records
from sktraffic.pipeline import CaptureClassifier

KEY = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "ip_version"]


@pytest.fixture(scope="module")
def plain(captures, tmp_path_factory):
    """Return an uncompressed copy of a capture."""
    target = tmp_path_factory.mktemp("plain") / "plain.pcap"
    target.write_bytes(lzma.decompress(Path(captures[0][0]).read_bytes()))
    return target


def as_table(rows):
    """Stream rows as a table in the order of the file's sessions."""
    return pd.DataFrame(rows).sort_values("session", ignore_index=True)


def played(source, target, seconds):
    """Write a file piece by piece in a thread, pieces that end anywhere."""

    def write():
        data = source.read_bytes()
        with open(target, "ab", buffering=0) as file:
            for part in np.array_split(np.frombuffer(data, np.uint8), 40):
                file.write(part.tobytes())
                time.sleep(seconds / 40)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.parametrize("max_packets", [None, 6])
def test_a_growing_file_gives_what_the_whole_file_gives(fitted, plain, tmp_path, max_packets):
    """Sessions, labels and probabilities, bit for bit, with an early decision and without."""
    growing = tmp_path / "growing.pcap"
    growing.touch()
    whole = fitted.extractor_
    try:
        fitted.extractor_ = SessionExtractor(max_packets=max_packets)
        expected = fitted.predict_sessions(plain)
        fitted.extractor_ = SessionExtractor()
        thread = played(plain, growing, 1.5)
        with fitted.predict_stream(growing, max_packets=max_packets, stop_after=1.5) as stream:
            table = as_table(list(stream))
        thread.join()
    finally:
        fitted.extractor_ = whole
    closed = table.pop("closed")
    assert closed.all() == (max_packets is None)
    for name in expected.columns.drop("capture"):
        assert table[name].tolist() == expected[name].tolist(), name


def test_an_interface_gives_what_the_file_gives(captures, cache, plain):
    """Frames played into a veth pair: the same sessions, labels and probabilities.

    They are played faster than they were recorded, so the classifier looks at messages alone.
    """
    pipeline = make_pipeline(
        ProtocolMatrix(), RandomForestClassifier(n_estimators=10, random_state=0)
    )
    clf = CaptureClassifier(pipeline, cache=cache).fit(*captures)
    with virtual_pair() as (near, far):
        expected = clf.predict_sessions(plain)
        with clf.predict_stream(far, stop_after=2) as stream:
            play(plain, near)
            table = as_table(list(stream))
            assert stream.dropped == 0
    assert len(expected) > 1
    for name in [*KEY, "session", "label", "probability", "second"]:
        assert table[name].tolist() == expected[name].tolist(), name


class virtual_pair:
    """A pair of connected interfaces, or a skip where that is not permitted."""

    def __enter__(self):
        import subprocess

        self.names = (f"skt{os.getpid() % 10000}a", f"skt{os.getpid() % 10000}b")
        near, far = self.names
        try:
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
            # no IPv6 of its own: the kernel's own packets are not in the file
            for command in (
                f"ip link add {near} type veth peer name {far}",
                f"ip link set {near} addrgenmode none up",
                f"ip link set {far} addrgenmode none up",
            ):
                subprocess.run(command.split(), check=True, capture_output=True)
        except (OSError, AttributeError, subprocess.CalledProcessError) as error:
            self.__exit__()
            pytest.skip(f"no raw sockets or virtual interfaces here: {error}")
        return self.names

    def __exit__(self, *error):
        import subprocess

        subprocess.run(["ip", "link", "del", self.names[0]], check=False, capture_output=True)


def play(path, interface):
    """Send a capture's frames at a tenth of a millisecond or more between them."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((interface, 0))
        for block in read_records(path, FileFacts()):
            for at, size in zip(block.at.tolist(), block.captured.tolist(), strict=True):
                out.send(block.data[at : at + size])
                time.sleep(0.0002)


def udp_frame(port, payload=b"hello"):
    """Return an Ethernet frame: UDP from 10.0.0.1 to 10.0.0.2 with this source port."""
    udp = struct.pack("!HHHH", port, 5000, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    return bytes(12) + b"\x08\x00" + ip + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + udp


def pcap(packets):
    """Return a pcap file of (seconds, frame)."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for seconds, frame in packets:
        whole, rest = divmod(round(seconds * 1e6), 10**6)
        parts.append(struct.pack("<IIII", whole, rest, len(frame), len(frame)) + frame)
    return b"".join(parts)


def pcapng(packets):
    """Return a pcapng file of (seconds, frame)."""
    parts = [struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)]
    parts.append(struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20))
    for seconds, frame in packets:
        high, low = divmod(round(seconds * 1e6), 2**32)
        padded = frame + bytes(-len(frame) % 4)
        length = 32 + len(padded)
        parts.append(struct.pack("<IIIIIII", 6, length, 0, high, low, len(frame), len(frame)))
        parts.append(padded + struct.pack("<I", length))
    return b"".join(parts)


def test_a_growing_pcapng_file_is_followed(tmp_path):
    """Block by block, whatever the pieces are that it is written in."""
    frames = [(i / 10, udp_frame(1000 + i % 7, bytes(i))) for i in range(60)]
    whole, growing = tmp_path / "whole.pcapng", tmp_path / "growing.pcapng"
    whole.write_bytes(pcapng(frames))
    growing.touch()
    thread = played(whole, growing, 0.8)
    with SessionExtractor().stream(growing, stop_after=1) as stream:
        table = pd.concat(stream).sort_values("session", ignore_index=True)
    thread.join()
    expected = SessionExtractor().transform(whole)
    for name in expected.columns.drop("capture"):
        assert [*map(str, table[name])] == [*map(str, expected[name])], name


def test_sessions_come_as_they_end_and_not_when_the_file_does(tmp_path, monkeypatch):
    """A session silent for the idle timeout comes out while the writer still holds the file."""
    path = tmp_path / "growing.pcap"
    path.write_bytes(pcap([(1, udp_frame(1001)), (2, udp_frame(1001)), (9, udp_frame(1002))]))
    monkeypatch.setattr("sktraffic.capture._sources.GRACE", 1.0)
    began = time.monotonic()
    with SessionExtractor(idle_timeout=2).stream(path) as stream:  # which never stops by itself
        first = next(stream)
        assert first["src_port"].tolist() == [1001]
        assert first["packet_count"].tolist() == [2]
        assert first["closed"].tolist() == [True]
        # no packet comes, but time passes: 1 s of grace for a writer's buffer, 2 s of silence
        second = next(stream)
        assert second["src_port"].tolist() == [1002]
        assert 3 <= time.monotonic() - began < 60


def test_a_session_is_decided_after_its_first_packets(tmp_path):
    """max_packets: given at once and once, as if it had ended there."""
    frames = [(i, udp_frame(1001, bytes(i + 1))) for i in range(6)]
    path = tmp_path / "growing.pcap"
    path.write_bytes(pcap(frames))
    with SessionExtractor().stream(path, max_packets=3, stop_after=0.5) as stream:
        tables = list(stream)
    (table,) = tables
    assert table["closed"].tolist() == [False]
    assert table["packet_count"].tolist() == [3]
    assert [list(sizes) for sizes in table["packet_payload_size"]] == [[1, 2, 3]]


def test_memory_is_bounded(tmp_path):
    """Too many waiting packets: the largest session goes first; too many sessions: the oldest."""
    many = [(i / 100, udp_frame(1001)) for i in range(500)]
    few = [(i + 0.005, udp_frame(1002)) for i in range(5)]
    path = tmp_path / "packets.pcap"
    path.write_bytes(pcap(sorted(many + few)))
    with SessionExtractor().stream(path, max_waiting=100, stop_after=0.5) as stream:
        table = pd.concat(stream).set_index("src_port")
    assert not table["closed"][1001] and table["closed"][1002]
    assert table["packet_count"][1001] <= 150 and table["packet_count"][1002] == 5
    path.write_bytes(pcap([(i, udp_frame(1000 + i)) for i in range(50)]))
    with SessionExtractor().stream(path, max_open=10, stop_after=0.5) as stream:
        counts = [len(table) for table in stream]
    assert sum(counts) == 50
    whole = SessionExtractor().transform(path)
    assert len(whole) == 50


def test_a_stream_cleans_up_behind_itself(plain):
    """Leaving early ends its thread and its process."""
    POOL.close()  # what is kept for captures read later
    before = threading.active_count()
    with SessionExtractor().stream(plain) as stream:
        assert threading.active_count() > before
    assert threading.active_count() == before
    stream.close()
    with SessionExtractor(max_packets=1).stream(plain) as stream:
        next(stream)
    assert threading.active_count() == before


def test_what_cannot_be_streamed_is_said(tmp_path, fitted):
    """No such source, a folder, no capture, a key that needs the whole, a limit of nothing."""
    with pytest.raises(CaptureError, match="neither a file nor a pipe nor an interface"):
        fitted.predict_stream("no-such-thing0")
    with pytest.raises(CaptureError, match="is a folder"):
        fitted.predict_stream(tmp_path)
    text = tmp_path / "text.pcap"
    text.write_bytes(b"this is no capture at all, but long enough")
    with pytest.raises(CaptureError, match="neither pcap nor pcapng"):
        next(SessionExtractor().stream(text))
    text.write_bytes(pcap([(1, udp_frame(1001))]))
    with pytest.raises(ValueError, match="bpf_filter='no such filter'"):
        SessionExtractor(bpf_filter="no such filter").stream(text)
    with pytest.raises(ValueError, match="key='five_tuple'"):
        SessionExtractor(key="host_pair").stream(text)
    with pytest.raises(ValueError, match="max_open is 0"):
        fitted.predict_stream(text, max_open=0)


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_stopping_loses_nothing(fitted, plain, tmp_path, kind):
    """What is there already is read, and open sessions are decided on; then the stream ends."""
    source = plain
    if kind == "pipe":
        source = tmp_path / "pipe"
        os.mkfifo(source)
        descriptor = os.open(source, os.O_RDWR | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        writer = threading.Thread(target=os.write, args=(descriptor, plain.read_bytes()))
    with fitted.predict_stream(source) as stream:
        if kind == "pipe":
            writer.start()
            writer.join()
            os.close(descriptor)
        stream.stop()
        rows = as_table(list(stream))
        report = stream.report
    expected = fitted.predict_sessions(plain)
    assert rows["label"].tolist() == expected["label"].tolist()
    assert report["sessions"] == len(expected)


def test_stopping_an_interface_gives_what_the_kernel_has(captures, cache, plain):
    """Frames that were sent before `stop` are in the sessions, also those still in the ring."""
    clf = CaptureClassifier(
        make_pipeline(ProtocolMatrix(), RandomForestClassifier(n_estimators=2, random_state=0)),
        cache=cache,
    ).fit(*captures)
    expected = clf.predict_sessions(plain)
    with virtual_pair() as (near, far), clf.predict_stream(far) as stream:
        play(plain, near)
        stream.stop()
        rows = list(stream)
        assert stream.dropped == 0
        assert len(rows) == len(expected)
        assert stream.report["records"] == sum(len(b) for b in read_records(plain, FileFacts()))
