"""Text columns of a packet list to numbers, a value a packet."""

import ipaddress
import re

import numpy as np
import pandas as pd

from sktraffic.messages import MESSAGE_PROTOCOL, MESSAGE_PROTOCOLS, MESSAGES

__all__ = [
    "hosts",
    "info_flags",
    "info_payload",
    "info_ports",
    "packet_bytes",
    "refuse_rows",
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
    refuse_rows(bad, column, path, f"{name} is no whole number up to {most}")
    return decimal.fillna(UNKNOWN).to_numpy().astype(np.int64)


def refuse_rows(bad, column, path, what):
    """Raise ValueError that names the rows where `bad` holds, if there are any."""
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        shown = ", ".join(f"{row + 1} ({column.iloc[row]!r})" for row in rows[:5])
        more = ", ..." if len(rows) > 5 else ""
        raise ValueError(
            f"{path}: {what} in {len(rows)} of {len(column)} packets: row(s) {shown}{more}. "
            "Correct or remove these rows, or export the packet list again."
        )


def hosts(source, destination):
    """Give every host of an export a number.

    Parameters
    ----------
    source, destination : Series of str
        IP addresses, or names of hosts and link-layer addresses.

    Returns
    -------
    ends : ndarray of shape (2, n_packets), int64
        Index of source and destination of each packet in the others.
    words : list of str, length n_hosts
        Each host as written.
    address : ndarray of shape (n_hosts, 2), uint64
        Upper and lower 64 bits; 0 where it is no IP address.
    version : ndarray of shape (n_hosts,), uint8
        4, 6, or 0 where it is no IP address.
    """
    codes, words = pd.factorize(pd.concat([source, destination], ignore_index=True))
    numbers, versions = np.zeros((len(words), 2), np.uint64), np.zeros(len(words), np.uint8)
    for row, word in enumerate(words):
        try:
            address = ipaddress.ip_address(word.partition("%")[0])
        except ValueError:
            continue
        numbers[row] = divmod(int(address), 2**64)
        versions[row] = address.version
    return codes.reshape(2, -1), list(words), numbers, versions


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
    sources, destinations : sequence of str, length n_packets

    Returns
    -------
    list of bytes, length n_packets
        Empty where there is no such packet.
    """
    digits = column.str.replace(r"0x|[\s:,.-]|\\x", "", regex=True)
    whole = [bytes.fromhex(text) if _is_hex(text) else b"" for text in digits]
    ends = zip(sources, destinations, strict=True)
    wanted = [
        _packed(a) + _packed(b) if data else b"" for data, (a, b) in zip(whole, ends, strict=True)
    ]
    return [_cut(data, pair) for data, pair in zip(whole, wanted, strict=True)]


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
