"""Scores that early stopping can watch, from one weighted confusion matrix.

scikit-learn's own functions validate their input at each call, which at small epochs costs more
than the epoch; the tests compare both.
"""

import numpy as np

#: What ``monitor=`` takes; the sign says whether more is better.
MONITORS = {
    "f1_weighted": 1,
    "f1_macro": 1,
    "accuracy": 1,
    "balanced_accuracy": 1,
    "valid_loss": -1,
}


def confusion(target, predicted, n_classes, weight=None):
    """Weighted confusion matrix of shape (K, K), rows are the true classes."""
    cells = np.bincount(target * n_classes + predicted, weight, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes).astype(np.float64)


def scores(matrix):
    """All score monitors of a confusion matrix, over the classes that occur; 0 / 0 counts as 0."""
    hits, support, claimed = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    present = support > 0
    f1 = 2 * hits / np.maximum(support + claimed, np.finfo(float).tiny)
    occurs = present | (claimed > 0)
    return {
        "f1_weighted": float(np.average(f1, weights=support)),
        "f1_macro": float(f1[occurs].mean()),
        "accuracy": float(hits.sum() / support.sum()),
        "balanced_accuracy": float((hits[present] / support[present]).mean()),
    }
