"""Training in pieces gives what training in one piece gives, bit for bit."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import GradientNormClipping

import sktraffic
from sktraffic.neural_network import (
    BiGRUDABert,
    DeepPacketSAE,
    MaskedByteModel,
    MLPClassifier,
    TrainingPaused,
    TransformerEnsemble,
    _resume,
    resumable_training,
)
from sktraffic.neural_network._masked_training import MaskedTraining
from sktraffic.neural_network._net import TensorNet

SHARED = {"random_state": 0, "device": "cpu"}
MLP = MLPClassifier(
    (8, 6), max_epochs=12, lr=0.05, batch_size=32, patience=3, warmup_ratio=0.3,
    resampler=SMOTE(k_neighbors=2), **SHARED,
)  # fmt: skip
MOMENTUM = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}
ENSEMBLE = TransformerEnsemble(
    2, d_token=8, n_heads=2, n_layers=1, d_hidden=8, max_epochs=3, batch_size=32, lr=0.01,
    patience=2, **SHARED,
)  # fmt: skip
SAE = DeepPacketSAE((8, 4), pretrain_epochs=2, max_epochs=3, batch_size=32, lr=0.01, **SHARED)
TINY_BERT = {"hidden_size": 8, "n_layers": 1, "n_heads": 2, "batch_size": 16, "lr": 0.01, **SHARED}
MASKED = MaskedByteModel(13, max_epochs=3, **TINY_BERT)
BERT = BiGRUDABert(13, gru_hidden_size=4, max_epochs=3, warmup_ratio=0.4, **TINY_BERT)
X = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
Y = np.repeat(["a", "b", "c"], (50, 25, 15))
X[Y == "b"] += 1
BYTES = np.random.default_rng(1).integers(0, 256, (90, 12), dtype=np.uint8)
TOKENS = np.random.default_rng(2).integers(1, 12, (50, 6))
TOKENS[::3, 4:] = 0
LABELS = TOKENS[:, 0] % 2


def in_pieces(folder, fit, most=60, **options):
    """Run fit() again and again until it is not paused; returns its result and the pauses."""
    options = {"seconds": 0, "every_seconds": 0, **options}
    pauses = []
    for _ in range(most):
        try:
            with resumable_training(folder, **options):
                return fit(), pauses
        except TrainingPaused as paused:
            pauses.append(paused)
    raise AssertionError(f"not finished in {most} runs")


def weights(model):
    """All weights of a fitted estimator."""
    if isinstance(model, TransformerEnsemble):
        return [w for member in model.members_ for w in weights(member)]
    module = model.module_ if isinstance(model, MaskedByteModel) else model.net_.module_
    return [value.clone() for value in module.state_dict().values()]


def assert_same(one, other):
    """Weights, history but for the seconds, and the kept epoch are equal bit for bit."""
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))
    histories = [m.history_.drop(columns="dur") for m in (one, other)]
    assert list(histories[0]) == list(histories[1])
    assert_array_equal(*histories)
    assert one.history_["dur"].notna().all() and other.history_["dur"].notna().all()
    if not isinstance(one, MaskedByteModel):
        assert_array_equal(one.best_epoch_, other.best_epoch_)


@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (MLP, (X, Y)),
        (clone(MLP).set_params(weighted_sampling=True, precision="float64"), (X, Y)),
        (clone(MLP).set_params(net_params={"callbacks": [GradientNormClipping(0.1)]}), (X, Y)),
        (clone(MLP).set_params(net_params=MOMENTUM), (X, Y)),
        (ENSEMBLE, (X, Y)),
        (SAE, (BYTES, Y)),
        (MASKED, (TOKENS,)),
    ],
    ids=["mlp", "mlp-weighted", "mlp-clipped", "mlp-momentum", "ensemble", "sae", "masked"],
)
def test_a_pause_after_every_epoch_changes_nothing(estimator, data, tmp_path):
    """As many runs as epochs; weights, history, kept epoch and predictions are the same."""
    whole = clone(estimator).fit(*data)
    parts, pauses = in_pieces(tmp_path, lambda: clone(estimator).fit(*data))
    n_epochs = len(whole.history_) + len(getattr(whole, "pretrain_history_", ()))
    assert len(pauses) == n_epochs - 1  # an epoch a run, and the last run ends
    assert_same(whole, parts)
    predict = "transform" if estimator is MASKED else "predict_proba"
    assert_array_equal(getattr(whole, predict)(data[0]), getattr(parts, predict)(data[0]))
    if estimator is SAE:
        assert_array_equal(whole.pretrain_history_, parts.pretrain_history_)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("estimator", "data"), [(MLP, (X, Y)), (SAE, (BYTES, Y))])
def test_the_generator_of_a_gpu_is_resumed(estimator, data, tmp_path):
    """Dropout on the GPU draws from its own generator; a state of the CPU is refused there."""
    clf = clone(estimator).set_params(device="cuda")
    parts, _ = in_pieces(tmp_path, lambda: clone(clf).fit(*data))
    assert_same(clone(clf).fit(*data), parts)
    with pytest.raises(ValueError, match=r"device \(saved cuda, now cpu\)"):
        with resumable_training(tmp_path):
            clone(estimator).fit(*data)


def test_early_stopping_is_among_what_is_resumed():
    """The first case above stops early, and keeps weights that are not its last."""
    whole = clone(MLP).fit(X, Y)
    assert whole.best_epoch_ < whole.n_epochs_ < 12


@pytest.mark.parametrize("from_folder", [False, True])
def test_pretraining_and_classifier_in_one_context(tmp_path, from_folder):
    """BERT is pre-trained by one fit and taken up by the next, both paused at each epoch."""

    def fit(kept):
        model = clone(MASKED).fit(TOKENS)
        if from_folder:
            model.save_pretrained(kept)
            model = str(kept)
        return clone(BERT).set_params(pretrained=model).fit(TOKENS, LABELS)

    whole = fit(tmp_path / "a")
    parts, pauses = in_pieces(tmp_path / "state", lambda: fit(tmp_path / "b"))
    assert [(p.fit, p.epoch, p.n_epochs) for p in pauses] == [
        (0, 1, 3), (0, 2, 3), (1, 0, 3), (1, 1, 3), (1, 2, 3),
    ]  # fmt: skip
    assert_same(whole, parts)
    assert_array_equal(whole.predict_proba(TOKENS), parts.predict_proba(TOKENS))


def test_without_a_seed_the_drawn_one_is_kept(tmp_path):
    """With random_state=None a paused fit goes on with its own seed, another folder has another."""
    for model, data in (
        (clone(MLP), (X, Y)),
        (clone(ENSEMBLE), (X, Y)),
        (clone(MASKED), (TOKENS,)),
    ):
        model.set_params(random_state=None)
        folder = tmp_path / type(model).__name__
        first, _ = in_pieces(folder, lambda model=model, data=data: clone(model).fit(*data))
        again, _ = in_pieces(folder, lambda model=model, data=data: clone(model).fit(*data))
        assert_same(first, again)
        other, _ = in_pieces(
            folder / "other", lambda model=model, data=data: clone(model).fit(*data)
        )
        assert not torch.equal(weights(first)[0], weights(other)[0])


def test_a_random_state_advances_as_without(tmp_path):
    """Of two fits with one generator both are those of an uninterrupted run."""

    def fit():
        generator = np.random.RandomState(3)
        return [clone(MLP).set_params(random_state=generator).fit(X, Y) for _ in range(2)]

    for whole, part in zip(fit(), in_pieces(tmp_path, fit)[0], strict=True):
        assert_same(whole, part)


def test_warm_start_is_resumed(tmp_path):
    """A continued fit is a fit of its own, from the weights and moments of the one before."""

    def fit(estimator):
        clf = clone(estimator).set_params(warm_start=True, max_epochs=3).fit(X, Y)
        return clf.set_params(max_epochs=4, lr=0.02).fit(X, Y)

    for i, estimator in enumerate((MLP, ENSEMBLE)):
        assert_same(fit(estimator), in_pieces(tmp_path / str(i), lambda e=estimator: fit(e))[0])


@pytest.mark.parametrize(
    ("estimator", "data"),
    [(MLP, (X, Y)), (ENSEMBLE, (X, Y)), (SAE, (BYTES, Y)), (MASKED, (TOKENS,))],
)
def test_a_paused_estimator_is_not_fitted(estimator, data, tmp_path):
    """Also one that was fitted before, and the same object can be fitted afterwards."""
    model = clone(estimator).fit(*data)
    if estimator is not MASKED:
        model.set_params(warm_start=True)
    with pytest.raises(TrainingPaused, match=r"fit \d\) was paused after 1 of at most .* again to"):
        with resumable_training(tmp_path, seconds=0):
            model.fit(*data)
    with pytest.raises(NotFittedError):
        (model.transform if estimator is MASKED else model.predict)(data[0])
    if estimator is not MASKED:
        model.set_params(warm_start=False)
    assert_same(model.fit(*data), clone(estimator).fit(*data))


def test_a_pause_before_the_first_epoch_leaves_no_fit(tmp_path):
    """A second fit after the time waits for the next run, also if it would go on with a first."""
    clf = clone(MLP).set_params(max_epochs=1, warm_start=True)
    with pytest.raises(TrainingPaused, match=r"fit 1\) was paused after 0"):
        with resumable_training(tmp_path, seconds=0):
            clf.fit(X, Y).fit(X, Y)
    with pytest.raises(NotFittedError):
        clf.predict(X)


@pytest.mark.parametrize(
    ("estimator", "data"),
    [(MLP, (X, Y)), (ENSEMBLE, (X, Y)), (SAE, (BYTES, Y)), (MASKED, (TOKENS,))],
)
def test_finished_fits_are_restored_without_training(estimator, data, tmp_path, monkeypatch):
    """The second run makes no step, and gives the same with the seconds of the first."""
    first, _ = in_pieces(tmp_path, lambda: clone(estimator).fit(*data), seconds=None)
    steps = []
    for owner, name in (
        (TensorNet, "train_step"), (MaskedTraining, "epoch"), (torch.optim.Adam, "step"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, lambda *a, **k: steps.append(1) or 1 / 0)
    again, pauses = in_pieces(tmp_path, lambda: clone(estimator).fit(*data))
    assert not steps and not pauses
    assert_same(first, again)
    assert_array_equal(first.history_["dur"], again.history_["dur"])


def test_pipelines_and_searches_are_covered(tmp_path):
    """Fits of a pipeline and of folds in this process are numbered; a search passes a pause on."""
    pipe = make_pipeline(StandardScaler(), clone(MLP).set_params(max_epochs=2))
    whole = cross_val_predict(pipe, X, Y, cv=3, method="predict_proba")
    parts, pauses = in_pieces(
        tmp_path, lambda: cross_val_predict(pipe, X, Y, cv=3, method="predict_proba")
    )
    assert_array_equal(whole, parts)
    assert {p.fit for p in pauses} == {0, 1, 2}
    assert str(pickle.loads(pickle.dumps(pauses[0]))) == str(pauses[0])
    scores, pauses = in_pieces(tmp_path / "b", lambda: cross_val_score(pipe, X, Y, cv=3))
    assert np.isfinite(scores).all() and len(pauses) == 5


def test_members_are_fitted_here_whatever_n_jobs(tmp_path):
    """Other processes do not see the context, so the ensemble asks for none."""
    clf = clone(ENSEMBLE).set_params(n_jobs=2)
    parts, _ = in_pieces(tmp_path, lambda: clone(clf).fit(X, Y))
    assert_same(clone(ENSEMBLE).fit(X, Y), parts)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "fit-000.pt", "fit-001.pt", "fit-002.pt", "lock",
    ]  # fmt: skip


KILLED = """
import os, signal, sys
import numpy as np, torch
from sktraffic.neural_network import MLPClassifier, resumable_training

folder, data, params = sys.argv[1:]
torch.set_num_threads(1)
calls, save = [], torch.save

def save_or_die(content, file):
    calls.append(1)
    if len(calls) == 5:
        file.write(b"half a file")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(content, file)

torch.save = save_or_die
with resumable_training(folder, every_seconds=0), np.load(data) as arrays:
    MLPClassifier(**eval(params)).fit(arrays["X"], arrays["y"])
"""


def test_a_killed_training_goes_on(tmp_path):
    """SIGKILL while the fifth state is being written: the fourth is whole, and the end the same."""
    np.savez(tmp_path / "data.npz", X=X, y=Y)
    params = {"hidden_sizes": (8, 6), "batch_size": 32, "lr": 0.05, "max_epochs": 8, **SHARED}
    folder = tmp_path / "state"
    command = [sys.executable, "-c", KILLED, folder, tmp_path / "data.npz", repr(params)]
    env = {**os.environ, "PYTHONPATH": str(Path(sktraffic.__file__).parents[1])}
    assert subprocess.run(command, env=env, check=False).returncode == -signal.SIGKILL
    assert torch.load(folder / "fit-000.pt", weights_only=True)["epoch"] == 4
    clf = MLPClassifier(**params)
    parts, _ = in_pieces(folder, lambda: clone(clf).fit(X, Y), seconds=None)
    assert_same(clone(clf).fit(X, Y), parts)


def test_an_error_in_training_is_resumed_from_the_last_state(tmp_path, monkeypatch):
    """What a crash of the code interrupts goes on from the epoch before, to the same end."""
    whole, step = clone(MLP).fit(X, Y), TensorNet.train_step
    steps = []

    def failing(self, *args, **kwargs):
        steps.append(1)
        if len(steps) == 11:
            raise MemoryError
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(TensorNet, "train_step", failing)
        with pytest.raises(MemoryError), resumable_training(tmp_path, every_seconds=0):
            clone(MLP).fit(X, Y)
    parts, _ = in_pieces(tmp_path, lambda: clone(MLP).fit(X, Y), seconds=None)
    assert_same(whole, parts)


def test_ctrl_c_is_no_end(tmp_path, monkeypatch):
    """An interrupted fit is usable as ever, and the next run goes on to the uninterrupted end."""
    whole, begin = clone(MLP).fit(X, Y), TensorNet.on_epoch_begin

    def interrupting(self, *args, **kwargs):
        if len(self.history) == 3:
            raise KeyboardInterrupt
        return begin(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(TensorNet, "on_epoch_begin", interrupting)
        with resumable_training(tmp_path, every_seconds=0):
            with pytest.warns(UserWarning, match="interrupted after 3"):
                assert clone(MLP).fit(X, Y).n_epochs_ == 3
    parts, _ = in_pieces(tmp_path, lambda: clone(MLP).fit(X, Y), seconds=None)
    assert_same(whole, parts)


def test_of_nested_contexts_the_inner_one_counts(tmp_path):
    """The outer one keeps its count; other threads and what follows are not covered."""
    clf = clone(MLP).set_params(max_epochs=2)
    with resumable_training(tmp_path / "out"):
        with resumable_training(tmp_path / "in"):
            clone(clf).fit(X, Y)
        thread = threading.Thread(target=lambda: clone(clf).fit(X, Y))
        thread.start()
        thread.join()
        clone(clf).fit(X, Y)
        clone(clf).partial_fit(X, Y)
    clone(clf).fit(X, Y)
    for name in ("in", "out"):
        assert [p.name for p in sorted((tmp_path / name).iterdir())] == ["fit-000.pt", "lock"]


def test_global_state_is_untouched(tmp_path):
    """Pauses, restored fits and refusals leave the global generators where they were."""

    def state():
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()

    before = state()
    for estimator, data in ((MLP, (X, Y)), (SAE, (BYTES, Y)), (MASKED, (TOKENS,))):
        folder = tmp_path / type(estimator).__name__
        for _ in range(2):
            in_pieces(folder, lambda e=estimator, d=data: clone(e).fit(*d))
    assert state() == before


def test_the_clock_starts_at_the_context(tmp_path, monkeypatch):
    """Epochs of four seconds: of ten seconds, the end of the third is the first beyond."""
    now, begin = [100.0], TensorNet.on_epoch_begin

    def slow(self, *args, **kwargs):
        now[0] += 4
        return begin(self, *args, **kwargs)

    monkeypatch.setattr(_resume, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(TensorNet, "on_epoch_begin", slow)
    clf = clone(MLP).set_params(early_stopping=False, max_epochs=8)
    _, pauses = in_pieces(tmp_path, lambda: clone(clf).fit(X, Y), seconds=10)
    assert [paused.epoch for paused in pauses] == [3, 6]
