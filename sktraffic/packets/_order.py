"""Sorting packets by small numbers."""

import numpy as np

__all__ = ["stable_order"]


def stable_order(numbers):
    """Sort numbers stably, as ``numpy.argsort(numbers, kind="stable")`` does, but faster.

    Parameters
    ----------
    numbers : ndarray of shape (n,), of any integers
        Less than 2**31 of them, and less than 2**31 apart.

    Returns
    -------
    ndarray of shape (n,), int64
    """
    if not len(numbers):
        return np.zeros(0, np.int64)
    low = int(numbers.min())
    if int(numbers.max()) - low < 1 << 16:  # NumPy has a radix sort for 16 bits
        return np.argsort((numbers - low).astype(np.uint16), kind="stable")
    keys = ((numbers.astype(np.int64) - low) << 32) | np.arange(len(numbers))
    keys.sort()
    return keys & 0xFFFFFFFF
