"""What nfstream holds already, a streamer, its data frame or its CSV, as a session table."""

import contextlib
import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa

from sktraffic.exchange._frame import (
    open_text,
    plain_column,
    read_csv_text,
    session_frame,
    whole_numbers,
)
from sktraffic.ragged import list_column

__all__ = ["read_nfstream"]

NEEDED = ("bidirectional_packets", "bidirectional_bytes")
TEXTS = {
    "src_ip": "src_ip", "dst_ip": "dst_ip", "application_name": "application",
    "application_category_name": "category", "requested_server_name": "sni",
    "client_fingerprint": "client_fingerprint", "server_fingerprint": "server_fingerprint",
}  # fmt: skip
NUMBERS = {  # nfstream's column -> (ours, type)
    "src_port": ("src_port", "uint16"), "dst_port": ("dst_port", "uint16"),
    "protocol": ("protocol", "uint8"), "ip_version": ("ip_version", "uint8"),
    "vlan_id": ("vlan_id", "uint16"), "bidirectional_packets": ("packet_count", "int64"),
    "bidirectional_bytes": ("total_bytes", "int64"),
}  # fmt: skip
START, DURATION = "bidirectional_first_seen_ms", "bidirectional_duration_ms"
LISTS = ("splt_direction", "splt_ps", "splt_piat_ms")
LATEST = np.iinfo(np.int64).max // 10**6  # ms that nanoseconds can say


def read_nfstream(source, *, capture=None):
    """Read the flows of nfstream as sessions.

    Parameters
    ----------
    source : NFStreamer, iterable of NFlow, DataFrame or path-like
        A streamer (it is run; the CPU affinity that it changes is put back), flows that were
        taken from one, the frame of its ``to_pandas`` (None, which it returns for no flows, gives
        no sessions), or the file of its ``to_csv``.
    capture : str, default=None
        What the column `capture` says; None: the streamer's source, the CSV's path, or "table".

    Returns
    -------
    DataFrame of shape (n_sessions, n_columns)
        Session table, in nfstream's order: `start` and `duration` (to the millisecond), addresses,
        ports, `protocol`, `packet_count`, `total_bytes`, what nDPI said, and all other columns
        (statistics, ``udps.*``) under nfstream's names. With ``splt_analysis`` also `packet_time`,
        `packet_size` and `packet_direction` of so many first packets; `packet_count` stays that
        of the whole flow. Sizes are of the kind that the streamer's ``accounting_mode`` says, the
        frame by default, while `SessionExtractor` counts IP packets.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If `source` is none of these.
    ValueError
        If the columns are not nfstream's, or a cell cannot be read; both are named.

    See Also
    --------
    sktraffic.capture.SessionExtractor : Reads the capture itself, every packet of it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.exchange import read_nfstream
    >>> flows = pd.DataFrame(  # what NFStreamer(source, splt_analysis=3).to_pandas() returns
    ...     {
    ...         "src_ip": ["192.0.2.1"],
    ...         "bidirectional_first_seen_ms": [1_500_000_000_250],
    ...         "bidirectional_duration_ms": [75],
    ...         "bidirectional_packets": [2],
    ...         "bidirectional_bytes": [1494],
    ...         "application_name": ["TLS.Google"],
    ...         "splt_direction": ["[0, 1, -1]"],
    ...         "splt_ps": ["[94, 1400, -1]"],
    ...         "splt_piat_ms": ["[0, 75, -1]"],
    ...     }
    ... )
    >>> sessions = read_nfstream(flows)
    >>> sessions[["application", "packet_count", "duration"]].values.tolist()
    [['TLS.Google', 2, 0.075]]
    >>> sessions.loc[0, "packet_direction"], sessions.loc[0, "packet_time"]
    ([1, -1], [0.0, 0.075])
    """
    table, name = _table(source)
    name = capture or name
    if table is None:
        columns = {"packet_count": np.zeros(0, np.int64), "total_bytes": np.zeros(0, np.int64)}
        return session_frame(columns, name)
    lacking = [column for column in NEEDED if column not in table]
    if lacking:
        raise ValueError(
            f"{name} holds no flows of nfstream: it lacks {', '.join(lacking)}; it has "
            f"{', '.join(map(str, table.columns[:12])) or 'no columns'}. NFStreamer(...).to_csv() "
            "and .to_pandas() write such tables."
        )
    columns = {}
    if START in table:
        ms = _numbers(table, START, name)
        known = np.isfinite(ms) & (np.abs(ms) <= LATEST)
        ns = np.where(known, ms, 0).astype(np.int64) * 10**6
        columns["start"] = pa.array(ns, pa.timestamp("ns", tz="UTC"), mask=~known)
    if DURATION in table:
        columns["duration"] = _numbers(table, DURATION, name) / 1000
    for theirs, (ours, kind) in NUMBERS.items():
        if theirs in table:
            columns[ours] = whole_numbers(_numbers(table, theirs, name), kind)
    for theirs, ours in TEXTS.items():
        if theirs in table:
            columns[ours] = _texts(table[theirs])
    columns |= _packet_lists(table, name)
    used = {START, DURATION, *NUMBERS, *TEXTS, *LISTS}
    others = [column for column in table if column not in used]
    return session_frame(columns | {column: _other(table, column, name) for column in others}, name)


def _table(source):
    """Return the flows as a frame, or None for no flows, and a name for the capture."""
    if source is None:
        return None, "table"
    if isinstance(source, pd.DataFrame):
        return source.reset_index(drop=True), "table"
    if isinstance(source, str | os.PathLike):
        text = open_text(source)
        if not text.strip():  # a streamer without flows writes nothing
            return None, os.fspath(source)
        table = read_csv_text(text, source)
        others = [column for column in table if column not in (*TEXTS, *LISTS)]
        return table.assign(**{c: plain_column(table[c]) for c in others}), os.fspath(source)
    if not hasattr(source, "__iter__") or isinstance(source, dict | np.ndarray):
        raise TypeError(
            f"An NFStreamer, flows of one, its data frame or the path of its CSV is wanted, got "
            f"{type(source).__name__}."
        )
    path = getattr(source, "source", None)
    path = path[0] if isinstance(path, list) and len(path) == 1 else path
    return _from_flows(source), path if isinstance(path, str) else "table"


def _from_flows(flows):
    """Return the columns of NFlow objects, one row a flow."""
    names, rows = None, []
    with _same_affinity():
        for flow in flows:
            if not hasattr(flow, "keys") or not hasattr(flow, "values"):
                raise TypeError(f"A flow of nfstream is wanted, got {type(flow).__name__}.")
            names = names or list(flow.keys())
            rows.append(list(flow.values()))
            if len(rows[-1]) != len(names):
                raise ValueError(
                    f"Flow {len(rows) - 1} has {len(rows[-1])} fields, those before {len(names)}. "
                    "Give all flows the same user-defined fields."
                )
    return None if names is None else pd.DataFrame(rows, columns=names)


@contextlib.contextmanager
def _same_affinity():
    """Put back the CPU affinity of this process, which a running NFStreamer changes."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _numbers(table, column, name):
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = np.isnan(values) & table[column].notna().to_numpy() & (table[column] != "").to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"Row {row} of {name} has {table[column].iloc[row]!r} in {column}, which is no number."
        )
    return values


def _texts(column):
    text = column.astype(object)
    return text.where(text.notna() & (text != ""), None)


def _other(table, column, name):
    try:
        return pa.array(table[column], from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(
            f"Column {column} of {name} holds what no table can ({error}). Drop it, or let the "
            "plugin store numbers, text or lists of one kind."
        ) from error


def _packet_lists(table, name):
    """Columns per packet of nfstream's first packets; places without a packet hold -1."""
    there = [column for column in LISTS if column in table]
    if not there:
        return {}
    if len(there) < len(LISTS):
        lacking = [column for column in LISTS if column not in table]
        raise ValueError(f"{name} has {there[0]}, but lacks {', '.join(lacking)}: keep all three.")
    direction, size, interval = (_matrix(table[column], column, name) for column in LISTS)
    if not direction.shape == size.shape == interval.shape:
        raise ValueError(
            f"{', '.join(LISTS)} of {name} hold lists of {direction.shape[1]}, {size.shape[1]} and "
            f"{interval.shape[1]} packets; one length is wanted."
        )
    seen = direction >= 0  # (n_flows, n_packets)
    if (direction > 1).any() or (seen[:, 1:] & ~seen[:, :-1]).any():
        row = int(np.flatnonzero((direction > 1).any(1) | (np.diff(seen, axis=1) > 0).any(1))[0])
        raise ValueError(
            f"Row {row} of {name} has {direction[row].tolist()} in splt_direction; 0 and 1, then "
            "-1 where there is no packet, are wanted."
        )
    time = np.cumsum(np.where(seen, interval, 0), axis=1) / 1000
    offsets = np.concatenate([[0], np.cumsum(seen.sum(axis=1))])
    return {
        "packet_time": list_column(time[seen], offsets, pa.float64()),
        "packet_size": list_column(size[seen], offsets, pa.int32()),
        "packet_direction": list_column(1 - 2 * direction[seen], offsets, pa.int8()),
    }


def _matrix(column, name, source):
    """Return lists of one length, given as such or as text, shape (n_flows, n_packets)."""
    cells = column.tolist()
    try:
        if any(isinstance(cell, str) for cell in cells):
            cells = json.loads(f"[{','.join(cells)}]")
        matrix = np.array(cells, dtype=np.int64)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"Column {name} of {source} does not hold one list of as many whole numbers in each "
            f"row ({error}). Tables of different splt_analysis must be read one by one."
        ) from error
    return matrix.reshape(len(cells), -1)
