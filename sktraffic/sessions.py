"""The session table: one row a session, the one interface between capturing and learning.

A session table is a plain :class:`pandas.DataFrame` whose columns are Arrow-backed; the columns
that hold something per packet are Arrow lists. Cross-validation slices it, Parquet keeps it, and
:mod:`sktraffic.ragged` turns a list column into flat values and offsets and computes with them.

This module is the only place that names the columns, their types and their units.
"""

import contextlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sktraffic._files import replacing
from sktraffic._parquet import check_claims
from sktraffic.ragged import (
    column_array,
    first_of_lists,
    ragged,
    segment_max,
    segment_min,
    segment_sum,
)

__all__ = [
    "FACTS",
    "HEADERS",
    "IDENTITY",
    "LABELS",
    "PACKET_COLUMNS",
    "PARQUET",
    "SCHEMA",
    "check_sessions",
    "concat",
    "empty_sessions",
    "first_packets",
    "from_arrow",
    "iter_sessions",
    "read_sessions",
    "session_parts",
    "session_schema",
    "to_arrow",
    "write_sessions",
]

MESSAGE_TYPE = pa.list_(pa.dictionary(pa.int16(), pa.string()))

SCHEMA = pa.schema(
    [
        # identity: says which session a row is; never a feature by default
        ("capture", pa.string()),  # path of the capture as it was given
        ("session", pa.int64()),  # running number inside the capture, from 0
        ("start", pa.timestamp("ns", tz="UTC")),  # time of the first packet
        ("src_ip", pa.string()),  # the first packet's sender
        ("dst_ip", pa.string()),
        ("src_port", pa.uint16()),  # missing where an export does not say
        ("dst_port", pa.uint16()),
        ("protocol", pa.uint8()),  # IP protocol number: 6 TCP, 17 UDP, ...
        ("ip_version", pa.uint8()),
        ("vlan_id", pa.uint16()),
        # facts
        ("duration", pa.float64()),  # seconds between first and last packet
        ("packet_count", pa.int64()),
        ("total_bytes", pa.int64()),  # sum of packet_size
        # nDPI
        ("application", pa.string()),
        ("category", pa.string()),
        ("sni", pa.string()),  # requested server name
        ("client_fingerprint", pa.string()),
        ("server_fingerprint", pa.string()),
        # per packet
        ("packet_time", pa.list_(pa.float64())),  # seconds since start
        ("packet_size", pa.list_(pa.int32())),  # bytes; which ones the extractor's `size` says
        ("packet_direction", pa.list_(pa.int8())),  # +1 from the first sender, -1 back
        ("packet_payload_size", pa.list_(pa.int32())),  # bytes after the transport header
        ("packet_flags", pa.list_(pa.uint8())),  # TCP flags as on the wire: FIN 1 ... CWR 128
        ("packet_message", MESSAGE_TYPE),  # "PROTOCOL: info"
        ("packet_bytes", pa.list_(pa.binary())),  # first bytes, IP header on, of the first packets
    ]
)

#: What ``SessionExtractor(headers=True)`` adds behind these columns; missing in packets that have
#: no such header.
HEADERS = pa.schema(
    [
        ("packet_header_size", pa.list_(pa.uint8())),  # bytes of the transport header
        ("packet_window", pa.list_(pa.uint16())),  # TCP window as on the wire, not scaled
        ("packet_ttl", pa.list_(pa.uint8())),  # time to live or hop limit
        ("packet_seq", pa.list_(pa.uint32())),  # TCP sequence number
    ]
)

IDENTITY = tuple(SCHEMA.names[:10])
FACTS = tuple(SCHEMA.names[10:13])
LABELS = tuple(SCHEMA.names[13:18])
PACKET_COLUMNS = (*SCHEMA.names[18:], *HEADERS.names)

#: How session tables are written to Parquet. A dictionary of what hardly repeats (times, sizes)
#: would take more memory, time and space than it saves.
PARQUET = {
    "compression": "zstd",
    "use_dictionary": [
        *("capture", "src_ip", "dst_ip", *LABELS),
        *(f"packet_{name}.list.element" for name in ("direction", "flags", "message")),
    ],
}


def session_schema(headers=False):
    """Return the columns of a session table and their types.

    Parameters
    ----------
    headers : bool, default=False
        Whether with those of `HEADERS`.

    Returns
    -------
    pyarrow.Schema

    Examples
    --------
    >>> from sktraffic.sessions import session_schema
    >>> len(session_schema()), session_schema(headers=True).names[-1]
    (25, 'packet_seq')
    """
    return pa.schema([*SCHEMA, *HEADERS]) if headers else SCHEMA


def empty_sessions():
    """Return a session table without rows.

    Examples
    --------
    >>> from sktraffic.sessions import empty_sessions
    >>> empty_sessions().shape
    (0, 25)
    """
    return from_arrow(SCHEMA.empty_table())


def from_arrow(table):
    """Turn an Arrow table into a DataFrame with Arrow-backed columns, without copying.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from sktraffic.sessions import from_arrow
    >>> from_arrow(pa.table({"duration": [0.5]})).dtypes.to_dict()
    {'duration': double[pyarrow]}
    """
    return table.replace_schema_metadata(None).to_pandas(types_mapper=pd.ArrowDtype)


def to_arrow(X):
    """Turn a session table into an Arrow table; known columns get the types of `SCHEMA`.

    Parameters
    ----------
    X : DataFrame of shape (n_sessions, n_columns)

    Returns
    -------
    pyarrow.Table
        Columns outside the schema (labels, say) are kept as they are; the index is dropped.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.sessions import to_arrow
    >>> to_arrow(pd.DataFrame({"dst_port": [443], "label": ["chat"]})).column_names
    ['dst_port', 'label']
    """
    arrays, schema = [], session_schema(headers=True)
    for name in X.columns:
        values = column_array(X[name])
        position = schema.get_field_index(name)
        if position >= 0 and values.type != schema.field(position).type:
            values = values.cast(schema.field(position).type)
        if isinstance(values, pa.ChunkedArray) and values.type == MESSAGE_TYPE:
            values = values.unify_dictionaries()
        arrays.append(values)
    return pa.table(arrays, names=[str(name) for name in X.columns])


def check_sessions(X, columns=()):
    """Return `X`, or raise when it is no session table with the given columns.

    Parameters
    ----------
    X : object
    columns : sequence of str
        What the caller is about to read.

    Raises
    ------
    TypeError
        If `X` is not a DataFrame.
    ValueError
        If a column is missing.

    Examples
    --------
    >>> from sktraffic.sessions import check_sessions, empty_sessions
    >>> check_sessions(empty_sessions(), ["packet_size"]).shape[0]
    0
    """
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            f"A session table (pandas DataFrame) is wanted, got {type(X).__name__}. "
            "SessionExtractor().transform(paths) and read_sessions(path) make one."
        )
    missing = [name for name in columns if name not in X.columns]
    if missing:
        maker = "SessionExtractor(headers=True)" if set(missing) & set(HEADERS.names) else None
        raise ValueError(
            f"The session table lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(map(str, X.columns)) or 'none'}. "
            f"{maker or 'SessionExtractor()'}.transform(paths) makes all of them."
        )
    return X


def concat(tables):
    """Stack session tables; rows are numbered anew.

    Parameters
    ----------
    tables : iterable of DataFrame

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.sessions import concat
    >>> monday, tuesday = pd.DataFrame({"duration": [1.5]}), pd.DataFrame({"duration": [0.2]})
    >>> concat([monday, tuesday]).index.tolist()
    [0, 1]
    """
    tables = [table for table in tables if len(table)]
    if not tables:
        return empty_sessions()
    return pd.concat(tables, ignore_index=True)


def read_sessions(path, columns=None, *, filters=None, max_unpacked=None):
    """Read a session table from Parquet: a file, or a folder of parts.

    Only the columns and rows that are asked for are read from disk.

    Parameters
    ----------
    path : str or path-like
        A `.parquet` file, or a folder whose `.parquet` files are read in the order of their names,
        those in its subfolders too. Folders named ``label=chat`` are columns: here `label`, with
        "chat" in every row below.
    columns : sequence of str, optional
        Only these columns.
    filters : pyarrow.compute.Expression or list of tuples, optional
        Only the rows that fit, such as ``[("application", "==", "DNS"), ("duration", ">", 1)]``;
        the forms of :func:`pyarrow.parquet.read_table`.
    max_unpacked : int, default=None
        Bytes of memory that the files may claim for these columns. None stands for 4 GiB, or a
        hundred times the files' own size where that is more.

    Returns
    -------
    DataFrame of shape (n_sessions, n_columns)

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`, or a folder holds no part.
    ValueError
        If a column is in no part, or a file is no whole Parquet file, or claims too much.

    See Also
    --------
    iter_sessions : The same in batches, for tables larger than memory.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import pandas as pd
    >>> from sktraffic.sessions import read_sessions, write_sessions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for label in ("chat", "mail"):
    ...         path = pathlib.Path(folder, f"label={label}", "monday.parquet")
    ...         path.parent.mkdir()
    ...         write_sessions(pd.DataFrame({"duration": [0.5, 9.0]}), path)
    ...     table = read_sessions(folder, filters=[("duration", ">", 1)])
    >>> table.values.tolist()
    [[9.0, 'chat'], [9.0, 'mail']]
    """
    dataset = _dataset(path)
    wanted, wished = _wanted(dataset, columns, path), _expression(filters)
    with _reading(path):
        check_claims(dataset.files, wanted, max_unpacked)
        return from_arrow(dataset.to_table(columns=wanted, filter=wished).unify_dictionaries())


def iter_sessions(path, batch_size=10_000, *, columns=None, filters=None, max_unpacked=None):
    """Read a session table in batches, in bounded memory; see :func:`read_sessions`.

    Parameters
    ----------
    path : str or path-like
        A `.parquet` file, or a folder of parts.
    batch_size : int, default=10_000
        Rows of a batch; the last has what is left.
    columns, filters
        As in :func:`read_sessions`.
    max_unpacked : int, default=None
        As in :func:`read_sessions`, for each row group of a file: these are read one by one.

    Yields
    ------
    DataFrame of shape (batch_size, n_columns)

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_sessions`; ValueError also if `batch_size` is below 1.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import pandas as pd
    >>> from sktraffic.sessions import iter_sessions, write_sessions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sessions.parquet")
    ...     write_sessions(pd.DataFrame({"duration": [1.0, 2.0, 3.0]}), path)
    ...     [batch["duration"].tolist() for batch in iter_sessions(path, 2)]
    [[1.0, 2.0], [3.0]]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; a batch has at least 1 row.")
    dataset = _dataset(path)
    wanted = _wanted(dataset, columns, path)
    with _reading(path):
        check_claims(dataset.files, wanted, max_unpacked, by_group=True)
    # little is read ahead: list columns make rows of many kilobytes
    scanned = dataset.to_batches(
        columns=wanted, filter=_expression(filters),
        batch_size=batch_size, batch_readahead=1, fragment_readahead=1,
    )  # fmt: skip
    waiting, n_rows = [], 0
    for batch in _batches(scanned, path):
        while batch.num_rows:
            part = batch.slice(0, batch_size - n_rows)
            batch = batch.slice(part.num_rows)
            waiting.append(part)
            n_rows += part.num_rows
            if n_rows == batch_size:
                yield from_arrow(pa.Table.from_batches(waiting).unify_dictionaries())
                waiting, n_rows = [], 0
    if n_rows:
        yield from_arrow(pa.Table.from_batches(waiting).unify_dictionaries())


def session_parts(path):
    """List the Parquet files of a session table, in the order in which they are read.

    Parameters
    ----------
    path : str or path-like
        A `.parquet` file, or a folder of them. Names that begin with a dot or an underscore, and
        what lies in such folders, are passed over.

    Returns
    -------
    list of Path

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`, or a folder holds no part.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import pandas as pd
    >>> from sktraffic.sessions import session_parts, write_sessions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.parquet", "a.parquet"):
    ...         write_sessions(pd.DataFrame({"capture": [name]}), pathlib.Path(folder) / name)
    ...     parts = session_parts(folder)
    ...
    >>> [path.name for path in parts]
    ['a.parquet', 'b.parquet']
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"There is no file or folder {path} to read sessions from.")
    parts = [
        part
        for part in sorted(path.rglob("*.parquet"))
        if not any(name.startswith((".", "_")) for name in part.relative_to(path).parts)
    ]
    if not parts:
        raise FileNotFoundError(
            f"{path} holds no .parquet file. SessionExtractor().to_parquet(captures, folder) "
            "writes one a capture."
        )
    return parts


@contextlib.contextmanager
def _reading(path):
    """Let errors of Arrow name the file, and what to do."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as a session table: {error} Get a whole copy of it, or extract "
            "its captures again."
        ) from error


def _batches(scanned, path):
    with _reading(path):
        yield from scanned


def _dataset(path):
    """Arrow's view of a file or folder: one schema over all parts, hive folders as columns."""
    # here and not above: a table in memory needs none of it
    import pyarrow.dataset as ds

    parts = session_parts(path)
    schemas = []
    for part in parts:
        with _reading(part):
            schemas.append(pq.read_schema(part).remove_metadata())
    with _reading(path):
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    base = Path(path) if Path(path).is_dir() else Path(path).parent
    hive = ds.HivePartitioning.discover()
    found = ds.dataset([os.fspath(part) for part in parts], format="parquet", partitioning=hive,
                       partition_base_dir=os.fspath(base), schema=None)  # fmt: skip
    folders = [
        field
        for field in found.schema
        if field.name not in schema.names
        and any(f"{field.name}=" in os.fspath(part.relative_to(base)) for part in parts)
    ]
    for field in folders:
        schema = schema.append(field)
    return found.replace_schema(schema)


def _wanted(dataset, columns, path):
    if columns is None:
        return None
    columns = [columns] if isinstance(columns, str) else list(columns)
    missing = [name for name in columns if name not in dataset.schema.names]
    if missing:
        raise ValueError(
            f"{path} has no column(s) {', '.join(missing)}; it has "
            f"{', '.join(dataset.schema.names)}."
        )
    return columns


def _expression(filters):
    return pq.filters_to_expression(filters) if isinstance(filters, list | tuple) else filters


def write_sessions(X, path):
    """Write a session table to one Parquet file, whole or not at all.

    Parameters
    ----------
    X : DataFrame
    path : str or path-like
        The file; it is written under a temporary name and renamed.

    Raises
    ------
    OSError
        If it cannot be written; what was there is as it was.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import pandas as pd
    >>> from sktraffic.sessions import read_sessions, write_sessions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "sessions.parquet"
    ...     write_sessions(pd.DataFrame({"dst_port": [443], "duration": [0.5]}), path)
    ...     table = read_sessions(path)
    ...
    >>> table.values.tolist()
    [[443, 0.5]]
    """
    table = to_arrow(X)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, **PARQUET)


def first_packets(X, n_packets):
    """Cut every session after its first packets, facts included: what was known by then.

    Parameters
    ----------
    X : DataFrame
        Session table with `packet_time` and `packet_size`.
    n_packets : int
        Packets kept a session, at least 1.

    Returns
    -------
    DataFrame
        Same rows; `duration`, `packet_count` and `total_bytes` are those of the packets kept.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.sessions import first_packets
    >>> X = pd.DataFrame({"packet_time": [[0.0, 0.5, 9.0]], "packet_size": [[60, 1500, 40]]})
    >>> X = X.assign(duration=9.0, packet_count=3, total_bytes=1600)
    >>> first_packets(X, 2)[["duration", "packet_count", "total_bytes"]].values.tolist()
    [[0.5, 2.0, 1560.0]]
    """
    check_sessions(X, ("packet_time", "packet_size"))
    if n_packets < 1:
        raise ValueError(f"n_packets is {n_packets}; at least 1 packet a session must be kept.")
    out = X.copy()
    for name in PACKET_COLUMNS:
        if name in X.columns:
            out[name] = first_of_lists(X[name], n_packets)
    time, offsets = ragged(out["packet_time"])
    size, _ = ragged(out["packet_size"])
    new = {
        "duration": segment_max(time, offsets) - segment_min(time, offsets),
        "packet_count": np.diff(offsets),
        "total_bytes": segment_sum(size.astype(np.int64), offsets),
    }
    for name, values in new.items():
        if name in X.columns:
            out[name] = pd.Series(values, index=X.index).astype(X[name].dtype)
    return out
