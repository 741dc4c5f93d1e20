"""Whether the laboratory captures can be told apart by what is no behaviour: the shortcut check.

Models that see addresses alone, ports alone, the time of day alone or the length of the run alone
are scored on runs that they have not seen. On traffic recorded without a shortcut they are near
chance, while a model of sizes and times is well above it.
"""

import ipaddress

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic.feature_extraction import SessionStatistics
from sktraffic.ragged import segment_max, segment_min


def address_features(X):
    """Turn both addresses into their octets; shape (n_sessions, 8) for IPv4, else (.., 32)."""
    packed = [[ipaddress.ip_address(a).packed for a in X[c]] for c in ("src_ip", "dst_ip")]
    width = max(len(a) for column in packed for a in column)
    columns = [
        np.frombuffer(b"".join(a.rjust(width, b"\0") for a in column), np.uint8)
        for column in packed
    ]
    return np.hstack([column.reshape(-1, width) for column in columns]).astype(float)


def port_features(X):
    """Both ports; shape (n_sessions, 2)."""
    return X[["src_port", "dst_port"]].astype("Float64").fillna(0).to_numpy(dtype=float)


def start_features(X):
    """Start of the session, seconds since 1970; shape (n_sessions, 1)."""
    start = pd.DatetimeIndex(X["start"].astype("datetime64[ns, UTC]"))
    return (start.astype("int64").to_numpy() / 1e9)[:, None]


def run_length_features(X, groups):
    """Length of the whole run that the session is in, seconds; shape (n_sessions, 1)."""
    codes, _ = pd.factorize(np.asarray(groups))
    start = start_features(X)[:, 0]
    end = start + X["duration"].to_numpy(dtype=float)
    order = np.argsort(codes, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    length = segment_max(end[order], offsets) - segment_min(start[order], offsets)
    return length[codes][:, None]


def shortcut_scores(X, y, groups, *, n_splits=5, random_state=0):
    """Score models on single shortcuts, and on behaviour, on runs that they have not seen.

    Parameters
    ----------
    X : DataFrame of shape (n_sessions, n_columns)
        Session table.
    y : array-like of shape (n_sessions,)
        Classes.
    groups : array-like of shape (n_sessions,)
        Runs; none is in a training and a test part at once.
    n_splits : int, default=5
    random_state : int, default=0
        Of the split and the forests.

    Returns
    -------
    DataFrame
        Index: what the model sees. Columns: macro-averaged F1 of out-of-fold predictions of a
        5-nearest-neighbour model on standardised values and of a random forest.
    """
    y, groups = np.asarray(y, dtype=str), np.asarray(groups, dtype=str)
    views = {
        "addresses": address_features(X),
        "ports": port_features(X),
        "start time": start_features(X),
        "length of the run": run_length_features(X, groups),
        "nine features": np.asarray(SessionStatistics().fit_transform(X), dtype=float),
    }
    folds = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    splits = list(folds.split(y, y, groups))
    models = {
        "nearest neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
        "random forest": RandomForestClassifier(
            100, class_weight="balanced", random_state=random_state
        ),
    }
    scores = {
        model_name: {
            view: f1_score(y, cross_val_predict(model, values, y, cv=splits), average="macro")
            for view, values in views.items()
        }
        for model_name, model in models.items()
    }
    return pd.DataFrame(scores).rename_axis("what the model sees")


def chance_score(y, *, repeats=20, random_state=0):
    """Macro F1 of guessing each class as often as it is there."""
    y = np.asarray(y, dtype=str)
    rng = np.random.default_rng(random_state)
    return float(
        np.mean([f1_score(y, rng.permutation(y), average="macro") for _ in range(repeats)])
    )
