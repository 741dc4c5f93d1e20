"""Agreement with tshark: which frames hold IP, and what their transport headers say."""

import shutil
import subprocess

import numpy as np
import pytest

from sktraffic.packets import PacketTable, read_packets

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")

NOT_COMPARED = {
    "link195_ieee802154__tcpdump_tests__802_15_4-data.pcap": "6LoWPAN, which is not read",
    "link8_slip__tcpdump_tests__cve2015-0261-ipv6.pcap": "SLIP, which tshark does not read",
}
KINDS = ("link", "vlan", "qinq", "pppoe", "mpls", "tunnel")
TUNNELLED = (
    "capwap_data.pcapng", "gre.pcapng", "vxlan.pcap", "ipv6_in_gtp.pcap", "zoom.pcap",
    "6in4tunnel.pcap", "4in6tunnel.pcap", "tls_change_cipher.pcap", "gtp_c.pcap",
)  # fmt: skip


def _tshark(path, condition, *fields):
    """Return the values of some fields of all frames for which a condition holds."""
    command = ["tshark", "-r", str(path), "-Y", condition, "-T", "fields", "-E", "occurrence=l"]
    for field in ("frame.number", *fields):
        command += ["-e", field]
    for preference in ("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams"):
        command += ["-o", f"{preference}:FALSE"]
    done = subprocess.run(command, capture_output=True, text=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {int(row[0]) - 1: row[1:] for row in rows}


def _read(path):
    reader = read_packets(path)
    return PacketTable.concatenate(list(reader)), reader.facts


def test_ip_is_where_tshark_sees_it(traffic_data, capsys):
    """The same frames hold IP, in captures of every link layer; malformed headers apart."""
    frames = 0
    for path in sorted((traffic_data / "robustness").iterdir()):
        if not path.name.startswith(KINDS) or path.name in NOT_COMPARED:
            continue
        table, facts = _read(path)
        expected = set(_tshark(path, "ip or ipv6"))
        found = set(table.record.tolist())
        assert found <= expected, path.name
        assert len(expected - found) <= facts.causes.get("malformed_ip", 0), path.name
        frames += len(expected)
    with capsys.disabled():
        print(f"\nframes with IP as tshark sees them: {frames}")
    assert frames > 1000


@pytest.mark.parametrize("name", TUNNELLED)
def test_inner_headers_are_those_that_tshark_sees(traffic_data, name):
    """Ports, flags, sequence numbers and payload sizes of the innermost TCP and UDP packets."""
    path = traffic_data / "ndpi" / "pcap" / name
    table, _ = _read(path)
    place = {record: i for i, record in enumerate(table.record.tolist())}
    fields = {
        "tcp": {"src_port": "tcp.srcport", "dst_port": "tcp.dstport", "flags": "tcp.flags",
                "seq": "tcp.seq_raw", "payload_size": "tcp.len"},
        "udp and not tcp": {"src_port": "udp.srcport", "dst_port": "udp.dstport"},
    }  # fmt: skip
    compared = 0
    for condition, names in fields.items():
        # what an ICMP error quotes is no packet
        seen = _tshark(path, f"{condition} and not icmp and not icmpv6", *names.values())
        for record, values in seen.items():
            i = place[record]
            if table.protocol[i] != (17 if "udp" in condition else 6):
                continue  # something else inside a tunnel over UDP
            expected = [int(value, 0) & (0xFF if "flags" in key else 2**32 - 1)
                        for key, value in zip(names, values, strict=True)]  # fmt: skip
            found = [int(getattr(table, key)[i]) for key in names]
            assert found == expected, (name, record)
            compared += 1
    assert compared > 0
    assert np.all(table.size > 0)
