"""Rows that are written one by one, as they come."""

import contextlib
import csv
import json
import os
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sktraffic.cli._output import check_free, check_table_path, plain
from sktraffic.sessions import to_arrow

__all__ = ["open_rows"]

BATCH = 1_000  # rows of a Parquet file that wait to be written together


@contextlib.contextmanager
def open_rows(path, overwrite=False):
    """Open a file for rows (dicts of the same keys).

    Parameters
    ----------
    path : Path or None
        Its suffix says how: JSON lines and CSV are there as soon as they are written, Parquet when
        all is done. None writes JSON lines to standard output, or nothing if that is a terminal.
    overwrite : bool, default=False

    Yields
    ------
    object
        With a method ``write(row)``.
    """
    if path is None:
        yield _Nowhere() if sys.stdout.isatty() else _Lines(sys.stdout)
        return
    check_table_path(path)
    check_free(path, overwrite)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        with _parquet(path) as rows:
            yield rows
        return
    with open(path, "w", encoding="utf-8", newline="") as file:
        yield _Table(file) if suffix == ".csv" else _Lines(file)


class _Nowhere:
    def write(self, row):
        """Drop a row."""


class _Lines:
    def __init__(self, file):
        self._file = file

    def write(self, row):
        """Write a line of JSON."""
        self._file.write(json.dumps(plain(row), ensure_ascii=False) + "\n")
        self._file.flush()


class _Table:
    def __init__(self, file):
        self._file, self._writer = file, None

    def write(self, row):
        """Write a line of CSV, names before the first."""
        row = plain(row)
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow(row)
        self._file.flush()


@contextlib.contextmanager
def _parquet(path):
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    rows = _Batches(temporary)
    try:
        yield rows
        rows.close()
        temporary.replace(path)
    finally:
        rows.abandon()
        temporary.unlink(missing_ok=True)


class _Batches:
    def __init__(self, path):
        self._path, self._waiting, self._writer = path, [], None

    def write(self, row):
        """Keep a row; with enough of them, write them."""
        self._waiting.append(row)
        if len(self._waiting) == BATCH:
            self._write()

    def _write(self):
        table = to_arrow(pd.DataFrame(self._waiting))
        self._waiting = []
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table.cast(self._writer.schema))

    def close(self):
        if self._waiting:
            self._write()
        if self._writer is None:  # a table without rows has no columns either
            pq.write_table(pa.table({}), self._path)
        self.abandon()

    def abandon(self):
        if self._writer is not None:
            self._writer.close()
