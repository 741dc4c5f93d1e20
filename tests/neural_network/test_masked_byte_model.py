"""Pre-training: scikit-learn's checks, learning, folders, pickles, errors."""

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
    return model.set_params(device="cpu").fit(tokens[:300])


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


def test_output_names_and_pandas(tokens):
    """One named column a hidden unit."""
    model = MaskedByteModel(13, **TINY, max_epochs=1).set_output(transform="pandas")
    out = model.fit_transform(tokens[:20])
    assert out.columns.tolist() == [f"maskedbytemodel{i}" for i in range(16)]


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
