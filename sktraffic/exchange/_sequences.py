"""Tables that hold packet sequences as lists, one row a flow, to session tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sktraffic._parquet import check_claims
from sktraffic.exchange._frame import Mended, protocol_numbers, session_frame, whole_numbers
from sktraffic.ragged import list_column, segment_sum

__all__ = ["read_packet_sequences"]

MILLISECOND, SECOND = 1e-3, 1.0
# field -> (column, seconds a unit) as the tools name them; the first that is there is taken
SIZES = ("pkts_size", "packets_size", "packet_data_l4_payload_bytes", "packet_data_packet_length",
         "packet_length", "sizes")  # fmt: skip
DIRECTIONS = ("pkts_dir", "packets_dir", "packet_data_packet_dir", "directions")
TIMES = ("timetofirst", "times")
INTERVALS = ("pkts_iat", "packets_iat", "packet_data_iat", "iat")
# DataZoo's names of a flow's facts -> ours
FACTS = {
    "APP": "label", "CATEGORY": "category", "DURATION": "duration", "TLS_SNI": "sni",
    "QUIC_SNI": "sni", "TLS_JA3": "client_fingerprint", "SRC_IP": "src_ip", "DST_IP": "dst_ip",
    "SRC_PORT": "src_port", "DST_PORT": "dst_port", "PROTOCOL": "protocol", "TIME_FIRST": "start",
    "app": "label", "partition": "capture", "src_ip": "src_ip", "dst_ip": "dst_ip",
    "src_port": "src_port", "dst_port": "dst_port", "proto": "protocol",
}  # fmt: skip


def read_packet_sequences(source, *, size="payload", on_mend="warn"):
    """Read flows with packet sequences, as CESNET DataZoo and tcbench hold them, as sessions.

    Parameters
    ----------
    source : DataFrame or path-like
        A table, or a ``.parquet`` or ``.csv`` file, one row a flow, with either

        - a column ``PPI`` of DataZoo: for each flow three or four rows of numbers (intervals in
          ms, directions, sizes, PUSH flags), padded with zeros or not, as arrays or as JSON text;
        - or columns of lists: sizes (``pkts_size``, ``packets_size``, ``packet_length``, ...),
          directions (``pkts_dir``, ...; 0 and 1, or 1 and -1; signed sizes need none) and times
          (``timetofirst``, s) or intervals (``pkts_iat``, ``iat``, ..., s).
    size : {"payload", "ip", "frame", "transport"}, default="payload"
        Which bytes the sizes count; DataZoo's are those of the transport payload. With "payload"
        `packet_payload_size` is filled as well.
    on_mend : {"warn", "ignore", "raise"}, default="warn"
        What to do about flows without a packet and about values that are no number.

    Returns
    -------
    DataFrame of shape (n_sessions, n_columns)
        Session table with `packet_time`, `packet_size`, `packet_direction`; `packet_count` and
        `total_bytes` are those of the packets that are there, the first of the flow. With DataZoo
        also `label`, `sni`, addresses and `start`, and all other columns that hold one plain
        value a flow, under their own names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there are no sequences, or lists of one flow differ in length; rows are named.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.exchange import read_packet_sequences
    >>> flows = pd.DataFrame(
    ...     {"PPI": [[[0, 20, 5, 0], [1, -1, 1, 0], [517, 1400, 80, 0]]], "APP": ["youtube"]}
    ... )
    >>> sessions = read_packet_sequences(flows)
    >>> sessions[["label", "packet_count", "total_bytes", "duration"]].values.tolist()
    [['youtube', 3, 1997, 0.025]]
    """
    if size not in ("payload", "ip", "frame", "transport"):
        raise ValueError(f"size is {size!r}; it must be 'payload', 'ip', 'frame' or 'transport'.")
    table, name = _table(source)
    mended = Mended(name, on_mend)
    if "PPI" in table:
        packets, used = _from_ppi(table, name), ("PPI", "PPI_LEN", "PPI_DURATION")
    else:
        packets, used = _from_lists(table, name)
    time, length, direction, offsets = packets
    mended.add("flows without a packet, kept with empty lists", (np.diff(offsets) == 0).sum())
    columns = _facts(table, used)
    # times count from the first packet of each flow
    counts = np.diff(offsets)[np.diff(offsets) > 0]
    since = time - np.repeat(time[offsets[:-1][np.diff(offsets) > 0]], counts)
    columns |= {
        "packet_count": np.diff(offsets),
        "total_bytes": segment_sum(length, offsets),
        "packet_time": _lists(since, offsets, pa.float64()),
        "packet_size": _lists(length, offsets, pa.int32()),
        "packet_direction": _lists(direction, offsets, pa.int8()),
    }
    if "duration" not in columns:
        ends = np.append(since, 0.0)[np.maximum(offsets[1:] - 1, 0)]
        columns["duration"] = np.where(np.diff(offsets) > 0, ends, 0.0)
    if size == "payload":
        columns["packet_payload_size"] = columns["packet_size"]
    sessions = session_frame(columns, name)
    mended.tell()
    return sessions


def _table(source):
    if isinstance(source, pd.DataFrame):
        return source.reset_index(drop=True), "table"
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path} to read packet sequences from.")
    if path.read_bytes()[:4] == b"PAR1":
        check_claims([path])
        return pq.read_table(path).to_pandas(), path.stem
    return pd.read_csv(path), path.stem


def _parsed(cell, row, name):
    """Return a list of numbers or of lists, from arrays or JSON text."""
    if isinstance(cell, str):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"Row {row} of {name} holds text that is no JSON list: {cell[:40]!r} ({error})."
            ) from error
    return cell


def _from_ppi(table, name):
    times, lengths, directions, counts = [], [], [], []
    for row, cell in enumerate(table["PPI"]):
        rows = _parsed(cell, row, name)
        if len(rows) not in (3, 4) or len({len(part) for part in rows}) != 1:
            raise ValueError(
                f"Row {row} of {name}: PPI has {len(rows)} rows of "
                f"{sorted({len(part) for part in rows})} numbers; three or four of one length "
                "(intervals, directions, sizes, PUSH flags) are wanted."
            )
        interval, direction, length = (np.asarray(part, np.float64) for part in rows[:3])
        there = direction != 0
        times.append(np.cumsum(interval[there]) * MILLISECOND)
        lengths.append(length[there])
        directions.append(direction[there])
        counts.append(int(there.sum()))
    return _joined(times, lengths, directions, counts)


def _from_lists(table, name):
    size, direction, time, interval = (
        next((column for column in names if column in table), None)
        for names in (SIZES, DIRECTIONS, TIMES, INTERVALS)
    )
    if size is None or (time is None and interval is None):
        raise ValueError(
            f"{name} holds no packet sequences: a column PPI is wanted, or one of "
            f"{', '.join(SIZES)} and one of {', '.join((*TIMES, *INTERVALS))}; it has "
            f"{', '.join(map(str, table.columns[:12]))}."
        )
    wanted = [size, time or interval] + ([direction] if direction else [])
    times, lengths, directions, counts = [], [], [], []
    for row, cells in enumerate(zip(*(table[column] for column in wanted), strict=True)):
        parts = [np.asarray(_parsed(cell, row, name), np.float64) for cell in cells]
        if len({len(part) for part in parts}) != 1:
            raise ValueError(
                f"Row {row} of {name}: {', '.join(wanted)} have lengths "
                f"{', '.join(str(len(part)) for part in parts)}; they must agree."
            )
        length, clock = np.abs(parts[0]), parts[1]
        sign = np.sign(parts[0]) if direction is None else parts[2]
        times.append(clock if time else np.cumsum(clock) * SECOND)
        lengths.append(length)
        directions.append(_signs(sign))
        counts.append(len(length))
    return _joined(times, lengths, directions, counts), tuple(wanted)


def _signs(direction):
    """+1 and -1 from +1 and -1, or from 0 (the first sender) and 1."""
    if (direction < 0).any():
        return np.sign(direction)
    return np.where(direction == (direction[0] if len(direction) else 0), 1.0, -1.0)


def _joined(times, lengths, directions, counts):
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    parts = (np.concatenate([*part, np.empty(0)]) for part in (times, lengths, directions))
    time, length, direction = parts
    return time, length.astype(np.int64), direction.astype(np.int8), offsets


def _lists(values, offsets, kind):
    return list_column(values, offsets, kind).array._pa_array


def _facts(table, used):
    """Columns with one plain value a flow, under our names where they have some."""
    columns = {}
    for name in table.columns:
        ours = FACTS.get(name, str(name))
        if name in used or ours in columns or _holds_lists(table[name]):
            continue
        if ours in ("src_port", "dst_port"):
            numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
            columns[ours] = whole_numbers(numbers, "uint16")
        elif ours == "protocol":
            columns[ours] = protocol_numbers(table[name])
        elif ours == "start":
            columns[ours] = pd.to_datetime(table[name], utc=True, errors="coerce", format="mixed")
        elif ours in ("label", "category", "sni", "client_fingerprint", "src_ip", "dst_ip"):
            columns[ours] = table[name].astype(object).where(table[name].notna(), None)
        else:
            columns[ours] = table[name]
    return columns


def _holds_lists(column):
    first = next((cell for cell in column if cell is not None), None)
    return isinstance(first, list | tuple | np.ndarray)
