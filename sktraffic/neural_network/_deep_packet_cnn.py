"""Deep Packet's convolutional network as an estimator."""

from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._bytes import ByteInputs
from sktraffic.neural_network._inputs import check_sizes
from sktraffic.neural_network._params import SHARE, parameter
from sktraffic.nn import DeepPacketCNNNet


class DeepPacketCNN(ByteInputs, BaseTorchClassifier):
    """Deep Packet's convolutional network over bytes.

    Lotfollahi et al. (2020): two convolutions of 200 filters, max-pooling, dense layers of 200,
    100 and 50 units. Kernels and strides are by default the paper's for applications;
    ``kernel_sizes=(5, 4), strides=(3, 3)`` are its for kinds of traffic.

    X of an integer type is bytes, which are divided by 255; the paper takes 1500 of a packet, zeros
    behind short ones. X of a floating type is used as it is.

    Parameters
    ----------
    n_filters : tuple of two int, default=(200, 200)
        Of the convolutions.
    kernel_sizes : tuple of two int, default=(4, 5)
        Of the convolutions, in columns.
    strides : tuple of two int, default=(3, 1)
        Of the convolutions, in columns.
    hidden_sizes : tuple of int, default=(200, 100, 50)
        Width of every dense layer.
    dropout : float, default=0.05
        After every dense layer.
    {shared parameters}

    Attributes
    ----------
    {shared attributes}

    References
    ----------
    Lotfollahi et al., "Deep packet: a novel approach for encrypted traffic classification using
    deep learning", Soft Computing 24(3), 1999-2012, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network import DeepPacketCNN
    >>> X = np.array([[71, 69, 84, 32], [22, 3, 1, 2]] * 16, dtype=np.uint8)
    >>> y = ["http", "tls"] * 16
    >>> clf = DeepPacketCNN(
    ...     (16, 16), hidden_sizes=(16,), lr=0.01, batch_size=8, max_epochs=30, random_state=0
    ... )
    >>> clf.fit(X, y).predict(X[:2]).tolist()
    ['http', 'tls']
    """

    n_filters: tuple = parameter((200, 200), "array-like", kw_only=False)
    kernel_sizes: tuple = parameter((4, 5), "array-like")
    strides: tuple = parameter((3, 1), "array-like")
    hidden_sizes: tuple = parameter((200, 100, 50), "array-like")
    dropout: float = parameter(0.05, SHARE)
    max_epochs: int = 300

    def _build_module(self, n_features, n_classes):
        for name in ("n_filters", "kernel_sizes", "strides"):
            check_sizes(name, getattr(self, name), length=2)
        check_sizes("hidden_sizes", self.hidden_sizes)
        return DeepPacketCNNNet(n_features, n_classes, **self._shared_with(DeepPacketCNNNet))
