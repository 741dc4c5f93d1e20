"""Labelled captures of the user's own to (X, y, groups)."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sktraffic.capture import SessionExtractor, capture_name, capture_paths, capture_stem


def load_captures(
    root,
    label="folder",
    *,
    extractor=None,
    groups="capture",
    cache=None,
    return_X_y=False,
):
    """Load labelled captures as sessions, labels and groups.

    Parameters
    ----------
    root : path-like or iterable of path-like
        A folder (searched with its subfolders), a glob pattern, or files.
    label : {"folder", "stem"}, callable or mapping, default="folder"
        Where a capture's label comes from: the name of its folder, its file name without
        extensions, ``label(path)`` for each path (a str), or a mapping from the path as found, the
        file name or the stem to the label. All sessions of a capture get its label.
    extractor : SessionExtractor, default=None
        How captures are read; None for the default settings.
    groups : {"capture"} or callable, default="capture"
        What must stay on one side of a split: the capture itself, or ``groups(path)``, for
        captures of the same run.
    cache : path-like, default=None
        Folder for the extracted sessions, a subfolder for each combination of settings; captures
        that are there and unchanged are not read again.
    return_X_y : bool, default=False
        Whether to return ``(X, y, groups)`` rather than a Bunch.

    Returns
    -------
    Bunch or tuple
        `data` (session table of shape (n_sessions, 25)), `target` and `groups` (ndarrays of shape
        (n_sessions,)), `target_names` (the classes, sorted), `captures` (DataFrame: capture, label,
        group, sessions), `report` (the extractor's).

    Raises
    ------
    CaptureError
        If there is no capture, or one cannot be read.
    ValueError
        If a capture has no label.

    Examples
    --------
    >>> from sktraffic.datasets import load_captures
    >>> X, y, groups = load_captures("captures/", return_X_y=True)  # doctest: +SKIP
    """
    extractor = SessionExtractor() if extractor is None else extractor
    files = capture_paths(root)
    labels = {file: _label(label, file) for file in files}
    X, report = extractor.extract(files, cache=cache)
    group_of = {file: file if groups == "capture" else groups(file) for file in files}
    names = {file: capture_name(file) for file in files}
    y = X["capture"].map({names[file]: labels[file] for file in files}).to_numpy()
    side = X["capture"].map({names[file]: group_of[file] for file in files}).to_numpy()
    y, side = np.asarray(y.tolist()), np.asarray(side.tolist())
    if return_X_y:
        return X, y, side
    counts = X["capture"].value_counts()
    captures = pd.DataFrame(
        {
            "capture": files,
            "label": [labels[file] for file in files],
            "group": [group_of[file] for file in files],
            "sessions": [int(counts.get(names[file], 0)) for file in files],
        }
    )
    return Bunch(
        data=X,
        target=y,
        groups=side,
        target_names=np.unique(captures["label"]),
        captures=captures,
        report=report,
    )


def _label(label, file):
    if callable(label):
        found = label(file)
    elif isinstance(label, Mapping):
        names = (file, os.path.basename(file), capture_stem(file))
        found = next((label[name] for name in names if name in label), None)
    elif label == "folder":
        found = Path(file).resolve().parent.name
    elif label == "stem":
        found = capture_stem(file)
    else:
        raise ValueError(
            f"label is {label!r}; it must be 'folder', 'stem', a callable or a mapping."
        )
    if found is None:
        raise ValueError(
            f"There is no label for {file}. A mapping is asked for the path as found, the file "
            "name and the name without extensions; a callable must not return None."
        )
    return found
