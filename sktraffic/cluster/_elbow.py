"""k-means whose number of clusters is the elbow of the inertia."""

from numbers import Integral
from typing import ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sktraffic._base import BaseEstimator
from sktraffic._compat import Interval, StrOptions, _fit_context
from sktraffic.cluster._sampling import count_distinct_rows, sample_rows

# Inertias below this share of the one-cluster inertia are rounding errors: the floor of the
# logarithm.
_INERTIA_FLOOR = 1e-12


def second_differences(inertias, scale="log"):
    """Second-order differences of an inertia curve.

    Parameters
    ----------
    inertias : array-like of shape (n,)
        Inertias of consecutive numbers of clusters.
    scale : {"log", "linear"}, default="log"
        "log" takes the logarithm first: the difference of relative rather than absolute drops.

    Returns
    -------
    ndarray of shape (n - 2,)
        ``I[k - 1] - 2 I[k] + I[k + 1]`` for every inner k, I the inertia or its logarithm.

    Examples
    --------
    >>> from sktraffic.cluster import second_differences
    >>> second_differences([10, 4, 1, 0], scale="linear")
    array([3., 2.])
    """
    inertias = np.asarray(inertias, dtype=np.float64)
    if scale == "log":
        floor = max(_INERTIA_FLOOR * inertias.max(initial=0.0), np.finfo(float).tiny)
        inertias = np.log(np.maximum(inertias, floor))
    return np.diff(inertias, n=2)


def inertia_curve(X, k_values, n_init, max_iter, random_state):
    """Inertia of k-means for every k; 0 from the number of distinct rows on, without a fit."""
    distinct = count_distinct_rows(X, k_values[-1] + 1)
    inertias = np.zeros(len(k_values))
    for i, k in enumerate(k_values):
        if k < distinct:
            model = KMeans(k, n_init=n_init, max_iter=max_iter, random_state=random_state)
            inertias[i] = model.fit(X).inertia_
    return inertias, distinct


def find_elbow(X, k_range, *, scale, n_init, max_iter, max_samples, random_state):
    """Search the elbow of the inertia over all k of `k_range`, both ends included.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    k_range : (int, int)
    scale, n_init, max_iter, max_samples
        As in :class:`ElbowKMeans`.
    random_state : int
        Seed of the sample and of every k-means.

    Returns
    -------
    k : int
        The elbow; the smallest k on a tie, and never more than there are distinct rows.
    k_values : ndarray of shape (n_candidates + 2,)
        One more on either side, as a second difference looks at both neighbours.
    inertias : ndarray of shape (n_candidates + 2,)
    differences : ndarray of shape (n_candidates,)
    """
    low, high = check_k_range(k_range)
    rows = sample_rows(len(X), max_samples, np.random.RandomState(random_state))
    k_values = np.arange(low - 1, high + 2)
    inertias, distinct = inertia_curve(X[rows], k_values, n_init, max_iter, random_state)
    differences = second_differences(inertias, scale)
    possible = k_values[1:-1] <= distinct
    if not possible.any():
        return distinct, k_values, inertias, differences
    # Rounding must not break a tie, so equal means equal relative to the curve's height.
    best = differences[possible].max()
    tolerance = 1e-9 * max(np.abs(differences).max(), np.finfo(float).tiny)
    k = k_values[1:-1][possible & (differences >= best - tolerance)][0]
    return int(k), k_values, inertias, differences


def check_k_range(k_range):
    """Return `k_range` as two ints, or raise."""
    try:
        low, high = k_range
        usable = int(low) == low and int(high) == high and 2 <= low <= high
    except (TypeError, ValueError):
        usable = False
    if not usable:
        raise ValueError(
            f"k_range is {k_range!r}; two whole numbers (smallest, largest) with "
            "2 <= smallest <= largest are wanted, (2, 10) for example."
        )
    return int(low), int(high)


def draw_seed(random_state):
    """Return an int seed: the same for the same int, the next one of a generator."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


class ElbowKMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """k-means with k at the elbow of the inertia.

    The elbow is the k with the largest second-order difference of the inertia or its logarithm,
    ``I(k - 1) - 2 I(k) + I(k + 1)`` [1]_: the drop to k is large, the drop from k is small.

    Parameters
    ----------
    k_range : tuple (int, int), default=(2, 10)
        Smallest and largest k to consider. Inertias are computed for one more on either side.
    scale : {"log", "linear"}, default="log"
        What the second differences are taken of. "log" compares relative drops. "linear" is the
        rule of [1]_; the inertia drops most at the first splits, so it stops at few clusters
        unless these are equally far apart.
    n_init : int, default=10
        Starts of every k-means; the best one counts. With fewer, a bad local optimum at one k
        looks like an elbow at its neighbour.
    max_iter : int, default=300
        Iterations of one start.
    max_samples : int or None, default=20_000
        Rows drawn for the search of k. The final k-means sees all rows. None searches on all.
    random_state : int, RandomState or None, default=None
        Seed of the sample and of the centers.

    Attributes
    ----------
    n_clusters_ : int
        The elbow. With fewer distinct rows than ``k_range[0]``, their number.
    k_values_ : ndarray of shape (n_candidates + 2,)
        Numbers of clusters tried.
    inertias_ : ndarray of shape (n_candidates + 2,)
        Inertia of each, on the rows of the search.
    second_differences_ : ndarray of shape (n_candidates,)
        Of the inertias (or their logarithms), for ``k_values_[1:-1]``.
    cluster_centers_ : ndarray of shape (`n_clusters_`, n_features)
        Of the final k-means.
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row.
    inertia_ : float
        Of the final k-means, over all rows.
    n_iter_ : int
        Iterations of its best start.
    estimator_ : KMeans
        The final k-means.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are strings.

    See Also
    --------
    ElbowGaussianMixture : A Gaussian mixture with the same number of components.
    sktraffic.inspection.ElbowDisplay : The curve and its elbow.

    References
    ----------
    .. [1] Qi et al. (2025), section 2.2, doi:10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sktraffic.cluster import ElbowKMeans
    >>> X, _ = make_blobs(300, centers=[[0, 0], [8, 0], [4, 7]], random_state=0)
    >>> ElbowKMeans(random_state=0).fit(X).n_clusters_
    3
    """

    _parameter_constraints: ClassVar[dict] = {
        "k_range": [tuple, list],
        "scale": [StrOptions({"linear", "log"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [None, Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        k_range=(2, 10),
        *,
        scale="log",
        n_init=10,
        max_iter=300,
        max_samples=20_000,
        random_state=None,
    ):
        self.k_range = k_range
        self.scale = scale
        self.n_init = n_init
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the elbow and fit k-means with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, on comparable scales.
        y : object
            Ignored.

        Returns
        -------
        self : ElbowKMeans
            Fitted.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        seed = draw_seed(self.random_state)
        self.n_clusters_, self.k_values_, self.inertias_, self.second_differences_ = find_elbow(
            X,
            self.k_range,
            scale=self.scale,
            n_init=self.n_init,
            max_iter=self.max_iter,
            max_samples=self.max_samples,
            random_state=seed,
        )
        self.estimator_ = KMeans(
            self.n_clusters_, n_init=self.n_init, max_iter=self.max_iter, random_state=seed
        ).fit(X)
        self.cluster_centers_ = self.estimator_.cluster_centers_
        self.labels_ = self.estimator_.labels_
        self.inertia_ = self.estimator_.inertia_
        self.n_iter_ = self.estimator_.n_iter_
        self._n_features_out = self.n_clusters_
        return self

    def predict(self, X):
        """Return the nearest cluster of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
            Cluster numbers.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return self.estimator_.predict(X)

    def transform(self, X):
        """Return the distance of each row to each cluster's center.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, `n_clusters_`)
            Euclidean distances.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return self.estimator_.transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
