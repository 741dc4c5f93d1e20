"""Exports as people's programs and locales write them, and the options that captures have."""

import numpy as np
import pytest

from sktraffic.packets import PacketTable, compile_filter, read_packets
from sktraffic.wireshark import export_packets, read_wireshark
from tests.capture.craft import Craft
from tests.messages._build import ip4, tcp4, udp4
from tests.wireshark.test_read import HEADER, ROWS, A, B, C, change, frame, save, text

FIELDS = ["frame.number", "frame.time_epoch", "_ws.col.Protocol", "frame.len", "_ws.col.Info"]
FIELDS += ["ip.src", "ip.dst", "ip.proto", "ip.len", "udp.srcport", "udp.dstport", "udp.length"]
FIELDS += ["vlan.id"]
PACKET = [1, 1700000000, "UDP", 46, "50000 → 9999 Len=4", A, B, 17, 32, 50000, 9999, 12, ""]
# an ICMP error quotes the packet it is about
ERROR = [2, 1700000001, "ICMP", 74, "Destination unreachable (Port unreachable)"]
ERROR += [f"{B},{A}", f"{A},{B}", "1,17", "60,32", 50000, 9999, 12, ""]


def ends(X):
    return X[["src_ip", "src_port", "dst_ip", "dst_port", "protocol"]].values.tolist()


def test_the_first_of_several_values_is_taken(tmp_path):
    """A field of the packet itself comes before those of the packet in it; a warning says so."""
    path = save(tmp_path, text([PACKET, ERROR], FIELDS))
    with pytest.warns(UserWarning, match="1 packets have several values.*occurrence=f"):
        X = read_wireshark(path, size="ip")
    assert ends(X) == [[A, 50000, B, 9999, 17], [B, 0, A, 0, 1]]
    assert X["total_bytes"].tolist() == [32, 60]


def test_of_several_vlan_tags_the_innermost_counts(tmp_path):
    """As in captures: it is the last one that is named."""
    with pytest.warns(UserWarning, match="several values"):
        X = read_wireshark(save(tmp_path, text([[*PACKET[:-1], "9,5"]], FIELDS)))
    assert X["vlan_id"].tolist() == [5]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('[\n  {\n    "_index": "packets", "_source": {"layers": {}}\n  }\n]', "is JSON, not a"),
        ('<?xml version="1.0"?>\n<pdml version="0"/>', "is XML, not a packet list"),
        (text([PACKET], FIELDS).split("\n", 1)[1], "has no header: .*-E header=y"),
        (text([PACKET], FIELDS, separator="\t").split("\n", 1)[1], "has no header"),
        (text().replace("9999 Len", "9999,1,2,3 Len"), "line 4 has 10 cells, the header 7"),
        ("No.,Time,Source,Destination\n1,0.0,::1,::2,7\n", "lines have 5 cells, the header 4"),
    ],
)  # fmt: skip
def test_what_is_no_packet_list_is_named(tmp_path, content, match):
    """JSON, XML, no names of columns, rows of another width: what it is, and what to export."""
    with pytest.raises(ValueError, match=match) as error:
        read_wireshark(save(tmp_path, content))
    assert "C error" not in str(error.value)
    assert "xport" in str(error.value)


def with_comma(rows):
    return [[row[0], row[1].replace(".", ","), *row[2:]] for row in rows]


@pytest.mark.parametrize(
    "content",
    [
        text().replace("\n", "\r"),
        "sep=,\n" + text(),
        "sep=;\r\n" + text(separator=";").replace("\n", "\r\n"),
        text(with_comma(ROWS), separator=";"),
    ],
    ids="cr sep sep-semicolon decimal-comma".split(),
)
def test_any_locale_gives_the_same_table(tmp_path, content):
    """Line ends of old, the line that spreadsheets want, and decimal commas."""
    plain = read_wireshark(save(tmp_path, text()))
    other = read_wireshark(save(tmp_path, content))
    for name in ("duration", "packet_count", "total_bytes", "src_port"):
        assert other[name].tolist() == plain[name].tolist(), name
    np.testing.assert_array_equal(other["packet_time"][0], plain["packet_time"][0])


STEPS = ["0.000000", "0.010000", "0.001000", "0.020000", "0.000500"]


def test_times_since_the_packet_before_are_added_up(tmp_path):
    """They keep falling back towards 0; a warning says what was done."""
    rows = [[i + 1, step, A, B, "UDP", 50, "1 → 2 Len=8"] for i, step in enumerate(STEPS)]
    with pytest.warns(UserWarning, match="since the packet before"):
        X = read_wireshark(save(tmp_path, text(rows)))
    np.testing.assert_allclose(X["packet_time"][0], np.cumsum(np.array(STEPS, float)), atol=1e-12)
    named = ["Delta" if name == "Time" else name for name in HEADER]
    told = read_wireshark(save(tmp_path, text(rows, named)))  # nothing to warn of
    assert list(told["packet_time"][0]) == list(X["packet_time"][0])


def test_times_a_little_out_of_order_are_not_added_up(tmp_path):
    """Packets that were captured out of order fall back, but not towards 0."""
    times = [0, 1, 2, 1.9, 3, 4, 3.5, 5]
    rows = [[i + 1, t, A, B, "UDP", 50, "1 → 2 Len=8"] for i, t in enumerate(times)]
    with pytest.warns(UserWarning, match="backwards 2 times"):
        X = read_wireshark(save(tmp_path, text(rows)))
    assert X["duration"].tolist() == [5]


def test_sctp_has_its_ports(tmp_path):
    """Those of the columns, in either direction."""
    names = ["frame.number", "frame.time_epoch", "_ws.col.Protocol", "frame.len", "_ws.col.Info"]
    names += ["ip.src", "ip.dst", "ip.proto", "sctp.srcport", "sctp.dstport"]
    rows = [
        [1, 1, "SCTP", 66, "INIT ", A, B, 132, 50000, 36412],
        [2, 2, "SCTP", 66, "INIT_ACK ", B, A, 132, 36412, 50000],
    ]
    X = read_wireshark(save(tmp_path, text(rows, names)))
    assert ends(X) == [[A, 50000, B, 36412, 132]]
    assert X["packet_count"].tolist() == [2]


def test_hosts_may_be_names(tmp_path):
    """Resolved names stay as written; ports prove that there is IP below."""
    rows = [[*row[:2], *(f"host-{end[-1]}.example" for end in row[2:4]), *row[4:]] for row in ROWS]
    X = read_wireshark(save(tmp_path, text(rows)))
    assert X["src_ip"].tolist() == ["host-1.example"] * 2
    assert X["dst_ip"].tolist() == ["host-2.example", "host-3.example"]
    assert X["ip_version"].isna().all()
    assert X["packet_count"].tolist() == [4, 1]


SIZED = ["tcp.len", "tcp.hdr_len", "udp.length", "ip.len", "ip.src", "ip.dst"]


def test_sizes_of_every_layer(tmp_path):
    """From the fields that tell them; without these the error names them."""
    rows = [
        [1, 0, A, B, "TCP", 74, "1 → 2 [ACK] Seq=1 Len=8", 8, 32, "", 60, A, B],
        [2, 1, B, A, "UDP", 50, "2 → 1 Len=8", "", "", 16, 36, B, A],
    ]
    path = save(tmp_path, text(rows, [*HEADER, *SIZED]))
    for size, expected in (
        ("frame", [74, 50]), ("ip", [60, 36]), ("transport", [40, 16]), ("payload", [8, 8]),
    ):  # fmt: skip
        assert read_wireshark(path, size=size)["total_bytes"].tolist() == expected
    with pytest.raises(ValueError, match=r"transport size of 5 of 5 .*tcp\.hdr_len"):
        read_wireshark(save(tmp_path, text()), size="transport")


def test_a_reused_port_is_two_sessions_on_request(tmp_path):
    """A SYN after a FIN opens a session with end_on="fin"."""
    again = [[row[0] + 5, f"{float(row[1]) + 1}", *row[2:]] for row in ROWS[:2]]
    path = save(tmp_path, text([*ROWS, *again]))
    assert read_wireshark(path)["packet_count"].tolist() == [6, 1]
    assert read_wireshark(path, end_on="fin")["packet_count"].tolist() == [4, 1, 2]


def test_vlans_need_not_divide_sessions(tmp_path):
    """A tag in one direction only: one session where VLAN is not in the key."""
    rows = [[*row, tag] for row, tag in zip(ROWS[:2], ["5", ""], strict=True)]
    path = save(tmp_path, text(rows, [*HEADER, "vlan.id"]))
    assert read_wireshark(path)["packet_count"].tolist() == [1, 1]
    assert read_wireshark(path, vlan_in_key=False)["packet_count"].tolist() == [2]


def test_first_packets_messages_and_bytes(tmp_path):
    """The options for them mean what they mean for captures."""
    digits = [frame(A, B, (5000, 53), bytes(20)).hex() for _ in range(3)]
    rows = [[i, i, A, B, "DNS", 62, "Standard query", hexa] for i, hexa in enumerate(digits)]
    path = save(tmp_path, text(rows, [*HEADER, "Hex"]))
    X = read_wireshark(path, max_packets=2, messages=False, n_bytes=30, n_byte_packets=1)
    assert X["packet_count"].tolist() == [2]
    assert [len(raw) for raw in X["packet_bytes"][0]] == [30]
    assert X["packet_message"].isna().all() or list(X["packet_message"][0]) == [None, None]
    assert [len(raw) for raw in read_wireshark(path)["packet_bytes"][0]] == [48, 48, 48]


FILTERS = ["tcp port 443", "not udp", f"host {B}", "tcp[tcpflags] & tcp-syn != 0", "len > 60"]
FILTERS += ["udp src port 5353", "vlan", "ip proto 6 and src port 443", "ip[2:2] > 100"]


@pytest.mark.parametrize("text_of_filter", FILTERS)
def test_filters_on_fields_are_filters_on_the_packets(tmp_path, text_of_filter):
    """Of packets without bytes the fields tell what the capture's own bytes would."""
    packets = [
        tcp4(flags=0x02), tcp4(flags=0x12, back=True), tcp4(bytes(90)), udp4(ports=(5353, 9)),
        udp4(bytes(100), back=True), ip4(bytes(30), 1),
    ]  # fmt: skip
    capture = tmp_path / "x.pcap"
    capture.write_bytes(Craft.pcap([(i, 0, Craft.ethernet(p)) for i, p in enumerate(packets)]))
    table = PacketTable.concatenate(read_packets(capture))
    expected = table.record[compile_filter(text_of_filter).match(table)]
    rows = []
    for i in range(len(table)):
        a, b = (A, B) if table.src[i, 1] % 2 else (B, A)
        ports = f"{table.src_port[i]} → {table.dst_port[i]}"
        info = f"{ports} [{'SYN' if table.flags[i] & 2 else 'ACK'}] Seq=0"
        name = {6: "TCP", 17: "UDP", 1: "ICMP"}[int(table.protocol[i])]
        rows.append([i, i, a, b, name, table.wire[i], info, table.protocol[i], table.size[i]])
    path = save(tmp_path, text(rows, [*HEADER, "ip.proto", "ip.len"]))
    X = read_wireshark(path, bpf_filter=text_of_filter, key="capture")
    assert (X["packet_count"].tolist() or [0]) == [len(expected)]
    if len(expected):
        begin = expected[0]
        np.testing.assert_allclose(X["packet_time"][0], expected - begin)


def test_a_filter_of_the_wrong_language_is_an_error_about_the_filter(tmp_path):
    """The message is that of captures."""
    with pytest.raises(ValueError, match="display filter of Wireshark"):
        read_wireshark(save(tmp_path, text()), bpf_filter="tcp.port == 443")


@pytest.mark.parametrize("option", ["end_on", "max_packets", "n_bytes", "n_byte_packets"])
def test_options_outside_their_domain_are_named(tmp_path, option):
    """The message says what is allowed and what was given."""
    with pytest.raises(ValueError, match=f"{option} must be .*got -1"):
        read_wireshark(save(tmp_path, text()), **{option: -1})


def test_packets_of_an_export(tmp_path):
    """A row a packet; what is not told is -1, and no sessions are made."""
    arp = [6, "0.05", "Cisco_00:01:02", "Broadcast", "ARP", 60, "Who has 10.0.0.1?"]
    export = export_packets(save(tmp_path, text([*change(3, "Info", "Client Hello"), arp])))
    table = export.table
    assert (len(table), export.skipped, export.absolute) == (5, 1, False)
    assert table.wire.tolist() == [74, 74, 50, 583, 66]
    assert table.dst[:, 1].tolist()[2] == int.from_bytes(bytes(map(int, C.split("."))), "big")
    assert table.src_port.tolist() == [51234, 443, 5353, 51234, 443]
    assert table.flags.tolist() == [2, 18, 0, -1, 25]
    assert table.payload_size.tolist() == [0, 0, 8, -1, 0]
    assert set(table.size.tolist()) == {-1}
