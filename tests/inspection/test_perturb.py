"""Perturbations of the session table: what must not change does not, what must does."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sktraffic.inspection import delay_packets, drop_packets, pad_packets, reorder_packets
from sktraffic.ragged import list_column, ragged, segment_sum
from sktraffic.sessions import PACKET_COLUMNS, first_packets

LISTS = ["packet_time", "packet_size", "packet_direction", "packet_payload_size"]


def lists(X, name):
    return [list(x) if x is not None else None for x in X[name]]


@pytest.mark.parametrize(
    "same",
    [
        lambda X: drop_packets(X, 0.0),
        lambda X: reorder_packets(X, 0.0),
        lambda X: pad_packets(X, 0.0),
        lambda X: delay_packets(X, 0.0),
    ],
)
def test_strength_zero_changes_nothing(make_traffic, same):
    """Every perturbation of strength 0 returns the table, types and all."""
    X, _ = make_traffic()
    pd.testing.assert_frame_equal(same(X), X)


@pytest.mark.parametrize("change", [drop_packets, reorder_packets, pad_packets, delay_packets])
def test_input_index_and_types_are_kept(make_traffic, change):
    """The input is left alone; rows, index, columns and types stay."""
    X, _ = make_traffic()
    X = X.iloc[5:40]
    before = X.copy()
    out = change(X, 0.4)
    pd.testing.assert_frame_equal(X, before)
    assert_array_equal(out.index, X.index)
    assert out.dtypes.tolist() == X.dtypes.tolist()


def test_loss_by_hand():
    """The first packets lost: time, start, direction and addresses are those of what is left."""
    X = pd.DataFrame(
        {
            "start": pd.to_datetime(["2026-01-01T00:00:00"], utc=True),
            "src_ip": ["a"],
            "dst_ip": ["b"],
            "src_port": [1],
            "dst_port": [2],
            "packet_count": [3],
            "total_bytes": [600],
            "duration": [5.0],
            "packet_time": list_column([0.0, 2.0, 5.0], [0, 3]),
            "packet_size": list_column([100, 200, 300], [0, 3]),
            "packet_direction": list_column([1, -1, 1], [0, 3]),
        }
    )
    found = set()
    for seed in range(40):
        out = drop_packets(X, 0.5, random_state=seed).iloc[0]
        sizes = tuple(out["packet_size"])
        found.add(sizes)
        if sizes == (200, 300):
            assert list(out["packet_time"]) == [0.0, 3.0]
            assert list(out["packet_direction"]) == [1, -1]
            assert (out["src_ip"], out["dst_ip"], out["src_port"]) == ("b", "a", 2)
            assert out["start"] == pd.Timestamp("2026-01-01T00:00:02", tz="UTC")
            assert (out["packet_count"], out["total_bytes"], out["duration"]) == (2, 500, 3.0)
    assert (200, 300) in found and len(found) == 7  # every subset but the empty one


def test_loss_rate(make_traffic):
    """A share of the packets is lost, all lists alike, and no session loses all."""
    X, _ = make_traffic(n_captures=60)
    out = drop_packets(X, 0.3, random_state=0)
    left = out["packet_count"].sum() / X["packet_count"].sum()
    assert left == pytest.approx(0.7, abs=0.02)
    for name in LISTS:
        assert_array_equal(np.diff(ragged(out[name])[1]), out["packet_count"])
    assert (drop_packets(X, 1.0)["packet_count"] == 1).all()
    direction, offsets = ragged(out["packet_direction"])
    assert (direction[offsets[:-1]] == 1).all()


def test_loss_keeps_each_packet_together(make_traffic):
    """What is left of a session are packets it had, in order, with their own message."""
    X, _ = make_traffic()
    out = drop_packets(X, 0.5, random_state=0)
    for before, after in zip(X.itertuples(), out.itertuples(), strict=True):
        had = list(zip(before.packet_size, before.packet_message, strict=True))
        has = list(zip(after.packet_size, after.packet_message, strict=True))
        iterator = iter(had)
        assert all(packet in iterator for packet in has)


def test_loss_drops_first_bytes_of_lost_packets_only(make_traffic):
    """`packet_bytes` holds the first two packets; it keeps what is left of these."""
    X, _ = make_traffic()
    out = drop_packets(X, 0.5, random_state=0)
    assert ragged_lengths(out["packet_bytes"]).max() == 2
    assert (ragged_lengths(out["packet_bytes"]) <= ragged_lengths(X["packet_bytes"])).all()
    assert 0 < ragged_lengths(out["packet_bytes"]).mean() < 2


def ragged_lengths(column):
    return np.array([len(x) for x in column])


def test_null_lists_stay_null(make_traffic):
    """A session whose payload sizes are unknown does not become one with none."""
    X, _ = make_traffic()
    unknown = [None, *X["packet_payload_size"].iloc[1:].map(list)]
    X["packet_payload_size"] = pd.Series(unknown, dtype=X["packet_payload_size"].dtype)
    out = drop_packets(X, 0.2, random_state=0)
    assert out["packet_payload_size"].isna().tolist() == [True] + [False] * (len(X) - 1)


def test_reordering_permutes_packets_not_times(make_traffic):
    """Times stay; each session's packets are the same ones in another order."""
    X, _ = make_traffic()
    out = reorder_packets(X, 0.3, random_state=0)
    assert lists(out, "packet_time") == lists(X, "packet_time")
    for name in ("packet_size", "packet_payload_size", "packet_message"):
        assert [sorted(x) for x in lists(out, name)] == [sorted(x) for x in lists(X, name)]
        assert lists(out, name) != lists(X, name)
    assert_array_equal(out["total_bytes"], X["total_bytes"])


@pytest.mark.parametrize(("distance", "want"), [(1, [2, 1, 3, 4]), (2, [2, 3, 1, 4])])
def test_reordering_by_hand(distance, want):
    """Only the first packet late: it comes `distance` places later."""
    X = pd.DataFrame(
        {
            "packet_time": list_column([0.0, 1.0, 2.0, 3.0], [0, 4]),
            "packet_size": list_column([1, 2, 3, 4], [0, 4]),
            "packet_direction": list_column([1, 1, 1, 1], [0, 4]),
        }
    )
    seeds = (s for s in range(1000) if first_only(np.random.RandomState(s).uniform(size=4)))
    out = reorder_packets(X, 0.3, distance=distance, random_state=next(seeds))
    assert list(out["packet_size"].iloc[0]) == want


def first_only(draws):
    return draws[0] < 0.3 and (draws[1:] >= 0.3).all()


def test_padding_by_hand(make_traffic):
    """Full padding makes packets with payload equal; the rest stays; payload grows alike."""
    X, _ = make_traffic()
    out = pad_packets(X, 1.0, mtu=1500)
    size, offsets = ragged(out["packet_size"])
    old, _ = ragged(X["packet_size"])
    payload, _ = ragged(out["packet_payload_size"])
    old_payload, _ = ragged(X["packet_payload_size"])
    assert (size[old_payload > 0] == 1500).all()
    assert_array_equal(size[old_payload == 0], old[old_payload == 0])
    assert_array_equal(size - old, payload - old_payload)
    assert_array_equal(out["total_bytes"], segment_sum(size, offsets))
    half, _ = ragged(pad_packets(X, 0.5)["packet_size"])
    assert ((half >= old) & (half <= size)).all()


def test_delay(make_traffic):
    """Pauses only grow, by the mean asked for; the first packet does not wait."""
    X, _ = make_traffic(n_captures=60)
    out = delay_packets(X, 0.5, random_state=0)
    new, offsets = ragged(out["packet_time"])
    old, _ = ragged(X["packet_time"])
    added = np.diff(new) - np.diff(old)
    inside = np.ones(len(added), bool)
    inside[offsets[1:-1] - 1] = False
    assert (added[inside] >= -1e-9).all()
    assert added[inside].mean() == pytest.approx(0.5, rel=0.05)
    assert (new[offsets[:-1]] == 0).all()
    assert_allclose(out["duration"].astype(float), new[offsets[1:] - 1])


@pytest.mark.parametrize("change", [drop_packets, reorder_packets, delay_packets])
def test_same_seed_same_result(make_traffic, change):
    """Deterministic for a random_state, different for another."""
    X, _ = make_traffic()
    a, b, c = (change(X, 0.3, random_state=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(a, b)
    assert any(lists(a, name) != lists(c, name) for name in LISTS)


def test_works_after_truncation(make_traffic):
    """Perturbations and `first_packets` combine in any order."""
    X, _ = make_traffic()
    out = drop_packets(first_packets(X, 3), 0.5, random_state=0)
    assert out["packet_count"].between(1, 3).all()
    assert set(PACKET_COLUMNS) & set(out.columns) == set(PACKET_COLUMNS) & set(X.columns)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda X: drop_packets(X, 1.5), "rate is 1.5"),
        (lambda X: reorder_packets(X, 0.1, distance=0), "distance is 0"),
        (lambda X: pad_packets(X, -1), "amount is -1"),
        (lambda X: delay_packets(X, -1), "scale is -1"),
    ],
)
def test_errors(make_traffic, call, match):
    """Impossible strengths are named."""
    X, _ = make_traffic()
    with pytest.raises(ValueError, match=match):
        call(X)
    with pytest.raises(TypeError, match="session table"):
        drop_packets(np.zeros((2, 2)), 0.1)
