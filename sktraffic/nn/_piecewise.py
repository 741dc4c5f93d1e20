"""Numbers as how far they have come through the bins of their column."""

import numpy as np
import torch
from torch import nn


class PiecewiseLinearEncoding(nn.Module):
    """Turn every number into a value between 0 and 1 for each bin of its column.

    Gorishniy et al. (2022), "On Embeddings for Numerical Features in Tabular Deep Learning",
    eq. 1, without its extrapolation: 0 in bins above the number, 1 in bins below it, and the share
    of the bin that lies below the number in the bin that holds it. A linear layer behind it is a
    sum of piecewise linear functions of the columns. With edges that are quantiles, the scale of a
    column no longer matters, and what lies outside the edges counts as the nearest of them.

    Parameters
    ----------
    edges : array-like of shape (F, n_edges)
        Rising edges of each column's bins, NaN after the last. A column of fewer than two edges
        has no bins and is not read.
    dtype : torch.dtype, default=torch.float32
        Of the numbers to encode.

    Attributes
    ----------
    n_outputs : int
        Bins of all columns.
    n_read : int
        Columns that have bins.

    Notes
    -----
    Shape: (B, F) -> (B, n_outputs).

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sktraffic.nn import PiecewiseLinearEncoding
    >>> encode = PiecewiseLinearEncoding([[0.0, 10.0, 1000.0], [2.0, np.nan, np.nan]])
    >>> encode(torch.tensor([[5.0, 1.0], [505.0, 3.0], [-1.0, 2.0]]))
    tensor([[0.5000, 0.0000],
            [1.0000, 0.5000],
            [0.0000, 0.0000]])
    """

    def __init__(self, edges, dtype=torch.float32):
        super().__init__()
        edges = np.asarray(edges, dtype=np.float64)
        column, bin_number = np.nonzero(~np.isnan(edges[:, 1:]))
        left = edges[column, bin_number]
        scale = 1 / (edges[column, bin_number + 1] - left)
        self.n_outputs = len(column)
        read, start, n_bins = np.unique(column, return_index=True, return_counts=True)
        self.n_read = len(read)
        # of each output; made anew from the edges, so no part of the module's weights
        found = {"column": column, "left": left, "scale": scale}
        # of each column that has bins: its first output, its last, and their number
        found |= {"start": start, "last": start + n_bins - 1, "n_bins": n_bins.astype(np.float64)}
        for name, values in found.items():
            values = torch.as_tensor(values)
            values = values.to(dtype) if values.is_floating_point() else values
            self.register_buffer(name, values, persistent=False)

    def forward(self, x):
        """Encode a batch: (B, F) -> (B, n_outputs).

        Parameters
        ----------
        x : Tensor of shape (B, F)
            Numbers, in the unit of the edges.

        Returns
        -------
        Tensor of shape (B, n_outputs)
            Between 0 and 1; the bins of one column side by side.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import PiecewiseLinearEncoding
        >>> PiecewiseLinearEncoding([[0.0, 1.0, 3.0]])(torch.tensor([[2.0]]))
        tensor([[1.0000, 0.5000]])
        """
        passed = (x[:, self.column] - self.left) * self.scale
        return passed.clamp(0, 1)

    def rank(self, bins):
        """Share of its column's bins that a number has passed: (B, n_outputs) -> (B, n_read).

        Parameters
        ----------
        bins : Tensor of shape (B, n_outputs)
            From `forward`.

        Returns
        -------
        Tensor of shape (B, n_read)
            Between 0 and 1, for each column that has bins.

        Examples
        --------
        >>> import torch
        >>> from sktraffic.nn import PiecewiseLinearEncoding
        >>> encode = PiecewiseLinearEncoding([[0.0, 1.0, 3.0]])
        >>> encode.rank(encode(torch.tensor([[2.0]])))
        tensor([[0.7500]])
        """
        # sums over each column as differences of running sums, whose rounding doubles keep small
        passed = bins.cumsum(dim=1, dtype=torch.float64)
        sums = passed[:, self.last] - passed[:, self.start] + bins[:, self.start]
        return sums.to(bins.dtype) / self.n_bins
