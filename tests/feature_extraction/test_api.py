"""What scikit-learn asks of every transformer, called directly: the input is no 2-d array."""

import pickle

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as ImbPipeline
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_param_validation,
    check_parameters_default_constructible,
    check_set_params,
    check_valid_tag_types,
)

from sktraffic.feature_extraction import (
    ByteTokens,
    PacketSequences,
    PacketSizeMatrix,
    ProtocolMatrix,
    SessionFeatures,
    SessionStatistics,
)
from sktraffic.sessions import empty_sessions

TRANSFORMERS = [
    SessionStatistics(),
    SessionStatistics("extended"),
    ProtocolMatrix(),
    ProtocolMatrix("learned", normalise="count", protocol_set=True),
    SessionFeatures(features="extended"),
    PacketSequences(5, scale="log"),
    PacketSizeMatrix(20, min_sessions=1),
    ByteTokens(20, tokens="pair", start="ip"),
]

CHECKS = [
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_valid_tag_types,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_get_params_invariance,
    check_set_params,
    check_mixin_order,
    check_do_not_raise_errors_in_init_or_set_params,
    check_param_validation,
]


@pytest.fixture(params=TRANSFORMERS, ids=lambda t: str(t)[:40])
def transformer(request):
    return clone(request.param)


@pytest.fixture
def X(make_sessions, rng):
    return make_sessions(12, rng)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", sorted({type(t) for t in TRANSFORMERS}, key=str))
def test_scikit_learn_checks_that_need_no_array(kind, check):
    """The checks of scikit-learn that do not feed arrays pass."""
    check(kind.__name__, kind())


def test_tags_say_that_arrays_are_refused(transformer):
    """The tags keep scikit-learn from feeding 2-d arrays, which are refused by name."""
    assert not get_tags(transformer).input_tags.two_d_array
    with pytest.raises(TypeError, match=r"session table .* is wanted, got ndarray"):
        transformer.fit(np.zeros((3, 2)))


def test_unfitted_is_refused(transformer, X):
    """Without fit there is no transform and there are no names."""
    with pytest.raises(NotFittedError):
        transformer.transform(X)
    with pytest.raises(NotFittedError):
        transformer.get_feature_names_out()


def test_names_match_columns(transformer, X):
    """One name a column, each once, all of them strings."""
    out = transformer.fit_transform(X)
    names = transformer.get_feature_names_out()
    assert out.shape == (len(X), len(names)) == (len(X), len(set(names)))
    assert all(isinstance(name, str) for name in names)
    assert transformer.n_features_in_ == len(transformer.feature_names_in_)
    assert list(transformer.get_feature_names_out(transformer.feature_names_in_)) == list(names)
    with pytest.raises(ValueError, match="input_features is not equal"):
        transformer.get_feature_names_out(["a"])


def test_fit_again_gives_the_same(transformer, X):
    """Fitting twice, on the same table, changes nothing; neither does a pickle."""
    first = transformer.fit(X).transform(X)
    state = pickle.dumps(transformer)
    np.testing.assert_array_equal(transformer.fit(X).transform(X), first)
    np.testing.assert_array_equal(pickle.loads(state).transform(X), first)
    np.testing.assert_array_equal(clone(transformer).fit_transform(X), first)


def test_nothing_given_is_changed(transformer, X):
    """Neither the table nor the parameters change."""
    before, params = X.copy(deep=True), {k: repr(v) for k, v in transformer.get_params().items()}
    transformer.fit(X).transform(X)
    pd.testing.assert_frame_equal(X, before)
    assert {k: repr(v) for k, v in transformer.get_params().items()} == params


def test_rows_are_independent(transformer, X):
    """A row's features are the same alone, in reversed order, and among other rows."""
    out = transformer.fit(X).transform(X)
    np.testing.assert_allclose(transformer.transform(X.iloc[[3]]), out[[3]], rtol=1e-12)
    np.testing.assert_allclose(transformer.transform(X.iloc[::-1]), out[::-1], rtol=1e-12)


def test_only_its_own_columns_matter(transformer, X):
    """Columns that are not read may be missing, new, or in another order."""
    out = transformer.fit(X).transform(X)
    own = X[list(transformer.feature_names_in_)[::-1]].assign(label="a")
    np.testing.assert_array_equal(transformer.transform(own), out)
    with pytest.raises(ValueError, match=rf"lacks .*{transformer.feature_names_in_[0]}"):
        transformer.transform(X.drop(columns=transformer.feature_names_in_[0]))


def test_empty_table_gives_no_rows(transformer, X):
    """No sessions in, no rows out, with all columns."""
    out = transformer.fit(X).transform(empty_sessions())
    assert out.shape == (0, len(transformer.get_feature_names_out()))


def test_set_output_keeps_the_index(transformer, X):
    """A DataFrame on request: the names as columns, the table's index as index."""
    X.index = pd.Index([f"s{i}" for i in range(len(X))])
    out = transformer.set_output(transform="pandas").fit_transform(X)
    assert list(out.columns) == list(transformer.get_feature_names_out())
    pd.testing.assert_index_equal(out.index, X.index)


def test_object_lists_are_read_too(transformer, X):
    """Columns of plain Python lists give what Arrow's lists give."""
    plain = X.astype({name: object for name in X.columns if name.startswith("packet_")})
    expected = transformer.fit_transform(X)
    np.testing.assert_array_equal(clone(transformer).fit_transform(plain), expected)


@pytest.mark.parametrize("pipeline", [Pipeline, ImbPipeline])
def test_grid_search_over_a_session_table(pipeline, make_sessions, rng):
    """A pipeline with all transformers is searched by cross-validation that slices the table."""
    X = make_sessions(60, rng)
    y = np.where(np.arange(60) % 3 == 0, "rare", "common")
    union = FeatureUnion([(str(i), clone(t)) for i, t in enumerate(TRANSFORMERS)])
    steps = [("features", union), ("scale", StandardScaler())]
    if pipeline is ImbPipeline:
        steps.append(("balance", RandomOverSampler(random_state=0)))
    pipe = pipeline([*steps, ("clf", LogisticRegression(max_iter=2000))])
    grid = {"features__0__size_bins": [32, [100, 1000]], "features__5__n_packets": [2, 4]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert set(search.predict(X.iloc[:5])) <= {"rare", "common"}
    assert "0__packet_count" in search.best_estimator_[0].get_feature_names_out()
