"""Bins of numbers: hand values, and the laws that make a scale of no account."""

import numpy as np
import pytest
import torch

from sktraffic.nn import PiecewiseLinearEncoding

EDGES = np.array([[0.0, 10.0, 1000.0], [2.0, np.nan, np.nan], [-1.0, 1.0, np.nan]])


def test_outputs_by_hand():
    """Bins below are full, those above empty, the one that holds the number filled by its share."""
    encode = PiecewiseLinearEncoding(EDGES)
    x = torch.tensor([[-5.0, 9.0, 0.0], [5.0, 2.0, 1.0], [505.0, 0.0, -1.0], [1e9, 2.0, 7.0]])
    expected = [[0.0, 0.0, 0.5], [0.5, 0.0, 1.0], [1.0, 0.5, 0.0], [1.0, 1.0, 1.0]]
    torch.testing.assert_close(encode(x), torch.tensor(expected))
    assert encode.n_outputs == 3


def test_nothing_of_it_is_a_weight():
    """The edges belong to whoever builds the module: nothing to train and nothing to store."""
    encode = PiecewiseLinearEncoding(EDGES)
    assert not list(encode.parameters()) and not encode.state_dict()


@pytest.mark.parametrize("edges", [[[3.0]], np.empty((2, 0)), np.full((2, 3), np.nan)])
def test_columns_without_bins_give_nothing(edges):
    """A constant says nothing, whatever it becomes later."""
    assert PiecewiseLinearEncoding(edges)(torch.ones(4, len(edges))).shape == (4, 0)


def test_linear_layer_behind_it_interpolates():
    """Steps of a function as weights give the function at the edges, and lines between them."""
    edges = torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0])
    encode = PiecewiseLinearEncoding(edges[None])
    x = torch.linspace(-2, 20, 50)
    got = encode(x[:, None]) @ edges.sqrt().diff()
    expected = np.interp(x.numpy(), edges.numpy(), edges.sqrt().numpy())
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)


def test_affine_maps_change_nothing():
    """Edges and numbers moved and stretched together give the same outputs."""
    rng = np.random.default_rng(0)
    x, edges = torch.as_tensor(rng.normal(size=(20, 1))), np.sort(rng.normal(size=(1, 6)))
    plain, moved = PiecewiseLinearEncoding(edges)(x), PiecewiseLinearEncoding(1e3 * edges - 7)
    torch.testing.assert_close(moved(1e3 * x - 7), plain)


def test_rank_is_the_share_of_bins_passed():
    """Halfway through the second of two bins is three quarters; constants are left out."""
    encode = PiecewiseLinearEncoding(EDGES)
    x = torch.tensor([[505.0, 7.0, 0.0], [-5.0, 7.0, 9.0]])
    torch.testing.assert_close(encode.rank(encode(x)), torch.tensor([[0.75, 0.5], [0.0, 1.0]]))
    assert encode.n_read == 2


def test_rank_of_many_bins_is_exact():
    """Hundreds of columns are summed as each alone: running sums lose nothing that is seen."""
    edges = np.sort(np.random.default_rng(0).normal(size=(400, 40)))
    x = torch.randn(5, 400)
    encode = PiecewiseLinearEncoding(edges)
    expected = encode(x).view(5, 400, 39).double().mean(dim=2).float()
    torch.testing.assert_close(encode.rank(encode(x)), expected, atol=1e-6, rtol=0)
