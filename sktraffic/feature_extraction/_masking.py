"""Which bytes of packets identify hosts and moments rather than behaviour."""

import numpy as np

from sktraffic.packets import (
    ICMP,
    ICMPV6,
    SCTP,
    TCP,
    UDP,
    extension_headers,
    number_at,
    parse_headers,
)

__all__ = ["DEFAULT_MASK", "MASKS", "byte_mask", "server_name_bounds"]

DEFAULT_MASK = (
    "addresses",
    "ports",
    "ip_id",
    "flow_label",
    "checksums",
    "tcp_sequence",
    "tcp_timestamps",
)
MASKS = (*DEFAULT_MASK, "ttl", "sni")

IGMP, IPIP, IPV6, ROUTING, FRAGMENT, GRE, AH, DESTINATION, UDPLITE = (
    2, 4, 41, 43, 44, 47, 51, 60, 136,
)  # fmt: skip
ICMP_ERRORS, ICMPV6_ERRORS = (3, 4, 5, 11, 12), (1, 2, 3, 4)
# echo, timestamp, information and mask messages carry an identifier
ICMP_WITH_ID, ICMPV6_WITH_ID = (0, 8, 13, 14, 15, 16, 17, 18), (128, 129)
# packets within packets (IP in IP, GRE, ICMP errors) are followed so deep
MAX_NESTING = 3
# longer lists of TLS extensions than this are followed no further
MAX_EXTENSIONS = 64


def byte_mask(data, at, stop, mask):
    """Find the bytes to hide.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    at, stop : ndarray of shape (n_packets,), int64
        Packet i is ``data[at[i]:stop[i]]``, IP header first.
    mask : sequence of str
        Names from `MASKS`. Packets that are not IP are hidden whole if there is any: where their
        addresses are is unknown.

    Returns
    -------
    ndarray of shape (n_bytes,), bool
        True for bytes to hide.
    """
    hide = _Hide(data, mask)
    if len(mask):
        strange = ~np.isin(number_at(data, at, stop, np.uint8) >> 4, (4, 6))
        hide.ranges.append((at[strange], stop[strange], stop[strange]))
    for _ in range(MAX_NESTING):
        if not len(at):
            break
        at, stop = _hide_packets(hide, at, stop)
    return hide.bytes()


class _Hide:
    """Ranges of bytes that are to be hidden."""

    def __init__(self, data, mask):
        self.data, self.mask = data, mask
        self.ranges = []

    def mark(self, name, start, end, stop):
        """Hide ``start <= position < end`` if the policy has that name; never behind `stop`."""
        if name in self.mask and len(start):
            self.ranges.append(np.broadcast_arrays(start, end, stop))

    def bytes(self):
        """Whether each byte is hidden; +1 where a range starts and -1 where it ends, summed."""
        n = len(self.data)
        steps = np.zeros(n + 1, np.int64)
        for start, end, stop in self.ranges:
            start = np.clip(start, 0, np.minimum(stop, n))
            end = np.maximum(np.minimum(end, np.minimum(stop, n)), start)
            steps += np.bincount(start, minlength=n + 1) - np.bincount(end, minlength=n + 1)
        return np.cumsum(steps[:n]) > 0


def _hide_packets(hide, at, stop):
    """Mark the fields of packets; -> places and ends of the packets inside them."""
    data = hide.data
    first = number_at(data, at, stop, np.uint8)
    four, six = first >> 4 == 4, first >> 4 == 6
    table = parse_headers(data, at, stop)
    # where a packet ends by its IP header, also where UDP ends before
    end = np.where(table.version > 0, np.minimum(at + table.size, stop), stop)
    base, limit = at[four], end[four]
    hide.mark("ip_id", base + 4, base + 6, limit)
    hide.mark("ttl", base + 8, base + 9, limit)
    hide.mark("checksums", base + 10, base + 12, limit)
    # to the header's end: options record routes
    size = np.maximum((first[four] & 15) * 4, 20)
    hide.mark("addresses", base + 12, base + size, limit)
    base, limit = at[six], end[six]
    hide.mark("flow_label", base + 1, base + 4, limit)
    hide.mark("ttl", base + 7, base + 8, limit)
    hide.mark("addresses", base + 8, base + 40, limit)
    _hide_extensions(hide, table, end)
    whole = (table.version > 0) & (table.fragment < 2) & (table.transport < end)
    of = {
        kind: (table.transport[rows], end[rows])
        for kind in np.unique(table.protocol[whole]).tolist()
        for rows in [np.flatnonzero(whole & (table.protocol == kind))]
    }
    _hide_tcp(hide, *of.get(TCP, _NONE))
    for kind, checksum in ((UDP, (6, 8)), (UDPLITE, (6, 8)), (SCTP, (8, 12))):
        start, limit = of.get(kind, _NONE)
        hide.mark("ports", start, start + 4, limit)
        hide.mark("checksums", start + checksum[0], start + checksum[1], limit)
    start, limit = of.get(SCTP, _NONE)
    hide.mark("tcp_sequence", start + 4, start + 8, limit)
    start, limit = of.get(IGMP, _NONE)
    hide.mark("checksums", start + 2, start + 4, limit)
    hide.mark("addresses", start + 4, limit, limit)
    for kind in (ICMP, ICMPV6):
        _hide_icmp(hide, kind, *of.get(kind, _NONE))
    return _inner_packets(data, of)


_NONE = (np.empty(0, np.int64), np.empty(0, np.int64))


def _hide_extensions(hide, table, end):
    six = table.version == 6
    rows = np.flatnonzero(table.version > 0)
    protocol = number_at(hide.data, table.at + np.where(six, 6, 9), end, np.uint8)[rows]
    header = number_at(hide.data, table.at, end, np.uint8)[rows] & 15
    start = table.at[rows] + np.where(six[rows], 40, np.maximum(header * 4, 20))
    later = ~six[rows] & (table.fragment[rows] == 2)
    steps = extension_headers(
        hide.data, rows[~later], start[~later], end[rows[~later]], protocol[~later],
        table.version[rows[~later]],
    )  # fmt: skip
    for rows, at, kind, size, _ in steps:
        for name, kinds, skip in (
            ("addresses", (ROUTING, DESTINATION), 2),
            ("ip_id", (FRAGMENT,), 4),
            ("checksums", (AH,), 4),
        ):
            chosen = np.isin(kind, kinds)
            hide.mark(name, at[chosen] + skip, (at + size)[chosen], end[rows[chosen]])


def _hide_tcp(hide, at, end):
    size = (number_at(hide.data, at + 12, end, np.uint8) >> 4) * 4
    hide.mark("ports", at, at + 4, end)
    hide.mark("tcp_sequence", at + 4, at + 12, end)
    hide.mark("checksums", at + 16, at + 18, end)
    payload = np.minimum(at + np.maximum(size, 20), end)
    if "sni" in hide.mask:
        start, stop, limit = server_name_bounds(hide.data, payload, end)
        hide.mark("sni", start, stop, limit)
    at, stop = at + 20, np.minimum(at + size, end)
    # an option takes at least a byte of the forty: the loop ends
    while len(at):
        kind = number_at(hide.data, at, stop, np.uint8)
        there = (at < stop) & (kind != 0)
        at, stop, kind = at[there], stop[there], kind[there]
        # kind 1 has no length; a length below 2 is damaged, go on behind it
        size = np.where(kind == 1, 1, np.maximum(number_at(hide.data, at + 1, stop, np.uint8), 2))
        for name, number in (("tcp_timestamps", 8), ("tcp_sequence", 5), ("checksums", 19)):
            chosen = kind == number
            hide.mark(name, at[chosen] + 2, (at + size)[chosen], stop[chosen])
        at = at + size


def _hide_icmp(hide, protocol, at, end):
    kind = number_at(hide.data, at, end, np.uint8)
    hide.mark("checksums", at + 2, at + 4, end)
    chosen = np.isin(kind, ICMP_WITH_ID if protocol == ICMP else ICMPV6_WITH_ID)
    hide.mark("ports", at[chosen] + 4, at[chosen] + 6, end[chosen])
    if protocol == ICMP:  # redirect names a gateway, router advertisement names routers
        chosen = kind == 5
        hide.mark("addresses", at[chosen] + 4, at[chosen] + 8, end[chosen])
        chosen = kind == 9
    else:  # listeners, neighbours, routers: addresses, also of the link layer
        chosen = (kind >= 130) & (kind <= 143)
    hide.mark("addresses", at[chosen] + 8, end[chosen], end[chosen])


def _inner_packets(data, of):
    """Places and ends of the IP packets inside transport layers: IP in IP, GRE, ICMP errors."""
    found = [of.get(IPIP, _NONE), of.get(IPV6, _NONE)]
    for kind, errors in ((ICMP, ICMP_ERRORS), (ICMPV6, ICMPV6_ERRORS)):
        at, end = of.get(kind, _NONE)
        chosen = np.isin(number_at(data, at, end, np.uint8), errors)
        found.append((at[chosen] + 8, end[chosen]))
    at, end = of.get(GRE, _NONE)
    first = number_at(data, at, end, np.uint8)
    # checksum, key and sequence number take a word each if their bit is set
    size = 4 + 4 * ((first >> 7 & 1) + (first >> 5 & 1) + (first >> 4 & 1))
    chosen = np.isin(number_at(data, at + 2, end), (0x0800, 0x86DD))
    found.append(((at + size)[chosen], end[chosen]))
    at, end = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return at[at < end], end[at < end]


def server_name_bounds(data, at, stop):
    """Find the server name in TLS Client Hello messages.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    at, stop : ndarray of shape (n,), int64
        Where TCP payloads start and end.

    Returns
    -------
    start, end, stop : ndarray of shape (n_found,), int64
        The bytes of the names that were found, which may go beyond a cut packet's end; and that.
    """

    def byte(place):
        return number_at(data, place, stop, np.uint8)

    # record type 22 (handshake), version 3.x, message type 1 (Client Hello)
    hello = (byte(at) == 22) & (byte(at + 1) == 3) & (byte(at + 5) == 1)
    at, stop = at[hello] + 43, stop[hello]  # behind record, message, version and random
    at = at + 1 + byte(at)  # session id
    at = at + 2 + number_at(data, at, stop)  # cipher suites
    at = at + 1 + byte(at)  # compression methods
    at = at + 2  # length of the extensions
    found = [_NONE + _NONE[:1]]
    for _ in range(MAX_EXTENSIONS):
        there = at + 4 <= stop
        at, stop = at[there], stop[there]
        if not len(at):
            break
        name = number_at(data, at, stop) == 0  # server_name
        # list length (2), name type (1), name length (2), name
        start = at[name] + 9
        length = number_at(data, at[name] + 7, stop[name])
        found.append((start, start + length, stop[name]))
        at, stop = at[~name], stop[~name]
        at = at + 4 + number_at(data, at + 2, stop)
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))
