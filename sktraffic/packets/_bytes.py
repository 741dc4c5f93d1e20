"""Numbers at many places of a byte array at once."""

import numpy as np

__all__ = ["be16", "be32", "window"]


def window(data, start, stop, width):
    """Copy the first bytes of many slices into the rows of a matrix, zeros behind their ends.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    start, stop : ndarray of shape (n,), int64
        Row i holds ``data[start[i]:stop[i]]``, cut or filled to `width`. Positions outside `data`
        and slices that end before they begin give zeros.
    width : int

    Returns
    -------
    ndarray of shape (n, width), uint8

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import window
    >>> data = np.arange(1, 8, dtype=np.uint8)
    >>> window(data, np.array([0, 4]), np.array([4, 6]), 3)
    array([[1, 2, 3],
           [5, 6, 0]], dtype=uint8)
    """
    n, size = len(start), len(data)
    length = np.minimum(stop, size) - start
    whole = (length >= width) & (start >= 0)
    every = bool(whole.all())
    out = np.zeros((0 if every else n, width), dtype=np.uint8)
    if size >= width and whole.any():
        # Every position of `data` as one item of `width` bytes, so that a row is one copy.
        items = np.ndarray((size - width + 1,), dtype=f"V{width}", buffer=data, strides=(1,))
        if every:
            return items[start].view(np.uint8).reshape(n, width)
        out[whole] = items[start[whole]].view(np.uint8).reshape(-1, width)
    if every:
        return out
    part = np.flatnonzero(~whole & (length > 0) & (start >= 0))
    if len(part):
        columns = np.arange(width)
        index = np.minimum(start[part, None] + columns, size - 1)
        out[part] = np.where(columns < length[part, None], data[index], 0)
    return out


def be16(rows, column):
    """Read a big-endian 16-bit number from each row; int64."""
    return rows[:, column : column + 2].view(">u2")[:, 0].astype(np.int64)


def be32(rows, column):
    """Read a big-endian 32-bit number from each row; int64."""
    return rows[:, column : column + 4].view(">u4")[:, 0].astype(np.int64)
