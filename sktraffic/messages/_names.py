"""Messages of name services and DHCP from packet bytes (RFC 1035, 1002, 2131, 8415)."""

import numpy as np

from sktraffic.messages._vocabulary import CODES
from sktraffic.packets import be16, number_at, window

__all__ = ["dhcp_codes", "dhcpv6_codes", "dns_codes", "llmnr_codes", "mdns_codes", "nbns_codes"]

_HTTPS = 65
_DNS_TYPES = {1: "A", 28: "AAAA", 64: "HTTPS", 65: "HTTPS", 12: "PTR", 16: "TXT", 33: "SRV",
              15: "MX", 255: "ANY", 10: "NULL"}  # fmt: skip
_DNS_QUERY = np.full(65536, CODES["DNS: Query Other"], dtype=np.int16)
_MDNS_QUERY = np.full(65536, CODES["mDNS: Query Other"], dtype=np.int16)
for _number, _name in _DNS_TYPES.items():
    _DNS_QUERY[_number] = CODES[f"DNS: Query {_name}"]
_MDNS_QUERY[12] = CODES["mDNS: Query PTR"]
_MDNS_QUERY[255] = CODES["mDNS: Query ANY"]

_DHCP_KINDS = ("Other", "Discover", "Offer", "Request", "Decline", "ACK", "NAK", "Release",
               "Inform")  # fmt: skip
_DHCP = np.full(256, CODES["DHCP: Other"], dtype=np.int16)
_DHCP[: len(_DHCP_KINDS)] = [CODES[f"DHCP: {kind}"] for kind in _DHCP_KINDS]
_DHCPV6 = np.full(256, CODES["DHCP: Other"], dtype=np.int16)
_DHCPV6[1:12] = [CODES[f"DHCP: {kind}"] for kind in (
    "Discover", "Offer", "Request", "Request", "Request", "Request", "ACK", "Release", "Decline",
    "Other", "Inform")]  # fmt: skip

# The longest name has 127 labels of one letter; a row leaves the loop with its last label.
_MAX_LABELS = 128
_MAX_OPTIONS = 24


def question_types(data, start, stop):
    """Read the type of the first question of DNS messages; -1 where the name does not end.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    start, stop : ndarray of shape (n,)
        Where each message lies in `data`.

    Returns
    -------
    ndarray of shape (n,), int64
    """
    end = np.full(len(start), -1, dtype=np.int64)  # where the last label stands, or a pointer
    rows, place = np.arange(len(start)), start + 12
    for _ in range(_MAX_LABELS):
        inside = place < stop[rows]
        rows, place = rows[inside], place[inside]
        if not len(rows):
            break
        length = data[place]
        last = (length == 0) | (length >= 0xC0)
        end[rows[last]] = place[last]
        rows, place = rows[~last], (place + 1 + length)[~last]
    at = end + np.where(data[end] >= 0xC0, 2, 1)
    types = number_at(data, at, stop)
    return np.where((end >= 0) & (at + 2 <= stop), types, -1)


def dns_codes(data, start, stop):
    """Name DNS messages by direction, first question and response code; -> (n,) int16."""
    head = window(data, start, stop, 12)
    flags, complete = be16(head, 2), stop - start >= 12
    response = flags >= 0x8000
    code = flags & 15
    codes = np.full(len(start), CODES["DNS: Response"], dtype=np.int16)
    codes[code != 0] = CODES["DNS: Response Error"]
    codes[code == 3] = CODES["DNS: No Such Name"]
    query = np.flatnonzero(~response)
    if len(query):
        types = question_types(data, start[query], stop[query])
        none = be16(head, 4)[query] == 0
        codes[query] = np.where(none, CODES["DNS: Query Other"], _DNS_QUERY[types])
    codes[((flags >> 11) & 15 != 0) | ~complete] = CODES["DNS: Other"]
    return codes


def mdns_codes(data, start, stop):
    """Name mDNS messages; -> (n,) int16."""
    head = window(data, start, stop, 12)
    codes = np.full(len(start), CODES["mDNS: Response"], dtype=np.int16)
    query = np.flatnonzero(head[:, 2] < 0x80)
    if len(query):
        codes[query] = _MDNS_QUERY[question_types(data, start[query], stop[query])]
    codes[(head[:, 2] & 0x78 != 0) | (stop - start < 12)] = CODES["mDNS: Other"]
    return codes


def llmnr_codes(data, start, stop):
    """Name LLMNR messages; -> (n,) int16."""
    head = window(data, start, stop, 12)
    codes = np.where(head[:, 2] < 0x80, CODES["LLMNR: Query"], CODES["LLMNR: Response"])
    return np.where(stop - start < 12, CODES["LLMNR: Other"], codes).astype(np.int16)


def nbns_codes(data, start, stop):
    """Name NetBIOS name service messages by operation, type and direction; -> (n,) int16."""
    head = window(data, start, stop, 12)
    operation = (head[:, 2] >> 3) & 15
    response = head[:, 2] >= 0x80
    codes = np.full(len(start), CODES["NBNS: Other"], dtype=np.int16)
    query = operation == 0
    codes[query] = CODES["NBNS: Name Query"]
    codes[query & response] = CODES["NBNS: Name Query Response"]
    rows = np.flatnonzero(query)
    status = question_types(data, start[rows], stop[rows]) == 33
    codes[rows[status]] = CODES["NBNS: Status Query"]
    codes[(operation == 5) | (operation == 15)] = CODES["NBNS: Registration"]
    codes[operation == 6] = CODES["NBNS: Release"]
    codes[(operation == 8) | (operation == 9)] = CODES["NBNS: Refresh"]
    codes[stop - start < 12] = CODES["NBNS: Other"]
    return codes


def dhcp_codes(data, start, stop):
    """Name DHCP messages by option 53; -> (n,) int16."""
    kinds = np.zeros(len(start), dtype=np.int64)
    place = start + 240
    rows = np.flatnonzero(place < stop)
    place = place[rows]
    for _ in range(_MAX_OPTIONS):
        head = window(data, place, stop[rows], 3)
        found = head[:, 0] == 53
        kinds[rows[found]] = head[found, 2]
        step = np.where(head[:, 0] == 0, 1, 2 + head[:, 1].astype(np.int64))
        place = place + step
        on = ~found & (head[:, 0] != 255) & (place < stop[rows])
        rows, place = rows[on], place[on]
        if not len(rows):
            break
    return _DHCP[kinds]


def dhcpv6_codes(data, start, stop):
    """Name DHCPv6 messages by their type, as the DHCP message with the same part; -> (n,) int16."""
    return _DHCPV6[window(data, start, stop, 1)[:, 0]]
