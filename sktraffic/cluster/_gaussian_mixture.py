"""Gaussian mixture whose number of components is the elbow of the k-means inertia."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn import config_context
from sklearn.base import ClusterMixin
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted, validate_data

from sktraffic._base import BaseEstimator
from sktraffic._compat import Interval, StrOptions, _fit_context
from sktraffic.cluster._elbow import draw_seed, find_elbow


class ElbowGaussianMixture(ClusterMixin, BaseEstimator):
    """Gaussian mixture with as many components as :class:`ElbowKMeans` finds clusters.

    Parameters
    ----------
    k_range : tuple (int, int), default=(2, 10)
        Smallest and largest number of components to consider.
    scale : {"log", "linear"}, default="log"
        Of the inertia, as in :class:`ElbowKMeans`.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Shape of the components.
    reg_covar : float, default=1e-6
        Added to the covariances' diagonals.
    n_init : int, default=1
        Starts of the mixture; the best one counts. The search of the elbow always takes 10.
    max_iter : int, default=100
        Iterations of one start.
    max_samples : int or None, default=20_000
        Rows drawn for the search of the elbow. The mixture sees all rows.
    random_state : int, RandomState or None, default=None
        Seed of the sample and of the starts.

    Attributes
    ----------
    n_clusters_ : int
        Number of components.
    k_values_, inertias_, second_differences_ : ndarray
        The search, as in :class:`ElbowKMeans`.
    labels_ : ndarray of shape (n_samples,)
        Most probable component of each row.
    weights_, means_, covariances_ : ndarray
        Of the components, as in scikit-learn's GaussianMixture.
    n_iter_ : int
        Iterations of the mixture's best start.
    estimator_ : GaussianMixture
        The fitted mixture.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are strings.

    References
    ----------
    .. [1] Qi et al. (2025), section 2.2, doi:10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sktraffic.cluster import ElbowGaussianMixture
    >>> X, _ = make_blobs(300, centers=[[0, 0], [8, 0], [4, 7]], random_state=0)
    >>> mixture = ElbowGaussianMixture(random_state=0).fit(X)
    >>> mixture.n_clusters_, mixture.predict_proba(X).shape
    (3, (300, 3))
    """

    _parameter_constraints: ClassVar[dict] = {
        "k_range": [tuple, list],
        "scale": [StrOptions({"linear", "log"})],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
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
        covariance_type="full",
        reg_covar=1e-6,
        n_init=1,
        max_iter=100,
        max_samples=20_000,
        random_state=None,
    ):
        self.k_range = k_range
        self.scale = scale
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.n_init = n_init
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the elbow and fit a mixture with as many components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, on comparable scales.
        y : object
            Ignored.

        Returns
        -------
        self : ElbowGaussianMixture
            Fitted.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        seed = draw_seed(self.random_state)
        self.n_clusters_, self.k_values_, self.inertias_, self.second_differences_ = find_elbow(
            X,
            self.k_range,
            scale=self.scale,
            n_init=10,
            max_iter=300,
            max_samples=self.max_samples,
            random_state=seed,
        )
        self.estimator_ = GaussianMixture(
            self.n_clusters_,
            covariance_type=self.covariance_type,
            reg_covar=self.reg_covar,
            n_init=self.n_init,
            max_iter=self.max_iter,
            random_state=seed,
        )
        # with array API dispatch scikit-learn's mixture cannot start from k-means
        with config_context(array_api_dispatch=False):
            self.labels_ = self.estimator_.fit_predict(X)
        self.n_iter_ = self.estimator_.n_iter_
        self.weights_ = self.estimator_.weights_
        self.means_ = self.estimator_.means_
        self.covariances_ = self.estimator_.covariances_
        return self

    def _checked(self, X):
        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=[np.float64, np.float32])

    def predict(self, X):
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
            Component numbers.
        """
        X = self._checked(X)
        return self.estimator_.predict(X)

    def predict_proba(self, X):
        """Return the probability of each component, given each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, `n_clusters_`)
            Rows sum to 1.
        """
        X = self._checked(X)
        return self.estimator_.predict_proba(X)

    def score(self, X, y=None):
        """Return the mean log-likelihood of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : object
            Ignored.

        Returns
        -------
        float
            Natural logarithm of the density, per row.
        """
        X = self._checked(X)
        return self.estimator_.score(X)
