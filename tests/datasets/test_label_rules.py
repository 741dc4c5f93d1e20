"""Labels from rules: first match, every row accounted for, and rules that cannot be."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import label_sessions, load_captures, load_lab_sessions, read_label_rules
from tests.capture.craft import Craft


def sessions():
    """Six sessions: two of an attack, its answer, a scan, mail, and one with nothing known."""
    return pd.DataFrame(
        {
            "capture": ["day/monday.pcap"] * 5 + ["day/tuesday.pcap"],
            "src_ip": ["192.0.2.9", "192.0.2.9", "203.0.113.5", "2001:db8::7", "203.0.113.5", None],
            "dst_ip": ["203.0.113.5"] * 2 + ["192.0.2.9", "2001:db8::1", "198.51.100.25", None],
            "src_port": [4000, 4001, 22, 5000, 6000, None],
            "dst_port": [22, 80, 4000, 7000, 25, None],
            "protocol": [6, 6, 6, 17, 6, None],
            "start": pd.to_datetime(
                [f"2017-07-03 {hour}" for hour in ("09:00", "10:00", "09:30", "11:00", "12:00")],
                utc=True,
            ).append(pd.DatetimeIndex([None], tz="UTC")),
            "application": ["SSH", "HTTP", "SSH", None, "SMTP", None],
            "sni": [None, None, None, "a.example.org", None, None],
        }
    ).astype({"src_port": "UInt16", "dst_port": "UInt16", "protocol": "UInt8"})


@pytest.mark.parametrize(
    ("rule", "matched"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"src_ip": "192.0.2.9"}, [0, 1]),
        ({"src_ip": "192.0.2.0/24"}, [0, 1]),
        ({"src_ip": "2001:db8::/32"}, [3]),
        ({"ip": "192.0.2.9"}, [0, 1, 2]),
        ({"dst_port": "22"}, [0]),
        ({"port": "22"}, [0, 2]),
        ({"dst_port": "80-7000"}, [1, 2, 3]),
        ({"src_ip": "192.0.2.9", "dst_port": "22", "either_direction": "yes"}, [0, 2]),
        ({"src_ip": "192.0.2.9", "dst_port": "22", "either_direction": "no"}, [0]),
        ({"protocol": "tcp"}, [0, 1, 2, 4]),
        ({"protocol": "17"}, [3]),
        ({"start": "2017-07-03 10:00"}, [1, 3, 4]),
        ({"end": "2017-07-03 10:00"}, [0, 2]),
        ({"start": "2017-07-03 12:00+02:00", "end": "2017-07-03 11:00"}, [1]),
        ({"capture": "monday*"}, [0, 1, 2, 3, 4]),
        ({"capture": "day/tues*"}, [5]),
        ({"application": "S*"}, [0, 2, 4]),
        ({"sni": "*.example.org"}, [3]),
    ],
)
def test_each_condition_matches_what_it_says(rule, matched):
    """By hand, each condition alone; a missing value matches no condition."""
    labels, report = label_sessions(sessions(), [{"label": "x", **rule}])
    assert np.flatnonzero(labels == "x").tolist() == matched
    assert report["labelled"].tolist() == [len(matched), 6 - len(matched)]


def test_the_first_rule_wins_and_contradictions_are_counted():
    """The second rule matches what the first took, once with the same label, once with another."""
    labels, report = label_sessions(
        sessions(),
        [
            {"label": "attack", "src_ip": "192.0.2.9"},
            {"label": "attack", "dst_port": "22"},
            {"label": "web", "dst_port": "80"},
        ],
    )
    assert labels.tolist() == ["attack", "attack", None, None, None, None]
    assert report[["matched", "labelled", "contradicted"]].values.tolist() == [
        [2, 2, 0], [1, 0, 0], [1, 0, 1], [4, 4, 0],
    ]  # fmt: skip


CONDITIONS = st.fixed_dictionaries(
    {"label": st.sampled_from("ab")},
    optional={
        "src_ip": st.sampled_from(["192.0.2.9", "203.0.113.0/24", "::/0"]),
        "port": st.sampled_from(["22", "0-100"]),
        "protocol": st.sampled_from(["tcp", "udp"]),
    },
)


@given(st.lists(CONDITIONS, min_size=1, max_size=5))
def test_every_row_is_accounted_for(rules):
    """Labelled and unlabelled sessions sum up to all; the labels are those of the counts."""
    labels, report = label_sessions(sessions(), rules)
    assert report["labelled"].sum() == 6
    for name in "ab":
        counted = report.loc[report["label"] == name, "labelled"].sum()
        assert counted == (labels == name).sum()


def test_rules_from_a_file_and_from_a_frame_agree(tmp_path):
    """CSV with spaces behind commas, a DataFrame, dicts."""
    path = Path(tmp_path, "rules.csv")
    path.write_text("label, src_ip, dst_port\nattack, 192.0.2.9, 22\nrest,,\n")
    dicts = [{"label": "attack", "src_ip": "192.0.2.9", "dst_port": "22"}, {"label": "rest"}]
    ways = [path, str(path), dicts, pd.DataFrame(dicts)]
    first, *others = (label_sessions(sessions(), rules)[0].tolist() for rules in ways)
    assert first[0] == "attack" and all(other == first for other in others)


def test_numbers_in_a_frame_are_ports():
    """A DataFrame of whole numbers, as a spreadsheet gives it."""
    rules = pd.DataFrame({"label": ["a"], "dst_port": [22], "protocol": [6]})
    assert (label_sessions(sessions(), rules)[0] == "a").sum() == 1


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"src_ip": "host"}, r"Rule 1, src_ip: 'host' is neither"),
        ({"dst_port": "ssh"}, r"Rule 1, dst_port: 'ssh'"),
        ({"dst_port": "90-80"}, "no range of ports"),
        ({"protocol": "tpc"}, "no IP protocol"),
        ({"start": "noon"}, "no date"),
        ({"either_direction": "maybe"}, "write yes or no"),
        ({"label": ""}, "Rule 1 has no label"),
        ({"source": "192.0.2.1"}, "any of src_ip"),
    ],
)
def test_rules_that_cannot_be_are_refused_by_number(rule, words):
    """The rule, its column and what is wanted are named."""
    with pytest.raises(ValueError, match=words):
        read_label_rules([{"label": "x", **rule}])


def test_a_column_that_the_table_lacks_is_named():
    """Zeek's tables have no application, say; rules that do not ask for it work."""
    table = sessions().drop(columns="application")
    label_sessions(table, [{"label": "x", "port": "22"}])
    with pytest.raises(ValueError, match=r"lacks the column\(s\) application"):
        label_sessions(table, [{"label": "x", "application": "SSH"}])
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        label_sessions(table, "none.csv")


def test_rules_on_recorded_captures():
    """Counts on the bundled captures agree with pandas' own selection."""
    X = load_lab_sessions().data
    labels, report = label_sessions(
        X, [{"label": "dns", "port": "53", "protocol": "udp"}, {"label": "rest"}]
    )
    dns = (X["protocol"] == 17) & ((X["src_port"] == 53) | (X["dst_port"] == 53))
    assert (labels == "dns").sum() == dns.sum() > 0
    assert report["labelled"].sum() == len(X)


# the schedule that the authors of CIC-IDS2017 publish (times of New Brunswick in summer, UTC-3);
# attackers come through the firewall's 172.16.0.1
CIC_IDS_2017 = """label,src_ip,dst_ip,dst_port,protocol,start,end,either_direction
FTP-Patator,172.16.0.1,192.168.10.50,21,tcp,2017-07-04 09:20-03:00,2017-07-04 10:21-03:00,yes
SSH-Patator,172.16.0.1,192.168.10.50,22,tcp,2017-07-04 14:00-03:00,2017-07-04 15:01-03:00,yes
DoS slowloris,172.16.0.1,192.168.10.50,80,tcp,2017-07-05 09:47-03:00,2017-07-05 10:11-03:00,yes
DoS Hulk,172.16.0.1,192.168.10.50,80,tcp,2017-07-05 10:43-03:00,2017-07-05 11:01-03:00,yes
Heartbleed,172.16.0.1,192.168.10.51,444,tcp,2017-07-05 15:12-03:00,2017-07-05 15:33-03:00,yes
DDoS,172.16.0.1,192.168.10.50,80,tcp,2017-07-07 15:56-03:00,2017-07-07 16:17-03:00,yes
BENIGN,,,,,,,
"""


def test_a_public_sets_own_rules_on_a_capture(tmp_path):
    """CIC-IDS2017's schedule: each attack in its hours alone, the rest benign, all counted."""
    craft = Craft()
    attacker, victim = "172.16.0.1", "192.168.10.50"
    sent = [
        ("2017-07-04 09:19:59", attacker, victim, 21, "BENIGN"),
        *[(f"2017-07-04 09:{m}:00", attacker, victim, 21, "FTP-Patator") for m in (20, 40, 59)],
        ("2017-07-04 09:30:00", victim, attacker, 4000, "BENIGN"),
        ("2017-07-04 14:30:00", attacker, victim, 22, "SSH-Patator"),
        ("2017-07-04 14:30:00", "192.168.10.9", victim, 22, "BENIGN"),
        ("2017-07-05 10:00:00", attacker, victim, 80, "DoS slowloris"),
        ("2017-07-05 10:50:00", attacker, victim, 80, "DoS Hulk"),
        ("2017-07-05 15:20:00", attacker, "192.168.10.51", 444, "Heartbleed"),
        ("2017-07-05 15:20:00", attacker, victim, 444, "BENIGN"),
        ("2017-07-07 16:00:00", attacker, victim, 80, "DDoS"),
        ("2017-07-07 16:20:00", attacker, victim, 80, "BENIGN"),
    ]
    frames = []
    for number, (moment, src, dst, port, _) in enumerate(sent):
        seconds = pd.Timestamp(f"{moment}-03:00").timestamp()
        packet = bytearray(craft.udp(bytes(12), src, dst, 40_000 + number, port))
        packet[9] = 6  # TCP, without flags
        frames.append((int(seconds), 0, craft.ethernet(bytes(packet))))
    (tmp_path / "week.pcap").write_bytes(craft.pcap(sorted(frames)))
    (tmp_path / "rules.csv").write_text(CIC_IDS_2017, "utf-8")
    found = load_captures(
        tmp_path / "week.pcap", tmp_path / "rules.csv",
        extractor=SessionExtractor(n_dissections=0),
    )  # fmt: skip
    wanted = {40_000 + number: row[-1] for number, row in enumerate(sent)}
    ports = found.data["src_port"].to_numpy(int)
    assert dict(zip(ports, found.target.tolist(), strict=True)) == wanted
    assert found.label_report["labelled"].tolist() == [3, 1, 1, 1, 1, 1, 5, 0]
    assert found.label_report["labelled"].sum() == len(sent)
