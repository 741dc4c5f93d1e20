"""Ensemble selection and temperature scaling: what is computed from held-out probabilities."""

import numpy as np
from scipy.optimize import minimize_scalar

__all__ = ["fit_temperature", "greedy_weights", "leave_one_out", "scale_temperature"]


def greedy_weights(probabilities, score, n_rounds=50, tolerance=0.0):
    """Choose members one at a time, with replacement, each the one that helps most.

    Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models", ICML
    2004, sections 2 and 2.2: a member that is chosen twice weighs twice. The best of all rounds
    counts, and of equal ones the first, so a round that does not help costs nothing.

    Parameters
    ----------
    probabilities : ndarray of shape (n_members, n_samples, n_classes)
        Of members that were fitted without the samples that they judge here.
    score : callable
        ``score(proba) -> float`` for probabilities of shape (n_samples, n_classes); more is better.
    n_rounds : int, default=50
    tolerance : float, default=0.0
        Least gain of a later round over the best so far to be preferred to it.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Not negative, with sum 1.
    rounds : list of (int, float)
        The member that each round chose, and the score with it.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ensemble._greedy import greedy_weights
    >>> truth = np.array([0, 1, 0, 1])
    >>> right = np.eye(2)[truth]
    >>> guess = np.full((4, 2), 0.5)
    >>> weights, rounds = greedy_weights(
    ...     np.stack([guess, right]), lambda p: (p.argmax(axis=1) == truth).mean(), n_rounds=3
    ... )
    >>> weights
    array([0., 1.])
    """
    probabilities = np.asarray(probabilities)
    counts = np.zeros(len(probabilities), dtype=int)
    total = np.zeros(probabilities.shape[1:])
    rounds, best, best_counts = [], -np.inf, counts
    for size in range(1, n_rounds + 1):
        scores = [score((total + member) / size) for member in probabilities]
        chosen = int(np.argmax(scores))
        counts[chosen] += 1
        total += probabilities[chosen]
        rounds.append((chosen, float(scores[chosen])))
        if scores[chosen] > best + (tolerance if size > 1 else 0):
            best, best_counts = scores[chosen], counts.copy()
    return best_counts / best_counts.sum(), rounds


def leave_one_out(probabilities, weights, score):
    """Say what each member adds: the score with all, less the score without it.

    Parameters
    ----------
    probabilities : ndarray of shape (n_members, n_samples, n_classes)
    weights : ndarray of shape (n_members,)
    score : callable
        As in :func:`greedy_weights`.

    Returns
    -------
    ndarray of shape (n_members,)
        0 for a member of weight 0; the whole score for the only one that has a weight.
    """
    whole = score(np.tensordot(weights, probabilities, axes=1))
    added = np.zeros(len(weights))
    for member in np.flatnonzero(weights):
        rest = weights.copy()
        rest[member] = 0
        if rest.any():
            added[member] = whole - score(np.tensordot(rest / rest.sum(), probabilities, axes=1))
        else:
            added[member] = whole
    return added


def scale_temperature(proba, temperature):
    """Sharpen (below 1) or soften (above 1) probabilities without changing their order.

    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, eq. 9,
    with logarithms of probabilities for logits.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
    temperature : float

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ensemble._greedy import scale_temperature
    >>> scale_temperature(np.array([[0.8, 0.2]]), 0.5).round(3)
    array([[0.941, 0.059]])
    """
    logits = np.log(np.maximum(proba, np.finfo(float).tiny)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    scaled = np.exp(logits)
    return scaled / scaled.sum(axis=1, keepdims=True)


def fit_temperature(proba, y, sample_weight=None):
    """Find the temperature of least log loss on held-out probabilities.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
    y : ndarray of int of shape (n_samples,)
        Class numbers.
    sample_weight : ndarray of shape (n_samples,), default=None

    Returns
    -------
    float
        Between 0.1 and 10.
    """
    # few trees say 0 easily: one such row must not decide the loss alone
    floor = np.maximum(proba, 1e-3)
    rows = np.arange(len(y))

    def loss(log_temperature):
        scaled = scale_temperature(floor, np.exp(log_temperature))
        return -np.average(np.log(scaled[rows, y] + 1e-300), weights=sample_weight)

    found = minimize_scalar(loss, bounds=np.log([0.1, 10.0]), method="bounded")
    return float(np.exp(found.x))
