"""read_zeek: both formats, labels of IoT-23, TLS by uid, and logs that are broken."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from sktraffic.exchange import TableWarning, read_zeek
from sktraffic.feature_extraction import SessionStatistics

FIELDS = (
    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes "
    "conn_state local_orig missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes "
    "tunnel_parents"
).split()
TCP = dict(zip(FIELDS, (
    "1300475168.859163 CMdzit1AMNsmfAIiQc 192.0.2.1 38104 198.51.100.7 443 tcp ssl 2.5 900 4000 "
    "SF - 0 ShADadFf 10 1420 9 4476 (empty)"
).split(), strict=True))  # fmt: skip
ICMP = TCP | {
    "uid": "Cping", "id.orig_p": "8", "id.resp_p": "0", "proto": "icmp", "service": "-",
    "duration": "-", "orig_bytes": "-",
}  # fmt: skip


def tsv(*rows, fields=FIELDS):
    lines = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-",
             "#path\tconn", "#open\t2024-05-01-00-00-00", "#fields\t" + "\t".join(fields),
             "#types\t" + "\t".join(["string"] * len(fields))]  # fmt: skip
    lines += ["\t".join(row[field] for field in fields) for row in rows]
    return "\n".join([*lines, "#close\t2024-05-01-01-00-00", ""])


def as_json(*rows):
    lines = []
    for row in rows:
        record = {key: value for key, value in row.items() if value not in ("-", "(empty)")}
        for name in ("ts", "duration"):
            if name in record:
                record[name] = float(record[name])
        for name in ("id.orig_p", "id.resp_p", "orig_pkts", "resp_pkts", "orig_ip_bytes"):
            record[name] = int(record[name])
        lines.append(json.dumps(record))
    return "\n".join(lines) + "\n"


def write(tmp_path, text, name="conn.log"):
    path = Path(tmp_path, name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("form", [tsv, as_json])
def test_both_formats_give_the_same_sessions(tmp_path, form):
    """By hand: 10 + 9 packets, 1,420 + 4,476 bytes of IP; ICMP has no ports."""
    sessions = read_zeek(write(tmp_path, form(TCP, ICMP)))
    first, second = sessions.iloc[0], sessions.iloc[1]
    assert first["start"] == pd.Timestamp("2011-03-18 19:06:08.859163", tz="UTC")
    assert (first["src_port"], first["dst_port"], first["protocol"]) == (38104, 443, 6)
    assert (first["duration"], first["packet_count"], first["total_bytes"]) == (2.5, 19, 5896)
    assert (first["application"], first["conn_state"], first["history"]) == (
        "ssl", "SF", "ShADadFf",
    )  # fmt: skip
    assert (second["src_port"], second["dst_port"], second["protocol"]) == (0, 0, 1)
    assert pd.isna(second["duration"]) and pd.isna(second["application"])


def test_labels_of_iot_23_are_columns(tmp_path):
    """There three spaces stand in front of the labels, in the header too."""
    fields = [*FIELDS[:-1], "tunnel_parents   label   detailed-label"]
    rows = [
        {**TCP, fields[-1]: "-   Malicious   PartOfAHorizontalPortScan"},
        {**TCP, fields[-1]: "-   benign   -"},
    ]
    sessions = read_zeek(write(tmp_path, tsv(*rows, fields=fields), "conn.log.labeled"))
    assert sessions["label"].tolist() == ["Malicious", "benign"]
    assert sessions["detailed-label"].isna().tolist() == [False, True]


def test_server_names_and_fingerprints_come_by_uid(tmp_path):
    """A folder's ssl.log is joined; a connection that is not in it has none."""
    write(tmp_path, tsv(TCP, ICMP))
    ssl = {"ts": "1", "uid": TCP["uid"], "server_name": "a.example", "ja3": "e7d7", "ja3s": "-"}
    write(tmp_path, tsv(ssl, fields=list(ssl)), "ssl.log")
    sessions = read_zeek(tmp_path)
    assert sessions["sni"].fillna("").tolist() == ["a.example", ""]
    assert sessions["client_fingerprint"].fillna("").tolist() == ["e7d7", ""]
    assert sessions["server_fingerprint"].isna().all()
    assert "sni" not in read_zeek(Path(tmp_path, "conn.log"))


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        (tsv(TCP) + "1300475169.1\tCut", 1, "another number of fields"),
        (tsv(TCP) + tsv(ICMP), 2, None),
        (tsv(TCP, TCP | {"ts": "-"}), 1, "without a time"),
        (tsv(TCP | {"duration": "soon"}), 1, "cells of duration"),
        (as_json(TCP) + "{\"ts\": 1300", 1, "no JSON object"),
        (as_json(TCP).replace("1300475168.859163", '"2011-03-18T19:06:08.859163Z"'), 1, None),
        (gzip.compress(tsv(TCP).encode(), mtime=0), 1, None),
        (tsv(TCP).replace("\n", "\r\n"), 1, None),
        (tsv(TCP | {"id.orig_h": "2001:db8::1"}), 1, None),
    ],
)  # fmt: skip
def test_broken_and_odd_logs(tmp_path, text, rows, said):
    """Cut lines, logs put together, bad cells, dates, gzip, Windows' line ends, IPv6."""
    path = write(tmp_path, text)
    if said is None:
        sessions = read_zeek(path, on_mend="raise")
    else:
        with pytest.warns(TableWarning, match=said):
            sessions = read_zeek(path)
    assert len(sessions) == rows
    assert sessions.loc[0, "start"] == pd.Timestamp("2011-03-18 19:06:08.859163", tz="UTC")
    if b"db8" in path.read_bytes():
        assert sessions.loc[0, "ip_version"] == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1300475168.8\tCx\n", "no line #fields"),
        (tsv(TCP, fields=["ts", "uid"]), "lacks id.orig_h"),
        ("{ broken\n", "no line of JSON"),
        ("", "no line #fields"),
    ],
)
def test_what_is_no_log_is_refused_by_name(tmp_path, text, words):
    """The message names the file and what is lacking."""
    with pytest.raises(ValueError, match=rf"conn\.log.*{words}"):
        read_zeek(write(tmp_path, text))


def test_missing_files_are_named(tmp_path):
    """An empty folder, and a path to nothing."""
    with pytest.raises(FileNotFoundError, match=r"conn\.log"):
        read_zeek(tmp_path)
    with pytest.raises(ValueError, match=r"no ssl\.log"):
        read_zeek(write(tmp_path, tsv(TCP)), ssl=write(tmp_path, tsv(ICMP), "other.log"))


def test_estimators_name_the_columns_that_zeek_does_not_have(tmp_path):
    """A log of connections knows no packets."""
    with pytest.raises(ValueError, match=r"lacks the column\(s\) packet_time"):
        SessionStatistics().fit_transform(read_zeek(write(tmp_path, tsv(TCP))))
