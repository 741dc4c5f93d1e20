"""shortcut_report finds a planted shortcut and clears clean traffic."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from sktraffic.inspection import ShortcutDisplay, shortcut_report
from sktraffic.inspection._shortcut_parts import (
    LookupClassifier,
    permute_labels,
    scramble_first_sizes,
    shuffle_columns,
)
from sktraffic.ragged import ragged, segment_sum


def honest_features(X):
    """Mean packet size and duration."""
    size, offsets = ragged(X["packet_size"])
    mean = segment_sum(size, offsets) / np.diff(offsets)
    return np.column_stack([mean, X["duration"].to_numpy(dtype=float)])


def greedy_features(X):
    """Read the last byte of both addresses, too."""
    ends = [
        [int(address.rpartition(".")[2]) for address in X[name]] for name in ("src_ip", "dst_ip")
    ]
    return np.column_stack([honest_features(X), *ends])


def model(features):
    tree = DecisionTreeClassifier(min_samples_leaf=5, random_state=0)
    return make_pipeline(FunctionTransformer(features), tree)


def test_clean_traffic_is_cleared(make_traffic):
    """Classes that differ in size, hosts that do not: nothing found, though addresses are read."""
    X, y = make_traffic(n_captures=15)
    report = shortcut_report(model(greedy_features), X, y, cv=5, random_state=0)
    assert report.clean, str(report)
    assert "no shortcut found" in str(report)
    table = report.table["capture_split"]
    assert table["as given"] > 0.7
    assert table["labels permuted"] < 0.5
    assert table["addresses look-up"] < 0.5
    assert table["most frequent class"] == pytest.approx(1 / 3, abs=0.02)


def test_planted_addresses_are_found(make_traffic):
    """Each class has its server: the estimator leans on it, and a table of addresses suffices."""
    X, y = make_traffic(n_captures=15, shift=20)
    X["dst_ip"] = pd.Series(y).map({"chat": "192.0.2.1", "mail": "192.0.2.2", "voip": "192.0.2.3"})
    report = shortcut_report(model(greedy_features), X, y, cv=5, random_state=0)
    assert {"addresses", "addresses look-up"} <= set(report.shortcuts)
    assert not {"ports", "time"} & set(report.shortcuts)
    table = report.table["capture_split"]
    assert table["as given"] > 0.95
    assert table["without addresses"] < 0.75
    assert table["addresses look-up"] == 1.0


def test_addresses_that_are_there_but_not_read(make_traffic):
    """An estimator that reads sizes only loses nothing; the table of addresses still warns."""
    X, y = make_traffic(n_captures=15, shift=20)
    X["dst_ip"] = "192.0.2." + pd.Series(y).map({"chat": "1", "mail": "2", "voip": "3"})
    report = shortcut_report(model(honest_features), X, y, cv=5, random_state=0)
    assert "addresses look-up" in report.shortcuts
    assert "addresses" not in report.shortcuts
    assert_allclose(
        report.table.loc["without addresses", "capture_split"],
        report.table.loc["as given", "capture_split"],
    )


def test_random_split_of_recognisable_captures(make_traffic):
    """One host a capture: random rows score the host, and permuted labels show it."""
    X, y = make_traffic(n_captures=30, per_capture=6, shift=0)
    number = X["capture"].str[1:].astype(int)
    X["src_ip"] = ("10.0.0." + number.astype(str)).to_numpy()
    X["dst_ip"] = "192.0.2.1"
    report = shortcut_report(model(greedy_features), X, y, cv=5, random_state=0)
    assert {"random split", "permuted labels, random split"} <= set(report.shortcuts)
    assert "permuted labels, capture split" not in report.shortcuts
    row = report.table.loc["as given"]
    assert row["random_split"] > row["capture_split"] + 0.3


def test_rows_agree_with_cross_validation(make_traffic):
    """The row "as given" is scikit-learn's cross_val_score."""
    X, y = make_traffic()
    pipe = model(honest_features)
    cv = StratifiedKFold(3, shuffle=True, random_state=1)
    report = shortcut_report(pipe, X, y, cv=cv, scoring="f1_macro", random_state=0)
    want = cross_val_score(pipe, X, y, cv=cv, scoring="f1_macro")
    row = report.table.loc["as given"]
    assert_allclose([row["capture_split"], row["capture_std"]], [want.mean(), want.std()])


def test_feature_table():
    """Plain arrays get the rows that need no columns of a session table."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = rng.normal(size=(120, 3)) + y[:, None]
    report = shortcut_report(
        DecisionTreeClassifier(max_depth=3, random_state=0), X, y, random_state=0
    )
    assert report.table.index.tolist() == [
        "as given",
        "labels permuted",
        "1-nearest neighbour",
        "most frequent class",
    ]
    assert report.clean
    frame = pd.DataFrame(X, columns=list("abc")).assign(host=y)
    report = shortcut_report(
        DecisionTreeClassifier(max_depth=3, random_state=0), frame, y, columns={"hosts": ["host"]}
    )
    assert "hosts" in report.shortcuts


def test_shuffled_columns_keep_values_and_lose_the_label():
    """Same values, moved together; the other columns and the index stay."""
    X = pd.DataFrame({"a": np.arange(50), "b": np.arange(50) * 2, "c": np.arange(50)})
    X.index += 7
    out = shuffle_columns(X, ["a", "b", "absent"], np.random.RandomState(0))
    assert_array_equal(out["b"], 2 * out["a"])
    assert sorted(out["a"]) == sorted(X["a"])
    assert (out["a"] != X["a"]).any()
    pd.testing.assert_series_equal(out["c"], X["c"])


def test_scrambled_first_sizes(make_traffic):
    """Place by place the same sizes over all sessions; later packets stay; bytes follow."""
    X, _ = make_traffic()
    out = scramble_first_sizes(X, 3, np.random.RandomState(0))
    size, offsets = ragged(X["packet_size"])
    new, same = ragged(out["packet_size"])
    assert_array_equal(offsets, same)
    first = offsets[:-1]
    for place in range(3):
        assert sorted(new[first + place]) == sorted(size[first + place])
        assert (new[first + place] != size[first + place]).any()
    later = np.ones(len(size), bool)
    later[(first[:, None] + np.arange(3)).ravel()] = False
    assert_array_equal(new[later], size[later])
    assert_array_equal(out["total_bytes"], segment_sum(new, offsets))


def test_permuted_labels():
    """Whole captures change labels where each has one; else rows do."""
    groups = np.repeat(np.arange(8), 5)
    y, by_capture = permute_labels(groups % 2, groups, np.random.RandomState(0))
    assert by_capture
    assert all(len(set(y[groups == g])) == 1 for g in range(8))
    assert y.sum() == 20
    _, by_capture = permute_labels(np.arange(40) % 2, groups, np.random.RandomState(0))
    assert not by_capture


def test_look_up_by_hand():
    """A known pair, a new pair of known parts, and something altogether new."""
    X = pd.DataFrame({"a": ["x", "x", "y", None], "b": ["p", "q", "q", "r"]})
    table = LookupClassifier(["a", "b"]).fit(X, ["web", "mail", "mail", "chat"])
    new = pd.DataFrame({"a": ["x", "y", "z", None], "b": ["p", "p", "z", "r"]})
    probability = table.predict_proba(new)
    assert table.classes_.tolist() == ["chat", "mail", "web"]
    assert_allclose(probability, [[0, 0, 1], [0, 0.5, 0.5], [0.25, 0.5, 0.25], [1, 0, 0]])
    assert table.predict(new).tolist()[0] == "web"


def test_display_shows_the_table(make_traffic):
    """A bar for every row and split, as long as its score; what was found is in the title."""
    X, y = make_traffic(shift=20)
    X["dst_ip"] = "192.0.2." + pd.Series(y).map({"chat": "1", "mail": "2", "voip": "3"})
    display = ShortcutDisplay.from_estimator(model(honest_features), X, y, cv=4, random_state=0)
    for bars, split in zip(display.bars_, ("capture_split", "random_split"), strict=True):
        assert_allclose([bar.get_width() for bar in bars], display.report.table[split])
    assert "found" in display.figure_.get_suptitle()
    assert len(display.ax_.get_yticklabels()) == len(display.report.table)
