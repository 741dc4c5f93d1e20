"""Rows that are written one by one, as they come."""

import contextlib
import csv
import glob
import json
import os
import sys
import warnings

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from sktraffic._files import replacing, write_failed
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
        all is done, and until then lines of JSON beside it. None writes JSON lines to standard
        output, or nothing if that is a terminal.
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
        with _parquet(path, overwrite) as rows:
            yield rows
        return
    with write_failed(path), open(path, "w", encoding="utf-8", newline="") as file:
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
def _parquet(path, overwrite):
    """Write Parquet, which is worth nothing before its end, and lines of JSON beside it until then.

    Whatever ends this process, what was decided stays in the one file or the other.
    """
    _tell_left(path)
    lines = path.with_name(f"{path.name}.{os.getpid()}.jsonl")
    with replacing(path) as temporary, open(lines, "w", encoding="utf-8") as file:
        rows = _Batches(temporary, _Lines(file))
        try:
            yield rows
            rows.close()
            check_free(path, overwrite)  # another process may have written it meanwhile
        except BaseException as error:
            rows.abandon()
            if rows.count:
                error.add_note(f"the {rows.count:,} rows so far are in {lines}")
            else:
                lines.unlink()
            raise
    lines.unlink()


def _tell_left(path):
    """Warn of rows that processes left which were killed."""
    for name in sorted(glob.glob(f"{glob.escape(path.name)}.*.jsonl", root_dir=path.parent)):
        pid = name.split(".")[-2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            warnings.warn(
                f"{path.parent / name} holds what a process had written for {path.name} when it "
                "was killed. Keep it, or remove it.",
                UserWarning,
                stacklevel=2,
            )


class _Batches:
    def __init__(self, path, lines):
        self._path, self._lines = path, lines
        self._waiting, self._writer, self.count = [], None, 0

    def write(self, row):
        """Keep a row; with enough of them, write them."""
        self._lines.write(row)
        self.count += 1
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
        else:
            self._writer.close()

    def abandon(self):
        if self._writer is not None:
            with contextlib.suppress(OSError):  # the disk may be full
                self._writer.close()
