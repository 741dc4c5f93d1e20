"""Displays: what they compute, what they draw, and what they refuse."""

import subprocess
import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import load_iris, make_blobs

from sktraffic.cluster import ElbowKMeans
from sktraffic.feature_extraction import PacketSequences, SessionStatistics
from sktraffic.feature_selection import ForestSelector
from sktraffic.inspection import (
    ClassImportanceDisplay,
    ClusterDisplay,
    ElbowDisplay,
    EntropyPlaneDisplay,
    FeatureDistributionDisplay,
    SequenceProfileDisplay,
)
from sktraffic.inspection._distributions import wants_log
from sktraffic.inspection._importances import top_ranks
from sktraffic.inspection._plotting import class_style, sample_points
from sktraffic.inspection._sequence_profile import mean_profile
from sktraffic.ragged import list_column

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test has drawn, having rendered it: layout errors show only then."""
    import matplotlib.pyplot as plt

    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")


@pytest.fixture(scope="module")
def table():
    """Thirty sessions of two classes: one-way small packets, and a request with a large answer."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 12, 30)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    y = np.tile(["beacon", "web"], 15)
    web = np.repeat(y == "web", lengths)
    first = np.isin(np.arange(offsets[-1]), offsets)
    time = np.concatenate([np.append(0, np.cumsum(rng.exponential(1, n - 1))) for n in lengths])
    X = pd.DataFrame(
        {
            "packet_time": list_column(time, offsets),
            "packet_size": list_column(np.where(web & ~first, 1500, 80), offsets),
            "packet_direction": list_column(np.where(web & ~first, -1, 1), offsets),
        }
    )
    return X, y


def test_import_needs_no_matplotlib():
    """Importing the package leaves matplotlib and torch out; only drawing imports the former."""
    code = (
        "import sys, sktraffic.inspection, sktraffic.cluster, sktraffic.feature_selection, "
        "sktraffic.preprocessing; print([m for m in ('matplotlib', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_elbow_from_estimator():
    """The curve drawn is the estimator's; one bar, the elbow's, is coloured."""
    X, _ = make_blobs(90, centers=10 * np.eye(3), random_state=0)
    model = ElbowKMeans((2, 5), n_init=2, random_state=0).fit(X)
    display = ElbowDisplay.from_estimator(model)
    assert display.n_clusters == 3
    curve = next(line for line in display.ax_.lines if len(line.get_xdata()) == 6)
    np.testing.assert_allclose(curve.get_ydata(), model.inertias_)
    colours = [bar.get_facecolor() for bar in display.difference_ax_.patches]
    assert colours.count(colours[1]) == 1
    assert "k = 3" in display.ax_.texts[0].get_text()


def test_elbow_from_predictions_by_hand():
    """10, 4, 1, 0 bends most at the second k; broken ranges are refused."""
    assert ElbowDisplay.from_predictions([1, 2, 3, 4], [10, 4, 1, 0]).n_clusters == 2
    curve = [100, 50, 25, 1, 0.5]
    log = ElbowDisplay.from_predictions([2, 3, 4, 5, 6], curve, scale="log")
    assert log.n_clusters == 5
    for k_values in ([1, 2], [1, 2, 4], [1, 2, 3]):
        with pytest.raises(ValueError, match="three consecutive"):
            ElbowDisplay.from_predictions(k_values, [3.0, 2.0] if len(k_values) < 3 else [1.0] * 4)


def test_clusters_are_projected_by_pca():
    """The coordinates carry the two largest variances, and every cluster is named with its size."""
    X, y = make_blobs([10, 20, 30], n_features=4, random_state=0)
    display = ClusterDisplay.from_predictions(X, y)
    largest = np.sort(np.linalg.eigvalsh(np.cov(X.T)))[::-1]
    np.testing.assert_allclose(display.coordinates.var(axis=0, ddof=1), largest[:2])
    np.testing.assert_allclose(display.explained_variance_ratio, largest[:2] / largest.sum())
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["2 (30)", "1 (20)", "0 (10)"]


def test_clusters_from_estimators_and_noise():
    """A predictor is asked, a clusterer without predict gives its labels; -1 is noise."""
    X, _ = make_blobs(60, random_state=0)
    X = np.vstack([X, [[99.0, 99.0]]])
    kmeans = KMeans(3, random_state=0).fit(X)
    np.testing.assert_array_equal(ClusterDisplay.from_estimator(kmeans, X).labels, kmeans.labels_)
    display = ClusterDisplay.from_estimator(DBSCAN(2.0).fit(X), X)
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "noise (1)" in names


def test_clusters_of_awkward_tables():
    """One feature, no variance, and more clusters than a legend can name."""
    single = ClusterDisplay.from_predictions(np.arange(6.0)[:, None], np.arange(6) % 2)
    assert not single.coordinates[:, 1].any()
    assert not ClusterDisplay.from_predictions(np.ones((4, 2)), [0] * 4).coordinates.any()
    many = ClusterDisplay.from_predictions(np.random.default_rng(0).random((80, 2)), range(80))
    assert "the largest of 80" in many.ax_.get_legend().get_title().get_text()
    assert len(many.ax_.get_legend().get_texts()) == 18


def test_importances_are_ranked():
    """Each class's best features are numbered, others and zeros are not."""
    ranks = top_ranks([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]], 2)
    np.testing.assert_array_equal(ranks, [[1, 2, 0], [0, 1, 0]])
    table = pd.DataFrame([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]], ["u", "v"], ["a_b", "c", "d"])
    display = ClassImportanceDisplay.from_predictions(table, top_k=2)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["c", "a b"]
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["u", "v"]
    assert [text.get_text() for text in display.ax_.texts] == ["2", "1", "1"]
    with pytest.raises(TypeError, match="from_estimator"):
        ClassImportanceDisplay.from_predictions(np.eye(2))


def test_importances_from_selector():
    """The picture is of `class_importances_`, with the names of classes and features."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    selector = ForestSelector(n_estimators=5, random_state=0).fit(X, y)
    display = ClassImportanceDisplay.from_estimator(selector, top_k=1)
    np.testing.assert_array_equal(display.importances, selector.class_importances_)
    assert display.importances.columns.tolist() == X.columns.tolist()
    assert display.importances.index.tolist() == [0, 1, 2]
    bare = ClassImportanceDisplay.from_estimator(ForestSelector(n_estimators=2).fit(X.values, y))
    assert bare.importances.columns.tolist() == ["x0", "x1", "x2", "x3"]
    np.testing.assert_array_equal(display.ranks.sum(axis=1), 1)


def test_distributions_of_sessions(table):
    """Nine panels with a box a class; the medians are those of the data."""
    X, y = table
    statistics = SessionStatistics().fit(X)
    display = FeatureDistributionDisplay.from_estimator(statistics, X, y)
    assert len(display.axes_) == 9
    labels = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert labels == ["beacon", "web"]
    frame = statistics.set_output(transform="pandas").transform(X)
    medians = frame["packet_size_mean"].groupby(y).median()
    panel = display.axes_[3]
    drawn = [line.get_xdata()[0] for line in panel.lines if line.get_linewidth() == 1.4]
    np.testing.assert_allclose(drawn, medians)
    # the first class is on top
    assert panel.yaxis_inverted()


def test_distribution_axes():
    """Wide positive values get a log axis that owns up to its zeros; own axes may be passed."""
    assert wants_log(np.array([1.0, 10, 1e5]))
    assert not wants_log(np.array([-1.0, 10, 1e5]))
    assert not wants_log(np.zeros(4))
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 2)
    X = pd.DataFrame({"bytes": [0.0, 1, 10, 1e5], "share": [0.1, np.nan, 0.3, 0.4]})
    y = ["a", "a", "b", "b"]
    display = FeatureDistributionDisplay.from_predictions(X, y, ax=axes)
    assert display.axes_[0].get_xscale() == "log"
    assert display.axes_[0].get_xlabel() == "bytes (25 % zeros not shown)"
    assert display.axes_[1].get_xscale() == "linear"
    with pytest.raises(ValueError, match="no column 'byte'"):
        FeatureDistributionDisplay.from_predictions(X, y, features=["byte"])
    with pytest.raises(ValueError, match=r"2 panels .* 1 axes"):
        FeatureDistributionDisplay.from_predictions(X, y, ax=axes[:1])
    with pytest.raises(ValueError, match="4 rows but y 3"):
        FeatureDistributionDisplay.from_predictions(X, y[:3])


def test_entropy_plane(table):
    """Sessions lie at their two entropies; the medians are the classes'."""
    X, y = table
    statistics = SessionStatistics().set_output(transform="pandas").fit(X)
    frame = statistics.transform(X)
    display = EntropyPlaneDisplay.from_estimator(statistics, X, y)
    np.testing.assert_allclose(display.size_entropy, frame["packet_size_entropy"])
    np.testing.assert_allclose(display.iat_entropy, frame["iat_entropy"])
    assert display.medians()["beacon"][0] == 0.0
    assert list(display.medians()) == ["beacon", "web"]
    with pytest.raises(ValueError, match="makes no feature packet_size_entropy"):
        EntropyPlaneDisplay.from_estimator(PacketSequences(2).fit(X), X, y)
    with pytest.raises(ValueError, match="2 and 2 entropies and 1"):
        EntropyPlaneDisplay.from_predictions([1, 2], [1, 2], ["a"])


def test_mean_profile_by_hand():
    """Means over the sessions that reach a packet, split by direction."""
    forward, backward, reached = mean_profile([[60, -1500, 0], [80, 100, np.nan]])
    np.testing.assert_allclose(forward, [70, 50, 0])
    np.testing.assert_allclose(backward, [0, -750, 0])
    np.testing.assert_allclose(reached, [1, 1, 0])


def test_sequence_profile_of_sessions(table):
    """A web session opens with 80 bytes and then receives full packets; a beacon only sends."""
    X, y = table
    display = SequenceProfileDisplay.from_sessions(X, y, n_packets=4)
    forward, backward, reached = display.profiles["web"]
    np.testing.assert_allclose(forward, [80, 0, 0, 0])
    np.testing.assert_allclose(backward, [0, -1500, -1500, -1500])
    assert reached[0] == reached[2] == 1.0
    assert not display.profiles["beacon"][1].any()
    assert display.counts == {"beacon": 15, "web": 15}
    assert "15 sessions" in display.axes_[0].get_title()


def test_sequence_profile_refuses_other_fields(table):
    """Sizes without a sign, several fields and logarithms cannot be drawn as bytes."""
    X, y = table
    for params in ({"fields": ["size"]}, {}, {"fields": ["signed_size"], "scale": "log"}):
        with pytest.raises(ValueError, match="One signed size"):
            SequenceProfileDisplay.from_estimator(PacketSequences(3, **params).fit(X), X, y)
    with pytest.raises(ValueError, match="1 dimensions"):
        SequenceProfileDisplay.from_predictions([1, 2, 3], ["a", "a", "b"])


def test_own_axes_are_drawn_on():
    """An axes that is passed is used, and no new figure is made."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    X, y = make_blobs(30, random_state=0)
    assert ClusterDisplay.from_predictions(X, y, ax=ax).ax_ is ax
    assert EntropyPlaneDisplay.from_predictions(X[:, 0], X[:, 1], y, ax=ax).figure_ is ax.figure
    assert plt.get_fignums() == [1]


def test_styles_differ():
    """Seven colours and eight markers tell 56 classes apart; neighbours differ in both."""
    styles = [tuple(class_style(k).values()) for k in range(56)]
    assert len(set(styles)) == 56
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in pairwise(styles))


def test_sample_of_points():
    """No more points than asked for, in order; few points are all drawn."""
    np.testing.assert_array_equal(sample_points(4, 10), np.arange(4))
    assert len(np.unique(sample_points(100, 10))) == 10
