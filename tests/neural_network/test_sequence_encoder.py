"""SequenceEncoder: free labels in, embeddings out, and a start for PacketSequenceClassifier."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sktraffic.datasets import load_lab_sessions
from sktraffic.model_selection import CaptureKFold
from sktraffic.neural_network import PacketSequenceClassifier, SequenceEncoder
from sktraffic.persistence import load, save

SIZES = {"n_packets": 12, "n_channels": 16, "n_blocks": 2, "max_epochs": 8, "random_state": 0}


@pytest.fixture(scope="module")
def lab():
    """Every fifth session of the bundled captures, labels and captures."""
    X, y = load_lab_sessions(return_X_y=True)
    X, y = X.iloc[::5].reset_index(drop=True), np.asarray(y)[::5]
    return X, y, X["capture"].to_numpy()


@pytest.fixture(scope="module")
def encoder(lab):
    """Return an encoder of the captures that the sessions are from."""
    inner = PacketSequenceClassifier(head="cosine", statistics=None, **SIZES)
    return SequenceEncoder("capture", min_count=3, estimator=inner).fit(lab[0])


def test_embeddings_are_of_length_one_and_as_many_as_named(lab, encoder):
    """They do not need the free labels, and equal rows have equal embeddings."""
    X, _, _ = lab
    embeddings = encoder.transform(X.drop(columns="capture"))
    assert embeddings.shape == (len(X), 256) == (len(X), len(encoder.get_feature_names_out()))
    np.testing.assert_allclose(np.square(embeddings).sum(axis=1), 1)
    assert encoder.get_feature_names_out()[0] == "sequenceencoder0"


def test_labels_of_few_sessions_and_missing_ones_are_left_out(lab, encoder):
    """What is told apart are the labels with enough sessions."""
    X, _, _ = lab
    counts = X["capture"].value_counts()
    assert set(encoder.classes_) == set(counts.index[counts >= 3])
    named = X.assign(hint=np.where(np.arange(len(X)) % 3 == 0, None, X["protocol"].astype(str)))
    inner = clone(encoder.estimator).set_params(max_epochs=1)
    told = SequenceEncoder(labels="hint", estimator=inner).fit(named)
    assert set(told.classes_) == set(named["hint"].dropna().value_counts()[lambda n: n >= 5].index)


def test_sessions_of_one_origin_are_close(lab, encoder):
    """Nearest neighbours in the embedding find the free label far more often than chance."""
    X, _, groups = lab
    kept = np.isin(groups, encoder.classes_)
    embeddings = encoder.transform(X)[kept]
    near = KNeighborsClassifier(2).fit(embeddings, groups[kept]).kneighbors(return_distance=False)
    share = (groups[kept][near[:, 0]] == groups[kept]).mean()
    assert share > 5 * np.square(np.unique(groups[kept], return_counts=True)[1] / kept.sum()).sum()


def test_stands_in_a_pipeline(lab, encoder):
    """The labels that the classifier learns are not those of the encoder."""
    X, y, groups = lab
    train, test = next(CaptureKFold(3).split(X, y, groups))
    inner = clone(encoder.estimator).set_params(max_epochs=3)
    model = make_pipeline(
        SequenceEncoder("capture", min_count=3, estimator=inner), KNeighborsClassifier(3)
    )
    most = np.unique(y[train], return_counts=True)[1].max() / len(train)
    assert model.fit(X.iloc[train], y[train]).score(X.iloc[test], y[test]) > most


def test_a_classifier_starts_from_it(lab, encoder):
    """Before a step is made its convolutions are the encoder's; its reader too."""
    X, y, _ = lab
    clf = PacketSequenceClassifier(pretrained=encoder, **SIZES).set_params(
        lr=1e-12, max_epochs=1, weight_decay=0.0
    )
    clf.fit(X, y)
    own, theirs = (e.net_.module_.state_dict() for e in (clf, encoder.estimator_))
    for name in ("embedding.size.weight", "stem.weight", "blocks.1.convs.0.weight", "power"):
        torch.testing.assert_close(own[name], theirs[name])
    assert not torch.allclose(own["join.0.weight"][:, :32], theirs["join.0.weight"])
    np.testing.assert_array_equal(clf.packets_.messages_, encoder.estimator_.packets_.messages_)
    assert clone(clf).pretrained is encoder


def test_survives_pickle_and_a_model_file(lab, encoder, tmp_path):
    """The same embeddings, alone and inside the classifier that started from it."""
    X, y, _ = lab
    expected = encoder.transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(X), expected)
    save(encoder, tmp_path / "encoder.skt")
    np.testing.assert_array_equal(load(tmp_path / "encoder.skt").transform(X), expected)
    clf = PacketSequenceClassifier(pretrained=encoder, **{**SIZES, "max_epochs": 1}).fit(X, y)
    save(clf, tmp_path / "model.skt")
    np.testing.assert_array_equal(
        load(tmp_path / "model.skt").predict_proba(X), clf.predict_proba(X)
    )


def test_errors_say_what_to_do(lab, encoder):
    """Too few labels, no column, another size, other fields, nothing fitted."""
    X, y, _ = lab
    with pytest.raises(ValueError, match=r"1 label.* of the column 'ip_version'"):
        SequenceEncoder("ip_version").fit(X)
    with pytest.raises(ValueError, match="hint"):
        SequenceEncoder("hint").fit(X)
    with pytest.raises(ValueError, match="another size: it has n_channels=16"):
        PacketSequenceClassifier(pretrained=encoder, **{**SIZES, "n_channels": 8}).fit(X, y)
    with pytest.raises(ValueError, match="pretrained reads signed_size, iat, payload_size"):
        PacketSequenceClassifier(pretrained=encoder, fields=["signed_size"], **SIZES).fit(X, y)
    for nothing in (SequenceEncoder(), PacketSequenceClassifier(), KNeighborsClassifier()):
        with pytest.raises(ValueError, match="no fitted SequenceEncoder"):
            PacketSequenceClassifier(pretrained=nothing, **SIZES).fit(X, y)
