"""Transformer over feature tokens (Qi et al. 2025, section 3.3).

The layers are written out rather than taken from ``nn.TransformerEncoder``, so that
`sktraffic.nn.stacked_forward` can do the same steps for several members at once.
"""

import torch
import torch.nn.functional as F
from torch import nn

from sktraffic.nn._dropout import BitDropout
from sktraffic.nn._tokens import FeatureTokenizer


class LayerNorm(nn.LayerNorm):
    """torch's layer norm with scale and shift as an operation of their own.

    Their gradients are sums over all rows. torch's fused norm adds these up in as many parts as it
    has threads, so that a fit in a worker with fewer threads would round otherwise.
    """

    def forward(self, x):
        """Any shape -> the same."""
        normed = F.layer_norm(x, self.normalized_shape, eps=self.eps)
        return torch.addcmul(self.bias, normed, self.weight)


class EncoderLayer(nn.Module):
    """Pre-norm transformer layer: x + attention(norm x), then x + MLP(norm x)."""

    def __init__(self, d_token, n_heads, d_hidden, dropout):
        super().__init__()
        self.n_heads = n_heads
        self.dropout = BitDropout(dropout)
        self.norm1 = LayerNorm(d_token)
        self.qkv = nn.Linear(d_token, 3 * d_token)
        self.out = nn.Linear(d_token, d_token)
        self.norm2 = LayerNorm(d_token)
        self.up = nn.Linear(d_token, d_hidden)
        self.down = nn.Linear(d_hidden, d_token)

    def forward(self, x):
        """(B, T, E) -> (B, T, E)."""
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, E / H)
        mixed = F.scaled_dot_product_attention(q, k, v)
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        x = x + self.dropout(self.out(mixed))
        hidden = self.dropout(F.relu(self.up(self.norm2(x))))
        return x + self.dropout(self.down(hidden))


class FeatureTransformer(nn.Module):
    """Features -> tokens -> transformer encoder -> MLP head on the class token.

    Qi et al. (2025), doi 10.62177/apemr.v2i5.632, section 3.3: embedding 128, 8 heads, MLP head.
    The paper gives neither the number of layers nor the width inside them; the defaults keep
    one session under a millisecond for an ensemble of three.

    Parameters
    ----------
    n_features : int
        F, number of features, each a token.
    n_classes : int
        K, number of classes.
    d_token : int, default=128
        E, length of a token; a multiple of ``n_heads``.
    n_heads : int, default=8
        H, attention heads.
    n_layers : int, default=2
        Encoder layers.
    d_hidden : int, default=128
        Width inside an encoder layer and of the head's hidden layer.
    dropout : float, default=0.1
        Dropout after attention, in and after the inner layer, and in the head.
    tokenizer : Module or None, default=None
        Features to tokens, (B, F) -> (B, T, E), in place of a `FeatureTokenizer`.

    Raises
    ------
    ValueError
        If d_token is no multiple of n_heads.

    Notes
    -----
    Shape: (B, F) -> (B, K), logits.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import FeatureTransformer
    >>> FeatureTransformer(9, 12)(torch.zeros(4, 9)).shape
    torch.Size([4, 12])
    """

    def __init__(
        self,
        n_features,
        n_classes,
        d_token=128,
        n_heads=8,
        n_layers=2,
        d_hidden=128,
        dropout=0.1,
        tokenizer=None,
    ):
        super().__init__()
        if d_token % n_heads:
            raise ValueError(
                f"d_token must be a multiple of n_heads, got {d_token} and {n_heads}. "
                f"Try d_token={n_heads * max(1, round(d_token / n_heads))}."
            )
        self.tokenizer = FeatureTokenizer(n_features, d_token) if tokenizer is None else tokenizer
        self.class_token = nn.Parameter(torch.randn(d_token) * d_token**-0.5)
        self.layers = nn.ModuleList(
            EncoderLayer(d_token, n_heads, d_hidden, dropout) for _ in range(n_layers)
        )
        self.norm = LayerNorm(d_token)
        self.head = nn.Sequential(
            nn.Linear(d_token, d_hidden),
            nn.ReLU(),
            BitDropout(dropout),
            nn.Linear(d_hidden, n_classes),
        )

    def forward(self, x):
        """Logits of a batch: (B, F) -> (B, K).

        Parameters
        ----------
        x : Tensor of shape (B, F)
            Standardised features.

        Returns
        -------
        Tensor of shape (B, K)
            Logits.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import FeatureTransformer
        >>> FeatureTransformer(3, 2, d_token=8, n_heads=2)(torch.zeros(1, 3)).shape
        torch.Size([1, 2])
        """
        tokens = self.tokenizer(x)  # (B, T, E), of a FeatureTokenizer T = F
        first = self.class_token.expand(x.shape[0], 1, -1)
        tokens = torch.cat([first, tokens], dim=1)  # (B, T + 1, E)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.head(self.norm(tokens[:, 0]))
