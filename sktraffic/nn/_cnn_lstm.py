"""Convolutions followed by an LSTM, the third baseline of the BiGRU-DA-BERT paper."""

from torch import nn

from sktraffic.nn._deep_packet import dense_layers


class CNNLSTMNet(nn.Module):
    """Convolution blocks that shorten the sequence, an LSTM over what is left, dense layers.

    The paper names the baseline without its sizes; these are of the CNN + LSTM of Lopez-Martin et
    al. (2017), "Network traffic classifier with convolutional and recurrent neural networks for
    Internet of Things", IEEE Access 5, 18042-18050 (32 and 64 filters with pooling and
    normalisation, LSTM of 100, dense layer of 100), with convolutions over time alone. It
    normalises each session by itself and not over its batch: a batch's statistics would make a
    session's weight differ from its repetition, and training differ from prediction.

    Parameters
    ----------
    n_features : int
        Columns: T steps of `n_channels` values each.
    n_classes : int
        Number K of classes.
    n_channels : int, default=1
        Number C of values a step; columns 0 to C - 1 are the first step, as `PacketSequences`
        orders them.
    n_filters : tuple of int, default=(32, 64)
        One convolution block each.
    kernel_size : int, default=4
    lstm_hidden_size : int, default=100
    hidden_sizes : tuple of int, default=(100,)
        Of the dense layers.
    dropout : float, default=0.2

    Notes
    -----
    Shapes: x (B, T C); output (B, K). Every block halves the number of steps, rounded up.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import CNNLSTMNet
    >>> CNNLSTMNet(784, 20)(torch.zeros(2, 784)).shape
    torch.Size([2, 20])
    """

    def __init__(
        self,
        n_features,
        n_classes,
        n_channels=1,
        n_filters=(32, 64),
        kernel_size=4,
        lstm_hidden_size=100,
        hidden_sizes=(100,),
        dropout=0.2,
    ):
        super().__init__()
        if n_features % n_channels:
            raise ValueError(
                f"{n_features} columns cannot be steps of {n_channels} values each; give "
                "n_channels a divisor of the number of columns."
            )
        self.n_channels = n_channels
        blocks, n_in = [], n_channels
        for n_out in n_filters:
            blocks += [
                nn.Conv1d(n_in, n_out, kernel_size, padding=kernel_size // 2),
                nn.ReLU(),
                nn.MaxPool1d(2, ceil_mode=True),
                nn.GroupNorm(1, n_out),
            ]
            n_in = n_out
        self.convolutions = nn.Sequential(*blocks)
        self.lstm = nn.LSTM(n_in, lstm_hidden_size, batch_first=True)
        widths = (lstm_hidden_size, *hidden_sizes)
        self.dense = nn.Sequential(*dense_layers(widths, dropout))
        self.head = nn.Linear(widths[-1], n_classes)

    def forward(self, x):
        """Score.

        Parameters
        ----------
        x : Tensor of shape (B, T C)

        Returns
        -------
        Tensor of shape (B, K)
            Logits.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import CNNLSTMNet
        >>> CNNLSTMNet(40, 3)(torch.zeros(2, 40)).shape
        torch.Size([2, 3])
        """
        series = x.unflatten(1, (-1, self.n_channels)).transpose(1, 2)  # (B, C, T)
        x = self.convolutions(series)  # (B, filters, T')
        _, (last, _) = self.lstm(x.transpose(1, 2))  # (1, B, hidden)
        return self.head(self.dense(last[0]))
