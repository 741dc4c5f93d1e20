"""Records to pcap and pcapng files."""

import struct

import numpy as np

from sktraffic.packets._table import NO_TIME

__all__ = ["RecordWriter"]

SNAP_LENGTH = 262_144
NANOSECOND_PCAP = 0xA1B23C4D
SECTION, INTERFACE, ENHANCED = 0x0A0D0D0A, 1, 6
RESOLUTION = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)  # if_tsresol: 10**-9 s; end of options
_RECORD = np.dtype([("s", "<u4"), ("ns", "<u4"), ("captured", "<u4"), ("wire", "<u4")])


class RecordWriter:
    """Write records with times in nanoseconds, little-endian.

    Parameters
    ----------
    file : binary file
    pcapng : bool, default=False
        pcapng holds records of several link types, pcap of one.

    Attributes
    ----------
    records : int
        Written so far.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from sktraffic.datasets import lab_captures
    >>> from sktraffic.packets import FileFacts, RecordWriter, read_records
    >>> file = io.BytesIO()
    >>> writer = RecordWriter(file)
    >>> for block in read_records(lab_captures()[0][4], FileFacts()):
    ...     writer.write(block, np.arange(len(block.time)))
    ...
    >>> writer.finish()
    >>> writer.records
    2399
    """

    def __init__(self, file, pcapng=False):
        self._file, self._pcapng = file, pcapng
        self._interfaces = {}  # link type -> number
        self.records = 0
        if pcapng:
            self._file.write(_block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))

    def write(self, block, rows):
        """Write some records of a block.

        Parameters
        ----------
        block : RecordBlock
        rows : ndarray of int64
            Records without a time get time 0.

        Raises
        ------
        ValueError
            If a pcap file would hold two link types.
        """
        for link_type in np.unique(block.link_type[rows]).tolist():
            self._describe(link_type)
        time = np.where(block.time[rows] == NO_TIME, 0, block.time[rows])
        at, captured = block.at[rows].tolist(), block.captured[rows]
        data = memoryview(block.data).cast("B")
        frames = [data[start : start + size] for start, size in zip(at, captured.tolist(),
                                                                    strict=True)]  # fmt: skip
        heads = self._blocks if self._pcapng else self._records
        self._file.writelines(heads(block, rows, time, frames))
        self.records += len(rows)

    def finish(self):
        """Write the header of a file without records."""
        if not self._pcapng and not self._interfaces:
            self._describe(1)

    def _describe(self, link_type):
        if link_type in self._interfaces:
            return
        if not self._pcapng and self._interfaces:
            raise ValueError(
                f"The packets have link types {next(iter(self._interfaces))} and {link_type}; a "
                "pcap file holds one. Write a .pcapng file."
            )
        self._interfaces[link_type] = len(self._interfaces)
        if self._pcapng:
            body = struct.pack("<HHI", link_type & 0xFFFF, 0, SNAP_LENGTH) + RESOLUTION
            self._file.write(_block(INTERFACE, body))
        else:
            self._file.write(struct.pack("<IHHiIII", NANOSECOND_PCAP, 2, 4, 0, 0, SNAP_LENGTH,
                                         link_type & 0xFFFF))  # fmt: skip

    def _records(self, block, rows, time, frames):
        heads = np.empty(len(rows), _RECORD)
        heads["s"], heads["ns"] = time // 10**9, time % 10**9
        heads["captured"], heads["wire"] = block.captured[rows], block.wire[rows]
        heads = heads.tobytes()
        for i, frame in enumerate(frames):
            yield heads[16 * i : 16 * i + 16]
            yield frame

    def _blocks(self, block, rows, time, frames):
        numbers = [self._interfaces[kind] for kind in block.link_type[rows].tolist()]
        wire = block.wire[rows].tolist()
        for number, moment, frame, size in zip(numbers, time.tolist(), frames, wire, strict=True):
            high, low = moment >> 32 & 0xFFFFFFFF, moment & 0xFFFFFFFF
            head = struct.pack("<IIIII", number, high, low, len(frame), size & 0xFFFFFFFF)
            yield _block(ENHANCED, head + frame + bytes(-len(frame) % 4))


def _block(kind, body):
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size
