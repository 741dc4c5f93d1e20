"""PacketSizeMatrix: which sizes have columns, and that packets are counted, once each."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import PacketSizeMatrix, ProtocolMatrix
from sktraffic.feature_extraction._packet_sizes import count_sessions
from sktraffic.ragged import list_column

SIGNED = [[60, -1500, -1500], [60, 90], [-1500], []]


def table(signed):
    """Session table of lists of signed sizes."""
    offsets = np.cumsum([0, *map(len, signed)])
    flat = np.array([size for session in signed for size in session], dtype=np.int64)
    columns = {"packet_size": np.abs(flat), "packet_direction": np.sign(flat).astype(np.int8)}
    return pd.DataFrame({name: list_column(value, offsets) for name, value in columns.items()})


def test_counts_by_hand():
    """Sizes of two sessions or more; a direction of its own; an empty session is a row of 0."""
    matrix = PacketSizeMatrix(min_sessions=2).fit(table(SIGNED))
    assert matrix.sizes_.tolist() == [-1500, 60]
    assert matrix.transform(table(SIGNED)).tolist() == [[2, 1], [0, 1], [1, 0], [0, 0]]
    assert matrix.get_feature_names_out().tolist() == ["n_packets_minus_1500", "n_packets_60"]


def test_the_most_frequent_sizes_come_first_and_small_ones_before_large():
    """Sessions count, not packets: 7 stands in two sessions, 8 three times in one."""
    signed = [[7, 8, 8, 8], [7, -5], [-5], [9]]
    fit = lambda n: PacketSizeMatrix(max_sizes=n, min_sessions=1).fit(table(signed)).sizes_  # noqa: E731
    assert fit(1).tolist() == [-5]
    assert fit(2).tolist() == [-5, 7]
    assert fit(3).tolist() == [-5, 7, 8]
    assert fit(99).tolist() == [-5, 7, 8, 9]


@given(st.lists(st.lists(st.sampled_from([-3, -2, 1, 2, 5])), min_size=1, max_size=12))
def test_sessions_that_have_a_size_are_counted(signed):
    """Against sets in Python; with a column a size, a row's counts sum to its packets."""
    flat = np.array([size for session in signed for size in session], dtype=np.int64)
    sizes, n_sessions = count_sessions(flat, np.cumsum([0, *map(len, signed)]))
    expected = {size: sum(size in session for session in signed) for size in set(flat.tolist())}
    assert dict(zip(sizes.tolist(), n_sessions.tolist(), strict=True)) == expected
    if len(flat):
        counts = PacketSizeMatrix(min_sessions=1).fit_transform(table(signed))
        assert counts.sum(axis=1).tolist() == list(map(len, signed))


def test_as_messages_that_spell_sizes():
    """The protocol matrix with sizes for words counts the same, on the bundled captures."""
    X = load_lab_sessions().data.iloc[:200]
    sizes = PacketSizeMatrix(10**6, min_sessions=1).fit(X)
    words = X["packet_size"].map(lambda packets: [f"{size:06d}" for size in packets])
    sign = X["packet_direction"].map(lambda packets: ["-" if d < 0 else "+" for d in packets])
    spelt = [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(sign, words, strict=True)]
    offsets = np.cumsum([0, *map(len, spelt)])
    flat = [word for session in spelt for word in session]
    matrix = ProtocolMatrix("learned", handle_unknown="ignore").fit(
        by_message := pd.DataFrame({"packet_message": list_column(flat, offsets)})
    )
    order = np.argsort([int(word) for word in matrix.vocabulary_])
    np.testing.assert_array_equal(matrix.transform(by_message)[:, order], sizes.transform(X))


def test_nothing_frequent_enough_is_an_error():
    """It says what may be changed."""
    with pytest.raises(ValueError, match=r"min_sessions=3 of the 4 sessions. Lower min_sessions"):
        PacketSizeMatrix(min_sessions=3).fit(table(SIGNED))
