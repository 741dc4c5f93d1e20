"""The network over packet sequences: shapes, masks, and what it must not see."""

import numpy as np
import pytest
import torch

from sktraffic.nn import PacketSequenceNet
from sktraffic.nn._packet_sequence import halve

CHANNELS = ("signed_size", "iat", "payload_size", "flags", "message")


def rows(n, n_packets, n_statistics=0, seed=0):
    """Rows of sessions of 1 to T packets; (n, T * 5 + S)."""
    rng = np.random.default_rng(seed)
    x = np.stack(
        [
            rng.integers(40, 1600, (n, n_packets)) * rng.choice([-1, 1], (n, n_packets)),
            rng.exponential(1, (n, n_packets)),
            rng.integers(0, 1460, (n, n_packets)),
            rng.integers(0, 256, (n, n_packets)),
            rng.integers(0, 4, (n, n_packets)),
        ],
        axis=2,
    )
    x[np.arange(n_packets) >= rng.integers(1, n_packets + 1, n)[:, None]] = 0
    x = np.hstack([x.reshape(n, -1), rng.normal(size=(n, n_statistics))])
    return torch.tensor(x, dtype=torch.float32)


@pytest.mark.parametrize("head", ["linear", "cosine"])
@pytest.mark.parametrize("n_statistics", [0, 3])
def test_shape(head, n_statistics):
    """Rows (B, T * C + S) become logits (B, K) and every parameter gets a gradient."""
    net = PacketSequenceNet(
        4, 6, CHANNELS, n_statistics, n_messages=4, n_channels=8, n_blocks=2, head=head
    )
    logits = net(rows(20, 6, n_statistics))
    assert logits.shape == (20, 4)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("n_packets", [9, 10])
def test_what_is_behind_the_last_packet_is_not_seen(n_packets):
    """More room for packets that are not there changes no logit."""
    net = PacketSequenceNet(3, n_packets, CHANNELS, n_messages=4, n_channels=8, n_blocks=2).eval()
    x = rows(16, 6)
    wide = torch.zeros(16, 5 * n_packets)
    wide[:, :30] = x
    wider = PacketSequenceNet(3, 14, CHANNELS, n_messages=4, n_channels=8, n_blocks=2).eval()
    state = net.state_dict()
    place = torch.randn(14, 8)
    state["embedding.place"] = place[:n_packets]
    net.load_state_dict(state)
    wider.load_state_dict({**state, "embedding.place": place})
    widest = torch.zeros(16, 70)
    widest[:, :30] = x
    torch.testing.assert_close(net(wide), wider(widest))


def test_training_draws_and_prediction_does_not():
    """Twice the same rows: equal in evaluation, different in training."""
    net = PacketSequenceNet(3, 6, CHANNELS, n_messages=4, n_channels=8, n_blocks=1)
    x = rows(16, 6)
    assert not torch.equal(net(x), net(x))
    net.eval()
    torch.testing.assert_close(net(x), net(x), rtol=0, atol=0)


def test_cuts_show_a_session_as_it_was():
    """In training a row is whole, or has the packets and statistics of one of its cuts."""
    net = PacketSequenceNet(3, 6, CHANNELS, 1, n_cuts=2, n_messages=4, n_channels=8)
    x = rows(400, 6, 1)
    cuts = torch.tensor([[1.0, 71.0, 3.0, 73.0]]).expand(400, 4)
    sequence = x[:, :30].unflatten(1, (6, 5))
    cut, statistics = net._cut(sequence, x[:, 30:], cuts)
    whole = statistics[:, 0] == x[:, 30]
    assert 150 < whole.sum() < 250
    torch.testing.assert_close(cut[whole], sequence[whole])
    for length, value in ((1, 71.0), (3, 73.0)):
        drawn = statistics[:, 0] == value
        assert 60 < drawn.sum() < 140
        torch.testing.assert_close(cut[drawn, :length], sequence[drawn, :length])
        assert not cut[drawn, length:].any()


def test_halving_by_hand():
    """Pairs are averaged over the packets that are there; a last one alone stays."""
    h = torch.tensor([[1.0, 3.0, 5.0, 7.0, 9.0], [2.0, 8.0, 8.0, 8.0, 8.0]]).view(2, 1, 1, 5)
    mask = torch.tensor([[1.0, 1, 1, 1, 1], [1, 0, 0, 0, 0]]).view(2, 1, 1, 5)
    h, mask = halve(h, mask)
    assert h.flatten(1).tolist() == [[2.0, 6.0, 9.0], [2.0, 0.0, 0.0]]
    assert mask.flatten(1).tolist() == [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]


def test_pooling_by_hand():
    """Maximum and generalised mean of the packets that are there, 0 where there are none."""
    net = PacketSequenceNet(2, 3, n_channels=1)
    h = torch.tensor([[1.0, 2.0, 9.0], [5.0, 5.0, 5.0]]).view(2, 1, 1, 3)
    mask = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]).view(2, 1, 1, 3)
    pooled = net._pool(h, mask).detach()
    torch.testing.assert_close(pooled[0], torch.tensor([2.0, 4.5 ** (1 / 3)]))
    torch.testing.assert_close(pooled[1], torch.tensor([0.0, 0.0]), atol=1e-3, rtol=0)


def test_parameter_count():
    """30 packets of size and interval, 34 classes, 60 statistics: 0.58 million weights."""
    net = PacketSequenceNet(34, 30, n_statistics=60, n_channels=96, kernel_size=5)
    embedding = 3002 * 32 + 8 * 30
    stem = (32 + 3 + 8) * 5 * 96 + 96
    blocks = 4 * 2 * (96 * 5 * 96 + 96 + 2 * 96)
    join = 2 * 96 + 1 + 60 * 128 + 128 + 128 * 64 + 64 + 256 * 256 + 256 + 512
    head = 256 * 34 + 34
    assert sum(p.numel() for p in net.parameters()) == embedding + stem + blocks + join + head
