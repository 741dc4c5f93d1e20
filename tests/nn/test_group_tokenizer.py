"""Tokens of several numbers, and members that have them side by side."""

import numpy as np
import pytest
import torch
from torch import nn

from sktraffic.nn import (
    FeatureTokenizer,
    FeatureTransformer,
    GroupTokenizer,
    PiecewiseLinearEncoding,
    stack_members,
    stacked_forward,
)


def test_token_is_the_sum_over_its_group():
    """Written out number by number; groups may differ in size and lie anywhere."""
    groups, x = [1, 0, 1, 1, 2], torch.randn(6, 5)
    tokenizer = GroupTokenizer(groups, 4)
    expected = tokenizer.bias.repeat(6, 1, 1)
    place = {0: 0, 1: 0, 2: 0}
    for i, t in enumerate(groups):
        expected[:, t] += x[:, i, None] * tokenizer.weight[t, place[t]]
        place[t] += 1
    torch.testing.assert_close(tokenizer(x), expected)


def test_one_number_a_group_is_a_feature_tokenizer():
    """The paper's tokens are a special case."""
    many, one, x = GroupTokenizer(range(4), 6), FeatureTokenizer(4, 6), torch.randn(3, 4)
    one.load_state_dict({"weight": many.weight[:, 0], "bias": many.bias})
    torch.testing.assert_close(many(x), one(x))


def test_padding_takes_part_in_nothing():
    """Where a group has fewer numbers than the largest, the weights beyond them get no gradient."""
    tokenizer = GroupTokenizer([0, 0, 0, 1], 2)
    tokenizer(torch.randn(5, 4)).square().sum().backward()
    assert (tokenizer.weight.grad[1, 1:] == 0).all() and (tokenizer.weight.grad[0] != 0).all()


def test_no_number_is_no_token():
    """A table of constants leaves the class token alone."""
    assert GroupTokenizer([], 4)(torch.ones(3, 0)).shape == (3, 0, 4)


@pytest.mark.parametrize("n_layers", [0, 1, 3])
def test_stacked_members_with_tokenizers_of_their_own(n_layers):
    """Bins and groups may differ from member to member; together they answer as alone."""
    members = []
    for groups in ([0, 0, 1, 1, 1, 2], [0, 1, 2, 0, 1, 2], [0, 1, 1, 1, 1, 2]):
        edges = np.sort(np.random.default_rng(len(members)).normal(size=(2, 4)))
        tokenizer = nn.Sequential(PiecewiseLinearEncoding(edges), GroupTokenizer(groups, 16))
        member = FeatureTransformer(2, 3, 16, 4, n_layers, 12, tokenizer=tokenizer)
        for parameter in member.double().eval().parameters():
            nn.init.normal_(parameter)
        members.append(member)
    x = torch.randn(5, 2, dtype=torch.float64)
    together = stacked_forward(stack_members(members), x, n_heads=4)
    torch.testing.assert_close(together, torch.stack([member(x) for member in members]))
