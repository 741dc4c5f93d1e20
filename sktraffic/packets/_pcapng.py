"""pcapng files (draft-ietf-opsawg-pcapng): several sections, interfaces and time resolutions."""

import struct
from dataclasses import dataclass

import numpy as np

from sktraffic.packets._link import ETHERNET
from sktraffic.packets._records import RecordBlock, Window, close, columns

MAGIC = 0x0A0D0D0A
BYTE_ORDER = 0x1A2B3C4D
# nanoseconds since 1970 end in 2262; later times are those of a clock that is wrong, and lose whole
# multiples of 2**32 s so that the time between packets stays
LAST_SECOND = np.uint64(9 * 10**9)
# the widest block that libpcap reads
MAXIMUM_BLOCK = 16 << 20


@dataclass
class _Interface:
    link_type: int
    snap_length: int
    ticks: int = 1_000_000  # per second
    offset: int = 0  # seconds


def read_pcapng(file, facts):
    window = Window(file)
    state = _Section()
    position = window.advance(0, 12)
    while len(window.data) - position > 0:
        position, need = state.walk(window.data, position, facts)
        block = state.flush(window.data)
        facts.reduced = state.reduced
        if block is not None:
            yield block
        if facts.damage or window.ended:
            break
        position = window.advance(position, need)
    close(file, window, position, facts)


class _Section:
    """The current section of a pcapng file: byte order, interfaces, and packets not yet given."""

    def __init__(self):
        self.order = "<"
        self.interfaces = []
        self.reduced = False
        self._clear()

    def _clear(self):
        self._rows = []  # (position, kind) of packet blocks in the current window
        self._done = []  # RecordBlocks of finished stretches

    def walk(self, data, position, facts):
        """Go over the whole blocks of a window; returns (new position, bytes wanted there)."""
        end = len(data)
        words = struct.Struct(self.order + "II").unpack_from
        while position + 12 <= end:
            kind, length = words(data, position)
            if kind == MAGIC:
                magic = data[position + 8 : position + 12]
                self._gather(data)
                self.order = "<" if magic == struct.pack("<I", BYTE_ORDER) else ">"
                if magic != struct.pack(self.order + "I", BYTE_ORDER):
                    facts.damage = "a section header has no byte-order mark"
                    return position, 12
                words = struct.Struct(self.order + "II").unpack_from
                length = words(data, position)[1]
            if length < 12 or length > MAXIMUM_BLOCK:
                facts.damage = f"a block claims {length} bytes"
                break
            padded = (length + 3) & ~3
            if position + padded > end and position + length > end:
                self._gather(data)
                return position, padded
            if kind == MAGIC:
                self.interfaces = []
            elif kind == 1:
                self._gather(data)
                self._add_interface(data, position, length, facts)
            elif kind in (2, 3, 6):
                self._rows.append((position, kind))
            position += padded
        self._gather(data)
        return min(position, end), 12

    def flush(self, data):
        """Return the records of a window, or None."""
        done, self._done = self._done, []
        if not done:
            return None
        names = ("time", "captured", "wire", "link_type", "at")
        return RecordBlock(
            *(np.concatenate([getattr(block, name) for block in done]) for name in names), data
        )

    def _add_interface(self, data, position, length, facts):
        link_type, _, snap_length = struct.unpack_from(self.order + "HHI", data, position + 8)
        interface = _Interface(link_type, snap_length)
        facts.link_types.add(link_type)
        at, end = position + 16, position + length - 4
        while at + 4 <= end:
            code, size = struct.unpack_from(self.order + "HH", data, at)
            value = data[at + 4 : at + 4 + size]
            if code == 9 and size == 1:
                power = value[0] & 0x7F
                interface.ticks = 2**power if value[0] & 0x80 else 10**power
            elif code == 14 and size == 8:
                interface.offset = struct.unpack(self.order + "q", value)[0]
            elif code == 0:
                break
            at += 4 + ((size + 3) & ~3)
        self.interfaces.append(interface)

    def _gather(self, data):
        """Read the fields of the packet blocks seen since the last change of interfaces."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        positions = np.array([position for position, _ in rows], np.int64)
        kinds = np.array([kind for _, kind in rows])
        out = RecordBlock(*(np.zeros(len(rows), np.int64) for _ in range(5)), data)
        links = np.array([side.link_type for side in self.interfaces] or [ETHERNET])
        u4, u2 = self.order + "u4", self.order + "u2"
        enhanced = [("interface", u4), ("high", u4), ("low", u4), ("captured", u4), ("wire", u4)]
        obsolete = [("interface", u2), ("drops", u2), *enhanced[1:]]
        for kind, layout in ((6, enhanced), (2, obsolete)):
            chosen = kinds == kind
            if chosen.any():
                fields = columns(data, positions[chosen] + 8, layout)
                ticks = (fields["high"].astype(np.uint64) << np.uint64(32)) | fields["low"]
                out.time[chosen] = self._nanoseconds(fields["interface"], ticks)
                out.captured[chosen] = fields["captured"]
                out.wire[chosen] = fields["wire"]
                out.link_type[chosen] = links[np.minimum(fields["interface"], len(links) - 1)]
                out.at[chosen] = positions[chosen] + 28
        simple = kinds == 3
        if simple.any():
            wire = columns(data, positions[simple] + 8, [("wire", u4)])["wire"].astype(np.int64)
            limit = self.interfaces[0].snap_length if self.interfaces else 0
            out.wire[simple] = wire
            out.captured[simple] = np.minimum(wire, limit) if limit else wire
            out.link_type[simple] = links[0]
            out.at[simple] = positions[simple] + 12
        self._done.append(out)

    def _nanoseconds(self, interface, ticks):
        time = np.zeros(len(ticks), np.int64)
        for number in np.unique(interface):
            known = number < len(self.interfaces)
            side = self.interfaces[number] if known else _Interface(ETHERNET, 0)
            chosen = interface == number
            seconds, rest = np.divmod(ticks[chosen], np.uint64(side.ticks))
            fraction = rest.astype(np.float64) * (1e9 / side.ticks)
            if side.ticks <= 10**9:
                fraction = rest * np.uint64(10**9) // np.uint64(side.ticks)
            late = seconds > LAST_SECOND
            if late.any():
                self.reduced = True
                seconds = np.where(late, seconds % np.uint64(2**32), seconds)
            whole = seconds.astype(np.int64) + side.offset
            time[chosen] = whole * 10**9 + fraction.astype(np.int64)
        return time
