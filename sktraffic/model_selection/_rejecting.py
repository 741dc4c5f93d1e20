"""A classifier that answers "unknown" where it is less sure than it must be."""

from itertools import count
from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import assert_all_finite, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sktraffic._base import BaseEstimator
from sktraffic._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    _safe_indexing,
    routing_enabled,
)
from sktraffic._routing import cut_fit_params, group_params
from sktraffic.model_selection._capture_kfold import CaptureKFold, capture_groups

__all__ = ["RejectingClassifier"]


def _delegates(name):
    def check(self):
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return check


class RejectingClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Answer for the sessions that one is sure of; say "unknown" for the rest.

    The threshold is not guessed but measured: the classifier is fitted without some captures, its
    confidence on these is noted, and the threshold is the value that a share `coverage` of
    such held-out sessions reaches. Traffic of applications that were never learnt falls below it
    more often than the 1 - `coverage` of known traffic that does.

    It stands in `model_selection` because that is where scikit-learn keeps the estimators that
    move a decision threshold (:class:`~sklearn.model_selection.TunedThresholdClassifierCV`).

    Parameters
    ----------
    estimator : classifier
        Anything of scikit-learn's interface with `predict_proba` or `decision_function`. A
        :class:`~sklearn.frozen.FrozenEstimator` is not fitted again: `X` and `y` then are
        held-out captures as a whole.
    coverage : float, default=0.95
        Share of known traffic to answer, above 0; 1 answers everything.
    cv : int, splitter or iterable, default=None
        How to hold sessions out. None or a number: :class:`CaptureKFold` when there are groups (by
        default the column `capture` of a session table; classes of a single capture are learnt
        but not calibrated), else :class:`~sklearn.model_selection.StratifiedKFold`; None makes 5
        folds, or fewer where a class is too small for them.
    response_method : {"auto", "predict_proba", "decision_function"}, default="auto"
        Where confidence comes from: the largest probability, or the margin of the best over the
        second-best decision value. "auto" takes probabilities where there are any.
    unknown_label : str, number or "auto", default="auto"
        The answer below the threshold: "auto" is "unknown" for text labels and -1 for numbers, or
        the next lower number that is no class. Boolean labels are answered as 1 and 0, so that
        -1 has a place beside them.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on all sessions.
    threshold_ : float
        Least confidence that is answered.
    unknown_label_ : str or number
        What `predict` says below the threshold; not one of `classes_`.
    classes_ : ndarray of shape (n_classes,)
        Learnt classes.
    held_out_confidence_ : ndarray
        Sorted confidences that the threshold was taken from.
    n_features_in_ : int
        Where the estimator says so.
    feature_names_in_ : ndarray of str
        Where the estimator says so.

    See Also
    --------
    sktraffic.metrics.selective_scores : Coverage and accuracy of the answers.
    sktraffic.inspection.reliability_display : Whether the confidence means what it says.

    Notes
    -----
    The threshold is the lower empirical quantile of order 1 - `coverage` of held-out confidence
    (Chow, "On optimum recognition error and reject tradeoff", 1970), so at least `coverage` of the
    held-out sessions are answered. It holds for traffic like the held-out captures. Sample
    weights reach the estimator's `fit`; the quantile counts sessions.

    A vote has no place for "unknown". Put this class around scikit-learn's `VotingClassifier`,
    `BaggingClassifier` or `StackingClassifier`; inside of them only its probabilities can be
    used: ``voting="soft"``, ``stack_method="predict_proba"``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktraffic.model_selection import RejectingClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2)) + np.repeat([[-2, 0], [2, 0]], 100, axis=0)
    >>> y = np.repeat(["chat", "mail"], 100)
    >>> model = RejectingClassifier(LogisticRegression(), coverage=0.9).fit(X, y)
    >>> model.predict([[-3.0, 0.0], [0.0, 0.0], [3.0, 0.0]]).tolist()
    ['chat', 'unknown', 'mail']
    """

    # groups go to the splitter inside; asked for under metadata routing as splitters do
    __metadata_request__fit = {"groups": True}

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "predict_proba"]), HasMethods(["fit", "predict"])],
        "coverage": [Interval(Real, 0, 1, closed="right")],
        "cv": ["cv_object"],
        "response_method": [StrOptions({"auto", "predict_proba", "decision_function"})],
        "unknown_label": "no_validation",
    }

    def __init__(
        self,
        estimator,
        *,
        coverage=0.95,
        cv=None,
        response_method="auto",
        unknown_label="auto",
    ):
        self.estimator = estimator
        self.coverage = coverage
        self.cv = cv
        self.response_method = response_method
        self.unknown_label = unknown_label

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None, **fit_params):
        """Fit the estimator and measure the threshold on held-out sessions.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Whatever the estimator takes.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), default=None
            The capture of each row; by default the column `capture` of a session table. The
            estimator gets them too where its `fit`, or that of a Pipeline's last step, takes them.
        **fit_params : dict
            For the estimator's `fit`, ``sample_weight=`` say; what has one value a row is cut like
            `X`. With metadata routing switched on, the estimator must have requested it.

        Returns
        -------
        self
        """
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        if groups is None and "capture" in getattr(X, "columns", ()):
            given, groups = None, capture_groups(X)
        else:
            given = groups
        X, y, groups = indexable(X, y, groups)
        fit_params = self._estimator_fit_params(given, groups, fit_params)
        self.estimator_ = clone(self.estimator).fit(X, y, **fit_params)
        self.classes_ = self.estimator_.classes_
        self.unknown_label_ = self._unknown()
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        if self.coverage == 1:
            self.threshold_, self.held_out_confidence_ = -np.inf, np.empty(0)
            return self
        held_out = np.sort(self._held_out(X, y, groups, fit_params))
        self.held_out_confidence_ = held_out
        self.threshold_ = float(np.quantile(held_out, 1 - self.coverage, method="lower"))
        return self

    def predict(self, X):
        """Answer, or decline.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels; `unknown_label_` where the confidence is below `threshold_`.
        """
        check_is_fitted(self)
        response = self._response(self.estimator_, X)
        if response.ndim == 1:
            best = (response > 0).astype(int)
        else:
            best = np.argmax(response, axis=1)
        labels = self.classes_[best]
        unknown = np.asarray(self.unknown_label_)
        kinds = {labels.dtype.kind, unknown.dtype.kind}
        if len(kinds) == 1 or kinds <= {*"biuf"}:
            labels = labels.astype(np.result_type(labels.dtype, unknown.dtype))
        else:
            labels = labels.astype(object)
        labels[confidence(response) < self.threshold_] = self.unknown_label_
        return labels

    def confidence(self, X):
        """Return the number that is compared with `threshold_`; shape (n_samples,)."""
        check_is_fitted(self)
        return confidence(self._response(self.estimator_, X))

    @available_if(_delegates("predict_proba"))
    def predict_proba(self, X):
        """Return the estimator's probabilities of `classes_`; shape (n_samples, n_classes)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_delegates("predict_log_proba"))
    def predict_log_proba(self, X):
        """Return their logarithms; shape (n_samples, n_classes)."""
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_delegates("decision_function"))
    def decision_function(self, X):
        """Return the estimator's decision values; shape (n_samples,) or (n_samples, n_classes)."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def get_metadata_routing(self):
        """Return who gets what in `fit`: `groups` this class itself, all else the estimator.

        Returns
        -------
        MetadataRouter
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                estimator=self.estimator,
                method_mapping=MethodMapping().add(caller="fit", callee="fit"),
            )
        )

    def _estimator_fit_params(self, given, groups, fit_params):
        """Return what the estimator's `fit` gets.

        Parameters
        ----------
        given : array-like or None
            Groups that the user passed.
        groups : ndarray or None
            These, or the captures of a session table.
        fit_params : dict
        """
        fit_params = {name: value for name, value in fit_params.items() if value is not None}
        own = {} if groups is None else group_params(self.estimator, groups)
        if not routing_enabled():
            return {**own, **fit_params}
        if given is not None:
            fit_params["groups"] = given
        if not fit_params:
            return own
        return {**own, **process_routing(self, "fit", **fit_params)["estimator"]["fit"]}

    def _held_out(self, X, y, groups, fit_params):
        if isinstance(self.estimator, FrozenEstimator):
            return confidence(self._response(self.estimator_, X))
        parts = []
        for train, test in self._splits(X, y, groups):
            params = cut_fit_params(fit_params, len(y), train)
            fitted = clone(self.estimator).fit(_safe_indexing(X, train), y[train], **params)
            parts.append(confidence(self._response(fitted, _safe_indexing(X, test))))
        return np.concatenate(parts)

    def _splits(self, X, y, groups):
        if self.cv is not None and not isinstance(self.cv, int):
            return check_cv(self.cv, y, classifier=True).split(X, y, groups)
        if groups is None:
            smallest = np.unique(y, return_counts=True)[1].min()
            folds = self.cv or _folds(smallest, "samples of the smallest class")
            return StratifiedKFold(folds).split(X, y)
        groups = np.asarray(groups)
        codes = np.unique(groups, return_inverse=True)[1]
        captures = [len(np.unique(codes[y == label])) for label in np.unique(y)]
        several = [n for n in captures if n > 1]
        folds = self.cv or _folds(min(several, default=1), "captures of any class")
        return CaptureKFold(folds, single_capture="train").split(X, y, groups)

    def _response(self, estimator, X):
        """Probabilities or decision values, whichever is asked for and there."""
        wanted = self.response_method
        if wanted == "auto":
            wanted = "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"
        if not hasattr(estimator, wanted):
            raise AttributeError(
                f"{type(estimator).__name__} has no {wanted}, so it says nothing of its "
                "confidence. Wrap it in sklearn.calibration.CalibratedClassifierCV."
            )
        return np.asarray(getattr(estimator, wanted)(X))

    def _unknown(self):
        label = self.unknown_label
        taken = self.classes_.tolist()
        if isinstance(label, str) and label == "auto":
            if self.classes_.dtype.kind not in "biuf":
                label = "unknown"
            else:
                label = next(number for number in count(-1, -1) if number not in taken)
        if label in taken:
            raise ValueError(
                f"The answer for unknown traffic, {label!r}, is one of the classes. Choose another "
                "with unknown_label=."
            )
        return label

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags


def confidence(response):
    """Turn probabilities or decision values into one number a sample; more is surer.

    Parameters
    ----------
    response : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Two-class decision values, or one column a class.

    Returns
    -------
    ndarray of shape (n_samples,)
        Distance from the border; the largest probability; or best less second-best value.
    """
    if response.ndim == 1:
        return np.abs(response)
    if response.shape[1] < 2 or _are_probabilities(response):
        return response.max(axis=1)
    top = np.partition(response, -2, axis=1)
    return top[:, -1] - top[:, -2]


def _are_probabilities(response):
    return response.min() >= 0 and np.allclose(response.sum(axis=1), 1, atol=1e-3)


def _folds(smallest, what):
    if smallest < 2:
        raise ValueError(
            f"n_samples = {smallest} {what}: nothing can be held out to measure a threshold on. "
            "Give more captures, or pass a FrozenEstimator with captures that it has not seen."
        )
    return int(min(5, smallest))
