"""Random numbers that belong to a fit: laws of `FitRandom`, threads, nesting, forks."""

import random
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from torch import nn
from torch.nn import functional as F

from sktraffic.neural_network import (
    CNNLSTM,
    BaseTorchClassifier,
    BiGRUDABert,
    DeepPacketCNN,
    DeepPacketSAE,
    MaskedByteModel,
    MLPClassifier,
    PacketSequenceClassifier,
    TransformerEnsemble,
)
from sktraffic.neural_network._random import FitRandom

SHORT = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}
BERT = {"hidden_size": 8, "n_layers": 1, "n_heads": 2}
ESTIMATORS = [
    MLPClassifier((8, 8), dropout=0.5, weighted_sampling=True, **SHORT),
    TransformerEnsemble(2, d_token=8, n_heads=2, n_layers=1, d_hidden=8, dropout=0.5, **SHORT),
    BiGRUDABert(**BERT, gru_hidden_size=4, **SHORT),
    DeepPacketCNN((4, 4), hidden_sizes=(8, 8), dropout=0.5, **SHORT),
    DeepPacketSAE((8, 8), dropout=0.5, pretrain_epochs=2, **SHORT),
    CNNLSTM((4,), lstm_hidden_size=4, hidden_sizes=(8,), dropout=0.5, **SHORT),
    MaskedByteModel(**BERT, **SHORT),
    PacketSequenceClassifier(
        n_channels=4, n_blocks=1, packet_loss=0.2, packet_merge=0.2, late_start=0.5, cuts=(2, 3),
        **SHORT,
    ),
]  # fmt: skip
X = np.random.default_rng(0).integers(1, 200, (40, 6))
Y = np.repeat(["vpn", "web"], 20)
every = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)


def output(estimator):
    """Fit a clone and return what it says of X."""
    fitted = clone(estimator).fit(X, Y)
    return getattr(fitted, "predict_proba", getattr(fitted, "transform", None))(X)


def global_states():
    """Return the states of torch's, NumPy's and Python's generators as text."""
    return str((torch.get_rng_state().tolist(), np.random.get_state(), random.getstate()))


@every
def test_global_generators_do_not_matter_and_do_not_move(estimator):
    """Another state of them gives the same fit, and a fit leaves them where they were."""
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        before = global_states()
        results.append(output(estimator))
        assert global_states() == before
    np.testing.assert_array_equal(*results)


@every
def test_fits_in_threads_are_those_of_one_thread(estimator):
    """Four fits at the same time, each beside others, give the bits of a fit alone."""
    alone, before = output(estimator), global_states()
    together = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(output)(estimator) for _ in range(4)
    )
    for result in together:
        np.testing.assert_array_equal(result, alone)
    assert global_states() == before


@pytest.mark.parametrize("outer", [1, 2])
@pytest.mark.parametrize("inner", [None, 2])
def test_nested_jobs_do_not_change_the_result(outer, inner):
    """Members in processes inside folds in processes, where joblib falls back on threads."""
    clf = clone(ESTIMATORS[1])
    want = cross_val_predict(clf, X, Y, cv=2, method="predict_proba")
    clf.set_params(n_jobs=inner)
    got = cross_val_predict(clf, X, Y, cv=2, method="predict_proba", n_jobs=outer)
    np.testing.assert_array_equal(got, want)


FORK = """
import os, sys
import numpy as np
from sklearn.datasets import make_classification
from sktraffic.neural_network import MLPClassifier
X, y = make_classification(6000, 20, n_informative=8, n_classes=3, random_state=0)
params = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
clf = MLPClassifier((64,), **params).fit(X, y)
child = os.fork()
if not child:
    again = MLPClassifier((64,), **params).fit(X, y).predict_proba(X)
    same = np.allclose(again, clf.predict_proba(X), rtol=1e-5)
    os._exit(0 if same else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs a system that forks")
def test_fit_and_predict_in_a_forked_child(monkeypatch):
    """A child whose parent ran torch on two threads neither hangs nor differs."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    assert subprocess.run(command, check=False).returncode == 0


def draws(module, *args):
    """Return what a module in training mode gives at a seed, and check the global generator."""
    before = torch.get_rng_state()
    with FitRandom(3):
        result = module(*args)
    assert torch.equal(torch.get_rng_state(), before)
    return result[0] if isinstance(result, tuple) else result


SEQUENCE = torch.ones(2, 5, 8)
MODULES = {
    "dropout": (nn.Dropout(0.5), SEQUENCE),
    "dropout in place": (nn.Dropout(0.5, inplace=True), SEQUENCE.clone()),
    "dropout of channels": (nn.Dropout1d(0.5), SEQUENCE),
    "alpha dropout": (nn.AlphaDropout(0.5), SEQUENCE),
    "rrelu": (nn.RReLU(), -SEQUENCE),
    "gru": (nn.GRU(8, 4, 2, dropout=0.5, batch_first=True), SEQUENCE),
    "lstm": (nn.LSTM(8, 4, 2, dropout=0.5, batch_first=True), SEQUENCE),
    "attention": (nn.MultiheadAttention(8, 2, dropout=0.5), SEQUENCE, SEQUENCE, SEQUENCE),
    "transformer": (nn.TransformerEncoderLayer(8, 2, 8, 0.5, batch_first=True), SEQUENCE),
    "sdpa": (lambda q: F.scaled_dot_product_attention(q, q, q, dropout_p=0.5), SEQUENCE),
    "gumbel": (F.gumbel_softmax, SEQUENCE),
    "like": (torch.rand_like, SEQUENCE),
    "bernoulli": (torch.bernoulli, SEQUENCE / 2),
    "new": (torch.randn, (3, 4)),
}


@pytest.mark.parametrize("name", MODULES)
def test_whatever_draws_draws_from_the_fit(name):
    """The same seed gives the same draws, and torch's own generator stays where it is."""
    module, *args = MODULES[name]
    if isinstance(module, nn.Module):
        module.train()
    copies = [[a.clone() if torch.is_tensor(a) else a for a in args] for _ in range(2)]
    one, two = (draws(module, *copy) for copy in copies)
    assert torch.equal(one, two)
    torch.manual_seed(0)
    torch.rand(7)
    assert torch.equal(draws(module, *[a.clone() if torch.is_tensor(a) else a for a in args]), one)


def test_initial_weights_have_torch_s_distribution():
    """The generator changes, the law does not: bounds and spread of a linear layer."""
    with FitRandom(0):
        weight = nn.Linear(100, 1000).weight
    assert weight.abs().max() <= 0.1 and abs(weight.std().item() - 0.2 / 12**0.5) < 1e-3


def test_attention_with_dropout_has_the_mean_of_that_without():
    """Written out, it is attention: over many draws its mean is the result without dropout."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 3, 4, dtype=torch.float64) for _ in range(3))
    mask = torch.tensor([[[True, True, False]]])
    wide = [t.expand(20_000, -1, -1) for t in (q, k, v)]
    with FitRandom(0):
        dropped = F.scaled_dot_product_attention(*wide, attn_mask=mask, dropout_p=0.3)
        whole = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(dropped.mean(dim=0, keepdim=True), whole, atol=0.05, rtol=0)


def test_modes_of_other_threads_do_not_reach_this_one():
    """A thread inside its own FitRandom leaves this one's draws with the global generator."""
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with FitRandom(0):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    torch.manual_seed(5)
    drawn = torch.rand(3)
    leave.set()
    thread.join()
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)


def test_dropout_of_a_user_s_module_belongs_to_the_fit():
    """A subclass with torch's own layers is as repeatable as ours."""

    class Own(BaseTorchClassifier):
        early_stopping: bool = False

        def _build_module(self, n_features, n_classes):
            return nn.Sequential(nn.Linear(n_features, 8), nn.Dropout(0.5), nn.Linear(8, n_classes))

    test_fits_in_threads_are_those_of_one_thread(Own(**SHORT))
