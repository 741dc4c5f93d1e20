"""Numeric features as tokens."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class FeatureTokenizer(nn.Module):
    """Turn each numeric feature into a token: token_j = x_j * weight_j + bias_j.

    Gorishniy et al. (2021), "Revisiting Deep Learning Models for Tabular Data", eq. in
    section 3.3. A feature has its own direction and origin in the embedding, so that attention
    can tell features apart without position codes.

    Parameters
    ----------
    n_features : int
        F, number of features.
    d_token : int, default=128
        E, length of a token.

    Notes
    -----
    Shape: (B, F) -> (B, F, E).

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import FeatureTokenizer
    >>> FeatureTokenizer(9, 128)(torch.zeros(4, 9)).shape
    torch.Size([4, 9, 128])
    """

    def __init__(self, n_features, d_token=128):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_features, d_token))
        self.bias = nn.Parameter(torch.empty(n_features, d_token))
        bound = d_token**-0.5  # as a linear layer that sees d_token inputs
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        """Tokens of a batch: (B, F) -> (B, F, E).

        Parameters
        ----------
        x : Tensor of shape (B, F)
            Features, best standardised.

        Returns
        -------
        Tensor of shape (B, F, E)
            One token a feature.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import FeatureTokenizer
        >>> tokenizer = FeatureTokenizer(2, 3)
        >>> torch.equal(tokenizer(torch.zeros(1, 2))[0], tokenizer.bias)
        True
        """
        return torch.addcmul(self.bias, x[..., None], self.weight)


class GroupTokenizer(nn.Module):
    """Make a token of each group of numbers: token_t = bias_t + sum of x_i * weight_i over group t.

    With one number in each group it is a `FeatureTokenizer`. With the bins of a column as a group,
    a token is a piecewise linear function of that column; with the bins of several columns, a sum
    of such functions. Attention costs the square of the number of tokens, so that few tokens of
    many columns make wide tables possible.

    Parameters
    ----------
    groups : array-like of int of shape (n_inputs,)
        Token of each number, counted from 0. Every token up to the largest needs a number.
    d_token : int, default=128
        E, length of a token.

    Notes
    -----
    Shape: (B, n_inputs) -> (B, T, E).

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import GroupTokenizer
    >>> GroupTokenizer([0, 0, 1, 0], 8)(torch.zeros(5, 4)).shape
    torch.Size([5, 2, 8])
    """

    def __init__(self, groups, d_token=128):
        super().__init__()
        groups = np.asarray(groups, dtype=np.int64)
        sizes = np.bincount(groups)
        longest = sizes.max(initial=0)
        # numbers of each group, (T, L); where a group has fewer, the zero behind the last number
        index = np.full((len(sizes), longest), len(groups))
        index[np.arange(longest) < sizes[:, None]] = np.argsort(groups, kind="stable")
        self.register_buffer("index", torch.as_tensor(index), persistent=False)
        self.weight = nn.Parameter(torch.empty(*index.shape, d_token))
        self.bias = nn.Parameter(torch.empty(len(sizes), d_token))
        bound = max(longest, 1) ** -0.5  # as a linear layer that sees a group
        nn.init.uniform_(self.weight, -bound, bound)
        bound = d_token**-0.5
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        """Tokens of a batch: (B, n_inputs) -> (B, T, E).

        Parameters
        ----------
        x : Tensor of shape (B, n_inputs)
            Numbers.

        Returns
        -------
        Tensor of shape (B, T, E)
            One token a group.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import GroupTokenizer
        >>> tokenizer = GroupTokenizer([0, 1], 3)
        >>> torch.equal(tokenizer(torch.zeros(1, 2))[0], tokenizer.bias)
        True
        """
        grouped = F.pad(x, (0, 1))[:, self.index]  # (B, T, L)
        tokens = torch.baddbmm(self.bias[:, None], grouped.transpose(0, 1), self.weight)
        return tokens.transpose(0, 1)
