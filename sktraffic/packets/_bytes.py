"""Numbers at many places of a byte array at once, and never beyond its end."""

import numpy as np
import pyarrow as pa

__all__ = ["PADDING", "be16", "be32", "binaries", "number_at", "numbers", "slices", "window"]

# zeros that readers leave behind a block's bytes, so that headers are copied without a look at
# whether they end inside
PADDING = 64


def numbers(data, dtype):
    """View a byte array as the number at each of its positions; shape (n_bytes - size + 1,)."""
    dtype = np.dtype(dtype)
    return np.ndarray((max(len(data) - dtype.itemsize + 1, 0),), dtype, data, strides=(1,))


def number_at(data, at, stop, dtype=">u2"):
    """Read a number at many places.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    at, stop : ndarray of shape (n,), int64
        A number that does not lie within ``data[:stop[i]]`` reads as 0.
    dtype : str or dtype
        Byte order and size.

    Returns
    -------
    ndarray of shape (n,), int64

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import number_at
    >>> data = np.arange(1, 5, dtype=np.uint8)
    >>> number_at(data, np.array([0, 2, 3]), np.array([4, 4, 4]))
    array([258, 772,   0])
    """
    size = np.dtype(dtype).itemsize
    inside = (at >= 0) & (at + size <= np.minimum(stop, len(data)))
    if not inside.any():
        return np.zeros(len(at), np.int64)
    found = numbers(data, dtype)[np.where(inside, at, 0)]
    return np.where(inside, found, 0).astype(np.int64)


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
        # every position of `data` as one item of `width` bytes, so that a row is one copy
        items = numbers(data, f"V{width}")
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
    """Read a big-endian 16-bit number from each row of bytes; int64.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import be16
    >>> be16(np.array([[1, 187, 0]], np.uint8), 0)
    array([443])
    """
    return rows[:, column : column + 2].view(">u2")[:, 0].astype(np.int64)


def be32(rows, column):
    """Read a big-endian 32-bit number from each row of bytes; int64.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import be32
    >>> be32(np.array([[9, 0, 0, 1, 0]], np.uint8), 1)
    array([256])
    """
    return rows[:, column : column + 4].view(">u4")[:, 0].astype(np.int64)


def binaries(data, start, stop):
    """Copy slices of a byte array into an Arrow array of binaries.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    start, stop : ndarray of shape (n,), int64
        Places in `data`; slices that end before they begin are empty.

    Returns
    -------
    pyarrow.BinaryArray of length n

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import binaries
    >>> data = np.frombuffer(b"abcdef", np.uint8)
    >>> binaries(data, np.array([0, 3]), np.array([2, 6])).to_pylist()
    [b'ab', b'def']
    """
    n = len(start)
    # slices and the gaps between them, as one array of binaries over the bytes that are there
    ends = np.empty(2 * n + 1, np.int32)
    ends[0:-1:2], ends[1::2] = start, np.maximum(start, stop)
    ends[-1] = ends[-2] if n else 0
    if n and (ends[0] < 0 or ends[-1] > len(data) or (ends[1:] < ends[:-1]).any()):
        return _in_any_order(data, start, stop)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
    whole = pa.Array.from_buffers(pa.binary(), 2 * n, buffers)
    return whole.take(pa.array(np.arange(0, 2 * n, 2)))


def _in_any_order(data, start, stop):
    view = memoryview(data)
    return pa.array(
        [view[a : max(a, b)] for a, b in zip(start.tolist(), stop.tolist(), strict=True)],
        pa.binary(),
    )


def slices(data, start, stop):
    """Put slices of a byte array one behind the other.

    Parameters
    ----------
    data, start, stop
        As for :func:`binaries`.

    Returns
    -------
    content : ndarray of uint8
    offsets : ndarray of shape (n + 1,), int64
        Slice i is ``content[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import slices
    >>> data = np.frombuffer(b"abcdef", np.uint8)
    >>> content, offsets = slices(data, np.array([0, 3]), np.array([2, 6]))
    >>> content.tobytes(), offsets
    (b'abdef', array([0, 2, 5]))
    """
    array = binaries(data, start, stop)
    offsets = np.frombuffer(array.buffers()[1], np.int32)[: len(array) + 1].astype(np.int64)
    content = array.buffers()[2]
    content = np.zeros(0, np.uint8) if content is None else np.frombuffer(content, np.uint8)
    return content[: offsets[-1]], offsets
