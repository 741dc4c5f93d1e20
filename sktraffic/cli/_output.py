"""Tables and JSON on standard output, progress on standard error, tables in files."""

import contextlib
import json
import math
import sys
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sktraffic._files import replacing
from sktraffic.sessions import write_sessions

SUFFIXES = (".csv", ".parquet", ".jsonl", ".ndjson")
# of files that somebody may expect, not of folders
OTHERS = (
    ".arrow",
    ".bz2",
    ".feather",
    ".gz",
    ".json",
    ".pq",
    ".tsv",
    ".txt",
    ".xls",
    ".xlsx",
    ".xz",
)


def console():
    """Return the console for results; as wide as its tables where nobody looks."""
    width = None if sys.stdout.isatty() else 10_000
    return Console(width=width, highlight=False, soft_wrap=False)


def on_terminal():
    """Say whether somebody watches progress: standard error is a terminal."""
    return sys.stderr.isatty()


def watched(extractor, jobs, skip=False, max_unpacked=None):
    """Return a copy of an extractor that shows its progress and reads in several processes.

    With `skip`, captures that cannot be read are left out with a warning; with `max_unpacked`,
    compressed ones may unpack to so many bytes.
    """
    from sklearn.base import clone

    return clone(extractor).set_params(
        progress=on_terminal(),
        n_jobs=jobs,
        on_error="warn" if skip else "raise",
        max_unpacked=max_unpacked or extractor.max_unpacked,
    )


@contextlib.contextmanager
def working(text):
    """Show that something goes on, on standard error and only on a terminal."""
    if not on_terminal():
        yield
        return
    with Console(stderr=True).status(text):
        yield


def print_json(document):
    """Print a document as JSON; what is not a number becomes null."""
    print(json.dumps(plain(document), indent=2, ensure_ascii=False))


def plain(value):
    """Turn tables, arrays, paths and times into what JSON knows."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        frame = value.reset_index() if value.index.name else value
        return [plain(row) for row in frame.to_dict(orient="records")]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "isoformat") and value == value:
        return value.isoformat()
    return str(value) if isinstance(value, Path) else None if value != value else str(value)


def print_table(frame, title=None, digits=3):
    """Print a DataFrame; its index is the first column where it has a name."""
    import pandas as pd

    frame = frame.reset_index() if frame.index.name else frame
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for name in frame:
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        table.add_column(str(name), justify="right" if numeric else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_cell(value, digits)) for value in row))
    console().print(table)


def check_table_path(path):
    """Raise unless a table can be written under this name; better before the work than after."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path} ends in {path.suffix or 'nothing'}; tables are written as "
            f"{', '.join(SUFFIXES)}."
        )
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} to write {path.name} into.")


def check_free(path, overwrite):
    """Raise if a file would be replaced unasked, before any work is done for it."""
    if path.exists() and not overwrite:
        raise ValueError(f"{path} is there already. Pass overwrite=True to replace it.")


def write_table(frame, path):
    """Write a table in the format that the suffix names, whole or not at all."""
    check_table_path(path)
    suffix = path.suffix.lower()
    if suffix == ".parquet":  # not by pandas, which could not read its own list columns again
        write_sessions(frame, path)
        return
    with replacing(path) as temporary:
        if suffix == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_json(
                temporary, orient="records", lines=True, date_format="iso", date_unit="us"
            )


def _cell(value, digits):
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
