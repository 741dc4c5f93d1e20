"""check_split and drop_duplicate_sessions find what was planted, and nothing else."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sktraffic.model_selection import LeakError, check_split, drop_duplicate_sessions
from sktraffic.model_selection._fingerprints import content_keys, five_tuple_keys, session_keys
from sktraffic.ragged import list_column, ragged
from sktraffic.sessions import from_arrow, to_arrow

KINDS = ["sessions", "five_tuples", "captures", "duplicates"]


def arrow(X):
    return from_arrow(to_arrow(X))


def plain(X):
    return X


@pytest.fixture(params=[plain, arrow])
def sides(make_sessions, request):
    """Two clean sides of a split, with NumPy and with Arrow columns."""
    train = make_sessions(captures=["a", "b"], seed=1)
    test = make_sessions(captures=["c", "d"], seed=2)
    return request.param(train), request.param(test)


def test_clean(sides):
    """Different captures, hosts and packets: nothing to report, nothing raised."""
    report = check_split(*sides, raise_on_leak=True)
    assert report.index.tolist() == KINDS
    assert (report["shared"] == 0).all()


def plant(kind, train, test):
    """Give three test rows one thing of a training row, and nothing else."""
    test = test.copy()
    rows = test.index[[2, 5, 7]]
    if kind == "captures":
        test.loc[rows, "capture"] = train["capture"].iloc[0]
        test.loc[rows, "session"] = [90, 91, 92]
    elif kind == "five_tuples":
        for name in ("src_ip", "dst_ip", "src_port", "dst_port", "protocol"):
            test.loc[rows, name] = train[name].iloc[4]
    elif kind == "sessions":
        for name in ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "start"):
            test.loc[rows, name] = train[name].iloc[[0, 4, 6]].to_numpy()
    else:
        positions = np.arange(len(test))
        for name in ("packet_time", "packet_size", "packet_direction"):
            values, offsets = ragged(train[name])
            mine, own = ragged(test[name])
            parts = [mine[a:b] for a, b in pairwise(own)]
            for position in positions[[2, 5, 7]]:
                parts[position] = values[offsets[0] : offsets[1]]
            bounds = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
            test[name] = list_column(np.concatenate(parts), bounds)
    return test


@pytest.mark.parametrize("kind", KINDS)
def test_planted_leak_is_found(sides, kind):
    """Each kind, planted alone in three test rows, is counted there and raised on demand."""
    train, test = sides
    planted = plant(kind, train, test)
    report = check_split(train, planted)
    assert report.loc[kind, "test_rows"] == 3
    assert report.loc[kind, "test_share"] == pytest.approx(3 / len(test))
    assert report.loc[kind, "shared"] == (3 if kind == "sessions" else 1)
    assert report.loc[kind, "example"]
    # the same session implies the same five-tuple; else only the planted kind shows
    others = set(KINDS) - {kind} - ({"five_tuples"} if kind == "sessions" else set())
    assert (report.loc[list(others), "shared"] == 0).all()
    with pytest.raises(LeakError, match=kind.replace("_", "-")) as caught:
        check_split(train, planted, kinds=[kind], raise_on_leak=True)
    assert caught.value.report.loc[kind, "test_rows"] == 3


def test_kinds_can_be_chosen(sides):
    """A split inside captures shares them by intention: leave that kind out."""
    train, test = sides
    planted = plant("captures", train, test)
    report = check_split(
        train, planted, kinds=["sessions", "five_tuples", "duplicates"], raise_on_leak=True
    )
    assert "captures" not in report.index


def test_direction_and_copies_do_not_hide_a_session(sides):
    """The other direction's first packet makes it no other session, nor does another file name."""
    train, test = sides
    test = plant("sessions", train, test)
    swapped = test.rename(
        columns={
            "src_ip": "dst_ip",
            "dst_ip": "src_ip",
            "src_port": "dst_port",
            "dst_port": "src_port",
        }
    )
    assert check_split(train, swapped).loc["sessions", "test_rows"] == 3


def test_feature_tables_show_duplicates_and_groups():
    """Plain arrays: equal rows, and captures when groups are given."""
    train, test = np.array([[0.0, 1], [2, 3]]), np.array([[2.0, 3], [-0.0, 1], [5, 5]])
    report = check_split(train, test, groups_train=["a", "b"], groups_test=["c", "c", "a"])
    assert report.index.tolist() == ["captures", "duplicates"]
    assert report["test_rows"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="sessions cannot be told"):
        check_split(train, test, kinds=["sessions"])


def test_lone_packets_are_no_duplicates(make_sessions):
    """Sessions of one packet look alike by nature and are not called copies."""
    X = make_sessions(captures=["a"], per_capture=4)
    for name, value in (("packet_time", 0.0), ("packet_size", 60), ("packet_direction", 1)):
        X[name] = list_column(np.full(4, value), np.arange(5))
    assert check_split(X[:2], X[2:]).loc["duplicates", "shared"] == 0
    assert len(drop_duplicate_sessions(X, on="packets")) == 4


def test_missing_addresses_match_nothing(sides):
    """Sessions without addresses are not all one five-tuple."""
    train, test = (side.assign(src_ip=None) for side in sides)
    assert check_split(train, test).loc["five_tuples", "shared"] == 0


def test_fingerprints_do_not_depend_on_the_column_type(make_sessions):
    """NumPy, Arrow and another slice give the same fingerprints."""
    X = make_sessions()
    for make in (five_tuple_keys, session_keys, content_keys):
        assert_array_equal(make(X)[0], make(arrow(X))[0])
        assert_array_equal(make(X)[0][5:9], make(arrow(X).iloc[5:9])[0])
        assert len(np.unique(make(X)[0])) == len(X)


def test_order_of_packets_counts():
    """The same sizes in another order are another session."""
    X = pd.DataFrame(
        {
            "packet_size": list_column([60, 90, 90, 60], [0, 2, 4]),
            "packet_direction": list_column([1, 1, 1, 1], [0, 2, 4]),
        }
    )
    keys, known = content_keys(X)
    assert keys[0] != keys[1]
    assert known.all()


def test_drop_duplicates(sides):
    """Copies in another file go, with their labels; everything else stays in order."""
    train, _ = sides
    copy = train.iloc[[3, 4]].assign(capture="copy of a")
    X = pd.concat([train, copy], ignore_index=True)
    y = np.arange(len(X))
    kept, labels = drop_duplicate_sessions(X, y)
    assert_array_equal(labels, np.arange(len(train)))
    assert kept["capture"].tolist() == train["capture"].tolist()
    none, labels = drop_duplicate_sessions(X, y, keep="none")
    assert_array_equal(labels, np.setdiff1d(np.arange(len(train)), [3, 4]))
    assert check_split(X[: len(train)], X[len(train) :]).loc["sessions", "test_rows"] == 2
    assert len(none) == len(train) - 2


def test_drop_duplicate_rows():
    """Feature tables: equal rows, as pandas sees them."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.integers(0, 4, 60), "b": rng.choice(["x", "y"], 60)})
    got = drop_duplicate_sessions(X)
    pd.testing.assert_frame_equal(got, X.drop_duplicates())


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [({"on": "files"}, "on is 'files'"), ({"on": "session"}, "lacks"), ({"keep": 2}, "keep is 2")],
)
def test_drop_errors(kwargs, match):
    """A wrong option is named with its choices."""
    with pytest.raises(ValueError, match=match):
        drop_duplicate_sessions(np.zeros((3, 2)), **kwargs)


def test_leak_error_pickles():
    """The error crosses process borders with its report, as parallel jobs need."""
    with pytest.raises(LeakError) as caught:
        check_split(np.eye(2), np.eye(2), raise_on_leak=True)
    again = pickle.loads(pickle.dumps(caught.value))
    pd.testing.assert_frame_equal(again.report, caught.value.report)
