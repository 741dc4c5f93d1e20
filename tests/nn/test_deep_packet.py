"""Deep Packet's networks: sizes, short inputs, layer-wise pre-training."""

import pytest
import torch

from sktraffic.nn import DeepPacketCNNNet, DeepPacketSAENet


@pytest.mark.parametrize(
    ("settings", "length"),
    [({}, 247), ({"kernel_sizes": (5, 4), "strides": (3, 3)}, 83)],
)
def test_cnn_parameter_count(settings, length):
    """Lengths after two convolutions and pooling by hand: 1500 -> 499 -> 495 or 166 -> half."""
    net = DeepPacketCNNNet(1500, 17, **settings)
    k1, k2 = settings.get("kernel_sizes", (4, 5))
    convolutions = 200 * k1 + 200 + 200 * 200 * k2 + 200
    dense = (200 * length + 1) * 200 + 201 * 100 + 101 * 50 + 51 * 17
    assert sum(p.numel() for p in net.parameters()) == convolutions + dense


def test_sae_parameter_count():
    """1500 -> 400 -> 300 -> 200 -> 100 -> 50 -> 17, biases included."""
    net = DeepPacketSAENet(1500, 17)
    want = 1501 * 400 + 401 * 300 + 301 * 200 + 201 * 100 + 101 * 50 + 51 * 17
    assert sum(p.numel() for p in net.parameters()) == want


def test_short_packets_are_padded_with_zeros():
    """Two bytes are what they are with zeros behind them."""
    torch.manual_seed(0)
    short = DeepPacketCNNNet(2, 3).eval()
    needed = 2 + short.missing
    long = DeepPacketCNNNet(needed, 3).eval()
    long.load_state_dict(short.state_dict())
    x = torch.rand(4, 2)
    padded = torch.cat([x, torch.zeros(4, needed - 2)], dim=1)
    assert long.missing == 0
    torch.testing.assert_close(short(x), long(padded))
