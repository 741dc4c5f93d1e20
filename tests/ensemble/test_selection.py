"""SelectionEnsemble: weights chosen on captures that no member has seen."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktraffic.ensemble import SelectionEnsemble
from sktraffic.model_selection import CaptureKFold


@parametrize_with_checks(
    [
        SelectionEnsemble(
            [("line", LogisticRegression()), ("tree", DecisionTreeClassifier(random_state=0))],
            refit=refit,
        )
        for refit in (True, False)
    ]
)
def test_scikit_learn_checks(estimator, check):
    """The checks of scikit-learn, none expected to fail."""
    check(estimator)


def captures(n_captures=30, per_capture=20, seed=0, shift=0.7):
    """Three overlapping classes whose captures each lie a little off."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_captures) % 3, per_capture)
    groups = np.repeat(np.arange(n_captures), per_capture)
    centre = np.array([[0, 0], [4, 0], [0, 4]])[y]
    X = centre + shift * rng.normal(size=(n_captures, 2))[groups] + rng.normal(size=(len(y), 2))
    return X, np.array(["chat", "mail", "voip"])[y], groups


MEMBERS = [
    ("line", LogisticRegression()),
    ("bayes", GaussianNB()),
    ("near", KNeighborsClassifier(5)),
    ("guess", DummyClassifier()),
]


class Memory(ClassifierMixin, BaseEstimator):
    """Knows every row of a capture that it has met, and nothing else: it overfits perfectly."""

    def fit(self, X, y):  # noqa: D102
        self.classes_ = np.unique(y)
        self.known_ = {tuple(row): label for row, label in zip(X, y, strict=True)}
        return self

    def predict_proba(self, X):  # noqa: D102
        proba = np.full((len(X), len(self.classes_)), 1 / len(self.classes_))
        for i, row in enumerate(X):
            if tuple(row) in self.known_:
                proba[i] = self.classes_ == self.known_[tuple(row)]
        return proba

    def predict(self, X):  # noqa: D102
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def test_members_are_judged_on_captures_that_they_have_not_seen():
    """A member that only remembers its training rows gets no weight."""
    X, y, groups = captures()
    model = SelectionEnsemble([("memory", Memory()), ("line", LogisticRegression())])
    model.fit(X, y, groups)
    assert model.weights_.tolist() == [0, 1]
    assert list(model.named_estimators_) == ["line"]
    assert_allclose(
        model.members_["score"][0], f1_score(y, np.full(len(y), "chat"), average="macro")
    )


def test_the_held_out_score_is_that_of_cross_val_predict():
    """Weights applied to scikit-learn's own out-of-fold probabilities give `held_out_score_`."""
    X, y, groups = captures()
    model = SelectionEnsemble(MEMBERS, cv=CaptureKFold(5)).fit(X, y, groups)
    parts = [
        cross_val_predict(
            clone(member), X, y, groups=groups, cv=CaptureKFold(5), method="predict_proba"
        )
        for _, member in MEMBERS
    ]
    average = np.tensordot(model.weights_, np.stack(parts), axes=1)
    score = f1_score(y, model.classes_[average.argmax(axis=1)], average="macro")
    assert_allclose(model.held_out_score_, score)
    assert model.held_out_score_ >= model.members_["score"].max()


def test_prediction_is_the_weighted_vote_of_the_chosen():
    """Without calibration it is scikit-learn's soft VotingClassifier with the same weights."""
    X, y, groups = captures()
    model = SelectionEnsemble(MEMBERS, calibrate=False).fit(X, y, groups)
    voting = VotingClassifier(MEMBERS, voting="soft", weights=model.weights_).fit(X, y)
    assert_allclose(model.predict_proba(X), voting.predict_proba(X), atol=1e-12)
    assert model.temperature_ == 1


def test_calibration_moves_probabilities_and_no_prediction():
    """Columns repeated ten times make naive Bayes too sure; one temperature mends that."""
    X, y, groups = captures(shift=1.5)
    other, truth, _ = captures(seed=1, shift=1.5)
    X, other = (np.tile(part, 10) for part in (X, other))
    sure = [("bayes", GaussianNB())]
    plain = SelectionEnsemble(sure, calibrate=False).fit(X, y, groups)
    scaled = SelectionEnsemble(sure).fit(X, y, groups)
    assert_array_equal(plain.predict(other), scaled.predict(other))
    plain_loss, scaled_loss = (
        log_loss(truth, model.predict_proba(other)) for model in (plain, scaled)
    )
    assert scaled.temperature_ > 2
    assert scaled_loss < 0.7 * plain_loss


def test_groups_come_from_the_session_table():
    """The column `capture` is used where no groups are given."""
    X, y, groups = captures()
    table = pd.DataFrame(X, columns=["a", "b"]).assign(capture=groups)
    members = [("line", make_pipeline(_Numbers(), LogisticRegression())), ("d", DummyClassifier())]
    by_column = SelectionEnsemble(members).fit(table, y)
    by_hand = SelectionEnsemble(members).fit(table, y, groups)
    at_random = SelectionEnsemble(members, cv=5).fit(table.drop(columns="capture"), y)
    assert by_column.held_out_score_ == by_hand.held_out_score_ != at_random.held_out_score_


class _Numbers(BaseEstimator):
    """Leaves the column `capture` out."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[["a", "b"]].to_numpy()

    def __sklearn_is_fitted__(self):
        return True


class Grouped(LogisticRegression):
    """Notes the groups that its fits are given."""

    seen: list = []

    def fit(self, X, y, groups=None):  # noqa: D102
        self.seen.append(None if groups is None else np.unique(groups).tolist())
        return super().fit(X, y)


def test_members_that_take_groups_get_their_rows_groups():
    """Each fold's fit sees the groups of its training side only; pipelines pass them on."""
    X, y, groups = captures(6)
    for member in (Grouped(), make_pipeline(StandardScaler(), Grouped())):
        Grouped.seen.clear()
        SelectionEnsemble([("g", member)], cv=2).fit(X, y, groups)
        assert [len(names) for names in Grouped.seen] == [3, 3, 6]
        assert sorted(Grouped.seen[0] + Grouped.seen[1]) == list(range(6))


def test_weights_reach_members_and_scorer():
    """Integer weights give what repeated rows give, under the same folds."""
    X, y, groups = captures(12)
    weight = np.random.default_rng(0).integers(1, 3, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    folds = [(np.flatnonzero(groups % 2 != k), np.flatnonzero(groups % 2 == k)) for k in (0, 1)]
    doubled = [tuple(np.flatnonzero(np.isin(rows, side)) for side in fold) for fold in folds]
    members = MEMBERS[:2]
    one = SelectionEnsemble(members, cv=folds).fit(X, y, sample_weight=weight)
    two = SelectionEnsemble(members, cv=doubled).fit(X[rows], y[rows])
    assert_allclose(one.weights_, two.weights_)
    assert_allclose(one.held_out_score_, two.held_out_score_)
    assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-5)


def test_metadata_routing_sends_what_was_asked_for():
    """With routing enabled, groups reach the splitter and a member that asked for them."""
    X, y, groups = captures(6)
    with config_context(enable_metadata_routing=True):
        Grouped.seen.clear()
        members = [("g", Grouped().set_fit_request(groups=True)), ("b", GaussianNB())]
        members[1][1].set_fit_request(sample_weight=False)
        SelectionEnsemble(members, cv=CaptureKFold(2)).fit(X, y, groups=groups)
    assert [len(names) for names in Grouped.seen][:2] == [3, 3]


def test_a_class_of_one_capture_is_learned_but_not_judged():
    """Its rows take no part in the choice; the fitted ensemble knows the class."""
    X, y, groups = captures(12)
    y = np.where(groups == 3, "rare", y)
    model = SelectionEnsemble(MEMBERS[:2], cv=2).fit(X, y, groups)
    assert "rare" in model.classes_
    assert model.predict_proba(X).shape == (len(X), 4)


def test_parameters_of_members_are_searched_by_name():
    """GridSearchCV reaches into members; "drop" leaves one out."""
    X, y, _ = captures(12)
    grid = {"near__n_neighbors": [1, 9], "guess": ["drop"]}
    search = GridSearchCV(SelectionEnsemble(MEMBERS, cv=2), grid, cv=3).fit(X, y)
    assert len(search.best_estimator_.weights_) == 3


def test_jobs_change_nothing():
    """Two jobs give the very same probabilities as one."""
    X, y, groups = captures(12)
    one, two = (SelectionEnsemble(MEMBERS, n_jobs=n).fit(X, y, groups) for n in (1, 2))
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"estimators": [("p", Perceptron())]}, AttributeError, "CalibratedClassifierCV"),
        ({"estimators": []}, ValueError, "estimators"),
        ({"cv": StratifiedKFold(200)}, ValueError, "n_splits"),
        ({"cv": [(np.arange(5), np.arange(9)), (np.arange(9), np.arange(9))]}, ValueError, "once"),
        ({"n_rounds": 0}, ValueError, "n_rounds"),
        ({"scoring": "no_such"}, ValueError, "scoring"),
    ],
)
def test_errors_name_the_remedy(change, error, words):
    """What cannot work is refused by name."""
    X, y, _ = captures(6)
    with pytest.raises(error, match=words):
        SelectionEnsemble(MEMBERS).set_params(**change).fit(X, y)


def test_weights_for_a_member_that_takes_none_are_refused():
    """Nothing is dropped silently: a nearest neighbour knows no sample_weight."""
    X, y, _ = captures(6)
    with pytest.raises(TypeError, match=r"'near'.*no sample_weight"):
        SelectionEnsemble(MEMBERS[2:]).fit(X, y, sample_weight=np.ones(len(y)))


def test_verbose_prints_a_line_a_member(capsys):
    """Name, weight, score, gain and seconds of each, and the ensemble's score."""
    X, y, groups = captures(6)
    model = SelectionEnsemble(MEMBERS, cv=2, verbose=True).fit(X, y, groups)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["line", "bayes", "near", "guess", "ensemble"]
    assert lines[-1].endswith(f"{model.held_out_score_:.3f}")


def test_tolerance_keeps_the_list_of_members_short():
    """A gain that no list can reach leaves the best single member; none lets others join."""
    X, y, groups = captures()
    settings = {"estimators": MEMBERS, "cv": CaptureKFold(3), "scoring": "neg_log_loss"}
    strict = SelectionEnsemble(**settings, tolerance=100.0).fit(X, y, groups=groups)
    assert sorted(strict.weights_) == [0, 0, 0, 1]
    free = SelectionEnsemble(**settings, tolerance=0.0).fit(X, y, groups=groups)
    assert np.count_nonzero(free.weights_) > 1
    assert free.held_out_score_ >= strict.held_out_score_


def test_without_refit_the_fits_of_the_choice_are_averaged():
    """As by hand: one fit a fold, each without its captures; nothing is fitted on everything."""
    X, y, groups = captures()
    splits = list(CaptureKFold(3).split(X, y, groups))
    model = SelectionEnsemble(MEMBERS[:2], cv=splits, refit=False, calibrate=False)
    model.fit(X, y, groups)
    expected = 0
    for (_, member), weight in zip(MEMBERS[:2], model.weights_, strict=True):
        fits = [clone(member).fit(X[train], y[train]) for train, _ in splits]
        expected = expected + weight * np.mean([fit.predict_proba(X) for fit in fits], axis=0)
    assert_allclose(model.predict_proba(X), expected, atol=1e-12)
    assert all(len(member.estimators_) == 3 for member in model.estimators_)
    again = SelectionEnsemble(MEMBERS[:2], cv=splits, calibrate=False).fit(X, y, groups)
    assert_array_equal(model.weights_, again.weights_)
    assert not np.allclose(model.predict_proba(X), again.predict_proba(X))


def test_without_refit_a_class_of_one_capture_is_known():
    """Its rows are in every training side, so every fit knows it."""
    X, y, groups = captures()
    y = np.where(groups == 0, "rare", y)
    model = SelectionEnsemble(MEMBERS[:2], cv=3, refit=False).fit(X, y, groups)
    assert "rare" in model.classes_ and model.predict_proba(X).shape == (len(X), 4)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)
