"""pcapng files (draft-ietf-opsawg-pcapng): several sections, interfaces and time resolutions."""

import functools
import struct
from typing import NamedTuple

import numpy as np

from sktraffic.packets._bytes import numbers
from sktraffic.packets._records import MAXIMUM_BLOCK, RecordBlock
from sktraffic.packets._table import NO_TIME
from sktraffic.packets._walk import Chain, record_starts

__all__ = ["read_pcapng"]

SECTION = 0x0A0D0D0A
INTERFACE, OBSOLETE, SIMPLE, ENHANCED = 1, 2, 3, 6
# bytes of a packet block before its frame
BEFORE_FRAME = {OBSOLETE: 28, SIMPLE: 12, ENHANCED: 28}
BYTE_ORDER = 0x1A2B3C4D
# nanoseconds since 1970 end in 2262; later times are those of a clock that is wrong, and lose whole
# multiples of 2**32 s so that the time between packets stays. The least and the largest time are
# less than 2**63 ns apart.
LAST_SECOND, LARGEST_OFFSET = 89 * 10**8, 3 * 10**8


class _Interface(NamedTuple):
    link_type: int
    snap_length: int
    ticks: int  # per second
    offset: int  # seconds


def read_pcapng(window, facts):
    """Yield the records of a pcapng file, whose first bytes are in the window."""
    section = _Section(facts)
    position, stretches = 0, []
    while len(window) - position > 0:
        position, need, block = section.walk(window.data, position, window.end)
        if block is not None:
            stretches.append(block)
        if facts.damage or (window.ended and not section.pending):
            break
        if not section.pending:
            yield from _joined(stretches)
            position, stretches = window.advance(position, need), []
    yield from _joined(stretches)
    window.close(position, facts)


def _joined(stretches):
    """Yield the records of a window as one block: where sections are short, it has many."""
    if len(stretches) < 2:
        yield from stretches
        return
    names = ("time", "captured", "wire", "link_type", "at")
    columns = [np.concatenate([getattr(part, name) for part in stretches]) for name in names]
    yield RecordBlock(*columns, stretches[0].data)


class _Section:
    """The current section: its byte order and interfaces."""

    def __init__(self, facts):
        self.facts = facts
        self.order = "<"
        self.interfaces = []
        self.pending = False  # whether a stretch has blocks that were not looked at yet
        self._reach = MAXIMUM_BLOCK

    def walk(self, data, position, end):
        """Read the blocks of a stretch, up to a section in the other byte order.

        Returns
        -------
        position : int
            Where to go on.
        need : int
            Bytes that a whole block there takes.
        block : RecordBlock or None
        """
        self.pending = False
        if end - position < 12:
            return position, 12, None
        order = _order_at(data, position)
        if order is None:
            self.facts.damage = "a section header has no byte-order mark"
            return position, 12, None
        self.order = order or self.order
        # where sections in both orders follow each other, little is walked in the wrong one
        reach = min(end, position + self._reach)
        # most blocks are of the kind that comes first
        mark_at = 0 if self.order == "<" else 3
        kind = struct.unpack_from(self.order + "I", data, position)[0]
        mark = int(data[position + mark_at])
        chain = Chain(12, 4, 0, 12, MAXIMUM_BLOCK, 4, self.order, mark, mark_at, (4,), ((0, kind),))
        starts, behind, claimed = record_starts(data, position, reach, chain)
        kinds = self._words(data, starts, 0)
        foreign = self._foreign_section(data, starts, kinds)
        self._reach *= 4
        if foreign is not None:
            behind, starts, kinds = int(starts[foreign]), starts[:foreign], kinds[:foreign]
        short = np.flatnonzero((kinds == INTERFACE) & (self._words(data, starts, 4) < 20))
        if len(short):
            behind, starts, kinds = int(starts[short[0]]), starts[: short[0]], kinds[: short[0]]
            self.facts.damage = "an interface description is too short"
        there = _order_at(data, behind) if behind + 12 <= end else ""
        if foreign is not None or there not in ("", self.order):
            claimed, self._reach = None, 4096
            self.pending = True
        elif reach < end:
            self.pending = True
        self._reach = min(self._reach, MAXIMUM_BLOCK)
        if claimed is not None and not self.facts.damage:
            self.facts.damage = f"a block claims {claimed} bytes"
        need = struct.unpack_from(self.order + "I", data, behind + 4)[0] if behind + 8 <= end else 0
        return behind, max(12, min(need, MAXIMUM_BLOCK)), self._packets(data, starts, kinds)

    def _words(self, data, starts, at):
        """Read the 32-bit number at a place of each block."""
        return numbers(data, f"{self.order}u4")[starts + at].astype(np.int64)

    def _foreign_section(self, data, starts, kinds):
        """Which block is the first section header that is not in the current byte order."""
        sections = np.flatnonzero(kinds == SECTION)
        foreign = sections[self._words(data, starts[sections], 8) != BYTE_ORDER]
        return int(foreign[0]) if len(foreign) else None

    def _packets(self, data, starts, kinds):
        """Read the packet blocks among blocks, each with what its interface says."""
        new, sections = kinds == INTERFACE, kinds == SECTION
        described = self.interfaces + [
            self._interface(data, at) for at in starts[new].tolist()
        ]  # those before this stretch, then all in it
        # how many of them stand before each block, and where those of its section begin
        before = len(self.interfaces) + np.cumsum(new)
        first = np.maximum.accumulate(np.where(sections, before, 0))
        if len(starts):
            self.interfaces = described[first[-1] :]
        rows = np.flatnonzero(np.isin(kinds, list(BEFORE_FRAME)))
        if not len(rows):
            return None
        return self._gather(data, starts[rows], kinds[rows], described, first[rows], before[rows])

    def _interface(self, data, position):
        """Read the description of an interface."""
        length = struct.unpack_from(self.order + "I", data, position + 4)[0]
        interface = _parse_interface(bytes(data[position : position + length - 4]), self.order)
        self.facts.link_types.add(interface.link_type)
        return interface

    def _gather(self, data, starts, kinds, described, first, before):
        """Read packet blocks.

        Parameters
        ----------
        data : ndarray of uint8
        starts, kinds : ndarray of shape (n_packets,), int64
        described : list of _Interface
        first, before : ndarray of shape (n_packets,), int64
            A packet's interfaces are ``described[first:before]``.
        """
        # the eight words that a block begins with (a simple one may have but four: the rest is
        # not looked at), in native byte order, (8, n)
        words = numbers(data, "V32")[starts].view(f"{self.order}u4").reshape(-1, 8).T
        words = words.astype(np.int64)
        length, interface, high, low, captured, wire = words[1:7]
        offset = np.full(len(starts), 28)
        simple, obsolete = kinds == SIMPLE, kinds == OBSOLETE
        if obsolete.any():  # the interface has 16 bits, next to a counter of drops
            halves = interface & 0xFFFF if self.order == "<" else interface >> 16
            interface = np.where(obsolete, halves, interface)
        interface = np.where(simple, 0, interface) + first
        side = _Described(described, interface, interface < before)
        time = self._nanoseconds(high, low, side)
        if simple.any():
            limit, claimed = side.snap_length[simple], words[2, simple]
            wire[simple] = claimed
            captured[simple] = np.where(limit > 0, np.minimum(claimed, limit), claimed)
            offset[simple], time[simple] = 12, NO_TIME
        # never more than the block itself holds
        captured = np.minimum(captured, np.maximum(length - offset - 4, 0))
        return RecordBlock(time, captured, wire, side.link_type, starts + offset, data)

    def _nanoseconds(self, high, low, side):
        """Compute the times of packets; NO_TIME where their interface was never described."""
        ticks = (high.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64)
        seconds, rest = np.divmod(ticks, side.ticks)
        fraction = rest * np.uint64(10**9) // side.ticks
        fine = side.ticks > np.uint64(10**9)  # there the product leaves 64 bits
        if fine.any():
            parts = rest.astype(np.float64) * (1e9 / side.ticks.astype(np.float64))
            fraction = np.where(fine, parts.astype(np.uint64), fraction)
        late = (seconds > (LAST_SECOND - side.offset).astype(np.uint64)) & side.known
        if late.any():
            self.facts.remark("times beyond the year 2252 lost multiples of 2**32 seconds")
            seconds = np.where(late, seconds % np.uint64(2**32), seconds)
        time = (seconds.astype(np.int64) + side.offset) * 10**9 + fraction.astype(np.int64)
        return np.where(side.known, time, NO_TIME)


class _Described:
    """What the interfaces of packets say.

    Attributes
    ----------
    known : ndarray of shape (n_packets,), bool
        Whether the packet's interface was described.
    link_type, snap_length, ticks, offset : ndarray of shape (n_packets,) or (1,)
        -1, 0, 1 and 0 where it was not.
    """

    def __init__(self, described, interface, known):
        self.known = known
        nothing = _Interface(-1, 0, 1, 0)
        alone = known.all() and (interface == interface[0]).all()
        # an interface that was not described is the last
        table = [described[int(interface[0])]] if alone else [*described, nothing]
        rows = np.zeros(1, np.int64) if alone else np.where(known, interface, len(described))
        link_type, snap_length, ticks, offset = zip(*table, strict=True)
        self.link_type = np.array(link_type)[rows]
        self.snap_length, self.offset = np.array(snap_length)[rows], np.array(offset)[rows]
        self.ticks = np.array(ticks, np.uint64)[rows]
        if alone:
            self.link_type = np.broadcast_to(self.link_type, len(interface))
            self.snap_length = np.broadcast_to(self.snap_length, len(interface))


@functools.lru_cache(256)
def _parse_interface(content, order):
    """Read the description of an interface, whose block is all there but its last length."""
    link_type, _, snap_length = struct.unpack_from(order + "HHI", content, 8)
    ticks, offset, at = 1_000_000, 0, 16
    while at + 4 <= len(content):
        code, size = struct.unpack_from(order + "HH", content, at)
        value = content[at + 4 : at + 4 + size]
        if code == 9 and len(value) == 1:
            power = value[0] & 0x7F
            ticks = min(2**power if value[0] & 0x80 else 10**power, 2**63)
        elif code == 14 and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
        elif code == 0:
            break
        at += 4 + ((size + 3) & ~3)
    return _Interface(link_type, snap_length, ticks, _sane(offset))


def _sane(offset):
    """Return an interface's offset in seconds, or none where it leads out of 64 bits."""
    return offset if abs(offset) < LARGEST_OFFSET else 0


def _order_at(data, position):
    """Byte order of the section header at a place; "" for another block, None without its mark."""
    if bytes(data[position : position + 4]) != b"\n\r\r\n":
        return ""
    magic = bytes(data[position + 8 : position + 12])
    return next((o for o in "<>" if magic == struct.pack(o + "I", BYTE_ORDER)), None)
