"""The demo, on some of its captures, from a folder of its own."""

import json
import re
import socket

import pytest

from sktraffic._extras import missing
from sktraffic.cli import _demo
from sktraffic.datasets import lab_captures
from sktraffic.persistence import load, read_provenance

FEW = 24  # two captures of each class


@pytest.fixture
def few(monkeypatch):
    """Let the demo take the first captures only."""
    paths, labels = lab_captures()
    monkeypatch.setattr(_demo, "lab_captures", lambda: (paths[:FEW], labels[:FEW]))


@pytest.fixture
def offline(monkeypatch):
    """Let no connection leave this process."""

    def refuse(sock, address):
        if sock.family != socket.AF_UNIX:
            raise AssertionError(f"a connection to {address}")
        return connect(sock, address)

    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.filterwarnings("ignore::sktraffic.capture.CaptureWarning")
def test_demo_does_everything_and_remembers(few, offline, cli, tmp_path, monkeypatch):
    """Table, model and page are there; the second run reads and learns nothing anew."""
    monkeypatch.chdir(tmp_path)
    first = cli("demo", "--cache", "cache", "--json", "--jobs", 1)
    assert first.exit_code == 0, (first.output, first.exception)
    document = json.loads(first.stdout)
    network = set() if missing("neural") else {"mlp"}
    assert set(document["scores"]) == {"forest", "knn", "most frequent"} | network
    assert ("sktraffic[neural]" in first.stderr) == (not network)
    best, least = (document["scores"][name]["f1_macro"] for name in ("forest", "most frequent"))
    assert best > least
    clf = load("sktraffic-demo/model.skt")
    captures = document["captures"]
    assert clf.predict([c["capture"] for c in captures]).tolist() == [c["label"] for c in captures]
    n = len(captures)
    stored = read_provenance("sktraffic-demo/model.skt")["scores"]
    assert stored[f"f1_macro, {n} captures held out"] == best
    page = (tmp_path / "sktraffic-demo" / "report.html").read_text("utf-8")
    for part in (
        "Scores",
        "Sessions that were there before",
        "What tells the classes apart",
        "Robustness",
        "Latency",
        "Captures",
    ):
        assert f"<h2>{part}</h2>" in page
    sources = re.findall(r'(?:src|href)="([^"]{5})', page)
    assert sources and set(sources) == {"data:"} and "<script" not in page

    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*") if p.is_file()}
    second = cli("demo", "--cache", "cache", "--jobs", 1)
    assert second.exit_code == 0, second.output
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert "learning from" not in second.stderr
    assert "learning from" in first.stderr
    assert str(tmp_path / "sktraffic-demo" / "report.html") in second.stdout.replace("\n", "")


def test_a_remembered_model_that_cannot_be_used_is_made_anew(tmp_path, capsys):
    """One that is missing, or damaged, is no model; why is said."""
    file = tmp_path / "knn.skt"
    assert _demo._remembered("knn", file) is None
    file.write_bytes(b"half a model")
    assert _demo._remembered("knn", file) is None
    assert "It is trained anew" in capsys.readouterr().err
