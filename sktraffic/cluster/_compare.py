"""Several clusterings of the same rows in one table."""

import time

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import (
    adjusted_mutual_info_score,
    calinski_harabasz_score,
    silhouette_score,
)
from sklearn.utils import check_array, check_consistent_length

from sktraffic.cluster._elbow import ElbowKMeans, draw_seed
from sktraffic.cluster._gaussian_mixture import ElbowGaussianMixture
from sktraffic.cluster._optics import OPTICSDBSCAN
from sktraffic.cluster._sampling import sample_rows


def sampled_silhouette(X, labels, max_samples, random_state):
    """Silhouette of at most `max_samples` rows; nan where they hold fewer than two clusters."""
    rows = sample_rows(len(X), max_samples, np.random.RandomState(random_state))
    n_clusters = len(np.unique(labels[rows]))
    if not 2 <= n_clusters < len(rows):
        return np.nan
    return float(silhouette_score(X[rows], labels[rows]))


def clustering_scores(X, labels, *, silhouette_samples=5000, random_state=0):
    """Score one clustering.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)
        Cluster of each row, -1 for noise.
    silhouette_samples : int or None, default=5000
        Rows drawn for the silhouette.
    random_state : int, default=0
        Seed of the draw.

    Returns
    -------
    dict
        clusters, noise_percent, silhouette, silhouette_all_rows, calinski_harabasz.
    """
    labels = np.asarray(labels)
    kept = labels != -1
    covered, inside = X[kept], labels[kept]
    clusters = len(np.unique(inside))
    silhouette = sampled_silhouette(covered, inside, silhouette_samples, random_state)
    separable = 2 <= clusters < len(covered)
    return {
        "clusters": clusters,
        "noise_percent": 100.0 * (1.0 - kept.mean()),
        "silhouette": silhouette,
        "silhouette_all_rows": silhouette * kept.mean(),
        "calinski_harabasz": calinski_harabasz_score(covered, inside) if separable else np.nan,
    }


def compare_clusterings(
    X, y=None, *, clusterers=None, silhouette_samples=5000, random_state=0, return_estimators=False
):
    """Cluster the same rows several ways and compare: table 2 of Qi et al. (2025).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features, on comparable scales.
    y : array-like of shape (n_samples,), optional
        True classes; adds a column that says how well the clusters agree with them.
    clusterers : dict of str to estimator, optional
        Name and clusterer; each is cloned. By default `ElbowKMeans` ("KMeans"), `OPTICSDBSCAN`
        ("DBSCAN") and `ElbowGaussianMixture` ("GMM"). The paper's own rule for the elbow is their
        ``scale="linear"``.
    silhouette_samples : int or None, default=5000
        Rows drawn for the silhouette, whose cost grows with the square of their number. None
        takes all of them.
    random_state : int, RandomState or None, default=0
        Seed of that draw and of the default clusterers.
    return_estimators : bool, default=False
        Return the fitted clusterers too.

    Returns
    -------
    table : DataFrame
        One row a clusterer, with the columns

        - `clusters`: their number, noise not counted;
        - `noise_percent`: share of rows in no cluster;
        - `silhouette`: mean silhouette of the rows in a cluster, -1 to 1;
        - `silhouette_all_rows`: the same with 0 for every noise row. A clustering that calls
          nearly everything noise has a splendid silhouette for the few rows left; this one tells;
        - `calinski_harabasz`: of the rows in a cluster, all of them;
        - `adjusted_mutual_info`, where `y` is given: agreement with the classes, noise counted
          as a cluster; 0 by chance, 1 for equal partitions;
        - `seconds`: wall time of the fit.

        A score that is not defined (fewer than two clusters) is nan.
    estimators : dict of str to estimator
        Only with `return_estimators=True`.

    References
    ----------
    .. [1] Qi et al. (2025), section 2.2 and table 2, doi:10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sktraffic.cluster import compare_clusterings
    >>> X, y = make_blobs(300, centers=[[0, 0], [20, 0], [10, 15]], random_state=0)
    >>> table = compare_clusterings(X, y)
    >>> table[["clusters", "noise_percent", "adjusted_mutual_info"]].round(2)
            clusters  noise_percent  adjusted_mutual_info
    KMeans         3           0.00                  1.00
    DBSCAN         3           0.67                  0.98
    GMM            3           0.00                  1.00
    """
    seed = draw_seed(random_state)
    if clusterers is None:
        clusterers = {
            "KMeans": ElbowKMeans(random_state=seed),
            "DBSCAN": OPTICSDBSCAN(random_state=seed),
            "GMM": ElbowGaussianMixture(random_state=seed),
        }
    values = check_array(X, dtype=np.float64, estimator="compare_clusterings", input_name="X")
    if y is not None:
        check_consistent_length(X, y)
    rows, fitted = {}, {}
    for name, clusterer in clusterers.items():
        fitted[name] = clone(clusterer)
        begin = time.perf_counter()
        labels = fitted[name].fit_predict(X)
        seconds = time.perf_counter() - begin
        scores = clustering_scores(
            values, labels, silhouette_samples=silhouette_samples, random_state=seed
        )
        if y is not None:
            scores["adjusted_mutual_info"] = adjusted_mutual_info_score(y, labels)
        rows[name] = scores | {"seconds": seconds}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return (table, fitted) if return_estimators else table
