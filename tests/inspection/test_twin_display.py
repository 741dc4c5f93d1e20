"""Scores with and without twins, drawn as they were computed."""

import matplotlib
import numpy as np

from sktraffic.inspection import TwinScoreDisplay
from sktraffic.metrics import twin_scores

matplotlib.use("Agg")


def test_points_are_the_scores():
    """A point a model and side; the title says the share; a side without sessions has no point."""
    rng = np.random.default_rng(0)
    truth, twins = rng.integers(0, 3, 60), np.arange(60) % 4 == 0
    answers = {name: np.where(rng.random(60) < p, truth, 0) for name, p in (("x", 0.9), ("y", 0.4))}
    display = TwinScoreDisplay.from_predictions(truth, answers, twins).plot()
    for side, points in display.points_.items():
        wanted = [
            twin_scores(truth, answer, twins).loc[side, "f1_macro"] for answer in answers.values()
        ]
        assert points.get_offsets()[:, 0].tolist() == wanted
    assert display.ax_.get_title() == "25% of the sessions have a twin in training"
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["x", "y"]
    none = TwinScoreDisplay.from_predictions(truth, answers, np.zeros(60, bool)).plot()
    assert np.isnan(np.ma.filled(none.points_["with twin"].get_offsets()[:, 0], np.nan)).all()
    none.figure_.canvas.draw()
