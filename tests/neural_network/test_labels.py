"""Users name classes by label everywhere: weights, strategies, folds and parts that lack one."""

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import TomekLinks
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import KFold, cross_val_score

from sktraffic.neural_network import BiGRUDABert, MLPClassifier, TransformerEnsemble
from sktraffic.over_sampling import GuardedADASYN

SHORT = {"max_epochs": 15, "lr": 0.02, "random_state": 0, "early_stopping": False}
MLP = MLPClassifier((8,), **SHORT)
ENSEMBLE = TransformerEnsemble(2, d_token=8, n_heads=2, n_layers=1, d_hidden=8, **SHORT)
both = pytest.mark.parametrize("clf", [MLP, ENSEMBLE], ids=["mlp", "ensemble"])
NAMES = {"text": ["chat", "mail", "p2p"], "numbers": [1, 2, 3], "shifted": [7, 8, 9]}


@pytest.fixture(scope="module")
def blobs():
    """Return 120 rows of three classes of 20, 40 and 60 that overlap."""
    return make_blobs([20, 40, 60], cluster_std=6.0, random_state=0)


@both
@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("heavy", [0, 1, 2])
def test_class_weight_goes_to_the_class_of_that_label(clf, blobs, kind, heavy):
    """A hundredfold weight makes nearly all rows that class, whatever the classes are called."""
    X, index = blobs
    label = NAMES[kind][heavy]
    predicted = (
        clone(clf).set_params(class_weight={label: 100.0}).fit(X, np.array(NAMES[kind])[index])
    )
    assert (predicted.predict(X) == label).mean() > 0.9


@both
def test_class_weight_of_a_label_that_a_fold_lacks(clf):
    """As in scikit-learn's forests the other labels' weights hold, and no score is missing."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = np.array(["p2p"] * 5 + ["chat", "mail"] * 27 + ["chat"])
    weighted = clone(clf).set_params(class_weight={"chat": 1.0, "mail": 2.0, "p2p": 5.0})
    scores = cross_val_score(weighted, X, y, cv=KFold(4), error_score="raise")
    assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match=r"\['Chat'\], none of which is in y"):
        clone(clf).set_params(class_weight={"Chat": 2.0}).fit(X, y)


class Counting:
    """Mixin of a sampler that keeps the counts that it made."""

    made: list = []

    def fit_resample(self, X, y):
        """Record and return."""
        X, y = super().fit_resample(X, y)
        self.made.append(dict(zip(*(v.tolist() for v in np.unique(y, return_counts=True)))))  # noqa: B905
        return X, y


class CountingSMOTE(Counting, SMOTE):
    """SMOTE that counts."""


class CountingPicker(Counting, RandomOverSampler):
    """RandomOverSampler that counts."""


class CountingLinks(Counting, TomekLinks):
    """TomekLinks that counts."""


@both
@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("sampler", [CountingSMOTE, CountingPicker])
@pytest.mark.parametrize("form", ["dict", "callable"])
def test_sampling_strategy_names_labels(clf, blobs, kind, sampler, form):
    """As a step of a Pipeline the sampler sees labels; so it does as a parameter."""
    X, index = blobs
    names = NAMES[kind]
    strategy = {
        "dict": {names[0]: 50},
        "callable": lambda y: {names[0]: 50} if set(y) == set(names) else 1 / 0,
    }[form]
    Counting.made.clear()
    clone(clf).set_params(
        max_epochs=1, resampler=sampler(sampling_strategy=strategy)
    ).fit(X, np.array(names)[index])  # fmt: skip
    want = {names[0]: 50, names[1]: 40, names[2]: 60}
    assert Counting.made == [want] * (2 if clf is ENSEMBLE else 1)


def test_list_of_labels_to_clean(blobs):
    """Samplers that clean take a list of labels; one that y lacks is passed over."""
    X, index = blobs
    y = np.array(NAMES["text"])[index]
    Counting.made.clear()
    links = CountingLinks(sampling_strategy=["p2p", "voip"])
    clone(MLP).set_params(max_epochs=1, resampler=links).fit(X, y)
    (made,) = Counting.made
    assert made["chat"] == 20 and made["mail"] == 40 and made["p2p"] < 60


def test_sampling_strategy_of_a_label_that_a_fold_lacks(blobs):
    """What is not there is not asked for; in a nested sampler as well."""
    from imblearn.combine import SMOTEENN

    X, index = blobs
    y = np.array(NAMES["text"])[index]
    two = y != "p2p"
    Counting.made.clear()
    asked = CountingSMOTE(sampling_strategy={"chat": 40, "p2p": 90}, k_neighbors=3)
    clf = clone(MLP).set_params(resampler=asked, max_epochs=1).fit(X[two], y[two])
    assert Counting.made == [{"chat": 40, "mail": 40}]
    assert clf.resampler.sampling_strategy == {"chat": 40, "p2p": 90}  # the caller's stays
    clf.set_params(resampler=SMOTEENN(smote=asked)).fit(X[two], y[two])


def test_error_of_a_sampler_names_labels(blobs):
    """The counts in the message are those of labels."""
    X, index = blobs
    y = np.array(NAMES["text"])[index]
    few = np.r_[np.flatnonzero(index == 0)[:2], np.flatnonzero(index)]
    clf = clone(MLP).set_params(resampler=SMOTE(k_neighbors=5))
    with pytest.raises(ValueError, match=r"counts \{'chat': 2, 'mail': 40, 'p2p': 60\}"):
        clf.fit(X[few], y[few])


@both
def test_members_and_estimator_speak_of_labels(clf, blobs):
    """What an ensemble's members predict are its labels."""
    X, index = blobs
    fitted = clone(clf).set_params(max_epochs=1).fit(X, np.array(NAMES["text"])[index])
    for member in getattr(fitted, "members_", [fitted]):
        assert member.classes_.tolist() == NAMES["text"]
        assert set(member.predict(X)) <= set(NAMES["text"])


@both
def test_rows_of_weight_zero_leave_their_class_known(clf, blobs):
    """The class has a column and is not learned; two classes at least must have rows."""
    X, index = blobs
    y = np.array(NAMES["text"])[index]
    fitted = clone(clf).fit(X, y, sample_weight=(y != "p2p").astype(float))
    proba = fitted.predict_proba(X)
    assert fitted.classes_.tolist() == NAMES["text"] and proba.shape == (120, 3)
    assert "p2p" not in fitted.predict(X)
    with pytest.raises(ValueError, match="leaves rows of 1 class only"):
        clone(clf).fit(X, y, sample_weight=(y == "p2p").astype(float))


@both
def test_later_partial_fit_with_other_classes_is_an_error(clf, blobs):
    """The same classes in any order are fine, others are not; so is a resampler."""
    X, index = blobs
    y = np.array(NAMES["text"])[index]
    fitted = clone(clf).partial_fit(X, y, classes=NAMES["text"])
    fitted.partial_fit(X[:9], y[:9], classes=NAMES["text"][::-1])
    with pytest.raises(ValueError, match=r"classes=\['chat', 'mail'\] differ from .*first call"):
        fitted.partial_fit(X[:9], y[:9], classes=["chat", "mail"])
    with pytest.raises(ValueError, match="partial_fit cannot resample"):
        clone(clf).set_params(resampler=SMOTE()).partial_fit(X, y)


@pytest.mark.parametrize("sampler", [SMOTE(), ADASYN(), GuardedADASYN()])
def test_interpolated_token_ids_are_an_error(sampler):
    """Ids between ids mean nothing; repeated rows are fine, and so are mixed feature tables."""
    rng = np.random.default_rng(0)
    X, y = np.where(rng.random((40, 6)) < 0.5, 10, 250), np.repeat([0, 1], [30, 10])
    size = {"hidden_size": 8, "n_layers": 1, "n_heads": 2, "gru_hidden_size": 4, "max_epochs": 1}
    clf = BiGRUDABert(**size, resampler=sampler, random_state=0)
    name = type(sampler).__name__
    with pytest.raises(ValueError, match=rf"resampler {name} made \d+ rows of token ids.*picks"):
        clf.fit(X, y)
    clf.fit(X + rng.normal(size=X.shape), y)
    clone(clf).set_params(resampler=RandomOverSampler()).fit(X, y)


def test_sampler_as_a_step_and_as_a_parameter_make_the_same_counts(blobs):
    """The two places differ in the validation cut only, which is off here."""
    X, index = blobs
    y = np.array(NAMES["text"])[index]
    Counting.made.clear()
    sampler = CountingSMOTE(sampling_strategy={"chat": 55})
    make_pipeline(sampler, clone(MLP).set_params(max_epochs=1)).fit(X, y)
    clone(MLP).set_params(max_epochs=1, resampler=sampler).fit(X, y)
    assert Counting.made[0] == Counting.made[1] == {"chat": 55, "mail": 40, "p2p": 60}
