"""Open captures: files, compressed ones, pipes and standard input, read from front to back."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import sys
import zlib

__all__ = ["open_capture"]

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}


@contextlib.contextmanager
def open_capture(source, facts):
    """Give a capture's plain bytes as a file with `read`; closes what it opened.

    Parameters
    ----------
    source : str, path-like or binary file
        "-" is standard input.
    facts : FileFacts
        Told of a compressed file that is damaged: what could be unpacked of it is read like any
        other file that is cut.
    """
    with contextlib.ExitStack() as stack:
        if hasattr(source, "read"):
            file = source
        elif os.fspath(source) in ("-", b"-"):
            file = sys.stdin.buffer
        else:
            file = stack.enter_context(open(source, "rb", buffering=0))
        file, kind = _look(file)
        yield _Unpacked(file, kind, facts) if kind else file


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

    def __init__(self, file, kind, facts):
        self._kind, self._facts = kind, facts
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
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            self._read = reader.read
        else:
            opened = {"gzip": gzip.GzipFile, "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}[kind]
            reader = opened(fileobj=file) if kind == "gzip" else opened(file)
            # gives what is unpacked so far before it stumbles over a cut
            self._read = reader.read1

    def read(self, size):
        """Return some bytes; none at the end, or where the file is damaged."""
        try:
            return self._read(size)
        except self._errors as error:
            self._facts.damage = f"its compression ({self._kind}) is damaged: {error}"
            return b""
