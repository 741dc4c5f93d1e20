"""Perceptrons over the bins of numbers, with a linear layer beside them, several at a time."""

import math

import torch
from torch import nn

from sktraffic.nn._dropout import BitDropout
from sktraffic.nn._mlp import activation_class


class PeriodicEmbedding(nn.Module):
    """Make a vector of waves of each number: relu(W_j [cos 2 pi c_j x_j, sin 2 pi c_j x_j] + b_j).

    Gorishniy et al. (2022), "On Embeddings for Numerical Features in Tabular Deep Learning",
    section 3.3, "PLR". The frequencies c_j are learned, and begin as a normal sample.

    Parameters
    ----------
    n_features : int
        F, number of features.
    n_frequencies : int, default=8
        Waves of a feature.
    d_embedding : int, default=8
        E, length of a feature's vector.
    sigma : float, default=1.0
        Standard deviation of the first frequencies, for numbers of deviation 1.

    Notes
    -----
    Shape: (B, F) -> (B, F E), the vectors of the features side by side.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import PeriodicEmbedding
    >>> PeriodicEmbedding(9)(torch.zeros(4, 9)).shape
    torch.Size([4, 72])
    """

    def __init__(self, n_features, n_frequencies=8, d_embedding=8, sigma=1.0):
        super().__init__()
        self.frequency = nn.Parameter(torch.randn(n_features, n_frequencies) * sigma)
        bound = (2 * n_frequencies) ** -0.5  # as a linear layer that sees the waves
        self.weight = nn.Parameter(torch.empty(n_features, 2 * n_frequencies, d_embedding))
        self.bias = nn.Parameter(torch.empty(n_features, d_embedding))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        """Embed a batch: (B, F) -> (B, F E).

        Parameters
        ----------
        x : Tensor of shape (B, F)
            Numbers of deviation 1, or about.

        Returns
        -------
        Tensor of shape (B, F E)
            At least 0.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import PeriodicEmbedding
        >>> bool((PeriodicEmbedding(2)(torch.ones(3, 2)) >= 0).all())
        True
        """
        phase = 2 * math.pi * x[:, :, None] * self.frequency  # (B, F, n_frequencies)
        waves = torch.cat([phase.cos(), phase.sin()], dim=2).transpose(0, 1)  # (F, B, ...)
        vectors = torch.baddbmm(self.bias[:, None], waves, self.weight)  # (F, B, E)
        return vectors.relu().transpose(0, 1).flatten(1)


class MemberLinear(nn.Module):
    """Linear layers of M members side by side: (M, B, in) -> (M, B, out)."""

    def __init__(self, n_members, n_inputs, n_outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_members, n_inputs, n_outputs))
        self.bias = nn.Parameter(torch.empty(n_members, 1, n_outputs))
        bound = max(n_inputs, 1) ** -0.5  # as torch's own
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        """(M, B, in) -> (M, B, out)."""
        return torch.baddbmm(self.bias, x, self.weight)


class WideMLP(nn.Module):
    """Perceptrons on the ranks of numbers, each with a linear layer on their bins beside it.

    The linear layer is the wide part of Cheng et al. (2016), "Wide & Deep Learning for Recommender
    Systems". Over bins it is a sum of piecewise linear functions of single features, and learned
    in few steps. What features say together is left to the perceptrons, which read the rank of a
    number in its column by a `PeriodicEmbedding`. Members share the bins and no weight: trained on
    the same batches at the same time, each on its own loss, their mean is what is predicted.

    Parameters
    ----------
    encode : PiecewiseLinearEncoding
        Bins of F features.
    n_classes : int
        K, number of outputs.
    hidden_sizes : sequence of int, default=(256, 512, 256)
        Width of every hidden layer.
    activation : {"relu", "tanh", "leaky_relu", "elu", "gelu"}, default="relu"
        Nonlinearity.
    dropout : float, default=0.1
        Probability of zeroing a unit, after every hidden layer.
    n_members : int, default=1
        M, perceptrons with a linear layer each.

    Notes
    -----
    Shape: (B, F) -> (B, K), logits; of several members logarithms of their mean probabilities, but
    in training (M, B, K), logits of each.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import PiecewiseLinearEncoding, WideMLP
    >>> network = WideMLP(PiecewiseLinearEncoding([[0.0, 1.0, 3.0]]), 5, (8,), n_members=3)
    >>> network(torch.zeros(4, 1)).shape, network.eval()(torch.zeros(4, 1)).shape
    (torch.Size([3, 4, 5]), torch.Size([4, 5]))
    """

    def __init__(
        self,
        encode,
        n_classes,
        hidden_sizes=(256, 512, 256),
        activation="relu",
        dropout=0.1,
        n_members=1,
    ):
        super().__init__()
        nonlinearity = activation_class(activation)
        self.n_members = n_members
        self.encode = encode
        self.wide = MemberLinear(n_members, encode.n_outputs, n_classes)
        # the members' embeddings side by side, as if each had features of its own
        self.embed = PeriodicEmbedding(n_members * encode.n_read)
        layers, width = [], self.embed.bias.numel() // n_members
        for size in hidden_sizes:
            layers += [MemberLinear(n_members, width, size), nonlinearity(), BitDropout(dropout)]
            width = size
        self.deep = nn.Sequential(*layers, MemberLinear(n_members, width, n_classes))

    def forward(self, x):
        """Logits of a batch: (B, F) -> (B, K), of several members in training (M, B, K).

        Parameters
        ----------
        x : Tensor of shape (B, F)
            Features.

        Returns
        -------
        Tensor of shape (B, K) or (M, B, K)
            Logits.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import PiecewiseLinearEncoding, WideMLP
        >>> x, encode = torch.ones(1, 1), PiecewiseLinearEncoding([[0.0, 1.0]])
        >>> network = WideMLP(encode, 2, (4,), dropout=0.0, n_members=3)
        >>> mean = network(x).softmax(dim=-1).mean(dim=0)
        >>> torch.allclose(network.eval()(x).exp(), mean)
        True
        """
        bins = self.encode(x)  # (B, n_outputs)
        # ranks are uniform, of deviation 1 / sqrt(12)
        ranks = (self.encode.rank(bins) - 0.5) * math.sqrt(12)  # (B, F)
        of_each = ranks[:, None].expand(-1, self.n_members, -1).flatten(1)  # (B, M F)
        embedded = self.embed(of_each)  # (B, M F E)
        width = self.deep[0].weight.shape[1]
        embedded = embedded.view(x.shape[0], self.n_members, width).transpose(0, 1)
        logits = self.wide(bins.expand(self.n_members, -1, -1)) + self.deep(embedded)  # (M, B, K)
        if self.n_members == 1:
            return logits[0]
        return logits if self.training else member_mean(logits)


def member_mean(logits):
    """Logarithms of the mean probabilities of M members: (M, B, K) -> (B, K).

    Parameters
    ----------
    logits : Tensor of shape (M, B, K)
        Of each member.

    Returns
    -------
    Tensor of shape (B, K)
        Their softmax is the mean of the members'.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import member_mean
    >>> member_mean(torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]]).log()).exp()
    tensor([[0.7000, 0.3000]])
    """
    mean = logits.softmax(dim=-1).mean(dim=0)
    return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()  # what rounds to 0 stays finite
