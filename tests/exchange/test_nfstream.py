"""Flows of nfstream as sessions: the same from a streamer, its frame and its CSV."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sktraffic.capture import SessionExtractor
from sktraffic.exchange import read_nfstream
from sktraffic.feature_extraction import PacketSequences
from sktraffic.ragged import column_array
from sktraffic.sessions import read_sessions

IDENTITY = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "ip_version", "vlan_id"]
SCRIPT = """
import os, sys
from nfstream import NFStreamer
from sktraffic.exchange import read_nfstream
from sktraffic.sessions import write_sessions
capture, folder = sys.argv[1:]
os.chdir(folder)
def streamer():
    return NFStreamer(source=capture, n_meters=1, statistical_analysis=True, splt_analysis=6)
streamer().to_csv("flows.csv")
streamer().to_pandas().to_pickle("flows.pickle")
before = os.sched_getaffinity(0)
write_sessions(read_nfstream(streamer()), "sessions.parquet")
assert os.sched_getaffinity(0) == before
"""


@pytest.fixture
def flows():
    """Two flows as `to_pandas` gives them."""
    return pd.DataFrame(
        {
            "id": [0, 1],
            "src_ip": ["192.0.2.1", "2001:db8::1"],
            "dst_ip": ["192.0.2.2", "2001:db8::2"],
            "src_port": [41000, 0],
            "dst_port": [443, 0],
            "protocol": [6, 58],
            "ip_version": [4, 6],
            "vlan_id": [7, 0],
            "bidirectional_first_seen_ms": [1_500_000_000_250, 1_500_000_001_000],
            "bidirectional_duration_ms": [75, 0],
            "bidirectional_packets": [5, 1],
            "bidirectional_bytes": [1700, 70],
            "bidirectional_mean_ps": [340.0, 70.0],
            "application_name": ["TLS.Google", "ICMPV6"],
            "application_category_name": ["Web", "Network"],
            "requested_server_name": ["example.org", np.nan],
            "splt_direction": ["[0, 1, 0]", "[0, -1, -1]"],
            "splt_ps": ["[94, 1400, 60]", "[70, -1, -1]"],
            "splt_piat_ms": ["[0, 25, 50]", "[0, -1, -1]"],
        }
    )


def test_a_frame_by_hand(flows):
    """Every value where it belongs, in our units."""
    X = read_nfstream(flows, capture="a.pcap")
    assert X["capture"].tolist() == ["a.pcap", "a.pcap"]
    assert X["session"].tolist() == [0, 1]
    assert str(X.loc[0, "start"]) == "2017-07-14 02:40:00.250000+00:00"
    assert X["duration"].tolist() == [0.075, 0.0]
    assert X[IDENTITY].values.tolist() == [
        ["192.0.2.1", "192.0.2.2", 41000, 443, 6, 4, 7],
        ["2001:db8::1", "2001:db8::2", 0, 0, 58, 6, 0],
    ]
    assert X[["packet_count", "total_bytes"]].values.tolist() == [[5, 1700], [1, 70]]
    assert X[["application", "category"]].values.tolist() == [
        ["TLS.Google", "Web"], ["ICMPV6", "Network"],
    ]  # fmt: skip
    assert X["sni"].isna().tolist() == [False, True]
    assert list(map(list, X["packet_time"])) == [[0, 0.025, 0.075], [0]]
    assert list(map(list, X["packet_size"])) == [[94, 1400, 60], [70]]
    assert list(map(list, X["packet_direction"])) == [[1, -1, 1], [1]]
    assert X["bidirectional_mean_ps"].tolist() == [340, 70]
    assert "packet_flags" not in X  # nfstream does not say
    assert "splt_ps" not in X


def test_lists_may_be_lists(flows):
    """Frames that were made of NFlow objects hold lists, not their text."""
    names = ["splt_direction", "splt_ps", "splt_piat_ms"]
    listed = flows.assign(**{name: flows[name].map(json.loads) for name in names})
    pd.testing.assert_frame_equal(read_nfstream(listed), read_nfstream(flows))


def test_no_flows_are_no_sessions(tmp_path):
    """`to_pandas` returns None, `to_csv` writes an empty file or none."""
    (tmp_path / "empty.csv").write_text("")
    for source in (None, [], tmp_path / "empty.csv"):
        assert read_nfstream(source)[["packet_count", "total_bytes"]].shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bidirectional_packets": None}, "lacks bidirectional_packets; it has id, src_ip"),
        ({"splt_ps": None}, "has splt_direction, but lacks splt_ps"),
        ({"splt_ps": ["[94, 1400]", "[70, -1]"]}, "lists of 3, 2 and 3 packets"),
        ({"splt_ps": ["[94, 1400, 60]", "[70]"]}, "Column splt_ps of table"),
        ({"splt_piat_ms": ["[0, 1, 2]", np.nan]}, "Column splt_piat_ms of table"),
        ({"splt_direction": ["[0, -1, 1]", "[0, -1, -1]"]}, r"Row 0 .* \[0, -1, 1\]"),
        ({"splt_direction": ["[0, 1, 1]", "[2, -1, -1]"]}, r"Row 1 .* \[2, -1, -1\]"),
        ({"bidirectional_bytes": ["many", 70]}, "Row 0 of table has 'many' in bidirectional_bytes"),
        ({"udps.x": [{1}, 2]}, r"Column udps\.x of table"),
    ],
)
def test_what_is_wrong_is_named(flows, change, message):
    """The column and the row."""
    for name, values in change.items():
        flows = flows.drop(columns=name) if values is None else flows.assign(**{name: values})
    with pytest.raises(ValueError, match=message):
        read_nfstream(flows)


def test_what_is_no_table_at_all(tmp_path):
    """Other objects and missing files."""
    with pytest.raises(TypeError, match="An NFStreamer, flows of one, its data frame"):
        read_nfstream(3)
    with pytest.raises(TypeError, match="A flow of nfstream is wanted, got int"):
        read_nfstream([3])
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.csv"):
        read_nfstream(tmp_path / "none.csv")


def test_a_time_beyond_all_calendars_is_missing(flows):
    """The year 152,000 of a damaged capture fits no nanosecond."""
    X = read_nfstream(flows.assign(bidirectional_first_seen_ms=[4_735_000_000_000_000, 0]))
    assert X["start"].isna().tolist() == [True, False]


@pytest.fixture(scope="module")
def run(traffic_data, tmp_path_factory):
    """Return a capture and the folder in which nfstream left its flows."""
    folder = tmp_path_factory.mktemp("nfstream")
    capture = traffic_data / "ndpi" / "pcap" / "reddit.pcap"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(capture), str(folder)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    return capture, folder


def test_streamer_frame_and_csv_give_the_same(run):
    """What nfstream says does not depend on how it is handed over."""
    capture, folder = run
    from_streamer = read_sessions(folder / "sessions.parquet")
    assert from_streamer["capture"].unique().tolist() == [str(capture)]
    frame = pd.read_pickle(folder / "flows.pickle")
    for X in (read_nfstream(folder / "flows.csv"), read_nfstream(frame)):
        assert X.columns.tolist() == from_streamer.columns.tolist()
        for name in X.columns.drop("capture"):
            # text that is empty in the streamer's flows is missing in a CSV
            got, expected = (
                ["" if value is None else value for value in column_array(t[name]).to_pylist()]
                for t in (X, from_streamer)
            )
            if isinstance(expected[0], float):  # pandas before 3 reads the last digit otherwise
                np.testing.assert_allclose(got, expected, rtol=1e-15, err_msg=name)
            else:
                assert got == expected, name


def test_sessions_are_those_of_the_extractor(run):
    """Read by nfstream or by us, a capture has the same sessions, labels and first packets."""
    capture, folder = run
    ours = SessionExtractor(size="frame", messages=False).transform(capture)
    theirs = read_nfstream(folder / "flows.csv")
    key = [*IDENTITY, "packet_count", "total_bytes"]
    ours = ours.sort_values(key, ignore_index=True)
    theirs = theirs.sort_values(key, ignore_index=True)
    assert ours[key].values.tolist() == theirs[key].values.tolist()
    for name in ("application", "category", "sni", "client_fingerprint", "server_fingerprint"):
        assert ours[name].fillna("").tolist() == theirs[name].fillna("").tolist(), name
    for name in ("packet_size", "packet_direction"):
        first = [list(values)[:6] for values in ours[name]]
        assert first == [list(values) for values in theirs[name]], name
    # whole milliseconds between packets there, the file's own times here
    for a, b in zip(ours["packet_time"], theirs["packet_time"], strict=True):
        np.testing.assert_allclose(list(a)[:6], list(b), atol=0.006)
    starts = [X["start"].astype("int64[pyarrow]").to_numpy() // 10**6 for X in (ours, theirs)]
    assert np.array_equal(*starts)


def test_sequences_of_first_packets_are_features(run):
    """A table with splt lists goes through a transformer of packet sequences."""
    X = read_nfstream(run[1] / "flows.csv")
    features = PacketSequences(n_packets=6).fit_transform(X)
    assert len(features) == len(X)
    assert np.isfinite(np.asarray(features, dtype=float)).all()


def test_all_expected_tables_of_nfstream(traffic_data):
    """Flow tables with few columns: counts, bytes and applications of all 228 tables."""
    tables = sorted((traffic_data / "nfstream" / "results").iterdir())
    sessions = 0
    for path in tables:
        X = read_nfstream(path)
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        expected = [
            [int(row["bidirectional_packets"]), int(row["bidirectional_bytes"]),
             row["application_name"]] for row in rows
        ]  # fmt: skip
        names = ["packet_count", "total_bytes", "application"]
        assert X[names].values.tolist() == expected, path.name
        assert "src_ip" not in X
        sessions += len(X)
    assert len(tables) == 228
    assert sessions == 6118
