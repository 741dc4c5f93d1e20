"""DBSCAN whose radius is read off the OPTICS reachability curve."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import ClusterMixin
from sklearn.cluster import cluster_optics_dbscan
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, validate_data

from sktraffic._base import BaseEstimator
from sktraffic._compat import Interval, StrOptions, _fit_context
from sktraffic.cluster._elbow import draw_seed
from sktraffic.cluster._sampling import sample_rows

# eps is one of the distances between rows; a hair more keeps that row inside, whichever routine
# computes its distance.
_EPS_SLACK = 1e-9


def nearest(X, points, k=1):
    """Row of `points` that is the k-th nearest to each row of X, and its distance.

    The fast search rounds: identical rows come out as 1e-8 apart in many dimensions. So the
    distance to the row found is computed anew.
    """
    search = NearestNeighbors(n_neighbors=k).fit(points)
    found = search.kneighbors(X, return_distance=False)[:, -1]
    return found, np.sqrt(((X - points[found]) ** 2).sum(axis=1))


def core_distances(X, min_samples):
    """Distance within which each row has `min_samples` rows, itself counted; inf if never."""
    if min_samples > len(X):
        return np.full(len(X), np.inf)
    return nearest(X, X, min_samples)[1]


def reachability_curve(X, core):
    """OPTICS (Ankerst et al. 1999) without a largest radius, in n vectorised steps.

    Gives what scikit-learn's ``OPTICS(max_eps=inf)`` gives, some thirty times faster: without a
    largest radius every step looks at all rows that are left, which is one call of `cdist`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    core : ndarray of shape (n_samples,)
        Core distances.

    Returns
    -------
    ordering : ndarray of shape (n_samples,)
        Rows in the order in which OPTICS visits them.
    reachability : ndarray of shape (n_samples,)
        Reachability distance of each row; infinite for the first one visited.
    """
    n = len(X)
    left, points, reach = np.arange(n), X, np.full(n, np.inf)
    ordering = np.empty(n, dtype=np.intp)
    reachability = np.empty(n)
    for step in range(n):
        at = np.argmin(reach)  # the first one on a tie, as rows stay in their order
        row = left[at]
        ordering[step] = row
        reachability[row] = reach[at]
        keep = np.ones(len(left), dtype=bool)
        keep[at] = False
        left, points, reach = left[keep], points[keep], reach[keep]
        if len(left):
            distance = cdist(X[row : row + 1], points)[0]
            # The row that defines the core distance must tie with those inside it, whatever the
            # last bit of its own distance says: ties decide the order.
            distance[distance <= core[row] * (1 + _EPS_SLACK)] = core[row]
            np.minimum(reach, distance, out=reach)
    return ordering, reachability


def reachability_eps(reachability, rule="knee"):
    """Read a radius off the sorted reachability curve.

    Parameters
    ----------
    reachability : array-like of shape (n_samples,)
        In any order; infinite ones are left out.
    rule : "knee" or float
        "knee": the point of the sorted curve farthest below its chord, where reachabilities
        inside clusters end and those between them begin. A float: that quantile.

    Returns
    -------
    float
        Greater than 0: where most rows have a twin, the smallest normal number, so that only
        identical rows are neighbours.
    """
    curve = np.sort(np.asarray(reachability, dtype=np.float64))
    curve = curve[np.isfinite(curve)]
    smallest = np.finfo(np.float64).tiny
    if not len(curve):
        return smallest
    if rule == "knee":
        height = curve[-1] - curve[0]
        chord = curve[0] + height * np.linspace(0, 1, len(curve))
        eps = curve[np.argmax(chord - curve)]
    else:
        eps = np.quantile(curve, rule)
    return max(float(eps) * (1 + _EPS_SLACK), smallest)


class OPTICSDBSCAN(ClusterMixin, BaseEstimator):
    """DBSCAN with its radius read off the OPTICS reachability curve.

    OPTICS orders the rows so that a DBSCAN of any radius is a cut through its reachability
    curve. The radius is the curve's knee, and the cut at it gives the clusters of
    ``DBSCAN(eps=eps_)``: the same core rows in the same clusters and the same noise. A row that
    is no core itself goes to the cluster of its nearest core within `eps_`, where DBSCAN takes
    the first one that its scan meets.

    Parameters
    ----------
    min_samples : int, default=5
        Rows within the radius, itself counted, that make a row a core of a cluster. Counted
        among the rows of the sample where one is drawn.
    eps_rule : "knee" or float, default="knee"
        How the radius is read off the sorted finite reachabilities. "knee" takes the point
        farthest below the straight line between the curve's ends, a float in (0, 1) that quantile.
    max_samples : int or None, default=10_000
        Rows drawn for the curve and the cores, whose cost grows with the square of their number.
        The other rows join the nearest core within the radius, or are noise, so a class with
        fewer than `min_samples` rows in the sample is not found. None takes all rows.
    random_state : int, RandomState or None, default=None
        Seed of the sample.

    Attributes
    ----------
    eps_ : float
        The radius.
    n_clusters_ : int
        Clusters, noise not counted.
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row, -1 for noise.
    sample_indices_ : ndarray of shape (n_sampled,)
        Rows of the sample.
    ordering_ : ndarray of shape (n_sampled,)
        Positions in `sample_indices_` in the order of OPTICS.
    reachability_ : ndarray of shape (n_sampled,)
        Of the rows of the sample; infinite for the first one visited.
    core_sample_indices_ : ndarray of shape (n_cores,)
        Rows that are cores.
    components_ : ndarray of shape (n_cores, n_features)
        These rows.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are strings.

    References
    ----------
    .. [1] Qi et al. (2025), section 2.2, doi:10.62177/apemr.v2i5.632.
    .. [2] Ankerst et al. (1999), "OPTICS: ordering points to identify the clustering structure".

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sktraffic.cluster import OPTICSDBSCAN
    >>> X, _ = make_blobs(300, centers=[[0, 0], [20, 0], [10, 15]], random_state=0)
    >>> OPTICSDBSCAN().fit(X).n_clusters_
    3
    """

    _parameter_constraints: ClassVar[dict] = {
        "min_samples": [Interval(Integral, 2, None, closed="left")],
        "eps_rule": [StrOptions({"knee"}), Interval(Real, 0, 1, closed="neither")],
        "max_samples": [None, Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, min_samples=5, *, eps_rule="knee", max_samples=10_000, random_state=None):
        self.min_samples = min_samples
        self.eps_rule = eps_rule
        self.max_samples = max_samples
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Order the rows, read off the radius and cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, on comparable scales.
        y : object
            Ignored.

        Returns
        -------
        self : OPTICSDBSCAN
            Fitted.
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        generator = np.random.RandomState(draw_seed(self.random_state))
        rows = sample_rows(len(X), self.max_samples, generator)
        core = core_distances(X[rows], self.min_samples)
        self.ordering_, self.reachability_ = reachability_curve(X[rows], core)
        self.eps_ = reachability_eps(self.reachability_, self.eps_rule)
        labels = cluster_optics_dbscan(
            reachability=self.reachability_,
            core_distances=core,
            ordering=self.ordering_,
            eps=self.eps_,
        )
        is_core = core <= self.eps_
        self.sample_indices_ = rows
        self.core_sample_indices_ = rows[is_core]
        self.components_ = X[self.core_sample_indices_]
        self._core_labels = labels[is_core]
        self.n_clusters_ = int(labels.max(initial=-1)) + 1
        self.labels_ = self._assign(X)
        return self

    def _assign(self, X):
        if not len(self.components_):
            return np.full(len(X), -1, dtype=np.intp)
        found, distance = nearest(X, self.components_)
        return np.where(distance <= self.eps_, self._core_labels[found], -1)

    def predict(self, X):
        """Return the cluster of the nearest core within the radius, or -1.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
            Cluster numbers; `labels_` for the rows of `fit`.
        """
        check_is_fitted(self)
        return self._assign(validate_data(self, X, reset=False, dtype=np.float64))
