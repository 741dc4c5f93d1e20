"""How much the members of an ensemble disagree: pure functions over probabilities."""

import numpy as np


def mutual_information(proba):
    """H(mean p) - mean H(p) in bits: (M, n, K) -> (n,)."""
    information = _entropy(proba.mean(axis=0)) - _entropy(proba).mean(axis=0)
    return np.maximum(information, 0.0)  # rounding can leave -1e-16


def _entropy(proba):
    """Entropy in bits over the last axis; 0 log 0 is 0."""
    log = np.log2(proba, where=proba > 0, out=np.zeros_like(proba))
    return -(proba * log).sum(axis=-1)
