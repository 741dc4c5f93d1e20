"""What the readers of pcap and of pcapng files share.

nfstream says nothing of frames that it passes over, of a file's cut tail, or of times finer than
a millisecond. These readers walk the record headers alone, in bounded memory, so that nothing is
lost silently and every packet keeps its own timestamp.
"""

from dataclasses import dataclass, field

import numpy as np

CHUNK = 4 << 20
# libpcap's sanity limit for the captured length of a packet, MAXIMUM_SNAPLEN
MAXIMUM_LENGTH = 262144


@dataclass
class RecordBlock:
    """Headers of consecutive records.

    Attributes
    ----------
    time : ndarray of shape (n_records,), int64
        Nanoseconds since 1970.
    captured, wire : ndarray of shape (n_records,), int64
        Bytes in the file, and bytes that were on the wire.
    link_type : ndarray of shape (n_records,), int64
    at : ndarray of shape (n_records,), int64
        Where each frame begins in `data`.
    data : bytes
        The stretch of the file that holds the frames.
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
    """What a whole file showed; filled while its records are read."""

    format: str = ""
    link_types: set = field(default_factory=set)
    records: int = 0
    truncated: int = 0
    backwards: int = 0
    unread_bytes: int = 0
    damage: str = ""
    reduced: bool = False  # times beyond the year 2262 lost multiples of 2**32 s
    long_headers: bool = False  # 24-byte record headers under the standard magic number
    causes: dict = field(default_factory=dict)  # why records gave no packet -> how many
    _latest: int = np.iinfo(np.int64).min

    def add(self, block):
        """Count a block of records."""
        if not len(block):
            return
        self.records += len(block)
        self.truncated += int((block.captured < block.wire).sum())
        before = np.concatenate([[self._latest], block.time[:-1]])
        self.backwards += int((block.time < np.maximum.accumulate(before)).sum())
        self._latest = max(self._latest, int(block.time.max()))
        self.link_types.update(np.unique(block.link_type).tolist())

    def count(self, cause, number):
        """Count records that gave no packet."""
        if number:
            self.causes[cause] = self.causes.get(cause, 0) + int(number)


def capture_format(head):
    """Name the format that a file's first bytes show: "pcap", "pcapng" or "" for neither."""
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
    """A file read in chunks, looked at through one bytes object that moves forward."""

    def __init__(self, file):
        self._file = file
        self.data = b""
        self.start = 0  # position of data[0] in the file
        self.ended = False

    def advance(self, keep_from, need):
        """Drop everything before `keep_from` and read on until `need` bytes are there, or the end.

        Returns the position of the old `keep_from` in the new window: 0.
        """
        self.start += keep_from
        parts = [self.data[keep_from:]]
        have = len(parts[0])
        while have < max(need, 1) or len(parts) == 1:
            more = self._file.read(max(CHUNK, need - have))
            if not more:
                self.ended = True
                break
            parts.append(more)
            have += len(more)
        self.data = b"".join(parts)
        return 0


def columns(data, positions, dtype):
    """Read a structure at each of many positions at once."""
    dtype = np.dtype(dtype)
    flat = np.frombuffer(data, np.uint8)
    rows = np.asarray(positions, np.int64)[:, None] + np.arange(dtype.itemsize)
    return np.ascontiguousarray(flat[rows]).view(dtype)[:, 0]


def close(file, window, position, facts):
    """Count what is left behind the last whole record."""
    left = len(window.data) - position
    if not window.ended:
        here = file.tell()
        left += file.seek(0, 2) - here
    facts.unread_bytes = left
    if left and not facts.damage:
        facts.damage = "the last record is cut"
