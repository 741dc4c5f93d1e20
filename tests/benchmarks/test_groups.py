"""Laws of the tables split by run and by trace, at their smallest scale."""

import importlib
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.neural  # the tables of both papers train networks
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def parts(monkeypatch):
    """Return a function that imports a module beside the command."""
    if not (BENCHMARKS / "papers.py").is_file():
        pytest.skip("the benchmarks are not beside the tests")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def problem(parts):
    """Sixty groups of three classes; the first feature of a session is its class."""
    from sklearn.preprocessing import FunctionTransformer

    common = parts("paper_tables.groups_common")
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 6, 60))
    labels = np.array(["bulb", "camera", "plug"])[groups % 3]
    return common.problem(None, labels, groups, np.zeros((len(labels), 1)), FunctionTransformer())


@pytest.mark.parametrize("seed", [0, 1])
def test_no_group_on_two_sides(parts, problem, seed):
    """Every fold keeps groups whole, and the folds test every session once."""
    common = parts("paper_tables.groups_common")
    tested = []
    for fold in range(5):
        train, test = common.split(problem, "grouped", 5, fold, seed)
        assert not set(problem.groups[train]) & set(problem.groups[test])
        assert len(train) + len(test) == len(problem.y)
        tested += list(test)
    assert sorted(tested) == list(range(len(problem.y)))


def test_a_group_of_two_classes_is_refused(parts):
    """What is scored as a whole needs one label."""
    common = parts("paper_tables.groups_common")
    with pytest.raises(ValueError, match="more than one class"):
        common.problem(None, ["bulb", "plug"], ["a", "a"], np.zeros((2, 1)), None)


def test_whole_group_is_the_sum_of_log_probabilities(parts):
    """One sure session outweighs, and the floor keeps a session that rules a class out finite."""
    by_group = parts("paper_tables.groups_common").by_group
    proba = np.array([[0.6, 0.4], [0.1, 0.9], [1.0, 0.0], [0.3, 0.7]])
    # group 7: 0.6 * 0.1 < 0.4 * 0.9; group 3: 1 * 0.3 > 0.001 * 0.7
    assert by_group(proba, np.array([7, 7, 3, 3])).tolist() == [0, 1]


def test_macro_f1_is_scikit_learns(parts):
    """The quick one of the bootstrap gives the same number, an absent class included."""
    from sklearn.metrics import f1_score

    macro_f1 = parts("paper_tables.groups_text").macro_f1
    rng = np.random.default_rng(0)
    true, called = rng.integers(0, 4, 200), rng.integers(0, 5, 200)
    wanted = f1_score(true, called, average="macro", labels=np.unique(true))
    assert macro_f1(true, called) == pytest.approx(wanted)


def test_verdict_follows_the_interval(parts):
    """A sentence claims a lead only where the interval leaves 0 out."""
    from sktraffic.metrics import bootstrap_interval

    text = parts("paper_tables.groups_text")
    interval = type(bootstrap_interval("accuracy", [0, 1], [0, 1], n_resamples=2))
    assert "our pipeline is ahead" in text.verdict(interval(0.02, 0.01, 0.03), "On sessions")
    assert "cannot be told apart" in text.verdict(interval(0.02, -0.01, 0.03), "On sessions")
    ahead = text.verdict(interval(-0.02, -0.03, -0.01), "On sessions")
    assert "the forest on the same features is ahead" in ahead


def test_app_lengths_and_times_survive(parts):
    """Lengths beyond 16 bits, signs and intervals of two flows come back as they went in."""
    import pyarrow as pa

    from sktraffic.ragged import ragged

    table = pa.table(
        {
            "packet_length": pa.array([[65479, -1448, 5], [-7, 9]], pa.list_(pa.int32())),
            "iat": pa.array([[0.0, 0.5, 0.25], [0.0, 2.0]], pa.list_(pa.float32())),
        }
    )
    X = parts("paper_tables.groups_apps").sessions(table)
    size, direction = (ragged(X[name])[0] for name in ("packet_size", "packet_direction"))
    assert (size * direction).tolist() == [65479, -1448, 5, -7, 9]
    assert ragged(X["packet_time"])[0].tolist() == [0.0, 0.5, 0.75, 0.0, 2.0]


@pytest.mark.parametrize("name", ["g-iot-devices", "g-android-apps"])
def test_table_runs_once_and_renders(parts, traffic_data, tmp_path, name):
    """The tiny scale runs through, a second call runs nothing, and the section says the scores."""
    [table] = [t for t in parts("paper_tables").TABLES if t.name == name]
    core, render = parts("paper_tables.core"), parts("paper_tables.render")
    heard = []
    arguments = (table, "tiny", 1, traffic_data, tmp_path)
    assert core.run_table(*arguments, say=heard.append)
    assert core.run_table(*arguments, say=heard.append)
    assert heard[-1].endswith(" 0 to do")
    result = core.Store(tmp_path, table, "tiny").result()
    truth = result.rows[(result.rows["contender"] == "truth") & (result.rows["split"] == "grouped")]
    for _, row in truth.iterrows():
        assert len(row["groups"].split()) == len(row["sessions"])
        assert len(set(row["groups"].split())) == len(row["captures"])
    text = table.section(result, render.Images(tmp_path / "images", tmp_path))
    for contender in parts("paper_tables.groups_common").CONTENDERS:
        assert text.count(f"| {contender} |") == 2
    assert [path.stat().st_size > 10_000 for path in (tmp_path / "images").iterdir()] == [True]
