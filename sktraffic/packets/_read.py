"""Files to packet tables, with an account of every record."""

import os

import numpy as np

from sktraffic.packets import _pcap, _pcapng
from sktraffic.packets._headers import parse_headers
from sktraffic.packets._link import network_offset
from sktraffic.packets._records import FileFacts, capture_format

__all__ = ["PacketReader", "read_packets"]


def read_packets(source, *, decode_tunnels=True):
    """Read the packets of a capture.

    Parameters
    ----------
    source : str, path-like, binary file, or iterable of RecordBlock
    decode_tunnels : bool, default=True
        Whether packets in tunnels stand for themselves, not for the tunnel.

    Returns
    -------
    PacketReader
        An iterator of :class:`PacketTable`; its `facts` are complete when it ends.

    Raises
    ------
    ValueError
        If the file is neither pcap nor pcapng.
    """
    return PacketReader(source, decode_tunnels=decode_tunnels)


class PacketReader:
    """Iterator of the packet tables of a capture; see :func:`read_packets`.

    Attributes
    ----------
    facts : FileFacts
        What the file showed so far, and why records gave no packet.
    """

    def __init__(self, source, *, decode_tunnels=True):
        self.facts = FileFacts()
        self._decode_tunnels = decode_tunnels
        self._tables = self._read(source)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._tables)

    def _read(self, source):
        if isinstance(source, str | os.PathLike):
            with open(source, "rb") as file:
                yield from map(self._table, records_of(file, self.facts))
        elif hasattr(source, "read"):
            yield from map(self._table, records_of(source, self.facts))
        else:
            for block in source:
                self.facts.add(block)
                yield self._table(block)

    def _table(self, block):
        first = self.facts.records - len(block)
        data = np.frombuffer(block.data, np.uint8)
        offset, vlan, _ = network_offset(data, block.at, block.captured, block.link_type)
        found = np.flatnonzero(offset >= 0)
        at = block.at[found] + offset[found]
        stop = block.at[found] + block.captured[found]
        table = parse_headers(data, at, stop, block.wire[found] - offset[found])
        table.record, table.time = first + found, block.time[found]
        table.wire, table.vlan = block.wire[found], vlan[found].astype(np.int32)
        self.facts.count("no IP", len(block) - len(found))
        whole = table.version > 0
        self.facts.count("cut IP header", int((~whole).sum()))
        return table if whole.all() else table.take(whole)


def records_of(file, facts):
    """Walk the record headers of an open file."""
    head = file.read(24)
    facts.format = capture_format(head)
    file.seek(0)
    if facts.format == "pcap":
        blocks = _pcap.read_classic(file, facts)
    elif facts.format == "pcapng":
        blocks = _pcapng.read_pcapng(file, facts)
    else:
        raise ValueError(f"first bytes {head[:8].hex(' ') or '(none)'}")
    for block in blocks:
        facts.add(block)
        yield block
