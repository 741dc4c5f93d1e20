"""Feature scores from random forests, overall and class by class."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectorMixin
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from sktraffic._base import BaseEstimator
from sktraffic._compat import HasMethods, Interval, StrOptions, _fit_context


def normalised(scores):
    """Clip at 0 and scale to sum 1; all 0 where nothing is left."""
    scores = np.maximum(np.asarray(scores, dtype=np.float64), 0.0)
    total = scores.sum()
    return scores / total if total > 0 else scores


def split_rows(target, fraction, random_state):
    """Rows to grow a forest on and rows to permute, with the classes' shares where possible.

    Returns
    -------
    (ndarray, ndarray)
        Row numbers. Both are all rows where there are too few to cut.
    """
    rows = np.arange(len(target))
    counts = np.unique(target, return_counts=True)[1]
    n_held_out = int(np.ceil(fraction * len(target)))
    enough = min(n_held_out, len(target) - n_held_out) >= len(counts)
    if not enough:
        return rows, rows
    stratify = target if counts.min() >= 2 else None
    return train_test_split(rows, test_size=fraction, stratify=stratify, random_state=random_state)


def top_features(importances, top_k):
    """Mark the `top_k` largest positive values of each row.

    Parameters
    ----------
    importances : ndarray of shape (n_rows, n_features)
    top_k : int

    Returns
    -------
    ndarray of shape (n_rows, n_features), bool
        The first of equal values wins.
    """
    order = np.argsort(-importances, axis=1, kind="stable")[:, :top_k]
    marked = np.zeros(importances.shape, dtype=bool)
    np.put_along_axis(marked, order, True, axis=1)
    return marked & (importances > 0)


class ForestSelector(SelectorMixin, BaseEstimator):
    """Keep the features that a random forest finds most telling for any class.

    One forest scores the features for all classes together, and one more per class scores them
    for that class against the rest. The best `top_k` of every class are kept, so that a sparse
    class is described by its own features however few its rows are [1]_.

    Parameters
    ----------
    top_k : int, default=5
        Features a class keeps, of those that score above 0. The union over classes is selected.
    clusterer : clusterer or None, default=None
        Where given, the forests learn its clusters as pseudo-labels and `y` is ignored. A
        clusterer's noise (-1) is a class of its own.
    importance : {"gini", "permutation"}, default="gini"
        "gini": mean decrease in impurity, of the rows that the forest grew on. It favours
        features with many values. "permutation": loss of log-likelihood on held-out rows when a
        feature is shuffled, negative ones set to 0. It does not, but is slow (every feature,
        repeat and class is a prediction), and features that say the same share their score.
    n_estimators : int, default=100
        Trees of a forest.
    max_depth : int or None, default=5
        Depth of a tree.
    class_weight : {"balanced", "balanced_subsample"}, dict or None, default=None
        As in scikit-learn's forest, for the forest of all classes; a dict is not used for those
        of one class against the rest, whose classes are False and True.
    n_repeats : int, default=5
        Shuffles of each feature, with ``importance="permutation"``.
    validation_fraction : float, default=0.25
        Rows held out from the forests, with ``importance="permutation"``.
    n_jobs : int or None, default=None
        Processes or threads, as in scikit-learn.
    random_state : int, RandomState or None, default=None
        Seed. An int goes to every forest as it is.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes or pseudo-labels.
    feature_importances_ : ndarray of shape (n_features,)
        For all classes together; sum 1.
    class_importances_ : ndarray of shape (n_classes, n_features)
        For each class of `classes_` against the rest; every row sums to 1.
    class_support_ : ndarray of shape (n_classes, n_features), bool
        The `top_k` of each class.
    clusterer_ : clusterer
        Fitted, where one was given.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are strings.

    See Also
    --------
    sktraffic.inspection.ClassImportanceDisplay : `class_importances_` as a picture.

    References
    ----------
    .. [1] Qi et al. (2025), sections 2.3 and 2.4, doi:10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktraffic.feature_selection import ForestSelector
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> selector = ForestSelector(top_k=1, random_state=0).fit(X, y)
    >>> selector.class_importances_.round(2)
    array([[0.11, 0.01, 0.46, 0.42],
           [0.07, 0.09, 0.41, 0.44],
           [0.09, 0.02, 0.46, 0.42]])
    >>> selector.get_feature_names_out()
    array(['petal length (cm)', 'petal width (cm)'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict] = {
        "top_k": [Interval(Integral, 1, None, closed="left")],
        "clusterer": [None, HasMethods("fit_predict")],
        "importance": [StrOptions({"gini", "permutation"})],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_depth": [None, Interval(Integral, 1, None, closed="left")],
        "class_weight": [None, dict, StrOptions({"balanced", "balanced_subsample"})],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        top_k=5,
        *,
        clusterer=None,
        importance="gini",
        n_estimators=100,
        max_depth=5,
        class_weight=None,
        n_repeats=5,
        validation_fraction=0.25,
        n_jobs=None,
        random_state=None,
    ):
        self.top_k = top_k
        self.clusterer = clusterer
        self.importance = importance
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.class_weight = class_weight
        self.n_repeats = n_repeats
        self.validation_fraction = validation_fraction
        self.n_jobs = n_jobs
        self.random_state = random_state

    # the clusterer sets its own nested validation up
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Score the features and choose.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; NaN is a value like any other to the trees.
        y : array-like of shape (n_samples,), optional
            Classes; needed where there is no `clusterer`.

        Returns
        -------
        self : ForestSelector
            Fitted.

        Raises
        ------
        ValueError
            If there is neither y nor a clusterer, or only one class.
        """
        table = X
        X, target = self._checked(X, y)
        if self.clusterer is not None:
            self.clusterer_ = clone(self.clusterer)
            target = self.clusterer_.fit_predict(table)
        self.classes_, codes = np.unique(target, return_inverse=True)
        if len(self.classes_) < 2:
            what = "y" if self.clusterer is None else f"the pseudo-labels of {self.clusterer!r}"
            raise ValueError(
                f"ForestSelector got 1 class ({self.classes_[0]!r}) in {what}; at least 2 are "
                "needed to tell apart."
            )
        seed = self._seed()
        self.feature_importances_ = self._scores(X, target, self.class_weight, seed)
        weight = None if isinstance(self.class_weight, dict) else self.class_weight
        scores = [self._scores(X, codes == k, weight, seed) for k in range(len(self.classes_))]
        self.class_importances_ = np.vstack(scores)
        self.class_support_ = top_features(self.class_importances_, self.top_k)
        return self

    def _checked(self, X, y):
        finite = "allow-nan" if self.clusterer is None else True
        if self.clusterer is not None:
            return validate_data(self, X, ensure_all_finite=finite, ensure_min_samples=2), None
        if y is None:
            raise ValueError(
                "ForestSelector requires y to be passed, but the target y is None. Pass the "
                "classes, or a clusterer whose clusters shall be told apart."
            )
        X, y = validate_data(
            self, X, y, ensure_all_finite=finite, ensure_min_samples=2, multi_output=True
        )
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return X, y

    def _seed(self):
        """Return an int, so that all forests share it and one agrees with scikit-learn's."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _scores(self, X, target, class_weight, seed):
        forest = RandomForestClassifier(
            self.n_estimators,
            max_depth=self.max_depth,
            class_weight=class_weight,
            n_jobs=self.n_jobs,
            random_state=seed,
        )
        if self.importance == "gini":
            return normalised(forest.fit(X, target).feature_importances_)
        grow, shuffle = split_rows(target, self.validation_fraction, seed)
        found = permutation_importance(
            forest.fit(X[grow], target[grow]),
            X[shuffle],
            target[shuffle],
            scoring=_log_likelihood,
            n_repeats=self.n_repeats,
            random_state=seed,
        )
        return normalised(found.importances_mean)

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.class_support_.any(axis=0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.clusterer is None
        tags.input_tags.allow_nan = self.clusterer is None
        return tags


def _log_likelihood(forest, X, target):
    """Mean log-probability of the true class; rows of a class that the forest never saw count 0."""
    probability = forest.predict_proba(X)
    column = np.searchsorted(forest.classes_, target)
    column = np.minimum(column, len(forest.classes_) - 1)
    known = forest.classes_[column] == target
    right = probability[np.arange(len(target)), column]
    return float(np.log(np.maximum(right, 1e-6)) @ known / len(target))
