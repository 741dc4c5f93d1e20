"""Zeek's logs of connections and of TLS to a session table."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic.exchange._frame import (
    Mended,
    open_text,
    plain_column,
    protocol_numbers,
    session_frame,
    to_numbers,
    whole_numbers,
)

__all__ = ["read_zeek"]

NEEDED = ("ts", "id.orig_h", "id.resp_h", "proto")
# Zeek's field -> ours; what is left of conn.log is kept under Zeek's names
TAKEN = (
    *NEEDED, "id.orig_p", "id.resp_p", "duration", "orig_pkts", "resp_pkts", "orig_ip_bytes",
    "resp_ip_bytes", "service", "vlan",
)  # fmt: skip


def read_zeek(path, *, ssl=None, on_mend="warn"):
    r"""Read the connections of a Zeek log as sessions.

    Parameters
    ----------
    path : path-like
        A ``conn.log``, with tabs or JSON, also compressed with gzip, also with labels as in IoT-23
        (``conn.log.labeled``); or a folder that holds a ``conn.log`` and perhaps an ``ssl.log``.
    ssl : path-like, default=None
        An ``ssl.log`` of the same run: its server names and JA3/JA4 fingerprints, where Zeek wrote
        them, are joined by `uid`. None: the ``ssl.log`` beside the ``conn.log`` of a folder, if
        there is one.
    on_mend : {"warn", "ignore", "raise"}, default="warn"
        What to do about lines that are left out (cut ones, repeated headers) and cells that
        cannot be read.

    Returns
    -------
    DataFrame of shape (n_sessions, n_columns)
        Session table without columns per packet: `start`, addresses, ports (none for ICMP, where
        Zeek's are type and code), `protocol`, `duration` in s (missing where Zeek gives none),
        `packet_count`, `total_bytes` (of IP packets), `application` (Zeek's service), `sni`,
        fingerprints, and all other fields under Zeek's own names (`uid`, `conn_state`, `history`,
        `label`, ...).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no log of connections; the message says which fields are lacking.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.exchange import read_zeek
    >>> log = '''#separator \\x09
    ... #path\tconn
    ... #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration
    ... 1300475168.5\tCx1\t192.0.2.1\t41000\t192.0.2.2\t443\ttcp\tssl\t1.25
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "conn.log")
    ...     _ = path.write_text(log)
    ...     sessions = read_zeek(path)
    >>> sessions[["dst_port", "protocol", "application", "duration"]].values.tolist()
    [[443, 6, 'ssl', 1.25]]
    """
    path = Path(path)
    if path.is_dir():
        ssl = _beside(path, "ssl") if ssl is None else ssl
        path = _beside(path, "conn") or path / "conn.log"
    mended = Mended(path, on_mend)
    log = _read_log(path, mended)
    lacking = [name for name in NEEDED if name not in log]
    if lacking:
        raise ValueError(
            f"{path} is no conn.log of Zeek: it lacks {', '.join(lacking)}; it has "
            f"{', '.join(map(str, log.columns[:12]))}. Name the log of connections."
        )
    log = _without_bad_lines(log, mended)
    columns = _session_columns(log, mended)
    if ssl is not None:
        columns |= _tls_columns(log, _read_log(Path(ssl), mended), ssl)
    table = session_frame(columns, str(path))
    mended.tell()
    return table


def _beside(folder, name):
    """Find a log of a folder by its name, with any of Zeek's endings; None where there is none."""
    found = sorted(folder.glob(f"{name}.log*")) + sorted(folder.glob(f"{name}.*.log*"))
    return found[0] if found else None


def _read_log(path, mended):
    """Read a log as str cells, one column a field; "" where Zeek has none."""
    text = open_text(path)
    if text.lstrip().startswith("{"):
        return _read_json(text, path, mended)
    return _read_tsv(text, path, mended)


def _read_json(text, path, mended):
    lines = [line for line in text.splitlines() if line.strip()]
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    mended.add("lines that are no JSON object, left out", len(lines) - len(records))
    if not records:
        raise ValueError(f"{path} holds no line of JSON that can be read. Write the log anew.")
    table = pd.DataFrame(records).astype(object)
    return table.where(table.notna(), "").map(_cell)


def _cell(value):
    """Write a JSON value as Zeek writes it with tabs."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "T" if value else "F"
    return str(value)


def _read_tsv(text, path, mended):
    header, rows = {}, []
    for line in text.splitlines():
        if not line.startswith("#"):
            rows.append(line)
            continue
        name, _, rest = line[1:].partition(" " if line.startswith("#separator") else "\t")
        header.setdefault(name, rest)
    if "fields" not in header:
        raise ValueError(
            f"{path} has no line #fields, so it is no log of Zeek. A log that was cut or filtered "
            "needs its header lines; Zeek's JSON needs none."
        )
    separator = header.get("separator", "\\x09").encode().decode("unicode_escape")
    # IoT-23 puts its labels behind three spaces
    split = re.compile(f"{re.escape(separator)}|   +")
    fields = [field for field in split.split(header["fields"]) if field]
    rows = [row for row in rows if row.strip()]
    cells = [split.split(row) for row in rows]
    whole = [row for row in cells if len(row) == len(fields)]
    mended.add("lines with another number of fields, left out", len(cells) - len(whole))
    table = pd.DataFrame(whole, columns=fields, dtype=object)
    unset = header.get("unset_field", "-")
    empty = header.get("empty_field", "(empty)")
    return table.replace({unset: "", empty: ""})


def _without_bad_lines(log, mended):
    """Leave out lines without a time: cut ones, and headers in the middle."""
    ts, _, _ = _times(log["ts"])
    bad = ~np.isfinite(ts)
    mended.add("lines without a time, left out", bad.sum())
    return log[~bad].reset_index(drop=True)


def _times(column):
    """Seconds since 1970, from numbers or from dates (JSON's ISO 8601)."""
    seconds, infinite, unreadable = to_numbers(column)
    if unreadable:
        dates = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
        known = dates.notna().to_numpy()
        ns = dates.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
        seconds = np.where(known, ns / 1e9, seconds)
    return seconds, infinite, unreadable


def _number(log, name, mended, kind=None):
    if name not in log:
        return None
    values, infinite, unreadable = to_numbers(log[name])
    mended.add(f"cells of {name} that are no number, now missing", infinite + unreadable)
    return values if kind is None else whole_numbers(values, kind)


def _session_columns(log, mended):
    seconds, _, _ = _times(log["ts"])
    protocol = protocol_numbers(log["proto"])
    icmp = log["proto"].str.lower().str.startswith("icmp").to_numpy()
    columns = {
        "start": pd.to_datetime(np.rint(seconds * 1e6), unit="us", utc=True),
        "src_ip": log["id.orig_h"].replace("", None),
        "dst_ip": log["id.resp_h"].replace("", None),
        "protocol": protocol,
    }
    for ours, theirs in (("src_port", "id.orig_p"), ("dst_port", "id.resp_p")):
        port = _number(log, theirs, mended)
        if port is not None:
            columns[ours] = whole_numbers(np.where(icmp, 0, port), "uint16")
    duration = _number(log, "duration", mended)
    if duration is not None:
        columns["duration"] = duration
    for ours, names in (
        ("packet_count", ("orig_pkts", "resp_pkts")),
        ("total_bytes", ("orig_ip_bytes", "resp_ip_bytes")),
    ):
        parts = [_number(log, name, mended) for name in names]
        if all(part is not None for part in parts):
            columns[ours] = whole_numbers(parts[0] + parts[1])
    vlan = _number(log, "vlan", mended, "uint16")
    if vlan is not None:
        columns["vlan_id"] = vlan
    if "service" in log:
        columns["application"] = log["service"].replace("", None)
    others = [name for name in log.columns if name not in TAKEN]
    return columns | {name: plain_column(log[name]) for name in others}


def _tls_columns(log, tls, path):
    """Server name and fingerprints of each connection, by its uid; the first line that has one."""
    if "uid" not in tls or "server_name" not in tls:
        raise ValueError(
            f"{path} is no ssl.log of Zeek: it lacks uid or server_name. Leave ssl out, or name "
            "the log of TLS."
        )
    if "uid" not in log:
        raise ValueError(f"The conn.log has no uid, so {path} cannot be joined to it.")
    out = {}
    for ours, names in (
        ("sni", ("server_name",)),
        ("client_fingerprint", ("ja4", "ja3")),
        ("server_fingerprint", ("ja4s", "ja3s")),
    ):
        name = next((name for name in names if name in tls), None)
        if name is not None:
            known = tls[tls[name] != ""].drop_duplicates("uid").set_index("uid")[name]
            joined = log["uid"].map(known).astype(object)
            out[ours] = joined.where(log["uid"].isin(known.index), None)
    return out
