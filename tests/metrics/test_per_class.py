"""Scores a class agree with scikit-learn; intervals come from captures."""

from inspect import signature

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.stats import bootstrap
from sklearn.metrics import f1_score, make_scorer, precision_recall_fscore_support

from sktraffic.metrics import (
    before_after,
    bootstrap_interval,
    per_class_scores,
    selective_scores,
    sparse_class_f1_score,
    sparse_classes,
)
from sktraffic.metrics._bootstrap import capture_confusions, resample_sums

labels = st.integers(0, 4)
predictions = st.integers(1, 50).flatmap(
    lambda n: st.tuples(arrays(int, n, elements=labels), arrays(int, n, elements=labels))
)


@settings(max_examples=60, deadline=None)
@given(predictions)
def test_agrees_with_scikit_learn(pair):
    """Recall, precision, F1 and support of every true class."""
    y_true, y_pred = pair
    table = per_class_scores(y_true, y_pred, n_resamples=0)
    want = precision_recall_fscore_support(
        y_true, y_pred, labels=np.unique(y_true), zero_division=0
    )
    got = [table[name] for name in ("precision", "recall", "f1", "support")]
    assert_allclose(np.array(got, dtype=float), want)
    assert_allclose(table["share"].sum(), 1)


def noisy(n_captures=12, per_capture=20, seed=0):
    """Two predictions whose mistakes come by whole captures."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_captures) % 3, per_capture)
    groups = np.repeat(np.arange(n_captures), per_capture)
    bad = rng.choice(n_captures, 4, replace=False)
    p1 = np.where(np.isin(groups, bad), (y + 1) % 3, y)
    p2 = np.where(np.isin(groups, bad[:1]), (y + 1) % 3, y)
    return y, p1, p2, groups


def test_intervals_by_capture_are_wider():
    """Mistakes come by captures: drawing sessions pretends to more evidence."""
    y, p1, _, groups = noisy()
    by_capture = per_class_scores(y, p1, groups=groups, random_state=0)
    by_row = per_class_scores(y, p1, random_state=0)
    width = [t["recall_high"] - t["recall_low"] for t in (by_capture, by_row)]
    assert (width[0] > 2 * width[1])[by_capture["recall"] < 1].all()
    for table in (by_capture, by_row):
        assert (table["recall_low"] <= table["recall"]).all()
        assert (table["recall"] <= table["recall_high"]).all()


def test_interval_agrees_with_scipy():
    """Rows drawn one by one: the percentile bootstrap of SciPy."""
    rng = np.random.default_rng(0)
    y = np.zeros(300, dtype=int)
    p = (rng.random(300) < 0.3).astype(int)
    got = bootstrap_interval("accuracy", y, p, n_resamples=800, random_state=0)
    draws = {"rng" if "rng" in signature(bootstrap).parameters else "random_state": rng}
    want = bootstrap(
        ((y == p).astype(float),), np.mean, n_resamples=800, method="percentile", **draws
    ).confidence_interval
    assert got.estimate == (y == p).mean()
    assert_allclose([got.low, got.high], [want.low, want.high], atol=0.02)


def test_table_and_function_draw_the_same_law():
    """The table's vectorised draws and the general loop give the same interval."""
    y, p1, _, groups = noisy(n_captures=30)
    table = per_class_scores(y, p1, groups=groups, n_resamples=3000, random_state=0)

    def recall(a, b):
        return np.mean(b[a == 0] == 0) if (a == 0).any() else np.nan

    loop = bootstrap_interval(recall, y, p1, groups=groups, n_resamples=1500, random_state=1)
    row = table.loc[0]
    assert_allclose([row["recall_low"], row["recall_high"]], loop[1:], atol=0.06)


def test_confusions_and_draws_add_up():
    """Captures' matrices sum to the whole; each draw holds as many captures as there are."""
    y, p1, _, groups = noisy()
    per_capture = capture_confusions(y, p1, groups, np.arange(3))
    assert_allclose(per_capture.sum(axis=0).sum(), len(y))
    draws = resample_sums(per_capture, 50, np.random.RandomState(0))
    assert_allclose(draws.sum(axis=(1, 2)), len(y))  # captures of equal size


def test_before_after_by_hand():
    """Values before and after are those of each prediction alone; the change is their gap."""
    y, p1, p2, groups = noisy()
    table = before_after(y, p1, p2, groups=groups, random_state=0)
    for name in ("recall", "precision", "f1"):
        for when, p in (("before", p1), ("after", p2)):
            assert_allclose(table[name, when], per_class_scores(y, p, n_resamples=0)[name])
        assert_allclose(table[name, "change"], table[name, "after"] - table[name, "before"])
    assert (table["f1", "low"] <= table["f1", "change"]).all()


def test_the_same_prediction_changes_nothing():
    """Before = after: the paired interval is exactly zero, however hard the captures are."""
    y, p1, _, groups = noisy()
    table = before_after(y, p1, p1, groups=groups, random_state=0)
    for end in ("change", "low", "high"):
        assert (table["recall", end] == 0).all()


def test_one_capture_proves_nothing():
    """A class of a single capture has no interval."""
    y = np.repeat(["a", "b", "c"], 4)
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4])
    table = per_class_scores(y, y, groups=groups, random_state=0)
    assert table["captures"].tolist() == [2, 2, 1]
    assert np.isnan(table.loc["c", ["recall_low", "f1_high"]].astype(float)).all()
    assert table.loc["a", "recall_low"] == 1
    assert np.isnan(bootstrap_interval("accuracy", y, y, groups=np.zeros(12)).low)


def test_unknown_is_no_row():
    """Labels only a prediction has cost recall but get no row of their own."""
    table = per_class_scores(["a", "a", "b"], ["a", "unknown", "b"], n_resamples=0)
    assert table.index.tolist() == ["a", "b"]
    assert table.loc["a", "recall"] == 0.5


def test_sparse_classes():
    """Strictly below the share."""
    y = ["a"] * 90 + ["b"] * 5 + ["c"] * 5
    assert sparse_classes(y, 0.05).tolist() == []
    assert sparse_classes(y, 0.051).tolist() == ["b", "c"]
    with pytest.raises(ValueError, match="share is 0"):
        sparse_classes(y, 0)


def test_sparse_f1_is_the_mean_over_them():
    """The mean of the classes' F1, and all of them when all count as sparse."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [90, 6, 4])
    p = np.where(rng.random(100) < 0.3, 0, y)
    both = f1_score(y, p, average=None)[1:].mean()
    assert sparse_class_f1_score(y, p, share=0.1) == pytest.approx(both)
    assert sparse_class_f1_score(y, p, classes=[0, 1, 2]) == pytest.approx(
        f1_score(y, p, average="macro")
    )
    assert callable(make_scorer(sparse_class_f1_score, classes=[1]))
    with pytest.raises(ValueError, match="No class holds less"):
        sparse_class_f1_score(y, p, share=0.01)


def test_selective_scores_by_hand():
    """Coverage over known classes, accuracy over answers, rejection over the rest."""
    got = selective_scores([0, 0, 1, 1, 7, 7], [0, -1, 1, 0, -1, 1], unknown=-1, known=[0, 1])
    assert_allclose(got, [3 / 4, 2 / 3, 1 / 2])
    assert np.isnan(selective_scores([0], [-1], unknown=-1).accuracy)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [({"n_resamples": -1}, "n_resamples is -1"), ({"confidence": 95}, "confidence is 95")],
)
def test_errors(kwargs, match):
    """Impossible draws are named."""
    with pytest.raises(ValueError, match=match):
        per_class_scores([0, 1], [0, 1], **kwargs)


def test_scorers_that_want_probabilities_are_refused():
    """A score of probabilities cannot be taken from labels."""
    with pytest.raises(AttributeError, match="predict_proba"):
        bootstrap_interval("neg_log_loss", [0, 1], [0, 1])
