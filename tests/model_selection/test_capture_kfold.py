"""CaptureKFold: whole captures, every class on every training side, usable as cv=."""

import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version

from sktraffic.model_selection import CaptureKFold
from sktraffic.model_selection._capture_kfold import fill_folds, spread_classes


def draw(sizes, labels):
    y = np.repeat(labels, sizes)
    return y, np.repeat(np.arange(len(sizes)), sizes)


@settings(max_examples=60, deadline=None)
@given(
    captures=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)), min_size=4, max_size=24),
    n_splits=st.integers(2, 24),
    shuffle=st.booleans(),
)
def test_whole_captures_and_no_class_missing(captures, n_splits, shuffle):
    """Folds part the rows, keep captures whole; no test side is empty, no training side lacks."""
    labels, sizes = (np.array(column) for column in zip(*captures, strict=True))
    y, groups = draw(sizes, labels)
    counts = np.unique(labels, return_counts=True)[1]
    assume(counts.min() >= 2 and len(labels) >= n_splits)
    assume(np.unique(y, return_counts=True)[1].max() >= n_splits)
    cv = CaptureKFold(n_splits, shuffle=shuffle, random_state=0 if shuffle else None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fewer captures than n_splits")
        folds = list(cv.split(np.zeros(len(y)), y, groups))
    assert len(folds) == n_splits
    assert min(len(test) for _, test in folds) > 0
    assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(y)))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert set(y[train]) == set(y)


@pytest.mark.parametrize("params", [{}, {"shuffle": True, "random_state": 3}])
def test_folds_of_stratified_group_kfold_where_those_are_good(params):
    """Captures of one class each: scikit-learn's balance, unchanged, shuffled or not."""
    if params and parse_version(sklearn.__version__) < parse_version("1.8"):
        pytest.skip("scikit-learn before 1.8 shuffles class counts away from their groups")
    rng = np.random.default_rng(0)
    y, groups = draw(rng.integers(1, 90, 30), np.arange(30) % 5)
    want = [test for _, test in StratifiedGroupKFold(5, **params).split(y, y, groups)]
    got = [test for _, test in CaptureKFold(5, **params).split(y, y, groups)]
    for a, b in zip(want, got, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("shuffle", [False, True])
def test_as_many_folds_as_captures_is_leave_one_capture_out(shuffle):
    """Sizes on which scikit-learn leaves a fold empty and puts two captures into another."""
    for seed in (11, 683, 1476):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 60, 16)
        y, groups = draw(sizes, np.arange(16) % 4)
        cv = CaptureKFold(16, shuffle=shuffle, random_state=seed if shuffle else None)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*fewer captures than n_splits")
            tested = [np.unique(groups[test]).tolist() for _, test in cv.split(y, y, groups)]
        assert sorted(tested) == [[capture] for capture in range(16)]


def test_empty_folds_are_filled_by_hand():
    """Fold 1 holds 5 + 4 + 8 sessions; 8 is nearest to half of them, then 5 to half of 9."""
    sizes, fold_of = np.array([9, 5, 4, 8]), np.array([0, 1, 1, 1])
    assert_array_equal(fill_folds(sizes, fold_of, 3), [0, 1, 1, 2])
    assert_array_equal(fill_folds(sizes, fold_of, 4), [0, 3, 1, 2])
    assert_array_equal(fill_folds(sizes, fold_of, 2), fold_of)


def test_balance():
    """Equal captures give equal folds: one capture of each class in each."""
    y, groups = draw(np.full(15, 7), np.arange(15) % 3)
    for _, test in CaptureKFold(5, shuffle=True, random_state=1).split(y, y, groups):
        assert_array_equal(np.bincount(y[test]), [7, 7, 7])


def test_a_mixed_capture_moves_when_a_class_would_be_missing():
    """Both captures of class 1 in fold 1: the smaller of them moves to the emptier fold."""
    counts = np.array([[9, 0], [8, 0], [7, 1], [6, 2]])
    assert_array_equal(spread_classes(counts, np.array([0, 0, 1, 1])), [0, 0, 0, 1])


def test_single_capture_is_an_error_with_remedies():
    """A class of one capture is named, and the message says what can be done."""
    y, groups = draw([3, 3, 3, 3, 3], ["chat", "chat", "mail", "mail", "lonely"])
    with pytest.raises(ValueError, match=r"class\(es\) lonely .*single_capture='train'.*Chrono"):
        list(CaptureKFold(2).split(y, y, groups))


def test_single_capture_on_the_training_side():
    """With single_capture="train" the lonely capture is learnt from in every fold, never tested."""
    y, groups = draw([3, 3, 3, 3, 4], ["chat", "chat", "mail", "mail", "lonely"])
    folds = list(CaptureKFold(2, single_capture="train").split(y, y, groups))
    for train, test in folds:
        assert (y[train] == "lonely").sum() == 4
        assert "lonely" not in y[test]
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(12))


def test_fewer_captures_than_folds_is_said():
    """A class with two captures cannot be in five test sides: a warning names it."""
    y, groups = draw(np.full(7, 5), [0, 0, 0, 0, 0, 1, 1])
    with pytest.warns(UserWarning, match=r"1 class\(es\), 1 among them"):
        list(CaptureKFold(5).split(y, y, groups))


@pytest.mark.parametrize(
    ("kwargs", "y", "groups", "match"),
    [
        ({"n_splits": 3}, [0, 1, 0, 1], [0, 0, 1, 1], "2 captures cannot make n_splits=3"),
        ({"n_splits": 2}, [0, 0, 1, 1], None, "There are no groups"),
        ({"n_splits": 2, "single_capture": "drop"}, [0, 0, 1, 1], [0, 1, 2, 3], "single_capture"),
        ({"n_splits": 2}, None, [0, 1, 2, 3], "pass y"),
    ],
)
def test_errors(kwargs, y, groups, match):
    """What cannot be split says why and what helps."""
    with pytest.raises(ValueError, match=match):
        list(CaptureKFold(**kwargs).split(np.zeros(4), y, groups))


def sizes_of(X):
    return X[["duration", "total_bytes"]].to_numpy(dtype=float)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("given_groups", [False, True])
def test_grid_search(make_sessions, routing, given_groups):
    """As cv= of GridSearchCV: groups passed, or the session table's captures, same scores."""
    X = make_sessions(captures=[f"{label}{i}" for label in "pq" for i in range(3)])
    y = X["capture"].str[0].to_numpy()
    pipe = make_pipeline(FunctionTransformer(sizes_of), LogisticRegression())
    search = GridSearchCV(pipe, {"logisticregression__C": [0.1, 1.0]}, cv=CaptureKFold(3))
    fit_params = {"groups": X["capture"].to_numpy()} if given_groups else {}
    with config_context(enable_metadata_routing=routing):
        search.fit(X, y, **fit_params)
    plain = cross_val_score(
        clone(pipe), X, y, cv=list(StratifiedGroupKFold(3).split(X, y, X["capture"]))
    )
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(plain.mean())


@pytest.mark.parametrize("n_splits", [2, 6])
def test_stacking_on_whole_captures(make_sessions, n_splits):
    """StackingClassifier, which sets `random_state` by itself: members stacked out of capture."""
    X = make_sessions(captures=[f"{label}{i}" for label in "pq" for i in range(3)])
    y = X["capture"].str[0].to_numpy()
    pipe = make_pipeline(FunctionTransformer(sizes_of), StandardScaler(), LogisticRegression())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fewer captures than n_splits")
        cv = CaptureKFold(n_splits)
        stack = StackingClassifier([("a", pipe), ("b", clone(pipe))], cv=cv).fit(X, y)
        want = cross_val_predict(
            pipe, X, y, cv=CaptureKFold(n_splits), groups=X["capture"], method="predict_proba"
        )
    final = LogisticRegression().fit(np.column_stack([want[:, 1], want[:, 1]]), y)
    np.testing.assert_allclose(stack.final_estimator_.coef_, final.coef_, rtol=1e-6)


def test_bagging_scores_out_of_bag_on_whole_captures():
    """A search over captures inside BaggingClassifier(oob_score=True) gets the groups routed."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 15)
    y = np.repeat(np.tile(["chat", "mail"], 6), 15)
    X = rng.normal(size=(180, 2)) + (y == "mail")[:, np.newaxis] * 3
    with config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=False)
        search = GridSearchCV(inner, {"C": [0.1, 1.0]}, cv=CaptureKFold(3))
        bag = BaggingClassifier(search, n_estimators=30, oob_score=True, random_state=0)
        bag.fit(X, y, groups=groups)
    assert 0.95 < bag.oob_score_ <= 1.0


def test_repr_and_number_of_splits():
    """It prints and counts like scikit-learn's splitters."""
    assert "n_splits=3" in repr(CaptureKFold(3))
    assert CaptureKFold(3).get_n_splits() == 3
    with pytest.raises(ValueError, match="n_splits"):
        CaptureKFold(1)
