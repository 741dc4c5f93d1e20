"""Compare what two versions of the package read from the same captures, column by column.

    python benchmarks/same_sessions.py OLD_CHECKOUT CAPTURES... [--table OLD.parquet]

OLD_CHECKOUT is a working tree of the older version (`git worktree add OLD_CHECKOUT COMMIT`), which
is run in a process of its own with the same dependencies, unless --table names what it gave before.
Differences that are meant are put down to a reason, checked on the sessions themselves (`explain`)
or, for what cannot be told from a table, listed by capture (`LISTED`). The others are printed, with
an example each, and make the exit status 1.

The reasons are those for which sessions differ since captures are no longer read through nfstream;
tests/capture/test_differences.py states each on a capture of a few packets.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq

from sktraffic.capture import SessionExtractor
from sktraffic.sessions import LABELS, PACKET_COLUMNS, SCHEMA, to_arrow

STORE = """
import sys
from sktraffic.capture import SessionExtractor
from sktraffic.sessions import write_sessions
write_sessions(SessionExtractor(on_error="skip").transform(sys.argv[2:]), sys.argv[1])
"""
REASONS = {
    "padding": "bytes behind the end of the IP packet are no bytes of it",
    "client": "the client is the sender of the SYN, also where the capture begins at the SYN-ACK",
    "clock": "a time stamp far from its neighbours, or a clock that was set back, moves no others",
    "fragments": "later fragments belong to their datagram's session",
    "offload": "packets whose length field offload left empty are there",
    "header": "the payload of ESP, GRE, SCTP and unknown protocols is there, not 0",
    "ports": "SCTP has ports",
    "unknown": "payload and flags behind a cut or malformed header are missing, not 0",
    "tunnel": "more tunnels are looked into",
    "link": "more link layers are read; what was no IP packet is none",
    "extension": "the authentication header is stepped over",
    "fuzzed": "malformed packets are passed over, kept with unknown ports, or joined as fragments",
}
LISTED = {
    "ah.pcapng": "extension", "ajp.pcap": "link", "capwap.pcap": "tunnel",
    "someip_sd_sample.pcap": "link", "fuzz-2006-06-26-2594.pcap": "fuzzed",
    "fuzz-2006-09-29-28586.pcap": "fuzzed", "fuzz-2020-02-16-11740.pcap": "fuzzed",
    "anydesk.pcapng": "offload", "line.pcap": "offload", "thrift.pcap": "offload",
}  # fmt: skip
SCTP = 132
READ = (1, 6, 17, 58)  # protocols whose payload nfstream tells: ICMP, TCP, UDP, ICMPv6


def old_table(checkout, captures, target):
    """Have the older version read the captures."""
    subprocess.run(
        [sys.executable, "-P", "-c", STORE, str(target), *captures],
        check=True,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )


def sessions_of(table):
    """Return, for each capture, its sessions by conversation and place in it."""
    out = defaultdict(dict)
    for row in table.to_pylist():
        ends = sorted([(row["src_ip"], row["src_port"]), (row["dst_ip"], row["dst_port"])])
        conversation = (*ends, row["protocol"], row["vlan_id"])
        place = 0
        while (*conversation, place) in out[row["capture"]]:
            place += 1
        out[row["capture"]][(*conversation, place)] = row
    return out


def differing(old, new):
    """Return the columns in which two rows differ."""
    return {name for name in SCHEMA.names if old[name] != new[name]} - {"session"}


def turned(row):
    """Return a session seen from the other end."""
    pairs = {"src_ip": "dst_ip", "src_port": "dst_port", "dst_ip": "src_ip", "dst_port": "src_port"}
    out = row | {here: row[there] for here, there in pairs.items()}
    return out | {"packet_direction": [-sign for sign in row["packet_direction"]]}


def explain(old, new, report):
    """Put the differences of one session down to reasons.

    Returns
    -------
    reasons : set of str
    left : set of str
        Columns that no reason covers.
    """
    reasons = set()
    if old["src_ip"] != new["src_ip"] or old["src_port"] != new["src_port"]:
        old = turned(old)
        reasons.add("client")
    left = differing(old, new)
    if left & {"start", "duration", "packet_time"} and report["backwards"]:
        reasons.add("clock")
        left -= {"start", "duration", "packet_time"}
        if old["packet_count"] != new["packet_count"]:  # cut where it was not, or not where it was
            left -= {"packet_count", "total_bytes", *PACKET_COLUMNS}
    if report["joined_fragments"] and new["packet_count"] > old["packet_count"]:
        reasons.add("fragments")
        left -= {"duration", "packet_count", "total_bytes", *PACKET_COLUMNS}
    if "packet_bytes" in left and _is_padding(old["packet_bytes"], new["packet_bytes"]):
        reasons.add("padding")
        left.discard("packet_bytes")
    if (
        "packet_payload_size" in left
        and old["protocol"] not in READ
        and not any(old["packet_payload_size"])
    ):
        reasons.add("header")
        left.discard("packet_payload_size")
    for name in {"packet_payload_size", "packet_flags"} & left:
        if _is_unknown(old[name], new[name]):
            reasons.add("unknown")
            left.discard(name)
    # what follows from other packets, or from another order of them
    if reasons & {"client", "clock", "fragments"}:
        left -= {"packet_message", *LABELS}
    return reasons, left


def _is_unknown(old, new):
    """Say whether values only became missing; a list of nothing else is missing itself."""
    if new is None:
        return True
    return len(old) == len(new) and all(b in (None, a) for a, b in zip(old, new, strict=True))


def _is_padding(old, new):
    """Say whether packets only lost bytes behind the end that their IP header says."""
    return len(old) == len(new) and all(
        a[: len(b)] == b and (a == b or len(b) == _ip_size(b))
        for a, b in zip(old, new, strict=True)
    )


def _ip_size(packet):
    if packet[0] >> 4 == 4:
        return int.from_bytes(packet[2:4])
    return 40 + int.from_bytes(packet[4:6])


def compare(old, new, report, listed):
    """Return the reasons for all differences of a capture, and a line for each unexplained one."""
    reasons, lines = Counter(), []
    for key in old.keys() & new.keys():
        if not differing(old[key], new[key]):
            continue
        found, left = explain(old[key], new[key], report)
        reasons.update(found)
        if left and listed:
            reasons[listed] += 1
        elif left:
            columns = ", ".join(f"{c} {_first(old[key][c], new[key][c])}" for c in sorted(left))
            lines.append(f"{key[0]} {key[1]} {key[2]}: {columns}")
    for name, here, there in (("before", old, new), ("now", new, old)):
        for key in here.keys() - there.keys():
            why = listed or _why_alone(key, report)
            if why is None:
                lines.append(f"only {name}: {key}, {here[key]['packet_count']} packets")
            else:
                reasons[why] += 1
    return reasons, lines


def _why_alone(key, report):
    if report["tunnelled"]:
        return "tunnel"
    if key[2] == SCTP:
        return "ports"
    if report["joined_fragments"] or report["lone_fragments"]:
        return "fragments"
    return "clock" if report["backwards"] else None


def _first(a, b):
    """Show the first place where two values differ."""
    if not isinstance(a, list) or not isinstance(b, list):
        return f"{a!r} -> {b!r}"
    if len(a) != len(b):
        return f"{len(a)} -> {len(b)} values"
    i = next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)
    return f"[{i}] {a[i]!r} -> {b[i]!r}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkout")
    parser.add_argument("captures", nargs="+")
    parser.add_argument("--table", help="where the older version's sessions are, or shall be, kept")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of damaged captures
    with tempfile.TemporaryDirectory() as folder:
        table = arguments.table or os.path.join(folder, "old.parquet")
        if not os.path.exists(table):
            old_table(arguments.checkout, arguments.captures, table)
        old = sessions_of(pq.read_table(table))
    X, report = SessionExtractor(on_error="skip").extract(arguments.captures)
    new = sessions_of(to_arrow(X))
    reports = {row["capture"]: row for row in report.to_dict("records")}
    equal, unexplained, captures, sessions = 0, 0, Counter(), Counter()
    for capture in sorted(old.keys() | new.keys()):
        listed = LISTED.get(Path(capture).name)
        found, lines = compare(old[capture], new[capture], reports[capture], listed)
        equal += not found and not lines
        unexplained += bool(lines)
        captures.update(dict.fromkeys(found, 1))
        sessions.update(found)
        if lines:
            print(f"{capture}: {len(lines)} differences without a reason")
            print("".join(f"    {line[:300]}\n" for line in lines[:5]), end="")
    print(f"{equal} of {len(old.keys() | new.keys())} captures equal, {len(X)} sessions")
    for name, count in captures.most_common():
        print(f"{count:4d} captures, {sessions[name]:5d} sessions: {REASONS[name]}")
    print(f"{unexplained} captures differ without a reason")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
