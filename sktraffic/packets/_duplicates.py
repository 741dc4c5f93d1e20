"""Packets that were captured twice: on two interfaces, or before and behind a router."""

import numpy as np

from sktraffic.packets._bytes import window
from sktraffic.packets._table import NO_TIME

__all__ = ["DuplicateFinder"]

#: Longest time between a packet and its copy, ns.
NEAR = 5_000_000
# first bytes that must agree: IP and transport headers, and some payload
WIDTH = 96
_MIX = np.uint64(0x9E3779B97F4A7C15)


class DuplicateFinder:
    """Find packets that are copies of one a few milliseconds before them.

    A copy has the same size and the same first 96 bytes from the IP header on, but for what a
    router changes: time to live and IPv4's header checksum. A retransmission has another IPv4
    identification; in IPv6 it counts as a copy where it comes within the 5 milliseconds.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import DuplicateFinder, parse_headers
    >>> packet = bytes.fromhex("4500001c00070000401100000a0000010a000002" "d903003500080000")
    >>> data = np.frombuffer(packet * 2, np.uint8)
    >>> table = parse_headers(data, np.array([0, 28]), np.array([28, 56]))
    >>> table.time[:] = [0, 10_000]
    >>> DuplicateFinder().find(table)
    array([False,  True])
    """

    def __init__(self):
        self._hash, self._time = np.zeros(0, np.uint64), np.zeros(0, np.int64)

    def find(self, table):
        """Say which of the next packets are copies; shape (n_packets,), bool."""
        n = len(table)
        if not n:
            return np.zeros(0, bool)
        number = np.concatenate([self._hash, _hashes(table)])
        time = np.concatenate([self._time, table.time])
        order = np.argsort(number, kind="stable")
        copy = np.zeros(len(order), bool)
        same = number[order[1:]] == number[order[:-1]]
        near = np.abs(time[order[1:]] - time[order[:-1]]) <= NEAR
        copy[order[1:]] = same & near & (time[order[1:]] != NO_TIME)
        # what the next table may repeat
        kept = np.flatnonzero(np.abs(time - time[-1]) <= NEAR)
        self._hash, self._time = number[kept], time[kept]
        return copy[-n:]


def _hashes(table):
    """Mix each packet's size and first bytes into one number; shape (n_packets,), uint64."""
    rows = window(table.data, table.at, table.stop, WIDTH)
    four = table.version == 4
    rows[four, 8] = 0  # time to live
    rows[four, 10:12] = 0  # header checksum
    rows[~four, 7] = 0  # hop limit
    mixed = table.size.astype(np.uint64)
    for word in rows.view(np.uint64).T:
        mixed = (mixed ^ word) * _MIX
        mixed ^= mixed >> np.uint64(32)
    return mixed
