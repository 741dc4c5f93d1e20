"""What the readers of other tools' tables share: session columns, numbers, what was mended."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from sktraffic._limits import gunzip
from sktraffic.sessions import SCHEMA, from_arrow

__all__ = [
    "Mended",
    "TableWarning",
    "open_text",
    "plain_column",
    "plain_name",
    "protocol_numbers",
    "read_csv_text",
    "session_frame",
    "to_numbers",
    "whole_numbers",
]

PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "ipip4": 4, "tcp": 6, "udp": 17, "ipv6": 41, "gre": 47,
    "esp": 50, "ah": 51, "icmp6": 58, "icmpv6": 58, "ipv6icmp": 58, "ospf": 89, "pim": 103,
    "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}  # fmt: skip
LARGEST = {"uint8": 255, "uint16": 65_535}


class TableWarning(UserWarning):
    """Something in a table of another tool was mended or left out."""


class Mended:
    """Counts what a reader mended, and tells it once.

    Parameters
    ----------
    path : str
        Named in the message.
    on_mend : {"warn", "ignore", "raise"}
    """

    def __init__(self, path, on_mend):
        if on_mend not in ("warn", "ignore", "raise"):
            raise ValueError(f"on_mend is {on_mend!r}; it must be 'warn', 'ignore' or 'raise'.")
        self._path, self._on_mend = path, on_mend
        self.counts = {}

    def add(self, what, count):
        """Note that `count` rows or cells were mended; 0 is nothing."""
        if count:
            self.counts[what] = self.counts.get(what, 0) + int(count)

    def tell(self):
        """Warn or raise as asked, and return the counts."""
        if self.counts and self._on_mend != "ignore":
            said = "; ".join(f"{what}: {count:,}" for what, count in self.counts.items())
            if self._on_mend == "raise":
                raise ValueError(f"{self._path}: {said}. on_mend='warn' or 'ignore' reads it.")
            warnings.warn(f"{self._path}: {said}.", TableWarning, stacklevel=3)
        return self.counts


def open_text(path):
    """Open a text file, gzip or not, UTF-8 (a byte-order mark is skipped) or else Windows' Latin-1.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path} to read a table from.")
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gunzip(content, path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # cp1252 leaves five bytes undefined; published tables hold some of them
        return content.decode("cp1252", errors="replace")


def read_csv_text(text, path, **options):
    """Read CSV text as str cells; an error names the file.

    Raises
    ------
    ValueError
        If it is no table: rows of differing lengths, nothing in it.
    """
    import io

    try:
        return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(
            f"{path} is no table that can be read ({error}). Check that the file is whole and of "
            "one kind of row."
        ) from error


def plain_name(name):
    """Reduce a column's name to what spellings share: lower case, letters and digits only.

    Examples
    --------
    >>> from sktraffic.exchange._frame import plain_name
    >>> plain_name(" Flow Bytes/s"), plain_name("flow_byts_s")
    ('flowbytess', 'flowbytss')
    """
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def to_numbers(column):
    """Parse numbers; infinite and unreadable ones become missing.

    Parameters
    ----------
    column : Series of str

    Returns
    -------
    values : ndarray of shape (n_rows,), float64
    infinite, unreadable : int
        How many cells; an empty one, "-" and NaN are missing and count in neither.
    """
    text = column.astype(str).str.strip()
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    infinite = np.isinf(values)
    empty = text.str.lower().isin(("", "-", "nan", "null", "none")).to_numpy()
    unreadable = np.isnan(values) & ~empty
    values[infinite] = np.nan
    return values, int(infinite.sum()), int(unreadable.sum())


def plain_column(column):
    """Return a column of text as numbers where all of its cells are some, else as text."""
    values, infinite, unreadable = to_numbers(column)
    if infinite or unreadable or np.isnan(values).all():
        return column.replace("", None)
    return values


def whole_numbers(values, kind="int64"):
    """Turn floats into an Arrow array of whole numbers; what is missing or out of range is null.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), float64
    kind : {"int64", "uint16", "uint8"}

    Returns
    -------
    pyarrow.Array
    """
    largest = LARGEST.get(kind, 2**53)
    good = np.isfinite(values) & (values >= 0) & (values <= largest)
    whole = np.where(good, values, 0).astype(kind)
    return pa.array(whole, mask=~good)


def protocol_numbers(column):
    """IP protocol numbers from numbers or names ("tcp"); null where unknown."""
    text = column.astype(str).str.strip()
    numbers = pd.to_numeric(text, errors="coerce")
    named = text.map(lambda name: PROTOCOLS.get(plain_name(name), np.nan))
    return whole_numbers(numbers.fillna(named).to_numpy(dtype=np.float64), "uint8")


def ip_versions(addresses):
    """4 or 6 by the colon in an address; null where there is no address."""
    text = pd.Series(addresses, dtype=object).fillna("").astype(str)
    versions = np.where(text.str.contains(":", regex=False), 6.0, 4.0)
    return whole_numbers(np.where(text == "", np.nan, versions), "uint8")


def session_frame(columns, capture):
    """Put columns together as a session table: those of the schema first, in its order and types.

    Parameters
    ----------
    columns : dict of str to array-like
        All of one length. `session` and `ip_version` are added where they are lacking.
    capture : str
        What the column `capture` says.

    Returns
    -------
    DataFrame of shape (n_sessions, n_columns)
        Only the columns that are there: estimators name what they miss.
    """
    n = len(next(iter(columns.values())))
    columns = {"capture": [capture] * n, "session": np.arange(n), **columns}
    if "ip_version" not in columns and "src_ip" in columns:
        columns["ip_version"] = ip_versions(columns["src_ip"])
    known = [field.name for field in SCHEMA if field.name in columns]
    others = [name for name in columns if name not in known]
    arrays = [_array(columns[name], SCHEMA.field(name).type) for name in known]
    arrays += [_array(columns[name], None) for name in others]
    return from_arrow(pa.table(arrays, names=[*known, *others]))


def _array(values, kind):
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        values = pa.array(values, from_pandas=True)
    return values if kind is None or values.type == kind else values.cast(kind)
