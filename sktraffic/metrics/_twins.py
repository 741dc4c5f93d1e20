"""Scores with and without the test sessions that have a twin in training."""

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils import check_consistent_length

__all__ = ["twin_scores"]


def twin_scores(y_true, y_pred, twins):
    """Score all sessions, those with a twin in training, and those without.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_sessions,)
        Labels.
    twins : array-like of bool of shape (n_sessions,)
        From :func:`sktraffic.model_selection.has_twin`.

    Returns
    -------
    DataFrame of shape (3, 4)
        Rows "all", "with twin", "without twin"; columns `sessions`, `share`, `accuracy` and
        `f1_macro` (over the classes that occur in that row's truth). Missing where a row has no
        session.

    Raises
    ------
    ValueError
        If the lengths differ, or `twins` is not boolean.

    Examples
    --------
    >>> from sktraffic.metrics import twin_scores
    >>> table = twin_scores(["a", "a", "b", "b"], ["a", "a", "b", "a"], [True, True, True, False])
    >>> table.loc[["all", "without twin"], "accuracy"].tolist()
    [0.75, 0.0]
    """
    y_true, y_pred, twins = np.asarray(y_true), np.asarray(y_pred), np.asarray(twins)
    check_consistent_length(y_true, y_pred, twins)
    if twins.dtype != bool:
        raise ValueError(f"twins holds {twins.dtype}; it must be boolean, as has_twin returns it.")
    sides = {"all": np.ones(len(twins), bool), "with twin": twins, "without twin": ~twins}
    rows = {name: _row(y_true[side], y_pred[side], len(twins)) for name, side in sides.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def _row(truth, answer, n_all):
    if not len(truth):
        return {"sessions": 0, "share": 0.0, "accuracy": np.nan, "f1_macro": np.nan}
    labels = np.unique(truth)
    return {
        "sessions": len(truth),
        "share": len(truth) / n_all,
        "accuracy": accuracy_score(truth, answer),
        "f1_macro": f1_score(truth, answer, labels=labels, average="macro", zero_division=0),
    }
