"""What goes in besides dense rows: a validation part of one's own, and sparse rows."""

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic.neural_network import (
    CNNLSTM,
    BiGRUDABert,
    DeepPacketCNN,
    DeepPacketSAE,
    MaskedByteModel,
    MLPClassifier,
    TransformerEnsemble,
)

SHORT = {"max_epochs": 3, "lr": 0.01, "random_state": 0, "device": "cpu"}
MLP = MLPClassifier((8,), **SHORT, early_stopping=True)
ENSEMBLE = TransformerEnsemble(2, d_token=8, n_heads=2, n_layers=1, d_hidden=8, **SHORT)
both = pytest.mark.parametrize("clf", [MLP, ENSEMBLE], ids=["mlp", "ensemble"])


@pytest.fixture(scope="module")
def parts():
    """Return training and validation rows of three classes, text labels."""
    X, y = make_blobs(150, centers=3, cluster_std=3.0, random_state=0)
    y = np.array(["chat", "mail", "p2p"])[y]
    return X[:100], y[:100], X[100:], y[100:]


@both
def test_validation_part_of_one_s_own_is_watched(clf, parts):
    """All training rows are trained on, and the scores of the history are those of that part."""
    X, y, X_valid, y_valid = parts
    fitted = clone(clf).set_params(max_epochs=30, lr=0.1, monitor="accuracy", patience=4)
    fitted.fit(X, y, X_valid=X_valid, y_valid=y_valid)
    for one in getattr(fitted, "members_", [fitted]):
        assert one.n_epochs_ == min(30, one.best_epoch_ + 4)
        recorded = one.history_["accuracy"].iloc[one.best_epoch_ - 1]
        np.testing.assert_allclose(recorded, one.score(X_valid, y_valid))
        assert recorded == one.history_["accuracy"].max()


@both
def test_without_early_stopping_it_is_scored_and_changes_nothing(clf, parts):
    """The same weights as without it, and the scores are in the history."""
    X, y, X_valid, y_valid = parts
    plain = clone(clf).set_params(early_stopping=False).fit(X, y)
    watched = clone(plain).fit(X, y, X_valid=X_valid, y_valid=y_valid)
    np.testing.assert_array_equal(plain.predict_proba(X), watched.predict_proba(X))
    assert {"valid_loss", "f1_weighted"} <= set(watched.history_) - set(plain.history_)


def test_validation_part_is_routed_and_transformed(parts):
    """Through a Pipeline it arrives, scaled as the training rows are."""
    X, y, X_valid, y_valid = parts
    with sklearn.config_context(enable_metadata_routing=True):
        clf = clone(MLP).set_fit_request(X_valid=True, y_valid=True)
        pipe = Pipeline([("scale", StandardScaler()), ("clf", clf)], transform_input=["X_valid"])
        pipe.fit(X, y, X_valid=X_valid, y_valid=y_valid)
    scale = StandardScaler().fit(X)
    want = clone(MLP).fit(scale.transform(X), y, X_valid=scale.transform(X_valid), y_valid=y_valid)
    assert pipe[-1].history_["valid_loss"].tolist() == want.history_["valid_loss"].tolist()


@both
def test_bad_validation_parts_are_errors(clf, parts):
    """Half of it, other columns, an unknown label, a fraction that would not count."""
    X, y, X_valid, y_valid = parts
    clf = clone(clf)
    with pytest.raises(ValueError, match="X_valid was given alone"):
        clf.fit(X, y, X_valid=X_valid)
    with pytest.raises(ValueError, match="y_valid was given alone"):
        clf.fit(X, y, y_valid=y_valid)
    with pytest.raises(ValueError, match="X has 1 features"):
        clf.fit(X, y, X_valid=X_valid[:, :1], y_valid=y_valid)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X, y, X_valid=X_valid, y_valid=y_valid[1:])
    with pytest.raises(ValueError, match=r"y_valid holds the labels \['ftp'\]"):
        clf.fit(X, y, X_valid=X_valid, y_valid=np.where(y_valid == "p2p", "ftp", y_valid))
    with pytest.raises(ValueError, match=r"validation_fraction=0.3 has no effect with X_valid"):
        clf.set_params(validation_fraction=0.3).fit(X, y, X_valid=X_valid, y_valid=y_valid)


def test_validation_part_may_lack_a_class(parts):
    """Scores are over the classes that occur."""
    X, y, X_valid, y_valid = parts
    two = y_valid != "p2p"
    history = clone(MLP).fit(X, y, X_valid=X_valid[two], y_valid=y_valid[two]).history_
    assert np.isfinite(history["f1_weighted"]).all()


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize(
    "estimator",
    [
        MLP, ENSEMBLE,
        BiGRUDABert(hidden_size=8, n_layers=1, n_heads=2, gru_hidden_size=4, **SHORT),
        DeepPacketCNN((4, 4), hidden_sizes=(8,), **SHORT),
        DeepPacketSAE((8,), pretrain_epochs=1, **SHORT),
        CNNLSTM((4,), lstm_hidden_size=4, hidden_sizes=(8,), **SHORT),
        MaskedByteModel(hidden_size=8, n_layers=1, n_heads=2, **SHORT),
    ],
    ids=lambda e: type(e).__name__,
)  # fmt: skip
@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_sparse_rows_are_read_as_dense_ones(estimator, form, kind):
    """Integers stay bytes or tokens, numbers stay numbers; fit and answers are those of rows."""
    rng = np.random.default_rng(0)
    X = rng.integers(1, 200, (30, 6)) * (rng.random((30, 6)) < 0.4)
    X, y = X.astype(kind), np.arange(30) % 2
    answers = []
    for rows in (X, form(X)):
        fitted = clone(estimator).fit(rows, y)
        answers.append(getattr(fitted, "predict_proba", getattr(fitted, "transform", None))(rows))
    np.testing.assert_array_equal(*answers)
