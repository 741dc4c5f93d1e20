"""Packets and bytes, against nfstream's own expected tables and a run of nfstream."""

import csv
import ipaddress
import json
import subprocess
import sys
from collections import Counter

import numpy as np

from sktraffic.packets import PacketTable, read_packets

# ndpi/pcap holds shortened captures under these names: nfstream's tables were made from longer ones
OTHER_CAPTURE = {
    "chrome.pcap", "firefox.pcap", "netflix.pcap", "ookla.pcap", "pinterest.pcap", "reddit.pcap",
    "safari.pcap", "tumblr.pcap",
}  # fmt: skip
# where nfstream's table differs with a reason
DIFFERENT = {
    "ajp.pcap": "Cisco FabricPath: nfstream takes its tag for an IP header",
    "anydesk-2.pcap": "segmentation offload: nfstream drops packets without a length",
    "capwap.pcap": "CAPWAP control frames: nfstream takes their content for IP, drops the rest",
    "teredo.pcap": "Teredo: nfstream does not look inside",
}


SCRIPT = """
import json, sys
from nfstream import NFStreamer
for path in sys.argv[1:]:
    print(json.dumps([
        [f.src_ip, f.src_port, f.dst_ip, f.dst_port, f.protocol, f.vlan_id,
         f.bidirectional_packets, f.bidirectional_bytes]
        for f in NFStreamer(source=path, n_meters=1, n_dissections=0, statistical_analysis=False)]))
"""


def _between(src_ip, src_port, dst_ip, dst_port, protocol, vlan):
    """Key of the packets between two ends, whoever sends."""
    ends = [(ipaddress.ip_address(src_ip), src_port), (ipaddress.ip_address(dst_ip), dst_port)]
    return (*sorted(ends, key=lambda end: (end[0].version, *end)), protocol, vlan)


def _found(capture):
    """Packets and bytes between any two ends."""
    totals = Counter()
    for table in read_packets(capture, join_fragments=False):
        kinds = {4: ipaddress.IPv4Address, 6: ipaddress.IPv6Address}
        ends = [
            [kinds[version](high << 64 | low) for version, (high, low) in zip(
                table.version.tolist(), side.tolist(), strict=True)]
            for side in (table.src, table.dst)
        ]  # fmt: skip
        ports = [np.maximum(port, 0).tolist() for port in (table.src_port, table.dst_port)]
        for *key, wire in zip(
            ends[0], ports[0], ends[1], ports[1], table.protocol.tolist(), table.vlan.tolist(),
            table.wire.tolist(), strict=True,
        ):  # fmt: skip
            totals[_between(*key), "packets"] += 1
            totals[_between(*key), "bytes"] += wire
    return totals


def _pairs(data):
    for table in sorted((data / "nfstream" / "results").iterdir()):
        places = (data / "nfstream" / "pcaps" / table.name, data / "ndpi" / "pcap" / table.name)
        capture = next((place for place in places if place.exists()), None)
        if capture is not None and table.name not in OTHER_CAPTURE:
            yield table, capture


def test_totals_are_those_of_nfstreams_expected_tables(traffic_data, capsys):
    """Packets and bytes of all 219 captures, but for four where a listed reason says why not."""
    different, equal = set(), 0
    for table, capture in _pairs(traffic_data):
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
        names = ("bidirectional_packets", "bidirectional_bytes")
        expected = [sum(int(row[name]) for row in rows) for name in names]
        tables = list(read_packets(capture, join_fragments=False))
        found = [sum(map(len, tables)), sum(int(t.wire.sum()) for t in tables)]
        if found == expected:
            equal += 1
        else:
            different.add(capture.name)
    with capsys.disabled():
        print(f"\npackets and bytes of nfstream's tables: {equal} equal, {len(different)} differ")
    assert different == {"anydesk-2.pcap", "capwap.pcap"}
    assert equal + len(different) == 219


def test_packets_are_between_the_ends_that_nfstream_sees(traffic_data, capsys):
    """Addresses, ports, protocol, VLAN, packets and bytes, against a run of nfstream itself."""
    captures = [c for _, c in _pairs(traffic_data) if c.name not in DIFFERENT][::4]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, captures)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    pairs = 0
    for capture, line in zip(captures, done.stdout.splitlines(), strict=True):
        expected = Counter()
        for *key, packets, size in json.loads(line):
            expected[_between(*key), "packets"] += packets
            expected[_between(*key), "bytes"] += size
        assert _found(capture) == expected, capture
        pairs += len(expected) // 2
    with capsys.disabled():
        print(f"\npackets between the same ends as nfstream's: {pairs} pairs of ends")


def test_tables_do_not_depend_on_how_a_file_is_cut(traffic_data, monkeypatch):
    """Small windows and small tables give the packets of large ones."""
    from sktraffic.packets import _read, _records

    for name in ("dns_fragmented.pcap", "quic-27.pcap", "capwap.pcap", "ah.pcapng"):
        path = traffic_data / "ndpi" / "pcap" / name
        reader = read_packets(path)
        whole = PacketTable.concatenate(list(reader))
        with monkeypatch.context() as patch:
            patch.setattr(_records, "CHUNK", 5000)
            patch.setattr(_read, "ROWS", 7)
            again = read_packets(path)
            parts = PacketTable.concatenate(list(again))
        assert again.facts == reader.facts
        for field in vars(whole):
            if field not in ("data", "at", "transport", "payload", "stop"):
                np.testing.assert_array_equal(getattr(parts, field), getattr(whole, field))
        for start in ("at", "payload"):
            for i in range(0, len(whole), 13):
                ours, theirs = (
                    bytes(t.data[getattr(t, start)[i] : t.stop[i]]) for t in (parts, whole)
                )
                assert ours == theirs
