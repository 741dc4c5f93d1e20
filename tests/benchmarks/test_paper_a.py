"""The tables of Qi et al. (2025): run at scale tiny on the shared data, and held to their laws."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.neural  # the tables of both papers train networks
NAMES = [
    "a2-clusterings", "a-features", "a3-batch-size", "a4-activations", "a6-adasyn", "a-sparse",
    "a-noise", "a-latency",
]  # fmt: skip


@pytest.fixture(scope="module")
def shared():
    """Folder of the shared data, or a skip (the session's fixture, for a whole module)."""
    import os

    folder = os.environ.get("SKTRAFFIC_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SKTRAFFIC_DATA names no folder of the shared real captures")
    return Path(folder)


@pytest.fixture(scope="module")
def ran(bench, shared, tmp_path_factory):
    """Rows of every experiment at scale tiny: folder and name -> rows."""
    folder = tmp_path_factory.mktemp("papers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert bench("papers").main(arguments(shared, folder)) == 0
    read = bench("results_page.page").read
    return folder, {name: read(folder, name, ("tiny",)).rows for name in NAMES}


def arguments(shared, folder):
    """Return the command line of the tiny run."""
    return ["run", *NAMES, "--scale", "tiny", "--data", str(shared), "--results", str(folder)]


def test_every_unit_has_complete_rows(ran, bench):
    """Every unit is there, with the columns that its table is made of, and none is empty."""
    folder, found = ran
    numbers = {
        "a2-clusterings": ["clusters", "noise_percent", "seconds"],
        "a-features": ["importance"],
        "a3-batch-size": ["train_loss", "train_loss_sum", "valid_loss", "accuracy"],
        "a4-activations": ["valid_loss", "accuracy"],
        "a6-adasyn": ["before"],
        "a-sparse": ["accuracy", "f1_weighted", "sparse_recall", "sparse_f1"],
        "a-noise": ["accuracy"],
        "a-latency": ["ms", "ms_p01", "ms_p99"],
    }
    runner, experiments = (
        bench("paper_tables.runner"),
        bench("paper_tables.experiments").EXPERIMENTS,
    )
    for experiment in (e for e in experiments if e.name in numbers):
        store = runner.Store(folder, experiment.name, "tiny", experiment.settings["tiny"])
        assert not store.missing(experiment.units("tiny", 1)), experiment.name
        assert all(entry["rows"] for entry in store.done.values()), experiment.name
        rows = found[experiment.name]
        assert rows[numbers[experiment.name]].notna().all().all(), experiment.name


def test_a_second_call_does_nothing(ran, bench, shared, capsys):
    """What is there is not run again, and its files stay as they are."""
    folder, _ = ran
    before = {path: path.read_bytes() for path in folder.glob("*.json")}
    assert bench("papers").main(arguments(shared, folder)) == 0
    out = capsys.readouterr().out
    assert out.count(" 0 to do") == len(NAMES)
    assert {path: path.read_bytes() for path in folder.glob("*.json")} == before


def test_tables_are_made_of_any_scale(ran, bench):
    """Rungs, searches, batch sizes and over-samplers of the tiny scale fill their tables."""
    tables, (_, found) = bench("results_page.tables"), ran
    rows = tables.in_order(found["a-sparse"])
    ladder = tables.ladder(rows.query("part == 'ladder' and split == 'honest'"))
    assert list(ladder.index[:6]) == tables.LADDER and len(ladder) == 11
    assert len(tables.searched(rows.query("part == 'search'"))) == 4
    assert tables.activations(found["a4-activations"]).shape == (5, 5)
    assert len(tables.latencies(found["a-latency"])) == 6
    first = next(part for _, part in tables.parts(tables.in_order(found["a6-adasyn"]), "data"))
    assert (tables.over_sampled(first)["SMOTE"] >= tables.over_sampled(first)["before"]).all()


def test_time_split_learns_from_the_past_only(bench, shared):
    """Within each capture no training session starts after a test session."""
    data_module = bench("paper_tables.data")
    data = data_module.load("stand-in", {"cap": 60}, shared)
    train, test = data_module.splits(data, 0)["honest"]
    assert not set(train) & set(test)
    assert len(train) + len(test) > 0.97 * len(data.y)  # a session across the cut is left out
    table = pd.DataFrame({"start": data.start, "capture": data.y})
    last = table.iloc[train].groupby("capture")["start"].max()
    first = table.iloc[test].groupby("capture")["start"].min()
    assert (last <= first.loc[last.index]).all()
    assert set(data.y[test]) == set(data.y)


def test_capture_split_and_inner_folds_keep_captures_whole(bench):
    """Neither the test part nor a fold of the search shares a capture with what is learnt from."""
    data_module = bench("paper_tables.data")
    data = data_module.load("bundled", {}, None)
    train, test = data_module.splits(data, 0)["honest"]
    assert not set(data.groups[train]) & set(data.groups[test])
    naive = data_module.splits(data, 0)["naive"]
    assert set(data.groups[naive[0]]) & set(data.groups[naive[1]])
    for inner, held in data_module.honest_folds(data, train, 1, folds=2):
        assert set(inner) | set(held) <= set(train)
        assert not set(data.groups[inner]) & set(data.groups[held])


def test_identifiers_are_columns_of_their_own(bench, shared):
    """Masked is what the paper names; unmasked adds ports, protocol and both addresses."""
    data = bench("paper_tables.data").load("stand-in", {"cap": 20}, shared)
    masked, unmasked = data.columns("masked"), data.columns("unmasked")
    added = list(unmasked.columns.difference(masked.columns))
    assert len(added) == 11 and {"src_port", "dst_port", "protocol", "src_ip_0"} <= set(added)
    assert not any("ip" in name.split("_") or "port" in name for name in masked)
    assert unmasked["dst_port"].max() > 1023 and unmasked["src_ip_0"].between(0, 255).all()


def test_train_loss_is_a_sum_of_batch_means(ran):
    """The column that the paper prints is the mean times the number of batches."""
    rows = ran[1]["a3-batch-size"]
    np.testing.assert_allclose(rows["train_loss_sum"], rows["train_loss"] * rows["batches"])
    expected = [math.ceil(n / b) for n, b in zip(rows["rows"], rows["batch_size"], strict=True)]
    assert rows["batches"].tolist() == expected
    assert (rows["epochs_run"] == rows["epochs"]).all()


def test_training_rows_are_those_of_the_classifier(bench):
    """The count of rows agrees with what an over-sampler is given after the cut."""
    from imblearn import FunctionSampler

    from sktraffic.neural_network import MLPClassifier

    seen = []

    def count(X, y):
        seen.append(len(y))
        return X, y

    y = np.repeat([0, 1, 2], [37, 11, 50])
    X = np.random.default_rng(0).normal(size=(98, 3))
    model = MLPClassifier(
        (4,), early_stopping=True, validation_fraction=0.2, max_epochs=1, random_state=0
    )
    model.set_params(resampler=FunctionSampler(func=count)).fit(X, y)
    assert bench("paper_tables.measures").training_rows(y, 0.2) == seen[0]


def test_over_sampling_only_adds(ran):
    """No class loses sessions, and the guarded sampler answers for every class."""
    rows = ran[1]["a6-adasyn"]
    done = rows[rows["after"].notna()]
    assert (done["after"] >= done["before"]).all()
    assert rows.loc[rows["method"] == "GuardedADASYN", "after"].notna().all()


def test_leaky_split_tests_on_synthetic_rows(bench, shared):
    """After ADASYN the test part holds made-up sessions of the sparse class; otherwise none."""
    data = bench("paper_tables.data").load("stand-in", {"cap": 200}, shared)
    unit = {"columns": "masked", "seed": 0}
    measures = bench("paper_tables.measures")
    for split, leaks in (("leaky", True), ("naive", False), ("honest", False)):
        X, X_test, y, y_test, real = measures.prepared(data, unit | {"split": split})
        assert len(X) == len(y) and len(X_test) == len(y_test) == len(real)
        made = (y_test == data.sparse) & ~real
        assert made.any() == leaks


def test_the_earlier_script_still_works(bench, shared):
    """Its table 6 has every class and a count for each over-sampler."""
    script = bench("sparse_traffic")
    tables = shared / "iscx_vpn2016" / "cicflow_per_capture"
    table = script.table_6(script.load_stand_in(tables, 80))
    assert len(table) == 12 and (table["ADASYN"] >= table["before"]).all()
    assert list(script.rungs(0, False))[:2] == ["MLP", "+ class weights"]
