"""How much a file may unpack to: what is small on disk must not fill memory, or days."""

import gzip
import io
import zlib

__all__ = ["GROWTH", "TooLargeError", "check_unpacked", "gunzip"]

#: What is packed may grow so many times, unless the user gives a limit.
GROWTH = 100


class TooLargeError(ValueError):
    """A file that unpacks to more than it may; the message goes on behind the file's name."""


def check_unpacked(unpacked, size, given, least, remedy):
    """Raise TooLargeError where a file unpacks to more than it may.

    Parameters
    ----------
    unpacked, size : int
        Bytes unpacked and bytes in the file, as far as they are known.
    given : int or None
        The user's limit, in bytes.
    least : int
        Where there is none: bytes that any file may unpack to. A larger one may unpack to `GROWTH`
        times its own size.
    remedy : str
        What to do for a file that may be so large.
    """
    limit = max(least, GROWTH * size) if given is None else given
    if unpacked > limit:
        raise TooLargeError(
            f"unpacks from {size:,} bytes to {unpacked:,} or more; the limit is {limit:,}. If you "
            f"expect that of it, {remedy}."
        )


def gunzip(content, path, least=1 << 30):
    """Unpack gzip in memory: a table's text or an array, not a capture.

    Raises
    ------
    ValueError
        If it is damaged, or too large.
    """
    most = max(least, GROWTH * len(content))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            plain = file.read(most + 1)
        check_unpacked(len(plain), len(content), None, least, "unpack it first and pass that")
    except TooLargeError as error:
        raise ValueError(f"{path} {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged gzip: {error}. Get a whole copy of it.") from error
    return plain
