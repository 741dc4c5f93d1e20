"""What the two sides of a split share."""

import numpy as np
import pandas as pd

from sktraffic._documentation import Explained
from sktraffic.model_selection._duplicates import duplicate_keys
from sktraffic.model_selection._fingerprints import (
    FIVE_TUPLE,
    five_tuple_keys,
    number_keys,
    session_keys,
)

__all__ = ["KINDS", "LeakError", "check_split"]

KINDS = ("sessions", "five_tuples", "captures", "duplicates")


class LeakError(Explained, ValueError, page="user_guide/evaluation"):
    """A split shares what it should not; `report` is the table of :func:`check_split`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.model_selection import LeakError, check_split
    >>> try:
    ...     check_split(np.eye(3), np.eye(3), raise_on_leak=True)
    ... except LeakError as error:
    ...     print(error.report.loc["duplicates", "test_rows"])
    3
    """

    def __init__(self, message, report):
        super().__init__(message)
        self.report = report

    def __reduce__(self):
        return type(self), (str(self), self.report)


def check_split(
    X_train, X_test, *, groups_train=None, groups_test=None, kinds=None, raise_on_leak=False
):
    """Say what a training and a test side share: sessions, five-tuples, captures, duplicates.

    Parameters
    ----------
    X_train, X_test : DataFrame or array-like of shape (n_samples, n_features)
        Session tables, or feature tables, of which only duplicates (and, with groups, captures)
        can be told.
    groups_train, groups_test : array-like of shape (n_samples,), default=None
        The capture of each row; by default the column `capture`.
    kinds : sequence of {"sessions", "five_tuples", "captures", "duplicates"}, default=None
        What to look for; by default all that the columns allow.

        - sessions: the same running number of a capture, or the same five-tuple and start;
        - five_tuples: the same addresses, ports and protocol, in either direction;
        - captures: rows of one capture on both sides;
        - duplicates: the same packets (sizes, directions, times to 1 us; sessions of at least two
          packets), or equal rows of a feature table.
    raise_on_leak : bool, default=False
        Raise :class:`LeakError` when anything is shared.

    Returns
    -------
    DataFrame
        One row a kind: `shared` (distinct things on both sides), `train_rows`, `test_rows` (rows
        concerned), `test_share` (of all test rows) and `example` (one of them).

    Raises
    ------
    LeakError
        With `raise_on_leak=True`, when a kind is shared.
    ValueError
        If a kind that was asked for cannot be told from these columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.model_selection import check_split
    >>> check_split(np.array([[1.0], [2.0]]), np.array([[2.0], [3.0]]))[["shared", "test_share"]]
                shared  test_share
    duplicates       1         0.5
    """
    sides = [_keys(X_train, groups_train), _keys(X_test, groups_test)]
    possible = [kind for kind in KINDS if all(kind in side for side in sides)]
    kinds = possible if kinds is None else list(kinds)
    impossible = [kind for kind in kinds if kind not in possible]
    if impossible:
        raise ValueError(
            f"{', '.join(map(str, impossible))} cannot be told from these tables, only "
            f"{', '.join(possible)}. Pass session tables, or groups_train and groups_test."
        )
    rows = [_compare(sides[0][kind], sides[1][kind]) for kind in kinds]
    report = pd.DataFrame(rows, index=pd.Index(kinds, dtype=object))
    for kind, row in zip(kinds, rows, strict=True):
        report.loc[kind, "example"] = _example(X_test, groups_test, kind, row["example"])
    if raise_on_leak and (report["shared"] > 0).any():
        raise LeakError(_message(report), report)
    return report


def _keys(X, groups):
    """All fingerprints of a side: kind -> list of (keys, known)."""
    columns = set(getattr(X, "columns", ()))
    out = {}
    sessions = []
    if columns.issuperset({"capture", "session"}):
        sessions.append(number_keys(X))
    if columns.issuperset(FIVE_TUPLE):
        out["five_tuples"] = [five_tuple_keys(X)]
        if "start" in columns:
            sessions.append(session_keys(X))
    if sessions:
        out["sessions"] = sessions
    if groups is not None or "capture" in columns:
        captures = pd.Series(X["capture"] if groups is None else np.asarray(groups))
        captures = captures.astype(object)
        known = captures.notna().to_numpy()
        out["captures"] = [(np.array([str(name) for name in captures], dtype=object), known)]
    packets = columns.issuperset({"packet_size", "packet_direction"})
    out["duplicates"] = duplicate_keys(X, "packets" if packets else "rows")
    return out


def _compare(train, test):
    """Rows and distinct keys on both sides; several keys a kind are joined by "or"."""
    in_train = np.zeros(len(train[0][0]), dtype=bool)
    in_test = np.zeros(len(test[0][0]), dtype=bool)
    shared = 0
    for (a, known_a), (b, known_b) in zip(train, test, strict=True):
        common = pd.Index(a[known_a]).unique().intersection(pd.Index(b[known_b]).unique())
        in_train |= known_a & pd.Index(a).isin(common)
        in_test |= known_b & pd.Index(b).isin(common)
        shared = max(shared, len(common))
    return {
        "shared": shared,
        "train_rows": int(in_train.sum()),
        "test_rows": int(in_test.sum()),
        "test_share": float(in_test.mean()) if len(in_test) else 0.0,
        "example": str(np.flatnonzero(in_test)[0]) if in_test.any() else "",
    }


def _example(X, groups, kind, row):
    """Words for the first test row concerned."""
    if row == "":
        return ""
    row = int(row)
    if kind == "captures":
        return str((X["capture"] if groups is None else pd.Series(np.asarray(groups))).iloc[row])
    if kind == "five_tuples":
        r = X.iloc[row]
        ends = f"{r['src_ip']}:{r['src_port']} - {r['dst_ip']}:{r['dst_port']}"
        return f"{ends} protocol {r['protocol']}"
    if {"capture", "session"} <= set(getattr(X, "columns", ())):
        return f"session {X['session'].iloc[row]} of {X['capture'].iloc[row]}"
    return f"test row {row}"


REMEDY = {
    "sessions": "drop_duplicate_sessions removes sessions that were recorded twice",
    "five_tuples": "CaptureKFold, or grouping by five-tuple, keeps connections on one side",
    "captures": "CaptureKFold keeps captures whole",
    "duplicates": "drop_duplicate_sessions(X, on='packets') removes copies",
}


def _message(report):
    found = report[report["shared"] > 0]
    parts = [
        f"{row['shared']} {kind.replace('_', '-')} on both sides, {row['test_rows']} test rows "
        f"({row['test_share']:.1%}), such as {row['example']}: {REMEDY[kind]}"
        for kind, row in found.iterrows()
    ]
    return "The split leaks. " + "; ".join(parts) + "."
