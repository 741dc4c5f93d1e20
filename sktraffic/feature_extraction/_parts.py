"""Tables larger than memory through a fitted transformer, part by part."""

import json
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.utils.validation import check_is_fitted

from sktraffic._files import replacing
from sktraffic.ragged import column_array
from sktraffic.sessions import iter_sessions, session_parts

__all__ = ["to_features"]

KEY = b"sktraffic.features"


def to_features(
    source,
    transformer,
    out,
    *,
    keep=("capture", "session"),
    batch_size=10_000,
    n_jobs=None,
    overwrite=False,
):
    """Send a folder of session tables through a fitted transformer into a folder of features.

    Parts are worked on one by one, each in batches, so memory is bounded by a batch a job. Jobs get
    the paths of parts, never tables: `joblib.parallel_config` spreads them over processes, a
    dask cluster or Ray that see the same folders.

    Parameters
    ----------
    source : path-like
        A Parquet file or a folder of parts; see :func:`sktraffic.sessions.read_sessions`.
    transformer : transformer or Pipeline
        Fitted, with `get_feature_names_out`; on a sample of the sessions, say.
    out : path-like
        Folder for the parts of features, under the same names and subfolders (``label=chat``
        stays a column).
    keep : sequence of str, default=("capture", "session")
        Columns of the session table that are written beside the features, where they are there.
    batch_size : int, default=10_000
        Sessions that are transformed at a time.
    n_jobs : int, default=None
        Parts at the same time; None means 1 unless in a `joblib.parallel_config`.
    overwrite : bool, default=False
        Whether to make parts anew that are there already. Without it a call goes on where an
        earlier one ended.

    Returns
    -------
    DataFrame of shape (n_parts, 3)
        `part` (path below `out`), `sessions`, and `made` (False where it was there).

    Raises
    ------
    NotFittedError
        If the transformer is not fitted.
    ValueError
        If `out` holds parts of another transformer, or `keep` and the features share a name.
    FileNotFoundError
        If there are no parts.

    See Also
    --------
    sktraffic.sessions.iter_sessions : Batches for estimators that learn with `partial_fit`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.datasets import load_lab_sessions
    >>> from sktraffic.feature_extraction import SessionStatistics, to_features
    >>> from sktraffic.sessions import read_sessions, write_sessions
    >>> X = load_lab_sessions().data.iloc[:100]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sessions.parquet")
    ...     write_sessions(X, path)
    ...     out = pathlib.Path(folder, "features")
    ...     report = to_features(path, SessionStatistics().fit(X), out)
    ...     features = read_sessions(out)
    >>> features.shape, report["sessions"].tolist()
    ((100, 11), [100])
    """
    check_is_fitted(transformer)
    parts = session_parts(source)
    base = Path(source) if Path(source).is_dir() else Path(source).parent
    names = [str(name) for name in transformer.get_feature_names_out()]
    shared = sorted(set(names) & set(keep))
    if shared:
        raise ValueError(f"keep and the features share the name(s) {', '.join(shared)}.")
    note = json.dumps({"transformer": joblib.hash(transformer), "keep": list(keep)})
    jobs = []
    for part in parts:
        target = Path(out, part.relative_to(base))
        there = target.exists() and not overwrite
        if there:
            _check_part(target, note)
        jobs.append((part, target, there))
    rows = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_write_part)(part, target, transformer, names, keep, batch_size, note)
        for part, target, there in jobs
        if not there
    )
    made = iter(rows)
    counts = [
        pq.read_metadata(target).num_rows if there else next(made) for _, target, there in jobs
    ]
    return pd.DataFrame(
        {
            "part": [os.fspath(target.relative_to(out)) for _, target, _ in jobs],
            "sessions": counts,
            "made": [not there for _, _, there in jobs],
        }
    )


def _check_part(target, note):
    found = (pq.read_metadata(target).metadata or {}).get(KEY)
    if found is None or found.decode() != note:
        raise ValueError(
            f"{target} was made with another transformer or other columns. Choose another folder, "
            "or pass overwrite=True."
        )


def _write_part(part, target, transformer, names, keep, batch_size, note):
    """Transform one part into its file, whole or not at all; returns its rows."""
    kept = [name for name in keep if name in pq.read_schema(part).names]
    read = getattr(transformer, "feature_names_in_", None)
    columns = None if read is None else list(dict.fromkeys([*kept, *map(str, read)]))
    target.parent.mkdir(parents=True, exist_ok=True)
    rows, writer = 0, None
    with replacing(target) as temporary:
        for batch in iter_sessions(part, batch_size, columns=columns):
            table = _features(batch, transformer, names, kept)
            if writer is None:
                schema = table.schema.with_metadata({KEY: note.encode()})
                writer = pq.ParquetWriter(temporary, schema, compression="zstd")
            writer.write_table(table)
            rows += len(batch)
        if writer is None:
            empty = pa.table({name: pa.array([], pa.float64()) for name in names})
            pq.write_table(empty.replace_schema_metadata({KEY: note.encode()}), temporary)
        else:
            writer.close()
    return rows


def _features(batch, transformer, names, kept):
    """Arrow table of what is kept and of the features; (n_sessions, n_columns)."""
    values = transformer.transform(batch)
    values = np.asarray(values.todense() if hasattr(values, "todense") else values)
    columns = {name: column_array(batch[name]) for name in kept}
    columns |= {name: pa.array(values[:, i]) for i, name in enumerate(names)}
    return pa.table(columns)
