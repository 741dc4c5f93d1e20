"""Packet lists that Wireshark and tshark export, as one table of text."""

import csv
import importlib.util
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic._limits import TooLargeError, check_unpacked

__all__ = ["COLUMNS", "read_export"]

# bytes that a spreadsheet may unpack to: a million rows, which is all that one can have, take less
MOST_SPREADSHEET = 1 << 30

# our name -> names that exports give the column, lower case
COLUMNS = {
    "number": ("no.", "no", "number", "frame.number", "_ws.col.number", "序号", "编号"),
    "time": ("time", "frame.time_relative", "frame.time", "_ws.col.time"),
    "epoch": ("frame.time_epoch",),
    "delta": (
        "delta",
        "time delta",
        "delta time",
        "frame.time_delta",
        "frame.time_delta_displayed",
    ),
    "source": ("source", "src", "_ws.col.source", "_ws.col.def_src"),
    "destination": ("destination", "dst", "_ws.col.destination", "_ws.col.def_dst"),
    "protocol": ("protocol", "_ws.col.protocol"),
    "length": ("length", "frame.len", "_ws.col.length"),
    "info": ("info", "_ws.col.info"),
    "hex": ("hex", "hex code", "hexcode", "hex data", "raw", "data", "bytes"),
    # single fields, mostly from tshark -T fields
    "src_port": ("source port", "src port", "srcport", "sctp.srcport"),
    "dst_port": ("destination port", "dest port", "dst port", "dstport", "sctp.dstport"),
    "ip_src": ("ip.src",),
    "ip_dst": ("ip.dst",),
    "ipv6_src": ("ipv6.src",),
    "ipv6_dst": ("ipv6.dst",),
    "ip_proto": ("ip.proto",),
    "ipv6_next": ("ipv6.nxt",),
    "ip_length": ("ip.len",),
    "ipv6_length": ("ipv6.plen",),
    "tcp_src_port": ("tcp.srcport",),
    "tcp_dst_port": ("tcp.dstport",),
    "udp_src_port": ("udp.srcport",),
    "udp_dst_port": ("udp.dstport",),
    "tcp_flags": ("tcp.flags",),
    "tcp_length": ("tcp.len",),
    "tcp_header": ("tcp.hdr_len",),
    "udp_length": ("udp.length",),
    "vlan_id": ("vlan.id",),
}
# fields of which a packet has several when there is a packet in it: a tunnel's, an ICMP error's
REPEATED = frozenset(COLUMNS) - {
    *(
        "number",
        "time",
        "epoch",
        "delta",
        "source",
        "destination",
        "protocol",
        "length",
        "info",
        "hex",
    )
}
NEEDED = ("time", "source", "destination", "protocol", "length", "info")
PCAP_MAGIC = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\n\r\r\n")


def read_export(path):
    """Read an export, whatever its format, encoding and separator.

    Parameters
    ----------
    path : Path

    Returns
    -------
    table : DataFrame of str of shape (n_packets, n_columns)
        Columns have our names (the keys of `COLUMNS`); others are left out. Missing cells are "".
    repeated : int
        Packets of which a field had several values, separated by commas: of them the first is
        taken, and the last of VLAN identifiers, which is the innermost tag's.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        If there is no such file, it is no packet list, or a spreadsheet cannot be read for want
        of openpyxl.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path} to read a packet list from.")
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"{path} is empty. Export the packet list again.")
    if content.startswith(PCAP_MAGIC):
        raise ValueError(
            f"{path} is a capture, not a packet list. Read it with "
            "SessionExtractor().transform([path])."
        )
    if content.startswith(b"PK\x03\x04"):
        table = _read_spreadsheet(content, path)
    else:
        table = _read_text(content, path)
    return _first_values(_known_columns(table, path))


def _read_spreadsheet(content, path):
    if importlib.util.find_spec("openpyxl") is None:
        raise ImportError(
            f"Reading the spreadsheet {path} takes openpyxl: pip install 'sktraffic[xlsx]'. "
            "Or save it as CSV."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        check_unpacked(unpacked, len(content), None, MOST_SPREADSHEET, "save it as CSV")
        table = pd.read_excel(io.BytesIO(content), dtype=object, engine="openpyxl")
    except TooLargeError as error:
        raise ValueError(f"{path} {error}") from None
    except Exception as error:  # zipfile, openpyxl and pandas raise a dozen types here
        raise ValueError(f"{path} is no readable XLSX file: {error}") from error
    return table.apply(lambda column: column.map(_cell_text)).astype(str)


def _cell_text(value):
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _read_text(content, path):
    text = _decode(content, path)
    _refuse_other_forms(text, path)
    hint = re.match(r"sep=(.)\n", text)  # what spreadsheets write before the header
    if hint:
        text = text[hint.end() :]
    header = text.lstrip("\n").split("\n", 1)[0]
    names = [(separator, _split(header, separator, path)) for separator in ",;\t"]
    separator, cells = max(names, key=lambda pair: sum(_our_name(name) != "" for name in pair[1]))
    _refuse_headless(names, path)
    # tshark writes tabs inside a cell as \\t, but leaves quotation marks inside one as they are
    quoting = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, quoting=quoting
        )
        # pandas takes what the header has no name for as an index, and shifts the columns
        if not isinstance(table.index, pd.RangeIndex):
            longest = table.index.nlevels + table.shape[1]
            raise pd.errors.ParserError(f"lines have {longest} cells, the header {len(cells)}")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        line = re.search(r"in line (\d+), saw (\d+)", str(error))
        what = f"line {line[1]} has {line[2]} cells, the header {len(cells)}" if line else error
        raise ValueError(
            f"{path} is no table with the separator {separator!r}: {what}. Export it with "
            "quotation marks around the cells (tshark: -E quote=d)."
        ) from error
    if quoting == csv.QUOTE_NONE:
        table = table.apply(lambda column: column.str.replace(r'^"(.*)"$', r"\1", regex=True))
    return table


def _refuse_other_forms(text, path):
    start = text.lstrip()[:200]
    form = {"[": "JSON", "{": "JSON", "<": "XML"}.get(start[:1])
    if form:
        raise ValueError(
            f"{path} is {form}, not a packet list. Export it as CSV (File, Export Packet "
            "Dissections, As CSV) or with tshark -T fields -E header=y."
        )


def _refuse_headless(names, path):
    """Say so where the first line is a packet."""
    for _, cells in names:
        values = [cell for cell in cells if re.fullmatch(r"-?\d+(\.\d+)?|\d+(\.\d+){3}", cell)]
        if len(values) > 2 and not any(_our_name(cell) for cell in cells):
            raise ValueError(
                f"{path} has no header: its first line is a packet ({', '.join(values[:3])}, ...). "
                "Export it with the names of the columns (tshark: -E header=y), or write them "
                "into the first line."
            )


def _decode(content, path):
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ("utf-16",)
    else:
        # GB 18030 holds GBK; text that is valid UTF-8 is hardly ever meant as GBK
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            text = text.replace("\r\n", "\n")
            return text if "\n" in text else text.replace("\r", "\n")
    raise ValueError(
        f"{path} is no text in {' or '.join(encodings)}, and no XLSX file. Export the packet list "
        "as CSV in UTF-8."
    )


def _split(header, separator, path):
    try:
        return next(csv.reader([header], delimiter=separator))
    except csv.Error as error:
        raise ValueError(
            f"The header of {path} is no line of CSV ({error}). Export the packet list again."
        ) from None


def _our_name(name):
    plain = " ".join(str(name).strip().strip('"').lower().split())
    return next((ours for ours, theirs in COLUMNS.items() if plain in theirs), "")


def _known_columns(table, path):
    found = {}
    for name in table.columns:
        found.setdefault(_our_name(name), name)
    # single fields stand in for the columns of the packet list
    for column, fields in (
        ("time", {"epoch", "delta"}),
        ("source", {"ip_src", "ipv6_src"}),
        ("destination", {"ip_dst", "ipv6_dst"}),
    ):
        if fields & set(found):
            found.setdefault(column, None)
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise ValueError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}. Export the packet list with the columns No., "
            "Time, Source, Destination, Protocol, Length and Info."
        )
    if not len(table):
        raise ValueError(f"{path} has column names but no packet. Export the packet list again.")
    return pd.DataFrame(
        {
            ours: table[theirs].str.strip() if theirs is not None else ""
            for ours, theirs in found.items()
            if ours
        },
        index=table.index,
    )


def _first_values(table):
    """Take one of several values; returns the table and how many rows had several."""
    several = np.zeros(len(table), dtype=bool)
    for name in REPEATED & set(table):
        rows = table[name].str.contains(",", regex=False).to_numpy(dtype=bool)
        if rows.any():
            parts = table.loc[rows, name].str.split(",")
            table.loc[rows, name] = parts.str[-1 if name == "vlan_id" else 0].str.strip()
            several |= rows
    return table, int(several.sum())
