"""PacketSequenceClassifier: session tables and packet sequences, cuts, errors, checks."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.base import clone
from sklearn.metrics import f1_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import PacketSequences, SessionStatistics
from sktraffic.model_selection import CaptureKFold
from sktraffic.neural_network import PacketSequenceClassifier
from sktraffic.neural_network._packet_rows import PacketRows
from sktraffic.nn import PacketSequenceNet
from sktraffic.persistence import load, save
from sktraffic.ragged import list_column
from sktraffic.sessions import first_packets

SMALL = {"n_packets": 12, "n_channels": 8, "n_blocks": 1, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def lab():
    """Every fifth session of the bundled captures, labels and captures."""
    X, y = load_lab_sessions(return_X_y=True)
    X, y = X.iloc[::5].reset_index(drop=True), np.asarray(y)[::5]
    return X, y, X["capture"].to_numpy()


def small(**params):
    return PacketSequenceClassifier(**{**SMALL, **params})


def test_a_table_and_its_sequences_are_read_alike(lab):
    """The same fields of a session table and of PacketSequences give the same network."""
    X, y, _ = lab
    fields = ["signed_size", "iat", "payload_size", "flags"]
    table = small(fields=fields, statistics=None).fit(X, y)
    sequences = PacketSequences(12, fields=fields).set_output(transform="pandas")
    named = small().fit(sequences.fit_transform(X), y)
    np.testing.assert_array_equal(
        table.predict_proba(X), named.predict_proba(sequences.transform(X))
    )
    assert named.packets_.fields_ == tuple(fields)
    split = PacketSequences(20, fields=["iat", "size", "direction", "flags", "payload_size"])
    array = small(fields=split.fields).fit(split.fit_transform(X), y)
    np.testing.assert_array_equal(array.predict_proba(split.transform(X)), table.predict_proba(X))


def test_rows_say_what_the_table_says(lab):
    """Packets, messages and statistics of a row are those of the session."""
    X, _, _ = lab
    reader = PacketRows(4, statistics=SessionStatistics()).fit(X)
    assert reader.channels_ == ("signed_size", "iat", "payload_size", "flags", "message")
    rows = reader.transform(X, np.float64)
    packets = rows[:, :20].reshape(len(X), 4, 5)
    n = int(np.argmax(X["packet_count"] >= 4))
    session = X.iloc[n]
    sizes = np.asarray(session["packet_size"][:4]) * np.asarray(session["packet_direction"][:4])
    np.testing.assert_array_equal(packets[n, :, 0], sizes)
    np.testing.assert_allclose(packets[n, 1:, 1], np.diff(session["packet_time"][:4]))
    words = [reader.messages_[int(i) - 1] if i else None for i in packets[n, :, 4]]
    for word, told in zip(words, session["packet_message"][:4], strict=True):
        assert word == told or (word is None and told not in reader.messages_)
    np.testing.assert_allclose(rows[:, 20:].mean(axis=0), 0, atol=0.2)


def test_unknown_messages_are_told_from_known_ones_only(lab):
    """A message that training lacks has the number of none."""
    X, _, _ = lab
    reader = PacketRows(3, ["signed_size", "message"], statistics=None).fit(X)
    new = X.iloc[:1].copy()
    offsets = [0, len(new["packet_size"].iloc[0])]
    new["packet_message"] = list_column(["X: never seen"] * offsets[1], offsets).set_axis(new.index)
    assert not reader.transform(new).reshape(3, 3)[:, 2].any()


def test_cuts_are_the_sessions_cut(lab):
    """What a row holds of each cut are the statistics of `first_packets`."""
    X, _, _ = lab
    reader = PacketRows(6, ["signed_size"]).fit(X)
    S = reader.n_statistics_
    cuts = reader.cuts(X, [2, 5]).reshape(len(X), 2, 1 + S)
    assert (cuts[:, 0, 0] == 2).all() and (cuts[:, 1, 0] == 5).all()
    rows = reader.transform(first_packets(X, 5))
    np.testing.assert_array_equal(rows[:, 12:], cuts[:, 1, 1:])


def test_training_with_cuts_helps_after_two_packets(lab):
    """A model that saw cut sessions decides better on them, by far more than chance."""
    X, y, groups = lab
    train, test = next(CaptureKFold(3).split(X, y, groups))
    early = first_packets(X.iloc[test], 2)
    scores = []
    for cuts in ((), (2,)):
        clf = small(cuts=cuts, max_epochs=12, n_channels=24).fit(X.iloc[train], y[train])
        scores.append(f1_score(y[test], clf.predict(early), average="macro"))
    assert scores[1] > scores[0]


def test_learns_from_the_bundled_captures(lab):
    """On captures that it has not seen it is far better than the most frequent class."""
    X, y, groups = lab
    train, test = next(CaptureKFold(3).split(X, y, groups))
    clf = small(max_epochs=15, n_channels=24).fit(X.iloc[train], y[train])
    most = np.unique(y[train], return_counts=True)[1].max() / len(train)
    assert clf.score(X.iloc[test], y[test]) > most + 0.15


@pytest.mark.parametrize(
    "params",
    [
        {"packet_loss": 0.3},
        {"packet_merge": 0.3},
        {"late_start": 0.5},
        {"jitter": 0.0},
        {"size_dropout": 0.5},
        {"size_embedding": 0},
        {"kernel_size": 5},
        {"n_blocks": 0},
        {"head": "cosine"},
        {"statistics": None},
        {"statistics": SessionStatistics()},
        {"fields": ["signed_size", "iat"]},
        {"n_packets": 3},
        {"dropout": 0.0},
        {"cuts": (3,)},
        {"batch_size": 64},
    ],
    ids=str,
)
def test_each_parameter_has_an_effect(params, lab):
    """Another value, another model; the same value, the same."""
    X, y, _ = lab
    X, y = X.iloc[:100], y[:100]
    plain, again, other = (
        small(**more).fit(X, y).predict_proba(X) for more in ({}, {}, {**params})
    )
    np.testing.assert_array_equal(plain, again)
    assert not np.allclose(plain, other)


def test_survives_pickle_and_a_model_file(lab, tmp_path):
    """The same probabilities after a pickle, after a file, and of a clone fitted alike."""
    X, y, _ = lab
    clf = small(cuts=(3,)).fit(X, y)
    expected = clf.predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), expected)
    save(clf, tmp_path / "model.skt")
    np.testing.assert_array_equal(load(tmp_path / "model.skt").predict_proba(X), expected)
    np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), expected)


def test_validation_part_and_resampler(lab):
    """Early stopping by capture, and rows picked again, work on session tables."""
    X, y, groups = lab
    kept = np.isin(y, np.unique(y)[:3])
    X, y, groups = X[kept], y[kept], groups[kept]
    clf = small(early_stopping=True, resampler=RandomOverSampler()).fit(X, y, groups=groups)
    assert {"valid_loss", "f1_weighted"} <= set(clf.history_)
    with pytest.raises(ValueError, match=r"SMOTE made .* sessions that are not in the data"):
        small(resampler=SMOTE(k_neighbors=1)).fit(X, y)


ARRAY = np.random.default_rng(0).normal(size=(20, 6))
LABELS = np.repeat(["vpn", "web"], 10)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fields": ["signed_size", "iat", "flags", "payload_size"]}, "6 columns.* 4 fields each"),
        ({"fields": ["iat"]}, "with signed_size, or size and direction, among them"),
        ({"statistics": None}, "statistics=None has no effect with packet sequences"),
        ({"cuts": (0,)}, "cuts must hold positive integers"),
        ({"size_embedding": 0, "size_dropout": 0.4}, "size_dropout=0.4 .*size_embedding=0"),
        ({"jitter": 0.3, "fields": ["signed_size"]}, "jitter=0.3 has no effect with fields="),
        ({"n_packets": 0}, "'n_packets' parameter"),
    ],
)
def test_errors_say_what_to_do(params, message):
    """Parameters that do not fit the input are refused before any training."""
    with pytest.raises(ValueError, match=message):
        small(**params).fit(ARRAY, LABELS)


def test_kinds_of_input_are_not_mixed(lab):
    """A table after sequences, sequences after a table, names that say other fields."""
    X, y, _ = lab
    with pytest.raises(ValueError, match=r"X is packet sequences, but .* on a session table"):
        small().fit(X, y).predict(ARRAY)
    with pytest.raises(ValueError, match=r"X is a session table, but .* on packet sequences"):
        small().fit(ARRAY, LABELS).predict(X)
    with pytest.raises(ValueError, match="must be different names from signed_size, iat"):
        small(fields=["iat"]).fit(X, y)
    named = pd.DataFrame(
        ARRAY, columns=[f"packet_{i}_{f}" for i in range(3) for f in ("signed_size", "iat")]
    )
    with pytest.raises(ValueError, match="columns are named after"):
        small(fields=["signed_size"]).fit(named, LABELS)


@parametrize_with_checks(
    [
        PacketSequenceClassifier(
            n_channels=16, n_blocks=1, precision="float64", random_state=0, dropout=0.0, jitter=0.0
        )
    ],
    # batch normalisation sees a batch: two equal rows in it are not one row of weight two
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "batch normalisation",
        "check_sample_weight_equivalence_on_sparse_data": "batch normalisation",
    },
)
def test_is_a_scikit_learn_classifier(estimator, check):
    """scikit-learn's own checks."""
    check(estimator)


def test_the_module_has_the_defaults_of_the_estimator():
    """Who takes the network alone gets the one that the estimator trains."""
    of_module = inspect.signature(PacketSequenceNet).parameters
    of_estimator = inspect.signature(PacketSequenceClassifier).parameters
    both = [
        name
        for name in of_module.keys() & of_estimator.keys()
        if of_module[name].default is not inspect.Parameter.empty
    ]
    assert len(both) >= 10
    assert [n for n in both if of_module[n].default != of_estimator[n].default] == []
