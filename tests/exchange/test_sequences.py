"""read_packet_sequences: DataZoo's PPI, tcbench's lists, and lists that do not fit."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sktraffic.exchange import TableWarning, read_packet_sequences
from sktraffic.feature_extraction import PacketSequences
from sktraffic.ragged import ragged

DATA = os.environ.get("SKTRAFFIC_DATA")
PPI = [[0, 20, 5, 0], [1, -1, 1, 0], [517, 1400, 80, 0], [1, 0, 1, 0]]


@pytest.mark.parametrize("cell", [PPI, PPI[:3], np.array(PPI), str(PPI), [row[:3] for row in PPI]])
def test_datazoo_in_all_its_shapes(cell):
    """Padded or not, with PUSH flags or not, arrays or text: intervals are milliseconds."""
    sessions = read_packet_sequences(pd.DataFrame({"PPI": [cell], "APP": ["youtube"]}))
    time, _ = ragged(sessions["packet_time"])
    size, _ = ragged(sessions["packet_size"])
    direction, _ = ragged(sessions["packet_direction"])
    assert_allclose(time, [0, 0.020, 0.025])
    assert size.tolist() == [517, 1400, 80]
    assert direction.tolist() == [1, -1, 1]
    assert sessions["label"].tolist() == ["youtube"]


def test_tcbench_lists_give_the_same():
    """Times since the first packet in seconds, directions 0 and 1."""
    flows = pd.DataFrame(
        {
            "timetofirst": [[0, 0.020, 0.025]],
            "pkts_size": [[517, 1400, 80]],
            "pkts_dir": [[0, 1, 0]],
            "app": ["youtube"],
        }
    )
    ours = read_packet_sequences(flows)
    zoo = read_packet_sequences(pd.DataFrame({"PPI": [PPI], "APP": ["youtube"]}))
    columns = ["packet_time", "packet_size", "packet_direction", "label", "duration"]
    pd.testing.assert_frame_equal(ours[columns], zoo[columns])


def test_signed_sizes_need_no_directions():
    """Intervals in seconds, sizes with the direction's sign."""
    flows = pd.DataFrame({"iat": [[0, 0.5]], "packet_length": [[100, -200]], "trace": ["t1"]})
    sessions = read_packet_sequences(flows, size="ip")
    assert ragged(sessions["packet_direction"])[0].tolist() == [1, -1]
    assert sessions[["total_bytes", "duration", "trace"]].values.tolist() == [[300, 0.5, "t1"]]
    assert "packet_payload_size" not in sessions


def test_files_of_both_kinds(tmp_path):
    """Parquet keeps lists, CSV has them as text."""
    flows = pd.DataFrame({"PPI": [PPI], "APP": ["youtube"], "BYTES": [1997]})
    flows.to_parquet(Path(tmp_path, "flows.parquet"))
    flows.to_csv(Path(tmp_path, "flows.csv"), index=False)
    tables = [
        read_packet_sequences(Path(tmp_path, name)) for name in ("flows.parquet", "flows.csv")
    ]
    assert [table.loc[0, "BYTES"] for table in tables] == [1997, 1997]
    assert all(table.loc[0, "packet_count"] == 3 for table in tables)


def test_features_come_from_such_a_table():
    """PacketSequences reads it as any session table."""
    sessions = read_packet_sequences(pd.DataFrame({"PPI": [PPI, PPI]}))
    out = PacketSequences(2, fields=("signed_size", "iat")).fit_transform(sessions)
    assert_allclose(out, [[517, 0, -1400, 0.02]] * 2)


def test_facts_of_a_flow_come_along():
    """Addresses, ports, protocol, start, server name, whatever else has one value."""
    flows = pd.DataFrame(
        {
            "PPI": [PPI], "SRC_IP": ["192.0.2.1"], "DST_PORT": [443], "PROTOCOL": [17],
            "TIME_FIRST": ["2022-10-31T10:00:00"], "QUIC_SNI": ["a.example"], "PPI_LEN": [3],
        }
    )  # fmt: skip
    one = read_packet_sequences(flows).iloc[0]
    assert (one["src_ip"], one["dst_port"], one["protocol"], one["sni"]) == (
        "192.0.2.1", 443, 17, "a.example",
    )  # fmt: skip
    assert one["start"] == pd.Timestamp("2022-10-31 10:00", tz="UTC")
    assert "PPI_LEN" not in one


def test_a_flow_without_packets_is_kept_and_said():
    """It has empty lists; the flows around it keep their own packets."""
    empty = [[0, 0], [0, 0], [0, 0]]
    with pytest.warns(TableWarning, match="without a packet"):
        sessions = read_packet_sequences(pd.DataFrame({"PPI": [PPI, empty, PPI]}))
    assert sessions["packet_count"].tolist() == [3, 0, 3]
    assert sessions["duration"].tolist() == [0.025, 0, 0.025]
    assert ragged(sessions["packet_time"])[0].tolist() == [0, 0.02, 0.025] * 2


@pytest.mark.parametrize(
    ("flows", "words"),
    [
        ({"PPI": [[[0], [1]]]}, "Row 0.*three or four"),
        ({"PPI": [PPI, [[0, 1], [1], [5, 5]]]}, "Row 1.*of one length"),
        ({"PPI": ["[[0 1]]"]}, "Row 0.*no JSON list"),
        ({"pkts_size": [[1, 2]], "pkts_iat": [[0]]}, "lengths 2, 1"),
        ({"pkts_size": [[1, 2]]}, "no packet sequences"),
        ({"bytes": [1]}, "no packet sequences"),
    ],
)
def test_lists_that_do_not_fit_are_refused_by_row(flows, words):
    """The row and what is wanted are named."""
    with pytest.raises(ValueError, match=words):
        read_packet_sequences(pd.DataFrame(flows))


def test_options_and_files_are_checked(tmp_path):
    """A size that is none, a file that is not there."""
    with pytest.raises(ValueError, match="size is 'wire'"):
        read_packet_sequences(pd.DataFrame({"PPI": [PPI]}), size="wire")
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        read_packet_sequences(Path(tmp_path, "none.parquet"))


@pytest.mark.skipif(DATA is None, reason="SKTRAFFIC_DATA is not set: no published sequences")
def test_a_published_table_of_sequences():
    """FG-Net's 26,235 flows: signed lengths and intervals, 34 applications."""
    path = Path(DATA, "android_apps_fgnet", "d1_visible_apps.parquet")
    sessions = read_packet_sequences(path)
    assert (len(sessions), sessions["label"].nunique()) == (26_235, 34)
    assert sessions["packet_count"].min() == 10 and sessions["packet_count"].max() == 128
