"""ElbowKMeans and ElbowGaussianMixture: known numbers of clusters and degenerate tables."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktraffic.cluster import OPTICSDBSCAN, ElbowGaussianMixture, ElbowKMeans, second_differences
from sktraffic.cluster._elbow import find_elbow
from sktraffic.cluster._sampling import count_distinct_rows, sample_rows


@parametrize_with_checks(
    [ElbowKMeans((2, 4), n_init=1), ElbowGaussianMixture((2, 4)), OPTICSDBSCAN()]
)
def test_scikit_learn_checks(estimator, check):
    """Every check of scikit-learn's own list."""
    check(estimator)


def simplex(k, n=60, distance=12.0, seed=0):
    """Blobs of unit variance whose centers are all equally far apart."""
    return make_blobs(n * k, centers=distance * np.eye(k), cluster_std=1.0, random_state=seed)


@pytest.mark.parametrize("k", [2, 3, 5, 9])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_elbow_finds_known_k(k, scale):
    """The inertia of k equally distant blobs falls on a straight line and bends at k."""
    X, _ = simplex(k)
    assert ElbowKMeans(scale=scale, random_state=0).fit(X).n_clusters_ == k


def test_mixture_takes_the_elbow():
    """ElbowGaussianMixture is GaussianMixture with ElbowKMeans's k."""
    X, y = simplex(4)
    mixture = ElbowGaussianMixture(random_state=0).fit(X)
    assert mixture.n_clusters_ == ElbowKMeans(random_state=0).fit(X).n_clusters_ == 4
    reference = GaussianMixture(4, random_state=0).fit(X)
    np.testing.assert_array_equal(mixture.labels_, reference.predict(X))
    np.testing.assert_allclose(mixture.predict_proba(X), reference.predict_proba(X))
    assert mixture.score(X) == pytest.approx(reference.score(X))
    assert len(np.unique(y * 10 + mixture.labels_)) == 4


def test_second_differences_by_hand():
    """I = 10, 4, 1, 0: 10 - 8 + 1 = 3 and 4 - 2 + 0 = 2."""
    np.testing.assert_allclose(second_differences([10, 4, 1, 0], "linear"), [3, 2])
    np.testing.assert_allclose(second_differences([8, 4, 1, 1]), np.log([0.5, 4]))


def test_log_scale_sees_relative_drops():
    """Of I = 100, 50, 25, 1, 0.5 the linear rule takes the first drop, the log rule the 25-fold."""
    curve = [100, 50, 25, 1, 0.5]
    assert np.argmax(second_differences(curve, "linear")) == 0
    assert np.argmax(second_differences(curve, "log")) == 2


def test_inertias_are_those_of_k_means():
    """Each inertia is the one of KMeans with the same seed."""
    X, _ = simplex(3)
    model = ElbowKMeans((2, 4), random_state=0).fit(X)
    np.testing.assert_array_equal(model.k_values_, [1, 2, 3, 4, 5])
    wanted = [KMeans(k, n_init=10, random_state=0).fit(X).inertia_ for k in model.k_values_]
    np.testing.assert_allclose(model.inertias_, wanted)
    np.testing.assert_allclose(
        np.sort(model.transform(X).min(axis=1) ** 2).sum(), model.inertia_, rtol=1e-9
    )


@pytest.mark.parametrize("make", [ElbowKMeans, ElbowGaussianMixture])
def test_constant_table_is_one_cluster(make):
    """Without any variance there is one cluster and no warning."""
    model = make(random_state=0).fit(np.full((20, 3), 7.0))
    assert model.n_clusters_ == 1
    np.testing.assert_array_equal(model.labels_, 0)


@pytest.mark.parametrize("distinct", [2, 3, 4])
def test_few_distinct_rows(distinct):
    """Never more clusters than distinct rows, and equally distant ones are all found."""
    X = np.repeat(5.0 * np.eye(distinct), 10, axis=0)
    assert ElbowKMeans(random_state=0).fit(X).n_clusters_ == distinct


def test_fewer_rows_than_k():
    """Three rows and a range from 5 on: as many clusters as rows."""
    X = np.array([[0.0], [1.0], [10.0]])
    assert ElbowKMeans((5, 8), random_state=0).fit(X).n_clusters_ == 3


def test_tie_takes_the_smallest_k():
    """Two distinct rows bend the curve at 2 alone; a flat rest changes nothing."""
    k, k_values, inertias, differences = find_elbow(
        np.array([[0.0], [0.0], [1.0], [1.0]]),
        (2, 5),
        scale="linear",
        n_init=1,
        max_iter=10,
        max_samples=None,
        random_state=0,
    )
    assert k == 2
    np.testing.assert_array_equal(k_values, [1, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(inertias, [1, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(differences, [1, 0, 0, 0])


@pytest.mark.parametrize("k_range", [(1, 5), (5, 3), (2.5, 4), (2, 3, 4), ("a", "b")])
def test_bad_range_says_what_is_wanted(k_range):
    """A useless range is named in the error."""
    with pytest.raises(ValueError, match=r"k_range is .*smallest"):
        ElbowKMeans(k_range).fit(np.eye(4))


def test_search_on_a_sample_finds_the_same_k():
    """The elbow of 500 of 6000 rows is the elbow of all; the centers come from all."""
    X, _ = simplex(5, n=1200)
    model = ElbowKMeans(max_samples=500, random_state=0).fit(X)
    assert model.n_clusters_ == 5
    assert model.inertia_ > 5 * model.inertias_[4]
    assert len(model.labels_) == 6000


def test_seeds():
    """An int seed repeats itself; a generator is advanced; the global state is left alone."""
    X, _ = make_blobs(80, random_state=1)
    before = np.random.get_state()[1].copy()
    first = ElbowKMeans(random_state=3).fit(X)
    np.testing.assert_array_equal(first.labels_, clone(first).fit(X).labels_)
    assert ElbowKMeans(random_state=np.random.RandomState(0)).fit(X).n_clusters_ >= 2
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_in_a_pipeline_with_names():
    """Distances to the centers come out as named columns."""
    X, _ = simplex(3)
    pipe = make_pipeline(StandardScaler(), ElbowKMeans(random_state=0)).set_output(
        transform="pandas"
    )
    assert list(pipe.fit_transform(X).columns) == ["elbowkmeans0", "elbowkmeans1", "elbowkmeans2"]


@pytest.mark.parametrize("make", [ElbowKMeans, ElbowGaussianMixture, OPTICSDBSCAN])
def test_predict_repeats_the_labels(make):
    """Rows of fit get their own cluster again; before fit it is an error."""
    X, _ = simplex(3)
    with pytest.raises(NotFittedError):
        make().predict(X)
    model = make(random_state=0).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_count_distinct_rows():
    """Counted up to the limit, wherever in the table the differing rows are."""
    X = np.zeros((1000, 2))
    assert count_distinct_rows(X, 5) == 1
    X[-1] = 1
    assert count_distinct_rows(X, 5) == 2
    assert count_distinct_rows(np.arange(1000.0)[:, None], 5) == 5


def test_sample_of_everything_is_the_table():
    """No more rows than asked for: all of them, in order."""
    rng = np.random.RandomState(0)
    np.testing.assert_array_equal(sample_rows(5, 5, rng), np.arange(5))
    np.testing.assert_array_equal(sample_rows(5, None, rng), np.arange(5))
    drawn = sample_rows(100, 10, rng)
    assert len(np.unique(drawn)) == 10
    assert (np.diff(drawn) > 0).all()


@pytest.mark.parametrize("make", [ElbowKMeans, ElbowGaussianMixture])
@pytest.mark.parametrize("k", [3, 4, 5, 6, 8])
def test_clear_blobs_at_random_centers_are_counted_by_default(make, k):
    """Centers anywhere, nine features: the relative drop is largest at k."""
    X, _ = make_blobs(400, 9, centers=k, random_state=1)
    assert make(random_state=0).fit(X).n_clusters_ == k


@pytest.mark.parametrize("make", [ElbowKMeans, ElbowGaussianMixture])
def test_the_linear_rule_stops_at_the_first_splits(make):
    """Two pairs of blobs: the inertia itself bends at the pairs, its logarithm at the blobs."""
    centers = [[0, 0], [0, 20], [50, 0], [50, 20]]
    X, _ = make_blobs(400, centers=centers, random_state=0)
    assert make(scale="linear", random_state=0).fit(X).n_clusters_ == 2
    assert make(random_state=0).fit(X).n_clusters_ == 4


def test_mixture_takes_its_covariances_from_the_parameters():
    """Shape and ridge are those of GaussianMixture; one component of points has the ridge alone."""
    X, _ = simplex(3)
    shapes = {"full": (3, 3, 3), "tied": (3, 3), "diag": (3, 3), "spherical": (3,)}
    for kind, shape in shapes.items():
        mixture = ElbowGaussianMixture((2, 5), covariance_type=kind, random_state=0).fit(X)
        assert mixture.estimator_.covariances_.shape == shape
    points = np.repeat(np.eye(3) * 9, 20, axis=0)
    mixture = ElbowGaussianMixture((2, 3), reg_covar=0.5, random_state=0).fit(points)
    ridge = np.broadcast_to(0.5 * np.eye(3), (mixture.n_clusters_, 3, 3))
    np.testing.assert_allclose(mixture.estimator_.covariances_, ridge, atol=1e-6)
