"""Score a classifier of captures on labelled captures."""

import dataclasses

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from sktraffic.capture import capture_name
from sktraffic.metrics import per_class_scores, twin_scores
from sktraffic.model_selection import has_twin


@dataclasses.dataclass(frozen=True)
class CaptureEvaluation:
    """What :func:`evaluate_captures` returns.

    Attributes
    ----------
    sessions : DataFrame
        As `CaptureClassifier.predict_sessions` gives it, with the column `true`, and `twin` where
        the training sessions were given.
    captures : DataFrame
        A row a capture, as `CaptureClassifier.decide` gives it, with the column `true`.
    per_class : DataFrame
        Of the sessions, as :func:`sktraffic.metrics.per_class_scores` gives it, with intervals
        over captures.
    scores : dict of str to float
        `accuracy` and `f1_macro` of sessions (NaN without one), and the same of captures as
        `capture_accuracy` and `capture_f1_macro`.
    twins : DataFrame or None
        Of the sessions, as :func:`sktraffic.metrics.twin_scores` gives it: what the scores are
        without sessions that were in training already. None without the training sessions.

    Examples
    --------
    >>> from sktraffic.report import evaluate_captures
    >>> evaluate_captures(clf, paths, labels).scores  # doctest: +SKIP
    """

    sessions: pd.DataFrame
    captures: pd.DataFrame
    per_class: pd.DataFrame
    scores: dict
    twins: pd.DataFrame | None = None

    def confusion(self):
        """Count sessions by true class (rows) and by called class (columns).

        Returns
        -------
        DataFrame
        """
        true, called = self.sessions["true"].to_numpy(), self.sessions["label"].to_numpy()
        names = np.unique(np.concatenate([true, called]))
        table = confusion_matrix(true, called, labels=names)
        return pd.DataFrame(table, pd.Index(names, name="true"), pd.Index(names, name="called"))


def evaluate_captures(
    clf, paths, labels, *, sessions=None, training_sessions=None, n_resamples=500, random_state=0
):
    """Score a fitted `CaptureClassifier` on captures with labels.

    Parameters
    ----------
    clf : CaptureClassifier
        Fitted, on other captures.
    paths : sequence of path-like of shape (n_captures,)
    labels : array-like of shape (n_captures,)
    sessions : DataFrame, default=None
        The session table of these captures; by default they are read as in training.
    training_sessions : DataFrame, default=None
        The session table of the captures that `clf` was trained on, for the scores without twins.
    n_resamples : int, default=500
        Draws of captures for the intervals of the per-class table; 0 leaves them out.
    random_state : int, default=0
        Of the draws.

    Returns
    -------
    CaptureEvaluation

    Raises
    ------
    CaptureError
        If a capture cannot be read.
    ValueError
        If no capture has a session.

    Examples
    --------
    >>> from sktraffic.report import evaluate_captures
    >>> found = evaluate_captures(clf, paths, labels)  # doctest: +SKIP
    >>> found.per_class[["recall", "f1"]]  # doctest: +SKIP
    """
    paths, labels = list(map(str, paths)), np.asarray(labels)
    X = _read(clf, paths) if sessions is None else sessions
    if not len(X):
        raise ValueError(f"None of the {len(paths)} captures has a session to score.")
    sessions, captures = classify_captures(clf, paths, sessions=X)
    true_of = dict(zip(map(capture_name, paths), labels.tolist(), strict=True))
    capture = sessions["capture"].astype(object)
    sessions = sessions.assign(true=capture.map(true_of).to_numpy())
    captures.insert(1, "true", labels)
    called = captures["label"].to_numpy()
    true, label = sessions["true"].to_numpy(), sessions["label"].to_numpy()
    per_class = per_class_scores(
        true,
        label,
        groups=capture.to_numpy(),
        n_resamples=n_resamples,
        random_state=random_state,
    )
    scores = {
        "accuracy": float(accuracy_score(true, label)),
        "f1_macro": _f1(true, label),
        "capture_accuracy": float(accuracy_score(labels, called)),
        "capture_f1_macro": _f1(labels, called),
    }
    twins = None
    if training_sessions is not None:
        sessions["twin"] = has_twin(training_sessions, X)
        twins = twin_scores(true, label, sessions["twin"].to_numpy())
    return CaptureEvaluation(sessions, captures, per_class.rename_axis("class"), scores, twins)


def classify_captures(clf, paths, *, sessions=None):
    """Classify captures and the sessions in them, reading each capture once.

    Parameters
    ----------
    clf : CaptureClassifier
        Fitted.
    paths : sequence of path-like of shape (n_captures,)
        One file each.
    sessions : DataFrame, default=None
        The session table of these captures; by default they are read as in training.

    Returns
    -------
    sessions : DataFrame
        As `CaptureClassifier.predict_sessions` gives it.
    captures : DataFrame
        As `CaptureClassifier.decide` gives it.

    Examples
    --------
    >>> from sktraffic.report import classify_captures
    >>> sessions, captures = classify_captures(clf, ["monday.pcap"])  # doctest: +SKIP
    """
    paths = list(map(str, paths))
    X = _read(clf, paths) if sessions is None else sessions
    return clf.predict_sessions(X), clf.decide(X, paths)


def _f1(true, called):
    """Mean F1 of the classes that are there."""
    names = np.unique(true)
    return float(f1_score(true, called, labels=names, average="macro", zero_division=0))


def _read(clf, paths):
    """Read the sessions of captures as a classifier does."""
    return clf.extractor_.extract(paths, cache=clf.cache)[0]
