"""Pre-training: scikit-learn's checks, learning, folders, pickles, errors."""

import pickle

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback
from transformers import BertForMaskedLM, BertModel

from sktraffic.neural_network import MaskedByteModel
from sktraffic.nn import masked_mean

TINY = {"hidden_size": 16, "n_layers": 1, "n_heads": 2, "random_state": 0}


OLD = parse_version(sklearn.__version__) < parse_version("1.7")
WRONG = {"check_positive_only_tag_during_fit": "takes a mean from integers in place"}


@parametrize_with_checks(
    [MaskedByteModel(**TINY, max_epochs=2, dropout=0.0, precision="float64")],
    expected_failed_checks=lambda estimator: WRONG if OLD else {},
)
def test_is_a_transformer(estimator, check):
    """MaskedByteModel is a scikit-learn transformer of integers."""
    check(estimator)


@pytest.fixture(scope="module")
def tokens():
    """Sessions of 6 to 12 tokens that are all the same: only the others tell a hidden one."""
    rng = np.random.default_rng(0)
    tokens = np.repeat(rng.integers(1, 12, (400, 1)), 12, axis=1)
    tokens[np.arange(12)[None] >= rng.integers(6, 13, 400)[:, None]] = 0
    return tokens


@pytest.fixture(scope="module")
def fitted(tokens):
    """Train a model on the first 300 sessions."""
    model = MaskedByteModel(13, **TINY, max_epochs=15, lr=0.01, dropout=0.0, mask_probability=0.2)
    return model.fit(tokens[:300])


def test_pretraining_lowers_masked_loss_and_generalises(fitted, tokens):
    """The rule is learned: the loss falls, and hidden tokens of unseen sessions are named."""
    loss = fitted.history_["train_loss"]
    assert loss.iloc[-1] < 0.5 * loss.iloc[0]
    commonest = np.bincount(tokens[tokens > 0]).max() / (tokens > 0).sum()
    assert fitted.score(tokens[300:]) > 0.6 > 3 * commonest
    assert fitted.score(tokens[300:]) == fitted.score(tokens[300:])


def test_history_has_a_row_an_epoch(fitted):
    """Loss, accuracy and seconds of every epoch."""
    assert fitted.history_.columns.tolist() == ["epoch", "train_loss", "train_accuracy", "dur"]
    assert fitted.history_["epoch"].tolist() == list(range(1, 16))
    assert fitted.n_epochs_ == 15


def test_saved_folder_is_read_by_transformers(fitted, tokens, tmp_path, capfd):
    """BertModel.from_pretrained gives the same encodings, BertForMaskedLM the same head."""
    fitted.save_pretrained(tmp_path / "bert")
    assert capfd.readouterr() == ("", "")
    state = torch.get_rng_state()
    bert = BertModel.from_pretrained(tmp_path / "bert", add_pooling_layer=False).eval()
    torch.set_rng_state(state)
    x = torch.from_numpy(tokens[:5])
    with torch.no_grad():
        hidden = bert(input_ids=x, attention_mask=x != 0).last_hidden_state
        whole = BertForMaskedLM.from_pretrained(tmp_path / "bert").eval()
        logits = whole(input_ids=x, attention_mask=x != 0).logits[x != 0]
        want = fitted.module_(x, x != 0)
    np.testing.assert_allclose(masked_mean(hidden, x != 0), fitted.transform(tokens[:5]), atol=1e-6)
    torch.testing.assert_close(logits, want)


def test_embeddings_do_not_depend_on_padding(fitted, tokens):
    """The mean runs over tokens, and the encodings ignore padding."""
    short = tokens[(tokens > 0).sum(axis=1) == 6]
    alone = clone(fitted).set_params(max_epochs=1).fit(tokens[:50, :6])
    alone._net = fitted._net
    assert len(short)
    np.testing.assert_allclose(alone.transform(short[:, :6]), fitted.transform(short), atol=1e-5)


def test_pickle_holds_no_torch_object(fitted, tokens):
    """Weights are NumPy arrays in the pickle and give the same embeddings again."""
    data = pickle.dumps(fitted)
    assert b"torch" not in data
    loaded = pickle.loads(data)
    assert all(type(value) is np.ndarray for value in loaded._weights.values())
    np.testing.assert_array_equal(loaded.transform(tokens[:9]), fitted.transform(tokens[:9]))
    np.testing.assert_array_equal(loaded.history_, fitted.history_)


def test_same_seed_same_model_and_global_state_untouched(tokens):
    """Two fits agree; torch's and NumPy's generators are where they were."""
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = MaskedByteModel(13, **TINY, max_epochs=2)
    one, two = (clone(model).fit(tokens[:60]).transform(tokens[:5]) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])


def test_set_params_after_fit_changes_the_next_fit_only(tokens):
    """A fitted model goes on with the parameters of its fit."""
    model = MaskedByteModel(13, **TINY, max_epochs=1).fit(tokens[:40])
    before = model.transform(tokens[:4])
    model.set_params(hidden_size=32, vocab_size=5, max_length=3)
    np.testing.assert_array_equal(model.transform(tokens[:4]), before)
    assert pickle.loads(pickle.dumps(model)).transform(tokens[:4]).shape == (4, 16)


def test_output_names_and_pandas(tokens):
    """One named column a hidden unit."""
    model = MaskedByteModel(13, **TINY, max_epochs=1).set_output(transform="pandas")
    out = model.fit_transform(tokens[:20])
    assert out.columns.tolist() == [f"maskedbytemodel{i}" for i in range(16)]


def test_bfloat16_trains(tokens):
    """Half precision inside, float32 weights and output."""
    model = MaskedByteModel(13, **TINY, max_epochs=2, precision="bfloat16").fit(tokens[:40])
    assert model.transform(tokens[:3]).dtype == np.float32
    assert next(model.module_.parameters()).dtype is torch.float32
    assert np.isfinite(model.history_["train_loss"]).all()


def test_verbose_prints_a_line_an_epoch(tokens, capsys):
    """Silent by default."""
    model = MaskedByteModel(13, **TINY, max_epochs=3)
    model.fit(tokens[:20])
    assert capsys.readouterr().out == ""
    model.set_params(verbose=1).fit(tokens[:20])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3 and "train_loss" in lines[0]


def test_interruption_leaves_a_usable_model(tokens):
    """Ctrl-C in the third epoch keeps what two have learned, and says so."""

    class Interrupting(Callback):
        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    model = MaskedByteModel(13, **TINY, max_epochs=9, net_params={"callbacks": [Interrupting()]})
    with pytest.warns(UserWarning, match="interrupted after 2 of 9 epochs"):
        model.fit(tokens[:40])
    assert model.n_epochs_ == 2
    assert np.isfinite(model.transform(tokens[:3])).all()


class Spy:
    """A callback that records each task and the estimator as it then was."""

    max_propagation_depth = None

    def setup(self, estimator, context):
        """Begin with nothing on record."""
        self.tasks, self.estimators = [], []

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Record the task; stop after the second epoch."""
        self.tasks.append(context.task_name)
        self.estimators.append(fitted_estimator)
        return len(self.tasks) == 2

    def teardown(self, estimator, context):
        """Nothing to do."""


def test_callbacks_see_every_epoch_and_can_stop(tokens):
    """Each epoch is a task with a usable estimator, and looking at it changes nothing."""
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    spy, model = Spy(), MaskedByteModel(13, **TINY, max_epochs=3)
    plain = clone(model).fit(tokens[:20])
    model.set_callbacks(spy).fit(tokens[:20])
    assert spy.tasks == ["epoch", "epoch", "fit"]
    first, second, last = (fitted.transform(tokens[:3]) for fitted in spy.estimators)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(second, last)
    np.testing.assert_array_equal(second, model.transform(tokens[:3]))
    np.testing.assert_array_equal(plain.history_["train_loss"][:2], model.history_["train_loss"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: np.where(t == 0, 13, t), r"token id 13, beyond vocab_size=13.*at least 14"),
        (lambda t: t * 1e30, r"token id \d{31}, beyond vocab_size=13"),
        (lambda t: t - 1, r"Negative values in data passed to MaskedByteModel: the token id -1"),
        (lambda t: t + 0.5, r"reads token ids, got the value .*0?\.5"),
        (lambda t: np.where(t == 0, np.nan, t), "contains NaN"),
        (lambda t: np.tile(t, 11), r"sequences of 132 tokens, longer than max_length=128"),
        (lambda t: t * 0, "padding .id 0.; there is nothing to learn"),
    ],
)
def test_bad_tokens_are_errors(tokens, change, message):
    """Each says what came, and what would be right."""
    with pytest.raises(ValueError, match=message):
        MaskedByteModel(13, **TINY).fit(change(tokens[:10]))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_heads": 3}, "hidden_size=16 is no multiple of n_heads=3"),
        ({"mask_token": 13}, "mask_token=13 is beyond vocab_size=13"),
        ({"device": "cuda:99"}, "device='cuda:99' was asked for"),
        ({"mask_probability": 0.0}, "mask_probability"),
    ],
)
def test_bad_parameters_are_errors(tokens, params, message):
    """Checked in fit, before any work."""
    with pytest.raises(ValueError, match=message):
        MaskedByteModel(13, **{**TINY, **params}).fit(tokens[:10])


def test_bad_tokens_at_transform_are_errors(fitted, tokens):
    """The fitted vocabulary and length hold for later data."""
    with pytest.raises(ValueError, match="beyond vocab_size=13"):
        fitted.transform(tokens + 12)
    with pytest.raises(ValueError, match="features"):
        fitted.transform(tokens[:, :4])
    with pytest.raises(NotFittedError):
        MaskedByteModel().save_pretrained("nowhere")
