"""Text columns of a packet list to numbers, a value a packet."""

import ipaddress
import re

import numpy as np
import pandas as pd
import pyarrow as pa

from sktraffic.capture._packet_headers import padded_bytes, parse_headers
from sktraffic.messages import MESSAGE_PROTOCOL, MESSAGE_PROTOCOLS, MESSAGES

__all__ = [
    "addresses",
    "info_flags",
    "info_payload",
    "info_ports",
    "packet_bytes",
    "times_ns",
    "transport_of_messages",
    "whole_numbers",
]

UNKNOWN = -1
LARGEST = 2**31 - 1
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECN": 64, "ECE": 64}
FLAGS |= {"CWR": 128}
TCP_PROTOCOLS = ("TCP", "TLS", "HTTP", "SSH", "FTP", "SMTP", "IMAP", "POP3")
UDP_PROTOCOLS = (
    "UDP",
    "DTLS",
    "QUIC",
    "DNS",
    "mDNS",
    "LLMNR",
    "NBNS",
    "DHCP",
    "STUN",
    "RTP",
    "NTP",
)
IP_MESSAGES = {"IP: ESP": 50, "IP: GRE": 47, "IP: IGMP": 2, "IP: SCTP": 132}
# link-layer header sizes in front of an IP packet: none, loopback, PPP, Ethernet, VLAN, cooked
LINK_SIZES = (0, 14, 18, 4, 16, 20, 22)
# "443 → 51234", "443 > 51234", "https(443) → 51234(51234)", marks such as "[TCP Dup ACK 3#1]"
PORT = r"(?:[^ \[\]()]+\()?(\d+)\)?"
PORTS = rf"^(?:\[[^\]]*\][ ,]*)*{PORT}\s*(?:→|->|>)\s*{PORT}(?:\s|$)"
EPOCH_FROM = 10**17  # ns; a number of seconds after 1973 is a date, not a time since the start


def whole_numbers(column, path, name, most=LARGEST, required=False):
    """Parse whole numbers from 0 to `most`, decimal or 0x hexadecimal; -1 for empty cells.

    Raises
    ------
    ValueError
        If a cell is neither, or empty where it is `required`; the rows are named.
    """
    plain = column.str.replace(r"\.0+$", "", regex=True)
    decimal = pd.to_numeric(plain, errors="coerce")
    is_hex = plain.str.match(r"^0[xX][0-9a-fA-F]+$")
    if is_hex.any():
        decimal = decimal.astype("float64")
        decimal[is_hex] = [int(text, 16) for text in plain[is_hex]]
    bad = (decimal.isna() & (plain != "")) | (decimal < 0) | (decimal > most) | (decimal % 1 > 0)
    if required:
        bad |= decimal.isna()
    _refuse(bad, column, path, f"{name} is no whole number up to {most}")
    return decimal.fillna(UNKNOWN).to_numpy().astype(np.int64)


def times_ns(column, path):
    """Parse times.

    Parameters
    ----------
    column : Series of str
        Seconds since the first packet, seconds since 1970, a time of day, or a date and time
        (UTC where it says no zone).
    path : Path
        For the error.

    Returns
    -------
    times : ndarray of shape (n_packets,), int64
        Nanoseconds, since 1970 if `absolute`.
    absolute : bool
    """
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().mean() > 0.5:
        _refuse(numbers.isna() | ~np.isfinite(numbers), column, path, "Time is no number")
        times = _seconds_to_ns(column, numbers)
        return times, bool(np.median(times) >= EPOCH_FROM)
    if column.str.match(r"^\d{1,3}:\d{2}:\d{2}").mean() > 0.5:
        parsed = pd.to_timedelta(column, errors="coerce")
        _refuse(parsed.isna(), column, path, "Time is no time of day")
        return parsed.to_numpy().astype("timedelta64[ns]").astype(np.int64), False
    parsed = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    if parsed.isna().any():
        parsed = pd.to_datetime(column, errors="coerce", utc=True, format="mixed")
    _refuse(parsed.isna(), column, path, "Time is neither seconds nor a date")
    return pd.DatetimeIndex(parsed).as_unit("ns").asi8.copy(), True


def _seconds_to_ns(column, numbers):
    """Nanoseconds of decimal texts, exact where they have at most nine decimals."""
    try:
        exact = pa.array(column.astype(object), pa.string()).cast(pa.decimal128(28, 9))
        # stored as 128-bit whole numbers of the last decimal: every other word is the lower half
        words = np.frombuffer(exact.buffers()[1], np.int64)
        return words[2 * exact.offset :][: 2 * len(exact) : 2].copy()
    except pa.ArrowInvalid:  # more decimals, or 1e-05
        return np.rint(numbers.to_numpy(dtype=np.float64) * 1e9).astype(np.int64)


def _refuse(bad, column, path, what):
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        shown = ", ".join(f"{row + 1} ({column.iloc[row]!r})" for row in rows[:5])
        more = ", ..." if len(rows) > 5 else ""
        raise ValueError(
            f"{path}: {what} in {len(rows)} of {len(column)} packets: row(s) {shown}{more}. "
            "Correct or remove these rows, or export the packet list again."
        )


def addresses(column):
    """Canonical IP addresses and their versions.

    Returns
    -------
    texts : ndarray of str of shape (n_packets,)
        As given where it is no IP address (a name, a link-layer address).
    versions : ndarray of shape (n_packets,), int64
        4, 6, or 0 where it is no IP address.
    """
    codes, words = pd.factorize(column)
    parsed = [_address(word) for word in words]
    texts = np.array([text for text, _ in parsed] or [""], dtype=object)
    versions = np.array([version for _, version in parsed] or [0], dtype=np.int64)
    return texts[codes], versions[codes]


def _address(word):
    try:
        address = ipaddress.ip_address(word.partition("%")[0])
    except ValueError:
        return word, 0
    return str(address), address.version


def info_ports(info):
    """Source and destination ports that Info texts start with; -1 where there are none."""
    found = info.str.extract(PORTS)
    numbers = found.apply(pd.to_numeric).fillna(UNKNOWN).to_numpy().astype(np.int64)
    return np.where(numbers.max(axis=1, keepdims=True) > 65_535, UNKNOWN, numbers).T


def info_flags(info):
    """TCP flags of Info texts such as "... [SYN, ACK] Seq=0 ..."; -1 where there are none."""
    words = info.str.extract(r"\[((?:<None>|[A-Z]{3}(?:, [A-Z]{3})*))\] Seq=", expand=False)
    codes, texts = pd.factorize(words.fillna(""))
    known = {
        text: sum(FLAGS.get(flag, 0) for flag in set(text.split(", "))) for text in texts if text
    }
    return np.array([known.get(text, UNKNOWN) for text in texts] or [UNKNOWN])[codes]


def info_payload(info):
    """Payload sizes of Info texts that end in "Len=..."; -1 where there are none."""
    sizes = info.str.extract(r"(?:^| )Len=(\d+)(?: |$)", expand=False)
    return pd.to_numeric(sizes).fillna(UNKNOWN).to_numpy().astype(np.int64)


def transport_of_messages(codes, versions):
    """IP protocol numbers that messages suggest; -1 where they leave it open.

    Parameters
    ----------
    codes : ndarray of shape (n_packets,)
        Index into `MESSAGES`.
    versions : ndarray of shape (n_packets,)
        4, 6 or 0.
    """
    numbers = dict.fromkeys(TCP_PROTOCOLS, 6) | dict.fromkeys(UDP_PROTOCOLS, 17)
    table = np.array([numbers.get(MESSAGE_PROTOCOLS[p], UNKNOWN) for p in MESSAGE_PROTOCOL])
    for code, message in enumerate(MESSAGES):
        table[code] = IP_MESSAGES.get(message, table[code])
    icmp = MESSAGE_PROTOCOL[codes] == MESSAGE_PROTOCOLS.index("ICMP")
    return np.where(icmp, np.where(versions == 6, 58, 1), table[codes])


def packet_bytes(column, sources, destinations):
    """Bytes of packets from hexadecimal text, cut to begin with the IP header.

    The IP header is looked for behind each usual link-layer header; it is where the addresses
    are those of the row.

    Parameters
    ----------
    column : Series of str
        With or without blanks, colons or "0x".
    sources, destinations : ndarray of str of shape (n_packets,)

    Returns
    -------
    raw : pyarrow.Array of binary of shape (n_packets,)
        Empty where there is no such packet.
    headers : Headers
    """
    digits = column.str.replace(r"0x|[\s:,.-]|\\x", "", regex=True)
    whole = [bytes.fromhex(text) if _is_hex(text) else b"" for text in digits]
    wanted = [_packed(a) + _packed(b) for a, b in zip(sources, destinations, strict=True)]
    raw = pa.array(
        [_cut(data, ends) for data, ends in zip(whole, wanted, strict=True)], pa.binary()
    )
    return raw, parse_headers(*padded_bytes(raw))


def _is_hex(text):
    return len(text) % 2 == 0 and re.fullmatch("[0-9a-fA-F]*", text) is not None


def _packed(address):
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return b""


def _cut(data, ends):
    if len(ends) not in (8, 32):
        return b""
    version, at = (4, 12) if len(ends) == 8 else (6, 8)
    for size in LINK_SIZES:
        head = data[size : size + at + len(ends)]
        if head[at:] == ends and head[0] >> 4 == version:
            return data[size:]
    return b""
