"""docs/results.md is what its template says of the result files, and these are the experiments'."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "results.md"


@pytest.fixture(scope="module")
def rendered(bench):
    """Return the page, rendered from the results that are kept."""
    return bench("results_page.page").render(RESULTS)


def test_the_page_is_its_rendering(rendered):
    """Words are changed in the template, numbers by running: `papers.py render` writes the page."""
    assert PAGE.read_text("utf-8") == rendered


def test_the_page_is_sound_markdown(rendered):
    """Tables have as many cells in every line, figures are there, and no number is 'nan'."""
    assert not re.search(r"\bnan\b|<NA>|Undefined", rendered)
    blocks = re.findall(r"(?:^\|.*\n?)+", rendered, flags=re.M)
    assert len(blocks) > 50
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1, block
    shown = re.findall(r"!\[.*?\]\((.*?)\)", rendered)
    assert {PAGE.parent / path for path in shown} == set((PAGE.parent / "images/results").iterdir())
    lines = [line for line in rendered.splitlines() if line[:1] not in ("|", "!")]
    assert max(map(len, lines)) < 125


@pytest.mark.neural
def test_the_results_are_the_experiments(bench):
    """What the page stands on can be run again: every stored unit is declared, none is missing."""
    runner, experiments = bench("paper_tables.runner"), bench("paper_tables.experiments")
    for experiment in experiments.EXPERIMENTS:
        store = runner.Store(RESULTS, experiment.name, "cpu", experiment.settings["cpu"])
        stored = [entry["unit"] for entry in store.done.values()]
        assert {entry["settings"] == store.settings for entry in store.done.values()} == {True}
        seeds = 1 + max(unit["seed"] for unit in stored)
        declared = experiment.units("cpu", seeds)
        assert not store.missing(declared), experiment.name
        models = {unit["model"] for unit in stored if "model" in unit}
        everything = experiment.units("cpu", seeds, sorted(models, key=str)) if models else declared
        assert all(unit in declared or unit in everything for unit in stored), experiment.name


def test_a_sentence_that_is_no_longer_true_stops_the_rendering(bench, tmp_path):
    """The check beside it names the sentence; a result that is not there names its command."""
    page = bench("results_page.page")
    template = tmp_path / "page.jinja"
    template.write_text("{{ check(1 > 2, 'one is more') }}One is more.", "utf-8")
    with pytest.raises(ValueError, match="one is more"):
        page.render(RESULTS, template)
    template.write_text("{{ result('a-none').rows|length }}", "utf-8")
    with pytest.raises(FileNotFoundError, match="run a-none"):
        page.render(RESULTS, template)
    template.write_text("{{ 0.12345|f }} {{ 0.5|signed(1) }} {{ 26235|count }}\n", "utf-8")
    assert page.render(RESULTS, template) == "0.123 +0.5 26,235\n"


def test_spread_is_mean_and_sample_deviation(bench):
    """Two seeds 0.4 and 0.6 are 0.5 ± 0.141; one seed stands alone."""
    spread = bench("results_page.tables").spread
    rows = pd.DataFrame({"model": ["a", "a", "b"], "f1": [0.4, 0.6, 0.5]})
    assert spread(rows, "model", {"f1": "F1"})["F1"].tolist() == ["0.500 ± 0.141", "0.500"]
    same = pd.DataFrame({"model": ["a", "a"], "f1": [0.4, 0.4]})
    assert spread(same, "model", {"f1": ("F1", 1)}, zero="")["F1"].tolist() == ["0.4"]


def test_the_papers_sums_imply_one_number_of_rows(bench):
    """Every row of table 3 gives the same training set within a tenth; the first by hand."""
    implied = bench("results_page.tables").implied_rows()
    assert implied[0] == pytest.approx(128 * 61.4051 / 0.147)
    assert implied.max() / implied.min() < 1.15


@pytest.fixture
def predicted():
    """Rows of two models on thirty groups of three classes, the second right more often."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(2, 9, 30)
    truth = np.repeat(np.arange(30) % 3, sizes)
    calls = {
        name: np.where(rng.random(len(truth)) < share, truth, rng.integers(0, 3, len(truth)))
        for name, share in (("worse", 0.3), ("better", 0.6))
    }
    place = {"split": "grouped", "view": "masked", "fold": 0, "seed": 0}
    letters = lambda codes: "".join("abc"[code] for code in codes)  # noqa: E731
    rows = [
        {"model": "truth", "sessions": letters(truth), "groups": letters(np.arange(30) % 3),
         "group_numbers": list(range(30)), "group_sizes": sizes.tolist(),
         "twins": "01" * (len(truth) // 2) + "1" * (len(truth) % 2), "names": ["p", "q", "r"]},
        *({"model": name, "sessions": letters(codes)} for name, codes in calls.items()),
    ]  # fmt: skip
    return pd.DataFrame([place | row for row in rows]), truth, calls, np.repeat(range(30), sizes)


def test_macro_f1_is_scikit_learns(bench, predicted):
    """The quick one of the draws gives the same number, an absent class included."""
    from sklearn.metrics import f1_score

    tables, (_, truth, calls, groups) = bench("results_page.group_tables"), predicted
    table = pd.DataFrame({"truth": truth, "group": groups, **calls})
    table = table[table["truth"] < 2]  # the third class is called, but never there
    sums = tables.counts(table, "worse", 3).sum(axis=0)
    wanted = f1_score(table["truth"], table["worse"], labels=[0, 1], average="macro")
    assert tables.macro_f1(sums) == pytest.approx(wanted)


def test_paired_interval_agrees_with_the_packages(bench, predicted):
    """The same estimate, and ends that differ by the draws only."""
    from sklearn.metrics import f1_score

    from sktraffic.metrics import bootstrap_interval

    rows, truth, calls, groups = predicted

    def gap(true, at):
        f1 = [f1_score(true, calls[name][at], average="macro") for name in ("better", "worse")]
        return f1[0] - f1[1]

    wanted = bootstrap_interval(gap, truth, np.arange(len(truth)), groups=groups, random_state=0)
    found = bench("results_page.group_tables").paired(rows, "better", "worse")
    assert found["estimate"] == pytest.approx(wanted.estimate)
    assert found[["low", "high"]].tolist() == pytest.approx(wanted[1:], abs=0.02)


def test_scores_by_twin_side(bench, predicted):
    """Every session is on one of the two sides; accuracies add up to that of all."""
    tables, (rows, truth, calls, _) = bench("results_page.group_tables"), predicted
    whole = tables.group_scores(rows, "grouped", "masked").set_index("model")["accuracy"]
    assert whole["better"] == pytest.approx(np.mean(truth == calls["better"]))
    sides = [
        tables.group_scores(rows, "grouped", "masked", only=side).set_index("model")["accuracy"]
        for side in ("with", "without")
    ]
    share = tables.twin_share(rows)
    np.testing.assert_allclose(share * sides[0] + (1 - share) * sides[1], whole)


def test_errors_between_classes_that_are_alike(bench, predicted):
    """Counted by hand; with all classes as one, every error is between them and F1 is 1."""
    tables, (rows, truth, calls, _) = bench("results_page.group_tables"), predicted
    wrong = [(t, c) for t, c in zip(truth, calls["worse"], strict=True) if t != c]
    between = sum(set(pair) == {0, 1} for pair in wrong) / len(wrong)
    assert tables.errors_between(rows, "worse", {"p": "q"})[0] == pytest.approx(between)
    assert tables.errors_between(rows, "worse", {"p": "q", "r": "q"}) == (1.0, 1.0)


def test_every_machine_is_named(bench):
    """Three runs on two machines: both are told, the one of most runs first, each by its latest."""
    page, tables = bench("results_page.page"), bench("results_page.tables")
    made = {"processor": "A", "cores": 2, "gpu": None, "python": "3.11", "versions": {"numpy": "1"}}
    other = made | {"processor": "B", "gpu": "card"}
    machines = page.machines([other, made, made | {"python": "3.12"}])
    about = {"units": 3, "minutes": 1.0, "last": "2026-01-01", "made_with": machines}
    told = tables.details(page.Result(None, {}, "cpu", about))
    first, second = (line for line in told.splitlines() if "runs:" in line)
    assert first == "2 runs: A, 2 cores, no GPU; Python 3.12, numpy 1."
    assert second == "1 runs: B, 2 cores, card; Python 3.11, numpy 1."
    about["made_with"] = machines[:1]
    assert "runs:" not in tables.details(page.Result(None, {}, "cpu", about))


def test_tables_of_beginnings_and_of_few_labels(bench):
    """Models of one length share a row, which has a gap where there is none of them."""
    tables = bench("results_page.group_tables")
    rows = [("cuts", 3, 0.5), ("cuts", 5, 0.75), (3, 3, 0.625)]
    table = tables.early_table(pd.DataFrame(rows, columns=["model", "packets", "f1"]), ["cuts"])
    assert table.to_numpy().tolist() == [["0.500", "0.750"], ["0.625", "–"]]
    rows = [("5", "near", 0.25), ("5", "far", 0.5), ("all", "near", 0.75), ("all", "far", 1.0)]
    rows = pd.DataFrame(rows, columns=["labels", "start", "f1"])
    table = tables.labels_table(rows, ["far", "near"])
    assert table.loc["far"].tolist() == ["0.500", "1.000"] and list(table) == ["5", "all"]
    rows = pd.DataFrame({"share": [0.5, 1], "f1": [0.25, 0.5], "f1_alike": [0.5, 0.75]})
    table = tables.curve_table(rows)
    assert list(table) == ["50% of the runs", "100% of the runs"]
    assert table.iloc[0].tolist() == ["0.250", "0.500"]
