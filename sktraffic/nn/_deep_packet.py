"""Deep Packet's two networks: a convolutional one and a stacked auto-encoder.

Sizes after Lotfollahi et al. (2020), "Deep packet: a novel approach for encrypted traffic
classification using deep learning", Soft Computing 24(3), 1999-2012.
"""

import itertools

import torch
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


def pretrain_layers(
    net,
    X,
    weight=None,
    lr=1e-3,
    batch_size=256,
    max_epochs=10,
    generator=None,
):
    """Teach each layer of a stacked auto-encoder, from the bottom up, to code what enters it.

    Layer i and a linear decoder of its own learn to give back the codes of the layers below; then
    the codes of layer i are what layer i + 1 learns from. The decoders are thrown away.

    Parameters
    ----------
    net : DeepPacketSAENet
        Changed in place; it is left in training mode.
    X : Tensor of shape (N, T)
        On the network's device.
    weight : Tensor of shape (N,), optional
        Of the rows in the error; all alike without it.
    lr : float, default=1e-3
        Of Adam.
    batch_size : int, default=256
    max_epochs : int, default=10
        For each layer.
    generator : torch.Generator, optional
        Of the CPU; decides the order of the rows.

    Returns
    -------
    list of list of float
        Mean squared error of every layer and epoch.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import DeepPacketSAENet, pretrain_layers
    >>> net = DeepPacketSAENet(6, 2, hidden_sizes=(4, 2))
    >>> losses = pretrain_layers(net, torch.rand(32, 6), max_epochs=3)
    >>> [len(layer) for layer in losses]
    [3, 3]
    """
    losses, codes = [], X
    weight = torch.ones(len(X), dtype=X.dtype, device=X.device) if weight is None else weight
    for layer in net.layers:
        batches = _Batches(codes, weight, batch_size, generator)
        losses.append(_fit_layer(layer.train(), batches, lr, max_epochs))
        layer.eval()
        with torch.no_grad():
            codes = torch.cat([layer(part) for part in codes.split(batch_size)])
    net.train()
    return losses


class _Batches:
    """Shuffled slices of rows and their weights; one batch of all rows keeps their order."""

    def __init__(self, rows, weight, batch_size, generator):
        self.rows, self.weight, self.size, self.generator = rows, weight, batch_size, generator

    def __iter__(self):
        if len(self.rows) <= self.size:
            yield self.rows, self.weight
            return
        order = torch.randperm(len(self.rows), generator=self.generator).to(self.rows.device)
        for part in order.split(self.size):
            yield self.rows[part], self.weight[part]


def _fit_layer(layer, batches, lr, max_epochs):
    """Train one layer and a decoder; returns each epoch's weighted mean squared error."""
    decoder = nn.Linear(layer[0].out_features, layer[0].in_features).to(batches.rows)
    optimizer = torch.optim.Adam([*layer.parameters(), *decoder.parameters()], lr=lr)
    losses = []
    for _ in range(max_epochs):
        total = 0.0
        for rows, weight in batches:
            error = (decoder(layer(rows)) - rows).square().mean(dim=1)  # (B,)
            loss = (error * weight).sum() / weight.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += (error.detach() * weight).sum().item()
        losses.append(total / batches.weight.sum().item())
    return losses
