"""GuardedADASYN: imblearn's ADASYN where it works, a valid answer where it raises."""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC
from imblearn.pipeline import make_pipeline
from imblearn.utils.estimator_checks import parametrize_with_checks
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from sktraffic.over_sampling import GuardedADASYN
from sktraffic.over_sampling._synthesis import jitter_row, majority_codes

#: All classes as large as the largest, as imblearn's.
levelled = partial(GuardedADASYN, level="majority")


def overlapping(n=300, seed=0, classes=3):
    weights = [0.7, 0.2, 0.1][:classes]
    return make_classification(
        n_samples=n, n_classes=classes, n_informative=4, weights=weights, random_state=seed
    )


def report(sampler):
    return pd.DataFrame(sampler.report_).set_index("class")


# imblearn hands pytest a generator, which pytest 9 warns of: the same checks as a list
CHECKS = parametrize_with_checks(
    [
        GuardedADASYN(random_state=0),
        levelled(random_state=0),
        levelled(random_state=0, categorical_features=None),
    ]
)


# one of them is of samplers that make all classes as large as the largest
CHECKED = [
    (estimator, check)
    for estimator, check in CHECKS.args[1]
    if estimator.level == "majority" or check.func.__name__ != "check_samplers_fit_resample"
]


@pytest.mark.parametrize(CHECKS.args[0], CHECKED, ids=CHECKS.kwargs["ids"])
def test_imblearn_checks(estimator, check):
    """The checks of imblearn, none of them expected to fail."""
    check(estimator)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("k", [1, 3, 5, NearestNeighbors(n_neighbors=4)])
def test_same_as_imblearn(make, k):
    """Imblearn's samples where imblearn does not raise, to the rounding of a double."""
    X, y = overlapping()
    got, got_y = levelled(random_state=3, n_neighbors=k).fit_resample(make(X), y)
    want, want_y = ADASYN(random_state=3, n_neighbors=k).fit_resample(make(X), y)
    assert type(got) is type(want)
    assert_array_equal(got_y, want_y)
    dense = [a.toarray() if sparse.issparse(a) else a for a in (got, want)]
    assert_allclose(*dense, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 25), min_size=2, max_size=5),
    distance=st.sampled_from([0.0, 1.0, 50.0]),
    k=st.integers(1, 8),
)
def test_never_aborts_and_agrees(seed, sizes, distance, k):
    """Any class sizes: an answer, originals first, and imblearn's where imblearn has one."""
    rng = np.random.default_rng(seed)
    X = np.vstack([rng.normal(i * distance, 1, (n, 3)) for i, n in enumerate(sizes)])
    y = np.repeat(np.arange(len(sizes)), sizes)
    sampler = levelled(random_state=1, n_neighbors=k)
    got, got_y = sampler.fit_resample(X, y)
    assert_array_equal(got[: len(X)], X)
    assert np.isfinite(got).all()
    assert_array_equal(np.bincount(got_y), sampler.report_["after"])
    try:
        want, want_y = ADASYN(random_state=1, n_neighbors=k).fit_resample(X, y)
    except (ValueError, RuntimeError):
        assert (sampler.report_["reason"] != "").any()
    else:
        assert_array_equal(got, want)
        assert_array_equal(got_y, want_y)


CASES = {
    "far": (np.array([50.0, 50.0]), 10, 40, "SMOTE", 5, "no neighbour of another class"),
    "few": (np.array([0.0, 0.0]), 4, 40, "ADASYN", 3, "allow k=3"),
    "pair": (np.array([50.0, 50.0]), 2, 40, "SMOTE", 1, "no neighbour of another class"),
    "single": (np.array([0.0, 0.0]), 1, 40, "jitter", 0, "single sample"),
    "crumbs": (np.array([0.0, 0.0]), 39, 40, "SMOTE", 5, "rounds to 0"),
}


@pytest.mark.parametrize("case", CASES)
def test_fallbacks(case):
    """Each way imblearn's ADASYN aborts ends in the promised method, and the report says why."""
    centre, n_sparse, n_big, method, k, reason = CASES[case]
    rng = np.random.default_rng(5)
    X = np.vstack([rng.normal(0, 1, (n_big, 2)), rng.normal(0, 1, (n_sparse, 2)) + centre])
    y = np.repeat(["big", "sparse"], [n_big, n_sparse])
    with pytest.raises((ValueError, RuntimeError)):
        ADASYN(random_state=0).fit_resample(X, y)
    sampler = levelled(random_state=0)
    got, got_y = sampler.fit_resample(X, y)
    row = report(sampler).loc["sparse"]
    assert (row["method"], row["k"]) == (method, k)
    assert reason in row["reason"]
    assert row["asked"] == n_big - n_sparse
    assert row["made"] == (got_y == "sparse").sum() - n_sparse >= 1
    new = got[len(X) :]
    assert (new >= X.min(axis=0)).all() and (new <= X.max(axis=0)).all()


def test_sparse_classes_are_raised_to_the_median_class():
    """Those above it stay; the report says what was left out; all of them with "majority"."""
    X = np.random.default_rng(0).normal(size=(175, 2))
    y = np.repeat(["a", "b", "c", "d", "e"], [100, 40, 20, 11, 4])
    sampler = GuardedADASYN(random_state=0)
    _, got = sampler.fit_resample(X, y)
    told = report(sampler)
    np.testing.assert_allclose(told["after"], [100, 40, 20, 20, 20], atol=3)  # ADASYN rounds
    assert told["after"].to_dict() == pd.Series(got).value_counts().to_dict()
    assert told["asked"].tolist() == [0, 60, 80, 89, 96] and told.loc["b", "made"] == 0
    assert told.loc["e", "reason"].startswith("level='median' allows 16 of 96 new samples")
    _, got = levelled(random_state=0).fit_resample(X, y)
    np.testing.assert_allclose(np.unique(got, return_counts=True)[1], 100, atol=10)


def test_numbers_that_are_named_stand():
    """A dict is not cut down to the median."""
    X, y = overlapping()
    strategy = {2: int(np.sum(y == 2)) * 20}
    sampler = GuardedADASYN(sampling_strategy=strategy, random_state=0)
    _, got = sampler.fit_resample(X, y)
    assert np.sum(got == 2) == pytest.approx(strategy[2], rel=0.05)


def test_smote_fallback_is_smote():
    """A class without foreign neighbours gets exactly imblearn's SMOTE samples."""
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0, 1, (40, 3)), rng.normal(90, 1, (12, 3))])
    y = np.repeat([0, 1], [40, 12])
    got, _ = levelled(random_state=7).fit_resample(X, y)
    want, _ = SMOTE(random_state=7).fit_resample(X, y)
    assert_array_equal(got, want)


def test_fallback_leaves_the_other_classes_alone():
    """A class that falls back does not shift the random numbers of plain ADASYN classes."""
    X, y = overlapping()
    X = np.vstack([X, np.full((3, X.shape[1]), 80.0) + np.arange(3)[:, None]])
    y = np.concatenate([y, [-1, -1, -1]])  # sorts before the others
    sampler = levelled(random_state=2)
    got, got_y = sampler.fit_resample(X, y)
    strategy = {label: int((y == 0).sum()) for label in (1, 2)}
    want, want_y = ADASYN(sampling_strategy=strategy, random_state=2).fit_resample(X, y)
    assert report(sampler).loc[-1, "method"] == "SMOTE"
    for label in (1, 2):
        assert_array_equal(got[got_y == label], want[want_y == label])


def test_integer_columns_are_rounded():
    """Counts stay whole numbers, rounded to the nearest rather than cut."""
    X, y = overlapping()
    X = pd.DataFrame(X[:, :3], columns=["a", "b", "c"]).assign(
        packets=np.random.default_rng(0).integers(1, 40, len(X))
    )
    got, _ = levelled(random_state=0).fit_resample(X, y)
    want, _ = ADASYN(random_state=0).fit_resample(X.astype(float), y)
    assert got.dtypes.tolist() == X.dtypes.tolist()
    assert_array_equal(got["packets"], np.rint(want["packets"]))
    assert_array_equal(got["a"], want["a"])


def test_integer_features_by_position():
    """A float array can be told which of its columns count."""
    X, y = overlapping()
    X[:, 2] = np.rint(X[:, 2] * 5)
    got, _ = levelled(random_state=0, integer_features=[2]).fit_resample(X, y)
    assert_array_equal(got[:, 2], np.rint(got[:, 2]))
    assert (got[:, 1] != np.rint(got[:, 1])).any()
    csr, _ = levelled(random_state=0, integer_features=[2]).fit_resample(sparse.csr_array(X), y)
    assert_allclose(csr.toarray(), got)


@pytest.mark.parametrize("method", ["ADASYN", "SMOTE", "jitter"])
def test_categories_stay_valid(method):
    """No method invents a category, mixes types or changes a column's type."""
    rng = np.random.default_rng(0)
    n_sparse = 1 if method == "jitter" else 9
    n = 60 + n_sparse
    y = np.repeat(["web", "rare"], [60, n_sparse])
    X = pd.DataFrame(
        {
            "size": rng.normal(0, 1, n) + (y == "rare") * (90 if method == "SMOTE" else 0.5),
            "protocol": pd.Categorical(rng.choice([6, 17], n), categories=[1, 6, 17]),
            "application": rng.choice(["TLS", "DNS", "QUIC"], n),
            "packets": rng.integers(1, 9, n),
        }
    )
    sampler = levelled(random_state=0)
    got, got_y = sampler.fit_resample(X, y)
    assert report(sampler).loc["rare", "method"] == method
    assert_array_equal(sampler.categorical_features_, [1, 2])
    assert got.dtypes.tolist() == X.dtypes.tolist()
    rare = got[got_y == "rare"]
    seen = X[y == "rare"]
    assert set(rare["protocol"]) <= set(seen["protocol"])
    assert set(rare["application"]) <= set(seen["application"])
    assert rare["packets"].between(X["packets"].min(), X["packets"].max()).all()


ARROW = {
    "text": pa.string(),
    "dictionary": pa.dictionary(pa.int8(), pa.string()),
    "flag": pa.bool_(),
    "size": pa.float64(),
    "packets": pa.int64(),
}


def typed_columns(n=60):
    """Text, categories, booleans and numbers of which the rare class knows a part."""
    rng = np.random.default_rng(0)
    y = np.repeat(["web", "rare"], [n - 9, 9])
    X = pd.DataFrame(
        {
            "text": rng.choice(["TLS", "DNS", "QUIC"], n),
            "dictionary": rng.choice(["a", "b"], n),
            "flag": rng.random(n) < 0.5,
            "size": rng.normal(0, 1, n) + (y == "rare"),
            "packets": rng.integers(1, 9, n),
        }
    )
    return X, y


def test_arrow_columns_of_every_kind():
    """The samples of the same table in NumPy's types, in Arrow's types again."""
    X, y = typed_columns()
    arrow = pd.DataFrame(
        {name: pd.array(X[name].tolist(), dtype=pd.ArrowDtype(t)) for name, t in ARROW.items()}
    )
    want, want_y = levelled(random_state=0).fit_resample(X.astype({"text": object}), y)
    got, got_y = levelled(random_state=0).fit_resample(arrow, y)
    assert len(got) > len(X)
    assert got.dtypes.tolist() == arrow.dtypes.tolist()
    assert_array_equal(got_y, want_y)
    for name in X.columns:
        assert got[name].tolist() == want[name].tolist()


@pytest.mark.parametrize("column", ARROW)
def test_a_gap_in_an_arrow_column_is_named(column):
    """Missing values are an error as they are in NumPy's columns, whatever the type."""
    X, y = typed_columns()
    values = [None, *X[column].tolist()[1:]]
    X[column] = pd.array(values, dtype=pd.ArrowDtype(ARROW[column]))
    with pytest.raises(ValueError, match="contains NaN"):
        levelled(random_state=0).fit_resample(X, y)


def test_majority_vote_like_smotenc():
    """With k=n-1 the vote is decided by everyone else, as in imblearn's SMOTENC."""
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(size=46), rng.integers(0, 2, 46)])
    X[40:, 0] += 70  # six rare samples, far away: SMOTE's rule
    X[40:, 1] = 1
    y = np.repeat([0, 1], [40, 6])
    got, got_y = levelled(random_state=0, categorical_features=[1]).fit_resample(X, y)
    want, want_y = SMOTENC([1], random_state=0).fit_resample(X, y)
    assert_array_equal(got_y, want_y)
    assert_array_equal(got[:, 1], want[:, 1])
    assert_allclose(np.sort(got[46:, 0]), np.sort(want[46:, 0]))


def test_majority_codes_by_hand():
    """Two of three neighbours decide; a tie goes to either."""
    codes = np.array([[0], [1], [1], [2]])
    rng = np.random.RandomState(0)
    assert_array_equal(majority_codes(codes, np.array([[0, 1, 2]]), rng), [[1]])
    tie = majority_codes(codes, np.repeat([[0, 3]], 200, axis=0), rng)
    assert set(tie.ravel()) == {0, 2}


def test_jitter_keeps_the_range_and_constant_columns():
    """Copies of a lone sample stay in each column's range; a constant column stays constant."""
    rng = np.random.RandomState(0)
    X = np.column_stack([np.arange(10.0), np.full(10, 4.0)])
    new = jitter_row(X, 9, 500, 0.5, rng)
    assert new[:, 0].max() <= 9 and new[:, 0].std() > 0
    assert (new[:, 1] == 4).all()
    thin = jitter_row(sparse.csr_array(np.diag([1.0, 2.0, 3.0])), 1, 5, 0.5, rng)
    assert_array_equal(thin.toarray()[:, [0, 2]], 0)


def test_errors_say_what_to_do():
    """A column that is not there is named; categories do not come sparse."""
    X, y = overlapping()
    with pytest.raises(ValueError, match=r"no columns \['nope'\]"):
        levelled(categorical_features=["nope"]).fit_resample(X, y)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        levelled(categorical_features=[1]).fit_resample(sparse.csr_array(X), y)


def test_as_a_pipeline_step():
    """It stands where ADASYN stands in imblearn's Pipeline."""
    X, y = overlapping()
    pipe = make_pipeline(levelled(random_state=0), LogisticRegression())
    assert pipe.fit(X, y).score(X, y) > 0.5
