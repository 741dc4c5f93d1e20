"""Pipelines by name: what the baseline of nearest neighbours measures, and names that are none."""

import numpy as np
import pandas as pd
import pytest

from sktraffic.cli._choices import Model
from sktraffic.model_selection import has_twin
from sktraffic.pipeline import make_estimator
from sktraffic.ragged import list_column


def table(sessions):
    """Session table of lists of (signed size, time)."""
    offsets = np.cumsum([0, *map(len, sessions)])
    signed, time = (np.array([p[i] for s in sessions for p in s], dtype=float) for i in (0, 1))
    columns = {
        "packet_size": list_column(np.abs(signed), offsets),
        "packet_direction": list_column(np.sign(signed).astype(np.int8), offsets),
        "packet_time": list_column(time, offsets),
    }
    return pd.DataFrame(columns)


def test_a_second_is_as_far_as_ten_bytes():
    """City-block distance over sizes, directions and intervals, by hand."""
    train = table([[(60, 0), (-500, 0)], [(60, 0), (500, 0)], [(60, 0), (-500, 3)]])
    knn = make_estimator("knn").set_params(clf__n_neighbors=3).fit(train, ["a", "b", "c"])
    features = knn[0].transform(table([[(61, 0), (-500, 1)]]))
    distance, number = knn[-1].kneighbors(features)
    assert distance.tolist() == [[11, 21, 1011]]  # one byte and 1 s, 1 byte and 2 s, another way
    assert number.tolist() == [[0, 2, 1]]


def test_a_twin_with_equal_times_decides():
    """A session that was there before gets the label that it had, whatever is near it."""
    sessions = [[(60, 0), (-90, 0)], [(60, 0), (-91, 0)], [(60, 0), (-92, 0)]]
    knn = make_estimator("knn").fit(table(sessions), ["a", "b", "b"])
    assert has_twin(table(sessions), table(sessions[:1])).all()
    assert knn.predict(table(sessions[:1])).tolist() == ["a"]
    assert knn[0].get_feature_names_out()[0] == "packet_0_signed_size"


def test_the_command_line_knows_the_names():
    """Every name makes an estimator; what is no name is refused."""
    assert make_estimator("knn")[-1].metric == "manhattan"
    assert {"forest", "knn"} <= {model.value for model in Model}
    with pytest.raises(ValueError, match="one of forest, knn"):
        make_estimator("nearest")
