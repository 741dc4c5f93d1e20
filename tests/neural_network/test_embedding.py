"""How networks read numbers: bins of what they are fitted on, of every scale."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring

from sktraffic.neural_network import MLPClassifier, TransformerEnsemble
from sktraffic.neural_network._embedding import bin_edges, token_groups
from sktraffic.nn import FeatureTokenizer

SMALL = {"hidden_sizes": (8,), "max_epochs": 3, "lr": 0.01, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def decades():
    """Return 200 rows of two columns that span decades, one of a constant, and their classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=200)
    X = 10.0 ** (rng.normal(size=(200, 2)) + 2 * y[:, None])
    return np.column_stack([X, np.ones(200)]), y


def test_edges_by_hand():
    """Quantiles of the rows, and of the distinct values where most rows are alike."""
    column = np.repeat([0.0, 1.0, 2.0, 3.0, 50.0], [16, 1, 1, 1, 1])
    even = np.arange(20.0)
    edges = bin_edges(np.column_stack([column, even, np.ones(20)]), 4)
    assert edges.shape == (3, 8)
    kept = [row[~np.isnan(row)].tolist() for row in edges]
    # rows: 0, 0, 0, 0, 50; values: the lowest, the middle one, the highest
    assert kept[0] == [0.0, 2.0, 50.0]
    # five, ten, 15 rows lie at or below 4, 9, 14; 10 is the middle value
    assert kept[1] == [0.0, 4.0, 9.0, 10.0, 14.0, 19.0]
    assert kept[2] == [1.0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(2, 9), st.integers(0, 99))
def test_edges_rise_from_the_lowest_to_the_highest_and_count_weights_as_copies(values, n, seed):
    """Edges are values of the column; a row of weight two is two rows."""
    column = np.array(values, dtype=np.float64)[:, None]
    weight = np.random.default_rng(seed).integers(1, 4, size=len(column))
    edges = bin_edges(column, n, weight)
    kept = edges[0][~np.isnan(edges[0])]
    assert (np.diff(kept) > 0).all() and np.isin(kept, column).all()
    assert (kept[0], kept[-1]) == (column.min(), column.max())
    np.testing.assert_array_equal(edges, bin_edges(np.repeat(column, weight, axis=0), n))


def test_scale_does_not_matter(decades):
    """Behind a StandardScaler or raw, in bytes or in megabytes: the same answers."""
    X, y = decades
    raw = MLPClassifier(**SMALL, precision="float64").fit(X, y)
    for moved in (StandardScaler().fit_transform(X), X * 1e-6 - 3):
        again = MLPClassifier(**SMALL, precision="float64").fit(moved, y)
        np.testing.assert_allclose(again.predict_proba(moved), raw.predict_proba(X), atol=1e-6)


def test_edges_are_those_of_the_training_part(decades):
    """Neither the validation part nor later calls move them; a new fit learns them anew."""
    X, y = decades
    clf = MLPClassifier(**SMALL, warm_start=True).fit(X[:150], y[:150], X_valid=X, y_valid=y)
    first = clf.bin_edges_
    np.testing.assert_array_equal(first, bin_edges(X[:150].astype(np.float32), 48))
    assert clf.fit(X, y).bin_edges_ is first
    assert clf.partial_fit(X * 7, y).bin_edges_ is first
    assert not np.array_equal(clf.set_params(warm_start=False).fit(X, y).bin_edges_, first)
    assert not hasattr(clf.set_params(embedding="linear").fit(X, y), "bin_edges_")


def test_constant_column_is_not_read(decades):
    """What it becomes later changes no answer."""
    X, y = decades
    clf = MLPClassifier(**SMALL).fit(X, y)
    np.testing.assert_array_equal(clf.predict(X), clf.predict(X * [1, 1, 99]))


def test_weights_and_edges_are_stored(decades):
    """A pickle answers as the fitted estimator, after its parameters have changed, too."""
    X, y = decades
    clf = MLPClassifier(**SMALL).fit(X, y)
    before = clf.predict_proba(X)
    again = pickle.loads(pickle.dumps(clf)).set_params(embedding="linear")
    np.testing.assert_array_equal(again.predict_proba(X), before)


def test_bins_without_effect():
    """The paper's network reads numbers as they are."""
    with pytest.raises(ValueError, match="n_bins=4 has no effect with embedding='linear'"):
        MLPClassifier(embedding="linear", n_bins=4).fit(np.ones((4, 1)), [0, 1, 0, 1])


def test_every_member_learns_from_every_row(decades):
    """The loss of three members is the mean over them; weights count in each."""
    X, y = decades
    weight = np.linspace(0.5, 2, len(y))
    tiny = {**SMALL, "lr": 1e-12, "max_epochs": 1, "dropout": 0.0, "warmup_ratio": 0.0}
    clf = MLPClassifier(**tiny, n_members=3, batch_size=len(y)).fit(X, y, weight)
    module = clf.net_.module_.train()
    logits = module(torch.as_tensor(X, dtype=torch.float32))  # (3, n, K)
    losses = [F.cross_entropy(one, torch.as_tensor(y), reduction="none") for one in logits]
    mean = (torch.stack(losses).mean(dim=0).detach().numpy() * weight / weight.mean()).mean()
    np.testing.assert_allclose(clf.history_["train_loss"][0], mean, rtol=1e-5)


def test_callbacks_see_one_prediction_a_row(decades):
    """Scores of the training part by skorch work with members as without."""
    X, y = decades
    score = EpochScoring("accuracy", on_train=True, lower_is_better=False, name="seen")
    params = {**SMALL, "max_epochs": 5, "lr": 0.05, "net_params": {"callbacks": [score]}}
    clf = MLPClassifier(**params, n_members=2).fit(X, y)
    assert clf.history_["seen"].iloc[-1] > 0.6


def test_members_without_effect():
    """The paper's network is one."""
    with pytest.raises(ValueError, match="n_members=2 has no effect with embedding='linear'"):
        MLPClassifier(embedding="linear", n_members=2).fit(np.ones((4, 1)), [0, 1, 0, 1])


def test_tokens_by_hand():
    """Few columns have their own; more are dealt there and back, the widest first."""
    assert token_groups(np.array([3, 0, 1]), 2, 0).tolist() == [0, -1, 1]
    assert token_groups(np.array([9, 8, 7, 6, 5, 0]), 2, 0).tolist() == [0, 1, 1, 0, 0, -1]
    assert token_groups(np.ones(300, int), None, 0).tolist() == list(range(300))
    assert np.bincount(token_groups(np.ones(300, int), 16, 0)).tolist() == [19] * 12 + [18] * 4


TINY = {"d_token": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8, "max_epochs": 2}
TINY |= {"random_state": 0, "early_stopping": False}


@pytest.mark.parametrize("embedding", ["linear", "piecewise"])
def test_wide_tables_share_tokens(embedding):
    """Each member deals its own; what members say together is the mean of what each says."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 40)), np.repeat([0, 1, 2], 20)
    clf = TransformerEnsemble(2, embedding=embedding, max_tokens=5, **TINY).fit(X, y)
    groups = [member.token_groups_ for member in clf.members_]
    assert not np.array_equal(*groups) and all(np.bincount(g).tolist() == [8] * 5 for g in groups)
    mean = np.mean([member.predict_proba(X) for member in clf.members_], axis=0)
    np.testing.assert_allclose(clf.predict_proba(X), mean, atol=1e-6)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_few_columns_have_the_papers_tokens(decades):
    """Up to ``max_tokens`` the transformer is that of one token a feature."""
    X, y = decades
    one, all_ = (TransformerEnsemble(1, max_tokens=m, **TINY).fit(np.log(X), y) for m in (3, None))
    np.testing.assert_array_equal(one.predict_proba(X), all_.predict_proba(X))
    tokenizer = one.members_[0].net_.module_.tokenizer
    assert type(tokenizer) is FeatureTokenizer


def test_piecewise_tokens_have_no_scale(decades):
    """Raw or standardised, the same answers."""
    X, y = decades
    params = {**TINY, "embedding": "piecewise", "precision": "float64"}
    raw, scaled = (
        TransformerEnsemble(1, **params).fit(Z, y).predict_proba(Z)
        for Z in (X, StandardScaler().fit_transform(X))
    )
    np.testing.assert_allclose(raw, scaled, atol=1e-6)
