"""Open captures: files, compressed ones, pipes and standard input, read from front to back."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import sys
import zlib

from sktraffic._limits import TooLargeError, check_unpacked

__all__ = ["open_capture"]

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
# bytes that a compressed capture may unpack to at least, where the user gives no limit
LEAST = 4 << 30
# bytes that unpacking may take: Zstandard's own limit of a window, and twice what `xz -9` needs
MEMORY = 128 << 20
PIECE = 1 << 17  # bytes that are unpacked together
REMEDY = "unpack it first, or pass max_unpacked=BYTES"


@contextlib.contextmanager
def open_capture(source, facts, max_unpacked=None):
    """Give a capture's plain bytes as a file with `read`; closes what it opened.

    Parameters
    ----------
    source : str, path-like or binary file
        "-" is standard input.
    facts : FileFacts
        Told of a compressed file that is damaged: what could be unpacked of it is read like any
        other file that is cut.
    max_unpacked : int, optional
        Bytes that a compressed file may unpack to; None for `LEAST`, or `GROWTH` times what was
        read of it where that is more.

    Raises
    ------
    TooLargeError
        While it is read, if it unpacks to more or takes more memory for that than it may.
    """
    with contextlib.ExitStack() as stack:
        if hasattr(source, "read"):
            file = source
        elif os.fspath(source) in ("-", b"-"):
            file = sys.stdin.buffer
        else:
            file = stack.enter_context(open(source, "rb", buffering=0))
        file, kind = _look(file)
        yield _Unpacked(file, kind, facts, max_unpacked) if kind else file


def _look(file):
    """Look at a file's first bytes: the file, from its start again, and how it is compressed."""
    head = b""
    while len(head) < 6 and (part := file.read(6 - len(head))):
        head += part
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    try:
        file.seek(-len(head), 1)
    except (AttributeError, OSError, ValueError):
        file = _Again(head, file)
    return file, kind


class _Again(io.RawIOBase):
    """A file that cannot go back, with the bytes that were read of it in front."""

    def __init__(self, head, file):
        self._head, self._file = head, file

    def fileno(self):
        return self._file.fileno()

    def readable(self):
        return True

    def readinto(self, buffer):
        # of a buffered file what is there, not as much as is asked for
        read = getattr(self._file, "read1", self._file.read)
        part = self._head[: len(buffer)] or read(len(buffer)) or b""
        self._head = self._head[len(part) :] if self._head else b""
        buffer[: len(part)] = part
        return len(part)


class _Unpacked:
    """The plain bytes of a compressed file."""

    def __init__(self, file, kind, facts, most):
        self._kind, self._facts, self._most = kind, facts, most
        self._packed, self._unpacked = _Counted(file), 0
        self._errors = (OSError, EOFError, lzma.LZMAError, zlib.error)
        if kind == "Zstandard":
            try:
                import zstandard
            except ImportError:
                raise ValueError(
                    "it is compressed with Zstandard, which needs the package zstandard: "
                    "pip install 'sktraffic[zstd]'"
                ) from None
            self._errors += (zstandard.ZstdError,)
            unpacker = zstandard.ZstdDecompressor(max_window_size=MEMORY)
            self._read = unpacker.stream_reader(self._packed, read_across_frames=True).read
        elif kind == "xz":
            self._read = _Xz(self._packed).read
        else:
            opened = gzip.GzipFile(fileobj=self._packed) if kind == "gzip" else None
            reader = opened or bz2.BZ2File(self._packed)
            # gives what is unpacked so far before it stumbles over a cut
            self._read = reader.read1

    def read(self, size):
        """Return some bytes; none at the end, or where the file is damaged."""
        try:
            part = self._read(size)
        except self._errors as error:
            if "memory" in str(error).lower():
                raise TooLargeError(
                    f"takes more than {MEMORY >> 20} MiB of memory to unpack ({self._kind}): "
                    "unpack it first, if you expect that of it."
                ) from None
            self._facts.damage = f"its compression ({self._kind}) is damaged: {error}"
            return b""
        self._unpacked += len(part)
        check_unpacked(self._unpacked, self._packed.count, self._most, LEAST, REMEDY)
        return part


class _Counted:
    """A file whose bytes are counted."""

    def __init__(self, file):
        self._file, self.count = file, 0

    def read(self, size=-1):
        part = self._file.read(size) or b""
        self.count += len(part)
        return part


class _Xz:
    """Streams of xz, one behind the other, with zeros between them; in bounded memory."""

    def __init__(self, file):
        self._file, self._unpacker, self._packed = file, None, b""

    def read(self, size):
        while True:
            if self._unpacker is None and not self._next_stream():
                return b""
            if self._unpacker.needs_input and not self._packed:
                self._packed = self._file.read(PIECE)
                if not self._packed:
                    raise EOFError("it ends within a stream")
            part = self._unpacker.decompress(self._packed, size)
            self._packed = b""
            if self._unpacker.eof:
                self._packed, self._unpacker = self._unpacker.unused_data, None
            if part:
                return part

    def _next_stream(self):
        """Go to the next stream; whether there is one."""
        while not (packed := self._packed.lstrip(b"\0")):
            packed = self._file.read(PIECE)
            if not packed:
                return False
            self._packed = packed
        self._packed = packed
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
        return True
