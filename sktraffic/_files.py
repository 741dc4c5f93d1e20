"""Files that are written whole or not at all, whatever happens on the way."""

import contextlib
import errno
import glob
import os
import socket
from pathlib import Path

import psutil

__all__ = ["remove_left", "replacing", "temporary_name", "write_failed"]


def temporary_name(path):
    """Return the name that a file has while this process writes it: hidden, beside its own."""
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}.tmp")


def _host():
    return "".join(c if c.isalnum() else "-" for c in socket.gethostname()) or "host"


def remove_left(path):
    """Remove what processes of this machine that were killed have left of a file."""
    found = glob.glob(f".{glob.escape(path.name)}.{_host()}.*.tmp", root_dir=path.parent)
    for name in found:
        pid = name.split(".")[-2]
        if pid.isdigit() and int(pid) != os.getpid() and not psutil.pid_exists(int(pid)):
            (path.parent / name).unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path):
    """Give a name to write a file under; it gets its own when the block has ended well.

    Parameters
    ----------
    path : path-like
        What is there is replaced then, and kept otherwise.

    Yields
    ------
    Path

    Raises
    ------
    OSError
        If the file cannot be written, or the block raises it: with the file's name, the cause and
        what to do.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        with write_failed(path):
            remove_left(path)
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())  # or a machine that dies leaves the name without content
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # the folder itself may be gone
            temporary.unlink(missing_ok=True)


REMEDIES = {
    errno.ENOSPC: "Free space there, or choose another folder",
    errno.EDQUOT: "Free space there, or choose another folder",
    errno.EACCES: "Check its permissions, or choose another folder",
    errno.EPERM: "Check its permissions, or choose another folder",
    errno.EROFS: "Choose another folder",
    errno.ENOENT: "Make its folder first",
}


@contextlib.contextmanager
def write_failed(path):
    """Let errors of the system name the file that could not be written, and what to do."""
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno)
        told = getattr(error, "filename", None)
        if remedy is None or (told is not None and Path(told).parent != Path(path).parent):
            raise  # about another file, or nothing that is known here
        raise OSError(
            f"{path} cannot be written: {os.strerror(error.errno)}. {remedy}; what was there is as "
            "it was."
        ) from error
