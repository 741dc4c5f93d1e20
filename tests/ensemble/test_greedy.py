"""Ensemble selection: hand-checkable choices, and laws of the temperature."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sktraffic.ensemble._greedy import (
    fit_temperature,
    greedy_weights,
    leave_one_out,
    scale_temperature,
)

TRUTH = np.array([0, 0, 1, 1])


def accuracy(proba):
    return float((proba.argmax(axis=1) == TRUTH).mean())


def votes(*right):
    """Probabilities of a member that is right on some rows: 0.9 there, 0.4 elsewhere."""
    of_truth = np.where(np.isin(np.arange(4), right), 0.9, 0.4)
    proba = np.empty((4, 2))
    proba[np.arange(4), TRUTH] = of_truth
    proba[np.arange(4), 1 - TRUTH] = 1 - of_truth
    return proba


def test_members_that_complement_each_other_share_the_weight():
    """Each is right on half; their average on all: by hand, round one 0.5, round two 1.0."""
    weights, rounds = greedy_weights(np.stack([votes(0, 1), votes(2, 3), votes()]), accuracy, 4)
    assert weights.tolist() == [0.5, 0.5, 0]
    assert rounds[:2] == [(0, 0.5), (1, 1.0)]


def test_a_second_choice_doubles_the_weight():
    """With replacement: a squared error is least at two parts of one member to one of another."""
    members = np.stack([np.full((1, 2), 0.0), np.full((1, 2), 3.0)])
    weights, _ = greedy_weights(members, lambda p: -float((p[0, 0] - 1) ** 2), 3)
    assert_allclose(weights, [2 / 3, 1 / 3])


def test_of_equal_rounds_the_first_counts():
    """A member that changes nothing gets no weight."""
    weights, rounds = greedy_weights(np.stack([votes(0, 1, 2, 3), votes(0)]), accuracy, 10)
    assert weights.tolist() == [1, 0]
    assert len(rounds) == 10


def test_a_gain_below_the_tolerance_adds_no_member():
    """The second member adds 0.5; a tolerance of 0.6 leaves it out."""
    members = np.stack([votes(0, 1), votes(2, 3)])
    weights, _ = greedy_weights(members, accuracy, 4, tolerance=0.6)
    assert weights.tolist() == [1, 0]


def test_what_a_member_adds():
    """Both are needed for 1.0; either alone has 0.5; one without weight adds nothing."""
    members = np.stack([votes(0, 1), votes(2, 3), votes()])
    added = leave_one_out(members, np.array([0.5, 0.5, 0]), accuracy)
    assert added.tolist() == [0.5, 0.5, 0]
    assert leave_one_out(members, np.array([1.0, 0, 0]), accuracy).tolist() == [0.5, 0, 0]


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_a_temperature_keeps_sums_and_order(seed, temperature):
    """Probabilities still sum to 1, and the order of the classes stays."""
    proba = np.random.default_rng(seed).dirichlet(np.ones(4), 6)
    scaled = scale_temperature(proba, temperature)
    assert_allclose(scaled.sum(axis=1), 1)
    assert (np.argsort(scaled, kind="stable") == np.argsort(proba, kind="stable")).all()


def test_the_temperature_of_sharpened_probabilities_is_found():
    """Labels drawn from p, probabilities sharpened to p**2: the temperature is 2."""
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(3), 20_000)
    y = (proba.cumsum(axis=1) > rng.random((len(proba), 1))).argmax(axis=1)
    assert_allclose(fit_temperature(scale_temperature(proba, 0.5), y), 2, rtol=0.05)
    assert_allclose(fit_temperature(proba, y), 1, rtol=0.05)
