"""CICFlowMeter's tables, of all generations, to a session table with its features beside."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic.exchange._cic_names import FEATURES, IDENTITY, canonical_names
from sktraffic.exchange._frame import (
    Mended,
    open_text,
    plain_column,
    protocol_numbers,
    read_csv_text,
    session_frame,
    to_numbers,
    whole_numbers,
)

__all__ = ["read_cicflowmeter"]

# day first, as CICFlowMeter writes; year first, as the corrected tool of Engelen et al. writes
TIME = re.compile(
    r"^\s*(?P<a>\d{1,4})[/.-](?P<b>\d{1,2})[/.-](?P<c>\d{1,4})[ T]+"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?"
    r"\s*(?P<half>[ap])?\.?\s*m?\.?\s*$",
    re.IGNORECASE,
)
BENIGN = {"benign", "normal", "benigntraffic", "background"}
NO_LABEL = {"", "no label", "needmanuallabel", "nan"}


def read_cicflowmeter(path, *, on_mend="warn", return_mended=False):
    r"""Read a table of CICFlowMeter as sessions with its features beside.

    All generations are read: names of CIC-IDS2017 ("Total Fwd Packets"), of CSE-CIC-IDS2018 and
    the captures of ISCX ("Tot Fwd Pkts"), of the present tool and its correction by Engelen et
    al. ("Total Fwd Packet"), and those of the Python package ("tot_fwd_pkts").

    Parameters
    ----------
    path : path-like
        A CSV, also compressed with gzip.
    on_mend : {"warn", "ignore", "raise"}, default="warn"
        What to do about what has to be mended; see Notes.
    return_mended : bool, default=False
        Whether to return the counts of what was mended as well.

    Returns
    -------
    sessions : DataFrame of shape (n_sessions, n_columns)
        Session table without columns per packet: addresses, ports, `protocol`, `start` and
        `duration` (s), `packet_count`; `total_bytes` is CICFlowMeter's sum of payload bytes. Beside
        them the tool's features under the names of Engelen et al., as float64, in microseconds
        where they are times, `label`, missing where the tool wrote that there is none, and whatever
        else the table has.
    mended : dict
        Only with `return_mended`: what, and how many rows or cells.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such table, or two columns say the same.

    Notes
    -----
    Mended are: repeated header rows and rows without any value (left out), infinite and unreadable
    numbers (missing), negative durations (missing), spellings of BENIGN, broken characters in
    labels, the second of two equal columns (CIC-IDS2017 has "Fwd Header Length" twice; left out
    where the values agree). Times without seconds and without AM or PM between one and seven
    o'clock are ambiguous in CIC-IDS2017 (recorded in the afternoon, written with twelve hours);
    they are counted and kept as they stand. Days come first, unless only the year can be first.

    References
    ----------
    Engelen, Rimmer and Joosen, "Troubleshooting an intrusion detection dataset: the CICIDS2017
    case study", IEEE SPW 2021.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.exchange import read_cicflowmeter
    >>> text = (
    ...     " Source IP, Destination IP, Source Port, Destination Port, Protocol, Timestamp,"
    ...     " Flow Duration, Total Fwd Packets, Total Backward Packets,Flow Bytes/s, Label\n"
    ...     "192.0.2.1,192.0.2.2,41000,80,6,3/7/2017 8:55:58,2000000,3,2,Infinity,Benign\n"
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "flows.csv")
    ...     _ = path.write_text(text)
    ...     sessions, mended = read_cicflowmeter(path, on_mend="ignore", return_mended=True)
    >>> sessions[["dst_port", "duration", "packet_count", "label"]].values.tolist()
    [[80, 2.0, 5, 'BENIGN']]
    >>> mended
    {'infinite numbers, now missing': 1, 'spellings of BENIGN': 1}
    """
    path = Path(path)
    mended = Mended(path, on_mend)
    table = read_csv_text(open_text(path), path, skipinitialspace=True)
    names = canonical_names(table.columns)
    lacking = [name for name in ("Flow Duration", "Total Fwd Packet") if name not in names]
    if lacking:
        raise ValueError(
            f"{path} is no table of CICFlowMeter: it lacks {', '.join(lacking)}; it has "
            f"{', '.join(map(str, table.columns[:12]))}."
        )
    table = _without_bad_rows(table, names, mended)
    table = _renamed(table, names, path, mended)
    features = _features(table, mended)
    columns = _session_columns(table, features, mended)
    others = {
        name: plain_column(table[name])
        for name in table.columns
        if name not in features and name not in (*IDENTITY, "Timestamp", "Label")
    }
    sessions = session_frame(columns | features | others, path.stem)
    counts = mended.tell()
    return (sessions, counts) if return_mended else sessions


def _renamed(table, names, path, mended):
    """Give the columns their canonical names; equal columns stay once."""
    keep, seen = [], {}
    for place, name in enumerate(names):
        if name not in seen:
            seen[name] = place
            keep.append(place)
        elif table.iloc[:, seen[name]].equals(table.iloc[:, place]):
            mended.add("columns that stand twice, left out", 1)
        else:
            raise ValueError(
                f"{path} has two columns of {name!r} that differ: {table.columns[seen[name]]!r} "
                f"and {table.columns[place]!r}. Remove one."
            )
    out = table.iloc[:, keep]
    out.columns = [names[place] for place in keep]
    return out


def _without_bad_rows(table, names, mended):
    duration = table.iloc[:, names.index("Flow Duration")].str.strip()
    header = duration.str.lower().isin(("flow duration", "flow_duration"))
    mended.add("repeated header rows, left out", header.sum())
    cells = table.loc[:, [name != "Label" for name in names]]
    empty = (cells == "").all(axis=1) & ~header
    mended.add("rows without a value, left out", empty.sum())
    return table[~(header | empty)].reset_index(drop=True)


def _features(table, mended):
    """Read the tool's features as float64; what cannot be is missing, and counted."""
    out = {}
    for name in [name for name in table.columns if name in FEATURES]:
        values, infinite, unreadable = to_numbers(table[name])
        mended.add("infinite numbers, now missing", infinite)
        mended.add("cells that are no number, now missing", unreadable)
        out[name] = values
    negative = out["Flow Duration"] < 0
    mended.add("negative durations, now missing", negative.sum())
    out["Flow Duration"][negative] = np.nan
    return out


def _session_columns(table, features, mended):
    columns = {}
    for theirs, ours in IDENTITY.items():
        if theirs not in table:
            continue
        if ours in ("src_ip", "dst_ip"):
            columns[ours] = table[theirs].str.strip().replace("", None)
        elif ours == "protocol":
            columns[ours] = protocol_numbers(table[theirs])
        else:
            values, _, unreadable = to_numbers(table[theirs])
            mended.add("ports that are no number, now missing", unreadable)
            columns[ours] = whole_numbers(values, "uint16")
    if "Timestamp" in table:
        columns["start"] = _start(table["Timestamp"], mended)
    columns["duration"] = features["Flow Duration"] / 1e6
    for ours, names in (
        ("packet_count", ("Total Fwd Packet", "Total Bwd packets")),
        ("total_bytes", ("Total Length of Fwd Packet", "Total Length of Bwd Packet")),
    ):
        if all(name in features for name in names):
            columns[ours] = whole_numbers(features[names[0]] + features[names[1]])
    if "Label" in table:
        columns["label"] = _labels(table["Label"], mended)
    return columns


def _start(column, mended):
    """Read the flows' starts, UTC as no zone is told; NaT where they cannot be read."""
    parts = column.str.extract(TIME)
    number = parts[["a", "b", "c", "hour", "minute", "second"]].astype(np.float64)
    number["second"] = number["second"].fillna(0.0)
    year_first = number["a"] > 31
    hour = number["hour"].copy()
    half = parts["half"].str.lower()
    hour[(half == "p") & (hour < 12)] += 12
    hour[(half == "a") & (hour == 12)] = 0
    ambiguous = half.isna() & parts["second"].isna() & hour.between(1, 7) & ~year_first
    mended.add("times that may be in the afternoon (no AM or PM), kept", ambiguous.sum())
    days = pd.DataFrame(
        {
            "year": np.where(year_first, number["a"], number["c"]),
            "month": number["b"],
            "day": np.where(year_first, number["c"], number["a"]),
        }
    )
    whole = number["a"].notna()
    dates = pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns]")
    dates[whole] = pd.to_datetime(days[whole].astype(int), errors="coerce").astype("datetime64[ns]")
    seconds = hour * 3600 + number["minute"] * 60 + number["second"]
    times = dates + pd.to_timedelta(seconds.where(whole), unit="s").astype("timedelta64[ns]")
    mended.add("times that cannot be read, now missing", times.isna().sum())
    return times.dt.tz_localize("UTC")


def _labels(column, mended):
    """Labels of one spelling; missing where the tool says that there is none."""
    text = column.str.strip()
    # a dash that was read in the wrong encoding once: "Web Attack \\x96 XSS"
    dashed = text.str.replace("\\s*[\\u2013\\u2014\\x96\\ufffd]+\\s*", " - ", regex=True)
    mended.add("labels with a broken dash", (dashed != text).sum())
    benign = dashed.str.lower().str.replace(r"[^a-z]", "", regex=True).isin(BENIGN)
    mended.add("spellings of BENIGN", (benign & (dashed != "BENIGN")).sum())
    dashed = dashed.mask(benign, "BENIGN")
    return dashed.mask(dashed.str.lower().isin(NO_LABEL), None)
