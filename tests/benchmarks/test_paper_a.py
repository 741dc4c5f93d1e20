"""The tables of Qi et al. (2025): run at scale tiny on the shared data, and held to their laws."""

import importlib
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.neural  # the tables of both papers train networks
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = [
    "a2-clusterings", "a-features", "a3-batch-size", "a4-activations", "a6-adasyn", "a-sparse",
    "a-noise", "a-latency",
]  # fmt: skip


@pytest.fixture(scope="module")
def bench():
    """Import a module that lies in the folder of the benchmarks."""
    if not (BENCHMARKS / "papers.py").is_file():
        pytest.skip("the benchmarks are not beside the tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module


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
    """Results of every table at scale tiny: name -> store."""
    folder = tmp_path_factory.mktemp("papers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert bench("papers").main(arguments(shared, folder)) == 0
    core, tables = bench("paper_tables.core"), bench("paper_tables").TABLES
    stores = {t.name: core.Store(folder, t, "tiny") for t in tables if t.name in NAMES}
    return folder, stores


def arguments(shared, folder):
    """Return the command line of the tiny run."""
    page = ["--page", str(folder / "results.md")]
    return [*NAMES, "--scale", "tiny", "--data", str(shared), "--results", str(folder), *page]


def test_every_unit_has_complete_rows(ran):
    """Every unit is there, with the columns that its section writes, and none is empty."""
    _, stores = ran
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
    assert set(stores) == set(NAMES)
    for name, store in stores.items():
        units = store.table.units(store.settings, 1)
        assert not store.missing(units), name
        assert all(entry["rows"] for entry in store.done.values()), name
        assert store.result().rows[numbers[name]].notna().all().all(), name


def test_a_second_call_does_nothing(ran, bench, shared, capsys):
    """What is there is not run again, and its files stay as they are."""
    folder, stores = ran
    before = {name: store.path.read_bytes() for name, store in stores.items()}
    assert bench("papers").main(arguments(shared, folder)) == 0
    out = capsys.readouterr().out
    assert out.count(" 0 to do") == len(NAMES)
    assert {name: store.path.read_bytes() for name, store in stores.items()} == before


def test_sections_are_sound_markdown(ran, bench, tmp_path):
    """Tables have as many cells in every line, figures exist, and no number is 'nan'."""
    images = bench("paper_tables.render").Images(tmp_path / "images", tmp_path)
    for name, store in ran[1].items():
        text = store.table.section(store.result(), images)
        assert not re.search(r"\bnan\b|\bNone of\b.*\{|<NA>", text), name
        for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.M):
            assert len({line.count("|") for line in block.splitlines()}) == 1, (name, block)
        for path in re.findall(r"!\[.*?\]\((.*?)\)", text):
            assert (tmp_path / path).stat().st_size > 5000, path


def test_claims_are_rows_of_the_overview(ran):
    """Every table says what the paper claims, what is here, and whether it holds."""
    for name, store in ran[1].items():
        claims = store.table.claims(store.result())
        for claim, paper, here, holds in claims:
            assert all(isinstance(text, str) and text for text in (claim, paper, here)), name
            assert isinstance(holds, (bool, str)) and "nan" not in here, (name, here)
        assert claims or name == "a-features"  # tiny sets may lack the classes it speaks of


def test_time_split_learns_from_the_past_only(bench, shared):
    """Within each capture no training session starts after a test session."""
    data_module = bench("paper_tables.a_data")
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
    data_module = bench("paper_tables.a_data")
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
    data = bench("paper_tables.a_data").load("stand-in", {"cap": 20}, shared)
    masked, unmasked = data.columns("masked"), data.columns("unmasked")
    added = list(unmasked.columns.difference(masked.columns))
    assert len(added) == 11 and {"src_port", "dst_port", "protocol", "src_ip_0"} <= set(added)
    assert not any("ip" in name.split("_") or "port" in name for name in masked)
    assert unmasked["dst_port"].max() > 1023 and unmasked["src_ip_0"].between(0, 255).all()


def test_train_loss_is_a_sum_of_batch_means(ran):
    """The column that the paper prints is the mean times the number of batches."""
    rows = ran[1]["a3-batch-size"].result().rows
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
    model = MLPClassifier((4,), validation_fraction=0.2, max_epochs=1, random_state=0)
    model.set_params(resampler=FunctionSampler(func=count)).fit(X, y)
    assert bench("paper_tables.a_mlp").training_rows(y, 0.2) == seen[0]


def test_the_papers_sums_imply_one_number_of_rows(bench):
    """Every row of table 3 gives the same training set within a tenth; the first by hand."""
    implied = bench("paper_tables.a_mlp").implied_rows()
    assert implied[0] == pytest.approx(128 * 61.4051 / 0.147)
    assert max(implied) / min(implied) < 1.15


def test_over_sampling_only_adds(ran):
    """No class loses sessions, and the guarded sampler answers for every class."""
    rows = ran[1]["a6-adasyn"].result().rows
    done = rows[rows["after"].notna()]
    assert (done["after"] >= done["before"]).all()
    assert rows.loc[rows["method"] == "GuardedADASYN", "after"].notna().all()


def test_leaky_split_tests_on_synthetic_rows(bench, shared):
    """After ADASYN the test part holds made-up sessions of the sparse class; otherwise none."""
    data = bench("paper_tables.a_data").load("stand-in", {"cap": 200}, shared)
    unit = {"columns": "masked", "seed": 0}
    sparse = bench("paper_tables.a_sparse")
    for split, leaks in (("leaky", True), ("naive", False), ("honest", False)):
        X, X_test, y, y_test, real = sparse.parts(data, unit | {"split": split})
        assert len(X) == len(y) and len(X_test) == len(y_test) == len(real)
        made = (y_test == data.sparse) & ~real
        assert made.any() == leaks


def test_verdict_on_noise_follows_the_figures(bench):
    """The sentence says that the claim holds where the figures do, and that it does not."""
    words = bench("paper_tables.a_claims").words_noise
    rows = pd.DataFrame(
        [
            {"data": "stand-in", "columns": "masked", "split": "naive", "model": m, "noise": s,
             "accuracy": a}
            for m, curve in {"MLP": (0.99, 0.95), "forest": (0.97, 0.5)}.items()
            for s, a in zip((0.0, 0.3), curve, strict=True)
        ]
    )  # fmt: skip
    assert "holds for 1 of 2 fits: MLP" in words(rows)
    rows["accuracy"] -= 0.06
    assert "holds for none of our 2 fits; 2 of them have more than 0.9" in words(rows)
    rows["accuracy"] -= 0.06
    assert "none of them has more than 0.9" in words(rows)


def test_the_earlier_script_still_works(bench, shared):
    """Its table 6 has every class and a count for each over-sampler."""
    script = bench("sparse_traffic")
    tables = shared / "iscx_vpn2016" / "cicflow_per_capture"
    table = script.table_6(script.load_stand_in(tables, 80))
    assert len(table) == 12 and (table["ADASYN"] >= table["before"]).all()
    assert list(script.rungs(0, False))[:2] == ["MLP", "+ class weights"]
