"""Members of an ensemble, their average and their disagreement."""

from types import SimpleNamespace

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN
from sklearn.datasets import make_blobs

from sktraffic.neural_network import TransformerEnsemble
from sktraffic.neural_network._ensemble import mutual_information

SMALL = {
    "d_token": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8, "max_epochs": 2, "lr": 0.01,
    "random_state": 0, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def blobs():
    """Return 90 rows of three uneven classes."""
    X, y = make_blobs([20, 30, 40], centers=None, cluster_std=2.0, random_state=0)
    return X, np.array(["a", "b", "c"])[y]


@pytest.fixture(scope="module")
def fitted(blobs):
    """Return an ensemble of three."""
    return TransformerEnsemble(**SMALL).fit(*blobs)


def test_probability_is_the_mean_of_the_members(fitted, blobs):
    """Stacked prediction equals asking each member and averaging."""
    X, _ = blobs
    members = np.array([member.predict_proba(X) for member in fitted.members_])
    np.testing.assert_allclose(fitted.predict_proba(X), members.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        fitted.predict_uncertainty(X), mutual_information(members), atol=1e-6
    )
    assert fitted.predict(X).tolist() == fitted.classes_[members.mean(axis=0).argmax(1)].tolist()


def test_members_differ_in_seed_cut_and_sampler_draw(blobs):
    """Three members see three cuts and three draws, and have three sets of weights."""
    drawn = []

    class Spy(ADASYN):
        def fit_resample(self, X, y):
            drawn.append((self.random_state, X.tobytes(), *super().fit_resample(X, y)))
            return drawn[-1][2:]

    clf = TransformerEnsemble(**SMALL, resampler=Spy(n_neighbors=2)).fit(*blobs)
    assert len({seed for seed, *_ in drawn}) == len({rows for _, rows, *_ in drawn}) == 3
    first = [m.net_.module_.class_token.detach().numpy().tobytes() for m in clf.members_]
    assert len(set(first)) == 3 and len(clf.members_) == 3


def test_jobs_do_not_change_the_result(blobs, fitted):
    """Two processes give the same bits as one."""
    parallel = TransformerEnsemble(**SMALL, n_jobs=2).fit(*blobs)
    np.testing.assert_array_equal(parallel.predict_proba(blobs[0]), fitted.predict_proba(blobs[0]))


def test_history_has_a_row_an_epoch_and_member(fitted):
    """Members are numbered; n_epochs_ and best_epoch_ have one entry each."""
    assert fitted.history_["member"].tolist() == [0, 0, 1, 1, 2, 2]
    assert fitted.n_epochs_.tolist() == [2, 2, 2] and fitted.best_epoch_.shape == (3,)
    with pytest.raises(AttributeError, match=r"no net_; see members_\[i\]"):
        _ = fitted.net_


def test_uncertainty_by_hand():
    """Members that agree: 0 bits, sure or not. Two sure members that differ: 1 bit."""
    sure, unsure, other = [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]
    proba = np.array([[sure, unsure, sure], [sure, unsure, other]])  # (2 members, 3 rows, 2)
    np.testing.assert_allclose(mutual_information(proba), [0.0, 0.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("n_members", [2, 3, 8])
def test_uncertainty_is_bounded(rng, n_members):
    """Mutual information lies between 0 and log2 of the smaller of members and classes."""
    proba = rng.dirichlet(np.full(4, 0.2), size=(n_members, 200))
    bits = mutual_information(proba)
    assert (bits >= 0).all() and (bits <= np.log2(min(4, n_members)) + 1e-12).all()


def test_one_member_never_disagrees(blobs):
    """With itself a single member has nothing to dispute."""
    clf = TransformerEnsemble(1, **SMALL).fit(*blobs)
    np.testing.assert_allclose(clf.predict_uncertainty(blobs[0]), 0.0, atol=1e-12)


def test_warm_start_keeps_the_members(blobs):
    """A second fit trains the same members on; more may join, none are dropped."""
    clf = TransformerEnsemble(2, **SMALL, warm_start=True, early_stopping=False).fit(*blobs)
    clf.set_params(n_members=3).fit(*blobs)
    assert clf.n_epochs_.tolist() == [4, 4, 2]
    with pytest.raises(ValueError, match="n_members=1 is below the 3 members fitted"):
        clf.set_params(n_members=1).fit(*blobs)


def test_groups_and_weights_reach_the_members(blobs):
    """Rows of weight 0 are left out, and groups that cannot be cut are an error, in each member."""
    X, y = blobs
    weight = np.where(y == "a", 0.0, 1.0)
    clf = TransformerEnsemble(**SMALL).fit(np.where(weight[:, None], X, 1e6), y, weight)
    assert clf.classes_.tolist() == ["a", "b", "c"]  # known, though not learned
    assert np.isfinite(clf.history_["train_loss"]).all() and set(clf.predict(X)) <= {"b", "c"}
    with pytest.raises(ValueError, match="no group can be spared"):
        TransformerEnsemble(**SMALL).fit(X, y, groups=np.zeros(90))


def test_a_fit_that_takes_long_says_so_while_it_can_be_cut_short(monkeypatch):
    """From the third step on, with what it was computed from; a short one says nothing."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), np.repeat([0, 1], 20)
    params = {"d_token": 8, "n_heads": 2, "batch_size": 10, "early_stopping": False}
    clf = TransformerEnsemble(3, **params, max_epochs=4, max_tokens=2, random_state=0)
    clf.fit(X, y)  # any warning is an error
    plain = clf.predict_proba(X)
    seconds = iter(range(0, 10**6, 50))  # every look at the clock is 50 s after the last
    clock = SimpleNamespace(perf_counter=lambda: next(seconds))
    monkeypatch.setattr("sktraffic.neural_network._callbacks.time", clock)
    said = (
        r"up to 40 minutes: 50 s a step, 4 steps an epoch, at most 4 epochs, 3 in turn.* 2: lower"
    )
    with pytest.warns(UserWarning, match=said) as caught:
        clf.fit(X, y)
    assert len(caught) == 1 and "_n_in_turn" not in vars(clf.members_[0])
    np.testing.assert_array_equal(clf.predict_proba(X), plain)
