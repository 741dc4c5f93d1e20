"""State files: which are refused, when they are written, what tells one fit from another."""

import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from sklearn.base import clone
from skorch.callbacks import LRScheduler

from sktraffic.neural_network import (
    BiGRUDABert,
    DeepPacketSAE,
    MaskedByteModel,
    MLPClassifier,
    TrainingPaused,
    resumable_training,
)
from sktraffic.neural_network._fingerprint import describe

SHARED = {"random_state": 0, "device": "cpu"}
MLP = MLPClassifier((8, 6), max_epochs=12, lr=0.05, batch_size=32, **SHARED)
TINY_BERT = {"hidden_size": 8, "n_layers": 1, "n_heads": 2, "batch_size": 16, "lr": 0.01, **SHARED}
MASKED = MaskedByteModel(13, max_epochs=1, **TINY_BERT)
BERT = BiGRUDABert(13, gru_hidden_size=4, max_epochs=3, **TINY_BERT)
X = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
Y = np.repeat(["a", "b", "c"], (50, 25, 15))
TOKENS = np.random.default_rng(2).integers(1, 12, (50, 6))
LABELS = TOKENS[:, 0] % 2


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory):
    """Return a folder with the state of a paused MLP."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.raises(TrainingPaused), resumable_training(folder, seconds=0):
        clone(MLP).fit(X, Y)
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.06}, r"lr \(saved 0.05, now 0.06\)"),
        ({"random_state": 1}, r"seed \(saved 0, now 1\)"),
        ({"random_state": None}, r"seed \(saved 0, now None\)"),
        ({"max_epochs": 9}, r"max_epochs \(saved 12, now 9\), epochs"),
        ({"resampler": SMOTE(k_neighbors=3)}, r"resampler \(saved None, now SMOTE \w+\)"),
        ({"net_params": {"optimizer": torch.optim.SGD}}, r"net_params \(saved None, now dict"),
    ],
)
def test_a_state_of_other_parameters_is_refused(one_epoch, change, message):
    """The message says what differs, and what to do."""
    with pytest.raises(ValueError, match=message + ".*Delete it .* or use another folder"):
        with resumable_training(one_epoch):
            clone(MLP).set_params(**change).fit(X, Y)


def test_a_state_of_other_data_or_class_is_refused(one_epoch):
    """One value, one label, one weight or one group more is another fit; verbosity is not."""
    for data, what in (
        ((np.where(np.arange(90)[:, None] == 5, X + 1e-6, X), Y), r"data X"),
        ((X, np.where(np.arange(90) == 5, "b", Y)), "data y"),
        ((X, np.char.upper(Y)), "data classes"),
        ((X, Y, np.ones(90)), "data sample_weight"),
        ((X, Y, None, np.arange(90)), "data groups"),
    ):
        with pytest.raises(ValueError, match=rf"another fit than this MLPClassifier: {what}"):
            with resumable_training(one_epoch):
                clone(MLP).fit(*data)
    with pytest.raises(ValueError, match="another fit than this DeepPacketSAE: estimator"):
        with resumable_training(one_epoch):
            DeepPacketSAE((8, 4), **SHARED).fit(X, Y)
    with pytest.raises(TrainingPaused), resumable_training(one_epoch, seconds=0):
        clone(MLP).set_params(verbose=1).fit(X, Y)


def test_another_pretrained_bert_is_another_fit(tmp_path):
    """Its weights count, not the place of its folder."""
    models = [clone(MASKED).set_params(random_state=i).fit(TOKENS) for i in (0, 1)]
    for i, model in enumerate(models):
        model.save_pretrained(tmp_path / str(i))
    for first, other in (models, (tmp_path / "0", tmp_path / "1")):
        folder = tmp_path / type(first).__name__
        with pytest.raises(TrainingPaused), resumable_training(folder, seconds=0):
            clone(BERT).set_params(pretrained=first).fit(TOKENS, LABELS)
        with pytest.raises(ValueError, match="pretrained"), resumable_training(folder):
            clone(BERT).set_params(pretrained=other).fit(TOKENS, LABELS)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_damaged_and_hostile_files_are_refused(one_epoch, tmp_path):
    """Cut, changed in one bit, empty, of another kind: told with a remedy, and no code is run."""
    good = (one_epoch / "fit-000.pt").read_bytes()
    with zipfile.ZipFile(one_epoch / "fit-000.pt") as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    at = largest.header_offset + 30 + len(largest.filename) + 100
    flipped = bytearray(good)
    flipped[at] ^= 1
    path = tmp_path / "fit-000.pt"
    cases = {
        "cut": good[: len(good) // 2],
        "flipped": bytes(flipped),
        "empty": b"",
        "text": b"hello",
    }
    for content in [*cases.values(), {"fingerprint": {}}, [1], Evil(), {"state": Evil()}]:
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(
            ValueError, match=r"fit-000.pt cannot be read: it is damaged.*Delete it"
        ):
            with resumable_training(tmp_path):
                clone(MLP).fit(X, Y)


def test_what_cannot_be_resumed_is_refused(tmp_path):
    """Callbacks with a state of their own; a folder that another training uses; odd times."""
    clf = clone(MLP).set_params(net_params={"callbacks": [("lr", LRScheduler())]})
    with pytest.raises(ValueError, match="callback LRScheduler"), resumable_training(tmp_path):
        clf.fit(X, Y)
    with resumable_training(tmp_path), pytest.raises(ValueError, match="in use by another"):
        with resumable_training(tmp_path):
            pass
    for options in ({"seconds": -1}, {"seconds": "1"}, {"every_seconds": None}):
        with pytest.raises(ValueError, match="must be a number of at least 0, got"):
            with resumable_training(tmp_path, **options):
                pass


def test_states_are_written_at_most_every_so_often(tmp_path, monkeypatch):
    """With a long interval only the end is written; with 0 every epoch."""
    saves, save = [], torch.save
    monkeypatch.setattr(torch, "save", lambda *args: saves.append(1) or save(*args))
    clf = clone(MLP).set_params(early_stopping=False, max_epochs=4)
    for every, expected in ((1000, 1), (0, 4)):
        with resumable_training(tmp_path / str(every), every_seconds=every):
            clone(clf).fit(X, Y)
        assert len(saves) == expected
        saves.clear()


def test_descriptions_tell_values_apart():
    """Equal values have one description, whatever their order in a dict; others differ."""
    values = [
        0, 0.0, False, None, "0", b"0", (0,), [0], {0: 1}, {0}, np.zeros(1), np.zeros((1, 1)),
        np.zeros(1, np.float32), torch.zeros(2), np.array(["a", None], dtype=object), int,
        np.array(["a"]), np.array(["b"]), np.array([1], "M8[s]"), np.array([2], "M8[s]"),
        np.zeros((0, 2)), np.zeros((0, 3)), np.array(1), partial(max, 1), partial(max, 2),
        SMOTE(), SMOTE(k_neighbors=3), Path("a"), Evil.__reduce__, "a" * 50, "a" * 51,
    ]  # fmt: skip
    described = [describe(value) for value in values]
    assert len(set(described)) == len(values)
    assert described == [describe(value) for value in values]
    assert describe(np.float64(0.1)) == describe(0.1)
    assert describe(np.eye(3)[::2]) == describe(np.eye(3)[::2].copy())
    assert describe({"a": 1, "b": 2}) == describe({"b": 2, "a": 1})
    holds_itself = []
    holds_itself.append(holds_itself)
    with pytest.raises(ValueError, match="cannot be compared from one run to the next"):
        describe(holds_itself)
