"""Session tables laid out of packets, beyond the sizes at which sorting changes its ways."""

import numpy as np
import pytest

from sktraffic.packets import PacketTable, SessionBuilder, SessionTracker
from sktraffic.packets._order import stable_order
from sktraffic.ragged import ragged


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("spread", [3, 1 << 15, (1 << 16) - 1, 1 << 16, 1 << 20, (1 << 31) - 1])
def test_packets_are_sorted_as_numpy_sorts_them(rng, dtype, spread):
    """Whatever type the numbers have, and however far they are apart."""
    spread = min(spread, np.iinfo(dtype).max)
    numbers = rng.integers(0, spread, 1000, endpoint=True).astype(dtype)
    numbers[:2] = 0, spread
    assert stable_order(numbers).tolist() == np.argsort(numbers, kind="stable").tolist()


def test_many_sessions_that_end_together_keep_their_packets():
    """70,000 sessions of two packets, the second ones in another order; sizes say whose."""
    count = 70_000
    number = np.concatenate([np.arange(count), np.arange(count)[::-1]])
    table = PacketTable.blank(
        2 * count,
        time=np.arange(2 * count),
        size=1000 + number,
        version=np.full(2 * count, 4, np.uint8),
        protocol=np.full(2 * count, 17, np.uint8),
        src=np.column_stack([np.zeros(2 * count), number + 1]).astype(np.uint64),
        dst=np.tile(np.array([0, 7 << 20], np.uint64), (2 * count, 1)),
        src_port=np.full(2 * count, 1, np.int32),
        dst_port=np.full(2 * count, 2, np.int32),
    )
    tracker, builder = SessionTracker(), SessionBuilder("made up", n_bytes=0)
    builder.add(table, tracker.add(table))
    builder.end(tracker.finish())
    sessions = builder.take()
    sizes, offsets = ragged(sessions["packet_size"].to_pandas(types_mapper=None))
    assert (np.diff(offsets) == 2).all()
    assert (sizes.reshape(-1, 2) == 1000 + np.arange(count)[:, None]).all()
    assert sessions["total_bytes"].to_pylist() == (2 * (1000 + np.arange(count))).tolist()


def test_a_session_that_was_given_is_remembered_until_it_ends():
    """Not longer: one that had ended before is over, and nothing of it is kept for ever."""
    table = PacketTable.blank(
        6,
        time=np.arange(6),
        size=np.full(6, 40),
        version=np.full(6, 4, np.uint8),
        protocol=np.full(6, 17, np.uint8),
        src=np.array([[0, 1], [0, 2]] * 3, np.uint64),
        dst=np.array([[0, 3]] * 6, np.uint64),
    )
    tracker, builder = SessionTracker(), SessionBuilder("made up", n_bytes=0)
    builder.add(table.take(slice(0, 4)), tracker.add(table.take(slice(0, 4))))
    numbers = np.array([0, 1])
    builder.end(numbers[:1])
    builder.give(numbers)
    assert builder.given(numbers).tolist() == [False, True]
    assert builder.take()["packet_count"].to_pylist() == [2, 2]
    assert builder.add(table.take(slice(5, 6)), tracker.add(table.take(slice(5, 6)))) == 0
    builder.end(numbers[1:])
    assert builder.given(numbers).tolist() == [False, False]
    assert builder.take() is None
