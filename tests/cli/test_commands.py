"""The commands do what the library does, and say so."""

import json

import numpy as np
import pandas as pd
import pytest

from sktraffic.capture import SessionExtractor
from sktraffic.feature_extraction import SessionStatistics
from sktraffic.persistence import load, read_provenance
from sktraffic.sessions import read_sessions
from tests.capture.craft import Craft
from tests.messages._build import ip4, udp, udp4


def test_training_holds_captures_out_and_then_uses_all(bench):
    """One of three captures of each class is scored; the saved model knows all six."""
    document = json.loads(bench.trained.stdout)
    assert len(document["held_out"]["captures"]) == 2
    every, twins, others = document["held_out"]["twins"]
    assert every["sessions"] == twins["sessions"] + others["sessions"] > 0
    assert [row["captures"] for row in document["class_counts"]] == [3, 3]
    note = read_provenance(bench.model)
    assert note["scores"]["capture_accuracy, 2 captures held out"] == pytest.approx(
        document["held_out"]["scores"]["capture_accuracy"]
    )


def test_saved_model_reads_as_it_was_trained_and_keeps_no_cache(bench, cli, tmp_path):
    """Options of `train` are in the file; what belonged to the run is not."""
    done = cli(
        "train", bench.seen, "-o", tmp_path / "m.skt", "--holdout", "0", "--idle-timeout", "7",
        "--filter", "not port 53", "--cache", tmp_path / "cache", "--jobs", "2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    clf = load(tmp_path / "m.skt")
    assert clf.extractor_.idle_timeout == 7
    assert clf.extractor_.bpf_filter == "not port 53"
    assert clf.cache is None
    assert (clf.extractor_.n_jobs, clf.extractor_.progress) == (None, False)


def test_inspect_prints_the_provenance(bench, cli, tmp_path):
    """--json is what read_provenance returns; the card names classes, data, split and scores."""
    note = json.loads(cli("inspect", bench.model, "--json").stdout)
    assert note == json.loads(json.dumps(read_provenance(bench.model)))
    page = cli("inspect", bench.model).stdout
    assert page.rstrip() == note["card"].rstrip()
    assert "vpn_voip" in page and note["data_hash"] in page
    assert "2 of 6 captures" in page and "Not looked for" in page
    scores = [line for line in page.splitlines() if "captures held out |" in line]
    assert len(scores) == 4 and all("0" in line.split("|")[2] for line in scores)
    done = cli("inspect", bench.model, "--card", tmp_path / "model.md")
    assert done.exit_code == 0 and done.stdout == ""
    assert (tmp_path / "model.md").read_text("utf-8") == note["card"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # three captures a class
def test_shortcuts_go_into_the_card(bench, cli, tmp_path):
    """They are looked for where that is asked for, and the card tells what came of it."""
    file = tmp_path / "m.skt"
    done = cli("train", bench.seen, "-o", file, "--holdout", "0", "--shortcuts")
    assert done.exit_code == 0, (done.output, done.exception)
    card = read_provenance(file)["card"]
    assert "### Shortcuts\n\n- " in card and "Not looked for" not in card
    assert "Split: Not told" in card


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_predictions_are_those_of_the_library(bench, cli, tmp_path, suffix):
    """Every format holds the rows of predict_sessions."""
    file = tmp_path / f"sessions{suffix}"
    done = cli("predict", bench.model, bench.unseen, "-o", file)
    assert done.exit_code == 0, done.output
    readers = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
        ".jsonl": lambda path: pd.read_json(path, lines=True),
    }
    found = readers[suffix](file)
    wanted = load(bench.model).predict_sessions(bench.unseen)
    assert list(found.columns) == list(wanted.columns)
    assert found["label"].tolist() == wanted["label"].tolist()
    np.testing.assert_allclose(found["probability"], wanted["probability"], atol=1e-9)
    starts = pd.to_datetime(found["start"], utc=True)
    gap = (starts - pd.to_datetime(wanted["start"], utc=True)).abs().max()
    assert gap <= pd.Timedelta("1us")


def test_predict_by_capture_has_a_row_a_capture(bench, cli, tmp_path):
    """The vote of each capture is that of `predict`."""
    done = cli("predict", bench.model, bench.unseen, "--by", "capture", "--json")
    rows = json.loads(done.stdout)
    clf = load(bench.model)
    assert [r["label"] for r in rows] == clf.predict([r["capture"] for r in rows]).tolist()


def test_evaluate_scores_draws_and_reports(bench, cli, tmp_path):
    """The table is consistent with the confusion matrix; figure and page are written."""
    png, page = tmp_path / "confusion.png", tmp_path / "report.html"
    done = cli(
        "evaluate", bench.model, bench.unseen, "--confusion", png, "--report", page, "--json"
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    support = {row["class"]: row["support"] for row in document["per_class"]}
    for row in document["confusion"]:
        true = row.pop("true")
        assert sum(row.values()) == support.get(true, 0)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "Robustness" in page.read_text("utf-8")


def test_evaluating_on_the_training_captures_warns(bench, cli):
    """The data hash of the model tells."""
    done = cli("evaluate", bench.model, bench.seen)
    assert done.exit_code == 0
    assert "trained on" in done.stderr
    assert "trained on" not in cli("evaluate", bench.model, bench.unseen).stderr


def test_extracted_parts_hold_the_sessions(bench, cli, tmp_path):
    """A part a capture; together they are the table of SessionExtractor; nothing is read twice."""
    out = tmp_path / "sessions"
    arguments = ("extract", bench.unseen, "-o", out, "--idle-timeout", "30", "--json")
    document = json.loads(cli(*arguments).stdout)
    parts = sorted(out.glob("*.parquet"))
    assert len(parts) == len(document["captures"]) == 2
    wanted = SessionExtractor(idle_timeout=30).transform(bench.unseen)
    found = read_sessions(out)
    assert document["sessions"] == len(found) == len(wanted)
    assert sorted(found["packet_count"]) == sorted(wanted["packet_count"])
    times = [part.stat().st_mtime_ns for part in parts]
    assert cli(*arguments).exit_code == 0
    assert [part.stat().st_mtime_ns for part in parts] == times


NEURAL = pytest.mark.neural


@pytest.mark.parametrize(
    "model",
    [
        "knn",
        *(pytest.param(name, marks=NEURAL) for name in ("mlp", "transformer")),
        pytest.param("bert", marks=[NEURAL, pytest.mark.slow]),
    ],
)
def test_every_model_trains_and_comes_back_from_its_file(bench, cli, tmp_path, model):
    """Others go the same way as the forest: train, save, load, predict."""
    file = tmp_path / "m.skt"
    done = cli("train", bench.seen, "-o", file, "--model", model, "--holdout", "0")
    assert done.exit_code == 0, done.output
    note = json.loads(cli("inspect", file, "--json").stdout)
    assert note["class_counts"]["chat"]["captures"] == 3
    done = cli("predict", file, bench.unseen, "--json")
    rows = json.loads(done.stdout)
    assert {row["label"] for row in rows} <= {"chat", "vpn_voip"}
    assert all(0.5 <= row["probability"] <= 1 + 1e-6 for row in rows)


def test_features_and_labels_are_written_one_row_a_session(bench, cli, tmp_path):
    """The table is what the library gives, identity and label beside it; folders name the label."""
    file = tmp_path / "features.csv"
    done = cli("extract", bench.seen, "-o", file, "--features", "cicflowmeter", "--end-on", "fin",
               "--label", "folder")  # fmt: skip
    assert done.exit_code == 0, done.output
    found = pd.read_csv(file)
    sessions = SessionExtractor(headers=True, end_on="fin").transform(bench.seen)
    wanted = SessionStatistics("cicflowmeter").set_output(transform="pandas")
    wanted = wanted.fit_transform(sessions)
    np.testing.assert_allclose(found[wanted.columns], wanted)
    assert found["session"].tolist() == sessions["session"].tolist()
    folders = [path.split("/")[-2] for path in sessions["capture"]]
    assert found["label"].tolist() == folders


def test_rules_label_sessions_and_are_accounted_for(bench, cli, tmp_path):
    """Every session is labelled by one rule or by none, and the sum is told."""
    rules, file = tmp_path / "rules.csv", tmp_path / "sessions.parquet"
    rules.write_text("label,port,protocol\nname,53,udp\nweb,443,tcp\n", "utf-8")
    done = cli("extract", bench.seen, "-o", file, "--label", rules, "--json")
    assert done.exit_code == 0, done.output
    labels, sessions = json.loads(done.stdout)["labels"], pd.read_parquet(file)
    assert sum(row["labelled"] for row in labels) == len(sessions)
    counted = {row["label"]: row["labelled"] for row in labels if row["rule"]}
    assert counted == {name: int((sessions["label"] == name).sum()) for name in counted}
    assert counted["name"] > 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "folder", "--features", "all"], "one file"),
        (["-o", "t.csv", "--label", "nowhere"], "--label"),
        (["-o", "t.csv", "--label", "no.csv"], "no.csv"),
    ],
)
def test_features_and_labels_that_cannot_be(bench, cli, tmp_path, monkeypatch, options, says):
    """One line, exit code 1, nothing written."""
    monkeypatch.chdir(tmp_path)
    done = cli("extract", bench.seen, *options)
    assert done.exit_code == 1 and says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_cut_writes_the_packets_of_chosen_sessions(bench, cli, tmp_path):
    """As many packets as the chosen sessions have; a condition that is none is told."""
    out = tmp_path / "dns.pcap"
    done = cli("cut", bench.seen, "--where", "application == 'DNS'", "-o", out, "--json")
    assert done.exit_code == 0, done.output
    sessions = SessionExtractor().transform(bench.seen)
    chosen = sessions[sessions["application"] == "DNS"]
    document = json.loads(done.stdout)
    assert document["sessions"] == len(chosen) > 0
    assert document["packets"] == chosen["packet_count"].sum()
    again = SessionExtractor().transform(out)
    assert again["packet_count"].sum() == document["packets"]


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("colour == 'red'", "The columns are capture"),
        ("duration >", "cannot be read"),
        ("duration", "no condition"),
        ("duration > 1e9", "None of the"),
        ("__import__('os').getcwd() == ''", "cannot be read"),
    ],
)
def test_conditions_that_choose_nothing_are_told(bench, cli, tmp_path, where, says):
    """One line, exit code 1, no file."""
    done = cli("cut", bench.unseen, "--where", where, "-o", tmp_path / "o.pcap")
    assert done.exit_code == 1 and says in done.stderr
    assert not list(tmp_path.iterdir())


def test_options_say_what_counts_as_a_packet_and_a_session(cli, tmp_path):
    """Tags, a tunnel, fragments and nDPI, each as asked for."""
    inner = Craft.ethernet(udp4(b"inside", ports=(7, 8)))
    whole = udp(bytes(40), ports=(5, 6))
    packets = [
        (udp4(ports=(1, 2)), [(0x8100, 9)]),
        (udp4(ports=(1, 2), back=True), []),
        (udp4(b"\x08" + bytes(7) + inner, ports=(3, 4789)), []),
        (ip4(whole[:24], 17, fragment=0x2000), []),
        (ip4(whole[24:], 17, fragment=3), []),
    ]
    frames = [(i, 0, Craft.ethernet(packet, tags)) for i, (packet, tags) in enumerate(packets)]
    capture, file = tmp_path / "x.pcap", tmp_path / "x.parquet"
    capture.write_bytes(Craft.pcap(frames))

    def read(*options):
        done = cli("extract", capture, "-o", file, "--overwrite", *options)
        assert done.exit_code == 0, done.output
        X = pd.read_parquet(file)
        ports = zip(X["src_port"], X["dst_port"], X["packet_count"], strict=True)
        return sorted(ports), X["application"].notna().any()

    assert read() == ([(1, 2, 1), (2, 1, 1), (5, 6, 2), (7, 8, 1)], True)
    assert read("--no-vlan-in-key", "--n-dissections", "0") == (
        [(1, 2, 2), (5, 6, 2), (7, 8, 1)], False)  # fmt: skip
    assert read("--no-decode-tunnels", "--no-join-fragments", "--n-dissections", "0") == (
        [(1, 2, 1), (2, 1, 1), (3, 4789, 1), (5, 6, 1)], False)  # fmt: skip
