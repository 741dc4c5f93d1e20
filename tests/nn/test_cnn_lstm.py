"""CNN + LSTM: sizes, channels, short inputs."""

import pytest
import torch

from sktraffic.nn import CNNLSTMNet


def test_parameter_count():
    """Two convolutions with norms, four LSTM gates with two biases, two linear layers."""
    net = CNNLSTMNet(784, 20)
    convolutions = (4 * 1 + 1) * 32 + 2 * 32 + (4 * 32 + 1) * 64 + 2 * 64
    lstm = 4 * 100 * (64 + 100) + 8 * 100
    want = convolutions + lstm + 101 * 100 + 101 * 20
    assert sum(p.numel() for p in net.parameters()) == want


def test_channels_are_neighbouring_columns():
    """Columns 0 and 1 are the two values of the first step, 2 and 3 of the second."""
    torch.manual_seed(0)
    net = CNNLSTMNet(12, 3, n_channels=2).eval()
    x = torch.randn(4, 12)
    steps = net.convolutions(torch.stack([x[:, 0::2], x[:, 1::2]], dim=1))
    _, (last, _) = net.lstm(steps.transpose(1, 2))
    torch.testing.assert_close(net(x), net.head(net.dense(last[0])))


@pytest.mark.parametrize("n_features", [1, 2, 3, 7])
def test_single_row_of_few_columns_trains(n_features):
    """A batch of one row of one value leaves a gradient, not an error."""
    net = CNNLSTMNet(n_features, 2).train()
    net(torch.randn(1, n_features)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_columns_that_are_no_whole_steps_are_an_error():
    """Ten columns are not steps of three values."""
    with pytest.raises(ValueError, match="10 columns cannot be steps of 3 values"):
        CNNLSTMNet(10, 2, n_channels=3)
