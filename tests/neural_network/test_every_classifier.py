"""What all share holds in each, not in the perceptron alone: parameters, state, pickles, errors."""

import os
import pickle
import pickletools
import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
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
    MaskedByteModel,
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
SHORT = {name: value for name, value in SHORT.items() if name != "early_stopping"}
ESTIMATORS = [*CLASSIFIERS, MaskedByteModel(hidden_size=8, n_layers=1, n_heads=2, **SHORT)]
each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
X = np.random.default_rng(0).integers(1, 10, size=(60, 12))
Y = np.repeat(["web", "vpn"], 30)
# another structure than that of each: what set_params after a fit must not touch
OTHERS = {
    "Linear": {"lr": 1.0},
    "MLPClassifier": {"hidden_sizes": (9,), "activation": "tanh"},
    "TransformerEnsemble": {"n_members": 5, "d_token": 16, "n_heads": 4},
    "BiGRUDABert": {"hidden_size": 64, "vocab_size": 3, "max_length": 2, "attention": None},
    "DeepPacketCNN": {"n_filters": (9, 9)},
    "DeepPacketSAE": {"hidden_sizes": (9,)},
    "CNNLSTM": {"n_filters": (9,)},
    "PacketSequenceClassifier": {"n_channels": 16, "n_blocks": 2},
    "MaskedByteModel": {"hidden_size": 32, "vocab_size": 5, "max_length": 3},
}


def answers(fitted, rows=X):
    """Return what a fitted estimator says of rows."""
    return getattr(fitted, "predict_proba", getattr(fitted, "transform", None))(rows)


def nets(fitted):
    """Return the nets of a fitted estimator."""
    return [member.net_ for member in getattr(fitted, "members_", [fitted])]


@each
def test_set_params_after_a_fit_and_a_pickle_change_no_answer(estimator):
    """Parameters wait for the next fit; a pickle holds arrays and names nothing of torch."""
    fitted = clone(estimator).fit(X, Y)
    before = answers(fitted)
    name = type(estimator).__name__
    fitted.set_params(**OTHERS[name], precision="float64")
    stream = pickle.dumps(fitted)
    words = {arg for _, arg, _ in pickletools.genops(stream) if isinstance(arg, str)}
    assert name in words
    assert not {word for word in words if word.startswith(("torch", "skorch", "transformers"))}
    loaded = pickle.loads(stream)
    np.testing.assert_array_equal(answers(fitted), before)
    np.testing.assert_array_equal(answers(loaded), before)
    pd.testing.assert_frame_equal(loaded.history_, fitted.history_)
    fitted.set_params(**estimator.get_params(deep=False)).set_params(precision="float64").fit(X, Y)
    assert next(nets(fitted)[0].module_.parameters()).dtype is torch.float64


@each
def test_another_seed_is_another_fit(estimator):
    """And None is a new one every time."""
    fits = [clone(estimator).set_params(random_state=s).fit(X, Y) for s in (1, 2, None, None)]
    for one, two in combinations(fits, 2):
        assert not np.array_equal(answers(one), answers(two))


@each
def test_bfloat16_keeps_float32_weights(estimator):
    """Half precision inside: losses as with whole precision, up to its rounding."""
    whole = clone(estimator).fit(X, Y)
    half = clone(estimator).set_params(precision="bfloat16").fit(X, Y)
    assert {p.dtype for net in nets(half) for p in net.module_.parameters()} == {torch.float32}
    assert answers(half).dtype in (np.float32, np.float64) and np.isfinite(answers(half)).all()
    np.testing.assert_allclose(half.history_["train_loss"], whole.history_["train_loss"], rtol=0.05)


@every
def test_a_loaded_classifier_goes_on_training(clf):
    """partial_fit after a pickle is one epoch more."""
    loaded = pickle.loads(pickle.dumps(clone(clf).fit(X, Y))).partial_fit(X, Y)
    assert np.all(np.array(loaded.n_epochs_) == 3)


@every
def test_bad_input_is_an_error(clf):
    """NaN, one class, another width."""
    with pytest.raises(ValueError, match="contains NaN"):
        clone(clf).fit(np.where(X == 3, np.nan, X), Y)
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        clone(clf).fit(X, ["vpn"] * len(X))
    with pytest.raises(ValueError, match="features"):
        clone(clf).fit(X, Y).predict(X[:, :9])


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
    # an epoch draws 60 of 100 rows, others each time: many small steps
    "resampler": ({"resampler": RandomOverSampler(), "max_epochs": 120, "lr": 0.005}, 1 / 2),
}


@every
@pytest.mark.parametrize("remedy", REMEDIES)
def test_remedies_change_the_shares_that_are_learned(clf, remedy, rows):
    """With the cross-entropy the probability of a class becomes its weighted share."""
    params, share = REMEDIES[remedy]
    params = {"max_epochs": 25, "lr": 0.03, "gamma": 0.0} | params
    fitted = clone(clf).set_params(**params).fit(*rows)
    assert fitted.predict_proba(rows[0][:1])[0, 0] == pytest.approx(share, abs=0.15)


@each
def test_verbose_prints_a_line_an_epoch(estimator, capsys):
    """As many lines that begin with an epoch's number as epochs, of every member; else silence."""
    clone(estimator).fit(X, Y)
    assert capsys.readouterr().out == ""
    fitted = clone(estimator).set_params(verbose=1).fit(X, Y)
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


# ----------------------------------------------------------------- on a GPU

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
ELSEWHERE = """
import pickle, sys
import numpy as np
fitted, rows = pickle.load(open(sys.argv[1], "rb"))
answers = getattr(fitted, "predict_proba", getattr(fitted, "transform", None))(rows)
np.save(sys.argv[2], answers)
"""


@gpu
@each
def test_a_fit_on_a_gpu_answers_alike_on_a_machine_without(estimator, tmp_path):
    """Its pickle is read in a process that sees no CUDA; products are rounded otherwise there."""
    fitted = clone(estimator).set_params(device="cuda").fit(X, Y)
    assert all(net.device.type == "cuda" for net in nets(fitted))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((fitted, X)))
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, tmp_path / "model.pkl", tmp_path / "answers.npy"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=True,
    )
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), answers(fitted), atol=1e-2)


@gpu
@each
def test_a_gpu_learns_what_the_cpu_learns(estimator):
    """Where nothing is drawn in training, order, first weights and steps are those of the CPU."""
    drawn = ("dropout", "jitter", "packet_loss")  # each device has generators of its own
    names = [name for name in estimator.get_params() if name.endswith(drawn)]
    # training makes much of a rounding, of float32 on tensor cores (TF32) above all
    estimator = clone(estimator).set_params(**dict.fromkeys(names, 0.0), precision="float64")
    here, there = (clone(estimator).set_params(device=d).fit(X, Y) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(answers(there), answers(here), atol=1e-6)


@gpu
@each
def test_a_fit_on_a_gpu_repeats_and_leaves_the_global_generator(estimator):
    """Dropout on the card is drawn from the fit's own generators."""
    estimator = clone(estimator).set_params(device="cuda")
    before = torch.cuda.get_rng_state()
    first = answers(estimator.fit(X, Y))
    assert torch.equal(torch.cuda.get_rng_state(), before)
    np.testing.assert_allclose(answers(clone(estimator).fit(X, Y)), first, atol=1e-3)


@gpu
@every
def test_bfloat16_on_a_gpu(clf):
    """Half of the bits on the card, probabilities outside."""
    fitted = clone(clf).set_params(device="cuda", precision="bfloat16").fit(X, Y)
    np.testing.assert_allclose(answers(fitted).sum(axis=1), 1, atol=1e-6)
