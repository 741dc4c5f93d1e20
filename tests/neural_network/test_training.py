"""How a fit goes: monitors, early stopping, schedule, history, going on with a fit."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from sktraffic.neural_network import MLPClassifier
from sktraffic.neural_network._callbacks import warmup_decay
from sktraffic.neural_network._scores import MONITORS, confusion, scores

# the paper's perceptron, which stops early, at a constant rate
SMALL = {
    "hidden_sizes": (8,), "max_epochs": 3, "lr": 0.01, "random_state": 0, "device": "cpu",
    "embedding": "linear", "early_stopping": True, "warmup_ratio": 0.0, "batch_size": 4096,
}  # fmt: skip


def mlp(**params):
    return MLPClassifier(**{**SMALL, **params})


@pytest.fixture(scope="module")
def blobs():
    """Return 120 rows of three classes that overlap a little."""
    return make_blobs(120, centers=3, cluster_std=2.0, random_state=0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true:UserWarning")
def test_monitors_are_scikit_learns(rng, weighted):
    """Scores from the confusion matrix equal scikit-learn's, also with absent classes."""
    for n_true in (2, 4):
        target, predicted = rng.integers(n_true, size=50), rng.integers(4, size=50)
        weight = rng.random(50) if weighted else None
        ours = scores(confusion(target, predicted, 5, weight))
        shared = {"sample_weight": weight}
        expected = {
            "accuracy": accuracy_score(target, predicted, **shared),
            "balanced_accuracy": balanced_accuracy_score(target, predicted, **shared),
            "f1_macro": f1_score(target, predicted, average="macro", zero_division=0, **shared),
            "f1_weighted": f1_score(
                target, predicted, average="weighted", zero_division=0, **shared
            ),
        }
        assert ours.keys() == expected.keys() == MONITORS.keys() - {"valid_loss"}
        for name, value in expected.items():
            np.testing.assert_allclose(ours[name], value, err_msg=name)


@pytest.mark.parametrize("monitor", sorted(MONITORS))
def test_best_weights_are_restored(blobs, monitor):
    """The kept epoch is the first with the best score, and the weights are that epoch's."""
    params = {**SMALL, "lr": 0.3, "monitor": monitor, "validation_fraction": 0.4}
    clf = MLPClassifier(**{**params, "max_epochs": 12}).fit(*blobs)
    watched = MONITORS[monitor] * clf.history_[monitor]
    assert clf.best_epoch_ == watched.argmax() + 1
    again = MLPClassifier(**{**params, "max_epochs": int(clf.best_epoch_)}).fit(*blobs)
    np.testing.assert_array_equal(clf.predict_proba(blobs[0]), again.predict_proba(blobs[0]))


def test_patience_ends_the_fit(blobs):
    """It ends exactly ``patience`` epochs after the best one."""
    clf = mlp(max_epochs=200, patience=4).fit(*blobs)
    assert clf.n_epochs_ == clf.best_epoch_ + 4 < 200


def test_without_early_stopping_all_epochs_run(blobs):
    """Nothing is cut, nothing watched, and the last weights are kept."""
    clf = mlp(early_stopping=False).fit(*blobs)
    assert clf.n_epochs_ == clf.best_epoch_ == 3
    assert list(clf.history_) == ["epoch", "train_loss", "dur"]


def test_history_has_one_row_an_epoch(blobs):
    """Losses and scores of every epoch, numbered from 1."""
    history = mlp().fit(*blobs).history_
    expected = {"epoch", "train_loss", "valid_loss", "f1_weighted", "accuracy", "dur"}
    assert set(history) == expected and history["epoch"].tolist() == [1, 2, 3]
    assert np.isfinite(history.to_numpy()).all()


def test_first_training_loss_is_the_mean_over_rows(blobs):
    """With a learning rate of almost 0 it is the initial network's loss, whatever the batches."""
    losses = [
        mlp(lr=1e-12, batch_size=size, max_epochs=1, early_stopping=False, dropout=0.0)
        .fit(*blobs)
        .history_["train_loss"][0]
        for size in (7, 64, 1000)
    ]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def test_schedule_by_hand():
    """Ten steps, 20 % warm-up: up in two steps, then down by eighths, never 0."""
    factors = [warmup_decay(step, 10, 0.2) for step in range(10)]
    expected = [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    np.testing.assert_allclose(factors, expected)


def test_schedule_reaches_the_optimizer(blobs):
    """Each step has the learning rate of the schedule, and the net its own again afterwards."""
    rates = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    clf = mlp(
        warmup_ratio=0.5, batch_size=30, early_stopping=False,
        net_params={"optimizer": Spy},
    ).fit(*blobs)  # fmt: skip
    np.testing.assert_allclose(rates, [0.01 * warmup_decay(i, 12, 0.5) for i in range(12)])
    assert clf.net_.optimizer_.param_groups[0]["lr"] == 0.01


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_gamma_of_zero_trains_with_cross_entropy(blobs, gamma):
    """At gamma = 0 the network is the one of torch's own cross-entropy, otherwise not."""
    X, y = blobs
    one = mlp(gamma=gamma).fit(X, y).predict_proba(X)
    own = {"net_params": {"criterion": torch.nn.CrossEntropyLoss}}
    other = mlp(**own).fit(X, y).predict_proba(X)
    assert np.array_equal(one, other) == (gamma == 0.0)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_class_weight_raises_a_class(blobs, gamma):
    """Weight on one class raises its mean probability, with either loss."""
    X, y = blobs
    params = {**SMALL, "max_epochs": 15, "early_stopping": False, "gamma": gamma}
    means = [
        mlp(**params, class_weight=weight).fit(X, y).predict_proba(X)[:, 1].mean()
        for weight in (None, {1: 20.0})
    ]
    assert means[1] > means[0] + 0.1


def test_balanced_weight_of_balanced_classes_changes_nothing(blobs):
    """40 rows a class: all balanced weights are one."""
    X, y = blobs
    params = {**SMALL, "early_stopping": False}
    plain, balanced = (mlp(**params, class_weight=w).fit(X, y) for w in (None, "balanced"))
    np.testing.assert_allclose(plain.predict_proba(X), balanced.predict_proba(X), rtol=1e-5)


def test_warm_start_goes_on(blobs):
    """A second fit adds to the history and begins where the first ended."""
    X, y = blobs
    clf = mlp(warm_start=True, early_stopping=False).fit(X, y)
    first = clf.history_["train_loss"].iloc[-1]
    clf.set_params(max_epochs=5).fit(X, y)
    assert clf.history_["epoch"].tolist() == list(range(1, 9))
    assert clf.history_["train_loss"].iloc[3] < first * 1.05
    clf.set_params(warm_start=False).fit(X, y)
    assert clf.n_epochs_ == 5


def test_partial_fit_is_an_epoch(blobs):
    """Epochs by partial_fit, with the same batches, are a fit: optimiser state is carried on."""
    X, y = blobs
    params = {**SMALL, "dropout": 0.0, "early_stopping": False, "precision": "float64"}
    whole = MLPClassifier(**params).fit(X, y)
    parts = MLPClassifier(**params)
    for _ in range(3):
        parts.partial_fit(X, y)
    np.testing.assert_allclose(parts.predict_proba(X), whole.predict_proba(X), rtol=1e-9)


def test_partial_fit_learns_in_chunks(blobs):
    """Chunks without all classes train the network that the first call announced."""
    X, y = blobs
    order = np.argsort(y, kind="stable")
    clf = MLPClassifier(**{**SMALL, "lr": 0.05})
    for start in np.tile(np.arange(0, 120, 40), 20):
        rows = order[start : start + 40]
        clf.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    assert clf.n_epochs_ == 60 and clf.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("monitor", ["f1_weighted", "valid_loss"])
def test_divergence_is_told(blobs, monitor):
    """A loss that is no number is a warning, not a crash, whatever is watched."""
    params = {**SMALL, "lr": 1e30, "max_epochs": 30, "monitor": monitor}
    with pytest.warns(ConvergenceWarning, match=r"training loss of MLPClassifier is (nan|inf)"):
        MLPClassifier(**params).fit(*blobs)


def test_failed_fit_leaves_no_fitted_estimator(blobs):
    """An error in the middle of training is raised, and predict still asks for a fit."""
    from skorch.callbacks import Callback

    class Fail(Callback):
        def on_batch_end(self, net, **kwargs):
            raise RuntimeError("out of memory")

    clf = mlp(net_params={"callbacks": [Fail()]})
    with pytest.raises(RuntimeError, match="out of memory"):
        clf.fit(*blobs)
    with pytest.raises(NotFittedError):
        clf.predict(blobs[0])


def test_bfloat16_trains_and_keeps_float32_weights(blobs):
    """Autocast is inside the steps only; probabilities are near those of float32."""
    X, y = blobs
    clf = MLPClassifier(**{**SMALL, "precision": "bfloat16"}).fit(X, y)
    assert {p.dtype for p in clf.net_.module_.parameters()} == {torch.float32}
    plain = mlp().fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=0.05)


def test_verbose_prints_a_line_an_epoch(blobs, capsys):
    """Silent by default; verbose=1 adds a table with one line an epoch."""
    mlp().fit(*blobs)
    assert capsys.readouterr().out == ""
    mlp(verbose=1).fit(*blobs)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3 and "train_loss" in lines[0]


def test_net_params_reach_skorch(blobs):
    """Callbacks and optimiser settings go to the net; the caller's objects stay untouched."""
    from skorch.callbacks import EpochScoring, GradientNormClipping

    clip = GradientNormClipping(0.1)
    given = {"callbacks": [clip], "optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}
    clf = mlp(net_params=given).fit(*blobs)
    assert clf.net_.optimizer_.param_groups[0]["momentum"] == 0.9
    assert given["callbacks"] == [clip] and EpochScoring not in map(type, given["callbacks"])
