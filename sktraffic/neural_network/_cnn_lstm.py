"""Convolutions and an LSTM as an estimator."""

from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._bytes import ByteInputs
from sktraffic.neural_network._inputs import check_sizes
from sktraffic.neural_network._params import COUNT, SHARE, parameter
from sktraffic.nn import CNNLSTMNet


class CNNLSTM(ByteInputs, BaseTorchClassifier):
    """Convolutions followed by an LSTM, over bytes or over the first packets of sessions.

    A baseline of the BiGRU-DA-BERT paper, which gives no sizes; these are of Lopez-Martin et al.
    (2017): 32 and 64 filters with pooling and normalisation, LSTM of 100 units, dense layer of 100.

    X of an integer type is bytes, which are divided by 255. X of a floating type is used as it is;
    with ``n_channels=3`` it may come from ``PacketSequences`` with three fields.

    Parameters
    ----------
    n_filters : tuple of int, default=(32, 64)
        One convolution each; every one halves the number of steps.
    n_channels : int, default=1
        Neighbouring columns that make one step.
    kernel_size : int, default=4
        Of the convolutions, in steps.
    lstm_hidden_size : int, default=100
        Width of the LSTM.
    hidden_sizes : tuple of int, default=(100,)
        Width of every dense layer.
    dropout : float, default=0.2
        After every dense layer.
    {shared parameters}

    Attributes
    ----------
    {shared attributes}

    References
    ----------
    Lopez-Martin et al., "Network traffic classifier with convolutional and recurrent neural
    networks for Internet of Things", IEEE Access 5, 18042-18050, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.neural_network import CNNLSTM
    >>> X = np.array([[71, 69, 84, 32], [22, 3, 1, 2]] * 16, dtype=np.uint8)
    >>> y = ["http", "tls"] * 16
    >>> clf = CNNLSTM(n_filters=(8,), lstm_hidden_size=8, lr=0.01, max_epochs=20, random_state=0)
    >>> clf.fit(X, y).predict(X[:2]).tolist()
    ['http', 'tls']
    """

    n_filters: tuple = parameter((32, 64), "array-like", kw_only=False)
    n_channels: int = parameter(1, COUNT)
    kernel_size: int = parameter(4, COUNT)
    lstm_hidden_size: int = parameter(100, COUNT)
    hidden_sizes: tuple = parameter((100,), "array-like")
    dropout: float = parameter(0.2, SHARE)

    def _build_module(self, n_features, n_classes):
        check_sizes("n_filters", self.n_filters)
        check_sizes("hidden_sizes", self.hidden_sizes)
        return CNNLSTMNet(n_features, n_classes, **self._shared_with(CNNLSTMNet))
