"""Differential attention of BiGRU-DA-BERT (equations 6 to 9, 11) and plain attention beside it."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def lambda_init(layer):
    """Constant part of lambda, 0.8 - 0.6 exp(-0.3 (layer - 1)): equation 11.

    The paper prints (1 - 1) in the exponent, which is the formula of the Differential Transformer
    (Ye et al., 2024) at its first layer.

    Parameters
    ----------
    layer : int
        Number of the layer, from 1.

    Returns
    -------
    float

    Examples
    --------
    >>> from sktraffic.nn import lambda_init
    >>> round(lambda_init(1), 12)
    0.2
    """
    return 0.8 - 0.6 * math.exp(-0.3 * (layer - 1))


def _key_mask(mask):
    """Mask over tokens (B, T) to one that all queries share, (B, 1, T)."""
    return None if mask is None else mask.unsqueeze(1)


class SoftmaxAttention(nn.Module):
    """softmax(Q K' / sqrt d) V with one set of projections: equation 6 alone.

    What differential attention is compared with in the paper's ablation.

    Parameters
    ----------
    embed_dim : int
        Width D of the input.
    head_dim : int, optional
        Width d of queries and keys; D without it.
    value_dim : int, optional
        Width V of values and output; D without it.

    Notes
    -----
    Shapes: x (B, T, D), mask (B, T) with True for a token; output (B, T, V).

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import SoftmaxAttention
    >>> SoftmaxAttention(8)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, embed_dim, head_dim=None, value_dim=None):
        super().__init__()
        head_dim = head_dim or embed_dim
        self.out_features = value_dim or embed_dim
        self.query = nn.Linear(embed_dim, head_dim, bias=False)
        self.key = nn.Linear(embed_dim, head_dim, bias=False)
        self.value = nn.Linear(embed_dim, self.out_features, bias=False)

    def forward(self, x, mask=None):
        """Attend with one map.

        Parameters
        ----------
        x : Tensor of shape (B, T, D)
        mask : Tensor of shape (B, T), bool, optional
            True where there is a token.

        Returns
        -------
        Tensor of shape (B, T, V)

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import SoftmaxAttention
        >>> mask = torch.tensor([[True, True, False]])
        >>> SoftmaxAttention(4, value_dim=2)(torch.zeros(1, 3, 4), mask).shape
        torch.Size([1, 3, 2])
        """
        return _attend(self.query(x), self.key(x), self.value(x), _key_mask(mask))


class DifferentialAttention(nn.Module):
    """Difference of two attentions, so that what both attend to cancels: equations 6 to 9.

    DiffAttn = softmax(Q1 K1' / sqrt d) V1 - lambda softmax(Q2 K2' / sqrt d) V2, where

    lambda = exp(lambda_q1 . lambda_k1) - exp(lambda_q2 . lambda_k2) + lambda_init(layer).

    Parameters
    ----------
    embed_dim : int
        Width D of the input.
    head_dim : int, optional
        Width d of queries and keys; D without it.
    value_dim : int, optional
        Width V of values and output; D without it.
    shared_value : bool, default=False
        False: two sets of values, as the paper prints. True: one, as in the Differential
        Transformer, where (A1 - lambda A2) V is one map over the same values.
    layer : int, default=1
        Number of the layer, from 1; it only sets `lambda_init`.

    Notes
    -----
    Shapes: x (B, T, D), mask (B, T) with True for a token; output (B, T, V).

    The vectors lambda_k start at 0 and the vectors lambda_q at random (standard deviation 0.1), so
    that lambda is `lambda_init` at the start whatever d is. With all four random, as the
    Differential Transformer has it for d of about 100, lambda would scatter with the square root
    of d, by more than `lambda_init` itself at the paper's widths. That one's norm over heads is
    left out: the paper's equations have none.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import DifferentialAttention
    >>> attention = DifferentialAttention(8)
    >>> attention(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    >>> round(attention.lambda_.item(), 6)
    0.2
    """

    def __init__(self, embed_dim, head_dim=None, value_dim=None, shared_value=False, layer=1):
        super().__init__()
        head_dim = head_dim or embed_dim
        self.out_features = value_dim or embed_dim
        self.shared_value = shared_value
        self.lambda_init = lambda_init(layer)
        self.query1 = nn.Linear(embed_dim, head_dim, bias=False)
        self.key1 = nn.Linear(embed_dim, head_dim, bias=False)
        self.value1 = nn.Linear(embed_dim, self.out_features, bias=False)
        self.query2 = nn.Linear(embed_dim, head_dim, bias=False)
        self.key2 = nn.Linear(embed_dim, head_dim, bias=False)
        if not shared_value:
            self.value2 = nn.Linear(embed_dim, self.out_features, bias=False)
        self.lambda_q1 = nn.Parameter(torch.randn(head_dim) * 0.1)
        self.lambda_k1 = nn.Parameter(torch.zeros(head_dim))
        self.lambda_q2 = nn.Parameter(torch.randn(head_dim) * 0.1)
        self.lambda_k2 = nn.Parameter(torch.zeros(head_dim))

    @property
    def lambda_(self):
        """The scalar lambda of equation 9, as a tensor of shape ()."""
        first = torch.exp(self.lambda_q1 @ self.lambda_k1)
        second = torch.exp(self.lambda_q2 @ self.lambda_k2)
        return first - second + self.lambda_init

    def forward(self, x, mask=None):
        """Attend with two maps and subtract.

        Parameters
        ----------
        x : Tensor of shape (B, T, D)
        mask : Tensor of shape (B, T), bool, optional
            True where there is a token.

        Returns
        -------
        Tensor of shape (B, T, V)

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import DifferentialAttention
        >>> mask = torch.tensor([[True, True, False]])
        >>> DifferentialAttention(4, value_dim=2)(torch.zeros(1, 3, 4), mask).shape
        torch.Size([1, 3, 2])
        """
        keys = _key_mask(mask)
        value1 = self.value1(x)  # (B, T, V)
        value2 = value1 if self.shared_value else self.value2(x)
        first = _attend(self.query1(x), self.key1(x), value1, keys)  # (B, T, V), equation 6
        second = _attend(self.query2(x), self.key2(x), value2, keys)  # (B, T, V), equation 7
        return first - self.lambda_.to(first.dtype) * second  # equation 8


def _attend(query, key, value, mask):
    """Attention of one head: (B, T, D), (B, T, D), (B, T, V) -> (B, T, V)."""
    if torch.compiler.is_compiling():  # ONNX knows heads only: (B, 1, T, D)
        heads = (query[:, None], key[:, None], value[:, None])
        mask = None if mask is None else mask[:, None]
        return F.scaled_dot_product_attention(*heads, attn_mask=mask)[:, 0]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
