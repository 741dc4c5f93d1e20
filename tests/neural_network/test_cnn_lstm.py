"""CNNLSTM: scikit-learn's checks, bytes, packet sequences, errors."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils.estimator_checks import check_class_weight_classifiers, parametrize_with_checks

from sktraffic.neural_network import CNNLSTM

# exact to 1e-7 where scikit-learn asks for it: one batch, no dropout, float64
EXACT = {"dropout": 0.0, "lr": 0.05, "max_epochs": 20, "early_stopping": False}
EXACT |= {"precision": "float64", "random_state": 0}
TINY = {"n_filters": (8,), "lstm_hidden_size": 8, "hidden_sizes": (8,), "random_state": 0}


@parametrize_with_checks([CNNLSTM(n_filters=(8,), lstm_hidden_size=8, hidden_sizes=(8,), **EXACT)])
def test_is_a_classifier(estimator, check):
    """CNNLSTM is a scikit-learn classifier of tables."""
    check(estimator)


def test_class_weights_decide_in_15_epochs():
    """At its own size, where no unweighted score of a validation part chooses the epoch."""
    check_class_weight_classifiers("CNNLSTM", CNNLSTM(max_epochs=15, early_stopping=False))


def test_learns_order_in_packet_sequences():
    """Two values a step; the class is which of two events comes first, so order must count."""
    rng = np.random.default_rng(0)
    X = rng.normal(0, 0.1, (300, 12, 2))
    first = rng.integers(0, 2, 300)
    rows, early, late = np.arange(300), rng.integers(0, 6, 300), rng.integers(6, 12, 300)
    X[rows, early, 0] += np.where(first, 3, -3)
    X[rows, late, 0] -= np.where(first, 3, -3)
    X = X.reshape(300, 24)
    clf = CNNLSTM(n_channels=2, **TINY, lr=0.02, max_epochs=60, batch_size=50)
    clf.fit(X[:200], first[:200])
    assert clf.score(X[200:], first[200:]) > 0.9


def test_bytes_are_scaled():
    """Integers are divided by 255: the fit equals that on the quotients."""
    X = np.random.default_rng(0).integers(0, 256, (40, 16))
    y = X[:, 0] > 127
    clf = CNNLSTM(**TINY, max_epochs=2, precision="float64")
    want = clf.fit(X / 255, y).predict_proba(X / 255)
    assert_array_equal(clf.fit(X, y).predict_proba(X), want)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_channels": 3}, "16 columns cannot be steps of 3 values each"),
        ({"n_filters": (8, 0)}, r"n_filters must hold positive integers, got \(8, 0\)"),
        ({"kernel_size": 0}, "kernel_size"),
    ],
)
def test_bad_parameters_are_errors(params, message):
    """Checked in fit; the message names the parameter and what came."""
    with pytest.raises(ValueError, match=message):
        CNNLSTM(**params).fit(np.ones((4, 16)), [0, 1, 0, 1])
