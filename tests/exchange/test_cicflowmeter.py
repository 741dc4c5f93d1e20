"""read_cicflowmeter: every generation's names, and what published tables have wrong."""

import gzip
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict

from sktraffic.exchange import TableWarning, read_cicflowmeter
from sktraffic.exchange._cic_names import FEATURES, canonical_names
from sktraffic.model_selection import CaptureKFold

DATA = os.environ.get("SKTRAFFIC_DATA")
OF_2017 = (
    "Flow ID, Source IP, Source Port, Destination IP, Destination Port, Protocol, Timestamp,"
    " Flow Duration, Total Fwd Packets, Total Backward Packets,Total Length of Fwd Packets,"
    " Total Length of Bwd Packets, Fwd Packet Length Max,Flow Bytes/s, Flow Packets/s,"
    " Fwd Header Length, Fwd Header Length.1,Init_Win_bytes_forward, min_seg_size_forward, Label"
)
ROW = (
    "192.0.2.1-192.0.2.2-41000-80-6,192.0.2.1,41000,192.0.2.2,80,6,03/07/2017 08:55:58,"
    "2000000,3,2,100,900,60,500.0,2.5,60,60,8192,20,BENIGN"
)
FIELDS = [name.strip() for name in OF_2017.split(",")]


def table(tmp_path, *rows, header=OF_2017, name="flows.csv", encoding="utf-8"):
    path = Path(tmp_path, name)
    path.write_bytes("\n".join([header, *rows, ""]).encode(encoding))
    return path


def row(**changes):
    """Return the row with some of its cells changed; names as in the header, spaces as _."""
    cells = dict(zip(FIELDS, ROW.split(","), strict=True))
    for name, value in changes.items():
        cells[name.replace("_", " ")] = value
    return ",".join(cells.values())


def test_a_clean_table_needs_no_mending(tmp_path):
    """Facts by hand: 2,000,000 microseconds, 3 + 2 packets, 100 + 900 bytes."""
    with pytest.warns(TableWarning, match="columns that stand twice, left out: 1"):
        sessions = read_cicflowmeter(table(tmp_path, ROW))
    one = sessions.iloc[0]
    assert (one["src_ip"], one["dst_port"], one["protocol"], one["ip_version"]) == (
        "192.0.2.1",
        80,
        6,
        4,
    )
    assert (one["duration"], one["packet_count"], one["total_bytes"]) == (2.0, 5, 1000)
    assert one["start"] == pd.Timestamp("2017-07-03 08:55:58", tz="UTC")
    assert (one["label"], one["FWD Init Win Bytes"], one["capture"]) == ("BENIGN", 8192, "flows")


@pytest.mark.parametrize(
    "names",
    [
        [
            " Total Fwd Packets",
            "Init_Win_bytes_forward",
            " min_seg_size_forward",
            " CWE Flag Count",
        ],
        ["Tot Fwd Pkts", "Init Fwd Win Byts", "Fwd Seg Size Min", "CWE Flag Count"],
        ["tot_fwd_pkts", "init_fwd_win_byts", "fwd_seg_size_min", "cwe_flag_count"],
        ["Total Fwd Packet", "FWD Init Win Bytes", "Fwd Seg Size Min", "CWR Flag Count"],
    ],
)
def test_all_generations_have_the_same_names_afterwards(names):
    """2017, 2018, the Python package, and the corrected tool."""
    expected = ["Total Fwd Packet", "FWD Init Win Bytes", "Fwd Seg Size Min", "CWR Flag Count"]
    assert canonical_names(names) == expected


@pytest.mark.parametrize(
    ("rows", "counted", "left"),
    [
        ([ROW, OF_2017], "repeated header rows, left out", 1),
        ([ROW, "," * ROW.count(",")], "rows without a value, left out", 1),
        ([row(Flow_Duration="-5")], "negative durations, now missing", 1),
        ([row(Label="Benign")], "spellings of BENIGN", 1),
        ([row(Label="Web Attack \x96 XSS")], "labels with a broken dash", 1),
        ([row(Timestamp="3/7/2017 2:55")], "times that may be in the afternoon", 1),
        ([row(Timestamp="yesterday")], "times that cannot be read, now missing", 1),
        ([row(Source_Port="http")], "ports that are no number, now missing", 1),
        ([row(Total_Fwd_Packets="three")], "cells that are no number, now missing", 1),
    ],
)
def test_what_is_mended_is_counted(tmp_path, rows, counted, left):
    """Each fault of the published tables once; the rest of the row is read."""
    sessions, mended = read_cicflowmeter(
        table(tmp_path, *rows, encoding="latin-1"), on_mend="ignore", return_mended=True
    )
    assert len(sessions) == left
    assert [what for what in mended if what.startswith(counted)]


def test_infinite_rates_are_missing(tmp_path):
    """Infinity and NaN in a rate: missing values, the row stays."""
    cells = ROW.split(",")
    cells[FIELDS.index("Flow Bytes/s")], cells[FIELDS.index("Flow Packets/s")] = "Infinity", "NaN"
    sessions, mended = read_cicflowmeter(
        table(tmp_path, ",".join(cells)), on_mend="ignore", return_mended=True
    )
    assert sessions[["Flow Bytes/s", "Flow Packets/s"]].isna().all(axis=None)
    assert mended["infinite numbers, now missing"] == 1


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("03/07/2017 08:55:58", "2017-07-03 08:55:58"),
        ("3/7/2017 8:55", "2017-07-03 08:55:00"),
        ("02/04/2015 01:57:50 p.m.", "2015-04-02 13:57:50"),
        ("02/04/2015 12:57:50 a.m.", "2015-04-02 00:57:50"),
        ("02/04/2015 12:57:50 PM", "2015-04-02 12:57:50"),
        ("2017-07-03 08:55:58.123456", "2017-07-03 08:55:58.123456"),
    ],
)
def test_times_of_all_generations(tmp_path, text, time):
    """Days first, halves of the day with and without dots, years first with fractions."""
    path = table(tmp_path, row(Timestamp=text))
    sessions = read_cicflowmeter(path, on_mend="ignore")
    assert sessions.loc[0, "start"] == pd.Timestamp(time, tz="UTC")


def test_a_label_that_says_that_there_is_none_is_missing(tmp_path):
    """CICFlowMeter writes "No Label" or "NeedManualLabel" where it knows none."""
    path = table(tmp_path, row(Label="No Label"), row(Label="NeedManualLabel"), row(Label="Bot"))
    labels = read_cicflowmeter(path, on_mend="ignore")["label"]
    assert labels.isna().tolist() == [True, True, False]


def test_columns_that_stand_twice_must_agree(tmp_path):
    """CIC-IDS2017 has the header length twice; where they differ, nobody knows which is right."""
    cells = ROW.split(",")
    cells[FIELDS.index("Fwd Header Length.1")] = "61"
    with pytest.raises(ValueError, match=r"two columns of 'Fwd Header Length' that differ"):
        read_cicflowmeter(table(tmp_path, ",".join(cells)))


def test_other_columns_are_kept(tmp_path):
    """What the reader does not know stays under its own name."""
    path = table(tmp_path, f"{ROW},blue", header=f"{OF_2017},Mood")
    assert read_cicflowmeter(path, on_mend="ignore").loc[0, "Mood"] == "blue"


def test_compressed_and_marked_files_are_read(tmp_path):
    """gzip, and a byte-order mark in front."""
    path = Path(tmp_path, "flows.csv.gz")
    path.write_bytes(gzip.compress(f"\ufeff{OF_2017}\n{ROW}\n".encode()))
    assert len(read_cicflowmeter(path, on_mend="ignore")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no table"),
        ("a,b\n1,2\n", "lacks Flow Duration"),
        (f"{OF_2017}\n{ROW}\n{ROW},9,9", ""),
    ],
)
def test_what_is_no_such_table_is_refused_by_name(tmp_path, text, words):
    """Empty files, other tables, rows of differing lengths."""
    path = Path(tmp_path, "other.csv")
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"other\.csv.*{words}"):
        read_cicflowmeter(path)


def test_mending_can_be_refused(tmp_path):
    """on_mend='raise' names what it found; a missing file is said to be missing."""
    with pytest.raises(ValueError, match="spellings of BENIGN: 1"):
        read_cicflowmeter(table(tmp_path, row(Label="Benign")), on_mend="raise")
    with pytest.raises(ValueError, match="'warn', 'ignore' or 'raise'"):
        read_cicflowmeter(table(tmp_path, ROW), on_mend="maybe")
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_cicflowmeter(Path(tmp_path, "none.csv"))


@pytest.mark.skipif(DATA is None, reason="SKTRAFFIC_DATA is not set: no published tables")
def test_published_tables_are_read_without_a_hand():
    """80 tables of ISCX: 36,130 flows, every time read, two infinite rates."""
    tables, rates = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in sorted(Path(DATA, "iscx_vpn2016", "cicflow_per_capture").glob("*.csv")):
            sessions, mended = read_cicflowmeter(path, on_mend="ignore", return_mended=True)
            assert set(mended) <= {"infinite numbers, now missing"}
            rates += sum(mended.values())
            tables.append(sessions)
    whole = pd.concat(tables)
    assert (len(tables), len(whole), rates) == (80, 36_130, 2)
    assert whole["start"].notna().all()
    assert sum(name in FEATURES for name in whole) == 76


@pytest.mark.skipif(DATA is None, reason="SKTRAFFIC_DATA is not set: no published tables")
def test_a_forest_learns_from_published_tables():
    """VPN or not, by the names of the tables, whole captures held out: better than the majority."""
    paths = sorted(Path(DATA, "iscx_vpn2016", "cicflow_per_capture").glob("*.csv"))
    tables = [read_cicflowmeter(path, on_mend="ignore") for path in paths]
    groups = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    y = np.asarray([path.name.startswith("vpn") for path in paths])[groups]
    X = pd.concat(tables, ignore_index=True)
    values = X[[name for name in FEATURES if name in X]].astype(float)
    forest = RandomForestClassifier(n_estimators=30, min_samples_leaf=3, n_jobs=2, random_state=0)
    told = cross_val_predict(forest, values, y, groups=groups, cv=CaptureKFold(4))
    majority = f1_score(y, np.zeros_like(y), average="macro")
    assert f1_score(y, told, average="macro") > majority + 0.1
