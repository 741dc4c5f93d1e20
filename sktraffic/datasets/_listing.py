"""Labelled captures as paths and labels, unread: what CaptureClassifier takes."""

import numpy as np

from sktraffic.capture import capture_paths
from sktraffic.datasets._captures import _label

__all__ = ["find_captures", "split_captures"]


def find_captures(root, label="folder"):
    """List captures and their labels without reading them.

    Parameters
    ----------
    root : path-like or iterable of path-like
        Folders (searched with their subfolders), glob patterns, files.
    label : {"folder", "stem"}, callable or mapping, default="folder"
        Where a label comes from, as in :func:`load_captures`.

    Returns
    -------
    paths : list of str
    labels : ndarray of shape (n_captures,)

    Raises
    ------
    CaptureError
        If there is no capture.
    ValueError
        If a capture has no label.

    See Also
    --------
    load_captures : Reads them as well.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sktraffic.datasets import find_captures
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("chat", "mail"):
    ...         _ = Path(folder, name).mkdir()
    ...         _ = Path(folder, name, "monday.pcap").write_bytes(b"")
    ...     paths, labels = find_captures(folder)
    >>> labels.tolist()
    ['chat', 'mail']
    """
    paths = capture_paths(root)
    return paths, np.asarray([_label(label, path) for path in paths])


def split_captures(labels, share=0.25, random_state=0):
    """Draw whole captures to hold out: the same share of every class, one at least.

    A class with a single capture stays on the training side: it cannot be in both.

    Parameters
    ----------
    labels : array-like of shape (n_captures,)
    share : float, default=0.25
        Of each class's captures, rounded.
    random_state : int, default=0

    Returns
    -------
    train, test : ndarray of int
        Positions, ascending.

    Raises
    ------
    ValueError
        If `share` is not between 0 and 1, or no class has two captures.

    Examples
    --------
    >>> from sktraffic.datasets import split_captures
    >>> train, test = split_captures(["chat"] * 4 + ["mail"] * 4 + ["rare"])
    >>> len(train), len(test)
    (7, 2)
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it is a part of the captures, between 0 and 1.")
    labels = np.asarray(labels)
    rng = np.random.default_rng(random_state)
    test = []
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        n_held = min(max(1, round(share * len(members))), len(members) - 1)
        test.extend(rng.permutation(members)[:n_held])
    if not test:
        raise ValueError(
            "No class has two captures, so none can be held out to score the model on. "
            "Record another capture of each class."
        )
    test = np.sort(np.asarray(test, dtype=np.intp))
    return np.setdiff1d(np.arange(len(labels)), test), test
