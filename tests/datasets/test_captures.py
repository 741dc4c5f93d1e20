"""load_captures: labels, groups, cache."""

import os

import numpy as np
import pytest

from sktraffic.capture import CaptureWarning, SessionExtractor
from sktraffic.datasets import load_captures
from sktraffic.sessions import to_arrow
from tests.capture.craft import Craft


@pytest.fixture
def root(tmp_path):
    """Return a folder with two classes of two captures each."""
    craft = Craft()
    for i, (label, name) in enumerate(
        [("a", "x.pcap"), ("a", "y.pcap"), ("b", "x.pcap"), ("b", "z")]
    ):
        folder = tmp_path / "root" / label
        folder.mkdir(parents=True, exist_ok=True)
        frames = [(5, 0, craft.ethernet(craft.udp(sport=100 + j))) for j in range(i + 1)]
        (folder / name).write_bytes(craft.pcap(frames))
    return tmp_path / "root"


def test_labels_are_folders_and_groups_are_captures(root):
    """One row a session, the label of its folder, its capture as the group."""
    X, y, groups = load_captures(root, return_X_y=True)
    assert len(X) == 10
    assert y.tolist() == ["a"] * 3 + ["b"] * 7
    assert groups.tolist() == X["capture"].tolist()
    assert len(np.unique(groups)) == 4


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("stem", ["x", "y", "x", "z"]),
        (lambda path: len(os.path.basename(path)), [6, 6, 6, 1]),
        ({"x.pcap": "first", "y": "second", "z": "third"}, ["first", "second", "first", "third"]),
    ],
)
def test_labels_come_from_where_they_are_said_to(root, label, expected):
    """File names, a callable, a mapping; numbers stay numbers."""
    bunch = load_captures(root, label=label)
    assert bunch.captures["label"].tolist() == expected
    assert bunch.captures["sessions"].tolist() == [1, 2, 3, 4]
    assert bunch.target.tolist() == np.repeat(expected, [1, 2, 3, 4]).tolist()
    assert bunch.target_names.tolist() == sorted(set(expected))
    assert len(bunch.report) == 4


def test_groups_of_ones_own(root):
    """Captures of the same run stay together."""
    bunch = load_captures(root, groups=lambda path: os.path.basename(path))
    assert set(bunch.groups) == {"x.pcap", "y.pcap", "z"}


def test_a_capture_without_label_is_named(root):
    """A mapping with a hole, a callable that gives nothing, an unknown word."""
    with pytest.raises(ValueError, match=r"no label for .*y\.pcap"):
        load_captures(root, label={"x": 1, "z": 2})
    with pytest.raises(ValueError, match="no label for"):
        load_captures(root, label=lambda path: None)
    with pytest.raises(ValueError, match="label is 'file'"):
        load_captures(root, label="file")


def test_the_cache_gives_the_same_table(root, tmp_path, monkeypatch):
    """A second call reads no capture; other settings, and changed captures, are read."""
    cache = tmp_path / "cache"
    first = load_captures(root, cache=cache)
    plain = load_captures(root)
    assert to_arrow(first.data).to_pylist() == to_arrow(plain.data).to_pylist()

    def refuse(*args, **kwargs):
        raise AssertionError("a capture was read")

    with monkeypatch.context() as patch:
        patch.setattr("sktraffic.capture._tasks.read_capture", refuse)
        again = load_captures(root, cache=cache)
        assert to_arrow(again.data).to_pylist() == to_arrow(first.data).to_pylist()
        with pytest.raises(AssertionError, match="was read"):
            load_captures(root, cache=cache, extractor=SessionExtractor(size="frame"))
    os.utime(root / "b" / "z", (1, 1))
    with monkeypatch.context() as patch:
        patch.setattr("sktraffic.capture._tasks.read_capture", refuse)
        with pytest.raises(AssertionError, match="was read"):
            load_captures(root, cache=cache)


def test_the_cache_answers_in_the_words_of_the_call(root, tmp_path, monkeypatch):
    """The column `capture` holds the paths as they are given now, not as they were then."""
    load_captures(root, cache=tmp_path / "cache")
    monkeypatch.chdir(root)
    X, _, _ = load_captures("a", cache=tmp_path / "cache", return_X_y=True)
    assert X["capture"].unique().tolist() == ["a/x.pcap", "a/y.pcap"]


def test_captures_left_out_have_no_sessions(root, tmp_path):
    """With on_error="skip" the rest is loaded, with and without a cache."""
    (root / "a" / "bad.pcap").write_text("no capture")
    extractor = SessionExtractor(on_error="skip")
    for cache in (None, tmp_path / "cache"):
        bunch = load_captures(root, extractor=extractor, cache=cache)
        assert bunch.captures.set_index("capture")["sessions"][str(root / "a" / "bad.pcap")] == 0
        assert len(bunch.data) == len(bunch.target) == 10


def test_rules_label_sessions_whatever_their_folder(root):
    """The first rule that matches; sessions without one are left out, and said."""
    X = SessionExtractor().transform(root)
    first = X.iloc[0]
    rules = [{"label": "one", "src_ip": first["src_ip"], "src_port": str(first["src_port"])}]
    with pytest.warns(CaptureWarning, match=f"of {len(X)} sessions are labelled by no rule"):
        found = load_captures(root, rules)
    assert set(found.target) == {"one"} and found.target_names.tolist() == ["one"]
    assert found.label_report["labelled"].sum() == len(X)
    assert len(found.data) == len(found.target) == len(found.groups)
    everything = load_captures(root, [*rules, {"label": "rest"}])
    assert len(everything.data) == len(X)
    assert (everything.target == "one").sum() == len(found.data)


def test_rules_come_from_a_file_and_must_match_something(root, tmp_path):
    """A CSV file is read as rules; rules without any match are an error that says so."""
    file = tmp_path / "rules.csv"
    file.write_text("label,dst_port\nnever,1\n", "utf-8")
    with pytest.raises(ValueError, match="None of the 1 rules labels any"):
        load_captures(root, file)


def test_rules_that_contradict_are_named(root):
    """A later rule of another label for the same sessions is told, with how many."""
    X = SessionExtractor().transform(root)
    port = str(X.iloc[0]["src_port"])
    rules = [{"label": "a", "src_port": port}, {"label": "b", "src_port": port}, {"label": "c"}]
    with pytest.warns(CaptureWarning, match=r"rule 2 \(b\) matches \d+ sessions"):
        load_captures(root, rules)
