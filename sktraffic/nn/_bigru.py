"""Bidirectional GRU over padded sequences (BiGRU-DA-BERT, equations 2 to 5)."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class BiGRU(nn.Module):
    """GRU in both directions that starts its way back at a sequence's last token, not its padding.

    PyTorch's GRU is the paper's with z and 1 - z exchanged: the paper's z lets the candidate in
    (equation 5), PyTorch's lets the previous state stay. Negating W_z, U_z and b_z turns one into
    the other. PyTorch adds a second bias to the recurrent part of each gate, which equations 2 to 4
    have at 0.

    Parameters
    ----------
    input_size : int
        Width D of the input.
    hidden_size : int, default=768
        Width H of one direction.
    n_layers : int, default=2
    dropout : float, default=0.5
        Between the layers; a single layer has none.

    Notes
    -----
    Shapes: x (B, T, D), mask (B, T) with True for a token; output (B, T, 2 H), 0 after the last
    token of a row.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import BiGRU
    >>> BiGRU(8, hidden_size=3)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 6])
    """

    def __init__(self, input_size, hidden_size=768, n_layers=2, dropout=0.5):
        super().__init__()
        self.out_features = 2 * hidden_size
        self.gru = nn.GRU(
            input_size,
            hidden_size,
            n_layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if n_layers > 1 else 0.0,
        )

    def forward(self, x, mask=None):
        """Run both ways.

        Parameters
        ----------
        x : Tensor of shape (B, T, D)
        mask : Tensor of shape (B, T), bool, optional
            True where there is a token; what lies behind a row's last one is left out.

        Returns
        -------
        Tensor of shape (B, T, 2 H)

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import BiGRU
        >>> out = BiGRU(4, hidden_size=3)(torch.ones(1, 3, 4), torch.tensor([[True, True, False]]))
        >>> out.shape, bool(out[0, 2].any())
        (torch.Size([1, 3, 6]), False)
        """
        if mask is None:
            return self.gru(x)[0] if x.is_cuda else self._layers(x, self._both_ways)
        step = torch.arange(1, x.shape[1] + 1, device=x.device)
        length = (mask * step).amax(dim=1).clamp(min=1)  # (B,), up to the last token
        if x.is_cuda:
            return self._packed(x, length)
        # an exported graph has no branches
        if not torch.compiler.is_compiling() and int(length.min()) == x.shape[1]:
            return self._layers(x, self._both_ways)
        return self._turned(x, length)

    def _packed(self, x, length):
        """Leave the padding out; cuDNN wants the weights of all layers in one piece."""
        packed = pack_padded_sequence(x, length.cpu(), batch_first=True, enforce_sorted=False)
        out, _ = self.gru(packed)
        return pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0]

    def _turned(self, x, length):
        """Turn each row round within its length for the way back.

        The same as `_packed`, whose backward pass PyTorch runs several times slower on the CPU
        than that of a plain GRU.
        """
        return self._layers(x, partial(self._by_direction, length=length))

    def _layers(self, x, one_layer):
        """Run the layers one by one, so that dropout between them is a call of its own."""
        weights = self.gru.all_weights  # there and back, layer after layer
        for layer in range(self.gru.num_layers):
            if layer:
                x = F.dropout(x, self.gru.dropout, self.training)
            x = one_layer(x, weights[2 * layer], weights[2 * layer + 1])
        return x

    def _both_ways(self, x, there, back):
        """One layer of torch's own GRU: (B, T, D) -> (B, T, 2 H)."""
        start = x.new_zeros(2, x.shape[0], self.gru.hidden_size)
        return torch.gru(x, start, [*there, *back], True, 1, 0.0, self.training, True, True)[0]

    def _by_direction(self, x, there, back, length):
        """Run one layer each way: (B, T, D) -> (B, T, 2 H)."""
        step = torch.arange(x.shape[1], device=x.device)
        inside = step < length[:, None]  # (B, T)
        turned = torch.where(inside, length[:, None] - 1 - step, step).unsqueeze(-1)  # (B, T, 1)
        forth = self._one_way(x, there)  # (B, T, H)
        turned_back = self._one_way(x.gather(1, turned.expand_as(x)), back)
        x = torch.cat([forth, turned_back.gather(1, turned.expand_as(turned_back))], dim=-1)
        return x * inside.unsqueeze(-1)

    def _one_way(self, x, weights):
        """Run one layer in one direction; x (B, T, D) -> (B, T, H)."""
        start = x.new_zeros(1, x.shape[0], self.gru.hidden_size)
        return torch.gru(x, start, weights, True, 1, 0.0, self.training, False, True)[0]
