"""The wide perceptron: its parts add up, its members are independent, and their mean is theirs."""

import numpy as np
import pytest
import torch

from sktraffic.nn import PeriodicEmbedding, PiecewiseLinearEncoding, WideMLP, member_mean

EDGES = np.sort(np.random.default_rng(0).normal(size=(3, 5)))
X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def weights():
    """Give every module the same weights each time."""
    torch.manual_seed(0)


def network(n_members=1, **options):
    return WideMLP(PiecewiseLinearEncoding(EDGES), 4, (6, 5), n_members=n_members, **options)


def test_periodic_embedding_by_hand():
    """One wave of one number: a quarter of a turn is cos 0 and sin 1."""
    embed = PeriodicEmbedding(1, n_frequencies=1, d_embedding=2)
    weights = {"frequency": [[0.5]], "weight": [[[2.0, 5.0], [3.0, -7.0]]], "bias": [[0.25, 1.0]]}
    embed.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    torch.testing.assert_close(embed(torch.tensor([[0.5]])), torch.tensor([[3.25, 0.0]]))


def test_features_are_embedded_each_by_its_own_weights():
    """A feature's vector depends on no other feature."""
    embed = PeriodicEmbedding(3, 4, 2)
    torch.nn.init.constant_(embed.bias, 10.0)  # so that no unit is cut to 0
    moved = X.clone()
    moved[:, 1] += 1
    same = (embed(X) == embed(moved)).all(dim=0).view(3, 2)
    assert same[[0, 2]].all() and not same[1].any()


def test_single_features_and_perceptron_add_up():
    """Without the perceptron's last layer the logits are a sum of functions of single columns."""
    module = network().eval()
    for parameter in module.deep[-1].parameters():
        torch.nn.init.zeros_(parameter)
    alone = [X.clone() for _ in range(3)]
    for i, x in enumerate(alone):
        x[:, [j for j in range(3) if j != i]] = -99.0
    nothing = module(torch.full_like(X, -99.0))
    total = sum(module(x) - nothing for x in alone) + nothing
    torch.testing.assert_close(module(X), total, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n_members", [1, 3])
def test_members_share_the_bins_and_nothing_else(n_members):
    """A member's loss has gradients in its own part of every weight, and in all of that."""
    module = network(n_members, dropout=0.0)
    logits = module(X).view(n_members, 7, 4)
    logits[0].square().sum().backward()
    for name, parameter in module.named_parameters():
        touched = parameter.grad.view(n_members, -1).abs().sum(dim=1) > 0
        assert touched.tolist() == [True] + [False] * (n_members - 1), name


def test_evaluation_gives_the_mean_of_the_members():
    """Probabilities are averaged, not logits."""
    module = network(3, dropout=0.0)
    members = module(X)
    assert members.shape == (3, 7, 4)
    expected = members.softmax(dim=-1).mean(dim=0)
    torch.testing.assert_close(module.eval()(X).softmax(dim=-1), expected)
    torch.testing.assert_close(member_mean(members).exp(), expected)


def test_no_feature_left_leaves_the_shares():
    """Constants alone: the same logits for all rows."""
    module = WideMLP(PiecewiseLinearEncoding([[1.0], [2.0]]), 3, (4,), n_members=2).eval()
    logits = module(torch.randn(5, 2))
    assert logits.shape == (5, 3) and (logits == logits[0]).all()
