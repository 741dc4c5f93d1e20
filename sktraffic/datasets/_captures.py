"""Labelled captures of the user's own to (X, y, groups)."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sktraffic.capture import (
    CaptureWarning,
    SessionExtractor,
    capture_name,
    capture_paths,
    capture_stem,
)
from sktraffic.datasets._label_rules import label_sessions, read_label_rules


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
    label : {"folder", "stem"}, callable, mapping or rules, default="folder"
        Where a capture's label comes from: the name of its folder, its file name without
        extensions, ``label(path)`` for each path (a str), or a mapping from the path as found, the
        file name or the stem to the label. All sessions of a capture get its label then. Or a
        table of rules about sessions (DataFrame, path of a CSV file, sequence of dict); see
        :func:`label_sessions`. Sessions that no rule labels are left out, and counted.
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
        group, sessions), `report` (the extractor's), and with rules `label_report` (what each rule
        labelled; rule 0 stands for none).

    Raises
    ------
    CaptureError
        If there is no capture, or one cannot be read.
    ValueError
        If a capture has no label, a rule cannot be read, or rules label no session.

    Examples
    --------
    >>> from sktraffic.datasets import load_captures
    >>> X, y, groups = load_captures("captures/", return_X_y=True)  # doctest: +SKIP
    """
    extractor = SessionExtractor() if extractor is None else extractor
    files = capture_paths(root)
    rules = read_label_rules(label) if are_rules(label) else None
    labels = dict.fromkeys(files) if rules is not None else {f: _label(label, f) for f in files}
    X, report = extractor.extract(files, cache=cache)
    group_of = {file: file if groups == "capture" else groups(file) for file in files}
    names = {file: capture_name(file) for file in files}
    label_report = None
    if rules is None:
        y = X["capture"].map({names[file]: labels[file] for file in files}).to_numpy()
    else:
        X, y, label_report = _by_rules(X, rules)
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
    out = Bunch(
        data=X,
        target=y,
        groups=side,
        target_names=np.unique(y if rules is not None else captures["label"]),
        captures=captures,
        report=report,
    )
    if label_report is not None:
        out.label_report = label_report
    return out


def are_rules(label):
    """Say whether `label` of `load_captures` is a table of rules about sessions."""
    if isinstance(label, str | os.PathLike):
        return os.fspath(label).lower().endswith(".csv")
    return not callable(label) and not isinstance(label, Mapping)


def _by_rules(X, rules):
    """Label sessions; what no rule labels is left out, and said, as are contradictions."""
    y, report = label_sessions(X, rules)
    labelled = np.asarray([label is not None for label in y], bool)
    if not labelled.any():
        raise ValueError(
            f"None of the {len(rules)} rules labels any of the {len(X)} sessions. A last rule of a "
            "label alone takes what the others leave; times are UTC unless a zone is told."
        )
    notes = []
    if not labelled.all():
        notes.append(f"{np.count_nonzero(~labelled)} of {len(X)} sessions are labelled by no rule")
    against = report.loc[(report["contradicted"] > 0) & (report["matched"] < len(X))]
    notes += [
        f"rule {row.rule} ({row.label}) matches {row.contradicted} sessions that an earlier rule "
        "labels otherwise"
        for row in against.itertuples()
    ]
    if notes:
        warnings.warn("; ".join(notes) + ".", CaptureWarning, stacklevel=4)
    return X.loc[labelled].reset_index(drop=True), y[labelled], report


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
