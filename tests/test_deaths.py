"""Files that are written whole or not at all: kills, full disks, captures that change."""

import errno
import json
import os
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sktraffic._files import remove_left, replacing, temporary_name, write_failed
from sktraffic.capture import CaptureWarning, SessionExtractor
from sktraffic.capture import _parts as parts_module
from sktraffic.cli._rows import open_rows
from sktraffic.report import HTMLReport
from sktraffic.sessions import read_sessions, write_sessions
from tests.capture.craft import Craft

RAW = {"n_dissections": 0}


def capture(path, n_packets=2, first=0):
    """Write a capture of one session a packet."""
    craft = Craft()
    frames = [craft.ethernet(craft.udp(b"x", sport=first + i)) for i in range(n_packets)]
    path.write_bytes(craft.pcap([(100, i, frame) for i, frame in enumerate(frames)]))
    return path


def a_dead_process():
    """Return the number of a process that is no more."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def as_of(path, pid):
    """Return the temporary name that another process of this machine would use."""
    name = temporary_name(path).name.split(".")
    return path.with_name(".".join([*name[:-2], str(pid), name[-1]]))


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    """Until then, and if it does not, what was there is as it was; nothing is left over."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    """Of this file and of dead processes of this machine; others' work is let be."""
    path = tmp_path / "a.txt"
    dead, alive = as_of(path, a_dead_process()), as_of(path, os.getppid())
    elsewhere = tmp_path / f".a.txt.another-host.{a_dead_process()}.tmp"
    other = as_of(tmp_path / "b.txt", a_dead_process())
    for left in (dead, alive, elsewhere, other):
        left.write_text("half")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert set(tmp_path.iterdir()) == {path, alive, elsewhere, other}
    remove_left(tmp_path / "b.txt")
    assert not other.exists()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, r"a\.txt cannot be written: No space left on device\. Free space there"),
        (errno.EROFS, r"a\.txt cannot be written: Read-only file system\. Choose another folder"),
        (errno.EACCES, r"a\.txt cannot be written: Permission denied\. Check its permissions"),
    ],
)
def test_errors_of_the_system_name_file_and_remedy(tmp_path, number, words):
    """The cause in its own words; an error about another folder's file is left as it is."""
    with pytest.raises(OSError, match=words), write_failed(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number))
    with pytest.raises(OSError, match="elsewhere") as caught, write_failed(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number), "/elsewhere/file")
    assert "cannot be written" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    """Named, with what to do."""
    X = pd.DataFrame({"duration": [1.0]})
    with pytest.raises(OSError, match=r"x\.parquet cannot be written.*Make its folder first"):
        write_sessions(X, tmp_path / "none" / "x.parquet")


class FullDisk:
    """A writer of Parquet that has no space for a table, nor for the end of the file."""

    def __init__(self, path, schema, **options):
        Path(path).write_bytes(b"PAR1")

    def write_table(self, table):
        """Fail."""
        self.close()

    def add_key_value_metadata(self, note):
        """Take anything."""

    def close(self):
        """Fail."""
        raise OSError(errno.ENOSPC, "Error writing bytes to file")


@pytest.mark.parametrize("options", [RAW, {}], ids=["without labels", "with labels"])
def test_a_disk_that_is_full_loses_no_part_that_was_whole(tmp_path, monkeypatch, options):
    """The error names the part; those before stay, nothing is left over, the rest can follow."""
    captures = [capture(tmp_path / f"{i}.pcap", 3, 10 * i) for i in range(4)]
    folder, made = tmp_path / "parts", []

    def writer(path, *args, **kwargs):
        made.append(path)
        full = len(made) == 3
        return FullDisk(path, *args) if full else pq.ParquetWriter(path, *args, **kwargs)

    fake = types.SimpleNamespace(ParquetWriter=writer, read_metadata=pq.read_metadata)
    monkeypatch.setattr(parts_module, "pq", fake)
    with pytest.raises(OSError, match=r"2\.pcap-\w+\.parquet cannot be written: No space left"):
        SessionExtractor(**options).to_parquet(captures, folder)
    left = os.listdir(folder)
    assert not [name for name in left if name.endswith(".tmp")]
    if not options.get("n_dissections", 1):
        assert len(left) == 2
    monkeypatch.setattr(parts_module, "pq", pq)
    SessionExtractor(**options).to_parquet(captures, folder)
    assert len(read_sessions(folder)) == 12


def test_parts_are_put_in_place_one_by_one(tmp_path, monkeypatch):
    """Not when all captures have been read: so a kill loses the one that is being read."""
    captures = [capture(tmp_path / f"{i}.pcap", 3, 10 * i) for i in range(4)]
    there = []

    def counting(self, path, *args):
        there.append(len(list((tmp_path / "parts").glob("*.parquet"))))
        return init(self, path, *args)

    init = parts_module.Part.__init__
    monkeypatch.setattr(parts_module.Part, "__init__", counting)
    SessionExtractor(**RAW).to_parquet(captures, tmp_path / "parts")
    assert there == [0, 1, 2, 3]


@pytest.mark.parametrize("change", ["grow", "shrink", "touch", "remove"])
def test_a_capture_that_changes_while_it_is_read(tmp_path, monkeypatch, change):
    """A warning says so, and the part is not taken for that of the new capture."""
    from sktraffic.packets import _read

    path = capture(tmp_path / "a.pcap", 400)
    content, real, done = path.read_bytes(), _read.find_ip, []

    def changing(*args):
        if not done:
            done.append(1)
            if change == "grow":
                capture(path, 500)
            elif change == "shrink":
                path.write_bytes(content[:200])
            elif change == "touch":
                os.utime(path, ns=(1, 1))
            else:
                path.unlink()
        return real(*args)

    monkeypatch.setattr(_read, "find_ip", changing)
    words = {"touch": "written to while", "remove": "came or went while"}.get(
        change, "changed from"
    )
    with pytest.warns(CaptureWarning, match=rf"a\.pcap: .*{words}.*was read"):
        SessionExtractor(**RAW).to_parquet(path, tmp_path / "parts")
    if change == "remove":
        return
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        again = SessionExtractor(**RAW).to_parquet(path, tmp_path / "parts")
    assert again["records"][0] == {"grow": 500, "shrink": 2, "touch": 400}[change]
    assert not any("was read" in str(warning.message) for warning in heard)


def test_a_capture_that_stays_is_said_nothing_of(tmp_path):
    """No warning without a cause."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SessionExtractor(**RAW).transform(capture(tmp_path / "a.pcap"))


def row(number):
    """Return a decision."""
    return {"session": number, "label": "chat", "start": pd.Timestamp(number, unit="s", tz="UTC")}


def test_rows_of_parquet_are_lines_until_the_end(tmp_path):
    """Each row is on disk at once; in the end there is the table alone, with its types."""
    path = tmp_path / "rows.parquet"
    with open_rows(path) as rows:
        for number in range(3):
            rows.write(row(number))
            (lines,) = tmp_path.glob("rows.parquet.*.jsonl")
            found = [json.loads(line) for line in lines.read_text().splitlines()]
            assert [line["session"] for line in found] == list(range(number + 1))
            assert not path.exists()
    assert os.listdir(tmp_path) == ["rows.parquet"]
    assert pd.read_parquet(path)["session"].tolist() == [0, 1, 2]
    assert pa.types.is_timestamp(pq.read_schema(path).field("start").type)


def test_rows_before_an_error_are_kept_as_lines(tmp_path):
    """The error says where; without a row nothing stays."""
    path = tmp_path / "rows.parquet"
    with pytest.raises(ValueError) as caught, open_rows(path) as rows:
        rows.write(row(1))
        raise ValueError("the source failed")
    (lines,) = tmp_path.iterdir()
    assert caught.value.__notes__ == [f"the 1 rows so far are in {lines}"]
    assert json.loads(lines.read_text())["label"] == "chat"
    lines.unlink()
    with pytest.raises(ValueError), open_rows(path) as rows:
        raise ValueError("the source failed")
    assert os.listdir(tmp_path) == []


def test_a_table_that_came_meanwhile_is_not_replaced(tmp_path):
    """Two processes with one output: the second keeps its rows as lines, and says so."""
    path = tmp_path / "rows.parquet"
    with (
        pytest.raises(ValueError, match="is there already") as caught,
        open_rows(path) as rows,
    ):
        rows.write(row(1))
        write_sessions(pd.DataFrame({"session": [7]}), path)
    assert "the 1 rows so far are in" in caught.value.__notes__[0]
    assert pd.read_parquet(path)["session"].tolist() == [7]


def test_lines_of_a_killed_process_are_told_of(tmp_path):
    """The next one to write there warns, and lets them be."""
    path = tmp_path / "rows.parquet"
    left = tmp_path / f"rows.parquet.{a_dead_process()}.jsonl"
    left.write_text("{}\n")
    with (
        pytest.warns(UserWarning, match=rf"{left.name} holds what a process .* was killed"),
        open_rows(path) as rows,
    ):
        rows.write(row(1))
    assert left.exists() and path.exists()


def test_a_page_is_written_whole_or_not(tmp_path, monkeypatch):
    """An HTML report that was there stays when another cannot be made."""
    path = HTMLReport("first").save(tmp_path / "a.html")
    before = path.read_text()
    monkeypatch.setattr(Path, "write_text", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        HTMLReport("second").save(path)
    monkeypatch.undo()
    assert path.read_text() == before and os.listdir(tmp_path) == ["a.html"]


def test_two_threads_into_one_folder_of_parts(tmp_path):
    """Each part is there once and whole, whoever was first."""
    captures = [capture(tmp_path / f"{i}.pcap", 30, 100 * i) for i in range(4)]
    code = (
        "import sys, json; from sktraffic.capture import SessionExtractor; "
        "SessionExtractor(n_dissections=0).to_parquet(json.loads(sys.argv[1]), sys.argv[2])"
    )
    arguments = [json.dumps([str(path) for path in captures]), str(tmp_path / "parts")]
    both = [subprocess.Popen([sys.executable, "-c", code, *arguments]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(list((tmp_path / "parts").iterdir())) == 4
    assert len(read_sessions(tmp_path / "parts")) == 120


def test_killed_at_any_moment(tmp_path):
    """A run is killed when a part has come, again and again, and ends as one that was let be."""
    captures = [capture(tmp_path / f"{i}.pcap", 30, 100 * i) for i in range(4)]
    folder = tmp_path / "parts"
    code = (
        "import sys, json, time; from sktraffic.capture import SessionExtractor, _tasks\n"
        "keep = _tasks.Part.keep\n"
        "def slow(self, report):\n"
        "    time.sleep(0.2); keep(self, report); print('kept', flush=True); time.sleep(0.2)\n"
        "_tasks.Part.keep = slow\n"
        "SessionExtractor(n_dissections=0).to_parquet(json.loads(sys.argv[1]), sys.argv[2])"
    )
    arguments = [json.dumps([str(path) for path in captures]), str(folder)]
    for turn in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "kept\n"
        time.sleep(0.1 * turn)
        process.kill()
        process.wait()
        process.stdout.close()
        assert len(list(folder.glob("*.parquet"))) >= turn + 1
        assert len(read_sessions(folder)) == 30 * len(list(folder.glob("*.parquet")))
    SessionExtractor(**RAW).to_parquet(captures, folder)
    assert len(list(folder.iterdir())) == 4 and len(read_sessions(folder)) == 120


def test_a_worker_that_dies_is_told_of(tmp_path):
    """By joblib's own error, with what is kept and what to do."""
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    from sktraffic.capture import _extractor

    captures = [capture(tmp_path / f"{i}.pcap", 3, 10 * i) for i in range(4)]

    def dies(calls):
        raise TerminatedWorkerError("A worker process was terminated")
        yield

    class Parallel(joblib.Parallel):
        def __call__(self, calls):
            return dies(calls)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_extractor.joblib, "Parallel", Parallel)
        with pytest.raises(TerminatedWorkerError) as caught:
            SessionExtractor(**RAW).to_parquet(captures, tmp_path / "parts")
    assert "Parts that were written are kept" in caught.value.__notes__[0]
