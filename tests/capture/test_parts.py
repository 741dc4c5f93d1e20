"""A folder of Parquet parts: gone on with after a kill, never mixed, never half-written."""

import json
import os
import signal
import subprocess
import sys
import warnings

import pyarrow.parquet as pq
import pytest

from sktraffic.capture import CaptureError, SessionExtractor
from sktraffic.capture._parts import part_name, read_note
from sktraffic.sessions import read_sessions, to_arrow


@pytest.fixture
def captures(tmp_path, craft):
    """Return the paths of five captures of one session each."""
    folder = tmp_path / "captures"
    folder.mkdir()
    paths = []
    for i in range(5):
        frame = craft.ethernet(craft.udp(bytes(i), sport=1000 + i))
        path = folder / f"run {i}.pcap"
        path.write_bytes(craft.pcap([(100 + i, 0, frame), (101 + i, 5, frame)]))
        paths.append(path)
    return paths


def by_session(X):
    """Return the rows as plain values, in the order of captures and sessions."""
    return to_arrow(X.sort_values(["capture", "session"])).to_pylist()


def test_parts_hold_what_transform_gives(captures, tmp_path):
    """The same rows, with the settings and the report of each capture inside."""
    extractor = SessionExtractor(idle_timeout=9)
    report = extractor.to_parquet(captures, tmp_path / "parts")
    X = read_sessions(tmp_path / "parts")
    assert by_session(X) == by_session(SessionExtractor(idle_timeout=9).transform(captures))
    assert report["sessions"].tolist() == [1] * 5
    note = read_note(tmp_path / "parts" / part_name(captures[0]))
    assert note["settings"]["idle_timeout"] == 9
    assert note["report"]["records"] == 2
    assert sorted(os.listdir(tmp_path / "parts")) == sorted(map(part_name, captures))


def test_names_are_readable_and_different(tmp_path):
    """Two captures of the same name in different folders have different parts."""
    first, second = part_name("a/x y.pcap"), part_name("b/x y.pcap")
    assert first.startswith("x_y.pcap-")
    assert first.endswith(".parquet")
    assert first != second


def test_what_is_there_is_not_read_again(captures, tmp_path):
    """A second run reads what is missing or has changed, and reports all."""
    folder = tmp_path / "parts"
    extractor = SessionExtractor()
    whole = extractor.to_parquet(captures, folder)
    times = {name: os.stat(folder / name).st_mtime_ns for name in os.listdir(folder)}
    (folder / part_name(captures[1])).unlink()
    captures[2].write_bytes(captures[2].read_bytes()[:-1])
    with pytest.warns(UserWarning, match="last record is cut"):
        again = extractor.to_parquet(captures, folder)
    changed = [
        path for path in captures
        if os.stat(folder / part_name(path)).st_mtime_ns != times[part_name(path)]
    ]  # fmt: skip
    assert changed == [captures[1], captures[2]]
    assert again["records"].tolist() == [2, 2, 1, 2, 2]
    assert again["capture"].tolist() == whole["capture"].tolist()


def test_other_settings_are_refused_by_name(captures, tmp_path):
    """Parts of different settings do not mix, unless the old ones are to be replaced."""
    folder = tmp_path / "parts"
    SessionExtractor(idle_timeout=60).to_parquet(captures[:1], folder)
    with pytest.raises(ValueError, match=r"idle_timeout=60 there, 120 now.*overwrite=True"):
        SessionExtractor().to_parquet(captures[1:], folder)
    SessionExtractor().to_parquet(captures, folder, overwrite=True)
    SessionExtractor(n_jobs=1, on_error="skip").to_parquet(captures, folder)
    assert read_note(folder / part_name(captures[0]))["settings"]["idle_timeout"] == 120


def test_foreign_files_are_refused(captures, tmp_path):
    """A Parquet file of someone else, and one that is none, are named."""
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(to_arrow(SessionExtractor().transform(captures)), folder / "mine.parquet")
    with pytest.raises(ValueError, match=r"mine\.parquet was not written by"):
        SessionExtractor().to_parquet(captures, folder)
    (folder / "mine.parquet").write_text("nothing of the kind")
    with pytest.raises(ValueError, match=r"mine\.parquet is no Parquet file"):
        SessionExtractor().to_parquet(captures, folder)


def test_a_capture_that_fails_leaves_no_part(captures, tmp_path):
    """It is in the report alone; nothing half-written stays."""
    captures[3].write_text("not a capture any more")
    folder = tmp_path / "parts"
    with pytest.raises(CaptureError, match=r"run 3\.pcap"):
        SessionExtractor().to_parquet(captures, folder)
    assert sorted(os.listdir(folder)) == sorted(map(part_name, captures[:3]))
    report = SessionExtractor(on_error="skip").to_parquet(captures, folder)
    assert "run 3.pcap" in report["error"][3]
    assert len(read_sessions(folder)) == 4


KILLED = """
import json, sys, time
from sktraffic.capture import SessionExtractor, _tasks
real = _tasks.read_capture
def slow(path, *args, **options):
    for table in real(path, *args, **options):
        yield table
        if "run 2" in path:
            print("writing", flush=True)
            time.sleep(60)
_tasks.read_capture, _tasks.MOST_CAPTURES = slow, 1
SessionExtractor(n_dissections=0).to_parquet(json.loads(sys.argv[1]), sys.argv[2])
"""


def test_a_killed_run_is_gone_on_with(captures, tmp_path):
    """What was whole stays, the part being written is written anew, nothing is left over."""
    folder = tmp_path / "parts"
    command = [sys.executable, "-c", KILLED, json.dumps([str(c) for c in captures]), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = os.listdir(folder)
    assert len([name for name in left if name.endswith(".parquet")]) == 2
    assert [name for name in left if name.endswith(".tmp")]
    before = {name: os.stat(folder / name).st_mtime_ns for name in left}
    SessionExtractor(n_dissections=0).to_parquet(captures, folder)
    assert sorted(os.listdir(folder)) == sorted(map(part_name, captures))
    whole = part_name(captures[0])
    assert os.stat(folder / whole).st_mtime_ns == before[whole]
    assert len(read_sessions(folder)) == 5


def test_streaming_gives_what_reading_at_once_gives(traffic_data, tmp_path, monkeypatch):
    """Sessions leave the store in pieces as they end; together they are the same table."""
    capture = traffic_data / "iot_devices" / "HueSwitch" / "Setup-A-1-STA.pcap"
    X = SessionExtractor(idle_timeout=2).transform(capture)
    monkeypatch.setattr("sktraffic.packets._layout.ENOUGH", 10)
    monkeypatch.setattr("sktraffic.packets._read.ROWS", 100)
    SessionExtractor(idle_timeout=2).to_parquet(capture, tmp_path)
    groups = pq.ParquetFile(next(tmp_path.iterdir())).num_row_groups
    assert by_session(read_sessions(tmp_path)) == by_session(X)
    assert groups > 1
    again = SessionExtractor(idle_timeout=2).transform(capture)
    assert again["session"].tolist() == X["session"].tolist() == list(range(len(X)))


def test_empty_captures_of_a_filter_make_empty_parts(captures, tmp_path):
    """A part without rows has all columns, and fits the others."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SessionExtractor(bpf_filter="udp port 1001").to_parquet(captures, tmp_path / "parts")
    X = read_sessions(tmp_path / "parts")
    assert X["src_port"].tolist() == [1001]
