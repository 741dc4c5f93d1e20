"""RejectingClassifier: the promised coverage on held-out captures, "unknown" below it."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from sktraffic.metrics import selective_scores
from sktraffic.model_selection import CaptureKFold, RejectingClassifier


@parametrize_with_checks([RejectingClassifier(LogisticRegression(), coverage=1.0)])
def test_scikit_learn_checks(estimator, check):
    """The checks of scikit-learn, none expected to fail; with coverage 1 nothing is declined."""
    check(estimator)


def declining_checks():
    """All checks but the one that wants predict to be the most probable class everywhere."""
    decliner = RejectingClassifier(LogisticRegression(), coverage=0.95)
    for estimator, check in estimator_checks_generator(decliner):
        if check.func.__name__ != "check_classifiers_train":
            yield pytest.param(estimator, check, id=check.func.__name__)


@pytest.mark.parametrize(("estimator", "check"), list(declining_checks()))
def test_scikit_learn_checks_while_declining(estimator, check):
    """With coverage 0.95 everything else of scikit-learn's contract holds."""
    check(estimator)


def captures(n_captures=30, per_capture=20, seed=0, shift=0.7):
    """Three overlapping classes whose captures each lie a little off."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_captures) % 3, per_capture)
    groups = np.repeat(np.arange(n_captures), per_capture)
    centre = np.array([[0, 0], [4, 0], [0, 4]])[y]
    X = centre + shift * rng.normal(size=(n_captures, 2))[groups] + rng.normal(size=(len(y), 2))
    return X, y, groups


@pytest.mark.parametrize("coverage", [0.5, 0.95])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        RandomForestClassifier(10, random_state=0),
        LinearSVC(),
        Perceptron(),
        GaussianNB(),
        NearestCentroid(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_coverage_on_held_out_captures(estimator, coverage):
    """Any classifier: at least the promised share of held-out sessions, hardly more."""
    X, y, groups = captures()
    model = RejectingClassifier(estimator, coverage=coverage, cv=CaptureKFold(5))
    model.fit(X, y, groups=groups)
    held_out = model.held_out_confidence_
    assert len(held_out) == len(X)
    answered = np.mean(held_out >= model.threshold_)
    assert coverage <= answered
    assert np.mean(held_out > model.threshold_) <= coverage


def test_coverage_on_new_captures():
    """Captures that were never seen are answered about as often as promised, and more rightly."""
    X, y, groups = captures(n_captures=90)
    old, new = groups < 60, groups >= 60
    model = RejectingClassifier(LogisticRegression(), coverage=0.8)
    model.fit(X[old], y[old], groups=groups[old])
    got = selective_scores(y[new], model.predict(X[new]), unknown=-1)
    assert got.coverage == pytest.approx(0.8, abs=0.08)
    assert got.accuracy > model.estimator_.score(X[new], y[new]) + 0.02


def test_held_out_by_capture_asks_for_more_confidence():
    """Sessions held out one by one look easier than captures, so their threshold is too low."""
    X, y, groups = captures(n_captures=12, per_capture=40, shift=1.5)
    forest = RandomForestClassifier(20, random_state=0, min_samples_leaf=3)
    honest = RejectingClassifier(forest, coverage=0.9).fit(X, y, groups=groups)
    naive = RejectingClassifier(forest, coverage=0.9).fit(X, y)
    assert honest.threshold_ != naive.threshold_
    answered = [np.mean(honest.held_out_confidence_ >= m.threshold_) for m in (honest, naive)]
    assert answered[0] >= 0.9 > answered[1]


def test_unknown_traffic_is_declined():
    """A class between the learnt ones is declined far more often than those."""
    X, y = make_blobs([300, 300, 300], centers=[[-4, 0], [4, 0], [0, 0]], random_state=0)
    y = np.array(["web", "mail", "novel"])[y]
    known = y != "novel"
    model = RejectingClassifier(LogisticRegression(), coverage=0.95).fit(X[known], y[known])
    got = selective_scores(y, model.predict(X), known=["web", "mail"])
    assert got.coverage >= 0.95
    assert got.rejected_unknown > 0.5
    assert model.classes_.tolist() == ["mail", "web"]


def test_frozen_estimator_is_only_calibrated():
    """A fitted model keeps its weights; all given sessions are held out."""
    X, y, _ = captures()
    fitted = LogisticRegression().fit(X[:300], y[:300])
    model = RejectingClassifier(FrozenEstimator(fitted), coverage=0.7).fit(X[300:], y[300:])
    want = fitted.predict_proba(X[300:]).max(axis=1)
    assert_allclose(model.held_out_confidence_, np.sort(want))
    assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))
    assert_array_equal(model.predict(X[300:]) == -1, want < model.threshold_)


def duration(X):
    return X[["duration"]].to_numpy()


def test_session_table_brings_its_captures(make_sessions):
    """Without groups=, the captures of a session table are held out whole."""
    X = make_sessions(captures=["p0", "p1", "q0", "q1"], per_capture=15)
    y = X["capture"].str[0].to_numpy()
    pipe = make_pipeline(FunctionTransformer(duration), LogisticRegression())
    own = RejectingClassifier(pipe).fit(X, y)
    given = RejectingClassifier(pipe).fit(X, y, groups=X["capture"])
    want = cross_val_predict(
        pipe, X, y, groups=X["capture"], cv=CaptureKFold(2), method="predict_proba"
    )
    assert own.threshold_ == given.threshold_
    assert_allclose(own.held_out_confidence_, np.sort(want.max(axis=1)))


@pytest.mark.parametrize("routing", [False, True])
def test_grid_search_over_coverage(routing):
    """Nested in a search, with groups for both splitters under metadata routing."""
    X, y, groups = captures()
    search = GridSearchCV(
        RejectingClassifier(LogisticRegression()), {"coverage": [0.5, 1.0]}, cv=CaptureKFold(3)
    )
    with config_context(enable_metadata_routing=routing):
        search.fit(X, y, groups=groups)
    # what is declined counts as wrong
    assert search.best_params_ == {"coverage": 1.0}


@pytest.mark.parametrize(
    ("labels", "unknown"),
    [
        (["a", "bb"], "unknown"),
        ([0, 1], -1),
        ([-1, 1], -2),
        ([1.0, 2.0], -1),
        ([False, True], -1),
    ],
)
def test_unknown_label_suits_the_labels(labels, unknown):
    """Text stays text, numbers stay numbers, and no class is taken for the answer."""
    X, y = make_blobs([60, 60], centers=[[-1, 0], [1, 0]], random_state=0)
    labels = np.array(labels)
    model = RejectingClassifier(LogisticRegression(), coverage=0.7).fit(X, labels[y])
    got = model.predict(X)
    assert model.unknown_label_ == unknown
    assert set(got.tolist()) == {*labels.tolist(), unknown}
    assert got.dtype.kind == (labels.dtype.kind if labels.dtype.kind != "b" else "i")
    assert 0 < model.score(X, labels[y]) < 1


class Spy(LogisticRegression):
    """Notes what its `fit` gets, in `seen_` of the fitted estimator and over all fits."""

    seen: ClassVar[list] = []

    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit, and note."""
        self.seen.append((len(y), sample_weight, groups))
        return super().fit(X, y, sample_weight)


class Unweighted(StandardScaler):
    """A scaler without weights, which routing would ask about."""

    def fit(self, X, y=None):
        """Fit."""
        return super().fit(X)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_weights_and_groups_reach_every_fit(routing, nested):
    """Cut like the rows, in each fold and in the last fit; by name through a Pipeline."""
    X, y, groups = captures(12)
    weight, Spy.seen = np.linspace(1, 2, len(y)), []
    with config_context(enable_metadata_routing=routing):
        spy = Spy()
        if routing:
            spy.set_fit_request(sample_weight=True, groups=True)
        estimator = make_pipeline(Unweighted(), spy) if nested else spy
        name = "spy__sample_weight" if nested and not routing else "sample_weight"
        model = RejectingClassifier(estimator, cv=CaptureKFold(4))
        model.fit(X, y, groups=groups, **{name: weight})
    assert len(Spy.seen) == 5
    for n, got_weight, got_groups in Spy.seen:
        rows = np.isin(weight, got_weight)
        assert rows.sum() == n == len(got_weight)
        assert_array_equal(got_groups, groups[rows])
    assert [n for n, *_ in Spy.seen] == [len(y), *[len(y) - 60] * 4]


def test_weights_change_the_model():
    """As LogisticRegression alone would be changed."""
    X, y, _ = captures()
    weight = 1.0 + 9.0 * (y == 1)
    model = RejectingClassifier(LogisticRegression()).fit(X, y, sample_weight=weight)
    want = LogisticRegression().fit(X, y, sample_weight=weight)
    assert_allclose(model.estimator_.coef_, want.coef_)
    with pytest.raises(TypeError, match="no_such"):
        RejectingClassifier(LogisticRegression()).fit(X, y, no_such=weight)


def test_what_was_not_requested_is_an_error_under_routing():
    """As everywhere in scikit-learn: weights that nobody asked for, or said no to, do not pass."""
    X, y, _ = captures()
    with config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            RejectingClassifier(LogisticRegression()).fit(X, y, sample_weight=np.ones(len(y)))
        with pytest.raises(TypeError, match="no_such"):
            RejectingClassifier(LogisticRegression()).fit(X, y, no_such=np.ones(len(y)))


def test_captures_of_a_session_table_reach_the_estimator(make_sessions):
    """Behind a transformer the column is gone; the last step gets the captures all the same."""
    X = make_sessions(captures=["p0", "p1", "q0", "q1"], per_capture=15)
    y, Spy.seen = X["capture"].str[0].to_numpy(), []
    RejectingClassifier(make_pipeline(FunctionTransformer(duration), Spy())).fit(X, y)
    assert set(Spy.seen[0][2]) == {"p0", "p1", "q0", "q1"}
    assert all(len(set(groups)) == 2 for *_, groups in Spy.seen[1:])


@pytest.mark.parametrize("kind", [np.array, lambda v: np.array(["web", "mail", "chat"])[v]])
def test_around_a_vote_and_in_one(kind):
    """Around VotingClassifier it declines; inside a soft vote its probabilities count."""
    X, y, _ = captures()
    labels = kind(y)
    members = [("a", LogisticRegression()), ("b", GaussianNB())]
    around = RejectingClassifier(VotingClassifier(members, voting="soft"), coverage=0.8)
    around.fit(X, labels, sample_weight=np.ones(len(y)))
    declined = around.predict(X) == around.unknown_label_
    assert 0.1 < declined.mean() < 0.3
    inside = [(name, RejectingClassifier(member, coverage=0.5)) for name, member in members]
    vote = VotingClassifier(inside, voting="soft").fit(X, labels)
    plain = VotingClassifier(members, voting="soft").fit(X, labels)
    assert_allclose(vote.predict_proba(X), plain.predict_proba(X))
    assert vote.predict(X).tolist() == plain.predict(X).tolist()


def test_errors():
    """A label that is taken, no confidence to compare, and nothing to hold out."""
    X, y = make_blobs([9, 9], random_state=0)
    with pytest.raises(ValueError, match="is one of the classes"):
        RejectingClassifier(LogisticRegression(), unknown_label=1).fit(X, y)
    with pytest.raises(AttributeError, match="CalibratedClassifierCV"):
        model = RejectingClassifier(Perceptron(), response_method="predict_proba")
        model.fit(X, y)
    with pytest.raises(ValueError, match="captures of any class"):
        RejectingClassifier(LogisticRegression()).fit(X, y, groups=y)
    assert not hasattr(RejectingClassifier(Perceptron()), "predict_proba")


def test_cross_validated_splitter_and_clone():
    """Any splitter serves as cv=, and clones keep it."""
    X, y, _ = captures()
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    model = clone(RejectingClassifier(GaussianNB(), cv=cv)).fit(pd.DataFrame(X).add_prefix("x"), y)
    assert model.feature_names_in_.tolist() == ["x0", "x1"]
    assert len(model.held_out_confidence_) == len(X)
