"""ForestSelector: agreement with scikit-learn's forests, planted and shuffled features."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktraffic.cluster import ElbowKMeans
from sktraffic.feature_selection import ForestSelector
from sktraffic.feature_selection._forest import (
    _log_likelihood,
    normalised,
    split_rows,
    top_features,
)


@parametrize_with_checks(
    [
        ForestSelector(n_estimators=3, random_state=0),
        ForestSelector(clusterer=KMeans(2, n_init=1), n_estimators=3, random_state=0),
        ForestSelector(importance="permutation", n_estimators=3, n_repeats=1, random_state=0),
    ]
)
def test_scikit_learn_checks(estimator, check):
    """Every check of scikit-learn's own list, for y, pseudo-labels and permutation."""
    check(estimator)


@pytest.fixture(scope="module")
def planted():
    """Three classes; `mark_k` gives class k away, `mixed_k` is the same column shuffled."""
    rng = np.random.default_rng(0)
    y = rng.choice(["chat", "voice", "file"], 600)
    columns = {}
    for name in ("chat", "file", "voice"):
        columns[f"mark_{name}"] = (y == name) * 4.0 + rng.normal(size=600)
    for name in ("chat", "file", "voice"):
        columns[f"mixed_{name}"] = rng.permutation(columns[f"mark_{name}"])
    return pd.DataFrame(columns), y


@pytest.mark.parametrize("importance", ["gini", "permutation"])
def test_planted_is_found_shuffled_is_not(planted, importance):
    """The best feature of each class is its own mark, and no shuffled one beats any mark."""
    X, y = planted
    selector = ForestSelector(1, importance=importance, n_estimators=30, random_state=0).fit(X, y)
    best = X.columns[selector.class_importances_.argmax(axis=1)]
    assert selector.classes_.tolist() == ["chat", "file", "voice"]
    assert best.tolist() == ["mark_chat", "mark_file", "mark_voice"]
    assert list(selector.get_feature_names_out()) == ["mark_chat", "mark_file", "mark_voice"]
    overall = pd.Series(selector.feature_importances_, X.columns)
    assert overall[:3].min() > 3 * overall[3:].max()


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_gini_scores_are_those_of_the_forest(class_weight):
    """Overall and per class, the scores equal RandomForestClassifier's for the same seed."""
    X, y = load_iris(return_X_y=True)
    selector = ForestSelector(random_state=7, class_weight=class_weight, n_estimators=40).fit(X, y)
    forest = RandomForestClassifier(40, max_depth=5, random_state=7, class_weight=class_weight)
    np.testing.assert_allclose(selector.feature_importances_, forest.fit(X, y).feature_importances_)
    for k in range(3):
        np.testing.assert_allclose(
            selector.class_importances_[k], forest.fit(X, y == k).feature_importances_
        )
    np.testing.assert_allclose(selector.class_importances_.sum(axis=1), 1.0)
    assert selector.feature_importances_.sum() == pytest.approx(1.0)


def test_permutation_scores_are_those_of_scikit_learn():
    """Clipped and scaled, they are permutation_importance on the held-out rows."""
    X, y = load_iris(return_X_y=True)
    selector = ForestSelector(importance="permutation", n_estimators=20, random_state=1).fit(X, y)
    grow, shuffle = split_rows(y, 0.25, 1)
    forest = RandomForestClassifier(20, max_depth=5, random_state=1).fit(X[grow], y[grow])
    wanted = permutation_importance(
        forest, X[shuffle], y[shuffle], scoring=_log_likelihood, n_repeats=5, random_state=1
    ).importances_mean
    np.testing.assert_allclose(selector.feature_importances_, normalised(wanted))


def test_gini_favours_many_values_and_permutation_does_not():
    """A pure-noise column of many values outscores a pure-noise coin only by Gini."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    signal = y + rng.normal(scale=2.0, size=400)
    X = np.column_stack([signal, rng.normal(size=400), rng.integers(0, 2, 400)])
    forests = {"n_estimators": 30, "random_state": 0}
    gini = ForestSelector(**forests).fit(X, y).feature_importances_
    fair = ForestSelector(importance="permutation", **forests).fit(X, y).feature_importances_
    assert gini[1] > 4 * gini[2]
    assert fair[1] < gini[1] / 2


def test_pseudo_labels_of_a_clusterer(planted):
    """With a clusterer the scores are those for its clusters, and y plays no part."""
    X, y = planted
    clusterer = KMeans(3, n_init=1, random_state=0)
    selector = ForestSelector(clusterer=clusterer, random_state=0, n_estimators=20)
    first = selector.fit(X, y).class_importances_
    labels = clone(clusterer).fit_predict(X)
    wanted = ForestSelector(random_state=0, n_estimators=20).fit(X, labels).class_importances_
    np.testing.assert_allclose(first, wanted)
    np.testing.assert_allclose(first, clone(selector).fit(X).class_importances_)
    assert list(selector.clusterer_.feature_names_in_) == list(X.columns)
    assert not hasattr(clusterer, "labels_")


def test_elbow_k_means_as_the_target(planted):
    """The paper's chain: cluster by the elbow, then ask which features make the clusters."""
    X, _ = planted
    X = X.assign(split=np.repeat([0.0, 40.0], 300))
    chain = ForestSelector(1, clusterer=ElbowKMeans(n_init=2, random_state=0), random_state=0)
    assert list(chain.fit(X).get_feature_names_out()) == ["split"]


def test_top_features_by_hand():
    """The two largest a row; zeros are never chosen, the first of equals is."""
    scores = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.2, 0.4, 0.4]])
    np.testing.assert_array_equal(top_features(scores, 2), [[1, 1, 0], [1, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(top_features(scores, 9), scores > 0)
    np.testing.assert_array_equal(top_features(np.full((1, 3), 1 / 3), 1), [[1, 0, 0]])


def test_scores_that_are_not_positive():
    """Negative permutation scores count as 0; nothing at all stays 0 and is no nan."""
    np.testing.assert_allclose(normalised([3.0, -1.0, 1.0]), [0.75, 0, 0.25])
    np.testing.assert_allclose(normalised([-1.0, 0.0]), [0, 0])


def test_union_over_classes(planted):
    """What is selected is the union of what the classes keep."""
    X, y = planted
    selector = ForestSelector(2, n_estimators=20, random_state=0).fit(X, y)
    assert (selector.class_support_.sum(axis=1) == 2).all()
    np.testing.assert_array_equal(selector.get_support(), selector.class_support_.any(axis=0))


def test_in_pipeline_and_grid_search(planted):
    """Names pass through set_output, and top_k is searched over."""
    X, y = planted
    pipe = Pipeline(
        [
            ("scale", StandardScaler()),
            ("select", ForestSelector(n_estimators=10, random_state=0)),
            ("clf", LogisticRegression()),
        ]
    ).set_output(transform="pandas")
    search = GridSearchCV(pipe, {"select__top_k": [1, 2], "select__max_depth": [2]}, cv=2)
    search.fit(X, y)
    assert search.best_estimator_.score(X, y) > 0.8
    kept = search.best_estimator_[:-1].transform(X)
    assert {"mark_chat", "mark_file", "mark_voice"} <= set(kept.columns)
    assert list(search.best_estimator_["clf"].feature_names_in_) == list(kept.columns)


def test_missing_values_and_a_class_of_one(planted):
    """NaN features and a class with a single row pass, by either importance."""
    X, y = planted
    X, y = X.copy(), y.astype(object)
    X.iloc[::7, 3] = np.nan
    y[0] = "lonely"
    for importance in ("gini", "permutation"):
        selector = ForestSelector(importance=importance, n_estimators=10, random_state=0)
        assert list(selector.fit(X, y).classes_) == ["chat", "file", "lonely", "voice"]
        assert np.isfinite(selector.class_importances_).all()
        assert np.isnan(selector.transform(X)).any() == selector.get_support()[3]


def test_errors_say_what_is_missing():
    """No y, one class, one cluster: each is named."""
    X, _ = make_classification(40, random_state=0)
    with pytest.raises(ValueError, match="Pass the classes, or a clusterer"):
        ForestSelector().fit(X)
    with pytest.raises(ValueError, match="1 class"):
        ForestSelector().fit(X, np.zeros(40))
    with pytest.raises(ValueError, match="pseudo-labels of KMeans"):
        ForestSelector(clusterer=KMeans(1)).fit(X)


def test_seeds():
    """An int repeats itself, and the global random state is left alone."""
    X, y = make_classification(80, random_state=0)
    before = np.random.get_state()[1].copy()
    first = ForestSelector(n_estimators=3, random_state=0).fit(X, y).feature_importances_
    again = ForestSelector(n_estimators=3, random_state=0).fit(X, y).feature_importances_
    np.testing.assert_array_equal(first, again)
    generator = np.random.RandomState(0)
    drawn = ForestSelector(n_estimators=3, random_state=generator).fit(X, y).feature_importances_
    assert not np.array_equal(first, drawn)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_validation_fraction_is_what_permutation_holds_out(monkeypatch):
    """Of 100 rows of two classes a fifth are shuffled, whichever they are."""
    shuffled = []

    def spy(forest, X, y, **options):
        shuffled.append(len(X))
        return permutation_importance(forest, X, y, **options)

    monkeypatch.setattr("sktraffic.feature_selection._forest.permutation_importance", spy)
    X, y = make_classification(100, 4, random_state=0)
    for fraction in (0.2, 0.5):
        ForestSelector(
            importance="permutation", validation_fraction=fraction, n_estimators=3, n_repeats=1
        ).fit(X, y)
    assert set(shuffled) == {20, 50}
