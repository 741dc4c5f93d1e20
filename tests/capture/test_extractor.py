"""SessionExtractor: parameters, reports, errors; what it leaves alone."""

import os
import signal
import threading
import time
import warnings

import joblib
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktraffic.capture import CaptureError, CaptureWarning, SessionExtractor
from sktraffic.capture._naming import POOL
from sktraffic.ragged import ragged, segment_sum
from sktraffic.sessions import SCHEMA, first_packets, to_arrow


@pytest.fixture(scope="module")
def real(traffic_data):
    """Return a real capture of a switch being set up: TCP and UDP, both directions."""
    return traffic_data / "iot_devices" / "HueSwitch" / "Setup-A-1-STA.pcap"


@pytest.fixture(scope="module")
def sessions(real):
    """Return the sessions of the real capture, by default settings."""
    return SessionExtractor().transform(real)


def test_a_capture_written_by_hand_comes_out_as_it_is(small_capture):
    """Every column of two sessions whose bytes are known."""
    X = SessionExtractor().transform(small_capture)
    assert list(X.columns) == SCHEMA.names
    assert X["capture"].tolist() == [str(small_capture)] * 2
    assert X["session"].tolist() == [0, 1]
    assert X["start"].tolist() == [
        pd.Timestamp("2017-07-14 02:40:00", tz="UTC"),
        pd.Timestamp("2017-07-14 02:40:00.25", tz="UTC"),
    ]
    assert X["src_ip"].tolist() == ["10.0.0.1"] * 2
    assert X[["src_port", "dst_port"]].to_numpy().tolist() == [[3000, 4000], [1000, 2000]]
    assert X["protocol"].tolist() == [17, 17]
    assert X["ip_version"].tolist() == [4, 4]
    assert X["packet_count"].tolist() == [2, 4]
    assert X["duration"].tolist() == [0.75, 1.0]
    assert [list(times) for times in X["packet_time"]] == [[0, 0.75], [0, 0.25, 0.75, 1.0]]
    assert [list(sizes) for sizes in X["packet_size"]] == [[28, 31], [29, 30, 32, 33]]
    assert X["total_bytes"].tolist() == [59, 124]
    assert [list(sizes) for sizes in X["packet_payload_size"]] == [[0, 3], [1, 2, 4, 5]]
    assert [list(signs) for signs in X["packet_direction"]] == [[1, 1], [1, 1, 1, 1]]
    assert all(len(packet) == 28 + 3 for packet in X["packet_bytes"][0][1:])
    assert {len(words) for words in X["packet_message"]} == {2, 4}


@pytest.mark.parametrize(
    ("size", "first"), [("ip", 29), ("frame", 43), ("transport", 9), ("payload", 1)]
)
def test_sizes_count_what_they_say(small_capture, size, first):
    """IP packet, Ethernet frame, UDP datagram or its payload."""
    X = SessionExtractor(size=size).transform(small_capture)
    assert list(X["packet_size"][1]) == [first, first + 1, first + 3, first + 4]
    assert X["total_bytes"][1] == sum(X["packet_size"][1])


def test_facts_agree_with_the_packets(sessions):
    """Counts, sums and durations are those of the lists, on real traffic."""
    size, offsets = ragged(sessions["packet_size"])
    assert np.array_equal(np.diff(offsets), sessions["packet_count"])
    assert np.array_equal(segment_sum(size.astype(int), offsets), sessions["total_bytes"])
    time, _ = ragged(sessions["packet_time"])
    assert (np.diff(time) >= 0)[np.setdiff1d(np.arange(len(time) - 1), offsets[1:-1] - 1)].all()
    assert np.allclose(time[offsets[1:] - 1], sessions["duration"], atol=1e-9)
    assert (time[offsets[:-1]] == 0).all()
    direction, _ = ragged(sessions["packet_direction"])
    assert (direction[offsets[:-1]] == 1).all()
    assert set(direction) == {1, -1}


def test_times_are_finer_than_milliseconds(sessions):
    """The file's microseconds arrive, not nfstream's milliseconds."""
    time, _ = ragged(sessions["packet_time"])
    assert np.abs(time * 1e3 - np.round(time * 1e3)).max() > 1e-3


def test_flags_are_those_on_the_wire(sessions):
    """In TCP the flags column equals byte 13 of the TCP header in the packet's bytes."""
    tcp = sessions[(sessions["protocol"] == 6) & (sessions["ip_version"] == 4)]
    seen = 0
    for flags, packets in zip(tcp["packet_flags"], tcp["packet_bytes"], strict=True):
        for flag, packet in zip(flags, packets, strict=False):
            assert flag == packet[4 * (packet[0] & 15) + 13]
            seen += 1
    assert seen > 100


def test_bytes_are_the_first_of_the_first_packets(real, sessions):
    """As many packets and bytes as asked for; zero gives empty lists."""
    X = SessionExtractor(n_bytes=20, n_byte_packets=2).transform(real)
    for short, whole in zip(X["packet_bytes"], sessions["packet_bytes"], strict=True):
        assert [p[:20] for p in whole[:2]] == list(short)
    assert (X["packet_bytes"].list.len() == np.minimum(X["packet_count"], 2)).all()
    none = SessionExtractor(n_bytes=0).transform(real)
    assert none["packet_bytes"].list.len().sum() == 0


def test_the_first_packets_are_a_truncated_session(real, sessions):
    """`max_packets` gives what cutting the table afterwards gives, nDPI's words aside."""
    early = SessionExtractor(max_packets=3).transform(real)
    cut = first_packets(sessions, 3)
    names = [n for n in SCHEMA.names if n not in ("application", "category", "sni")
             and not n.endswith("fingerprint")]  # fmt: skip
    assert to_arrow(early[names]).to_pylist() == to_arrow(cut[names]).to_pylist()


def test_without_messages_the_column_is_missing_values(real):
    """The column stays, so that tables fit together."""
    X = SessionExtractor(messages=False, n_dissections=0).transform(real)
    assert X["packet_message"].list.flatten().isna().all()
    assert X["application"].isna().all()


def test_host_pairs_hold_all_packets_of_two_hosts(real, sessions):
    """With endless timeouts there is one session for each unordered pair of addresses."""
    X = SessionExtractor(key="host_pair", idle_timeout=10**6, active_timeout=10**6).transform(real)
    pairs = [frozenset(pair) for pair in zip(sessions["src_ip"], sessions["dst_ip"], strict=True)]
    expected = sessions.groupby(pd.Series(pairs).map(lambda p: "|".join(sorted(p))))
    found = X.assign(
        pair=["|".join(sorted({a, b})) for a, b in zip(X["src_ip"], X["dst_ip"], strict=True)]
    ).set_index("pair")
    assert len(found) == expected.ngroups
    for name in ("packet_count", "total_bytes"):
        assert found[name].sort_index().tolist() == expected[name].sum().tolist()
    direction, offsets = ragged(X["packet_direction"])
    assert (direction[offsets[:-1]] == 1).all()
    several = (expected.size() > 1).sum()
    assert several > 0
    assert X["src_port"].isna().sum() == several


def test_a_session_of_merged_flows_keeps_each_packets_bytes(real, sessions):
    """The bytes of the capture's first packets, whatever their flow."""
    X = SessionExtractor(key="capture", n_byte_packets=50).transform(real)
    everything = SessionExtractor(n_byte_packets=50).transform(real)
    start = everything["start"].astype("int64[pyarrow]").to_numpy()
    stamped = []
    for begin, times, packets in zip(
        start, everything["packet_time"], everything["packet_bytes"], strict=True
    ):
        stamped += [(begin + round(t * 1e9), p) for t, p in zip(times, packets, strict=False)]
    stamped.sort(key=lambda pair: pair[0])
    assert sorted(X["packet_bytes"][0]) == sorted(packet for _, packet in stamped[:50])
    assert len(X) == 1
    assert X["packet_count"][0] == sessions["packet_count"].sum()


def test_key_capture_keeps_rows(real, small_capture, tmp_path):
    """One row a path, in the order of the paths, also of one that cannot be read."""
    text = tmp_path / "x.pcap"
    text.write_text("no capture at all")
    paths = [str(small_capture), str(text), str(real)]
    packets = SessionExtractor().transform(real)["packet_count"].sum()
    extractor = SessionExtractor(key="capture", on_error="skip")
    pipe = make_pipeline(extractor, FunctionTransformer(lambda X: X[["packet_count"]]))
    assert pipe.fit_transform(paths)["packet_count"].tolist() == [6, 0, packets]
    assert extractor.transform(paths)["capture"].tolist() == paths
    first = SessionExtractor(key="capture", max_packets=4).transform(small_capture)
    assert list(first["packet_size"][0]) == [28, 29, 30, 31]


def test_a_filter_leaves_the_rest_out(real, sessions):
    """A filter of libpcap; the report counts what it hid; times keep their resolution."""
    extractor = SessionExtractor(bpf_filter="udp port 53")
    X, report = extractor.extract(real)
    wanted = sessions[
        (sessions["protocol"] == 17) & ((sessions["src_port"] == 53) | (sessions["dst_port"] == 53))
    ]
    names = ["start", "src_ip", "dst_ip", "packet_count", "total_bytes", "duration"]
    assert X[names].to_numpy().tolist() == wanted[names].to_numpy().tolist()
    report = report.iloc[0]
    assert report["session_packets"] == wanted["packet_count"].sum()
    assert report["filtered"] == report["records"] - report["session_packets"] - report["not_ip"]
    nothing = SessionExtractor(bpf_filter="udp port 9").transform(real)
    assert len(nothing) == 0
    assert nothing.dtypes.equals(X.dtypes)


def test_timeouts_cut_sessions(small_capture):
    """A silence of idle_timeout, or a life of active_timeout, starts a new session."""
    count = {}
    for seconds in (0, 1, 2):
        X = SessionExtractor(active_timeout=seconds).transform(small_capture)
        count[seconds] = len(X)
    assert count[2] == 2
    assert count[0] > count[1] >= count[2]


def test_the_report_accounts_for_every_record(tmp_path, craft):
    """Packets, not IP, cut, truncated, backwards: each record is somewhere."""
    udp = craft.ethernet(craft.udp(b"x" * 40))
    later_fragment = bytearray(craft.ethernet(craft.udp(b"y" * 40)))
    later_fragment[14 + 6 : 14 + 8] = b"\x00\x20"
    frames = [(10, 0, udp), (11, 0, bytes(60)), (9, 0, udp), (12, 0, udp, 400),
              (13, 0, bytes(later_fragment)), (14, 0, udp[:30])]  # fmt: skip
    path = tmp_path / "x.pcap"
    path.write_bytes(craft.pcap(frames) + b"tail")
    names = ["records", "not_ip", "cut_header", "later_fragment", "session_packets", "filtered",
             "truncated", "backwards", "unread_bytes"]  # fmt: skip
    for joined in (True, False):
        extractor = SessionExtractor(join_fragments=joined, max_packets=2)
        with pytest.warns(CaptureWarning, match=r"last record is cut; 4 bytes .* behind 6 whole"):
            X, report = extractor.extract(path)
        lost = [1, 1, 0, 3, 1] if joined else [1, 1, 1, 2, 1]
        assert report.loc[0, names].tolist() == [6, *lost, 1, 1, 4]
        assert X["packet_count"].tolist() == ([2, 1] if joined else [2])
        assert list(X["packet_time"][0]) == [0, 0]


def test_a_record_that_is_lost_is_an_error(small_capture, monkeypatch):
    """The sum is checked at the end of every read: a fault is told, not kept."""
    monkeypatch.setattr(
        "sktraffic.capture._sessions.SessionReader._filtered",
        lambda self, table: table.take(slice(1, None)),
    )
    with pytest.raises(RuntimeError, match=r"has 6 records, but 5 packets .* a fault of sktraffic"):
        SessionExtractor(n_dissections=0).transform(small_capture)


@pytest.mark.parametrize("on_error", ["raise", "warn", "skip"])
def test_what_happens_to_a_capture_that_cannot_be_read(small_capture, tmp_path, on_error):
    """It is an error, a warning or a line of the report; the others are read."""
    text = tmp_path / "notes.pcap"
    text.write_text("Dear diary, this is no capture.")
    extractor = SessionExtractor(on_error=on_error)
    paths = [text, small_capture]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if on_error == "raise":
            with pytest.raises(CaptureError, match=r"notes\.pcap is neither pcap nor pcapng"):
                extractor.transform(paths)
            return
        X, report = extractor.extract(paths)
    assert len(X) == 2
    assert [issubclass(w.category, CaptureWarning) for w in caught] == [True] * (on_error == "warn")
    errors = report["error"].tolist()
    assert "notes.pcap" in errors[0]
    assert pd.isna(errors[1])


def test_many_captures_with_the_same_trouble_warn_a_few_times(tmp_path, craft):
    """The first three say what it is, one more counts the rest; the report has them all."""
    frames = [(10, 0, craft.ethernet(craft.udp(b"x" * 20)))]
    for i in range(5):
        (tmp_path / f"{i}.pcap").write_bytes(craft.pcap(frames) + b"tail")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, report = SessionExtractor(n_dissections=0).extract(tmp_path)
    assert ["last record is cut" in str(w.message) for w in caught] == [True] * 3 + [False]
    assert "2 more capture(s): see the column 'damage'" in str(caught[3].message)
    assert (report["unread_bytes"] == 4).all()


def test_a_capture_without_ip_is_refused_with_its_link_type(tmp_path, craft):
    """The error counts the frames and says what to do."""
    path = tmp_path / "arp.pcap"
    path.write_bytes(craft.pcap([(1, 0, bytes(60))] * 3))
    with pytest.raises(
        CaptureError, match=r"no IP packet \(3 frames, link type Ethernet \(1\); 3 not_ip"
    ):
        SessionExtractor().transform(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_permissions_are_respected(small_capture):
    """A file that may not be read is an error that says so."""
    small_capture.chmod(0)
    with pytest.raises(CaptureError, match="Permission denied"):
        SessionExtractor().transform(small_capture)


def test_an_unreadable_file_is_an_error(small_capture, monkeypatch):
    """The system's refusal is passed on, as for a file without permission."""
    import sktraffic.packets._open as opening

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(opening, "open", refuse, raising=False)
    with pytest.raises(CaptureError, match=r"cannot be opened: Permission denied\. Check its"):
        SessionExtractor().transform(small_capture)


def test_wrong_parameters_are_refused(small_capture):
    """As scikit-learn refuses them, in fit and in transform."""
    for wrong in ({"key": "flow"}, {"size": 3}, {"max_packets": 0}, {"idle_timeout": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SessionExtractor(**wrong).fit(small_capture)
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SessionExtractor(**wrong).transform(small_capture)


def test_jobs_do_not_change_the_table(traffic_data):
    """One process or two: same rows, same order."""
    paths = sorted((traffic_data / "iot_devices" / "Aria").glob("*.pcap"))[:6]
    one = SessionExtractor().transform(paths)
    two = SessionExtractor(n_jobs=2).transform(paths)
    assert to_arrow(one).to_pylist() == to_arrow(two).to_pylist()
    assert one["capture"].drop_duplicates().tolist() == [str(path) for path in paths]


def test_the_caller_is_left_alone(small_capture, tmp_path, monkeypatch):
    """Affinity, directory, signals and paths stay; threads and children end after a while."""
    monkeypatch.setattr("sktraffic.capture._naming.IDLE", 0.2)
    POOL.close()
    monkeypatch.chdir(tmp_path)
    paths = [str(small_capture)]
    process = psutil.Process()
    handler = signal.getsignal(signal.SIGINT)
    before = (process.cpu_affinity(), os.getcwd(), threading.active_count(), sorted(os.listdir()))
    SessionExtractor().transform(paths)
    patience = time.monotonic() + 30
    while POOL._idle or threading.active_count() > before[2]:
        assert time.monotonic() < patience
        time.sleep(0.05)
    after = (process.cpu_affinity(), os.getcwd(), threading.active_count(), sorted(os.listdir()))
    assert after == before
    assert paths == [str(small_capture)]
    assert signal.getsignal(signal.SIGINT) is handler
    assert not [c for c in process.children() if "_nfstream.py" in " ".join(c.cmdline())]


def test_progress_goes_to_standard_error(small_capture, capsys):
    """A bar on request, and silence otherwise."""
    SessionExtractor().transform(small_capture)
    assert capsys.readouterr() == ("", "")
    SessionExtractor(progress=True).transform(small_capture)
    out, err = capsys.readouterr()
    assert out == ""
    assert "captures" in err
    assert "1/1" in err


def test_it_is_an_estimator(small_capture):
    """Clones, parameters, feature names, a table whatever the output setting."""
    extractor = SessionExtractor(idle_timeout=7)
    assert clone(extractor).get_params() == extractor.get_params()
    before = dict(vars(extractor))
    assert extractor.fit(X=small_capture, y=None) is extractor
    extractor.transform(X=small_capture)
    assert vars(extractor) == before
    assert extractor.get_feature_names_out().tolist() == SCHEMA.names
    pipe = make_pipeline(extractor).set_output(transform="pandas")
    assert isinstance(pipe.fit_transform(small_capture), pd.DataFrame)


def test_dask_workers_read_captures(traffic_data):
    """`parallel_config(backend="dask")` spreads captures over two real worker processes."""
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    paths = sorted((traffic_data / "iot_devices" / "Aria").glob("*.pcap"))[:4]
    with (
        warnings.catch_warnings(
            action="ignore"
        ),  # third parties', of a cluster that comes and goes
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        with joblib.parallel_config(backend="dask"):
            X = SessionExtractor(n_jobs=-1).transform(paths)
        workers = client.run(lambda: __import__("os").getpid())
        done = client.run(
            lambda dask_worker: dask_worker.state.task_counter.current_count(), on_error="return"
        )
    assert len(set(workers.values())) == 2
    assert len(done) == 2
    assert os.getpid() not in workers.values()
    here = SessionExtractor().transform(paths)
    assert to_arrow(X).to_pylist() == to_arrow(here).to_pylist()


def test_tables_go_into_arrow_and_back(sessions):
    """The table has the schema's types to the letter."""
    assert to_arrow(sessions).schema.equals(SCHEMA)
    assert isinstance(to_arrow(sessions), pa.Table)
