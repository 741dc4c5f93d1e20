"""Filters on packets of which an export tells the headers, but not the bytes."""

import numpy as np

from sktraffic.packets import TCP, UDP, PacketTable

__all__ = ["passed"]

HEADERS = 60  # IPv6 and TCP without options


def passed(packet_filter, table):
    """Say which packets of an export pass a filter.

    Packets without bytes get the headers that their fields tell: addresses, protocol, size, ports
    and TCP's flags. A filter that reads anything else of them does not let them pass.

    Parameters
    ----------
    packet_filter : PacketFilter
    table : PacketTable
        Unknown values are -1.

    Returns
    -------
    ndarray of shape (n_packets,), bool
    """
    out = packet_filter.match(table)
    bare = np.flatnonzero((table.stop <= table.at) & (table.version > 0))
    out[bare] = packet_filter.match(_with_headers(table.take(bare)))
    return out


def _with_headers(table):
    """Return a table whose bytes are headers made from its fields."""
    n, six = len(table), table.version == 6
    rows = np.zeros((n, HEADERS), np.uint8)
    size = np.clip(table.size, 0, 65_535).astype(np.int64)
    rows[:, 0] = np.where(six, 0x60, 0x45)
    _put(rows, 2, size, ~six)
    _put(rows, 4, np.maximum(size - 40, 0), six)
    rows[:, 9], rows[:, 6] = np.where(six, 0, table.protocol), np.where(six, table.protocol, 0)
    ends = np.stack([table.src, table.dst], axis=1).astype(">u8").view(np.uint8).reshape(n, 2, 16)
    rows[six, 8:40] = ends[six].reshape(-1, 32)
    rows[~six, 12:20] = ends[~six, :, 12:].reshape(-1, 8)
    start = np.where(six, 40, 20)
    head = np.zeros((n, 20), np.uint8)
    everywhere = np.ones(n, dtype=bool)
    _put(head, 0, np.maximum(table.src_port, 0), everywhere)
    _put(head, 2, np.maximum(table.dst_port, 0), everywhere)
    tcp, udp = table.protocol == TCP, table.protocol == UDP
    _put(head, 4, np.clip(table.payload_size + 8, 8, 65_535), udp)
    head[tcp, 12] = 5 << 4
    head[tcp, 13] = np.maximum(table.flags[tcp], 0)
    told = np.select(
        [(table.src_port < 0) | (table.dst_port < 0), tcp & (table.flags >= 0), udp, tcp],
        [0, 14, 6, 13],
        np.where(table.src_port > 0, 4, 0),
    )
    for at in (20, 40):
        here = start == at
        rows[here, at : at + 20] = head[here]
    out = PacketTable.blank(n, rows.tobytes())
    out.at = np.arange(n) * HEADERS
    out.stop, out.wire, out.vlan = out.at + start + told, table.wire, table.vlan
    return out


def _put(rows, column, numbers, where):
    """Write 16-bit numbers, big-endian, into some rows."""
    rows[where, column] = numbers[where] >> 8
    rows[where, column + 1] = numbers[where] & 255
