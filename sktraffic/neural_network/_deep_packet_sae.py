"""Deep Packet's stacked auto-encoder as an estimator."""

from functools import partial

import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._bytes import ByteInputs
from sktraffic.neural_network._inputs import check_sizes
from sktraffic.neural_network._net import TensorBatches, TensorData, TensorNet, batch_rows
from sktraffic.neural_network._params import NATURAL, POSITIVE, SHARE, parameter
from sktraffic.neural_network._random import FitRandom
from sktraffic.neural_network._runtime import derive_seed
from sktraffic.nn import DeepPacketSAENet


class DeepPacketSAE(ByteInputs, BaseTorchClassifier):
    """Deep Packet's stacked auto-encoder over bytes.

    Lotfollahi et al. (2020): layers of 400, 300, 200, 100 and 50 units with dropout. Each learns,
    from the bottom up and without labels, to code what enters it; then all of them and a linear
    layer are trained with labels.

    X of an integer type is bytes, which are divided by 255; the paper takes 1500 of a packet, zeros
    behind short ones. X of a floating type is used as it is.

    Parameters
    ----------
    hidden_sizes : tuple of int, default=(400, 300, 200, 100, 50)
        Width of every layer.
    dropout : float, default=0.05
        After every layer.
    pretrain_epochs : int, default=10
        Passes over the training part for each layer before the labels are used; 0 leaves the
        pre-training out.
    pretrain_lr : float, default=0.001
        Learning rate of Adam in the pre-training.
    {shared parameters}

    Attributes
    ----------
    {shared attributes}
    pretrain_history_ : pandas.DataFrame
        Mean squared error of the pre-training: ``layer``, ``epoch``, ``loss``.

    References
    ----------
    Lotfollahi et al., "Deep packet: a novel approach for encrypted traffic classification using
    deep learning", Soft Computing 24(3), 1999-2012, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network import DeepPacketSAE
    >>> X = np.array([[71, 69, 84, 32], [22, 3, 1, 2]] * 16, dtype=np.uint8)
    >>> y = ["http", "tls"] * 16
    >>> clf = DeepPacketSAE((8, 4), lr=0.01, max_epochs=30, random_state=0)
    >>> clf.fit(X, y).predict(X[:2]).tolist()
    ['http', 'tls']
    >>> clf.pretrain_history_["layer"].nunique()
    2
    """

    hidden_sizes: tuple = parameter((400, 300, 200, 100, 50), "array-like", kw_only=False)
    dropout: float = parameter(0.05, SHARE)
    pretrain_epochs: int = parameter(10, NATURAL)
    pretrain_lr: float = parameter(0.001, POSITIVE)
    max_epochs: int = 200

    @property
    def pretrain_history_(self):
        """One row a layer and epoch of the pre-training."""
        check_is_fitted(self)
        rows = [
            (layer, epoch, loss)
            for layer, losses in enumerate(self._pretrain_losses, start=1)
            for epoch, loss in enumerate(losses, start=1)
        ]
        return pd.DataFrame(rows, columns=["layer", "epoch", "loss"])

    def _without_effect(self):
        yield from super()._without_effect()
        if not self.pretrain_epochs:
            yield "pretrain_lr", "pretrain_epochs=0"

    def _build_module(self, n_features, n_classes):
        check_sizes("hidden_sizes", self.hidden_sizes, at_least=1)
        return DeepPacketSAENet(n_features, n_classes, **self._shared_with(DeepPacketSAENet))

    def _train(self, train, valid, seed, *args, **options):
        self._pretrain_on = train, seed  # what the layers of a new module learn to code
        try:
            super()._train(train, valid, seed, *args, **options)
        finally:
            del self._pretrain_on

    def _new_module(self):
        module = super()._new_module()
        if "_pretrain_on" not in self.__dict__:
            return module
        (X, target, weight), seed = self._pretrain_on
        weight = None if weight is None else weight * (len(weight) / weight.sum())
        data = self._tensors(X, target, weight)
        module = module.to(data.X.device, data.X.dtype)
        self._pretrain_losses = pretrain_layers(
            module,
            data.X,
            data.weight,
            lr=self.pretrain_lr,
            batch_size=batch_rows(self.batch_size, len(X)),
            max_epochs=self.pretrain_epochs,
            seed=derive_seed(seed, 4),
        )
        return module


def pretrain_layers(net, X, weight=None, lr=1e-3, batch_size=256, max_epochs=10, seed=0):
    """Teach each layer of a stacked auto-encoder, from the bottom up, to code what enters it.

    Layer i and a linear decoder of its own learn to give back the codes of the layers below; then
    the codes of layer i are what layer i + 1 learns from. The decoders are thrown away. The network
    is changed in place and left in training mode. X (N, T) and the weights of its rows in the error
    (N,), of mean one, are on the network's device; returned is the mean squared error of every
    layer and epoch.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.neural_network._deep_packet_sae import pretrain_layers
    >>> from sktraffic.nn import DeepPacketSAENet
    >>> net = DeepPacketSAENet(6, 2, hidden_sizes=(4, 2))
    >>> losses = pretrain_layers(net, torch.rand(32, 6), max_epochs=3)
    >>> [len(layer) for layer in losses]
    [3, 3]
    """
    losses, codes = [], X
    for number, layer in enumerate(net.layers):
        losses.append([])
        if max_epochs:
            data = TensorData(codes, codes, weight)
            coder = _coder(layer, data, lr, batch_size, derive_seed(seed, number))
            coder.partial_fit(data, epochs=max_epochs)
            if coder.interrupted_:
                raise KeyboardInterrupt
            losses[-1] = coder.history[:, "train_loss"]
        layer.eval()
        with torch.no_grad():
            codes = torch.cat([layer(part) for part in codes.split(batch_size)])
    net.train()
    return losses


def _coder(layer, data, lr, batch_size, seed):
    """Net of a layer and a new decoder that is to give back what entered."""
    random = FitRandom(seed)
    with random:
        decoder = nn.Linear(layer[0].out_features, layer[0].in_features).to(data.X)
    order = torch.Generator().manual_seed(derive_seed(seed, 0))
    return TensorNet(
        nn.Sequential(layer, decoder),
        criterion=_MeanSquare,
        optimizer=torch.optim.Adam,
        lr=lr,
        batch_size=batch_size,
        iterator_train=partial(TensorBatches, generator=order),
        device=data.X.device,
        verbose=0,
        random=random,
    ).initialize()


class _MeanSquare(nn.Module):
    """Mean over rows and columns of the squared error; rows may have weights."""

    def forward(self, decoded, rows, weight=None):
        error = (decoded - rows).square().mean(dim=1)  # (B,)
        return (error if weight is None else error * weight).mean()
