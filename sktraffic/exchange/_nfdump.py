"""NetFlow and IPFIX records, as nfdump writes them, to a session table."""

import numpy as np
import pandas as pd

from sktraffic.exchange._frame import (
    Mended,
    open_text,
    plain_name,
    protocol_numbers,
    read_csv_text,
    session_frame,
    to_numbers,
    whole_numbers,
)

__all__ = ["read_nfdump"]

# our name -> plain names of nfdump's columns, of `-o csv` before and since version 1.7.4
NAMES = {
    "first": ("ts", "firstseen", "first", "datefirstseen"),
    "last": ("te", "lastseen", "last", "datelastseen"),
    "duration": ("td", "duration"),
    "src_ip": ("sa", "srcaddr", "srcipaddr", "srcip"),
    "dst_ip": ("da", "dstaddr", "dstipaddr", "dstip"),
    "src_port": ("sp", "srcport", "srcpt"),
    "dst_port": ("dp", "dstport", "dstpt"),
    "protocol": ("pr", "proto", "protocol"),
    "packets": ("ipkt", "packets", "inpackets", "inpkt"),
    "bytes": ("ibyt", "bytes", "inbytes", "inbyte"),
    "packets_back": ("opkt", "outpackets", "outpkt"),
    "bytes_back": ("obyt", "outbytes", "outbyte"),
    "flags": ("flg", "flags"),
}
NEEDED = ("first", "src_ip", "dst_ip", "protocol", "packets", "bytes")


def read_nfdump(path, *, on_mend="warn"):
    r"""Read flow records of NetFlow or IPFIX from nfdump's CSV as sessions.

    Write the file with ``nfdump -r FILE -o csv > flows.csv`` (``-b`` joins the two directions of a
    conversation into one record; without it each direction is a row of its own).

    Parameters
    ----------
    path : path-like
        The CSV, also compressed with gzip; the summary at its end is left out.
    on_mend : {"warn", "ignore", "raise"}, default="warn"
        What to do about rows that are left out and cells that cannot be read.

    Returns
    -------
    DataFrame of shape (n_sessions, n_columns)
        Session table without columns per packet: `start` (nfdump's local time taken as UTC: run it
        with ``TZ=UTC``), addresses, ports, `protocol`, `duration` in s, `packet_count` and
        `total_bytes` of both directions, and ``tcp_flags`` as nfdump writes them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such CSV; the message says which columns are lacking.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.exchange import read_nfdump
    >>> text = (
    ...     "ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt\n"
    ...     "2024-05-01 10:00:00.000,2024-05-01 10:00:02.500,2.500,192.0.2.1,192.0.2.2,"
    ...     "41000,443,TCP,...AP.SF,10,1200,8,9000\n"
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "flows.csv")
    ...     _ = path.write_text(text)
    ...     sessions = read_nfdump(path)
    >>> sessions[["protocol", "duration", "packet_count", "total_bytes"]].values.tolist()
    [[6, 2.5, 18, 10200]]
    """
    mended = Mended(path, on_mend)
    text = open_text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    flows, rest = _flow_lines(lines)
    mended.add("lines that are no flow record (the summary among them), left out", rest)
    table = read_csv_text("\n".join(flows), path, skipinitialspace=True)
    known = {plain_name(name): name for name in table.columns}
    found = {
        ours: next((known[name] for name in names if name in known), None)
        for ours, names in NAMES.items()
    }
    lacking = [ours for ours in NEEDED if found[ours] is None]
    if lacking:
        raise ValueError(
            f"{path} is no CSV of nfdump: it lacks a column for {', '.join(lacking)}; it has "
            f"{', '.join(map(str, table.columns[:12]))}. Write it with: nfdump -r FILE -o csv"
        )
    table = table.rename(columns={name: ours for ours, name in found.items() if name})
    columns = _session_columns(table, mended)
    sessions = session_frame(columns, str(path))
    mended.tell()
    return sessions


def _flow_lines(lines):
    """Header and flow records: the lines with as many commas as the first, headers once."""
    if not lines:
        return [], 0
    header, commas = lines[0], lines[0].count(",")
    body = [line for line in lines[1:] if line.count(",") == commas and line != header]
    return [header, *body], len(lines) - 1 - len(body)


def _session_columns(table, mended):
    first = pd.to_datetime(table["first"], errors="coerce", utc=True, format="mixed")
    mended.add("cells of the first time that are no time, now missing", first.isna().sum())
    columns = {
        "start": first,
        "src_ip": table["src_ip"].replace("", None),
        "dst_ip": table["dst_ip"].replace("", None),
        "protocol": protocol_numbers(table["protocol"]),
    }
    for name in ("src_port", "dst_port"):
        if name in table:
            columns[name] = whole_numbers(_ports(table[name]), "uint16")
    if "duration" in table:
        columns["duration"] = _numbers(table, "duration", mended)
    elif "last" in table:
        last = pd.to_datetime(table["last"], errors="coerce", utc=True, format="mixed")
        columns["duration"] = (last - first).dt.total_seconds()
    for ours, name in (("packet_count", "packets"), ("total_bytes", "bytes")):
        total = _numbers(table, name, mended)
        if f"{name}_back" in table:
            total = total + np.nan_to_num(_numbers(table, f"{name}_back", mended))
        columns[ours] = whole_numbers(total)
    if "flags" in table:
        columns["tcp_flags"] = table["flags"].str.strip()
    return columns


def _ports(column):
    """Port numbers; nfdump writes type and code of ICMP as "8.0" into the port: then 0."""
    text = column.str.strip()
    values, _, _ = to_numbers(text)
    return np.where(text.str.contains(".", regex=False), 0.0, values)


def _numbers(table, name, mended):
    values, infinite, unreadable = to_numbers(table[name])
    mended.add(f"cells of {name} that are no number, now missing", infinite + unreadable)
    return values
