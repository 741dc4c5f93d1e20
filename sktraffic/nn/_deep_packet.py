"""Deep Packet's two networks: a convolutional one and a stacked auto-encoder.

Sizes after Lotfollahi et al. (2020), "Deep packet: a novel approach for encrypted traffic
classification using deep learning", Soft Computing 24(3), 1999-2012.
"""

import itertools

import torch.nn.functional as F
from torch import nn


def dense_layers(sizes, dropout):
    """Linear, ReLU and dropout between every two neighbours of `sizes`, one block a layer."""
    return [
        nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout))
        for n_in, n_out in itertools.pairwise(sizes)
    ]


class DeepPacketCNNNet(nn.Module):
    """Two convolutions over the bytes, a max-pooling, three dense layers, a linear one.

    Parameters
    ----------
    n_features : int
        Number T of bytes; the paper has 1500. Fewer than the convolutions need are padded with
        zeros on the right, as the paper pads short packets.
    n_classes : int
        Number K of classes.
    n_filters : tuple of two int, default=(200, 200)
    kernel_sizes : tuple of two int, default=(4, 5)
        The paper's for applications; (5, 4) for kinds of traffic.
    strides : tuple of two int, default=(3, 1)
        The paper's for applications; (3, 3) for kinds of traffic.
    hidden_sizes : tuple of int, default=(200, 100, 50)
    dropout : float, default=0.05

    Notes
    -----
    Shapes: x (B, T), bytes as numbers from 0 to 1; output (B, K).

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import DeepPacketCNNNet
    >>> DeepPacketCNNNet(1500, 17)(torch.zeros(2, 1500)).shape
    torch.Size([2, 17])
    """

    def __init__(
        self,
        n_features,
        n_classes,
        n_filters=(200, 200),
        kernel_sizes=(4, 5),
        strides=(3, 1),
        hidden_sizes=(200, 100, 50),
        dropout=0.05,
    ):
        super().__init__()
        (k1, k2), (s1, s2) = kernel_sizes, strides
        # the pooling needs two outputs of the second convolution
        shortest = k1 + s1 * (k2 + s2 - 1)
        self.missing = max(0, shortest - n_features)
        length = n_features + self.missing
        length = ((length - k1) // s1 + 1 - k2) // s2 + 1
        self.conv1 = nn.Conv1d(1, n_filters[0], k1, stride=s1)
        self.conv2 = nn.Conv1d(n_filters[0], n_filters[1], k2, stride=s2)
        self.pool = nn.MaxPool1d(2)
        sizes = (n_filters[1] * (length // 2), *hidden_sizes)
        self.dense = nn.Sequential(*dense_layers(sizes, dropout))
        self.head = nn.Linear(sizes[-1], n_classes)

    def forward(self, x):
        """Score.

        Parameters
        ----------
        x : Tensor of shape (B, T)

        Returns
        -------
        Tensor of shape (B, K)
            Logits.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import DeepPacketCNNNet
        >>> DeepPacketCNNNet(40, 3)(torch.zeros(2, 40)).shape
        torch.Size([2, 3])
        """
        x = F.pad(x, (0, self.missing)).unsqueeze(1)  # (B, 1, T)
        x = F.relu(self.conv2(F.relu(self.conv1(x))))  # (B, filters, T'')
        return self.head(self.dense(self.pool(x).flatten(1)))


class DeepPacketSAENet(nn.Module):
    """Encoder of a stacked auto-encoder with a linear layer on top.

    Parameters
    ----------
    n_features : int
        Number T of bytes.
    n_classes : int
        Number K of classes.
    hidden_sizes : tuple of int, default=(400, 300, 200, 100, 50)
    dropout : float, default=0.05

    Notes
    -----
    Shapes: x (B, T), bytes as numbers from 0 to 1; output (B, K).

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import DeepPacketSAENet
    >>> DeepPacketSAENet(1500, 17)(torch.zeros(2, 1500)).shape
    torch.Size([2, 17])
    """

    def __init__(self, n_features, n_classes, hidden_sizes=(400, 300, 200, 100, 50), dropout=0.05):
        super().__init__()
        self.layers = nn.ModuleList(dense_layers((n_features, *hidden_sizes), dropout))
        self.head = nn.Linear(hidden_sizes[-1], n_classes)

    def encode(self, x):
        """Code.

        Parameters
        ----------
        x : Tensor of shape (B, T)

        Returns
        -------
        Tensor of shape (B, hidden_sizes[-1])

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import DeepPacketSAENet
        >>> DeepPacketSAENet(40, 3).encode(torch.zeros(2, 40)).shape
        torch.Size([2, 50])
        """
        for layer in self.layers:
            x = layer(x)
        return x

    def forward(self, x):
        """Score.

        Parameters
        ----------
        x : Tensor of shape (B, T)

        Returns
        -------
        Tensor of shape (B, K)
            Logits.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import DeepPacketSAENet
        >>> DeepPacketSAENet(40, 3)(torch.zeros(2, 40)).shape
        torch.Size([2, 3])
        """
        return self.head(self.encode(x))
