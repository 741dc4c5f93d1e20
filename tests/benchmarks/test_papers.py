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
def core(papers):
    from paper_tables import core

    return core


def square_table(core, calls, fail_at=None):
    """Make a table whose units are numbers and whose only row is the square."""

    def run(unit, settings, folder):
        if unit["n"] == fail_at:
            raise RuntimeError("lights out")
        calls.append(unit["n"])
        return [{"square": unit["n"] ** 2 * settings["factor"]}]

    settings = {scale: {"factor": 1} for scale in core.SCALES}
    units = lambda settings, seeds: [{"n": n, "seed": s} for s in range(seeds) for n in (1, 2, 3)]  # noqa: E731
    return core.Table("squares", "Squares", settings, units, run, lambda result, images: "")


def test_finished_units_are_not_run_again(core, tmp_path):
    """A crash loses the unit in hand only; the next call does the rest and no more."""
    calls = []
    go = lambda table, seeds: core.run_table(  # noqa: E731
        table, "cpu", seeds, tmp_path, tmp_path, say=lambda text: None
    )
    with pytest.raises(RuntimeError, match="lights out"):
        go(square_table(core, calls, fail_at=3), 1)
    assert go(square_table(core, calls), 1)
    assert calls == [1, 2, 3]
    assert go(square_table(core, calls), 2)  # one more seed
    assert calls == [1, 2, 3, 1, 2, 3]
    result = core.Store(tmp_path, square_table(core, calls), "cpu").result()
    assert sorted(result.rows["square"]) == [1, 1, 4, 4, 9, 9]
    assert result.about["units"] == 6


def test_results_of_other_settings_do_not_mix(core, tmp_path):
    """Changed settings run anew and drop what was made with the old ones."""
    calls = []
    table = square_table(core, calls)
    core.run_table(table, "cpu", 1, tmp_path, tmp_path, say=lambda text: None)
    table.settings["cpu"]["factor"] = 2
    core.run_table(table, "cpu", 1, tmp_path, tmp_path, say=lambda text: None)
    content = json.loads((tmp_path / "squares-cpu.json").read_text("utf-8"))
    assert [entry["rows"][0]["square"] for entry in content["units"]] == [2, 8, 18]
    made = content["units"][0]["made_with"]
    assert made["versions"]["torch"] and made["cores"] and content["units"][0]["seconds"] >= 0


def test_no_time_left_runs_nothing(core, tmp_path):
    """A deadline in the past leaves the work undone and says so."""
    calls = []
    table = square_table(core, calls)
    done = core.run_table(table, "cpu", 1, tmp_path, tmp_path, deadline=0.0, say=lambda text: None)
    assert not done and not calls


def test_runs_in_pieces_end_where_one_run_ends(core, tmp_path, monkeypatch):
    """Calls of which each has time for one unit do all of them once, and say when that is so."""
    calls, clock = [], [0.0]
    table = square_table(core, calls)
    monkeypatch.setattr(core.time, "time", lambda: clock[0])

    def piece():
        clock[0] = 0.0
        quiet = {"say": lambda text: clock.__setitem__(0, clock[0] + 1)}  # the unit took a second
        return core.run_table(table, "cpu", 1, tmp_path, tmp_path, deadline=1.5, **quiet)

    assert [piece() for _ in range(3)] == [False, False, True]
    assert calls == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["b-none"], "no table 'b-none'"), (["--data", "/nowhere"], "no folder")],
)
def test_wrong_arguments_are_named(papers, tmp_path, capsys, arguments, message):
    """What cannot be run is said before anything runs."""
    if "--data" not in arguments:
        arguments = [*arguments, "--data", str(tmp_path)]
    with pytest.raises(SystemExit):
        papers.parse(arguments)
    assert message in capsys.readouterr().err


def test_spread_is_mean_and_sample_deviation(papers):
    """Two seeds 0.4 and 0.6 are 0.5 ± 0.141; one seed stands alone."""
    from paper_tables.render import spread

    rows = pd.DataFrame({"model": ["a", "a", "b"], "f1": [0.4, 0.6, 0.5]})
    assert list(spread(rows, "model", ["f1"])["f1"]) == ["0.500 ± 0.141", "0.500"]


@pytest.fixture
def heads(papers):
    from paper_tables import heads

    return heads


def test_time_split_trains_on_what_came_before(heads, traffic_data):
    """In every class no training session begins after a test session."""
    data = heads.subset(heads.load("ISCX", traffic_data), 0.05, 0)
    train, test = heads.split(data, "time", 0)
    assert not set(train) & set(test)
    start = data.sessions["start"]
    for label in np.unique(data.y):
        early, late = (rows[data.y[rows] == label] for rows in (train, test))
        assert start.iloc[early].max() <= start.iloc[late].min()


def test_subset_keeps_the_shares_of_the_classes(heads, traffic_data):
    """A tenth of the sessions is a tenth of each class."""
    whole = heads.load("ISCX", traffic_data)
    part = heads.subset(whole, 0.1, 0)
    for label in np.unique(whole.y):
        assert (part.y == label).sum() == max(10, round(0.1 * (whole.y == label).sum()))


def test_masked_tokens_do_not_depend_on_addresses(heads, traffic_data):
    """Other addresses and ports in every packet: masked tokens stay, unmasked ones change."""
    from sktraffic.ragged import list_column, ragged

    data = heads.subset(heads.load("USTC", traffic_data), 0.02, 0)
    flat, offsets = ragged(data.sessions["packet_bytes"])
    changed = [
        bytes(p[:12]) + bytes(8) + b"\x11\x22\x33\x44" + bytes(p[24:]) if len(p) > 24 else bytes(p)
        for p in flat
    ]
    import pyarrow as pa

    other = pd.DataFrame({"packet_bytes": list_column(pa.array(changed, pa.binary()), offsets)})
    tokens = lambda table, masked: heads.tokens(table, masked, 48, 2)  # noqa: E731
    np.testing.assert_array_equal(tokens(other, True), tokens(data.sessions, True))
    assert (tokens(other, False) != tokens(data.sessions, False)).any()


@pytest.mark.parametrize("name", ["b-ustc", "b-search", "x-pretraining", "x-few-labels"])
def test_tiny_scale_runs_and_is_written_up(papers, traffic_data, tmp_path, monkeypatch, name):
    """Every unit ends, a second call has nothing to do, and the page holds table and figures."""
    from paper_tables import TABLES
    from paper_tables.core import Store
    from paper_tables.render import write_page

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = [name, "--scale", "tiny", "--data", str(traffic_data)]
    arguments += ["--results", str(tmp_path), "--page", str(tmp_path / "page.md")]
    assert papers.main(arguments) == 0
    written = (tmp_path / f"{name}-tiny.json").stat().st_mtime_ns
    assert papers.main(arguments) == 0
    assert (tmp_path / f"{name}-tiny.json").stat().st_mtime_ns == written
    table = next(table for table in TABLES if table.name == name)
    store = Store(tmp_path, table, "tiny")
    assert not store.missing(table.units(table.settings["tiny"], 1))
    write_page(tmp_path / "page.md", TABLES, tmp_path, "# Results", scales=("tiny",))
    page = (tmp_path / "page.md").read_text("utf-8")
    assert f"## {table.title}" in page and "| ---" in page.replace("|---", "| ---")
    for line in page.splitlines():
        if line.startswith("!["):
            assert (tmp_path / line.split("](")[1].rstrip(")")).stat().st_size > 1000
    assert "nan" not in page.split("<details>")[0].replace("± nan", "")
