"""Laws of the experiments split by run and by trace, at their smallest scale."""

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.neural  # the tables of both papers train networks


@pytest.fixture
def sessions(bench):
    """Sixty groups of three classes."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 6, 60))
    labels = np.array(["bulb", "camera", "plug"])[groups % 3]
    return bench("paper_tables.data").Data(None, labels, groups)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_group_on_two_sides(bench, sessions, seed):
    """Every fold keeps groups whole, and the folds test every session once."""
    tested = []
    for fold in range(5):
        train, test = bench("paper_tables.data").split_groups(sessions, "grouped", 5, fold, seed)
        assert not set(sessions.groups[train]) & set(sessions.groups[test])
        assert len(train) + len(test) == len(sessions.y)
        tested += list(test)
    assert sorted(tested) == list(range(len(sessions.y)))


def test_a_group_of_two_classes_is_refused(bench):
    """What is scored as a whole needs one label."""
    data = bench("paper_tables.data")
    with pytest.raises(ValueError, match="more than one class"):
        data.whole_groups(data.Data(None, np.array(["bulb", "plug"]), np.array(["a", "a"])))


def test_whole_group_is_the_sum_of_log_probabilities(bench):
    """One sure session outweighs, and the floor keeps a session that rules a class out finite."""
    by_group = bench("paper_tables.session_measures").by_group
    proba = np.array([[0.6, 0.4], [0.1, 0.9], [1.0, 0.0], [0.3, 0.7]])
    # group 7: 0.6 * 0.1 < 0.4 * 0.9; group 3: 1 * 0.3 > 0.001 * 0.7
    assert by_group(proba, np.array([7, 7, 3, 3])).tolist() == [0, 1]


def test_models_are_made_by_name(bench):
    """Names of `make_estimator` and paths of classes; what is neither is refused."""
    make = bench("paper_tables.models").on_sessions
    settings = bench("paper_tables.experiments").IOT
    model, grid = make("sklearn.ensemble.RandomForestClassifier", "iot", settings, 7)
    assert type(model).__name__ == "RandomForestClassifier" and model.random_state == 7
    assert not grid
    model, _ = make("mlp", "iot", settings, 7)
    assert model.named_steps["clf"].random_state == 7
    with pytest.raises(ValueError, match="must be one of"):
        make("no such model", "iot", settings, 7)


def test_app_lengths_and_times_survive(bench):
    """Lengths beyond 16 bits, signs and intervals of two flows come back as they went in."""
    import pyarrow as pa

    from sktraffic.ragged import ragged

    table = pa.table(
        {
            "packet_length": pa.array([[65479, -1448, 5], [-7, 9]], pa.list_(pa.int32())),
            "iat": pa.array([[0.0, 0.5, 0.25], [0.0, 2.0]], pa.list_(pa.float32())),
        }
    )
    X = bench("paper_tables.data").android_sessions(table)
    size, direction = (ragged(X[name])[0] for name in ("packet_size", "packet_direction"))
    assert (size * direction).tolist() == [65479, -1448, 5, -7, 9]
    assert ragged(X["packet_time"])[0].tolist() == [0.0, 0.5, 0.75, 0.0, 2.0]


@pytest.mark.parametrize("name", ["g-iot-devices", "g-android-apps", "g-bundled-captures"])
def test_tiny_scale_runs_once_and_makes_tables(bench, traffic_data, tmp_path, monkeypatch, name):
    """A second call runs nothing; every model of the tables has its row, with what it costs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runner, tables = bench("paper_tables.runner"), bench("results_page.group_tables")
    [experiment] = [e for e in bench("paper_tables.experiments").EXPERIMENTS if e.name == name]
    heard = []
    for _ in range(2):
        assert runner.run(experiment, "tiny", 1, traffic_data, tmp_path, say=heard.append)
    assert heard[-1].endswith(" 0 to do")
    rows = bench("results_page.page").read(tmp_path, name, ("tiny",)).rows
    for _, truth in rows[rows["model"] == "truth"].iterrows():
        assert sum(truth["group_sizes"]) == len(truth["sessions"]) == len(truth["twins"])
        assert len(truth["group_numbers"]) == len(truth["groups"])
        same = rows[(rows["split"] == truth["split"]) & (rows["fold"] == truth["fold"])]
        assert (same["sessions"].str.len() == len(truth["sessions"])).all()
    table = tables.group_table(rows, "capture")
    assert list(table.index) == [tables.model_name(model) for model in experiment.models]
    assert (table["seconds to fit"].astype(float) >= 0).all()
    again = rows.assign(gpu="a card", fit_seconds=rows["fit_seconds"] + 1000)
    beside = tables.group_table(pd.concat([rows, again.assign(seed=1)]), "capture")
    assert beside["seconds to fit"].equals(table["seconds to fit"])
    alone = tables.group_table(again, "capture")["seconds to fit"]
    assert (alone.astype(float) >= 1000).all()
    if name == "g-iot-devices":
        assert set(tables.other_columns(rows)["unmasked"]) - {"–"}
    expected = 12 if name == "g-bundled-captures" else 3
    assert len(tables.group_classes(rows, tables.FOREST)) == expected


def test_later_days_and_other_networks_make_tables(bench, traffic_data, tmp_path):
    """A row a model; a column a block, or a pair of networks, with scores in it."""
    runner, tables = bench("paper_tables.runner"), bench("results_page.group_tables")
    for experiment in bench("paper_tables.experiments").EXPERIMENTS:
        if experiment.name not in ("x-drift", "x-other-network"):
            continue
        assert runner.run(
            experiment, "tiny", 1, traffic_data, tmp_path,
            models=[tables.NEIGHBOURS, tables.NINE_FOREST], say=lambda text: None,
        )  # fmt: skip
        rows = bench("results_page.page").read(tmp_path, experiment.name, ("tiny",)).rows
        make = tables.drift_table if experiment.name == "x-drift" else tables.transfer_table
        table = make(rows).astype(float)
        assert list(table.index) == [tables.NINE_FOREST, tables.NEIGHBOURS]
        assert table.shape == (2, 4) and table.to_numpy().min() >= 0


@pytest.mark.parametrize("name", ["x-early", "x-sequence-labels", "x-learning-curve"])
def test_sequences_and_curves_run_at_tiny_scale(bench, traffic_data, tmp_path, monkeypatch, name):
    """Every model has the scores that its table shows, and they are shares."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    [experiment] = [e for e in bench("paper_tables.experiments").EXPERIMENTS if e.name == name]
    run = bench("paper_tables.runner").run
    assert run(experiment, "tiny", 1, traffic_data, tmp_path, say=lambda text: None)
    rows = bench("results_page.page").read(tmp_path, name, ("tiny",)).rows
    assert rows["f1"].between(0, 1).all()
    settings = experiment.settings["tiny"]
    wanted = {
        "x-early": 2 * len(settings.get("packets", ())) + len(settings.get("alone", ())),
        "x-sequence-labels": 2 * len(settings.get("labels", ())) * 4,
        "x-learning-curve": len(settings.get("shares", ())),
    }
    assert len(rows) == wanted[name]
