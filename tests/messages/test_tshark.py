"""Agreement with tshark on the captures of nDPI, packet by packet."""

import shutil
import subprocess
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from sktraffic.messages import (
    MESSAGE_PROTOCOL,
    MESSAGE_PROTOCOLS,
    MESSAGES,
    MessageReader,
    normalise_messages,
)
from tests.messages._packets import load

# A batch size that is no divisor of anything, so that sessions are cut by batches.
BATCH = 997


def _tshark(path):
    """Give frame number to (protocol, info, transport) as tshark prints them.

    `-n` resolves no names; everything else is as Wireshark comes: reassembly on, relative
    sequence numbers. What tshark says of a cut file goes to its standard error.
    """
    fields = ("frame.number", "_ws.col.Protocol", "_ws.col.Info", "frame.protocols")
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=f"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, check=False)
    rows = {}
    for line in done.stdout.decode("utf-8", "replace").split("\n"):
        cells = line.split("\t")
        if len(cells) == len(fields) and cells[0].isdigit():
            rows[int(cells[0])] = (cells[1], cells[2], _transport(cells[3].split(":")))
    return rows


def _transport(layers):
    """IP protocol number of the outermost transport among tshark's layers, 0 if there is none."""
    numbers = {"tcp": 6, "udp": 17, "udplite": 17}
    return next((numbers[layer] for layer in layers if layer in numbers), 0)


def _read(packets):
    reader = MessageReader()
    edges = [*range(0, len(packets), BATCH), len(packets)]
    return np.concatenate([packets.read(reader, a, b) for a, b in pairwise(edges)])


def _compare(paths):
    """Count (tshark's message, ours) over all packets with an IP header."""
    pairs = Counter()
    for path in paths:
        packets = load(path)
        if not len(packets):
            continue
        lines = _tshark(path)
        # tshark and the reader number the same frames, or one of them lost some.
        assert {int(n) for n in packets.frame} <= set(lines), path
        lines = [lines[int(n)] for n in packets.frame]
        theirs = normalise_messages(*(list(column) for column in zip(*lines, strict=True)))
        pairs.update(zip(theirs.tolist(), _read(packets).tolist(), strict=True))
    return pairs


def _table(pairs):
    """Per protocol of tshark: packets, share with the same protocol, share with the same kind."""
    total = np.zeros((len(MESSAGE_PROTOCOLS), 3), dtype=np.int64)
    for (theirs, ours), count in pairs.items():
        same = MESSAGE_PROTOCOL[theirs] == MESSAGE_PROTOCOL[ours]
        total[MESSAGE_PROTOCOL[theirs]] += count * np.array([1, same, theirs == ours])
    lines = [f"{'protocol':<12}{'packets':>9}{'protocol':>10}{'kind':>8}"]
    for name, (n, same, kind) in zip(MESSAGE_PROTOCOLS, total.tolist(), strict=True):
        if n:
            lines.append(f"{name:<12}{n:>9}{same / n:>10.4f}{kind / n:>8.4f}")
    n, same, kind = total.sum(axis=0).tolist()
    lines.append(f"{'all':<12}{n:>9}{same / n:>10.4f}{kind / n:>8.4f}")
    differences = Counter({pair: n for pair, n in pairs.items() if pair[0] != pair[1]})
    lines += [
        f"{n:>6}  tshark {MESSAGES[theirs]!r}, here {MESSAGES[ours]!r}"
        for (theirs, ours), n in differences.most_common(25)
    ]
    return "\n".join(lines), same / n, kind / n


@pytest.fixture(scope="module")
def captures(traffic_data):
    """All captures of nDPI by name, or a skip that says why."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is missing (Debian package tshark): agreement with it is not tested")
    folder = traffic_data / "ndpi" / "pcap"
    return sorted(path for path in folder.iterdir() if path.suffix in (".pcap", ".pcapng", ".cap"))


def _check(paths, capsys):
    table, protocol, kind = _table(_compare(paths))
    with capsys.disabled():
        print(f"\nagreement with tshark on {len(paths)} captures\n{table}")
    assert protocol >= 0.95
    assert kind >= 0.90


@pytest.mark.timeout(1500)
def test_a_third_of_the_captures_agrees_with_tshark(captures, capsys):
    """Every third capture by name: protocol on 95 % of the packets, info kind on 90 %."""
    _check(captures[::3], capsys)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_captures_agree_with_tshark(captures, capsys):
    """All captures: protocol on 95 % of the packets, info kind on 90 %."""
    assert len(captures) > 500
    _check(captures, capsys)
