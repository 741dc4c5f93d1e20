"""``sktraffic stream``: decisions as they come, a clean end, and what was lost."""

import json
import lzma
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from sktraffic.capture import capture_paths
from sktraffic.persistence import load


@pytest.fixture(scope="module")
def capture(bench, tmp_path_factory):
    """Return an uncompressed capture that the model has not seen."""
    path = tmp_path_factory.mktemp("stream") / "run.pcap"
    with lzma.open(capture_paths(bench.unseen)[0]) as file:
        path.write_bytes(file.read())
    return path


@pytest.fixture(scope="module")
def wanted(bench, capture):
    """Return the decisions on the whole file."""
    return load(bench.model).predict_sessions(capture)


def started(*arguments, **settings):
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "sktraffic", "stream", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def check(rows, wanted):
    """Raise unless these are the decisions on the file, in any order."""
    rows = pd.DataFrame(rows).sort_values("session", ignore_index=True)
    assert rows["session"].tolist() == wanted["session"].tolist()
    assert rows["label"].tolist() == wanted["label"].tolist()
    assert rows["probability"].tolist() == pytest.approx(wanted["probability"].tolist())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_loses_nothing(bench, capture, wanted, tmp_path, number):
    """All that the file holds is decided on, sessions that are still open too; exit code 0."""
    out = tmp_path / "events.jsonl"
    process = started(bench.model, capture, "-o", out)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not (out.exists() and out.stat().st_size):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
        if out.exists():  # it reads; nothing may be decided yet
            time.sleep(1)
            break
    process.send_signal(number)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    check([json.loads(line) for line in out.read_text("utf-8").splitlines()], wanted)
    assert f"{len(wanted):,} sessions" in said and "0 dropped" in said


def test_standard_input_to_standard_output(bench, capture, wanted):
    """A pipe ends the stream by its end; decisions are JSON lines."""
    with open(capture, "rb") as file:
        process = started(bench.model, "-", stdin=file)
        rows, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    check([json.loads(line) for line in rows.splitlines()], wanted)
    assert said.startswith(f"-: {len(wanted):,} sessions")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_two_sources_at_once(bench, cli, capture, wanted, tmp_path, suffix):
    """Each source's sessions are there and counted, in any format."""
    again, out = tmp_path / "again.pcap", tmp_path / f"events{suffix}"
    again.write_bytes(capture.read_bytes())
    done = cli("stream", bench.model, capture, again, "-o", out, "--stop-after", "0.5", "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    readers = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
        ".jsonl": lambda path: pd.read_json(path, lines=True),
    }
    rows = readers[suffix](out)
    document = json.loads(done.stdout)
    assert [row["sessions"] for row in document["sources"]] == [len(wanted)] * 2
    assert sum(document["labels"].values()) == len(rows) == 2 * len(wanted)
    for name in (capture, again):
        check(rows[rows["capture"] == str(name)], wanted)


def test_decisions_come_early(bench, cli, capture, tmp_path):
    """After three packets a session is decided on, though it goes on."""
    out = tmp_path / "events.jsonl"
    done = cli("stream", bench.model, capture, "-o", out, "--stop-after", "0.5",
               "--decide-after", "3")  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = pd.read_json(out, lines=True)
    clf = load(bench.model)
    clf.extractor_.set_params(max_packets=3)
    check(rows, clf.predict_sessions(capture))
    assert not rows["closed"].all()


def test_a_source_that_fails_ends_the_others_well(bench, cli, capture, wanted, tmp_path):
    """What the good source gave is written; the error names the bad one."""
    bad, out = tmp_path / "bad.pcap", tmp_path / "events.jsonl"
    bad.write_bytes(b"this is no capture, but a text that goes on")
    done = cli("stream", bench.model, capture, bad, "-o", out)
    assert done.exit_code == 1 and "bad.pcap is neither pcap nor pcapng" in done.stderr
    check([json.loads(line) for line in out.read_text("utf-8").splitlines()], wanted)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere0"], "neither a file nor a pipe nor an interface"),
        (["-o", "there.jsonl", "{capture}"], "--overwrite"),
        (["-o", "events.txt", "{capture}"], ".txt"),
    ],
)
def test_what_cannot_be_is_told(bench, cli, capture, tmp_path, monkeypatch, arguments, says):
    """One line, exit code 1; a file that is there stays as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.jsonl").write_text("mine", "utf-8")
    done = cli("stream", bench.model, *(part.format(capture=capture) for part in arguments))
    assert done.exit_code == 1 and says in done.stderr
    assert os.listdir() == ["there.jsonl"] and (tmp_path / "there.jsonl").read_text() == "mine"
