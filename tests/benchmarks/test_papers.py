"""The command that makes the papers' tables: its loop, its memory and Liang et al.'s tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.neural  # the tables of both papers train networks
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def papers(monkeypatch):
    """Import the script as a module, as `python benchmarks/papers.py` finds its neighbours."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import papers

    return papers


@pytest.fixture
def runner(papers):
    from paper_tables import runner

    return runner


def squares(runner, calls, fail_at=None):
    """Make an experiment whose cells are numbers and whose only row is the square."""

    def measure(unit, settings, folder):
        if unit["n"] == fail_at:
            raise RuntimeError("lights out")
        calls.append(unit["n"])
        return [{"square": unit["n"] ** 2 * settings["factor"]}]

    settings = {scale: {"factor": 1} for scale in runner.SCALES}
    cells = lambda settings, models: [{"n": n} for n in models]  # noqa: E731
    return runner.Experiment("squares", settings, cells, measure, (1, 2, 3))


def rows(folder):
    """Return all rows that are kept."""
    units = json.loads((folder / "squares-cpu.json").read_text("utf-8"))["units"]
    return [row["square"] for unit in units for row in unit["rows"]]


def test_finished_units_are_not_run_again(runner, tmp_path):
    """A crash loses the unit in hand only; the next call does the rest and no more."""
    calls = []
    go = lambda experiment, seeds, **more: runner.run(  # noqa: E731
        experiment, "cpu", seeds, tmp_path, tmp_path, say=lambda text: None, **more
    )
    with pytest.raises(RuntimeError, match="lights out"):
        go(squares(runner, calls, fail_at=3), 1)
    assert go(squares(runner, calls), 1)
    assert calls == [1, 2, 3]
    assert go(squares(runner, calls), 2)  # one more seed
    assert calls == [1, 2, 3, 1, 2, 3]
    assert sorted(rows(tmp_path)) == [1, 1, 4, 4, 9, 9]
    assert go(squares(runner, calls), 1, models=[2, 5])  # another model joins those that are there
    assert calls[6:] == [5] and sorted(rows(tmp_path)) == [1, 1, 4, 4, 9, 9, 25]


def test_a_cell_may_bound_its_seeds(runner):
    """Three seeds, but one for what hardly depends on it."""
    cells = lambda settings, models: iter([{"n": 1}, {"n": 2, "most_seeds": 1}])  # noqa: E731
    units = runner.Experiment("bounded", {"cpu": {}}, cells, None).units("cpu", 3)
    assert [(unit["n"], unit["seed"]) for unit in units] == [(1, 0), (1, 1), (1, 2), (2, 0)]


def test_results_of_other_settings_do_not_mix(runner, tmp_path):
    """Changed settings run anew and drop what was made with the old ones."""
    calls = []
    experiment = squares(runner, calls)
    runner.run(experiment, "cpu", 1, tmp_path, tmp_path, say=lambda text: None)
    experiment.settings["cpu"]["factor"] = 2
    runner.run(experiment, "cpu", 1, tmp_path, tmp_path, say=lambda text: None)
    content = json.loads((tmp_path / "squares-cpu.json").read_text("utf-8"))
    assert [entry["rows"][0]["square"] for entry in content["units"]] == [2, 8, 18]
    made = content["units"][0]["made_with"]
    assert made["versions"]["torch"] and made["cores"] and content["units"][0]["seconds"] >= 0


def test_no_time_left_runs_nothing(runner, tmp_path):
    """A deadline in the past leaves the work undone and says so."""
    calls = []
    experiment = squares(runner, calls)
    done = runner.run(experiment, "cpu", 1, tmp_path, tmp_path, deadline=0.0, say=lambda text: None)
    assert not done and not calls


def test_runs_in_pieces_end_where_one_run_ends(runner, tmp_path, monkeypatch):
    """Calls of which each has time for one unit do all of them once, and say when that is so."""
    calls, clock = [], [0.0]
    experiment = squares(runner, calls)
    monkeypatch.setattr(runner.time, "time", lambda: clock[0])

    def piece():
        clock[0] = 0.0
        quiet = {"say": lambda text: clock.__setitem__(0, clock[0] + 1)}  # the unit took a second
        return runner.run(experiment, "cpu", 1, tmp_path, tmp_path, deadline=1.5, **quiet)

    assert [piece() for _ in range(3)] == [False, False, True]
    assert calls == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["b-none"], "no experiment 'b-none'"),
        (["--data", "/nowhere"], "no folder"),
        (["--models", "best"], "name it"),
    ],
)
def test_wrong_arguments_are_named(papers, tmp_path, capsys, arguments, message):
    """What cannot be run is said before anything runs."""
    if "--data" not in arguments:
        arguments = [*arguments, "--data", str(tmp_path)]
    with pytest.raises(SystemExit):
        papers.parse(["run", *arguments])
    assert message in capsys.readouterr().err


@pytest.fixture
def data(papers):
    from paper_tables import data

    return data


def test_time_split_trains_on_what_came_before(data, traffic_data):
    """In every class no training session begins after a test session."""
    heads = data.subset(data.load_heads("ISCX", traffic_data), 0.05, 0)
    train, test = data.split_heads(heads, "time", 0)
    assert not set(train) & set(test)
    start = heads.X["start"]
    for label in np.unique(heads.y):
        early, late = (rows[heads.y[rows] == label] for rows in (train, test))
        assert start.iloc[early].max() <= start.iloc[late].min()


def test_subset_keeps_the_shares_of_the_classes(data, traffic_data):
    """A tenth of the sessions is a tenth of each class."""
    whole = data.load_heads("ISCX", traffic_data)
    part = data.subset(whole, 0.1, 0)
    for label in np.unique(whole.y):
        assert (part.y == label).sum() == max(10, round(0.1 * (whole.y == label).sum()))


def test_masked_tokens_do_not_depend_on_addresses(data, traffic_data):
    """Other addresses and ports in every packet: masked tokens stay, unmasked ones change."""
    from sktraffic.ragged import list_column, ragged

    heads = data.subset(data.load_heads("USTC", traffic_data), 0.02, 0)
    size = {"n_bytes": 48, "n_packets": 2}
    flat, offsets = ragged(heads.X["packet_bytes"])
    changed = [
        bytes(p[:12]) + bytes(8) + b"\x11\x22\x33\x44" + bytes(p[24:]) if len(p) > 24 else bytes(p)
        for p in flat
    ]
    import pyarrow as pa

    other = pd.DataFrame({"packet_bytes": list_column(pa.array(changed, pa.binary()), offsets)})
    tokens = lambda table, masked: data.tokens(table, masked, size)  # noqa: E731
    np.testing.assert_array_equal(tokens(other, True), tokens(heads.X, True))
    assert (tokens(other, False) != tokens(heads.X, False)).any()


@pytest.mark.parametrize("name", ["b-ustc", "b-search", "x-pretraining", "x-few-labels"])
def test_tiny_scale_runs_and_fills_tables(papers, traffic_data, tmp_path, monkeypatch, name):
    """Every unit ends, a second call has nothing to do, and the tables have a row a model."""
    from results_page import tables
    from results_page.page import read

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = ["run", name, "--scale", "tiny", "--data", str(traffic_data)]
    arguments += ["--results", str(tmp_path)]
    assert papers.main(arguments) == 0
    written = (tmp_path / f"{name}-tiny.json").stat().st_mtime_ns
    assert papers.main(arguments) == 0
    assert (tmp_path / f"{name}-tiny.json").stat().st_mtime_ns == written
    rows = read(tmp_path, name, ("tiny",)).rows
    if name == "b-ustc":
        assert len(tables.contenders(rows, tables.PAPER_USTC)) == 8
        assert len(tables.ablations(rows, tables.PAPER_ABLATION["USTC"])) == 4
        assert tables.classes(rows).shape == (20, 10)
    elif name == "b-search":
        assert len(tables.byte_search(rows[rows["data"] == "ISCX"])) == 3
    elif name == "x-few-labels":
        starts = list(rows["start"].unique())
        assert tables.few_labels(rows[rows["data"] == "ISCX"], ["2", "all"], starts).shape == (2, 4)
    else:
        assert rows["accuracy"].between(0, 1).all() and (rows["tokens"] > rows["sessions"]).all()
