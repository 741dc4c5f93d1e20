"""Random changes of packet sequences: hand-made cases and what each must leave alone."""

import pytest
import torch

from sktraffic.nn._packet_augment import (
    drop_packets,
    jitter_intervals,
    keep_packets,
    merge_packets,
    random_start,
)


@pytest.fixture
def sessions():
    """Two sessions: four packets, and two with a number beside; (2, 5, 3)."""
    x = torch.zeros(2, 5, 3)
    x[0, :4] = torch.tensor([[60, 0, 1], [-1500, 0.5, 2], [-700, 0.25, 3], [60, 1, 4]])
    x[1, :2] = torch.tensor([[90, 0, 5], [90, 2, 6]])
    return x


def times(x):
    """Seconds of each packet since the first."""
    return x[:, :, 1].cumsum(dim=1)


def test_keep_packets_moves_the_rest_up_and_keeps_their_times(sessions):
    """The packets that stay are as far from each other as before; channels go with them."""
    kept = torch.tensor([[True, False, True, True, True], [False, True, True, True, True]])
    x = keep_packets(sessions, kept)
    expected = torch.zeros(2, 5, 3)
    expected[0, :3] = torch.tensor([[60, 0, 1], [-700, 0.75, 3], [60, 1, 4]])
    expected[1, 0] = torch.tensor([90, 2, 6])
    torch.testing.assert_close(x, expected)


def test_nothing_changes_at_rate_zero_but_everything_where_it_is_sure(sessions):
    """Loss, merging and late starts at rate 0 give the same packets; at 1 the least."""
    for change in (drop_packets, merge_packets, random_start):
        torch.testing.assert_close(change(sessions, 0.0), sessions)
    torch.testing.assert_close(jitter_intervals(sessions, 0.0), sessions)
    assert (drop_packets(sessions, 1.0)[:, :, 0] != 0).sum(dim=1).tolist() == [1, 1]
    merged = merge_packets(sessions, 1.0)
    assert merged[:, :, 0].tolist() == [[60, -2200, 60, 0, 0], [180, 0, 0, 0, 0]]
    torch.testing.assert_close(times(merged)[0, :3], torch.tensor([0, 0.5, 1.75]))


def test_bytes_are_neither_lost_nor_found_by_merging(sessions):
    """The sum of sizes of each direction is that of before, whatever was drawn."""
    x = sessions.repeat(50, 1, 1)
    merged = merge_packets(x, 0.5)
    for sign in (1, -1):
        before, after = ((part[:, :, 0] * sign).clamp(min=0).sum(dim=1) for part in (x, merged))
        torch.testing.assert_close(after, before)


def test_late_start_leaves_a_packet_and_begins_at_zero(sessions):
    """One to three packets go, never the last one, and the first has no interval before it."""
    late = random_start(sessions.repeat(100, 1, 1), 1.0)
    counts = (late[:, :, 0] != 0).sum(dim=1).view(-1, 2)
    assert set(counts[:, 0].tolist()) == {1, 2, 3} and set(counts[:, 1].tolist()) == {1}
    assert not late[:, 0, 1].any()


def test_jitter_changes_intervals_alone(sessions):
    """Sizes stay, absent packets too, and factors are around one."""
    x = jitter_intervals(sessions.repeat(200, 1, 1), 0.1)
    torch.testing.assert_close(x[:, :, 0], sessions.repeat(200, 1, 1)[:, :, 0])
    factor = (x[0::2, 1, 1] / 0.5).log()
    assert abs(factor.mean()) < 0.03 and 0.08 < factor.std() < 0.13
