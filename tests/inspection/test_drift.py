"""Drift curves: known answers, time in order, and a drawing that matches."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktraffic.inspection import DriftCurveDisplay, drift_curve


def sessions(n=200):
    """Make a session an hour; what tells the classes apart wears off over the days."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    place = np.arange(n) / n
    x = np.where(rng.random(n) < np.clip(1.5 - place, 0.5, 1), y, 1 - y)
    start = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(3600 * np.arange(n), unit="s")
    X = pd.DataFrame({"start": start, "duration": 60.0, "x": x})
    shuffled = rng.permutation(n)
    return X.iloc[shuffled].reset_index(drop=True), y[shuffled]


def on_x(model):
    return make_pipeline(FunctionTransformer(lambda X: X[["x"]].to_numpy(float)), model)


def test_the_curve_is_plain_scoring_of_later_blocks():
    """Train on the first half in time, score each later fifth: by hand."""
    X, y = sessions()
    curve = drift_curve(on_x(LogisticRegression()), X, y, n_blocks=5)
    order = np.argsort(X["start"].to_numpy())
    model = on_x(LogisticRegression()).fit(X.iloc[order[:100]], y[order[:100]])
    blocks = np.split(order[100:], 5)
    assert_allclose(curve["score"], [model.score(X.iloc[rows], y[rows]) for rows in blocks])
    assert curve["sessions"].tolist() == [20] * 5
    # the last training session began in hour 99, the first block lies in hours 100 to 119
    assert_allclose(curve["after"], 3600 * (np.arange(100, 200).reshape(5, 20).mean(axis=1) - 99))
    assert curve["score"].iloc[0] > curve["score"].iloc[-1]


def test_a_gap_moves_the_end_of_training():
    """Ten hours of silence leave ten sessions out."""
    X, y = sessions()
    near, far = (
        drift_curve(on_x(KNeighborsClassifier(1)), X, y, n_blocks=1, gap=gap)["after"].iloc[0]
        for gap in (0.0, 36_000.0)
    )
    assert far - near == 36_000


def test_classes_that_came_later_are_counted():
    """A class that the training side lacks is unseen, and scored wrong."""
    y = np.array(["a"] * 50 + ["b"] * 50)
    curve = drift_curve(KNeighborsClassifier(1), np.arange(100)[:, None], y, n_blocks=2)
    assert curve["unseen"].tolist() == [1, 1]
    assert curve["score"].tolist() == [0, 0]


def test_repeats_have_seeds_of_their_own():
    """Three seeds, three curves, the same as fits with these seeds."""
    X, y = sessions()
    forest = on_x(RandomForestClassifier(3, random_state=9))
    curve = drift_curve(forest, X, y, n_blocks=2, n_repeats=3)
    one = drift_curve(forest.set_params(randomforestclassifier__random_state=2), X, y, n_blocks=2)
    assert curve.loc[curve["repeat"] == 2, "score"].tolist() == one["score"].tolist()
    with pytest.raises(ValueError, match="no random_state"):
        drift_curve(on_x(KNeighborsClassifier()), X, y, n_repeats=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"train_share": 1.0}, "train_share"), ({"n_blocks": 0}, "n_blocks"), ({"gap": 1e9}, "empty")],
)
def test_errors_name_the_parameter(change, words):
    """Shares and gaps that leave nothing."""
    X, y = sessions()
    with pytest.raises(ValueError, match=words):
        drift_curve(on_x(KNeighborsClassifier()), X, y, **change)


def test_the_drawing_matches_the_curve():
    """Days on the axis, the mean over repeats as the line."""
    curve = pd.DataFrame(
        {
            "block": [0, 1, 0, 1],
            "after": [3600.0, 7200.0, 3600.0, 7200.0],
            "score": [1.0, 0.5, 0.8, 0.7],
        }
    )
    display = DriftCurveDisplay(curve).plot(name="model")
    assert_allclose(display.line_.get_xdata(), [1, 2])
    assert_allclose(display.line_.get_ydata(), [0.9, 0.6])
    assert display.ax_.get_xlabel().startswith("hours")
    X, y = sessions()
    drawn = DriftCurveDisplay.from_estimator(on_x(KNeighborsClassifier(1)), X, y, n_blocks=3)
    assert len(drawn.line_.get_xdata()) == 3
