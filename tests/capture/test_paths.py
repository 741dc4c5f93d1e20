"""What a user names, and what is found there."""

import os

import pytest

from sktraffic.capture import CaptureError, capture_name, capture_paths


@pytest.fixture
def folder(tmp_path, small_capture):
    """Return a folder with captures of several names, and other files."""
    root = tmp_path / "captures"
    (root / "deep").mkdir(parents=True)
    data = small_capture.read_bytes()
    for name in ("b.pcap", "a.pcapng.gz", "deep/c.cap", "deep/no-suffix"):
        (root / name).write_bytes(data)
    (root / "notes.txt").write_text("not a capture")
    (root / ".hidden.pcap").write_bytes(data)
    return root


def test_a_folder_is_searched_by_name_and_by_first_bytes(folder):
    """Subfolders too; other files and hidden ones are left."""
    found = [path.removeprefix(f"{folder}/") for path in capture_paths(folder)]
    assert found == ["a.pcapng.gz", "b.pcap", "deep/c.cap", "deep/no-suffix"]


def test_patterns_and_lists_keep_their_order(folder):
    """A pattern's files by name, a list's as given."""
    assert capture_paths(f"{folder}/*.pcap*") == [f"{folder}/a.pcapng.gz", f"{folder}/b.pcap"]
    assert capture_paths([folder / "b.pcap", str(folder / "deep")])[0] == f"{folder}/b.pcap"


def test_a_name_with_pattern_signs_is_a_name(tmp_path, small_capture):
    """A file that exists is meant, whatever signs its name has."""
    odd = tmp_path / "run[1]*.pcap"
    odd.write_bytes(small_capture.read_bytes())
    assert capture_paths(odd) == [str(odd)]


def test_what_is_not_there_is_said(tmp_path):
    """A missing file, a folder without captures, an empty list, a wrong type."""
    with pytest.raises(CaptureError, match=r"no file, folder or match for .*none\.pcap"):
        capture_paths(tmp_path / "none.pcap")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CaptureError, match="holds no capture"):
        capture_paths(tmp_path)
    with pytest.raises(CaptureError, match="list of paths is empty"):
        capture_paths([])
    with pytest.raises(TypeError, match="paths"):
        capture_paths([1, 2])


def test_a_capture_named_twice_is_refused(folder):
    """Its sessions would count double, under whatever spelling."""
    twice = [folder / "b.pcap", folder / "deep" / ".." / "b.pcap"]
    with pytest.raises(CaptureError, match="named twice"):
        capture_paths(twice)
    with pytest.raises(CaptureError, match="named twice"):
        capture_paths([folder, folder / "b.pcap"])


def test_odd_sources_are_names_too(tmp_path):
    """Standard input, and a file whose name is no text."""
    odd = tmp_path / os.fsdecode(b"latin1-\xe9.pcap")
    odd.touch()
    assert capture_paths(["-", odd]) == ["-", str(odd)]
    assert capture_name(odd).endswith("latin1-\\xe9.pcap")
