"""Agreement with nfstream itself: its expected tables, and a plain run of it for the times."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from sktraffic.capture import SessionExtractor

# copies of packets and jumping clocks are told of some of these captures
pytestmark = pytest.mark.filterwarnings("ignore::sktraffic.capture.CaptureWarning")

# ndpi/pcap holds shortened captures under these names: nfstream's tables were made from longer ones
OTHER_CAPTURE = {
    "chrome.pcap", "firefox.pcap", "netflix.pcap", "ookla.pcap", "pinterest.pcap", "reddit.pcap",
    "safari.pcap", "tumblr.pcap",
}  # fmt: skip
# its clock says the year 152,000, which no nanosecond since 1970 can say
WRONG_CLOCK = {"dhcp_big_endian.pcapng", "dhcp_little_endian.pcapng"}
# a fuzzed fraction of 4,294 s, which nfstream takes for a negative one
NEGATIVE_FRACTION = {"fuzz-2021-06-07-c6c72a0a56.pcap"}
SETTINGS = {"size": "frame", "messages": False, "n_bytes": 0, "join_fragments": False}
# what nfstream sees otherwise, and why
DIFFERENT = {
    "ajp.pcap": "nfstream takes the tag of Cisco's FabricPath for an IP header",
    "capwap.pcap": "nfstream takes CAPWAP's own fields for IP headers, and drops what is not",
    "teredo.pcap": "nfstream does not look into this tunnel",
    "anydesk-2.pcap": "nfstream passes over packets whose length field segmentation offload left 0",
}
SCRIPT = """
import json, sys
from nfstream import NFStreamer
for path in sys.argv[1:]:
    print(json.dumps(sorted(
        [sorted([[f.src_ip, f.src_port], [f.dst_ip, f.dst_port]]), f.protocol,
         f.bidirectional_packets, f.bidirectional_bytes, f.bidirectional_first_seen_ms,
         f.bidirectional_last_seen_ms]
        for f in NFStreamer(source=path, n_meters=1))))
"""


def _pairs(data):
    """Return (expected table, capture) for each table whose capture is there."""
    pairs = []
    for table in sorted((data / "nfstream" / "results").iterdir()):
        places = (data / "nfstream" / "pcaps" / table.name, data / "ndpi" / "pcap" / table.name)
        capture = next((place for place in places if place.exists()), None)
        if capture is not None and table.name not in OTHER_CAPTURE:
            pairs.append((table, capture))
    return pairs


def _milliseconds(X):
    """Return the first and last millisecond of each session, as nfstream counts them."""
    first = X["start"].astype("int64[pyarrow]").to_numpy()
    last = first + np.round(X["duration"].to_numpy() * 1e9).astype(np.int64)
    return first // 10**6, last // 10**6


def test_all_expected_tables_of_nfstream(traffic_data, capsys):
    """Packets and bytes of every session, in all of nfstream's 219 pairs of table and capture."""
    pairs = _pairs(traffic_data)
    extractor = SessionExtractor(**SETTINGS, n_dissections=0)
    X = extractor.transform([capture for _, capture in pairs])
    found = dict(list(X.groupby("capture")))
    equal = 0
    for table, capture in pairs:
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
        expected = sorted(
            (int(row["bidirectional_packets"]), int(row["bidirectional_bytes"])) for row in rows
        )
        ours = found[str(capture)]
        got = sorted(zip(ours["packet_count"], ours["total_bytes"], strict=True))
        assert (got == expected) != (capture.name in DIFFERENT), capture.name
        equal += got == expected
    with capsys.disabled():
        print(f"\nnfstream's expected tables: {equal} of {len(pairs)} equal")
    assert (equal, len(pairs)) == (219 - len(DIFFERENT), 219)


def test_tunnels_that_are_left_closed_are_as_in_nfstream(traffic_data):
    """Without `decode_tunnels` its table of Teredo is equal too."""
    capture = traffic_data / "ndpi" / "pcap" / "teredo.pcap"
    X = SessionExtractor(**SETTINGS, n_dissections=0, decode_tunnels=False).transform(capture)
    with open(traffic_data / "nfstream" / "results" / "teredo.pcap", newline="") as file:
        expected = sorted(
            (int(row["bidirectional_packets"]), int(row["bidirectional_bytes"]))
            for row in csv.DictReader(file)
        )
    assert sorted(zip(X["packet_count"], X["total_bytes"], strict=True)) == expected


def test_first_and_last_times_are_nfstreams(traffic_data, capsys):
    """Times, addresses and ports equal those of a plain run, on all captures but the listed ones.

    nfstream's expected tables hold no times, so the times come from nfstream run on its own. Which
    end is the source is another matter: there the first sender, here the client.
    """
    captures = [str(c) for _, c in _pairs(traffic_data) if c.name not in WRONG_CLOCK]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *captures], capture_output=True, text=True, check=True
    )
    extractor = SessionExtractor(**SETTINGS, n_dissections=0)
    X = extractor.transform(captures)
    sessions, different = 0, []
    for capture, line in zip(captures, done.stdout.splitlines(), strict=True):
        ours = X[X["capture"] == capture]
        ends = zip(ours["src_ip"], ours["src_port"], ours["dst_ip"], ours["dst_port"], strict=True)
        ends = [sorted([[a, b], [c, d]]) for a, b, c, d in ends]
        columns = [ours[name] for name in ["protocol", "packet_count", "total_bytes"]]
        got = sorted([list(row) for row in zip(ends, *columns, *_milliseconds(ours), strict=True)])
        if got == json.loads(line):
            sessions += len(got)
        else:
            different.append(capture.rsplit("/", 1)[-1])
    assert sorted(different) == sorted(DIFFERENT.keys() | NEGATIVE_FRACTION)
    with capsys.disabled():
        print(f"\nfirst and last milliseconds equal nfstream's: {sessions} sessions")


def test_labels_are_ndpis(traffic_data):
    """Applications and server names are those that nfstream alone gives."""
    script = (
        "import json, sys\nfrom nfstream import NFStreamer\n"
        "print(json.dumps(sorted([f.src_port, f.application_name, f.application_category_name,"
        " f.requested_server_name] for f in NFStreamer(source=sys.argv[1], n_meters=1))))"
    )
    capture = str(traffic_data / "ndpi" / "pcap" / "reddit.pcap")
    done = subprocess.run(
        [sys.executable, "-c", script, capture], capture_output=True, text=True, check=True
    )
    X = SessionExtractor(**SETTINGS).transform(capture)
    columns = [X["src_port"], X["application"], X["category"], X["sni"].fillna("")]
    assert sorted(map(list, zip(*columns, strict=True))) == json.loads(done.stdout)
    assert X["client_fingerprint"].notna().any()


@pytest.mark.parametrize("name", ["reddit.pcap", "quic-27.pcap"])
def test_a_second_reading_is_the_same(traffic_data, name):
    """Extraction has no chance in it."""
    capture = traffic_data / "ndpi" / "pcap" / name
    once, again = (SessionExtractor().transform(capture) for _ in range(2))
    columns = [column for column in once.columns if column != "packet_message"]
    assert once[columns].equals(again[columns])
    assert [list(m) for m in once["packet_message"]] == [list(m) for m in again["packet_message"]]
