"""Where live packets come from: a file that grows, a pipe, standard input, a network interface.

All are read by a thread of their own, which hands blocks of records over; so a slow reader of
sessions lets files and pipes wait, and an interface fill the kernel's memory before it drops.
"""

import contextlib
import io
import os
import queue
import select
import stat
import sys
import threading
import time

import numpy as np

from sktraffic.capture._errors import CaptureError
from sktraffic.packets import FileFacts, RecordBlock, read_records

__all__ = ["LiveSource"]

NAP = 0.05  # seconds between two looks
WAITING = 4  # blocks, of some megabytes each, that may wait to be taken
LAST = 2.0  # seconds at most in which a source that is told to stop gives what is there already
# writers hand over in blocks: only after so long a silence has a file's time gone on
GRACE = 5.0


class LiveSource:
    """An iterator of the records of traffic that goes on.

    Parameters
    ----------
    source : str or path-like
        A capture that another program is writing, a named pipe, "-" for standard input, or the
        name of an interface (Linux).
    stop_after : float, default=None
        Seconds of silence after which the source counts as ended; None for never.

    Yields
    ------
    RecordBlock
        Of no record when nothing has come for a moment: time to see which sessions have ended.

    Attributes
    ----------
    name : str
    facts : FileFacts
        What the file showed; complete at the end.

    Raises
    ------
    CaptureError
        If the source is nothing that can be read; while iterating, if it is no capture, was
        replaced, or failed.
    """

    def __init__(self, source, *, stop_after=None):
        self.name = os.fspath(source)
        self.facts = FileFacts()
        self._stop_after = stop_after
        self._stopped, self._ending = threading.Event(), threading.Event()
        self._deadline = None  # set with `_ending`
        self._closed = False
        self._heard = time.monotonic()
        self._origin = _open(self.name, self._stopped, self._ending, self._hear)
        self._blocks = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _hear(self):
        self._heard = time.monotonic()

    @property
    def dropped(self):
        """Packets that the kernel could not keep so far; 0 for files and pipes."""
        return getattr(self._origin, "dropped", 0)

    def __iter__(self):
        return self

    def __next__(self):
        if self._closed:
            raise StopIteration
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._stopped.set()
        try:
            block = self._blocks.get(timeout=NAP)
        except queue.Empty:
            silence = time.monotonic() - self._heard
            if self._stop_after is not None and silence >= self._stop_after:
                self._stopped.set()  # what the thread has left still comes
            return _nothing()
        if isinstance(block, RecordBlock):
            return block
        self._blocks.put(block)  # the end stays the end
        if block is not None:
            raise block
        raise StopIteration

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def now(self, latest):
        """Say what time it is for the sessions of this source.

        Parameters
        ----------
        latest : int
            Time of the latest packet, ns.

        Returns
        -------
        int
            The clock that stamps an interface's packets, never before `latest`; for others
            `latest` and what has passed since, but for the time that writers may keep a block.
        """
        if isinstance(self._origin, io.RawIOBase):
            silence = time.monotonic() - self._heard - GRACE
            return latest + int(max(0, silence) * 1e9)
        return max(time.time_ns(), latest)

    def stop(self):
        """End soon: give what is there already, and then no more."""
        self._deadline = time.monotonic() + LAST
        self._ending.set()

    def close(self):
        """End reading and free what is held; safe to call again."""
        self._closed = True
        self._stopped.set()
        self._thread.join()
        self._origin.close()

    def _run(self):
        end = None
        try:
            for block in self._read():
                self._put(block)
        except ValueError as error:
            end = CaptureError(f"{self.name} is neither pcap nor pcapng: {error}.")
        except Exception as error:
            end = error
        self._put(end)

    def _read(self):
        if isinstance(self._origin, io.RawIOBase):
            yield from read_records(self._origin, self.facts)
            return
        while not self._stopped.is_set():
            ending = self._ending.is_set()
            # the kernel hands a block over when it is full, or some fifty milliseconds old
            block = self._origin.read(4 * NAP if ending else NAP)
            if block is None and ending:
                return
            if block is not None:
                self._hear()
                self.facts.add(block)
                yield block

    def _put(self, block):
        """Hand a block over, unless nobody wants it any more."""
        while not self._closed:
            with contextlib.suppress(queue.Full):
                return self._blocks.put(block, timeout=NAP)


def _nothing():
    none = np.zeros(0, np.int64)
    return RecordBlock(none, none, none, none, none, b"")


def _open(name, stopped, ending, hear):
    """Open what a name means."""
    if name == "-":
        return _Pipe(os.dup(sys.stdin.fileno()), name, stopped, ending, hear)
    if os.path.isdir(name):
        raise CaptureError(f"{name} is a folder; a stream reads one file, pipe or interface.")
    try:
        kind = os.stat(name).st_mode
    except OSError:
        return _open_interface(name)
    try:
        if stat.S_ISFIFO(kind):
            # at once, not when a writer comes
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
            return _Pipe(descriptor, name, stopped, ending, hear)
        return _GrowingFile(name, stopped, ending, hear)
    except OSError as error:
        raise CaptureError(f"{name} cannot be opened: {error.strerror}.") from error


def _open_interface(name):
    import socket

    names = [name for _, name in getattr(socket, "if_nameindex", list)()]
    if name not in names:
        raise CaptureError(
            f"{name} is neither a file nor a pipe nor an interface; interfaces here: "
            f"{', '.join(names) or 'none that can be read'}."
        )
    from sktraffic.capture._ring import InterfaceRing

    return InterfaceRing(name)


class _Live(io.RawIOBase):
    """A file whose end is not the end: reading waits for more, until the source is stopped."""

    def __init__(self, name, stopped, ending, hear):
        self.name, self._stopped, self._ending, self._hear = name, stopped, ending, hear

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self._stopped.is_set():
            ending = self._ending.is_set()
            count = self._take(buffer)
            if count is not None:
                self._hear()
                return count
            if ending:
                break
        return 0


class _GrowingFile(_Live):
    """A capture that another program is writing; it may be empty so far."""

    def __init__(self, name, *events):
        super().__init__(name, *events)
        self._file = open(name, "rb", buffering=0)

    def fileno(self):
        return self._file.fileno()

    def seek(self, *where):
        return self._file.seek(*where)

    def tell(self):
        return self._file.tell()

    def ready(self):
        """Whether reading would not wait."""
        return os.fstat(self.fileno()).st_size > self.tell()

    def _take(self, buffer):
        count = self._file.readinto(buffer)
        if count:
            return count
        if os.fstat(self.fileno()).st_size < self.tell():
            raise CaptureError(
                f"{self.name} has become shorter: it was replaced while it was followed. "
                "Follow the new file."
            )
        self._stopped.wait(NAP)
        return None

    def close(self):
        self._file.close()
        super().close()


class _Pipe(_Live):
    """A pipe: its end is the end, but reading can be stopped."""

    def __init__(self, descriptor, name, *events):
        super().__init__(name, *events)
        self._descriptor = descriptor

    def fileno(self):
        return self._descriptor

    def ready(self):
        """Whether reading would not wait."""
        return _readable(self._descriptor, 0)

    def _take(self, buffer):
        if not _readable(self._descriptor, NAP):
            return None
        try:
            return os.readv(self._descriptor, [buffer])
        except AttributeError:  # not on this system
            part = os.read(self._descriptor, len(buffer))
            buffer[: len(part)] = part
            return len(part)
        except BlockingIOError:
            return None

    def close(self):
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def _readable(descriptor, wait):
    try:
        return bool(select.select([descriptor], [], [], wait)[0])
    except OSError:  # Windows waits for sockets only: then reading itself waits
        return True
