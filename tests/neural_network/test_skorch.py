"""skorch's callbacks in ``net_params``, and Ctrl-C that comes early."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LoadInitState,
)
from skorch.utils import noop

from sktraffic.neural_network import DeepPacketSAE, MLPClassifier, TransformerEnsemble
from sktraffic.neural_network._callbacks import warmup_decay

SMALL = {"max_epochs": 4, "random_state": 0, "device": "cpu", "early_stopping": False}
TINY = {"d_token": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8}
X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.repeat([0, 1, 2], 20)


def mlp(**params):
    """Return a small MLP."""
    return MLPClassifier(hidden_sizes=(8,), **{**SMALL, **params})


def interrupt():
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def test_interrupt_before_the_first_epoch_is_over():
    """Ctrl-C then is Ctrl-C: nothing was learned, and no estimator says that it can be used."""

    class Hit(Callback):
        def on_batch_begin(self, net, **kwargs):
            raise KeyboardInterrupt

    own = {"net_params": {"callbacks": [Hit()]}}
    for clf in (mlp(**own), TransformerEnsemble(2, **TINY, **SMALL, **own)):
        with pytest.raises(KeyboardInterrupt):
            clf.fit(X, Y)
        with pytest.raises(NotFittedError):
            clf.predict(X)
    coder = DeepPacketSAE((8,), **SMALL, **own)
    with pytest.raises(KeyboardInterrupt):
        coder.fit(X, Y)


def test_interrupt_in_pretraining_is_no_fit(monkeypatch):
    """Layers that learned to code are no classifier yet."""
    monkeypatch.setattr(
        "sktraffic.neural_network._deep_packet_sae._MeanSquare.forward",
        lambda *args: interrupt(),
    )
    clf = DeepPacketSAE((8,), **SMALL)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert not clf.__sklearn_is_fitted__()


SCORINGS = [
    EpochScoring("accuracy", lower_is_better=False, name="mine"),
    EpochScoring("accuracy", lower_is_better=False, on_train=True, name="mine"),
    EpochScoring("f1_macro", lower_is_better=False, use_caching=False, name="mine"),
    EpochScoring("neg_log_loss", lower_is_better=False, name="mine"),
    BatchScoring("accuracy", lower_is_better=False, name="mine"),
    BatchScoring("accuracy", lower_is_better=False, on_train=True, name="mine"),
    BatchScoring("accuracy", lower_is_better=False, use_caching=False, name="mine"),
]


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_skorch_are_recorded(scoring, weighted):
    """Skorch's scoring callbacks find rows, targets and classes, with weights and without."""
    weight = np.linspace(1, 2, 60) if weighted else None
    own = {"early_stopping": True, "net_params": {"callbacks": [("score", scoring)]}}
    for clf in (mlp(**own), TransformerEnsemble(2, **TINY, **{**SMALL, **own})):
        history = clf.fit(X, Y, sample_weight=weight).history_
        assert np.isfinite(history["mine"]).all()
        if scoring.scoring == "accuracy" and not scoring.on_train and not weighted:
            np.testing.assert_allclose(history["mine"], history["accuracy"])


def test_early_stopping_of_skorch_is_no_interruption(recwarn):
    """A fit that skorch's callback ends is a fit; in an ensemble all members are fitted."""
    stop = EarlyStopping("train_loss", patience=1, threshold=10.0, threshold_mode="abs")
    own = {"net_params": {"callbacks": [stop]}}
    assert mlp(**own).fit(X, Y).n_epochs_ == 2
    assert TransformerEnsemble(3, **TINY, **SMALL, **own).fit(X, Y).n_epochs_.tolist() == [2] * 3
    assert not recwarn.list


def test_best_epoch_is_that_of_skorch_s_early_stopping():
    """Where skorch's callback puts the best weights back, that epoch is the one that is kept."""
    stop = EarlyStopping("train_loss", patience=2, load_best=True, sink=noop)
    clf = mlp(lr=5.0, max_epochs=30, net_params={"callbacks": [stop]}).fit(X, Y)
    losses = clf.history_["train_loss"]
    assert clf.best_epoch_ == losses.argmin() + 1 < clf.n_epochs_


@pytest.mark.parametrize("warmup_ratio", [0.0, 0.5])
def test_checkpoint_of_skorch_goes_on_to_the_same_number_of_epochs(tmp_path, warmup_ratio):
    """A fit that was cut is loaded: epochs, weights and learning rate go on from there."""
    rates = []

    class Rates(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    def fit(*more):
        checkpoint = Checkpoint(dirname=tmp_path, monitor=None)
        callbacks = [checkpoint, LoadInitState(checkpoint), *more]
        clf = mlp(batch_size=20, warmup_ratio=warmup_ratio, net_params={"callbacks": callbacks})
        return clf.fit(X, Y)

    class Cut(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise RuntimeError("lights out")

    with pytest.raises(RuntimeError, match="lights out"):
        fit(Cut(), Rates())
    clf = fit(Rates())
    assert clf.n_epochs_ == 4 and clf.history_["epoch"].tolist() == [1, 2, 3, 4]
    schedule = [warmup_decay(i, 12, 0.5) if warmup_ratio else 1.0 for i in range(12)]
    np.testing.assert_allclose(np.array(rates)[[*range(6), *range(6, 12)]] / 0.004, schedule)


def test_memory_of_batches_is_given_back():
    """The history of the net keeps the last epochs' batches only."""
    history = mlp(batch_size=10).fit(X, Y).net_.history
    assert [len(row["batches"]) for row in history[:-2]] == [0] * (len(history) - 2)
