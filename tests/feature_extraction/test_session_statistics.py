"""SessionStatistics against hand-computed values, plain Python and laws."""

import math
import statistics
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktraffic.feature_extraction import SessionStatistics
from sktraffic.ragged import list_column
from sktraffic.sessions import empty_sessions, first_packets

NINE = [
    "packet_count",
    "total_bytes",
    "duration",
    "packet_size_mean",
    "packet_size_std",
    "packet_size_entropy",
    "iat_mean",
    "iat_std",
    "iat_entropy",
]


def table(sessions):
    """Session table from lists of (time, size) or (time, size, direction, payload, flags)."""
    offsets = np.cumsum([0] + [len(s) for s in sessions])
    flat = [packet for session in sessions for packet in session]
    names = ["packet_time", "packet_size", "packet_direction", "packet_payload_size"]
    names = [*names, "packet_flags"][: len(flat[0])]
    kinds = [float, int, int, int, int]
    return pd.DataFrame(
        {
            name: list_column([kind(packet[j]) for packet in flat], offsets)
            for j, (name, kind) in enumerate(zip(names, kinds, strict=False))
        }
    )


def entropy(labels):
    counts = Counter(labels)
    n = sum(counts.values())
    return -sum(c / n * math.log2(c / n) for c in counts.values()) if n else 0.0


def iat_bin(seconds):
    """Bin number by counting edges: three a decade from a microsecond to 1000 s."""
    edges = [1e-6 * 10 ** (k / 3) for k in range(28)]
    return sum(round(seconds, 9) >= edge * (1 - 1e-12) for edge in edges)


def nine(session):
    """Compute the nine features of one session in plain Python."""
    times, sizes = [p[0] for p in session], [p[1] for p in session]
    iats = [b - a for a, b in pairwise(times)]
    return [
        len(sizes),
        sum(sizes),
        max(times) - min(times),
        statistics.fmean(sizes),
        statistics.stdev(sizes) if len(sizes) > 1 else 0.0,
        entropy([size // 64 for size in sizes]),
        statistics.fmean(iats) if iats else 0.0,
        statistics.stdev(iats) if len(iats) > 1 else 0.0,
        entropy([iat_bin(iat) for iat in iats]),
    ]


times = st.lists(st.integers(0, 10**9), min_size=1, max_size=12).map(
    lambda ticks: [tick / 1e6 for tick in sorted(ticks)]
)
session = times.flatmap(
    lambda t: st.lists(st.integers(20, 65_535), min_size=len(t), max_size=len(t)).map(
        lambda sizes: list(zip(t, sizes, strict=True))
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(session, min_size=1, max_size=6))
def test_nine_features_equal_plain_python(sessions):
    """The nine features of random sessions are those of a loop in plain Python."""
    X = table(sessions)
    expected = np.array([nine(s) for s in sessions])
    np.testing.assert_allclose(SessionStatistics().fit_transform(X), expected, rtol=1e-9, atol=1e-9)


def test_nine_features_by_hand():
    """Three packets of 64, 128, 128 bytes, 1 s and 3 s apart; and a session of one packet."""
    X = table([[(0.0, 64), (1.0, 128), (4.0, 128)], [(0.0, 70)]])
    out = SessionStatistics().set_output(transform="pandas").fit_transform(X)
    assert list(out.columns) == NINE
    third = math.log2(3) - 2 / 3  # entropy of (1/3, 2/3)
    std = math.sqrt(((64 - 320 / 3) ** 2 + 2 * (128 - 320 / 3) ** 2) / 2)
    expected = [3, 320, 4.0, 320 / 3, std, third, 2.0, math.sqrt(2), 1.0]
    np.testing.assert_allclose(out.iloc[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(out.iloc[1], [1, 70, 0, 70, 0, 0, 0, 0, 0])


def test_session_without_packets_is_all_zero():
    """An empty list of packets has no moments and no entropy: zeros, in the middle and outside."""
    X = table([[(0.0, 64), (1.0, 90)]]).iloc[[0, 0, 0]].reset_index(drop=True)
    empty = list_column(np.array([0.0]), [0, 0, 1, 1])
    X["packet_time"], X["packet_size"] = empty, list_column(np.array([50]), [0, 0, 1, 1])
    out = SessionStatistics().fit_transform(X)
    np.testing.assert_array_equal(out[[0, 2]], 0)
    assert out[1, 0] == 1


def test_entropy_bins_are_settable():
    """Sizes 100, 150, 200: one bin of width 1000, three of width 50, two at the edge 150."""
    X = table([[(0, 100), (1, 150), (2, 200)]])
    entropies = [
        SessionStatistics(size_bins=bins).fit_transform(X)[0, 5] for bins in (1000, 50, [150])
    ]
    np.testing.assert_allclose(entropies, [0, math.log2(3), math.log2(3) - 2 / 3], atol=1e-12)
    assert SessionStatistics(iat_bins=[0.5]).fit_transform(X)[0, 8] == 0


def test_decimal_noise_does_not_split_intervals():
    """Intervals of 10 ms written as decimal fractions share one bin, though 0.01 is an edge."""
    ticks = [(round(0.01 * k, 6), 60) for k in range(200)]
    out = SessionStatistics().fit(table([ticks]))
    assert 0.01 in np.round(out.iat_edges_, 15)
    assert out.transform(table([ticks]))[0, 8] == 0


def test_entropies_do_not_depend_on_packet_order(make_sessions, rng):
    """Sizes reversed inside their sessions keep count, sum, mean, std and entropy."""
    X = make_sessions(40, rng)
    sizes = [list(reversed(list(v))) for v in X["packet_size"]]
    Y = X.assign(
        packet_size=list_column(np.concatenate(sizes), np.cumsum([0] + [len(s) for s in sizes]))
    )
    a, b = SessionStatistics().fit_transform(X), SessionStatistics().fit_transform(Y)
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_scaling_laws(make_sessions, rng):
    """Times three times longer triple duration, iat mean and std, and nothing else but entropy."""
    X = make_sessions(30, rng)
    Y = X.assign(packet_time=[[3 * t for t in row] for row in X["packet_time"]])
    a, b = SessionStatistics().fit_transform(X), SessionStatistics().fit_transform(Y)
    factor = np.array([1, 1, 3, 1, 1, 1, 3, 3])
    np.testing.assert_allclose(a[:, :8] * factor, b[:, :8], rtol=1e-9, atol=1e-12)


def test_facts_of_the_table_follow(make_sessions, rng):
    """The first three features are the table's facts as `first_packets` recomputes them."""
    X = first_packets(make_sessions(50, rng), 7)
    facts = X[["packet_count", "total_bytes", "duration"]].to_numpy(np.float64)
    np.testing.assert_allclose(SessionStatistics().fit_transform(X)[:, :3], facts, atol=1e-15)


EXTENDED = [  # (time, size, direction, payload, flags): SYN, SYN-ACK, ACK, data, data, FIN-ACK
    (0.0, 60, 1, 0, 0x02),
    (0.5, 60, -1, 0, 0x12),
    (1.0, 52, 1, 0, 0x10),
    (1.0, 152, 1, 100, 0x18),
    (3.0, 1052, -1, 1000, 0x18),
    (4.0, 52, -1, 0, 0x11),
]


def test_extended_features_by_hand():
    """A TCP session of six packets in four bursts, counted by hand."""
    statistics_ = SessionStatistics("extended").set_output(transform="pandas")
    out = statistics_.fit_transform(table([EXTENDED])).iloc[0]
    expected = {
        "packets_per_second": 1.5,
        "bytes_per_second": 1428 / 4,
        "packet_size_min": 52,
        "packet_size_q50": 60,
        "packet_size_max": 1052,
        "iat_min": 0,
        "iat_max": 2,
        "forward_packet_count": 3,
        "backward_packet_count": 3,
        "forward_total_bytes": 264,
        "backward_total_bytes": 1164,
        "forward_packet_size_max": 152,
        "backward_packet_size_min": 52,
        "forward_iat_mean": 0.5,
        "backward_iat_max": 2.5,
        "forward_packet_share": 0.5,
        "forward_byte_share": 264 / 1428,
        "burst_count": 4,
        "burst_packets_mean": 1.5,
        "burst_packets_max": 2,
        "burst_bytes_max": 1104,
        "burst_duration_max": 1.0,
        "payload_packet_count": 2,
        "payload_bytes": 1100,
        "forward_payload_bytes": 100,
        "backward_payload_bytes": 1000,
        "payload_size_max": 1000,
        "payload_size_entropy": entropy([0, 0, 0, 1, 15, 0]),
        "tcp_syn_count": 2,
        "tcp_ack_count": 5,
        "tcp_psh_count": 2,
        "tcp_fin_count": 1,
        "tcp_rst_count": 0,
    }
    np.testing.assert_allclose(out[list(expected)], list(expected.values()), rtol=1e-12)


def test_extended_starts_with_the_nine(make_sessions, rng):
    """The extended features begin with the nine, unchanged, and have no name twice."""
    X = make_sessions(20, rng)
    extended = SessionStatistics("extended").fit(X)
    names = list(extended.get_feature_names_out())
    assert names[:9] == NINE and len(set(names)) == len(names)
    np.testing.assert_array_equal(
        extended.transform(X)[:, :9], SessionStatistics().fit_transform(X)
    )


def test_quantiles_are_numpys(make_sessions, rng):
    """Quantiles of each session equal numpy.quantile's."""
    X = make_sessions(30, rng)
    out = SessionStatistics("extended", quantiles=(0.1, 0.9)).set_output(transform="pandas")
    out = out.fit_transform(X)
    expected = [np.quantile(list(v), [0.1, 0.9]) for v in X["packet_size"]]
    np.testing.assert_allclose(out[["packet_size_q10", "packet_size_q90"]], expected)


def test_unknown_payloads_give_nan_not_zero():
    """A session whose payload sizes are null gets NaN there, and its neighbours stay the same."""
    X = table([EXTENDED, EXTENDED, EXTENDED[:2]])
    expected = SessionStatistics("extended").set_output(transform="pandas").fit_transform(X)
    Y = X.assign(packet_payload_size=X["packet_payload_size"].where([True, False, True]))
    out = SessionStatistics("extended").set_output(transform="pandas").fit_transform(Y)
    payload = [name for name in out.columns if "payload" in name]
    assert out.loc[1, payload].isna().all()
    pd.testing.assert_frame_equal(out.drop(index=1), expected.drop(index=1))
    pd.testing.assert_frame_equal(out.drop(columns=payload), expected.drop(columns=payload))


def test_column_null_everywhere_is_refused_by_name():
    """Extended features of a table that nowhere says the flags are an error, not NaN columns."""
    X = table([EXTENDED])
    X["packet_flags"] = pd.array([None], X["packet_flags"].dtype)
    with pytest.raises(ValueError, match=r"packet_flags.*null in all 1 rows.*features='basic'"):
        SessionStatistics("extended").fit(X)


def test_null_sizes_are_refused():
    """A session whose sizes are null has unknown statistics, not zeros."""
    X = table([EXTENDED, EXTENDED])
    X["packet_size"] = X["packet_size"].where([True, False])
    with pytest.raises(ValueError, match=r"packet_size .* is null in 1 of 2 rows"):
        SessionStatistics().fit(table([EXTENDED])).transform(X)


def test_columns_of_different_length_are_refused():
    """A session with more times than sizes cannot be right: the row is named."""
    X = table([EXTENDED, EXTENDED[:2]])
    X["packet_size"] = list_column(np.arange(7), [0, 6, 7])
    with pytest.raises(ValueError, match=r"Row 1 .* 1 values in packet_size but 2 in packet_time"):
        SessionStatistics().fit(X).transform(X)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"size_bins": [3, 1]}, "size_bins must be"),
        ({"iat_bins": []}, "iat_bins must be"),
        ({"iat_bins": 0}, "iat_bins"),
        ({"features": "everything"}, "features"),
        ({"quantiles": (0.5, 2)}, "quantiles must be numbers between 0 and 1"),
    ],
)
def test_bad_parameters_are_refused_at_fit(params, match):
    """Bins that do not grow, unknown feature sets and quantiles outside [0, 1] are named."""
    with pytest.raises(ValueError, match=match):
        SessionStatistics(**params).fit(empty_sessions())
