"""What a fit is made of, as short texts that compare: the parameters, the data, the seed."""

import hashlib
import os
from collections.abc import Mapping

import numpy as np
import torch

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
#: dtypes whose memory is their value, in NumPy's one-letter kinds
_RAW_KINDS = "biufcSUmM?"


def describe(value):
    """Short text that is equal for equal values only: the value itself, or a hash of it.

    Parameters
    ----------
    value : object
        Plain values, arrays, tensors, containers of them, estimators, functions, other objects.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the value holds itself, or what no one can look into.

    Examples
    --------
    >>> from sktraffic.neural_network._fingerprint import describe
    >>> describe(0.01), describe("focal")
    ('0.01', "'focal'")
    >>> describe([1, 2]) == describe((1, 2)), describe({1, 2}) == describe({2, 1})
    (False, True)
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, _PLAIN) and len(repr(value)) <= 40:
        return repr(value)
    digest = hashlib.blake2b(digest_size=12)
    try:
        _feed(digest, value)
    except (RecursionError, TypeError) as error:
        raise ValueError(
            f"{type(value).__name__} {value!r} cannot be compared from one run to the next, so a "
            "fit with it cannot be resumed. Pass plain values, arrays, named functions or "
            "estimators, or train without resumable_training."
        ) from error
    return f"{type(value).__name__} {digest.hexdigest()}"


def differences(saved, present):
    """Say how two dicts of texts differ, in words; empty where they do not.

    Examples
    --------
    >>> from sktraffic.neural_network._fingerprint import differences
    >>> differences({"lr": "0.1", "X": "a"}, {"lr": "0.2", "X": "a"})
    'lr (saved 0.1, now 0.2)'
    """
    names = [n for n in [*saved, *present] if saved.get(n) != present.get(n)]
    return ", ".join(
        f"{name} (saved {saved.get(name, 'nothing')}, now {present.get(name, 'nothing')})"
        for name in dict.fromkeys(names)
    )


def _feed(digest, value):
    """Put a value into a hash: its type first, then its content."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype is torch.bfloat16 else value
        value = value.numpy()
    elif isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in _RAW_KINDS:
        digest.update(f"array {value.dtype.str} {value.shape};".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    elif isinstance(value, np.ndarray):
        _feed_all(digest, "array", value.tolist())
    elif isinstance(value, _PLAIN):
        digest.update(f"{type(value).__name__} {value!r};".encode())
    elif isinstance(value, Mapping):
        # the order in which parameters were written down does not matter
        _feed_all(digest, "dict", sorted(value.items(), key=lambda item: repr(item[0])))
    elif isinstance(value, list | tuple):
        _feed_all(digest, type(value).__name__, value)
    elif isinstance(value, set | frozenset):
        _feed_all(digest, "set", sorted(describe(item) for item in value))
    elif hasattr(value, "__qualname__"):
        digest.update(f"name {value.__module__}.{value.__qualname__};".encode())
    elif hasattr(value, "get_params"):
        _feed_all(digest, "estimator", [type(value), value.get_params(deep=False)])
    else:
        # what pickle would write: the class and the content
        _feed_all(digest, "object", value.__reduce_ex__(4)[:4])


def _feed_all(digest, kind, items):
    items = list(items)
    digest.update(f"{kind} {len(items)};".encode())
    for item in items:
        _feed(digest, item)
