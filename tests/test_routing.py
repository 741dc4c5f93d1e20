"""Groups find their way into an estimator that takes them."""

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic._routing import cut_fit_params, group_params


class Grouped(RandomForestClassifier):
    """Takes groups as the networks do."""

    def fit(self, X, y, groups=None):  # noqa: D102
        return super().fit(X, y)


def test_an_estimator_that_takes_groups_gets_them():
    """Alone, and as the last step of a Pipeline; others are left alone."""
    assert group_params(Grouped(), "g") == {"groups": "g"}
    assert group_params(make_pipeline(StandardScaler(), Grouped()), "g") == {"grouped__groups": "g"}
    assert group_params(RandomForestClassifier(), "g") == {}
    assert group_params(make_pipeline(StandardScaler(), "passthrough"), "g") == {}


def test_with_routing_enabled_requests_decide():
    """Only what was asked for is passed."""
    with config_context(enable_metadata_routing=True):
        asks, does_not = (Grouped().set_fit_request(groups=asked) for asked in (True, False))
        assert group_params(make_pipeline(StandardScaler(), asks), "g") == {"groups": "g"}
        assert group_params(does_not, "g") == {}


def test_pipelines_in_pipelines():
    """The name of every step on the way."""
    outer = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Grouped()))
    assert group_params(outer, "g") == {"pipeline__grouped__groups": "g"}


def test_only_what_has_a_value_a_row_is_cut():
    """Arrays, series, lists and sparse rows are; settings stay."""
    rows = np.array([0, 2])
    params = {
        "array": np.arange(3),
        "series": pd.Series([4, 5, 6], index=[9, 8, 7]),
        "list": [1, 2, 3],
        "sparse": sparse.eye(3, format="csr"),
        "text": "abc",
        "mapping": {1: 1, 2: 2, 3: 3},
        "other": np.arange(4),
        "number": 3,
        "nothing": None,
    }
    got = cut_fit_params(params, 3, rows)
    assert got.keys() == params.keys()
    for name in ("array", "series", "list"):
        assert_array_equal(got[name], np.asarray(params[name])[rows])
    assert got["sparse"].shape == (2, 3)
    for name in ("text", "mapping", "other", "number", "nothing"):
        assert got[name] is params[name]
