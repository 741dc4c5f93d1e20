"""The shared parameters do in every classifier what they say, not in the perceptron alone."""

import numpy as np
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from sklearn.base import clone
from torch import nn

from sktraffic.neural_network import (
    CNNLSTM,
    BaseTorchClassifier,
    BiGRUDABert,
    DeepPacketCNN,
    DeepPacketSAE,
    MLPClassifier,
    PacketSequenceClassifier,
    TransformerEnsemble,
)
from sktraffic.neural_network._callbacks import warmup_decay


class Linear(BaseTorchClassifier):
    """The least that a subclass of `BaseTorchClassifier` can be."""

    def _build_module(self, n_features, n_classes):
        return nn.Linear(n_features, n_classes)


SHORT = {"max_epochs": 2, "batch_size": 20, "lr": 0.01, "random_state": 0, "early_stopping": False}
CLASSIFIERS = [
    Linear(**SHORT),
    MLPClassifier((16,), **SHORT),
    TransformerEnsemble(2, d_token=8, n_heads=2, n_layers=1, **SHORT),
    BiGRUDABert(hidden_size=8, n_layers=1, n_heads=2, gru_hidden_size=4, warmup_ratio=0, **SHORT),
    DeepPacketCNN((4, 4), hidden_sizes=(8,), **SHORT),
    DeepPacketSAE((16, 8), pretrain_epochs=1, **SHORT),
    CNNLSTM((4,), lstm_hidden_size=8, hidden_sizes=(8,), **SHORT),
    PacketSequenceClassifier(
        n_channels=8, n_blocks=1, dropout=0, size_dropout=0, warmup_ratio=0, **SHORT
    ),
]
every = pytest.mark.parametrize("clf", CLASSIFIERS, ids=lambda clf: type(clf).__name__)


@pytest.fixture(scope="module")
def rows():
    """Return the same row 60 times, "web" 50 and "vpn" 10 times: only the shares can be learned."""
    X = np.random.default_rng(0).integers(1, 10, size=(1, 12)).repeat(60, axis=0)
    return X, np.repeat(["web", "vpn"], [50, 10])


REMEDIES = {
    "none": ({}, 1 / 6),
    "class_weight, up": ({"class_weight": {"vpn": 20.0}}, 200 / 250),
    "class_weight, down": ({"class_weight": {"vpn": 0.1}}, 1 / 51),
    "weighted_sampling": ({"weighted_sampling": True}, 1 / 2),
    "resampler": ({"resampler": RandomOverSampler()}, 1 / 2),
}


@every
@pytest.mark.parametrize("remedy", REMEDIES)
def test_remedies_change_the_shares_that_are_learned(clf, remedy, rows):
    """With the cross-entropy the probability of a class becomes its weighted share."""
    params, share = REMEDIES[remedy]
    fitted = clone(clf).set_params(max_epochs=25, lr=0.03, gamma=0.0, **params).fit(*rows)
    assert fitted.predict_proba(rows[0][:1])[0, 0] == pytest.approx(share, abs=0.15)


@every
def test_verbose_prints_a_line_an_epoch(clf, rows, capsys):
    """As many lines that begin with an epoch's number as epochs, of every member; else silence."""
    clone(clf).fit(*rows)
    assert capsys.readouterr().out == ""
    fitted = clone(clf).set_params(verbose=1).fit(*rows)
    numbers = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert sum(number.isdigit() for number in numbers) >= np.sum(fitted.n_epochs_)


@every
def test_warm_start_goes_on(clf, rows):
    """Epochs add up from fit to fit, and begin anew without it."""
    warm = clone(clf).set_params(warm_start=True).fit(*rows)
    before = warm.predict_proba(rows[0])
    warm.fit(*rows)
    assert np.all(np.array(warm.n_epochs_) == 4)
    assert not np.array_equal(warm.predict_proba(rows[0]), before)
    cold = clone(clf).fit(*rows).fit(*rows)
    assert np.all(np.array(cold.n_epochs_) == 2)
    np.testing.assert_array_equal(cold.predict_proba(rows[0]), before)


@every
def test_warmup_reaches_the_optimizer(clf, rows):
    """The learning rate of every step is that of the schedule: 2 epochs of 3 steps."""
    rates = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    clone(clf).set_params(warmup_ratio=0.5, net_params={"optimizer": Spy}).fit(*rows)
    expected = [0.01 * warmup_decay(i, 6, 0.5) for i in range(6)]
    # the auto-encoders of DeepPacketSAE come before the classifier, the ensemble has two members
    members = len(rates) // 6 if isinstance(clf, TransformerEnsemble) else 1
    np.testing.assert_allclose(rates[-6 * members :], expected * members)


@every
def test_monitor_without_a_validation_part_has_no_effect(clf, rows):
    """So it is refused; with rows to watch it is a column of the history."""
    with pytest.raises(ValueError, match="monitor='f1_macro' has no effect with early_stopping"):
        clone(clf).set_params(monitor="f1_macro").fit(*rows)
    X, y = rows
    watched = clone(clf).set_params(monitor="f1_macro").fit(X, y, X_valid=X, y_valid=y)
    assert "f1_macro" in watched.history_
