"""The bundled laboratory captures: files, manifest, table, and what must not tell the classes."""

import lzma
import re
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sktraffic.capture import SessionExtractor
from sktraffic.datasets import lab_captures, load_lab_sessions
from sktraffic.datasets._lab import FOLDER, extract, read_manifest
from sktraffic.datasets._lab_check import chance_score, run_length_features, shortcut_scores
from sktraffic.sessions import SCHEMA, to_arrow

CLASSES = {f"{vpn}{service}" for vpn in ("", "vpn_")
           for service in ("chat", "email", "file", "p2p", "streaming", "voip")}  # fmt: skip
SPARSEST = {"vpn_email", "vpn_p2p"}


@pytest.fixture(scope="module")
def lab():
    """Load the bundled table once."""
    return load_lab_sessions()


@pytest.fixture(scope="module")
def scores(lab):
    """Score every view once; of the order of ten seconds."""
    return shortcut_scores(lab.data, lab.target, lab.groups)


def records(path):
    """Yield (captured, true length, bytes) of a pcap, by struct alone."""
    data = lzma.decompress(Path(path).read_bytes())
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    position = 24
    while position < len(data):
        kept, length = struct.unpack_from("<II", data, position + 8)
        yield kept, length, data[position + 16 : position + 16 + kept]
        position += 16 + kept
    assert position == len(data)


def one_run_a_class(manifest, number):
    """Pick the run of this number of each class."""
    return manifest.groupby("label").nth(number)


def test_manifest_names_every_file_and_counts_its_packets():
    """Files and manifest agree, by a reader of their own."""
    manifest = read_manifest()
    assert sorted(p.name for p in FOLDER.glob("*.pcap.xz")) == sorted(manifest["capture"])
    counted = [sum(1 for _ in records(FOLDER / name)) for name in manifest["capture"]]
    assert counted == list(manifest["packets"])
    wire = [sum(length for _, length, _ in records(FOLDER / n)) for n in manifest["capture"]]
    assert wire == list(manifest["wire_bytes"])


def test_captures_and_labels():
    """Twelve classes, the files are there, the names do not give the class away."""
    paths, labels = lab_captures()
    assert set(labels) == CLASSES
    assert all(Path(path).is_file() for path in paths)
    assert all(re.fullmatch(r"run\d{3}\.pcap\.xz", Path(path).name) for path in paths)


def test_imbalance_is_as_intended(lab):
    """8 runs a class, 2,000 sessions in all, the two sparsest below 25, the largest over 400."""
    runs = lab.manifest.groupby("label").size()
    sessions = lab.target.value_counts()
    assert runs.min() >= 8
    assert sessions.sum() >= 2000
    assert set(sessions.index[sessions < 25]) == SPARSEST
    assert sessions.max() > 400


def test_data_fit_the_wheel():
    """Captures, manifest and table are at most 12 MB, compressed as they are."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 12e6


def test_bunch_is_consistent(lab):
    """One label, run and background flag a session; the target is its capture's label."""
    n = len(lab.data)
    assert list(lab.data.columns) == SCHEMA.names == lab.feature_names
    assert len(lab.target) == len(lab.groups) == len(lab.background) == n
    paths, labels = lab_captures()
    expected = lab.data["capture"].astype(object).map(dict(zip(paths, labels, strict=True)))
    assert (expected == lab.target).all()
    assert (lab.frame["target"] == lab.target).all()
    assert list(lab.data.groupby("capture").size()) == list(
        lab.manifest.sort_values("capture")["sessions"]
    )
    X, y = load_lab_sessions(return_X_y=True)
    assert len(X) == n
    pd.testing.assert_series_equal(y, lab.target)
    arrays = load_lab_sessions(as_frame=False)
    assert arrays.frame is None
    for name in ("target", "groups", "background"):
        assert isinstance(arrays[name], np.ndarray)
        assert (arrays[name] == lab[name].to_numpy()).all()


def test_background_is_what_ndpi_calls_so(lab):
    """Sessions marked as background are DNS, NTP, mDNS and IGMP by nDPI's dissectors."""
    names = lab.data["application"][lab.background].astype(str).str.split(".").str[0]
    assert set(names.unique()) <= {"DNS", "NTP", "MDNS", "IGMP", "Unknown"}
    assert (names == "Unknown").mean() < 0.02


def test_first_bytes_are_kept():
    """The first 10 packets of a run have 256 bytes from the IP header on, or are whole."""
    paths, _ = lab_captures()
    for path in paths[::10]:
        for i, (kept, length, _) in zip(range(10), records(path), strict=False):
            assert kept == length or kept >= 14 + 256, (path, i)


def test_extraction_gives_the_stored_table(lab):
    """Captures of every class, extracted anew, equal the stored rows."""
    chosen = one_run_a_class(lab.manifest, 2)["capture"]
    paths = [str(FOLDER / name) for name in chosen]
    assert_same(SessionExtractor().transform(paths), stored(lab, paths))


@pytest.mark.slow
def test_extraction_of_all_gives_the_stored_table(lab):
    """All captures, extracted anew, equal the stored table."""
    anew = extract()
    anew["capture"] = [str(FOLDER / name) for name in anew["capture"]]
    assert_same(anew, lab.data)


def stored(lab, paths):
    """Rows of these captures, in this order."""
    return pd.concat([lab.data[lab.data["capture"] == path] for path in paths])


def assert_same(anew, old):
    """Compare every column, lists included."""
    anew, old = to_arrow(anew), to_arrow(old)
    assert anew.num_rows == old.num_rows
    for name in SCHEMA.names:
        assert anew[name].to_pylist() == old[name].to_pylist(), name


def test_no_error_in_the_captures(lab):
    """Our extractor reads every stored packet: none ignored, none after a cut tail.

    A few timestamps go back by a microsecond, as tcpdump's do on two cores: not an error.
    """
    chosen = one_run_a_class(lab.manifest, 3)
    extractor = SessionExtractor(messages=False, n_bytes=0, n_dissections=0)
    _, report = extractor.extract([str(FOLDER / name) for name in chosen["capture"]])
    assert list(report["records"]) == list(chosen["packets"])
    lost = report["records"] - report["session_packets"] - report["not_ip"]
    assert (lost == 0).all() and (report["unread_bytes"] == 0).all()


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.slow)
                                         for n in range(1, 8))])  # fmt: skip
def test_tshark_names_the_protocols_of_the_manifest(number):
    """Tshark finds what the manifest says was spoken, and nothing malformed."""
    for _, run in one_run_a_class(read_manifest(), number).iterrows():
        seen, malformed = dissect(FOLDER / run["capture"], run["decode_as"].split())
        assert set(run["protocols"].split()) <= seen, run["capture"]
        assert not malformed, (run["capture"], malformed)


def dissect(path, decode_as):
    """Return the protocols that tshark names, and the stacks of frames it calls malformed."""
    command = ["tshark", "-n", "-r", "-", "-T", "fields", "-e", "frame.protocols",
               "-e", "_ws.malformed"]  # fmt: skip
    for rule in decode_as:
        command += ["-d", rule]
    data = lzma.decompress(path.read_bytes())
    out = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    rows = [line.split("\t") for line in out.decode(errors="replace").splitlines()]
    seen = {name for row in rows for name in row[0].split(":")}
    return seen, Counter(row[0] for row in rows if len(row) > 1 and row[1])


@pytest.mark.parametrize("view", ["addresses", "ports", "start time", "length of the run"])
def test_no_shortcut(scores, view):
    """What is no behaviour is near chance on unseen runs: macro F1 below 0.25 of 12 classes."""
    assert scores.loc[view].max() < 0.25


def test_nine_features_are_better_than_shortcuts_and_not_perfect(lab, scores):
    """A forest on the nine features is well above every shortcut, and leaves something to win."""
    forest = scores.loc["nine features", "random forest"]
    assert forest > 2 * chance_score(lab.target)
    assert forest > scores.drop(index="nine features").to_numpy().max() + 0.1
    assert forest < 0.85


def test_tunnels_show_nothing_but_the_tunnel(lab):
    """In runs with a tunnel every TCP or UDP session is the tunnel's, or background's."""
    vpn = lab.data[lab.target.str.startswith("vpn_") & ~lab.background]
    ports = vpn[vpn["protocol"].isin([6, 17])].groupby("capture")["dst_port"].nunique()
    assert (ports == 1).all()
    assert set(vpn["application"].astype(str).str.split(".").str[0]) <= {
        "OpenVPN", "SSH", "Unknown", "ICMP", "IGMP", "TLS",
    }  # fmt: skip


def test_run_length_is_that_of_the_run():
    """Two sessions of a run, 0-3 s and 5-9 s, make a run of 9 s."""
    start = pd.to_datetime(["2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "2026-01-01T00:01:00Z"])
    X = pd.DataFrame({"start": start, "duration": [3.0, 4.0, 2.0]})
    np.testing.assert_allclose(run_length_features(X, ["a", "a", "b"])[:, 0], [9, 9, 2])


def test_classes_are_interleaved_in_time(lab):
    """The run that starts next is of the same class no more often than in a random order."""
    label = lab.manifest.sort_values("start")["label"].to_numpy()
    same = label[1:] == label[:-1]
    share = pd.Series(label).value_counts(normalize=True)
    expected = float((share**2).sum())
    spread = np.sqrt(expected * (1 - expected) / len(same))
    assert same.mean() < expected + 3 * spread
    for name in np.unique(label):
        assert same[label[:-1] == name].mean() < 0.5, name
