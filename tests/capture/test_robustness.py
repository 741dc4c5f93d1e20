"""103 awkward captures: each is read in full, or refused with one clear error.

`INDEX.csv` gives packets, IP packets and sessions as an independent reader counted them; its
sessions are the different five-tuples of TCP and UDP in a capture, timeouts aside.
"""

import csv
import re
import warnings

import pytest

from sktraffic.capture import CaptureError, SessionExtractor

LONG_HEADERS = (
    "24-byte record headers under the standard magic number: the independent reader stops at the "
    "second record, we read on; capinfos counts the same packets as we do"
)
FUZZED = "fuzzed headers whose lengths contradict each other: readers differ in what they believe"
SCTP = "the index counts sessions of SCTP, we count those of TCP and UDP here"
UNINDEXED = "a link layer that we look behind and the independent reader does not"
# captures whose counts differ from the index: our packets, IP packets and sessions, and why
DIFFERENT = {
    "xz1_wa_merged.pcap": (441, 437, 28, LONG_HEADERS),
    "xz1_telegram_filtered.pcap": (357, 355, 17, LONG_HEADERS),
    "xz1_slack.pcap": (527, 525, 24, LONG_HEADERS),
    "fuzz-2006-06-26-2594.pcap": (691, 608, 252, FUZZED),
    "fuzz-2006-09-29-28586.pcap": (131, 123, 38, FUZZED),
    "fuzz-2020-02-16-11740.pcap": (366, 329, 77, FUZZED),
    "babel_update_oobr.pcap": (107, 103, 18, FUZZED),
    "BGP_Cisco_hdlc_slarp.pcap": (14, 14, 1, UNINDEXED),
    "HDLC.pcap": (38, 10, 0, UNINDEXED),
    "ipoib.pcap": (30, 26, 6, UNINDEXED),
    "someip_sd_sample.pcap": (6, 6, 2, UNINDEXED),
    "mpls-traceroute.pcap": (18, 18, 9, UNINDEXED),
    "lspping-fec-ldp.pcap": (13, 13, 4, UNINDEXED),
    "OSPFv3_NBMA_adjacencies.pcap": (86, 86, 0, UNINDEXED),
    "OSPFv3_multipoint_adjacencies.pcap": (73, 73, 0, UNINDEXED),
    "nflog.pcap": (4, 4, 4, UNINDEXED),
    "cve2015-0261-ipv6.pcap": (2, 2, 0, UNINDEXED),
    "ip_fragmented_garbage.pcap": (1252, 1252, 1, "1,248 of its packets are later fragments"),
    "forces1.pcap": (20, 20, 0, SCTP),
    "forces2.pcap": (75, 75, 0, SCTP),
    "forces3.pcap": (154, 154, 0, SCTP),
}
# captures with packets whose ports were cut off, or lie behind headers that were
WITHOUT_PORTS = {
    "fuzz-2006-06-26-2594.pcap",
    "ipv6-rthdr-oobr.pcap",
    "hoobr_rt6_print.pcap",
    "ipv6-next-header-oobr-1.pcap",
    "cve2015-0261-ipv6.pcap",
}


def _index(data):
    with open(data / "robustness" / "INDEX.csv", newline="") as file:
        return list(csv.DictReader(file))


def _five_tuples(X):
    X = X[X["protocol"].isin([6, 17])]
    ends = zip(X["protocol"], X["src_ip"], X["src_port"], X["dst_ip"], X["dst_port"], strict=True)
    return {(p, frozenset([(a, b), (c, d)])) for p, a, b, c, d in ends}


@pytest.fixture(scope="module")
def outcome(traffic_data):
    """Return the index, and for each file its sessions and its line of the report."""
    folder = traffic_data / "robustness"
    index = {row["file"]: row for row in _index(traffic_data)}
    extractor = SessionExtractor(
        idle_timeout=10**9, active_timeout=10**9, decode_tunnels=False, on_error="skip"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged files say so; the report is looked at below
        X, report = extractor.extract([folder / name for name in index])
    report = report.set_index("capture")
    return index, {
        name: (X[X["capture"] == str(folder / name)], report.loc[str(folder / name)])
        for name in index
    }


def test_counts_equal_those_of_an_independent_reader(outcome):
    """Packets, IP packets, truncated packets and sessions, or a reason why not."""
    index, found = outcome
    read = 0
    for name, (X, report) in found.items():
        if isinstance(report["error"], str):
            continue
        row = index[name]
        expected = [int(row["packets"]), int(row["ip4"]) + int(row["ip6"]), int(row["sessions"])]
        short = name.split("__")[-1]
        if short in DIFFERENT:
            *expected, _ = DIFFERENT[short]
        ip = report["records"] - report["not_ip"] - report["malformed_ip"]
        assert [report["records"], ip, len(_five_tuples(X))] == expected, name
        assert report["truncated"] == int(row["truncated"]), name
        assert report["session_packets"] == X["packet_count"].sum() > 0, name
        assert report["session_packets"] + report["cut_header"] == ip, name
        read += 1
    assert read == 84


def test_what_is_refused_holds_no_ip_and_says_so(outcome):
    """One error a file, with its name, what was found and what to do."""
    index, found = outcome
    refused = {n: report["error"] for n, (_, report) in found.items()
               if isinstance(report["error"], str)}  # fmt: skip
    for name, error in refused.items():
        row = index[name]
        assert int(row["ip4"]) + int(row["ip6"]) == 0, name
        assert name in error
        assert re.search(r"holds no IP packet.*\(\d+ frames", error), name
        assert "Pass on_error='skip'" in error
    assert len(refused) == 19


def test_no_column_is_empty_that_should_not_be(outcome):
    """Identity, facts and packet lists are there for every session that was read."""
    _, found = outcome
    for name, (X, _) in found.items():
        for column in ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "ip_version",
                       "start", "duration", "packet_count", "total_bytes"):  # fmt: skip
            if "port" not in column or name.split("__")[-1] not in WITHOUT_PORTS:
                assert X[column].notna().all(), (name, column)
        for column in ("packet_time", "packet_size", "packet_direction", "packet_message"):
            lengths = X[column].list.len().to_numpy()  # pandas 2.2 gives them an index of their own
            assert (lengths == X["packet_count"]).all(), (name, column)
        assert (X["duration"] >= 0).all(), name


def test_garbage_of_every_kind_ends_in_one_clear_error(tmp_path, small_capture, rng):
    """Damage anywhere in a file gives sessions or a CaptureError, never anything else."""
    whole = small_capture.read_bytes()
    path = tmp_path / "damaged.pcap"
    outcomes = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(40):
            data = bytearray(whole)
            for _ in range(rng.integers(1, 30)):
                data[rng.integers(len(data))] = rng.integers(256)
            path.write_bytes(data[: rng.integers(1, len(data) + 1)])
            try:
                outcomes.add(len(SessionExtractor().transform(path)) > 0)
            except CaptureError as error:
                assert "damaged.pcap" in str(error)
                outcomes.add("refused")
    assert outcomes == {True, "refused"}
