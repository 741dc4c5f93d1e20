"""pcapng files (draft-ietf-opsawg-pcapng): several sections, interfaces and time resolutions."""

import struct
from dataclasses import dataclass

import numpy as np

from sktraffic.packets._bytes import numbers
from sktraffic.packets._records import RecordBlock
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
# the widest block that libpcap reads
MAXIMUM_BLOCK = 16 << 20


@dataclass
class _Interface:
    link_type: int
    snap_length: int
    ticks: int = 1_000_000  # per second
    offset: int = 0  # seconds


def read_pcapng(window, facts):
    """Yield the records of a pcapng file, whose first bytes are in the window."""
    section = _Section(facts)
    position = 0
    while len(window) - position > 0:
        position, need, block = section.walk(window.data, position, window.end)
        if block is not None:
            yield block
        if facts.damage or (window.ended and not section.pending):
            break
        if not section.pending:
            position = window.advance(position, need)
    window.close(position, facts)


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
        kinds = numbers(data, f"{self.order}u4")[starts].astype(np.int64)
        foreign = self._foreign_section(data, starts, kinds)
        self._reach *= 4
        if foreign is not None:
            behind, starts, kinds = int(starts[foreign]), starts[:foreign], kinds[:foreign]
        there = _order_at(data, behind) if behind + 12 <= end else ""
        if foreign is not None or there not in ("", self.order):
            claimed, self._reach = None, 4096
            self.pending = True
        elif reach < end:
            self.pending = True
        self._reach = min(self._reach, MAXIMUM_BLOCK)
        if claimed is not None:
            self.facts.damage = f"a block claims {claimed} bytes"
        need = struct.unpack_from(self.order + "I", data, behind + 4)[0] if behind + 8 <= end else 0
        return behind, max(12, min(need, MAXIMUM_BLOCK)), self._packets(data, starts, kinds)

    def _foreign_section(self, data, starts, kinds):
        """Which block is the first section header that is not in the current byte order."""
        sections = np.flatnonzero(kinds == SECTION)
        magic = numbers(data, f"{self.order}u4")[starts[sections] + 8]
        foreign = sections[magic != BYTE_ORDER]
        return int(foreign[0]) if len(foreign) else None

    def _packets(self, data, starts, kinds):
        """Read the packet blocks at `starts`, those after an interface with what it says."""
        parts, first = [], 0
        for place in np.flatnonzero((kinds == INTERFACE) | (kinds == SECTION)).tolist():
            parts.append(self._gather(data, starts[first:place], kinds[first:place]))
            if kinds[place] == SECTION:
                self.interfaces = []
            else:
                self._add_interface(data, int(starts[place]))
            first = place + 1
        parts.append(self._gather(data, starts[first:], kinds[first:]))
        parts = [part for part in parts if part is not None]
        if len(parts) < 2:
            return parts[0] if parts else None
        names = ("time", "captured", "wire", "link_type", "at")
        return RecordBlock(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in names), data
        )

    def _add_interface(self, data, position):
        length = struct.unpack_from(self.order + "I", data, position + 4)[0]
        content = bytes(data[position : position + length - 4])
        if len(content) < 16:
            self.facts.damage = "an interface description is too short"
            return
        link_type, _, snap_length = struct.unpack_from(self.order + "HHI", content, 8)
        interface = _Interface(link_type, snap_length)
        self.facts.link_types.add(link_type)
        at = 16
        while at + 4 <= len(content):
            code, size = struct.unpack_from(self.order + "HH", content, at)
            value = content[at + 4 : at + 4 + size]
            if code == 9 and len(value) == 1:
                power = value[0] & 0x7F
                interface.ticks = min(2**power if value[0] & 0x80 else 10**power, 2**63)
            elif code == 14 and len(value) == 8:
                interface.offset = struct.unpack(self.order + "q", value)[0]
            elif code == 0:
                break
            at += 4 + ((size + 3) & ~3)
        self.interfaces.append(interface)

    def _gather(self, data, starts, kinds):
        """Read the packet blocks among blocks between two changes of the interfaces."""
        if not (kinds == ENHANCED).all():
            packets = np.isin(kinds, list(BEFORE_FRAME))
            starts, kinds = starts[packets], kinds[packets]
        if not len(starts):
            return None
        # the eight words that a block begins with (a simple one may have but four: the rest is
        # not looked at), in native byte order, (8, n)
        words = numbers(data, "V32")[starts].view(f"{self.order}u4").reshape(-1, 8).T
        words = words.astype(np.int64)
        length, interface, high, low, captured, wire = words[1:7]
        before = np.full(len(starts), 28)
        link_type, time = self._described(interface, high, low)
        simple, obsolete = kinds == SIMPLE, kinds == OBSOLETE
        if obsolete.any():  # the interface has 16 bits, next to a counter of drops
            rows = np.flatnonzero(obsolete)
            halves = interface[rows] & 0xFFFF if self.order == "<" else interface[rows] >> 16
            link_type[rows], time[rows] = self._described(halves, high[rows], low[rows])
        if simple.any():
            rows = np.flatnonzero(simple)
            limit = self.interfaces[0].snap_length if self.interfaces else 0
            wire[rows] = words[2, rows]
            captured[rows] = np.minimum(wire[rows], limit) if limit else wire[rows]
            before[rows], time[rows] = 12, NO_TIME
            link_type[rows] = self.interfaces[0].link_type if self.interfaces else -1
        # never more than the block itself holds
        captured = np.minimum(captured, np.maximum(length - before - 4, 0))
        return RecordBlock(time, captured, wire, link_type, starts + before, data)

    def _described(self, interface, high, low):
        """Link types and times of packets by their interfaces; -1 and NO_TIME without one."""
        link_type = np.full(len(interface), -1)
        time = np.full(len(interface), NO_TIME)
        ticks = (high.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64)
        if (interface == interface[0]).all():
            named = interface[:1]
        else:
            named = np.unique(interface)
        for number in named[named < len(self.interfaces)].tolist():
            side = self.interfaces[number]
            rows = slice(None) if len(named) == 1 else interface == number
            link_type[rows] = side.link_type
            time[rows] = self._nanoseconds(ticks[rows], side)
        return link_type, time

    def _nanoseconds(self, ticks, side):
        seconds, rest = np.divmod(ticks, np.uint64(side.ticks))
        if side.ticks <= 10**9:
            fraction = rest * np.uint64(10**9) // np.uint64(side.ticks)
        else:
            fraction = rest.astype(np.float64) * (1e9 / side.ticks)
        offset = _sane(side.offset)
        late = seconds > np.uint64(LAST_SECOND - offset)
        if late.any():
            self.facts.remark("times beyond the year 2252 lost multiples of 2**32 seconds")
            seconds = np.where(late, seconds % np.uint64(2**32), seconds)
        return (seconds.astype(np.int64) + offset) * 10**9 + fraction.astype(np.int64)


def _sane(offset):
    """Return an interface's offset in seconds, or none where it leads out of 64 bits."""
    return offset if abs(offset) < LARGEST_OFFSET else 0


def _order_at(data, position):
    """Byte order of the section header at a place; "" for another block, None without its mark."""
    if bytes(data[position : position + 4]) != b"\n\r\r\n":
        return ""
    magic = bytes(data[position + 8 : position + 12])
    return next((o for o in "<>" if magic == struct.pack(o + "I", BYTE_ORDER)), None)
