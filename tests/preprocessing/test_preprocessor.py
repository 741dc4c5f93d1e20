"""make_preprocessor: which columns stay, how gaps are filled, agreement with the parts."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from sktraffic.preprocessing import make_preprocessor
from sktraffic.ragged import list_column
from sktraffic.sessions import IDENTITY, LABELS


def arrow(values, type):
    return pd.array(values, dtype=pd.ArrowDtype(type))


@pytest.fixture
def mixed():
    """Every kind of column that a feature table may have, with gaps."""
    return pd.DataFrame(
        {
            "src_ip": ["a", "b", "c", "d", "e"],
            "plain": [1.0, np.nan, 3.0, 4.0, 100.0],
            "rate": [1.0, np.inf, 3.0, -np.inf, 5.0],
            "arrow_int": arrow([1, 2, None, 4, 9], pa.int64()),
            "nullable": pd.array([1, None, 3, 4, 5], dtype="Int64"),
            "empty": np.full(5, np.nan),
            "same": np.full(5, 3.0),
            "flag": arrow([True, None, False, True, True], pa.bool_()),
            "word": arrow(["x", "y", None, "x", "x"], pa.string()),
            "object": np.array(["u", None, "v", "u", "u"], dtype=object),
            "kind": pd.Categorical(["p", "q", "p", None, "q"]),
            "dictionary": arrow(["m", "n", None, "m", "m"], pa.dictionary(pa.int8(), pa.string())),
            "one_word": ["z"] * 5,
            "when": pd.date_range("2025-01-01", periods=5),
            "packet_size": list_column([1, 2, 3, 4, 5], np.arange(6)),
        }
    )


def fit_transform(X, **params):
    return make_preprocessor(**params).set_output(transform="pandas").fit_transform(X)


def test_columns_of_every_kind(mixed):
    """Numbers first, then one column a category; identifiers, constants, lists, times go."""
    out = fit_transform(mixed)
    assert list(out.columns) == [
        "plain",
        "rate",
        "arrow_int",
        "nullable",
        "flag_False",
        "flag_True",
        "word_x",
        "word_y",
        "object_u",
        "object_v",
        "kind_p",
        "kind_q",
        "dictionary_m",
        "dictionary_n",
    ]
    assert np.isfinite(out.to_numpy()).all()


def test_numbers_are_medians_and_z_scores(mixed):
    """A gap, or an infinite number, is the median of the others; then mean 0 and variance 1."""
    out = fit_transform(mixed)
    for name, filled in {
        "plain": [1, 3.5, 3, 4, 100],
        "rate": [1, 3, 3, 3, 5],
        "arrow_int": [1, 2, 3, 4, 9],
        "nullable": [1, 3.5, 3, 4, 5],
    }.items():
        wanted = StandardScaler().fit_transform(np.array(filled, float)[:, None])[:, 0]
        np.testing.assert_allclose(out[name], wanted)


def test_categories_get_the_mode(mixed):
    """A gap takes the most frequent value, in every string-like dtype."""
    out = fit_transform(mixed)
    assert list(out["word_x"]) == [1, 0, 1, 1, 1]
    assert list(out["object_u"]) == [1, 1, 0, 1, 1]
    assert list(out["flag_True"]) == [1, 1, 0, 1, 1]


def test_session_identity_is_no_feature():
    """Of a session table only its facts are left, unless a column is asked for."""
    X = pd.DataFrame({name: np.arange(4) for name in (*IDENTITY, *LABELS)})
    X["packet_count"] = [1, 2, 3, 4]
    assert list(fit_transform(X).columns) == ["packet_count"]
    kept = fit_transform(X.assign(protocol=[6, 17, 6, 6]), categorical=["protocol"])
    assert list(kept.columns) == ["packet_count", "protocol_17", "protocol_6"]


def test_drop_and_its_typos(mixed):
    """A named column goes; one that is not there is an error, not a silence."""
    assert "plain" not in fit_transform(mixed, drop=["plain"]).columns
    with pytest.raises(ValueError, match="no column 'plian'"):
        fit_transform(mixed, drop=["plian"])


def test_unknown_values_and_rare_ones():
    """Rare categories share a column, to which values never seen go."""
    train = pd.DataFrame({"word": list("aaabbbcd"), "n": range(8)})
    test = pd.DataFrame({"word": ["a", "new"], "n": [1, 2]})
    pre = make_preprocessor(max_categories=3).set_output(transform="pandas").fit(train)
    out = pre.transform(test)
    assert list(out.columns) == ["n", "word_a", "word_b", "word_infrequent_sklearn"]
    assert list(out["word_infrequent_sklearn"]) == [0, 1]
    free = make_preprocessor(max_categories=None).set_output(transform="pandas").fit(train)
    assert free.transform(test).loc[1].drop("n").sum() == 0


def test_numbers_as_categories_do_not_depend_on_gaps():
    """6 and 6.0 are one category: a gap elsewhere turns whole numbers into floats."""
    pre = make_preprocessor(categorical=["p"]).set_output(transform="pandas")
    pre.fit(pd.DataFrame({"p": [6, 17, 6]}))
    out = pre.transform(pd.DataFrame({"p": [17.0, np.nan, 6.0]}))
    assert list(out["p_17"]) == [1, 0, 0]
    assert list(out["p_6"]) == [0, 1, 1]


def test_array_is_all_numbers(rng):
    """An array without gaps and constants is just standardised."""
    X = rng.normal(size=(30, 4))
    X[:, 2] = 1
    wanted = StandardScaler().fit_transform(X)[:, [0, 1, 3]]
    np.testing.assert_allclose(make_preprocessor().fit_transform(X), wanted)


def test_nothing_of_the_test_rows_is_learned(mixed):
    """Transforming one row gives what it got among the others."""
    pre = make_preprocessor().fit(mixed)
    np.testing.assert_allclose(pre.transform(mixed.iloc[[1]]), pre.transform(mixed)[[1]])


def test_clones_pickles_and_cross_validates(mixed, rng):
    """It lives in a pipeline like scikit-learn's own parts."""
    pre = make_preprocessor(drop=["plain"])
    copy = pickle.loads(pickle.dumps(clone(pre).fit(mixed)))
    np.testing.assert_array_equal(copy.transform(mixed), pre.fit(mixed).transform(mixed))
    X = mixed.loc[rng.integers(0, 5, 60)].reset_index(drop=True)
    scores = cross_val_score(make_pipeline(pre, LogisticRegression()), X, X["object"] == "v", cv=3)
    assert scores.min() == 1.0


def test_nothing_that_varies():
    """Only constants: scikit-learn's own error."""
    with pytest.raises(ValueError, match="variance threshold"):
        make_preprocessor().fit(pd.DataFrame({"a": [1.0, 1.0]}))


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_polars_and_arrow_tables(mixed, output):
    """The columns of a polars frame, or of an Arrow table, as of the same pandas frame."""
    kept = mixed.drop(columns=["packet_size"]).astype({"object": "str"})
    frame = pl.from_pandas(kept).with_columns(
        pl.col("word").cast(pl.Enum(["x", "y"])).alias("enum")
    )
    wanted = make_preprocessor().set_output(transform="pandas").fit(kept.assign(enum=kept["word"]))
    values = wanted.transform(kept.assign(enum=kept["word"]))
    # scikit-learn selects an Arrow table's columns from 1.7 on
    arrow = [frame.to_arrow()] if parse_version(sklearn.__version__) >= parse_version("1.7") else []
    for table in (frame, *arrow):
        own = make_preprocessor().set_output(transform=output).fit(table)
        assert list(own.get_feature_names_out()) == list(values.columns)
        np.testing.assert_allclose(np.asarray(own.transform(table)), values)
        assert list(own.transform(frame[:2]).shape) == [2, values.shape[1]]


def test_polars_words_never_seen_and_gaps(mixed):
    """Transforming a polars frame fills gaps with what pandas taught, and the other way round."""
    train = pd.DataFrame({"word": ["a", "a", "b", None], "n": [1.0, 2.0, 3.0, 4.0]})
    test = pd.DataFrame({"word": [None, "b"], "n": [np.nan, 2.0]})
    taught = make_preprocessor().fit(train)
    np.testing.assert_allclose(taught.transform(pl.from_pandas(test)), taught.transform(test))
    np.testing.assert_allclose(
        make_preprocessor().fit(pl.from_pandas(train)).transform(test), taught.transform(test)
    )
    with pytest.raises(ValueError, match="no column 'nn'"):
        make_preprocessor(drop=["nn"]).fit(pl.from_pandas(train))
