"""Robustness, latency, earliness and reliability: known answers, and drawings that match."""

import subprocess
import sys
from time import sleep

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sktraffic.inspection import (
    EarlinessCurveDisplay,
    LatencyCurveDisplay,
    RobustnessCurveDisplay,
    earliness_curve,
    latency_curve,
    reliability_display,
    robustness_curve,
)
from sktraffic.inspection._earliness import waiting_time
from sktraffic.inspection._robustness import gaussian_noise
from sktraffic.model_selection import CaptureKFold
from sktraffic.ragged import ragged, segment_sum
from sktraffic.sessions import first_packets


def sizes(X):
    """Mean and last packet size of every session."""
    size, offsets = ragged(X["packet_size"])
    mean = segment_sum(size, offsets) / np.maximum(np.diff(offsets), 1)
    return np.column_stack([mean, size[offsets[1:] - 1]])


def pipeline():
    return make_pipeline(FunctionTransformer(sizes), StandardScaler(), LogisticRegression())


def test_noise_has_the_features_own_units():
    """Noise of strength s has s times each feature's deviation, whatever its unit."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 2)) * [1, 1e6] + [0, 1e9]
    added = gaussian_noise(X, 0.3, random_state=0) - X
    assert_allclose(added.std(axis=0) / X.std(axis=0), 0.3, rtol=0.03)
    frame = pd.DataFrame(X.astype(int), columns=["a", "b"])
    noisy = gaussian_noise(frame, 0.3, scale=[0, 1], random_state=0)
    assert_array_equal(noisy["a"], frame["a"])
    assert noisy.dtypes.tolist() == [np.float64] * 2


def test_robustness_of_a_threshold_is_the_normal_law():
    """A cut at 0 of +-1 under noise s is right with probability Phi(1/s), and no noise is exact."""
    X = np.repeat([[-1.0], [1.0]], 20_000, axis=0)
    y = np.repeat([0, 1], 20_000)
    stump = DecisionTreeClassifier(max_depth=1).fit(X, y)
    curve = robustness_curve(stump, X, y, noise=[0, 0.5, 1], n_repeats=2, random_state=0)
    mean = curve.groupby("strength")["score"].mean()
    assert_allclose(mean, [1, 0.97725, 0.84134], atol=0.004)
    assert curve.groupby("strength").size().tolist() == [1, 2, 2]


def test_noise_enters_at_the_step_asked_for(make_traffic):
    """For a session table noise falls on the features; by name or number it can fall later."""
    X, y = make_traffic()
    model = pipeline().fit(X, y)
    curves = [
        robustness_curve(model, X, y, noise=[0.4], step=step, random_state=0)
        for step in (None, 1, "standardscaler")
    ]
    pd.testing.assert_frame_equal(curves[0], curves[1])
    pd.testing.assert_frame_equal(curves[0], curves[2])
    features = sizes(X)
    direct = robustness_curve(model[1:], features, y, noise=[0.4], random_state=0)
    assert_allclose(direct["score"], curves[0]["score"])
    with pytest.raises(ValueError, match="no step 'nope'"):
        robustness_curve(model, X, y, step="nope")
    with pytest.raises(ValueError, match="needs a pipeline"):
        robustness_curve(model[-1], features, y, step=1)


@pytest.mark.parametrize("perturbation", ["loss", "reordering", "padding", "delay"])
def test_packet_perturbations(make_traffic, perturbation):
    """Sizes survive loss, delay and reordering of the mean; full padding hides the classes."""
    X, y = make_traffic(n_captures=12, shift=300)
    model = make_pipeline(
        FunctionTransformer(lambda X: sizes(X)[:, :1]), StandardScaler(), LogisticRegression()
    ).fit(X, y)
    curve = robustness_curve(
        model, X, y, perturbation=perturbation, noise=[0, 0.3, 1.0], n_repeats=2, random_state=0
    )
    mean = curve.groupby("strength")["score"].mean()
    assert mean[0.0] > 0.95
    if perturbation in ("delay", "reordering"):
        assert (mean == mean[0.0]).all()
    else:
        assert mean[1.0] < mean[0.0]
    assert set(curve["perturbation"]) == {perturbation}


def test_own_perturbation_and_error():
    """A function serves as perturbation; an unknown name is answered with the known ones."""
    X, y = make_blobs(60, centers=2, random_state=0)
    model = LogisticRegression().fit(X, y)

    def flip(X, strength, random_state):
        return -X if strength > 1 else X

    curve = robustness_curve(model, X, y, noise=[1, 2], perturbation=flip, n_repeats=1)
    assert curve["perturbation"].tolist() == ["flip", "flip"]
    assert curve["score"].iloc[0] == model.score(X, y)
    with pytest.raises(ValueError, match="'loss'"):
        robustness_curve(model, X, y, perturbation="fog")


class Slow(ClassifierMixin, BaseEstimator):
    """Takes 2 ms a call and 1 ms a sample."""

    def predict(self, X):
        """Wait, then answer 0."""
        sleep(0.002 + 0.001 * len(X))
        return np.zeros(len(X))


def test_latency_of_a_known_sleeper():
    """A call never takes less than it sleeps, and the cost of a call is shared by its samples."""
    curve = latency_curve(Slow(), np.zeros((5, 1)), batch_sizes=(1, 10), n_repeats=5)
    assert (curve["call_ms"] >= [3, 12]).all()
    assert (curve["call_ms_p95"] >= curve["call_ms"]).all()
    assert_allclose(curve["sample_ms"], curve["call_ms"] / [1, 10])
    assert_allclose(curve["samples_per_second"] * curve["sample_ms"], 1000)
    with pytest.raises(ValueError, match="batch size is 0"):
        latency_curve(Slow(), np.zeros((5, 1)), batch_sizes=(0,))


def test_earliness_agrees_with_cutting_by_hand(make_traffic):
    """The same scores as cross-validating `first_packets` tables, with a later, better decision."""
    X, y = make_traffic(n_captures=18)
    cv = CaptureKFold(3)
    curve = earliness_curve(pipeline(), X, y, packets=[1, 12], cv=cv, groups=X["capture"])
    for n in (1, 12):
        want = cross_val_score(
            pipeline(), first_packets(X, n), y, cv=cv, groups=X["capture"].to_numpy()
        )
        assert_allclose(curve.loc[curve["packets"] == n, "score"], want)
    mean = curve.groupby("packets")["score"].mean()
    assert mean[12] > mean[1] + 0.1
    assert (curve.loc[curve["packets"] == 1, "seconds"] == 0).all()


def test_earliness_of_a_fitted_estimator(make_traffic):
    """Without cv the fitted estimator is scored as it is."""
    X, y = make_traffic()
    model = pipeline().fit(X, y)
    curve = earliness_curve(model, X, y, packets=[2, 99])
    want = [model.score(first_packets(X, 2), y), model.score(X, y)]
    assert curve["score"].tolist() == want
    assert waiting_time(X, 99) == pytest.approx(X["duration"].to_numpy(float))


def test_reliability_agrees_with_scikit_learn():
    """Points of the diagram are scikit-learn's calibration curve of "the answer is right"."""
    X, y = make_blobs(600, centers=3, cluster_std=4, random_state=0)
    model = LogisticRegression().fit(X[:300], y[:300])
    display = reliability_display(model, X[300:], y[300:], n_bins=5)
    sure = model.predict_proba(X[300:]).max(axis=1)
    right = model.predict(X[300:]) == y[300:]
    want = calibration_curve(right, sure, n_bins=5, strategy="quantile")
    assert_allclose(display.prob_true, want[0])
    assert_allclose(display.prob_pred, want[1])


def test_displays_draw_the_curves(make_traffic):
    """Each display shows the means of its table, labelled, on given axes too."""
    import matplotlib.pyplot as plt

    X, y = make_traffic()
    model = pipeline().fit(X, y)
    _, axes = plt.subplots(1, 3)
    robust = RobustnessCurveDisplay.from_estimator(
        model, X, y, perturbation="loss", n_repeats=2, random_state=0, ax=axes[0]
    )
    table = robust.curve.groupby("strength")["score"].mean()
    assert_allclose(robust.line_.get_xydata(), np.column_stack([table.index, table]))
    assert robust.ax_ is axes[0] and "lost" in robust.ax_.get_xlabel()
    slow = LatencyCurveDisplay(pd.DataFrame({"batch_size": [1, 10], "sample_ms": [2.0, 0.5]})).plot(
        axes[1], name="MLP", claim_ms=1
    )
    assert_allclose(slow.line_.get_ydata(), [2.0, 0.5])
    assert len(slow.ax_.get_legend().get_texts()) == 2
    early = EarlinessCurveDisplay.from_estimator(
        KNeighborsClassifierOnSizes().fit(X, y), X, y, packets=[1, 4], ax=axes[2]
    )
    assert_allclose(early.line_.get_ydata(), early.curve["score"])


class KNeighborsClassifierOnSizes(KNeighborsClassifier):
    """Nearest neighbours of sessions."""

    def fit(self, X, y):
        """Fit on sizes."""
        return super().fit(sizes(X), y)

    def predict(self, X):
        """Predict from sizes."""
        return super().predict(sizes(X))


def test_import_does_not_load_matplotlib_or_torch():
    """Only drawing needs matplotlib; nothing here needs torch."""
    code = (
        "import sys, sktraffic.inspection, sktraffic.metrics, sktraffic.model_selection, "
        "sktraffic.over_sampling; "
        "sys.exit(' '.join({'matplotlib.pyplot', 'torch'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
