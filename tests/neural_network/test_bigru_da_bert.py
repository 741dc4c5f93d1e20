"""BiGRUDABert: scikit-learn's checks, tokens, pre-training, pipelines, errors."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktraffic.neural_network import BiGRUDABert, MaskedByteModel
from sktraffic.neural_network._runtime import to_numpy_state

BERT = {"vocab_size": 20, "hidden_size": 16, "n_layers": 1, "n_heads": 2, "max_length": 16}
TINY = {**BERT, "gru_hidden_size": 8, "lr": 0.01, "random_state": 0, "device": "cpu"}
TABLE = {name: value for name, value in TINY.items() if name != "vocab_size"}

# exact to 1e-7 where scikit-learn asks for it: one batch, no dropout, float64
EXACT = {
    **{"hidden_size": 8, "n_layers": 1, "n_heads": 1, "intermediate_size": 8},
    **{"gru_hidden_size": 4, "gru_layers": 1, "dropout": 0.0, "gru_dropout": 0.0},
    **{"lr": 0.05, "batch_size": 128, "max_epochs": 10, "precision": "float64", "random_state": 0},
}


@parametrize_with_checks([BiGRUDABert(**EXACT)])
def test_is_a_classifier(estimator, check):
    """BiGRUDABert is a scikit-learn classifier of feature tables."""
    check(estimator)


@pytest.fixture(scope="module")
def sessions():
    """Tokens of three applications: which one, the second token of each session says."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(4, 19, (240, 10))
    tokens[:, 1] = rng.integers(1, 4, 240)
    y = np.array(["chat", "mail", "voip"])[tokens[:, 1] - 1]
    tokens[np.arange(10)[None] >= rng.integers(3, 11, 240)[:, None]] = 0
    return tokens, y


@pytest.fixture(scope="module")
def pretrained(sessions):
    """Pre-train a BERT for three epochs."""
    return MaskedByteModel(**BERT, max_epochs=3, lr=0.01, random_state=0).fit(sessions[0])


def bert_weights(clf):
    """BERT's weights inside a classifier, as arrays."""
    return to_numpy_state(clf.net_.module_.encoder.bert)


def test_defaults_are_the_paper_s_table_1():
    """Table 1, equation 10's loss, and nothing that the paper does not have."""
    params = BiGRUDABert().get_params()
    table = {
        "hidden_size": 768,
        "n_heads": 8,
        "max_length": 128,
        "gru_hidden_size": 768,
        "gru_layers": 2,
        "gru_dropout": 0.5,
        "lr": 2e-5,
        "warmup_ratio": 0.1,
        "batch_size": 32,
        "max_epochs": 50,
    }
    text = {"gamma": 2.0, "attention": "differential", "shared_value": False}
    assert {name: params[name] for name in (*table, *text)} == {**table, **text}


@pytest.mark.parametrize("attention", ["differential", "softmax", None])
def test_learns_tokens_in_every_ablation(sessions, attention):
    """A rule over token ids is learned and holds on unseen sessions, string labels included."""
    X, y = sessions
    clf = BiGRUDABert(**TINY, attention=attention, max_epochs=6).fit(X[:160], y[:160])
    assert clf.score(X[160:], y[160:]) > 0.9
    assert clf.classes_.tolist() == ["chat", "mail", "voip"]
    assert clf.predict(X[:1]).shape == (1,)
    assert clf.history_["train_loss"].iloc[-1] < clf.history_["train_loss"].iloc[0]


def test_padding_changes_nothing(sessions):
    """Six more columns of padding give the same network and the same probabilities."""
    X, y = sessions
    clf = BiGRUDABert(**TINY, dropout=0.0, gru_dropout=0.0, max_epochs=2, precision="float64")
    longer = np.hstack([X, np.zeros((len(X), 6), dtype=int)])
    want = clone(clf).fit(X[:60], y[:60]).predict_proba(X[60:90])
    assert_allclose(clf.fit(longer[:60], y[:60]).predict_proba(longer[60:90]), want, atol=1e-9)


def test_whole_floats_are_tokens_after_a_fit_on_tokens(sessions):
    """The kind of input is decided in fit and holds for later data."""
    X, y = sessions
    clf = BiGRUDABert(**TINY, max_epochs=1).fit(X[:60].astype(np.uint8), y[:60])
    assert_array_equal(clf.predict_proba(X[:5]), clf.predict_proba(X[:5].astype(float)))
    with pytest.raises(ValueError, match="reads token ids, got the value"):
        clf.predict(X[:5] + 0.5)
    table = BiGRUDABert(**TABLE, max_epochs=1).fit(X[:60] / 10, y[:60])
    assert_array_equal(table.predict_proba(X[:5]), table.predict_proba(X[:5].astype(float)))


def test_columns_of_a_table_have_places(sessions):
    """Two columns exchanged are another session: each column has its own embedding."""
    X, y = sessions
    clf = BiGRUDABert(**TABLE, max_epochs=1).fit(X[:60] / 10, y[:60])
    swapped = X[:5, ::-1] / 10
    assert not np.allclose(clf.predict_proba(swapped), clf.predict_proba(X[:5] / 10))


def test_model_and_its_folder_start_from_equal_weights(sessions, pretrained, tmp_path, capfd):
    """Fine-tuning is the same to the last bit, silent, and starts at the pre-trained BERT."""
    X, y = sessions
    pretrained.save_pretrained(tmp_path / "bert")
    fitted = []
    for start in (pretrained, tmp_path / "bert", str(tmp_path / "bert")):
        clf = BiGRUDABert(**TINY, pretrained=start, freeze_bert=True, max_epochs=1)
        fitted.append(clf.fit(X[:60], y[:60]))
    own = to_numpy_state(pretrained.module_.lm.bert)
    for clf in fitted:
        for name, value in bert_weights(clf).items():
            assert_array_equal(value, own[name])
        assert_array_equal(clf.predict_proba(X), fitted[0].predict_proba(X))
    assert capfd.readouterr() == ("", "")


def test_frozen_bert_stays_and_unfrozen_moves(sessions, pretrained):
    """Epochs, a pickle and a warm start leave a frozen BERT's weights untouched."""
    X, y = sessions
    own = to_numpy_state(pretrained.module_.lm.bert)
    clf = BiGRUDABert(
        **TINY, pretrained=pretrained, freeze_bert=True, max_epochs=2, warm_start=True,
        weight_decay=0.1,
    )  # fmt: skip
    clf = pickle.loads(pickle.dumps(clf.fit(X[:60], y[:60])))
    head = clf.net_.module_.head.weight.detach().numpy().copy()
    clf.fit(X[:60], y[:60])
    assert all(np.array_equal(own[name], value) for name, value in bert_weights(clf).items())
    assert not np.array_equal(head, clf.net_.module_.head.weight.detach().numpy())
    free = clone(clf).set_params(freeze_bert=False).fit(X[:60], y[:60])
    weights = bert_weights(free)
    assert not np.array_equal(
        own["embeddings.word_embeddings.weight"], weights["embeddings.word_embeddings.weight"]
    )


def test_longer_pretrained_bert_gives_its_first_positions(sessions):
    """A BERT of more positions than wanted is cut, not refused."""
    X, y = sessions
    long = MaskedByteModel(**{**BERT, "max_length": 40}, max_epochs=1, random_state=0).fit(X)
    clf = BiGRUDABert(**TINY, pretrained=long, freeze_bert=True, max_epochs=1).fit(X[:60], y[:60])
    assert_array_equal(
        bert_weights(clf)["embeddings.position_embeddings.weight"],
        to_numpy_state(long.module_.lm.bert)["embeddings.position_embeddings.weight"][:16],
    )


def test_clone_keeps_a_pretrained_model_fitted(sessions, pretrained):
    """A grid search clones its estimator; the pre-training must not be lost on the way."""
    X, y = sessions
    clf = BiGRUDABert(**TINY, pretrained=pretrained, freeze_bert=True, max_epochs=1)
    assert clone(clf).pretrained is pretrained
    search = GridSearchCV(clf, {"attention": ["softmax", None]}, cv=2, error_score="raise")
    own = to_numpy_state(pretrained.module_.lm.bert)
    best = search.fit(X[:60], y[:60]).best_estimator_
    assert all(np.array_equal(own[name], value) for name, value in bert_weights(best).items())


def test_resampler_sees_the_training_part_only(sessions):
    """Tokens are repeated, never mixed, and early stopping watches real sessions."""
    X, y = sessions
    rows = np.r_[np.flatnonzero(y == "chat")[:40], np.flatnonzero(y == "mail")[:12]]
    clf = BiGRUDABert(
        **TINY, resampler=RandomOverSampler(), early_stopping=True, validation_fraction=0.25,
        max_epochs=3,
    ).fit(X[rows], y[rows])  # fmt: skip
    assert {"valid_loss", "f1_weighted"} <= set(clf.history_.columns)


def test_data_frames_of_tokens_and_of_features(sessions):
    """Names are remembered; integer columns are tokens, others are features."""
    X, y = sessions
    frame = pd.DataFrame(X, columns=[f"token_{i}" for i in range(10)])
    clf = BiGRUDABert(**TINY, max_epochs=1).fit(frame[:60], y[:60])
    assert clf.net_.module_.encoder.column_weight is None
    assert clf.feature_names_in_.tolist() == frame.columns.tolist()
    features = BiGRUDABert(**TABLE, max_epochs=1).fit(frame[:60].assign(token_0=0.5), y[:60])
    assert features.net_.module_.encoder.column_weight.shape == (10, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t + 10, r"token id 2\d, beyond vocab_size=20: ids go from 0"),
        (lambda t: t - 1, "Negative values in data passed to BiGRUDABert: the token id -1"),
        (lambda t: np.tile(t, 2), "sequences of 20 tokens, longer than max_length=16"),
        (lambda t: t / 3, "vocab_size=20 has no effect with a feature table.*default, 260"),
        (lambda t: np.where(t == 0, np.nan, t), "contains NaN"),
        (lambda t: np.where(t == 0, np.inf, t), "contains infinity"),
        (lambda t: t[:, :0], "0 feature"),
    ],
)
def test_bad_input_is_an_error(sessions, change, message):
    """Each says what came, and what would be right."""
    X, y = sessions
    with pytest.raises(ValueError, match=message):
        BiGRUDABert(**TINY).fit(change(X[:30]), y[:30])


def test_more_columns_than_positions_are_an_error(sessions):
    """A feature table has a position a column."""
    X, y = sessions
    with pytest.raises(ValueError, match="20 columns are more than BERT's max_length=16"):
        BiGRUDABert(**TABLE).fit(np.tile(X[:30], 2) / 3, y[:30])


def test_bad_input_after_fit_is_an_error(sessions):
    """The fitted vocabulary and width hold for later data."""
    X, y = sessions
    clf = BiGRUDABert(**TINY, max_epochs=1).fit(X[:40], y[:40])
    with pytest.raises(ValueError, match="beyond vocab_size=20"):
        clf.predict(X[:5] + 10)
    with pytest.raises(ValueError, match="Negative values"):
        clf.predict(X[:5] - 19)
    with pytest.raises(ValueError, match="features"):
        clf.predict(X[:5, :4])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"attention": "linear"}, "attention"),
        ({"n_heads": 3}, "hidden_size=16 is no multiple of n_heads=3"),
        ({"device": "cuda:99"}, "device='cuda:99' was asked for"),
        ({"pretrained": MaskedByteModel()}, "MaskedByteModel without weights; fit it first"),
        ({"pretrained": 3}, "pretrained"),
    ],
)
def test_bad_parameters_are_errors(sessions, params, message):
    """Checked in fit, before any training."""
    X, y = sessions
    with pytest.raises(ValueError, match=message):
        BiGRUDABert(**{**TINY, **params}).fit(X[:30], y[:30])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_size": 32}, "has hidden_size=16, intermediate_size=64; .* Pass hidden_size=16"),
        ({"n_layers": 2}, "The pre-trained BERT has n_layers=1; BiGRUDABert has n_layers=2"),
        ({"n_heads": 4}, "has n_heads=2"),
        ({"vocab_size": 30}, "has vocab_size=20"),
        ({"max_length": 32}, "has max_length=16; BiGRUDABert has max_length=32"),
    ],
)
def test_mismatching_pretrained_model_is_an_error(sessions, pretrained, params, message):
    """The message names the parameters to pass."""
    X, y = sessions
    clf = BiGRUDABert(**{**TINY, **params}, pretrained=pretrained)
    with pytest.raises(ValueError, match=message):
        clf.fit(X[:30], y[:30])


def test_wrong_pretrained_folders_are_errors(sessions, pretrained, tmp_path):
    """No folder, no configuration, another model, no weights, broken or other weights."""
    X, y = sessions
    clf = BiGRUDABert(**TINY, max_epochs=1)

    def message():
        with pytest.raises(ValueError) as error:
            clf.set_params(pretrained=tmp_path).fit(X[:30], y[:30])
        return str(error.value)

    with pytest.raises(ValueError, match=r"is no folder with a config\.json on"):
        clf.set_params(pretrained="bert-base-uncased").fit(X[:30], y[:30])
    config = tmp_path / "config.json"
    config.write_text("{")
    assert "is no JSON" in message()
    config.write_text(json.dumps({"model_type": "gpt2"}))
    assert "a model of type 'gpt2', not 'bert'" in message()
    pretrained.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[: len(good) // 2])
    assert "cannot be read" in message()
    weights.unlink()
    assert "cannot be read" in message()
    # a pickle is not looked at
    torch.save(pretrained.module_.lm.state_dict(), tmp_path / "pytorch_model.bin")
    assert "cannot be read" in message()
    pretrained.save_pretrained(tmp_path)
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "num_hidden_layers": 2}))
    assert "lack ['encoder.layer.1" in message()
    config.write_text(json.dumps({**settings, "hidden_act": "relu"}))
    assert "activation is 'relu'" in message()
