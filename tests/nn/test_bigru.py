"""The GRU against equations 2 to 5 written out, and under padding."""

import numpy as np
import pytest
import torch

from sktraffic.nn import BiGRU


def sigmoid(v):
    """Logistic function."""
    return 1 / (1 + np.exp(-v))


def paper_gru(x, W, U, b):
    """Run equations 2 to 5 over x (T, D); W, U, b hold the gates r, z, h. Returns (T, H)."""
    h = np.zeros(len(b["r"]))
    states = []
    for step in x:
        r = sigmoid(W["r"] @ step + U["r"] @ h + b["r"])
        z = sigmoid(W["z"] @ step + U["z"] @ h + b["z"])
        candidate = np.tanh(W["h"] @ step + r * (U["h"] @ h) + b["h"])
        h = (1 - z) * h + z * candidate
        states.append(h)
    return np.array(states)


def paper_weights(gru, suffix):
    """PyTorch's gates as the paper's: those of z with their signs turned."""
    gate = {}
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        parts = getattr(gru, f"{name}_{suffix}").detach().numpy()
        r, z, h = np.split(parts, 3)
        gate[name] = {"r": r, "z": -z, "h": h}
    assert all(not part.any() for part in gate["bias_hh"].values())
    return gate["weight_ih"], gate["weight_hh"], gate["bias_ih"]


def test_agrees_with_equations_2_to_5_in_both_directions():
    """With z and 1 - z exchanged and the second bias at 0, PyTorch's GRU is the paper's."""
    torch.manual_seed(0)
    module = BiGRU(4, hidden_size=3, n_layers=2, dropout=0.5).double().eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "bias_hh" in name:
                parameter.zero_()
    x = torch.randn(2, 6, 4, dtype=torch.float64)
    got = module(x).detach().numpy()
    for row, want in zip(x.numpy(), got, strict=True):
        for layer in range(2):
            forward = paper_gru(row, *paper_weights(module.gru, f"l{layer}"))
            back = paper_gru(row[::-1], *paper_weights(module.gru, f"l{layer}_reverse"))[::-1]
            row = np.concatenate([forward, back], axis=1)
        np.testing.assert_allclose(want, row, rtol=0, atol=1e-12)


def test_padding_changes_nothing():
    """The way back starts at the last token: each row is as if it were alone."""
    torch.manual_seed(0)
    module = BiGRU(4, hidden_size=3).double().eval()
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    length = [6, 2, 4]
    mask = torch.arange(6)[None] < torch.tensor(length)[:, None]
    out = module(x, mask)
    assert out.shape == (3, 6, 6)
    for row, n, got in zip(x, length, out, strict=True):
        torch.testing.assert_close(got[:n], module(row[None, :n])[0])
        assert not got[n:].any()


def test_both_ways_around_padding_agree():
    """Packing and turning rows round are the same function with the same gradients."""
    torch.manual_seed(0)
    module = BiGRU(4, hidden_size=3).double().eval()
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    length = torch.tensor([6, 1, 4])
    gradients = []
    outputs = [module._packed(x, length), module._turned(x, length)]
    for out in outputs:
        module.zero_grad()
        out.square().sum().backward()
        gradients.append([p.grad.clone() for p in module.parameters()])
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)


def test_row_without_tokens_is_read_as_one_step():
    """A mask of nothing gives a result, not an error."""
    module = BiGRU(4, hidden_size=3)
    mask = torch.zeros(2, 5, dtype=torch.bool)
    assert torch.isfinite(module(torch.ones(2, 5, 4), mask)).all()


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_parameter_count(n_layers):
    """Two directions, three gates, two biases: 2 (3 H (in + H) + 6 H) a layer."""
    module = BiGRU(5, hidden_size=7, n_layers=n_layers)
    want = sum(2 * (3 * 7 * ((5 if i == 0 else 14) + 7) + 6 * 7) for i in range(n_layers))
    assert sum(p.numel() for p in module.parameters()) == want


@pytest.mark.parametrize("length", [3, 5])
def test_dropout_stands_between_the_layers_only(length):
    """A single layer has nothing between its layers: training and evaluation agree."""
    x, mask = torch.randn(2, 5, 4), torch.arange(5).expand(2, 5) < length
    one, two = BiGRU(4, 3, n_layers=1, dropout=0.9), BiGRU(4, 3, n_layers=2, dropout=0.9)
    torch.testing.assert_close(one.train()(x, mask), one.eval()(x, mask))
    assert not torch.allclose(two.train()(x, mask), two.eval()(x, mask))
