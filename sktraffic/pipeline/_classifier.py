"""CaptureClassifier: captures in, labels out."""

import dataclasses
import os
import warnings
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from sktraffic._base import BaseEstimator
from sktraffic._compat import HasMethods, StrOptions, _fit_context
from sktraffic._routing import group_params
from sktraffic.capture import CaptureWarning, SessionExtractor, capture_name
from sktraffic.pipeline import _incremental
from sktraffic.pipeline._decisions import decide, describe
from sktraffic.pipeline._defaults import default_estimator
from sktraffic.pipeline._extract import combine, data_hash, one_path_each
from sktraffic.pipeline._stream import DecisionStream


def _can_partial_fit(self):
    estimator = self.estimator_ if hasattr(self, "estimator_") else self.estimator
    return _incremental.can_partial_fit(default_estimator() if estimator is None else estimator)


class CaptureClassifier(ClassifierMixin, BaseEstimator):
    """Classify captures, and the sessions in them, with any scikit-learn estimator.

    A sample is a capture: a file with a label, and many sessions inside. `fit` extracts the
    sessions, gives each the label of its capture and trains `estimator` on the session table;
    `predict` lets the sessions of a capture vote. Since a capture is one sample,
    scikit-learn's own splitters, `cross_validate` and `GridSearchCV` keep the sessions of
    a capture on one side of every split without further ado.

    Parameters
    ----------
    estimator : classifier, default=None
        Takes a session table: a Pipeline that begins with a transformer of
        :mod:`sktraffic.feature_extraction`, as a rule. None stands for
        :func:`default_estimator`.
    extractor : SessionExtractor, default=None
        How captures are read; None for the default settings. With ``on_error="skip"`` or
        ``"warn"`` captures that cannot be read are left out of training and predicted as said in
        the notes.
    vote : {"probability", "majority"}, default="probability"
        How the sessions of a capture decide: by the mean of their probabilities, or one vote a
        session (ties go to the higher mean probability, where there are probabilities).
    cache : path-like, default=None
        Folder in which extracted sessions are kept, so that a grid search reads every capture
        once for each combination of the extractor's settings. A capture that has changed since
        is read anew.

    Attributes
    ----------
    estimator_ : classifier
        Fitted.
    extractor_ : SessionExtractor
        The one in use.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    class_prior_ : ndarray of shape (n_classes,)
        Shares of the training captures.
    class_counts_ : dict of str to ndarray of shape (n_classes,)
        Training "captures" and "sessions" of each class of `classes_`.
    extraction_settings_ : dict
        What shaped the session table.
    data_hash_ : str
        SHA-256 over the training captures' bytes and their labels, in whatever order they came.

    See Also
    --------
    sktraffic.datasets.load_captures : Sessions, labels and groups, for a pipeline of one's own.
    sktraffic.persistence.save : Writes a fitted classifier to a safe file.

    Notes
    -----
    A capture without sessions (all of it filtered out, or unreadable where `extractor` goes on)
    is predicted as `class_prior_`, its probabilities, and the most frequent class, with a
    :class:`~sktraffic.capture.CaptureWarning`.

    While `estimator` or `extractor` is None, ``set_params(estimator__clf__n_estimators=50)``
    or ``set_params(extractor__idle_timeout=60)`` puts the default there first, so grids over
    nested parameters work without naming either. If `estimator` takes `groups` in its `fit` (the
    neural ones do, to keep a capture on one side of their validation cut), it gets the captures.

    Examples
    --------
    >>> from sktraffic.pipeline import CaptureClassifier
    >>> clf = CaptureClassifier().set_params(extractor__idle_timeout=60)
    >>> clf.extractor
    SessionExtractor(idle_timeout=60)
    >>> clf.fit(["a/1.pcap", "b/1.pcap"], ["a", "b"])  # doctest: +SKIP
    >>> clf.predict(["unknown.pcap"])  # doctest: +SKIP
    >>> clf.predict_sessions("unknown.pcap")  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "extractor": [SessionExtractor, None],
        "vote": [StrOptions({"probability", "majority"})],
        "cache": [str, os.PathLike, None],
    }

    def __init__(self, estimator=None, extractor=None, vote="probability", cache=None):
        self.estimator = estimator
        self.extractor = extractor
        self.vote = vote
        self.cache = cache

    def set_params(self, **params):
        """Set parameters, also those of the defaults.

        Parameters
        ----------
        **params : dict
            ``estimator__...`` and ``extractor__...`` reach inside; where `estimator` or
            `extractor` is None, the default takes its place first.

        Returns
        -------
        CaptureClassifier
            This one.
        """
        makers = {"estimator": default_estimator, "extractor": SessionExtractor}
        for name, make in makers.items():
            nested = any(key.startswith(f"{name}__") for key in params)
            if nested and params.get(name, getattr(self, name)) is None:
                params = {**params, name: make()}
        return super().set_params(**params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, paths, labels):
        """Learn from labelled captures.

        Parameters
        ----------
        paths : sequence of path-like of shape (n_captures,)
            One file each.
        labels : array-like of shape (n_captures,)

        Returns
        -------
        CaptureClassifier
            This one.

        Raises
        ------
        CaptureError
            If a capture is missing or cannot be read (unless `extractor` goes on).
        ValueError
            If paths and labels differ in number, or no capture has a session.
        """
        files, labels = _check(paths, labels)
        self._begin(np.unique(labels))
        X, capture = self._sessions(files)
        if not len(X):
            raise ValueError(
                f"None of the {len(files)} captures has a session to learn from; "
                "extractor_.extract(paths) gives a report of what is in them."
            )
        groups = np.asarray(files, dtype=object)[capture]
        self.estimator_.fit(X, labels[capture], **group_params(self.estimator_, groups.astype(str)))
        self._learned(files, labels, capture)
        return self

    @available_if(_can_partial_fit)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, paths, labels, classes=None):
        """Learn from some more labelled captures, and forget none.

        There where `estimator`, or the last step of a Pipeline, has `partial_fit`. Earlier steps
        that have it too go on learning; others learn from the first call alone.

        Parameters
        ----------
        paths : sequence of path-like of shape (n_captures,)
        labels : array-like of shape (n_captures,)
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call unless `labels` holds them.

        Returns
        -------
        CaptureClassifier
            This one.
        """
        files, labels = _check(paths, labels)
        first = not hasattr(self, "estimator_")
        if first:
            self._begin(np.unique(labels if classes is None else classes))
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"The label(s) {', '.join(map(str, unknown))} were not announced. The first call "
                "of partial_fit names all labels in `classes`."
            )
        X, capture = self._sessions(files)
        if len(X):
            _incremental.partial_fit(
                self.estimator_, X, labels[capture], self.classes_, not self._taught
            )
            self._taught = True
        self._learned(files, labels, capture, add=not first)
        return self

    def predict(self, paths):
        """Return the label of each capture.

        Parameters
        ----------
        paths : path-like or sequence of path-like
            Files; a file may be named more than once.

        Returns
        -------
        ndarray of shape (n_captures,)
        """
        _, best = self._decide(paths)
        return self.classes_[best]

    @available_if(lambda self: self.vote == "majority" or _has_proba(self))
    def predict_proba(self, paths):
        """Return the probability of each class for each capture.

        With ``vote="majority"``, the shares of the votes.

        Parameters
        ----------
        paths : path-like or sequence of path-like

        Returns
        -------
        ndarray of shape (n_captures, n_classes)
        """
        return self._decide(paths)[0]

    def predict_sessions(self, sessions):
        """Return a decision for every session.

        Parameters
        ----------
        sessions : DataFrame, path-like or iterable of path-like
            A session table, or files, folders and glob patterns, as for `SessionExtractor`.

        Returns
        -------
        DataFrame of shape (n_sessions, 14)
            The identity columns of the session table; `label`; its `probability`; the `second`
            choice (missing where there is one class); `uncertainty`, the entropy of the
            probabilities from 0 (certain) to 1 (all classes alike). Without probabilities the
            last three are missing.
        """
        check_is_fitted(self)
        X = sessions if isinstance(sessions, pd.DataFrame) else self._read(sessions)
        return describe(self.estimator_, self.classes_, X)

    def decide(self, sessions, captures=None):
        """Let the sessions of a table decide on their captures, without reading these again.

        `predict` and `predict_proba` are `decide` on the sessions that they read.

        Parameters
        ----------
        sessions : DataFrame of shape (n_sessions, n_columns)
            Session table, extracted as `extractor_` does.
        captures : sequence of path-like of shape (n_captures,), default=None
            Which captures, in which order, as their sessions name them; those that have none are
            decided on as said in the notes. None takes those of the table as they come.

        Returns
        -------
        DataFrame of shape (n_captures, 4)
            `capture`, `label`, its `probability` (with ``vote="majority"`` its share of the
            votes), and the number of `sessions`.

        Raises
        ------
        ValueError
            If the table has sessions of a capture that `captures` does not name.

        Examples
        --------
        >>> from sktraffic.persistence import load
        >>> from sktraffic.sessions import read_sessions
        >>> load("lab.skt").decide(read_sessions("monday.parquet"))  # doctest: +SKIP
        """
        check_is_fitted(self)
        names = np.asarray(sessions["capture"], dtype=object)
        files = names if captures is None else map(capture_name, captures)
        files = list(dict.fromkeys(files))
        place = pd.Index(files, dtype=object).get_indexer(names)
        if (place < 0).any():
            raise ValueError(
                f"The table has sessions of {names[place < 0][0]}, which `captures` does not name. "
                "Name it, or leave its sessions out."
            )
        share, best = self._vote(sessions, place, files)
        return pd.DataFrame(
            {
                "capture": files,
                "label": self.classes_[best],
                "probability": share[np.arange(len(files)), best],
                "sessions": np.bincount(place, minlength=len(files)),
            }
        )

    def predict_stream(self, source, *, max_packets=None, stop_after=None, **limits):
        """Decide on sessions of live traffic as they end.

        Parameters
        ----------
        source : str or path-like
            The name of a network interface (Linux; needs CAP_NET_RAW), or an uncompressed capture
            that another program is still writing.
        max_packets : int, default=None
            Decide on a session when it has shown so many packets, if it has not ended by then;
            None stands for the extractor's `max_packets`.
        stop_after : float, default=None
            Seconds of silence after which the stream ends; None for never.
        **limits : int
            `max_waiting` and `max_open` of
            :meth:`~sktraffic.capture.SessionExtractor.stream`, which bound the memory.

        Returns
        -------
        iterator of named tuples
            A decided session each: the columns of `predict_sessions`, and `closed`, False
            where it was decided before its end. It is a context manager; close it when done.

        Raises
        ------
        CaptureError
            If the source is neither, or may not be read.

        Examples
        --------
        >>> from sktraffic.persistence import load
        >>> with load("lab.skt").predict_stream("eth0", max_packets=20) as s:  # doctest: +SKIP
        ...     for session in s:
        ...         print(session.src_ip, session.label, session.probability)
        """
        check_is_fitted(self)
        tables = self.extractor_.stream(
            source, max_packets=max_packets, stop_after=stop_after, **limits
        )
        return DecisionStream(tables, partial(describe, self.estimator_, self.classes_))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        return tags

    def _begin(self, classes):
        given = default_estimator() if self.estimator is None else self.estimator
        self.estimator_ = clone(given)
        self.extractor_ = SessionExtractor() if self.extractor is None else clone(self.extractor)
        self.extraction_settings_ = dataclasses.asdict(self.extractor_._settings())
        self.classes_ = classes
        self._taught = False

    def _learned(self, files, labels, capture, add=False):
        """Keep what the data were: counts, priors and a hash."""
        codes = np.searchsorted(self.classes_, labels)
        n_classes = len(self.classes_)
        counts = {
            "captures": np.bincount(codes, minlength=n_classes),
            "sessions": np.bincount(codes[capture], minlength=n_classes),
        }
        digest = data_hash(files, labels)
        if add:
            counts = {what: number + self.class_counts_[what] for what, number in counts.items()}
            digest = combine(self.data_hash_, digest)
        self.class_counts_, self.data_hash_ = counts, digest
        self.class_prior_ = counts["captures"] / counts["captures"].sum()

    def _read(self, paths):
        return self.extractor_.extract(paths, cache=self.cache)[0]

    def _sessions(self, files):
        """Return the sessions of files and which file each belongs to."""
        unique = list(dict.fromkeys(files))
        X = self._read(unique)
        where = {capture_name(file): i for i, file in enumerate(files)}
        return X, X["capture"].astype(object).map(where).to_numpy(dtype=np.intp)

    def _decide(self, paths):
        """Return probabilities (n_captures, n_classes) and classes (n_captures,) of captures."""
        check_is_fitted(self)
        files = one_path_each(paths)
        unique = list(dict.fromkeys(files))
        share, best = self._vote(*self._sessions(unique), unique)
        at = np.array([unique.index(file) for file in files])
        return share[at], best[at]

    def _vote(self, X, capture, files):
        """Return shares (n_files, n_classes) and the class of each file; warn of empty ones."""
        self._warn_of_empty(files, capture)
        return decide(
            self.estimator_, self.classes_, self.class_prior_, self.vote, X, capture, len(files)
        )

    def _warn_of_empty(self, files, capture):
        empty = np.setdiff1d(np.arange(len(files)), capture)
        if len(empty):
            names = ", ".join(files[i] for i in empty[:3]) + (", ..." if len(empty) > 3 else "")
            warnings.warn(
                f"{len(empty)} of {len(files)} captures have no session ({names}); they are "
                "predicted as the training captures' class shares.",
                CaptureWarning,
                stacklevel=5,
            )


def _has_proba(self):
    estimator = self.estimator_ if hasattr(self, "estimator_") else self.estimator
    return estimator is None or hasattr(estimator, "predict_proba")


def _check(paths, labels):
    files = one_path_each(paths)
    labels = column_or_1d(labels, warn=True)
    check_consistent_length(files, labels)
    check_classification_targets(labels)
    if len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise ValueError(
            f"{twice} is named twice in the training captures; its sessions would count double."
        )
    return files, labels
