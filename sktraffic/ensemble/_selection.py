"""SelectionEnsemble: named estimators, weighed on captures that none of them has seen."""

import time
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import ClassifierMixin, clone
from sklearn.metrics import check_scoring, f1_score, get_scorer_names, make_scorer
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import Bunch, assert_all_finite, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, has_fit_parameter

from sktraffic._base import BaseEstimator
from sktraffic._compat import (
    BaseHeterogeneousEnsemble,
    Interval,
    StrOptions,
    _fit_context,
    _safe_indexing,
    routing_enabled,
)
from sktraffic._documentation import Linked
from sktraffic._routing import group_params
from sktraffic.ensemble._greedy import (
    fit_temperature,
    greedy_weights,
    leave_one_out,
    scale_temperature,
)
from sktraffic.model_selection import CaptureKFold

__all__ = ["SelectionEnsemble"]

# scikit-learn's "f1_macro", but a class that nothing was called scores 0 without a warning
F1 = make_scorer(f1_score, average="macro", pos_label=None, zero_division=0)


class SelectionEnsemble(Linked, ClassifierMixin, BaseHeterogeneousEnsemble):
    """Average the probabilities of the estimators that prove themselves on held-out captures.

    Every estimator predicts each capture from a fit that did not see it. Weights are chosen on
    these predictions alone: in each round the estimator is added, again if need be, whose
    probabilities raise the score of the average most (Caruana et al. 2004). Estimators that are
    never chosen cost nothing at prediction; the others are fitted anew on everything, or, with
    ``refit=False``, kept as the fits of the choice, whose mean is the member.

    Parameters
    ----------
    estimators : list of (str, classifier)
        Names and classifiers or pipelines with `predict_proba`; "drop" in place of one leaves it
        out.
    cv : int, splitter or iterable, default=None
        How captures are held out. None or a number: that many folds (None: 5, or fewer where a
        class has fewer captures) of :class:`~sktraffic.model_selection.CaptureKFold` where there
        are groups (by default the column `capture` of a session table), else of
        :class:`~sklearn.model_selection.StratifiedKFold`. Every row must be in one test side at
        most; rows in none (classes of one capture) do not take part in the choice.
    scoring : str, callable or None, default="f1_macro"
        What the choice maximises: a scorer of scikit-learn; None is accuracy.
    n_rounds : int, default=50
        Rounds of the choice; weights are multiples of one over at most so many.
    tolerance : float, default=1e-4
        A longer list of members is preferred only where it gains more than that.
    calibrate : bool, default=True
        Whether the averaged probabilities are scaled by one temperature, found on the held-out
        predictions. It changes no predicted class.
    refit : bool, default=True
        Whether chosen estimators are fitted anew on everything. False keeps the fits that the
        choice was made on, one a fold, and averages them: nothing is fitted twice, a prediction
        costs as many models as there are folds, and every one of them lacks a fold.
    n_jobs : int, default=None
        Fits at the same time; None means 1 unless in a `joblib.parallel_config`.
    verbose : bool, default=False
        Whether to print a line for each estimator: its score, its seconds, its weight.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_estimators,)
        In the order of `estimators` without dropped ones; the sum is 1.
    estimators_ : list of classifiers
        Those of positive weight, fitted on everything; with ``refit=False`` each is the mean of
        its fits, in ``estimators_`` of its own.
    named_estimators_ : Bunch
        The same by name.
    rounds_ : list of (str, float)
        Whom each round chose, and the score of the average with it.
    held_out_score_ : float
        Of the chosen average. It is the largest of many and a little too high for that reason;
        score the ensemble itself on other captures.
    members_ : dict of ndarray
        `name`, `weight`, `score` (alone), `adds` (score of all less that without it) and
        `fit_seconds` (of the fits for the choice), one value an estimator.
    temperature_ : float
        1 without calibration.
    n_features_in_, feature_names_in_
        Where the members say so.

    See Also
    --------
    sklearn.ensemble.StackingClassifier : Learns the combination with a classifier.
    sktraffic.pipeline.make_estimator : ``make_estimator("best")`` is an ensemble of this kind.

    References
    ----------
    Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models", ICML
    2004. Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktraffic.ensemble import SelectionEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> members = [("guess", DummyClassifier()), ("line", LogisticRegression(max_iter=500))]
    >>> model = SelectionEnsemble(members).fit(X, y)
    >>> model.weights_.tolist()
    [0.0, 1.0]
    """

    # groups go to the splitter inside; asked for under metadata routing as splitters do
    __metadata_request__fit: ClassVar[dict] = {"groups": True}

    _parameter_constraints: ClassVar[dict] = {
        "estimators": [list],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "tolerance": [Interval(Real, 0, None, closed="left")],
        "calibrate": ["boolean"],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["boolean"],
    }

    def __init__(
        self,
        estimators,
        *,
        cv=None,
        scoring="f1_macro",
        n_rounds=50,
        tolerance=1e-4,
        calibrate=True,
        refit=True,
        n_jobs=None,
        verbose=False,
    ):
        super().__init__(estimators=estimators)
        self.cv = cv
        self.scoring = scoring
        self.n_rounds = n_rounds
        self.tolerance = tolerance
        self.calibrate = calibrate
        self.refit = refit
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None, **params):
        """Predict held-out captures, choose the weights, fit the chosen estimators on everything.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Whatever the estimators take; a session table, say.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), default=None
            The capture of each row; by default the column `capture` of a session table. They go to
            the splitter, and to estimators whose `fit` takes `groups`.
        **params : dict
            `sample_weight` goes to all estimators. Where scikit-learn's metadata routing is
            enabled, metadata go where they were asked for.

        Returns
        -------
        self
        """
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        X, y, groups = indexable(X, y, groups)
        if groups is None and "capture" in getattr(X, "columns", ()):
            groups = np.asarray(X["capture"], dtype=object)
        names, estimators = _kept(*self._validate_estimators())
        self.classes_, codes = np.unique(y, return_inverse=True)
        routed = self._route(names, estimators, groups, params)
        splits = self._splits(X, y, groups)
        held_out, rows, seconds, fits = self._held_out(X, y, estimators, routed, splits)
        self._choose(names, held_out, rows, y, codes, params.get("sample_weight"), seconds)
        chosen = np.flatnonzero(self.weights_)
        if self.refit:
            self.estimators_ = Parallel(n_jobs=self.n_jobs)(
                delayed(_fit)(estimators[i], X, y, routed[i], None) for i in chosen
            )
        else:
            self.estimators_ = [MeanOfFits(fits[i], self.classes_) for i in chosen]
        self.named_estimators_ = Bunch(
            **{names[i]: fitted for i, fitted in zip(chosen, self.estimators_, strict=True)}
        )
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimators_[0], name):
                setattr(self, name, getattr(self.estimators_[0], name))
        return self

    def predict(self, X):
        """Name the most probable class of each row; shape (n_samples,)."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Return the weighted mean of the members' probabilities; shape (n_samples, n_classes)."""
        check_is_fitted(self)
        if isinstance(X, np.ndarray) and not get_tags(self).input_tags.allow_nan:
            assert_all_finite(X)  # what fit refuses, whichever members were chosen
        weights = self.weights_[self.weights_ > 0]
        parts = [_aligned(fitted, X, self.classes_) for fitted in self.estimators_]
        proba = np.tensordot(weights, np.stack(parts), axes=1)
        return proba if self.temperature_ == 1 else scale_temperature(proba, self.temperature_)

    def get_metadata_routing(self):
        """Say which metadata go where; see scikit-learn's guide on metadata routing."""
        router = MetadataRouter(owner=self).add_self_request(self)
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        return router.add(method_mapping=to_fit, **dict(self.estimators))

    def _route(self, names, estimators, groups, params):
        """Fit parameters of each estimator, arrays of all rows."""
        if routing_enabled():
            wanted = {**params, **({} if groups is None else {"groups": groups})}
            routed = process_routing(self, "fit", **wanted)
            return [dict(routed[name].fit) for name in names]
        unknown = set(params) - {"sample_weight"}
        if unknown:
            raise TypeError(
                f"fit() got {', '.join(sorted(unknown))}, which it does not know. Besides groups "
                "and sample_weight, metadata need sklearn.set_config(enable_metadata_routing=True)."
            )
        given = {name: value for name, value in params.items() if value is not None}
        for name, estimator in zip(names, estimators, strict=True):
            if given and not has_fit_parameter(estimator, "sample_weight"):
                raise TypeError(
                    f"The estimator {name!r} ({type(estimator).__name__}) takes no sample_weight. "
                    "Leave the weights out, or ask for them in its steps with metadata routing."
                )
        return [
            {
                **given,
                **({} if groups is None else group_params(estimator, groups)),
            }
            for estimator in estimators
        ]

    def _splits(self, X, y, groups):
        """List (train, test) of the folds; every row is tested once at most."""
        if self.cv is not None and not isinstance(self.cv, Integral):
            splits = list(check_cv(self.cv, y, classifier=True).split(X, y, groups))
        elif groups is None:
            smallest = np.unique(y, return_counts=True)[1].min()
            folds = self.cv or _folds(smallest, "rows of the smallest class")
            splits = list(StratifiedKFold(folds).split(np.zeros(len(y)), y))
        else:
            captures = np.unique(np.asarray(groups), return_inverse=True)[1]
            counts = [len(np.unique(captures[y == label])) for label in self.classes_]
            several = [count for count in counts if count > 1]
            folds = self.cv or _folds(min(several, default=1), "captures of any class")
            splits = list(CaptureKFold(folds, single_capture="train").split(X, y, groups))
        tested = np.bincount(np.concatenate([test for _, test in splits]), minlength=len(y))
        if tested.max() > 1:
            raise ValueError(
                f"{(tested > 1).sum()} rows are in the test side of more than one fold of cv. "
                "Every row must be predicted once at most: use a k-fold splitter."
            )
        return splits

    def _held_out(self, X, y, estimators, routed, splits):
        """Probabilities (n_estimators, n_rows, n_classes) of tested rows; rows, seconds, fits."""
        jobs = [(i, fold) for i in range(len(estimators)) for fold in splits]
        done = Parallel(n_jobs=self.n_jobs)(
            delayed(_predict_fold)(
                estimators[i], X, y, routed[i], fold, self.classes_, keep=not self.refit
            )
            for i, fold in jobs
        )
        proba = np.zeros((len(estimators), len(y), len(self.classes_)))
        seconds, fits = np.zeros(len(estimators)), [[] for _ in estimators]
        for (i, (_, test)), (part, took, fitted) in zip(jobs, done, strict=True):
            proba[i, test] = part
            seconds[i] += took
            fits[i].append(fitted)
        rows = np.sort(np.concatenate([test for _, test in splits]))
        return proba[:, rows], rows, seconds, fits

    def _choose(self, names, held_out, rows, y, codes, sample_weight, seconds):
        """Set the weights, what each member adds, and the temperature."""
        weight = None if sample_weight is None else np.asarray(sample_weight)[rows]
        judge = _Judge(self.scoring, self.classes_, y[rows], weight)
        self.weights_, rounds = greedy_weights(held_out, judge, self.n_rounds, self.tolerance)
        self.rounds_ = [(names[i], score) for i, score in rounds]
        average = np.tensordot(self.weights_, held_out, axes=1)
        self.held_out_score_ = judge(average)
        self.members_ = {
            "name": np.asarray(names),
            "weight": self.weights_,
            "score": np.array([judge(member) for member in held_out]),
            "adds": leave_one_out(held_out, self.weights_, judge),
            "fit_seconds": seconds,
        }
        self.temperature_ = fit_temperature(average, codes[rows], weight) if self.calibrate else 1.0
        if self.verbose:
            for row in zip(*self.members_.values(), strict=True):
                print("{:24s} weight {:.2f}  alone {:.3f}  adds {:+.4f}  {:7.1f} s".format(*row))
            print(f"{'ensemble':24s} held out {self.held_out_score_:.3f}")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = [get_tags(estimator) for _, estimator in self.estimators if estimator != "drop"]
        if inner:
            tags.input_tags = inner[0].input_tags
            tags.input_tags.sparse = all(tag.input_tags.sparse for tag in inner)
            tags.input_tags.allow_nan = all(tag.input_tags.allow_nan for tag in inner)
        return tags


class MeanOfFits(ClassifierMixin, BaseEstimator):
    """Fits of one estimator to several parts of the data, as one classifier: their mean.

    Parameters
    ----------
    fits : list of classifiers
        Fitted.
    classes : ndarray of shape (n_classes,)
        All labels; a fit may lack some.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sktraffic.ensemble._selection import MeanOfFits
    >>> fits = [DecisionTreeClassifier().fit([[0], [1]], y) for y in (["a", "b"], ["a", "c"])]
    >>> MeanOfFits(fits, np.array(["a", "b", "c"])).predict_proba([[1]])
    array([[0. , 0.5, 0.5]])
    """

    def __init__(self, fits, classes):
        self.fits = fits
        self.classes = classes
        self.estimators_, self.classes_ = fits, classes
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fits[0], name):
                setattr(self, name, getattr(fits[0], name))

    def fit(self, X, y=None):
        """Nothing is left to fit."""
        return self

    def predict_proba(self, X):
        """Mean probabilities; shape (n_samples, n_classes)."""
        return np.mean([_aligned(fitted, X, self.classes_) for fitted in self.estimators_], axis=0)

    def predict(self, X):
        """Most probable class; shape (n_samples,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class _Judge:
    """A scorer of scikit-learn on probabilities that are there already."""

    def __init__(self, scoring, classes, y, sample_weight):
        self._holder = _Given(classes)
        self._scorer = F1 if scoring == "f1_macro" else check_scoring(self._holder, scoring)
        self._y = y
        self._kwargs = {} if sample_weight is None else {"sample_weight": sample_weight}

    def __call__(self, proba):
        return float(self._scorer(self._holder, proba, self._y, **self._kwargs))


class _Given(ClassifierMixin, BaseEstimator):
    """A classifier whose input is its answer; scorers ask it."""

    def __init__(self, classes):
        self.classes = classes
        self.classes_ = classes

    def fit(self, X, y=None):
        return self

    def predict_proba(self, X):
        return X / X.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[X.argmax(axis=1)]


def _kept(names, estimators):
    kept = [i for i, estimator in enumerate(estimators) if not isinstance(estimator, str)]
    for i in kept:
        if not hasattr(estimators[i], "predict_proba"):
            raise AttributeError(
                f"The estimator {names[i]!r} ({type(estimators[i]).__name__}) has no "
                "predict_proba. Wrap it in sklearn.calibration.CalibratedClassifierCV."
            )
    return [names[i] for i in kept], [estimators[i] for i in kept]


def _folds(smallest, what):
    if smallest < 2:
        raise ValueError(
            f"n_samples = {smallest} {what}: nothing can be held out to choose members on. Give "
            "more captures, or a splitter as cv."
        )
    return int(min(5, smallest))


def _fit(estimator, X, y, params, rows):
    """Fit a clone on some rows (None: all), metadata cut alike."""
    if rows is None:
        return clone(estimator).fit(X, y, **params)
    own = {
        name: _safe_indexing(value, rows) if np.shape(value)[:1] == (len(y),) else value
        for name, value in params.items()
    }
    return clone(estimator).fit(_safe_indexing(X, rows), y[rows], **own)


def _predict_fold(estimator, X, y, params, fold, classes, keep):
    """Probabilities of the test side, all classes; seconds of fit and prediction; the fit."""
    began = time.perf_counter()
    fitted = _fit(estimator, X, y, params, fold[0])
    proba = _aligned(fitted, _safe_indexing(X, fold[1]), classes)
    return proba, time.perf_counter() - began, fitted if keep else None


def _aligned(fitted, X, classes):
    """Probabilities with a column for every class, 0 for those that a fit did not meet."""
    proba = np.asarray(fitted.predict_proba(X))
    if len(fitted.classes_) == len(classes):
        return proba
    wide = np.zeros((len(proba), len(classes)))
    wide[:, np.searchsorted(classes, fitted.classes_)] = proba
    return wide
