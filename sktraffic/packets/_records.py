"""Blocks of records, what a whole file showed, and the window through which it is read."""

import io
import os
import select
import stat
from dataclasses import dataclass, field

import numpy as np

from sktraffic.packets._bytes import PADDING
from sktraffic.packets._table import NO_TIME

__all__ = ["CHUNK", "FileFacts", "RecordBlock", "Window", "capture_format"]

CHUNK = 4 << 20  # bytes that are looked at together
# libpcap's sanity limit for the captured length of a packet, MAXIMUM_SNAPLEN
MAXIMUM_LENGTH = 262144
# the longest record that is read: the widest block of pcapng that libpcap reads
MAXIMUM_BLOCK = 16 << 20


@dataclass
class RecordBlock:
    """Headers of consecutive records.

    Attributes
    ----------
    time : ndarray of shape (n_records,), int64
        Nanoseconds since 1970; `NO_TIME` where the file gives none.
    captured, wire : ndarray of shape (n_records,), int64
        Bytes in the file, and bytes that were on the wire.
    link_type : ndarray of shape (n_records,), int64
        LINKTYPE numbers; -1 where the file does not say (a record of an interface that was never
        described).
    at : ndarray of shape (n_records,), int64
        Where each frame begins in `data`.
    data : bytes-like
        The stretch of the file that holds the frames.

    Examples
    --------
    >>> from sktraffic.datasets import lab_captures
    >>> from sktraffic.packets import FileFacts, read_records
    >>> block = next(iter(read_records(lab_captures()[0][4], FileFacts())))
    >>> at, size = block.at[0], block.captured[0]
    >>> len(bytes(block.data[at : at + size])) == int(size), set(block.link_type.tolist())
    (True, {1})
    """

    time: np.ndarray
    captured: np.ndarray
    wire: np.ndarray
    link_type: np.ndarray
    at: np.ndarray
    data: bytes

    def __len__(self):
        return len(self.time)


@dataclass
class FileFacts:
    """What a capture showed so far; complete when its last packet table has been read.

    Attributes
    ----------
    format : str
        "pcap" or "pcapng".
    link_types : set of int
    records, packets : int
        Records in the file, and packets that they gave.
    causes : dict of str to int
        Why the other records gave no packet, and how many each; see `CAUSES`.
    truncated : int
        Records that hold less than was on the wire.
    backwards : int
        Records whose time is earlier than one before.
    timeless : int
        Records without a time.
    tunnelled : dict of str to int
        Packets that were taken out of a tunnel, by its name.
    joined_fragments, lone_fragments : int
        Later fragments whose datagram's first fragment was seen before them, and those without:
        they are packets between two addresses, without ports.
    unread_bytes : int
        Bytes behind the last whole record of a cut or damaged file.
    damage : str
        What is wrong there, in words.
    remarks : list of str
        What a reader of the results should know: unusual headers, times that are not what the
        file's header says.

    Examples
    --------
    >>> from sktraffic.datasets import lab_captures
    >>> from sktraffic.packets import FileFacts, read_records
    >>> facts = FileFacts()
    >>> n_records = sum(len(block.time) for block in read_records(lab_captures()[0][0], facts))
    >>> facts.format, facts.link_types, facts.records == n_records, facts.damage
    ('pcap', {1}, True, '')
    """

    format: str = ""
    link_types: set = field(default_factory=set)
    records: int = 0
    packets: int = 0
    causes: dict = field(default_factory=dict)
    truncated: int = 0
    backwards: int = 0
    timeless: int = 0
    tunnelled: dict = field(default_factory=dict)
    joined_fragments: int = 0
    lone_fragments: int = 0
    unread_bytes: int = 0
    damage: str = ""
    remarks: list = field(default_factory=list)
    _latest: int = NO_TIME

    def add(self, block):
        """Count a block of records."""
        if not len(block):
            return
        self.records += len(block)
        self.truncated += int(np.count_nonzero(block.captured < block.wire))
        self.timeless += int(np.count_nonzero(block.time == NO_TIME))
        latest = np.maximum.accumulate(np.append(self._latest, block.time))
        late = (block.time < latest[:-1]) & (block.time != NO_TIME)
        self.backwards += int(np.count_nonzero(late))
        self._latest = int(latest[-1])
        if (block.link_type == block.link_type[0]).all():
            self.link_types.add(int(block.link_type[0]))
        else:
            self.link_types.update(np.unique(block.link_type).tolist())
        self.link_types.discard(-1)

    def count(self, cause, number):
        """Count records that gave no packet."""
        if number:
            self.causes[cause] = self.causes.get(cause, 0) + int(number)

    def remark(self, text):
        """Note something once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def check(self):
        """Raise RuntimeError unless every record is a packet or has a cause."""
        told = self.packets + sum(self.causes.values())
        if told != self.records:
            raise RuntimeError(
                f"The capture has {self.records} records, but {self.packets} packets and "
                f"{self.causes} make {told}: a fault of sktraffic. Please report it."
            )


def capture_format(head):
    """Name the format that a file's first bytes show: "pcap", "pcapng" or "" for neither.

    Examples
    --------
    >>> from sktraffic.packets import capture_format
    >>> capture_format(bytes.fromhex("d4c3b2a1")), capture_format(b"No.,Time")
    ('pcap', '')
    """
    if len(head) < 4:
        return ""
    for order in ("little", "big"):
        magic = int.from_bytes(head[:4], order)
        if magic in (0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34):
            return "pcap"
        if magic == 0x0A0D0D0A:
            return "pcapng"
    return ""


class Window:
    """A file that is read from front to back, looked at through one stretch that moves on.

    Parameters
    ----------
    file : binary file
        Anything with ``read(size)`` that gives at least a byte until the end. What a pipe has at
        the moment is looked at without waiting for more; so is what a raw file gives that is no
        file of the system. A file that may grow says with a method ``ready()`` whether the next
        ``read`` would not wait.

    Attributes
    ----------
    data : ndarray of uint8
        The stretch, with `PADDING` zeros behind `end`. Each is an array of its own, so what was
        found in an earlier one stays valid.
    end : int
    ended : bool
        Whether the file holds no more.
    """

    def __init__(self, file):
        self._file = file
        self._into = getattr(getattr(file, "raw", file), "readinto", None)
        # raw access is right only where nothing was read ahead into a buffer
        if hasattr(file, "raw") and hasattr(file, "peek"):
            self._into = getattr(file, "readinto1", None)
        self.data = np.zeros(PADDING, np.uint8)
        self.end = 0
        self.ended = False

    def __len__(self):
        return self.end

    def advance(self, keep_from, need):
        """Drop what lies before `keep_from`; read on until `need` bytes are there, or the end.

        The memory taken is at most twice what the file really holds of a large record.

        Returns the place of the old `keep_from` in the new stretch: 0.
        """
        kept = self.data[keep_from : self.end]
        size = max(self._expected(), 2 * len(kept))
        self.data, self.end = np.empty(size + PADDING, np.uint8), len(kept)
        self.data[: self.end] = kept
        first = True
        while first or self.end < need or (self.end < size and self._more_now()):
            first = False
            if self.end == size:
                size = min(2 * size, need)
                grown = np.empty(size + PADDING, np.uint8)
                grown[: self.end] = self.data[: self.end]
                self.data = grown
            count = self._read(size)
            if not count:
                self.ended = True
                break
            self.end += count
        self.data = self.data[: self.end + PADDING]
        self.data[self.end :] = 0
        return 0

    def close(self, position, facts):
        """Count what is left behind the last whole record, at `position`."""
        left = self.end - position + self._rest()
        facts.unread_bytes = left
        if left and not facts.damage:
            facts.damage = "the last record is cut"

    def _rest(self):
        """Bytes that were not read; those of a pipe, which may go on for ever, do not count."""
        if self.ended:
            return 0
        try:
            status = os.fstat(self._file.fileno())
        except (AttributeError, OSError, ValueError):
            return sum(iter(lambda: len(self._file.read(CHUNK)), 0))
        return max(status.st_size - self._file.tell(), 0) if stat.S_ISREG(status.st_mode) else 0

    def _expected(self):
        """Bytes that are worth a buffer: a small file gets a small one."""
        try:
            status = os.fstat(self._file.fileno())
        except (AttributeError, OSError, ValueError):
            return CHUNK
        return min(CHUNK, max(status.st_size, 4096)) if status.st_size else CHUNK

    def _read(self, size):
        if self._into is not None:
            return self._into(memoryview(self.data)[self.end : size]) or 0
        part = self._file.read(size - self.end)
        self.data[self.end : self.end + len(part)] = np.frombuffer(part, np.uint8)
        return len(part)

    def _more_now(self):
        """Whether more can be read without waiting for a writer."""
        if hasattr(self._file, "ready"):
            return self._file.ready()
        try:
            return bool(select.select([self._file.fileno()], [], [], 0)[0])
        except (AttributeError, OSError, ValueError):
            return not isinstance(self._file, io.RawIOBase)
