"""What a fit leaves behind: weights that travel, and nothing changed elsewhere."""

import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktraffic.neural_network import MLPClassifier, TransformerEnsemble

MLP = MLPClassifier(hidden_sizes=(6, 4), max_epochs=3, lr=0.02, random_state=0, device="cpu")
ENSEMBLE = TransformerEnsemble(
    2, d_token=8, n_heads=2, n_layers=1, d_hidden=8, max_epochs=2, random_state=0, device="cpu"
)
X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.repeat(["a", "b", "c"], 20)
both = pytest.mark.parametrize("estimator", [MLP, ENSEMBLE], ids=["mlp", "ensemble"])


@both
def test_loading_leaves_the_generators(estimator):
    """Building the module again after a load draws nothing from the caller's generator."""
    stream = pickle.dumps(clone(estimator).fit(X, Y))
    state = torch.get_rng_state()
    pickle.loads(stream).predict(X)
    assert torch.equal(torch.get_rng_state(), state)


@both
@pytest.mark.parametrize("seed", [0, None])
def test_global_state_is_untouched(estimator, seed, tmp_path, monkeypatch):
    """Generators, threads, affinity, precision and directory are as before a fit."""
    from imblearn.over_sampling import SMOTE

    def state():
        numpy_state = np.random.get_state()
        return (
            random.getstate(), numpy_state[1].tolist(), numpy_state[2], os.getcwd(),
            torch.get_rng_state().tolist(), torch.get_num_threads(), os.sched_getaffinity(0),
            torch.get_default_dtype(), torch.is_grad_enabled(), sorted(os.environ),
            torch.are_deterministic_algorithms_enabled(), os.listdir(),
        )  # fmt: skip

    monkeypatch.chdir(tmp_path)
    before = state()
    clone(estimator).set_params(random_state=seed, resampler=SMOTE(k_neighbors=2)).fit(X, Y)
    assert state() == before


def test_random_state_instance_is_drawn_from():
    """A RandomState is advanced, as in scikit-learn: two fits differ, a replay agrees."""

    def fits():
        generator = np.random.RandomState(3)
        clf = clone(MLP).set_params(random_state=generator)
        return [clf.fit(X, Y).predict_proba(X) for _ in range(2)]

    first, second = fits(), fits()
    assert np.array_equal(first, second) and not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, object])
def test_any_input_type_predicts_alike(dtype):
    """The quick path for plain arrays and scikit-learn's own checks give the same answer."""
    whole = np.round(3 * X)
    clf = clone(MLP).fit(whole, Y)
    expected = clf.predict_proba(whole.astype(np.float32))
    np.testing.assert_array_equal(clf.predict_proba(whole.astype(dtype)), expected)
    np.testing.assert_array_equal(clf.predict_proba(whole.tolist()), expected)
    turned = clf.predict_proba(whole[::-1].astype(dtype))[::-1]
    # a row's place in a matrix product may change its rounding
    np.testing.assert_allclose(turned, expected, rtol=50 * np.finfo(np.float32).eps)


@both
def test_one_row_and_no_row(estimator):
    """One row has the label that it has among others; no row is an error."""
    clf = clone(estimator).fit(X, Y)
    assert clf.predict(X[5:6]) == clf.predict(X)[5] and clf.predict_proba(X[:1]).shape == (1, 3)
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), clf.predict_proba(X), rtol=1e-12)
    with pytest.raises(ValueError, match="0 sample"):
        clf.predict(X[:0])


def test_many_rows_are_sliced():
    """More rows than one forward pass takes give the same as one by one."""
    clf = clone(MLP).fit(X, Y)
    many = np.tile(X, (100, 1))
    whole = clf.predict_proba(many)
    clf._predict_rows = 7
    np.testing.assert_allclose(clf.predict_proba(many), whole, rtol=1e-5)


def test_importing_the_rest_does_not_import_torch():
    """The package and its table of sessions come without torch."""
    code = "import sys, sktraffic, sktraffic.sessions; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
