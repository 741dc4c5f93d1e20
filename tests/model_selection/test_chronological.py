"""ChronologicalSplit: the training side is over before the test begins."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sktraffic.model_selection import ChronologicalSplit
from sktraffic.model_selection._chronological import session_times


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("test_size", [None, 3])
def test_agrees_with_time_series_split(gap, test_size):
    """Rows without times: scikit-learn's TimeSeriesSplit."""
    X = np.zeros((23, 1))
    want = TimeSeriesSplit(4, test_size=test_size, gap=gap).split(X)
    got = ChronologicalSplit(4, test_size=test_size, gap=gap).split(X)
    for (a, b), (c, d) in zip(want, got, strict=True):
        assert_array_equal(a, c)
        assert_array_equal(b, d)


@settings(max_examples=50, deadline=None)
@given(
    seconds=st.lists(st.floats(0, 1e4), min_size=12, max_size=40),
    longest=st.floats(0, 50),
    gap=st.floats(0, 5),
    per_group=st.booleans(),
)
def test_no_training_session_reaches_into_the_test(seconds, longest, gap, per_group):
    """Every training session ends more than the gap before the first test session starts."""
    n = len(seconds)
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "start": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s"),
            "duration": rng.uniform(0, longest, n),
            "capture": np.where(np.arange(n) % 2, "a", "b"),
        }
    )
    start, end = session_times(X)
    try:
        folds = list(ChronologicalSplit(2, gap=gap, per_group=per_group).split(X))
    except ValueError as error:
        assert "is empty" in str(error)
        return
    for train, test in folds:
        for name in ["a", "b"] if per_group else [None]:
            mine = np.ones(n, bool) if name is None else X["capture"].to_numpy() == name
            a, b = (side[mine[side]] for side in (train, test))
            assert not set(a) & set(b)
            if len(a) and len(b):
                assert end[a].max() + gap < start[b].min()


def test_overlap_by_hand():
    """A session that starts in time but ends late is left out of training."""
    day = pd.Timestamp("2026-01-01", tz="UTC")
    X = pd.DataFrame(
        {
            "start": day + pd.to_timedelta([0, 1, 2, 3], unit="s"),
            "duration": [0.5, 9.0, 0.5, 1.0],
        }
    )
    [(train, test)] = ChronologicalSplit(1, test_size=1).split(X)
    assert_array_equal(train, [0, 2])
    assert_array_equal(test, [3])
    [(train, _)] = ChronologicalSplit(1, test_size=0.25, gap=1.0).split(X)
    assert_array_equal(train, [0])


def test_every_class_of_one_capture_each(make_sessions):
    """With one capture a class, per_group leaves each class on both sides."""
    X = make_sessions(captures=["chat", "mail", "voip"], per_capture=12)
    for train, test in ChronologicalSplit(2, per_group=True).split(X):
        assert set(X["capture"].iloc[train]) == set(X["capture"].iloc[test]) == set(X["capture"])
    whole = [set(X["capture"].iloc[test]) for _, test in ChronologicalSplit(5).split(X)]
    assert min(map(len, whole)) < 3


def test_tiny_captures_are_learnt_only(make_sessions):
    """A capture with too few sessions for a block stays on the training side."""
    groups = np.array([0] * 10 + [1])
    for train, test in ChronologicalSplit(2, per_group=True).split(np.zeros(11), None, groups):
        assert 10 in train and 10 not in test


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"n_splits": 0}, "n_splits is 0"),
        ({"gap": -1}, "gap is -1"),
        ({"gap": 100}, "training side of block 1 of 5 is empty"),
        ({"test_size": 0.01}, "test side of block 1"),
    ],
)
def test_errors(kwargs, match):
    """What cannot be split says why and what helps."""
    with pytest.raises(ValueError, match=match):
        list(ChronologicalSplit(**kwargs).split(np.zeros(30)))


def test_sessions_years_apart(make_sessions):
    """Arrow times a quarter of a century apart are cut like any others."""
    X = make_sessions(captures=["only"], per_capture=6)
    years = pd.to_datetime([f"{year}-06-01" for year in (2025, 2000, 2010, 2020, 2015, 2005)])
    X["start"] = pd.Series(years.tz_localize("UTC"), index=X.index).astype(
        "timestamp[ns, UTC][pyarrow]"
    )
    train, test = next(ChronologicalSplit(1, test_size=2).split(X))
    assert sorted(test) == [0, 3] and sorted(train) == [1, 2, 4, 5]


def test_missing_start():
    """A session without a start cannot be put in order."""
    X = pd.DataFrame({"start": pd.to_datetime(["2026-01-01", None], utc=True)})
    with pytest.raises(ValueError, match="1 of 2 sessions have no start"):
        list(ChronologicalSplit(1).split(X))


@pytest.mark.parametrize("routing", [False, True])
def test_grid_search(make_sessions, routing):
    """As cv= of GridSearchCV, groups and all."""
    X = make_sessions(per_capture=12)
    cv = ChronologicalSplit(2, per_group=True)
    search = GridSearchCV(DummyClassifier(), {"strategy": ["prior", "uniform"]}, cv=cv)
    with config_context(enable_metadata_routing=routing):
        search.fit(X[["duration"]], X["capture"], groups=X["capture"])
    assert search.n_splits_ == 2
    assert "gap=0.0" in repr(cv)
