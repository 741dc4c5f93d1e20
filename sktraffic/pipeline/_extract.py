"""Captures as samples: one file each, and what names a set of them."""

import hashlib
import os

import numpy as np

from sktraffic.capture import CaptureError


def one_path_each(paths):
    """Return paths as a list of str, one file each.

    Raises
    ------
    CaptureError
        If one is not there, or is a folder, which may hold many captures: a sample is one capture.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    files = [os.fspath(path) for path in np.asarray(paths, dtype=object).ravel()]
    for file in files:
        if os.path.isdir(file):
            raise CaptureError(
                f"{file} is a folder; one file a sample is wanted. "
                "load_captures(folder).captures lists the files in it with labels."
            )
        if not os.path.exists(file):
            raise CaptureError(f"There is no file {file}.")
    return files


def data_hash(files, labels):
    """Return what names a set of labelled captures, in whatever order they come.

    Parameters
    ----------
    files : list of path-like
        The captures.
    labels : list of shape (n_captures,)
        One each.

    Returns
    -------
    str
        SHA-256 of the contents and labels, in hexadecimal; `CaptureClassifier.data_hash_` is one.

    Examples
    --------
    >>> from sktraffic.datasets import lab_captures
    >>> from sktraffic.pipeline import data_hash
    >>> paths, labels = lab_captures()
    >>> data_hash(paths[:3], labels[:3]) == data_hash(paths[2::-1], labels[2::-1])
    True
    """
    lines = []
    for file, label in zip(files, labels, strict=True):
        with open(file, "rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
        lines.append(f"{digest} {label}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def combine(earlier, later):
    """Return the hash of data that came in pieces."""
    return hashlib.sha256(f"{earlier}\n{later}".encode()).hexdigest()
