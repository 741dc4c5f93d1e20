"""Checks of what a fit is given: pure functions with errors that say what to do."""

import copy
from numbers import Integral

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets


def quick_array(X, n_features, dtype):
    """Pass plain arrays that need no more than a cast; None sends the rest to scikit-learn.

    scikit-learn's own check takes longer than a small network takes for one session. Whatever it
    would refuse, convert or warn of goes to it, so that its message is the one that users see.
    """
    if type(X) is not np.ndarray or X.dtype.char not in "fd" or X.ndim != 2:
        return None
    if X.shape[1] != n_features or not len(X):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        X = X.astype(dtype, copy=False)
        total = X.sum()  # as scikit-learn: a finite sum has finite terms only
    return X if np.isfinite(total) else None


def dense(X):
    """Give a sparse X as a dense array: that is what a network reads."""
    return X.toarray() if sparse.issparse(X) else X


def check_metadata(X, sample_weight, groups):
    """Weights and groups as arrays, one entry a row of X; None where they were not given."""
    if groups is not None:
        groups = column_or_1d(groups)
        check_consistent_length(X, groups)
    if sample_weight is None:
        return None, groups
    if np.isscalar(sample_weight):
        sample_weight = np.full(len(X), sample_weight)
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.shape != (len(X),):
        raise ValueError(
            f"sample_weight has shape {weight.shape}, expected ({len(X)},): one number a row."
        )
    if (weight < 0).any() or not weight.any():
        raise ValueError(
            "sample_weight must be zero or more everywhere and above zero somewhere, got values "
            f"from {weight.min()} to {weight.max()}: no negative weight, and not all zero."
        )
    return weight, groups


def drop_zero_weights(X, target, weight, groups):
    """Leave out rows of weight zero; rows of two classes must remain to be told apart."""
    kept = None if weight is None else np.flatnonzero(weight)
    if kept is None or len(kept) == len(X):
        return X, target, weight, groups
    if np.ptp(target[kept]) == 0:
        raise ValueError(
            "sample_weight leaves rows of 1 class only: all others weigh 0. Give rows of at least "
            "2 classes a weight above 0."
        )
    return take((X, target, weight, groups), kept)


def encode_labels(y, classes, name, of="y"):
    """Labels as indices into the sorted classes, which are found in y where None is given."""
    check_classification_targets(y)
    if classes is None:
        classes, target = np.unique(np.asarray(y), return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{name} needs rows of at least 2 classes, got 1 class: {classes.tolist()}. Add "
                "rows of another class, or check the labels and sample weights."
            )
        return classes, target
    target = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    if not np.array_equal(classes[target], y):
        unknown = np.setdiff1d(y, classes)
        raise ValueError(
            f"{of} holds the labels {unknown.tolist()}, which {name} does not know: its classes "
            f"are {classes.tolist()}. Name all of them in the first call, or fit anew with "
            "warm_start=False."
        )
    return classes, target


def take(arrays, rows):
    """Pick the same rows of several arrays, some of which may be None."""
    return tuple(None if a is None else a[rows] for a in arrays)


def count_new_rows(X, X_new):
    """Count the rows of X_new that are in no row of X: those that a sampler made up."""
    known = {row.tobytes() for row in np.ascontiguousarray(X)}
    return sum(row.tobytes() not in known for row in np.ascontiguousarray(X_new))


def as_tensor(X):
    """Array -> tensor, without a copy where torch can share the memory."""
    X = np.ascontiguousarray(X)
    return torch.from_numpy(X) if X.flags.writeable else torch.tensor(X)


def check_net_params(net_params, reserved):
    """Return a copy of ``net_params``; naming a plain parameter there is an error."""
    net_params = net_params or {}
    taken = sorted(name for name in net_params if name.split("__")[0] in reserved)
    if taken:
        raise ValueError(
            f"net_params holds {taken}, which the estimator sets itself. Use its own parameters "
            "(lr, batch_size, max_epochs, device, verbose, ...); net_params is for the rest of "
            "skorch, such as callbacks, optimizer or compile."
        )
    # skorch sets parameters on callback objects; the caller's stay as they were
    return copy.deepcopy(net_params)


def check_sizes(name, sizes, length=None, at_least=0):
    """Raise unless a parameter holds positive integers, as many as wanted."""
    sizes = tuple(sizes)
    good = all(isinstance(size, Integral) and size >= 1 for size in sizes)
    if not good or (length is not None and len(sizes) != length) or len(sizes) < at_least:
        wanted = "" if length is None else f"{length} "
        raise ValueError(f"{name} must hold {wanted}positive integers, got {sizes!r}.")
