"""Where a model comes from: versions, settings, features, classes, data, scores."""

import dataclasses
import datetime
import hashlib
import platform

import numpy as np
import pandas as pd

from sktraffic import __version__
from sktraffic._versions import installed
from sktraffic.ragged import ragged

PACKAGES = ("scikit-learn", "imbalanced-learn", "numpy", "pandas", "skops", "nfstream", "torch")
_NUMBERS = ("packet_time", "packet_size", "packet_direction")


def versions():
    """Return the versions of Python, sktraffic and what it stands on, a dict of str."""
    python = platform.python_version()
    return {"sktraffic": __version__, "python": python, **installed(PACKAGES)}


def describe(estimator, X=None, y=None, scores=None, extractor=None):
    """Return what is known of a fitted estimator, of JSON's types.

    Parameters are those of :func:`sktraffic.persistence.save`.
    """
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "estimator": type(estimator).__name__,
        "extraction": extraction(estimator, extractor),
        "feature_names": feature_names(estimator),
        "classes": _plain(getattr(estimator, "classes_", None)),
        "class_counts": _class_counts(estimator, y),
        "data_hash": getattr(estimator, "data_hash_", None) if X is None else hash_data(X, y),
        **_scores(scores or {}),
    }


def _scores(scores):
    """Scores, and the ends of those intervals that are numbers."""
    values, intervals = {}, {}
    for name, value in scores.items():
        estimate, *ends = value if isinstance(value, tuple) else (value,)
        values[str(name)] = float(estimate)
        if ends and np.isfinite(ends).all():
            intervals[str(name)] = [float(end) for end in ends]
    return {"scores": values, "intervals": intervals}


def extraction(estimator, extractor=None):
    """Return the extraction settings, a dict, or None where they are not known."""
    if extractor is not None:
        return dataclasses.asdict(extractor._settings())
    for candidate in (estimator, getattr(estimator, "best_estimator_", None)):
        if hasattr(candidate, "extraction_settings_"):
            return dict(candidate.extraction_settings_)
    return None


def feature_names(estimator):
    """Return the names of the columns that reach the classifier, as far as they are known."""
    for name in ("best_estimator_", "estimator_"):
        estimator = getattr(estimator, name, estimator)
    if hasattr(estimator, "steps"):
        try:
            return _plain(estimator[:-1].get_feature_names_out())
        except (AttributeError, TypeError, ValueError):
            pass  # a step without names: those of the input are the next best
    return _plain(getattr(estimator, "feature_names_in_", None))


def hash_data(X, y=None):
    """Return a SHA-256 of training data.

    Of a session table, its packets' times, sizes and directions count (or, without them, its
    columns of numbers), since paths and addresses say nothing of what was learned.
    """
    digest = hashlib.sha256()
    if isinstance(X, pd.DataFrame) and "packet_size" in X:
        for name in _NUMBERS:
            if name in X:
                for part in ragged(X[name]):
                    digest.update(np.ascontiguousarray(part).tobytes())
    elif isinstance(X, pd.DataFrame):
        digest.update("\n".join(map(str, X.columns)).encode())
        digest.update(np.ascontiguousarray(X.to_numpy(dtype=np.float64)).tobytes())
    else:
        X = np.asarray(X)
        digest.update(f"{X.dtype} {X.shape}".encode())
        digest.update(np.ascontiguousarray(X).tobytes())
    if y is not None:
        digest.update("\n".join(map(str, np.asarray(y).tolist())).encode())
    return digest.hexdigest()


def _class_counts(estimator, y):
    if y is not None:
        labels, counts = np.unique(np.asarray(y), return_counts=True)
        return {str(label): int(n) for label, n in zip(labels, counts, strict=True)}
    counts = getattr(estimator, "class_counts_", None)
    if not isinstance(counts, dict):  # naive Bayes, say, has counts of its own by this name
        return None
    return {
        str(label): {what: int(number[i]) for what, number in counts.items()}
        for i, label in enumerate(estimator.classes_)
    }


def _plain(values):
    return None if values is None else np.asarray(values).tolist()
