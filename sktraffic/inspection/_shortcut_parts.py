"""Parts of the shortcut report: columns made worthless, and baselines that learn nothing real."""

from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic.model_selection import value_keys
from sktraffic.ragged import list_column, ragged, segment_sum
from sktraffic.sessions import FACTS

__all__ = [
    "SHORTCUT_COLUMNS",
    "LookupClassifier",
    "nearest_neighbour",
    "permute_labels",
    "scramble_first_sizes",
    "shuffle_columns",
]

SHORTCUT_COLUMNS = {
    "addresses": ("src_ip", "dst_ip", "sni", "vlan_id", "ip_version"),
    "ports": ("src_port", "dst_port"),
    "time": ("start",),
}


def shuffle_columns(X, columns, rng):
    """Give every row the values of another row in these columns, together.

    The columns keep their values and what they tell about each other, but say nothing of their
    row any more: an estimator fitted and tested on the result is one without them.
    """
    columns = [name for name in columns if name in X.columns]
    out = X.copy()
    order = rng.permutation(len(X))
    for name in columns:
        taken = X[name].iloc[order]
        taken.index = X.index
        out[name] = taken
    return out


def scramble_first_sizes(X, n_first, rng):
    """Exchange the sizes of the first packets between sessions, place by place.

    Parameters
    ----------
    X : DataFrame
        Session table with `packet_size`; payload sizes are exchanged alike.
    n_first : int
        Packets.
    rng : RandomState

    Returns
    -------
    DataFrame
        `total_bytes` follows.
    """
    size, offsets = ragged(X["packet_size"])
    size = size.copy()
    payload = None
    if "packet_payload_size" in X.columns:
        values, own = ragged(X["packet_payload_size"])
        payload = values.copy() if np.array_equal(own, offsets) else None
    for place in range(n_first):
        at = offsets[:-1][np.diff(offsets) > place] + place
        source = rng.permutation(at)
        size[at] = size[source]
        if payload is not None:
            payload[at] = payload[source]
    out = X.copy()
    out["packet_size"] = list_column(size, offsets).set_axis(X.index)
    if payload is not None:
        out["packet_payload_size"] = list_column(payload, offsets).set_axis(X.index)
    if "total_bytes" in X.columns:
        total = pd.Series(segment_sum(size.astype(np.int64), offsets), index=X.index)
        out["total_bytes"] = total.astype(X["total_bytes"].dtype)
    return out


def permute_labels(y, groups, rng):
    """Hand out labels anew: to whole captures when each has one label, else row by row.

    Labels exchanged between captures mean nothing, so a split that still scores with them scores
    the recognition of captures.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
    by_capture : bool
    """
    y = np.asarray(y)
    if groups is not None:
        names, first, codes = np.unique(groups, return_index=True, return_inverse=True)
        labels = y[first]
        if (y == labels[codes]).all() and len(names) > len(np.unique(y)):
            # a dozen captures keep many of their labels by chance: take the draw that says least
            draws = [labels[rng.permutation(len(names))] for _ in range(50)]
            return min(draws, key=lambda drawn: mutual_info_score(labels, drawn))[codes], True
    return y[rng.permutation(len(y))], False


def nearest_neighbour(estimator, X):
    """Build a 1-nearest-neighbour classifier on the estimator's own features.

    The last step of a pipeline is replaced; any other estimator's numeric columns are compared,
    of a session table its facts.
    """
    last = [StandardScaler(with_mean=False), KNeighborsClassifier(n_neighbors=1)]
    steps = getattr(estimator, "steps", None)
    if steps is not None and len(steps) > 1:
        names = [("shortcut_scale", last[0]), ("shortcut_neighbour", last[1])]
        return type(estimator)([*steps[:-1], *names])
    if "packet_size" in getattr(X, "columns", ()):
        return make_pipeline(_Columns([name for name in FACTS if name in X.columns]), *last)
    if isinstance(X, pd.DataFrame):
        return make_pipeline(_Columns(list(X.select_dtypes("number").columns)), *last)
    return make_pipeline(*last)


class _Columns(BaseEstimator):
    """Take some columns as numbers."""

    def __init__(self, columns):
        self.columns = columns

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[self.columns].to_numpy(dtype=np.float64, na_value=0.0)

    def __sklearn_is_fitted__(self):
        return True


class LookupClassifier(ClassifierMixin, BaseEstimator):
    """Remember which labels a value came with; guess by the whole where a value is new.

    Parameters
    ----------
    columns : sequence of str
        Looked up together first; a row whose combination is new goes by its known single values.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    prior_ : ndarray of shape (n_classes,)
        Their shares.
    tables_ : dict
        Columns -> sorted fingerprints of their values, and counts of labels for each.
    """

    _parameter_constraints: ClassVar[dict] = {"columns": ["array-like"]}

    def __init__(self, columns):
        self.columns = columns

    def fit(self, X, y):
        """Count labels by value; X is a DataFrame."""
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        self.prior_ = np.bincount(codes) / len(codes)
        self.tables_ = {}
        for names in self._keys():
            keys, at = np.unique(value_keys(X, names), return_inverse=True)
            counts = np.zeros((len(keys), len(self.classes_)))
            np.add.at(counts, (at, codes), 1)
            self.tables_[names] = keys, counts
        return self

    def predict_proba(self, X):
        """Shares of the labels a row's values came with; shape (n_samples, n_classes)."""
        together, *single = self._keys()
        votes = self._count(X, together)
        new = ~votes.any(axis=1)
        for names in single:
            votes[new] += self._count(X, names)[new]
        unknown = ~votes.any(axis=1)
        votes[unknown] = self.prior_
        return votes / votes.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Return the label most often seen with a row's values; shape (n_samples,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _count(self, X, names):
        keys, counts = self.tables_[names]
        wanted = value_keys(X, names)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where((keys[at] == wanted)[:, np.newaxis], counts[at], 0.0)

    def _keys(self):
        together = tuple(self.columns)
        return [together] + ([(name,) for name in together] if len(together) > 1 else [])
