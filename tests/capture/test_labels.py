"""nDPI's labels: whose they are, whatever sessions look alike, and what a failure costs."""

import signal
import struct
import time

import numpy as np
import pandas as pd
import psutil
import pytest

from sktraffic.capture import CaptureWarning, SessionExtractor, _labels, _naming
from sktraffic.capture._batches import Portion, make_batches
from sktraffic.capture._heads import FILE_HEADER, LANES, Heads
from sktraffic.capture._labels import Labeller
from sktraffic.packets import PacketTable, parse_headers, read_packets
from sktraffic.sessions import LABELS, to_arrow
from tests.messages._build import ip4, ip6, tcp4, udp, udp4


def question(name):
    """DNS query for the address of a name."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def table(packets):
    """Packet table of packets given as bytes from the IP header on, a second apart."""
    ends = np.cumsum([len(packet) for packet in packets])
    starts = ends - [len(packet) for packet in packets]
    parsed = parse_headers(np.frombuffer(b"".join(packets), np.uint8), starts, ends)
    parsed.record = np.arange(len(packets))
    parsed.time = 1_500_000_000 * 10**9 + parsed.record * 10**9
    return parsed


def sessions_of(packets):
    """Sessions of a table by unordered five-tuple, and the place of each packet in its own."""
    session, place, seen = [], [], {}
    ends = zip(
        packets.src.tolist(), packets.src_port.tolist(),
        packets.dst.tolist(), packets.dst_port.tolist(), packets.protocol.tolist(), strict=True,
    )  # fmt: skip
    for src, sport, dst, dport, protocol in ends:
        key = (*sorted([(src, sport), (dst, dport)]), protocol)
        entry = seen.setdefault(str(key), [len(seen), 0])
        session.append(entry[0])
        place.append(entry[1])
        entry[1] += 1
    return np.array(session), np.array(place)


def read(labeller, capture):
    """Have all sessions of a capture named; returns their labels and their number."""
    packets = PacketTable.concatenate(read_packets(capture))
    session, place = sessions_of(packets)
    labels = labeller.capture()
    labels.add(packets, session, place)
    labels.finish()
    return labels, int(session.max()) + 1


def label(packets, session, n_dissections=20):
    """Labels of sessions numbered by hand."""
    session = np.asarray(session)
    place = np.array([np.sum(session[:i] == s) for i, s in enumerate(session)])
    with Labeller(n_dissections) as labeller:
        labels = labeller.capture()
        labels.add(table(packets), session, place)
        labels.finish()
        columns = labels.take(np.unique(session))
        assert labeller.errors == []
        assert labels.lost == 0
    return columns


@pytest.fixture
def fresh(monkeypatch):
    """Give the test a pool of its own."""
    pool = _naming.NamingPool()
    monkeypatch.setattr(_labels, "POOL", pool)
    yield pool
    pool.close()


def script(monkeypatch, tmp_path, text):
    """Put a made-up program in nfstream's place."""
    path = tmp_path / "child.py"
    path.write_text(text)
    monkeypatch.setattr(_naming, "SCRIPT", path)
    _naming.POOL.close()  # not one that is kept from an earlier call


def test_sessions_of_one_five_tuple_keep_their_own_names():
    """A five-tuple that is used again, at once and within the timeouts, is two sessions."""
    packets = [udp4(question(name), ports=(5000, 53)) for name in ("a.example", "b.example")]
    columns = label(packets, [7, 3])
    assert columns["sni"] == ["b.example", "a.example"]  # in the order asked for: 3, 7
    assert columns["application"] == ["DNS", "DNS"]
    assert columns["category"] == ["Network", "Network"]
    assert columns["client_fingerprint"] == [None, None]


def test_more_sessions_of_one_five_tuple_than_there_are_tags():
    """The number of VLAN identifiers is no limit."""
    count = LANES + 4
    packets = [udp4(question(f"n{i}.example"), ports=(5000, 53)) for i in range(count)]
    with Labeller(20) as labeller:
        labels = labeller.capture()
        labels.add(table(packets), np.arange(count), np.zeros(count, np.int64))
        labels.finish()
        columns = labels.take(np.arange(count))
    assert columns["sni"] == [f"n{i}.example" for i in range(count)]


def test_both_versions_of_ip_and_both_directions():
    """IPv6 is named too, and an answer belongs to its question's session."""
    there = ip6(udp(question("six.example"), ports=(5000, 53)), 17)
    back = udp4(question("four.example"), back=True, ports=(5000, 53))
    columns = label([there, udp4(question("four.example"), ports=(5000, 53)), back], [0, 1, 1])
    assert columns["sni"] == ["six.example", "four.example"]


def test_a_session_that_nfstream_passes_over_is_unnamed(fresh):
    """Only later fragments: nothing to name, and nothing to wait for."""
    with Labeller(20) as labeller:
        labels = labeller.capture()
        packets = table([ip4(bytes(40), 17, fragment=100)])
        labels.add(packets, np.array([0]), np.array([0]))
        labels.finish()
        assert labels.take(np.array([0])) == {name: [None] for name in LABELS}


def test_no_more_than_the_first_packets_are_shown():
    """With one packet to look at, nDPI sees the first name only; the head ends by itself."""
    packets = [udp4(b"\xff" * 20, ports=(5000, 4999)), udp4(question("late.example"))]
    heads = Heads(1)
    heads.add(table(packets), np.array([0, 0]), np.array([0, 1]))
    columns, frames = heads.take()
    assert frames.to_pylist() == packets[:1]
    assert columns["session"].tolist() == [0]


def test_heads_wait_until_they_are_whole():
    """A head goes when its session ended or has enough packets; nothing goes twice."""
    packets = [tcp4(bytes([i]) * 5) for i in range(5)]
    heads = Heads(2)
    heads.add(table(packets), np.array([0, 1, 0, 2, 0]), np.array([0, 0, 1, 0, 2]))
    columns, frames = heads.take()
    assert (columns["session"].tolist(), frames.to_pylist()) == ([0, 0], [packets[0], packets[2]])
    heads.end([2])
    columns, frames = heads.take()
    assert (columns["session"].tolist(), frames.to_pylist()) == ([2], [packets[3]])
    assert (len(heads), heads.size) == (1, len(packets[1]))
    assert heads.take(everything=True)[1].to_pylist() == [packets[1]]
    assert (len(heads), heads.size) == (0, 0)


@pytest.mark.parametrize(("make", "field"), [(ip4, slice(2, 4)), (ip6, slice(4, 6))])
def test_an_empty_length_is_filled_in(make, field):
    """Segmentation offload leaves it empty, and nfstream would pass the packet over."""
    packet = make(udp(b"12345678", ports=(1, 2)), 17)
    empty = bytearray(packet)
    empty[field] = b"\0\0"
    heads = Heads(20)
    heads.add(table([bytes(empty)]), np.array([0]), np.array([0]))
    assert heads.take(everything=True)[1].to_pylist() == [packet]


def test_a_batch_is_a_capture_of_the_same_packets(tmp_path):
    """The file holds each packet at its time, behind a tag, cut where it was cut."""
    whole = udp4(bytes(100))
    packets = table([whole, whole[:60], ip6(udp(b"abc"), 17)])
    heads = Heads(20)
    heads.add(packets, np.array([4, 4, 9]), np.array([0, 1, 0]))
    (batch,) = make_batches([Portion(None, *heads.take(everything=True))])
    batch.write(tmp_path / "batch.pcap")
    (again,) = read_packets(tmp_path / "batch.pcap")
    for name in ("time", "size", "src", "dst", "src_port", "dst_port", "version", "protocol"):
        assert np.array_equal(getattr(again, name), getattr(packets, name)), name
    assert (again.stop - again.at).tolist() == [128, 60, 51]
    frame = (tmp_path / "batch.pcap").read_bytes()[len(FILE_HEADER) + 16 :]
    assert frame[:12] == bytes(12)  # the number of the first session in this batch


def test_no_process_without_sessions_and_one_for_many_captures(fresh, small_capture):
    """The process starts when it is needed and stays for the next capture."""
    with Labeller(20):
        pass
    assert fresh._idle == []
    pids = []
    for _ in range(2):
        with Labeller(20) as labeller:
            labels, n = read(labeller, small_capture)
            labels.take(np.arange(n))
            assert labels.named == n == 2
        pids.append(fresh._idle[0]._process.pid)
    assert pids[0] == pids[1]
    fresh.close()
    assert not psutil.pid_exists(pids[0])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        ("import sys; sys.stdin.readline(); sys.exit('out of memory')", "said last: out of memory"),
        ("print('no JSON', flush=True); input()", "answered b'no JSON"),
        ('input(); print(\'{"error": "ValueError: bad"}\')', "ValueError: bad"),
        ("import time; time.sleep(60)", "no answer for 0 s"),
    ],
    ids=["crash", "exit", "nonsense", "error", "hang"],
)
def test_a_failure_costs_labels_and_says_so(fresh, monkeypatch, tmp_path, small_capture, text, why):
    """Sessions stay unnamed, counted, within seconds; the next capture has its names."""
    began = time.monotonic()
    with monkeypatch.context() as patch:
        script(patch, tmp_path, text)
        if why.startswith("no answer"):
            patch.setattr(_labels, "PATIENCE", 0.4)
        with Labeller(20) as labeller:
            labels, n = read(labeller, small_capture)
            assert labels.take(np.arange(n))["application"] == [None, None]
            assert (labels.named, labels.lost) == (0, 2)
            assert len(labeller.errors) == 1
            assert why in labeller.errors[0]
    assert time.monotonic() - began < 30
    with Labeller(20) as labeller:
        labels, n = read(labeller, small_capture)
        assert None not in labels.take(np.arange(n))["application"]
        assert (labels.named, labels.lost, labeller.errors) == (2, 0, [])


def test_a_program_that_keeps_failing_is_left_alone(fresh, monkeypatch, tmp_path, small_capture):
    """After three failures no more processes are started."""
    script(monkeypatch, tmp_path, "import sys; sys.exit(1)")
    with Labeller(20) as labeller:
        lost = 0
        for _ in range(5):
            labels, n = read(labeller, small_capture)
            labels.take(np.arange(n))
            lost += labels.lost
        assert len(labeller.errors) == 3
        assert lost == 10


def test_a_crash_at_work_is_noticed_at_once(fresh):
    """A signal in the middle of a batch, as a fault in a native library gives one."""
    count = _labels.LARGEST_PORTION  # one batch
    packets = table([udp4(question("x.example"), ports=(1 + i, 53)) for i in range(count)])
    with Labeller(20) as labeller:
        labels = labeller.capture()
        labels.add(packets, np.arange(count), np.zeros(count, np.int64))
        labels.finish()
        labeller.send()
        child = psutil.Process(labeller._workers[0].process._process.pid)
        began = time.monotonic()
        while child.cpu_times().user < 0.3 and time.monotonic() - began < 30:
            time.sleep(0.01)
        child.send_signal(signal.SIGSEGV)
        labels.take(np.arange(count))
        assert labels.lost == count
        assert labeller.errors == ["nfstream's process ended with signal 11"]
    assert time.monotonic() - began < 40


def test_a_process_stays_for_the_next_call(small_capture):
    """The extractor keeps it, and takes another where it was killed meanwhile."""
    extractor = SessionExtractor()
    first = extractor.transform(small_capture)
    (*_, kept) = _naming.POOL._idle
    again = extractor.transform(small_capture)
    assert _naming.POOL._idle[-1] is kept
    for process in _naming.POOL._idle:
        process._process.kill()
        process._process.wait()
    last = extractor.transform(small_capture)
    assert kept not in _naming.POOL._idle
    assert to_arrow(first).equals(to_arrow(again))
    assert to_arrow(first).equals(to_arrow(last))
    assert first["application"].notna().all()


@pytest.mark.parametrize("most", [1, 3, 4, 100])
def test_shares_divide_packets_but_no_session(most):
    """Every packet is in one share, with all of its session; shares are alike in size."""
    session = np.array([5, 1, 5, 2, 1, 9, 9, 2, 7, 5])
    shares = _labels._shares(session, most)
    assert sorted(np.concatenate(shares).tolist()) == list(range(10))
    assert sum(len(set(session[rows])) for rows in shares) == len(set(session))
    assert max(map(len, shares)) <= most + 3  # the largest session has three


def test_the_child_forks_nothing_and_keeps_its_affinity(fresh, small_capture):
    """NFStreamer alone would pin the process to two cores and fork another."""
    with Labeller(20) as labeller:
        labels, n = read(labeller, small_capture)
        labels.take(np.arange(n))
        child = psutil.Process(labeller._workers[0].process._process.pid)
        assert child.children() == []
        assert child.cpu_affinity() == psutil.Process().cpu_affinity()


def test_two_processes_share_the_work(fresh, monkeypatch):
    """A second one is started when the first has something to do; each session has its name."""
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    monkeypatch.setattr(_labels, "FIRST_PORTION", 200)
    monkeypatch.setattr(_labels, "LARGEST_PORTION", 400)
    count = 2000
    packets = table([udp4(question(f"n{i}.example"), ports=(1 + i, 53)) for i in range(count)])
    with Labeller(20) as labeller:
        labels = labeller.capture()
        for first in range(0, count, 100):
            rows = np.arange(first, first + 100)
            labels.end(rows)
            labels.add(packets.take(rows), rows, np.zeros(100, np.int64))
        labels.finish()
        columns = labels.take(np.arange(count))
        assert len(labeller._workers) == 2
        assert labels.named == count
    assert columns["sni"] == [f"n{i}.example" for i in range(count)]
    assert len(fresh._idle) == 2


def test_temporary_files_are_removed(fresh, monkeypatch, tmp_path, small_capture):
    """Captures made for nfstream are gone with the labeller, answered or not."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Labeller(20) as labeller:
        labels, n = read(labeller, small_capture)
        labels.take(np.arange(n))
        (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
        assert list(folder.iterdir()) == []
        read(labeller, small_capture)
        labeller.send()
    assert not folder.exists()
    assert fresh._idle == []  # it owed an answer


def test_labels_do_not_depend_on_other_captures(traffic_data):
    """BitTorrent's peers, remembered from one capture, once named a conference in another."""
    names = ("bfcp.pcapng", "bittorrent.pcap", "stun_signal.pcapng", "teams.pcap")
    captures = [traffic_data / "ndpi" / "pcap" / name for name in names]

    def named(groups):
        found = []
        for group in groups:
            with Labeller(20) as labeller:
                waiting = [read(labeller, capture) for capture in group]
                found += [labels.take(np.arange(n)) for labels, n in waiting]
                assert labeller.errors == []
        return found

    assert named([captures]) == named([[capture] for capture in captures])


@pytest.mark.parametrize("key", ["five_tuple", "host_pair", "capture"])
def test_the_extractor_loses_no_session_when_nfstream_crashes(
    monkeypatch, tmp_path, small_capture, key
):
    """Labels are missing; the report and a warning say how many and why; all else is there."""
    extractor = SessionExtractor(key=key)
    whole = extractor.transform(small_capture)
    script(monkeypatch, tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.warns(CaptureWarning) as warned:
        X, report = extractor.extract(small_capture)
    pd.testing.assert_frame_equal(X.drop(columns=[*LABELS]), whole.drop(columns=[*LABELS]))
    assert X[list(LABELS)].isna().all(axis=None)
    assert report["unlabelled"].tolist() == [2]  # flows, whatever the key
    said = [str(warning.message) for warning in warned]
    assert any("nfstream's process ended with signal 11" in text for text in said)
    assert any("could not be asked about 2 sessions" in text for text in said)
    with pytest.warns(CaptureWarning):
        report = extractor.to_parquet(small_capture, tmp_path / "parts")
    assert report["session_packets"].tolist() == [6]
    assert "signal 11" in report["remarks"][0]
