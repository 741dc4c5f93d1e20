"""Captures to packet tables, with an account of every record."""

import contextlib
import os

import numpy as np

from sktraffic.packets._bytes import number_at
from sktraffic.packets._fragments import FragmentJoiner, fragment_keys
from sktraffic.packets._headers import parse_headers
from sktraffic.packets._kinds import (
    CAUSES,
    CUT,
    FOUND,
    LATER_FRAGMENT,
    MALFORMED,
    TUNNEL_FRAGMENT,
)
from sktraffic.packets._link import find_ip
from sktraffic.packets._open import open_capture
from sktraffic.packets._pcap import read_pcap
from sktraffic.packets._pcapng import read_pcapng
from sktraffic.packets._records import MAXIMUM_LENGTH, FileFacts, Window, capture_format
from sktraffic.packets._table import PacketTable
from sktraffic.packets._tunnels import TUNNELS, decode_tunnels

__all__ = ["PacketReader", "read_packets", "read_records"]

# packets that are parsed together: their headers stay in the processor's cache
ROWS = 1 << 14


def read_records(source, facts, *, max_unpacked=None):
    """Walk the record headers of a capture.

    Parameters
    ----------
    source : str, path-like or binary file
        See :func:`read_packets`.
    facts : FileFacts
        Filled on the way; complete when the iterator is exhausted.
    max_unpacked : int, default=None
        As for :func:`read_packets`.

    Yields
    ------
    RecordBlock
        In the order of the file. A damaged or cut file ends early: `facts` says where and how.

    Raises
    ------
    ValueError
        If the file is neither pcap nor pcapng, or unpacks to more than it may.

    Examples
    --------
    >>> from sktraffic.datasets import lab_captures
    >>> from sktraffic.packets import FileFacts, read_records
    >>> facts = FileFacts()
    >>> n_records = sum(len(block.time) for block in read_records(lab_captures()[0][4], facts))
    >>> n_records, facts.format
    (2399, 'pcap')
    """
    with open_capture(source, facts, max_unpacked) as file:
        window = Window(file)
        window.advance(0, 4)
        head = bytes(window.data[: min(window.end, 8)])
        facts.format = capture_format(head)
        if not facts.format:
            raise ValueError(f"first bytes {head.hex(' ') or '(none)'}")
        read = read_pcap if facts.format == "pcap" else read_pcapng
        for block in read(window, facts):
            facts.add(block)
            yield block


def read_packets(source, *, decode_tunnels=True, join_fragments=True, max_unpacked=None):
    """Read the packets of a capture.

    Parameters
    ----------
    source : str, path-like, binary file, or iterable of RecordBlock
        A pcap or pcapng file, compressed (gzip, bzip2, xz, Zstandard) or not, a pipe, "-" for
        standard input, an open file, or records from elsewhere. A file is read once, from front
        to back, in bounded memory.
    decode_tunnels : bool, default=True
        Whether packets in tunnels stand for themselves; see `TUNNELS`. Otherwise the tunnel's
        packets do.
    join_fragments : bool, default=True
        Whether the later fragments of a datagram get the ports of its first one. Otherwise they
        are left out, as nfstream does, and counted as ``"later_fragment"``.
    max_unpacked : int, default=None
        Bytes that a compressed file may unpack to. None stands for 4 GiB, or a hundred times what
        was read of it where that is more.

    Returns
    -------
    PacketReader
        An iterator of :class:`PacketTable`; its `facts` are complete when it ends.

    Raises
    ------
    ValueError
        If the file is neither pcap nor pcapng (as the iteration begins), or unpacks to more than
        it may.

    Examples
    --------
    >>> from sktraffic.datasets import lab_captures
    >>> from sktraffic.packets import PacketTable, read_packets
    >>> paths, _ = lab_captures()
    >>> reader = read_packets(paths[0])
    >>> packets = PacketTable.concatenate(reader)
    >>> len(packets) == reader.facts.packets, reader.facts.link_types
    (True, {1})
    """
    return PacketReader(
        source,
        decode_tunnels=decode_tunnels,
        join_fragments=join_fragments,
        max_unpacked=max_unpacked,
    )


class PacketReader:
    """Iterator of the packet tables of a capture; see :func:`read_packets`.

    Attributes
    ----------
    facts : FileFacts
        What the capture showed so far, and why records gave no packet. When the iteration has
        ended, every record is accounted for.

    Examples
    --------
    >>> from sktraffic.datasets import lab_captures
    >>> from sktraffic.packets import read_packets
    >>> with_facts = read_packets(lab_captures()[0][0])
    >>> n_packets = sum(len(table) for table in with_facts)
    >>> n_packets == with_facts.facts.packets
    True
    """

    def __init__(self, source, *, decode_tunnels=True, join_fragments=True, max_unpacked=None):
        self.facts = FileFacts()
        self._decode_tunnels, self._join = decode_tunnels, join_fragments
        self._fragments = FragmentJoiner()
        self._first = 0  # number of the next block's first record
        self._tables = self._read(source, max_unpacked)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._tables)

    def close(self):
        """Stop reading and close the file."""
        self._tables.close()

    def _read(self, source, max_unpacked):
        if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
            blocks = read_records(source, self.facts, max_unpacked=max_unpacked)
        else:
            blocks = self._counted(source)
        with contextlib.closing(blocks):
            for block in blocks:
                # of a block without records an empty table: a source of live records is idle
                for first in range(0, max(len(block), 1), ROWS):
                    yield self._table(block, slice(first, first + ROWS))
                self._first += len(block)
        self.facts.check()

    def _counted(self, blocks):
        for block in blocks:
            self.facts.add(block)
            yield block

    def _table(self, block, rows):
        """Parse some records of a block."""
        data = np.frombuffer(block.data, np.uint8)
        start, wire, time = block.at[rows], block.wire[rows], block.time[rows]
        # a length that libpcap would not read is none: its lower half counts, as in nfstream
        wire = np.where(wire > MAXIMUM_LENGTH, wire & 0xFFFF, wire)
        stop = start + block.captured[rows]
        record = np.arange(len(start)) + (self._first + rows.start)
        at, vlan, state = find_ip(data, start, stop, block.link_type[rows])
        if not (state == FOUND).all():
            self._count_lost(state)
            found = np.flatnonzero(state == FOUND)
            record, start, stop, wire, time, at, vlan = (
                column[found] for column in (record, start, stop, wire, time, at, vlan)
            )
        # bytes on the wire from the IP header on
        table = parse_headers(data, at, stop, wire - (at - start))
        table.record, table.time, table.wire, table.vlan = record, time, wire, vlan
        if not table.version.all():
            none = table.version == 0
            version = number_at(data, at[none], stop[none], np.uint8) >> 4
            self._count_lost(np.where((version == 4) | (version == 6), CUT, MALFORMED))
            table = table.take(~none)
        first = table.fragment == 1
        outer = table.take(np.flatnonzero(first)) if first.any() else None
        inside = self._look_inside(table) if self._decode_tunnels else np.empty(0, np.int64)
        table = self._follow_fragments(table, outer, inside)
        self.facts.packets += len(table)
        return table

    def _count_lost(self, state):
        for cause, name in CAUSES.items():
            self.facts.count(name, np.count_nonzero(state == cause))

    def _look_inside(self, table):
        """Take packets out of their tunnels; rows that were in one."""
        rows = decode_tunnels(table)
        counts = np.bincount(table.tunnel[rows], minlength=len(TUNNELS))
        for number in np.flatnonzero(counts).tolist():
            name = TUNNELS[number]
            self.facts.tunnelled[name] = self.facts.tunnelled.get(name, 0) + int(counts[number])
        return rows

    def _follow_fragments(self, table, outer, inside):
        """Join fragments, or leave the later ones out; `outer` are first ones before decoding."""
        if not self._join:
            lost = np.flatnonzero(table.fragment == 2)
            self.facts.count(LATER_FRAGMENT, len(lost))
        elif outer is None and not table.fragment.any():
            return table
        else:
            outer = PacketTable.blank(0) if outer is None else outer
            decoded = np.flatnonzero(np.isin(outer.record, table.record[inside]))
            rows = np.searchsorted(table.record, outer.record[decoded])
            joined, alone, lost = self._fragments.join(table, rows, fragment_keys(outer, decoded))
            self.facts.joined_fragments += len(joined)
            self.facts.lone_fragments += len(alone)
            self.facts.count(TUNNEL_FRAGMENT, len(lost))
        return table.take(np.delete(np.arange(len(table)), lost)) if len(lost) else table
