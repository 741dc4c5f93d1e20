"""read_wireshark: hand-written exports, real exports made by tshark, and bad input."""

import csv
import io
import os
import shutil
import struct
import subprocess
import warnings

import numpy as np
import pandas as pd
import pytest

from sktraffic.feature_extraction import ByteTokens, SessionFeatures, SessionStatistics
from sktraffic.sessions import SCHEMA, read_sessions, to_arrow, write_sessions
from sktraffic.wireshark import read_wireshark

HEADER = ["No.", "Time", "Source", "Destination", "Protocol", "Length", "Info"]
A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
ROWS = [
    [1, "0.000000", A, B, "TCP", 74, "51234 → 443 [SYN] Seq=0 Win=64240 Len=0 MSS=1460"],
    [2, "0.010000", B, A, "TCP", 74, "443 → 51234 [SYN, ACK] Seq=0 Ack=1 Win=65160 Len=0"],
    [3, "0.020000", A, C, "UDP", 50, "5353 → 9999 Len=8"],
    [4, "0.030000", A, B, "TLSv1.3", 583, 'Client Hello, "quoted", 1,5'],
    [5, "0.045000", B, A, "TCP", 66, "443 → 51234 [FIN, PSH, ACK] Seq=1 Ack=518 Win=64 Len=0"],
]


def text(rows=ROWS, header=HEADER, separator=",", arrow="→"):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(
        [cell.replace("→", arrow) if isinstance(cell, str) else cell for cell in row]
        for row in rows
    )
    return out.getvalue()


def save(folder, content, name="packets.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def change(row, column, value):
    """Copy of ROWS with one cell changed."""
    rows = [list(r) for r in ROWS]
    rows[row][HEADER.index(column)] = value
    return rows


def check_hand_written(X, path):
    assert list(X.columns) == SCHEMA.names
    assert list(X["capture"]) == [str(path)] * 2
    ends = X[["src_ip", "src_port", "dst_ip", "dst_port", "protocol", "ip_version"]]
    assert ends.values.tolist() == [[A, 51234, B, 443, 6, 4], [A, 5353, C, 9999, 17, 4]]
    assert X[["packet_count", "total_bytes"]].values.tolist() == [[4, 797], [1, 50]]
    np.testing.assert_allclose(X["duration"], [0.045, 0], atol=1e-12)
    np.testing.assert_allclose(list(X["packet_time"][0]), [0, 0.01, 0.03, 0.045], atol=1e-12)
    assert [list(v) for v in X["packet_direction"]] == [[1, -1, 1, -1], [1]]
    assert list(X["packet_message"][0]) == [
        "TCP: SYN",
        "TCP: SYN-ACK",
        "TLS: Client Hello",
        "TCP: FIN",
    ]


def test_hand_written_csv(tmp_path):
    """Two sessions, read off by hand; what the text does not say is null, not zero."""
    path = save(tmp_path, text())
    X = read_wireshark(path)
    check_hand_written(X, path)
    assert X["start"].isna().all() and X["application"].isna().all()
    # the TLS packet's Info says neither
    assert [list(row) for row in X["packet_payload_size"]] == [[0, 0, None, 0], [8]]
    assert [list(row) for row in X["packet_flags"]] == [[2, 18, None, 25], [0]]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (text(), "utf-8-sig"),
        (text(), "gbk"),
        (text(), "utf-16"),
        (text(separator=";"), "utf-8"),
        (text(separator="\t").replace('""', '"'), "utf-8"),
        (text().replace("\n", "\r\n"), "utf-8"),
        (text(arrow=" > "), "ascii"),
        (text(header=[name.upper() for name in HEADER]), "utf-8"),
        (text(header=[f" {name.lower()} " for name in HEADER]), "utf-8"),
        (text([row[::-1] for row in ROWS], HEADER[::-1]), "utf-8"),
        (text([ROWS[i] for i in (4, 0, 3, 1, 2)]), "utf-8"),
    ],
    ids="bom gbk utf16 semicolon tab crlf ascii upper lower columns-reversed rows-shuffled".split(),
)
def test_any_form_gives_the_same_table(tmp_path, content, encoding):
    """Encoding, separator, case, order of columns and (by No.) of rows do not matter."""
    path = save(tmp_path, content, encoding=encoding)
    check_hand_written(read_wireshark(path), path)


def test_xlsx_gives_the_same_table(tmp_path):
    """A spreadsheet with numbers as numbers reads like the CSV."""
    pytest.importorskip("openpyxl")
    path = tmp_path / "packets.xlsx"
    frame = pd.DataFrame(ROWS, columns=HEADER).astype({"Time": float})
    frame.to_excel(path, index=False)
    check_hand_written(read_wireshark(path), path)


def test_xlsx_without_openpyxl_names_the_extra(tmp_path, monkeypatch):
    """Without openpyxl the error says which extra to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    path = save(tmp_path, b"PK\x03\x04 some zip", "packets.xlsx")
    with pytest.raises(ImportError, match=r"sktraffic\[xlsx\]"):
        read_wireshark(path)


def test_flags_and_payloads_of_info_text(tmp_path):
    """A session whose every Info tells flags and length gets both."""
    rows = [*change(3, "Protocol", "TCP")]
    rows[3][6] = "51234 → 443 [PSH, ACK] Seq=1 Ack=1 Win=64240 Len=517"
    X = read_wireshark(save(tmp_path, text(rows)))
    assert list(X["packet_flags"][0]) == [2, 18, 24, 25]
    assert list(X["packet_payload_size"][0]) == [0, 0, 517, 0]


@pytest.mark.parametrize(
    ("times", "start"),
    [
        (["1465478144.924968000", "1465478145.000000001"], 1465478144924968000),
        (["2016-06-09 13:15:44.924968", "2016-06-09 13:15:45"], 1465478144924968000),
        (["Jun  9, 2016 13:15:44.924968000 UTC"] * 2, 1465478144924968000),
        (["2016-06-09T15:15:44.924968+02:00"] * 2, 1465478144924968000),
        (["13:15:44.924968", "13:15:45"], None),
        (["0", "1e-05"], None),
    ],
)
def test_times(tmp_path, times, start):
    """Seconds since 1970 and dates give the start in UTC, to the nanosecond; others none."""
    rows = [[*ROWS[0]], [*ROWS[1]]]
    rows[0][1], rows[1][1] = times
    X = read_wireshark(save(tmp_path, text(rows)))
    assert X["start"].isna()[0] if start is None else X["start"][0].value == start
    gap = {"1465478145.000000001": 0.075032001, "1e-05": 1e-5}.get(times[1])
    gap = 0.075032 if times[1].endswith(":45") else gap or 0.0
    assert X["duration"][0] == pytest.approx(gap, abs=1e-12)


def test_an_epoch_column_is_absolute_however_small(tmp_path):
    """A capture of 1970 has a start when the column says that it counts from then."""
    X = read_wireshark(save(tmp_path, text().replace("Time", "frame.time_epoch")))
    assert [start.value for start in X["start"]] == [0, 20_000_000]


def test_keys(tmp_path):
    """Host pairs take all ports together; the capture is one session whatever the silences."""
    rows = [*ROWS, [6, "500", B, A, "UDP", 60, "1 → 2 Len=18"]]
    path = save(tmp_path, text(rows))
    pairs = read_wireshark(path, key="host_pair", idle_timeout=1000)
    assert pairs["packet_count"].tolist() == [5, 1]
    assert list(pairs["packet_direction"][0]) == [1, -1, 1, -1, -1]
    assert read_wireshark(path, key="host_pair")["packet_count"].tolist() == [4, 1, 1]
    whole = read_wireshark(path, key="capture", idle_timeout=1)
    assert whole["packet_count"].tolist() == [6]
    assert list(whole["packet_direction"][0]) == [1, -1, 1, 1, -1, -1]


def test_timeouts_cut(tmp_path):
    """A packet at the idle timeout, or at the active one, opens a session."""
    rows = [[i + 1, t, A, B, "UDP", 50, "1 → 2 Len=8"] for i, t in enumerate([0, 5, 10, 16])]
    path = save(tmp_path, text(rows))
    assert read_wireshark(path)["packet_count"].tolist() == [4]
    assert read_wireshark(path, idle_timeout=6)["packet_count"].tolist() == [3, 1]
    assert read_wireshark(path, active_timeout=10)["packet_count"].tolist() == [2, 2]


def test_a_port_pair_that_is_not_told_is_not_guessed(tmp_path):
    """With two connections between two hosts, packets of unknown ports stay apart, and are told."""
    other = [6, "0.05", A, B, "TCP", 74, "51235 → 443 [SYN] Seq=0 Win=64240 Len=0"]
    path = save(tmp_path, text([*ROWS, other]))
    with pytest.warns(UserWarning, match="the ports of 1 of 6 packets are unknown"):
        X = read_wireshark(path)
    assert X["packet_count"].tolist() == [3, 1, 1, 1]
    assert X["src_port"].isna().tolist() == [False, False, True, False]
    assert X["packet_count"].sum() == 6


def test_packets_that_are_not_ip_are_told(tmp_path):
    """ARP is left out with a warning, silently or with an error, as asked for."""
    arp = [6, "0.05", "Cisco_00:01:02", "Broadcast", "ARP", 60, "Who has 10.0.0.1?"]
    path = save(tmp_path, text([*ROWS, arp]))
    with pytest.warns(UserWarning, match="1 of 6 packets are not IP and were left out"):
        check_hand_written(read_wireshark(path), path)
    check_hand_written(read_wireshark(path, on_skip="ignore"), path)
    with pytest.raises(ValueError, match="not IP"):
        read_wireshark(path, on_skip="raise")
    with pytest.raises(ValueError, match="holds no IP packet"):
        read_wireshark(save(tmp_path, text([arp])))


def test_backward_times_are_told(tmp_path):
    """The clock stands still where times run backwards, as in nfstream."""
    path = save(tmp_path, text(change(1, "Time", "-5")))
    with pytest.warns(UserWarning, match="backwards 1 times"):
        X = read_wireshark(path)
    np.testing.assert_allclose(list(X["packet_time"][0]), [0, 0, 0.03, 0.045], atol=1e-12)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is empty"),
        (text([]), "has column names but no packet"),
        (
            text(header=["No.", "Zeit", *HEADER[2:]]),
            r"lacks the column\(s\) time; it has No., Zeit",
        ),
        ("hello world\n", r"lacks the column\(s\) time, source, .*it has hello world"),
        (text(change(1, "Time", "soon")), r"Time is no number in 1 of 5 packets: row\(s\) 2 "),
        (text(change(2, "Length", "")), r"Length is no whole number .* in 1 of 5 .* 3 \(''\)"),
        (text(change(0, "Length", "-4")), r"Length is no whole number .*1 \('-4'\)"),
        (text(change(0, "Length", "7.5")), r"Length is no whole number .*1 \('7.5'\)"),
        (
            text([[*row, 99_999] for row in ROWS], [*HEADER, "Source Port"]),
            "src_port is no whole number up to 65535 in 5 of 5",
        ),
        (text().replace("0.0", "later "), "Time is neither seconds nor a date in 5 of 5"),
        (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "is a capture.*SessionExtractor"),
        (bytes(range(128, 256)) + b"\0", "is no text in"),
        (b"PK\x03\x04 broken", "is no readable XLSX file"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, match):
    """Each kind of bad file gets one error that names it, the find and the rows."""
    path = save(tmp_path, content)
    with pytest.raises(ValueError, match=match) as error:
        read_wireshark(path)
    assert str(path) in str(error.value)


def test_missing_file(tmp_path):
    """A path without a file is a FileNotFoundError that names it."""
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_wireshark(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("option", ["key", "size", "on_skip", "idle_timeout", "active_timeout"])
def test_bad_options(tmp_path, option):
    """Options outside their domain are named."""
    with pytest.raises(ValueError, match=option):
        read_wireshark(save(tmp_path, text()), **{option: -1})


def test_ip_size_needs_to_be_told(tmp_path):
    """size='ip' is refused where the export tells only frame lengths."""
    with pytest.raises(ValueError, match="does not say the ip size of 5 of 5 packets"):
        read_wireshark(save(tmp_path, text()), size="ip")


def frame(source, destination, ports, payload, link=b"\0" * 12 + b"\x08\x00"):
    """Ethernet frame with a UDP packet."""
    data = struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 1, 0, 64, 17, 0)
    ends = bytes(map(int, f"{source}.{destination}".split(".")))
    return link + head + ends + data


@pytest.mark.parametrize("link", [b"\0" * 12 + b"\x08\x00", b"", b"\0" * 12 + b"\x81\0\0\1\x08\0"])
@pytest.mark.parametrize("form", ["plain", "blanks", "0x"])
def test_hex_tells_ports_payload_and_bytes(tmp_path, link, form):
    """Behind any link layer and in any notation, Hex gives what the Info text does not."""
    frames = [frame(A, B, (5000, 53), b"abc", link), frame(B, A, (53, 5000), b"xy", link)]
    digits = [f.hex(" ") if form == "blanks" else f.hex() for f in frames]
    rows = [
        [i + 1, i, *ends, "DNS", 60, "Standard query 0x1 A a.b", ("0x" * (form == "0x")) + d]
        for i, (ends, d) in enumerate(zip([(A, B), (B, A)], digits, strict=True))
    ]
    path = save(tmp_path, text(rows, [*HEADER, "Hex"]))
    X = read_wireshark(path, size="ip")
    assert X[["src_port", "dst_port", "total_bytes"]].values.tolist() == [[5000, 53, 61]]
    assert list(X["packet_payload_size"][0]) == [3, 2]
    assert list(X["packet_flags"][0]) == [0, 0]
    assert list(X["packet_bytes"][0]) == [f[len(link) :] for f in frames]
    np.testing.assert_array_equal(
        ByteTokens(3, n_packets=2).fit_transform(X), [[100, 101, 102, 2, 123, 124, 0]]
    )


def test_the_table_is_a_session_table(tmp_path):
    """It survives Parquet, has the schema's types and feeds the transformers."""
    X = read_wireshark(save(tmp_path, text()))
    assert to_arrow(X).schema.equals(SCHEMA)
    write_sessions(X, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read_sessions(tmp_path / "x.parquet"), X)
    out = SessionFeatures().set_output(transform="pandas").fit_transform(X)
    assert out["tls_client_hello"].tolist() == [1, 0] and out["other_messages"].sum() == 0


TSHARK = """frame.number frame.time_epoch _ws.col.Protocol frame.len _ws.col.Info ip.src ip.dst
ipv6.src ipv6.dst ip.proto ipv6.nxt ip.len ipv6.plen tcp.srcport tcp.dstport udp.srcport
udp.dstport tcp.flags tcp.len udp.length vlan.id""".split()
PLAIN = "number time_epoch Source Destination Protocol len Info".split()
needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


def tshark(capture, fields, path):
    command = ["tshark", "-r", str(capture), "-T", "fields", "-E", "header=y", "-E", "quote=d"]
    command += ["-E", "separator=/t", "-E", "occurrence=f"]
    command += [part for field in fields for part in ("-e", field)]
    path.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    return path


def by_nfstream(capture):
    """Sessions as nfstream itself reads them from the capture."""
    nfstream = pytest.importorskip("nfstream")
    affinity = os.sched_getaffinity(0)
    flows = list(nfstream.NFStreamer(str(capture), accounting_mode=1, n_dissections=0, n_meters=1))
    os.sched_setaffinity(0, affinity)  # nfstream changes it
    return sorted(
        (
            *(f.src_ip, f.src_port, f.dst_ip, f.dst_port, f.protocol, f.vlan_id),
            *(f.bidirectional_packets, f.bidirectional_bytes),
            *(f.bidirectional_first_seen_ms, f.bidirectional_last_seen_ms),
            f.src2dst_packets,
        )
        for f in flows
    )


def as_nfstream(X):
    """Sessions of a table in the same form."""
    start = X["start"].astype("int64")
    end = start + np.rint(X["duration"].to_numpy() * 1e9).astype(np.int64)
    forward = [sum(d == 1 for d in row) for row in X["packet_direction"]]
    names = ["src_ip", "src_port", "dst_ip", "dst_port", "protocol", "vlan_id"]
    columns = [X[name].tolist() for name in [*names, "packet_count", "total_bytes"]]
    return sorted(zip(*columns, start // 10**6, end // 10**6, forward, strict=True))


@needs_tshark
@pytest.mark.parametrize(
    "capture",
    [
        "ndpi/pcap/http_ipv6.pcap",
        "ndpi/pcap/ftp.pcap",
        "ndpi/pcap/synscan.pcap",
        "iot_devices/Aria/Setup-A-1-STA.pcap",
    ],
)
@pytest.mark.filterwarnings("ignore:.*not IP:UserWarning")
def test_tshark_fields_give_nfstreams_sessions(traffic_data, tmp_path, capture):
    """Addresses, ports, packets, bytes, times and directions equal a direct reading's."""
    path = traffic_data / capture
    X = read_wireshark(tshark(path, TSHARK, tmp_path / "fields.tsv"), size="ip")
    ours = as_nfstream(X.assign(vlan_id=X["vlan_id"].fillna(0)))
    assert ours == by_nfstream(path)
    assert not X["packet_flags"].isna().any()


@needs_tshark
@pytest.mark.parametrize("hexadecimal", [False, True])
def test_packet_list_gives_nfstreams_sessions(traffic_data, tmp_path, hexadecimal):
    """A packet list as Wireshark's CSV export writes it: the same sessions, from text or Hex."""
    path = traffic_data / "ndpi/pcap/443-safari.pcap"
    fields = ["frame.number", "frame.time_epoch", "_ws.col.Source", "_ws.col.Destination"]
    fields += ["_ws.col.Protocol", "frame.len", "_ws.col.Info"]
    rows = [
        line.strip("\n").split("\t")
        for line in tshark(path, fields, tmp_path / "f").read_text("utf-8").splitlines()[1:]
    ]
    rows = [[cell.strip('"').replace("→", " > ") for cell in row] for row in rows]
    header = list(HEADER)
    if hexadecimal:
        header.append("Hex")
        for row, data in zip(rows, frames_of(path), strict=True):
            row.append(data.hex())
    X = read_wireshark(save(tmp_path, text(rows, header)))
    direct = by_nfstream(path)
    bytes_of_frames = 14 * X["packet_count"] + [flow[7] for flow in direct]
    assert X["total_bytes"].tolist() == bytes_of_frames.tolist()
    ours = as_nfstream(X.assign(vlan_id=0, total_bytes=[flow[7] for flow in direct]))
    assert ours == direct
    assert X["packet_bytes"].isna().all() != hexadecimal


def frames_of(path):
    """Frames of a little-endian pcap file."""
    data, at, out = path.read_bytes(), 24, []
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        out.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return out


@needs_tshark
def test_features_follow_from_the_packets(traffic_data, tmp_path):
    """Statistics of a real export: count, bytes and duration are the table's own facts."""
    path = tshark(traffic_data / "ndpi/pcap/ftp.pcap", TSHARK, tmp_path / "f.tsv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = read_wireshark(path)
    out = SessionStatistics("extended").set_output(transform="pandas").fit_transform(X)
    facts = ["packet_count", "total_bytes", "duration"]
    np.testing.assert_allclose(out[facts], X[facts].to_numpy(np.float64), atol=1e-9)
    assert not out.isna().any(axis=None)
