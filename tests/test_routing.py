"""Groups find their way into an estimator that takes them."""

from sklearn import config_context
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic._routing import group_params


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
