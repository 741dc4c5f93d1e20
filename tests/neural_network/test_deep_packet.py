"""DeepPacketCNN and DeepPacketSAE: scikit-learn's checks, bytes, pre-training, errors."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktraffic.neural_network import DeepPacketCNN, DeepPacketSAE
from sktraffic.neural_network._deep_packet_sae import pretrain_layers
from sktraffic.nn import DeepPacketSAENet

# exact to 1e-7 where scikit-learn asks for it: one batch, no dropout, float64
EXACT = {"dropout": 0.0, "lr": 0.02, "max_epochs": 20, "early_stopping": False}
EXACT |= {"precision": "float64", "random_state": 0}
TINY = {"lr": 0.01, "batch_size": 32, "max_epochs": 10, "random_state": 0}
TINY_CNN = DeepPacketCNN((8, 8), hidden_sizes=(16,), **TINY)
TINY_SAE = DeepPacketSAE((32, 16), **TINY)


@parametrize_with_checks(
    [
        DeepPacketCNN((8, 8), hidden_sizes=(16,), **EXACT),
        DeepPacketSAE((8, 4), pretrain_epochs=3, **EXACT),
    ]
)
def test_is_a_classifier(estimator, check):
    """Both are scikit-learn classifiers of tables."""
    check(estimator)


@pytest.fixture(scope="module")
def packets():
    """Forty bytes of two protocols: a request's letters, or a record header and random bytes."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (300, 40), dtype=np.uint8)
    http = rng.random(300) < 0.5
    X[http] = rng.integers(32, 127, (http.sum(), 40), dtype=np.uint8)
    X[~http, :3] = (22, 3, 1)
    return X, np.where(http, "http", "tls")


def test_defaults_are_the_paper_s():
    """Lotfollahi et al. (2020): layer sizes, kernels, strides, dropout."""
    cnn, sae = DeepPacketCNN(), DeepPacketSAE()
    assert (cnn.n_filters, cnn.kernel_sizes, cnn.strides) == ((200, 200), (4, 5), (3, 1))
    assert (cnn.hidden_sizes, cnn.dropout) == ((200, 100, 50), 0.05)
    assert (sae.hidden_sizes, sae.dropout) == ((400, 300, 200, 100, 50), 0.05)


@pytest.mark.parametrize("clf", [TINY_CNN, TINY_SAE])
def test_learns_bytes(packets, clf):
    """Two protocols are told apart on unseen packets."""
    X, y = packets
    clf = clone(clf).fit(X[:200], y[:200])
    assert clf.score(X[200:], y[200:]) > 0.95


@pytest.mark.parametrize("clf", [TINY_CNN, TINY_SAE])
def test_integers_are_bytes_and_floats_are_used_as_they_are(packets, clf):
    """Bytes, whatever their integer type or container, are what they are over 255."""
    X, y = packets
    clf = clone(clf).set_params(max_epochs=2)
    scaled = clone(clf).fit(X[:60].astype(np.float32) / np.float32(255), y[:60])
    want = scaled.predict_proba(X[60:90].astype(np.float32) / np.float32(255))
    for form in (lambda x: x, lambda x: x.astype(np.int64), pd.DataFrame, lambda x: x.tolist()):
        got = clone(clf).fit(form(X[:60]), y[:60])
        assert_allclose(got.predict_proba(form(X[60:90])), want, rtol=1e-5)
    assert_allclose(got.predict_proba(X[60:90].astype(float)), want, rtol=1e-5)


def test_pretraining_is_part_of_the_fit(packets):
    """Every layer's error falls; without pre-training there is none; both are reproducible."""
    X, y = packets
    one, two = (clone(TINY_SAE).fit(X, y) for _ in range(2))
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    history = one.pretrain_history_
    assert history.columns.tolist() == ["layer", "epoch", "loss"]
    assert history.groupby("layer").size().to_dict() == {1: 10, 2: 10}
    falls = history.groupby("layer")["loss"].agg(["first", "last"])
    assert (falls["last"] < falls["first"]).all()
    none = clone(TINY_SAE).set_params(pretrain_epochs=0).fit(X, y)
    assert none.pretrain_history_.empty
    assert not np.allclose(none.predict_proba(X), one.predict_proba(X))


def test_warm_start_does_not_pretrain_again(packets):
    """Fine-tuning goes on; the layers are not coded anew."""
    X, y = packets
    clf = clone(TINY_SAE).set_params(warm_start=True, max_epochs=2).fit(X, y)
    history = clf.pretrain_history_
    clf.fit(X, y)
    assert clf.n_epochs_ == 4
    pd.testing.assert_frame_equal(clf.pretrain_history_, history)


@pytest.mark.parametrize(
    ("clf", "message"),
    [
        (DeepPacketCNN(n_filters=(8,)), "n_filters must hold 2 positive integers, got .8,."),
        (DeepPacketCNN(kernel_sizes=(4, 0)), "kernel_sizes must hold 2 positive integers"),
        (DeepPacketCNN(strides=(1.5, 1)), "strides must hold 2 positive integers"),
        (DeepPacketCNN(hidden_sizes=(0,)), "hidden_sizes must hold positive integers"),
        (DeepPacketSAE(hidden_sizes=()), "hidden_sizes must hold positive integers, got .."),
        (DeepPacketSAE(pretrain_lr=0), "pretrain_lr"),
    ],
)
def test_bad_parameters_are_errors(packets, clf, message):
    """Checked in fit; the message names the parameter and what came."""
    with pytest.raises(ValueError, match=message):
        clf.fit(*packets)


def test_pretraining_lowers_every_layer_s_error():
    """Bytes of three ranks can be coded: each layer's error falls, and the weights change."""
    torch.manual_seed(0)
    X = torch.rand(256, 3) @ torch.rand(3, 30) / 3
    net = DeepPacketSAENet(30, 2, hidden_sizes=(20, 10, 5))
    before = [p.clone() for p in net.layers.parameters()]
    head = net.head.weight.clone()
    losses = pretrain_layers(net, X, lr=1e-2, batch_size=64, max_epochs=15)
    assert [len(layer) for layer in losses] == [15, 15, 15]
    assert all(layer[-1] < 0.5 * layer[0] for layer in losses)
    assert all(not torch.equal(a, b) for a, b in zip(before, net.layers.parameters(), strict=True))
    assert torch.equal(net.head.weight, head)


def test_pretraining_is_greedy():
    """Learning a layer leaves those below as they were when they were done."""
    torch.manual_seed(0)
    X = torch.rand(64, 8)
    deep = DeepPacketSAENet(8, 2, hidden_sizes=(6, 4), dropout=0)
    shallow = DeepPacketSAENet(8, 2, hidden_sizes=(6,), dropout=0)
    shallow.layers[0].load_state_dict(deep.layers[0].state_dict())
    for net in (deep, shallow):
        pretrain_layers(net, X, max_epochs=3, batch_size=16)
    torch.testing.assert_close(deep.layers[0][0].weight, shallow.layers[0][0].weight)


def test_weights_in_pretraining_are_repetitions():
    """A row of weight 2 is a row that stands there twice."""
    torch.manual_seed(0)
    X = torch.rand(20, 8, dtype=torch.float64)
    weight = torch.tensor([2.0, 1.0] * 10, dtype=torch.float64)
    repeated = torch.repeat_interleave(X, weight.long(), dim=0)
    nets = []
    for rows, w in ((X, weight), (repeated, None)):
        torch.manual_seed(1)
        w = None if w is None else w / w.mean()
        nets.append(DeepPacketSAENet(8, 2, hidden_sizes=(6, 4), dropout=0).double())
        pretrain_layers(nets[-1], rows, w, max_epochs=5)
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)
