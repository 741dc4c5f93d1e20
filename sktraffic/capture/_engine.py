"""The other end of `_nfstream.py`: a child process that reads captures, and its frames.

An engine is one function from a path and settings to an iterator of Arrow batches; this file
gives the packets that such a function assembles.
"""

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).with_name("_nfstream.py")
HEADER = struct.Struct("<cIII")
PACKET = np.dtype(
    [
        ("record", "<u8"),
        ("time_ms", "<u8"),
        ("flow", "<u4"),
        ("place", "<u4"),
        ("captured", "<u2"),
        ("direction", "u1"),
        ("raw", "<u4"),
        ("ip", "<u4"),
        ("transport", "<u4"),
        ("payload", "<u4"),
        ("flags", "u1", (8,)),
    ]
)
# nfstream's order of flags is SYN CWR ECE URG ACK PSH RST FIN; these are their bits on the wire
FLAG_BITS = np.array([2, 128, 64, 32, 16, 8, 4, 1], np.uint8)
FLOW_FIELDS = (
    "flow",
    "packets",
    "src_ip",
    "dst_ip",
    "src_port",
    "dst_port",
    "protocol",
    "ip_version",
    "vlan_id",
    "application",
    "category",
    "sni",
    "client_fingerprint",
    "server_fingerprint",
    "closed",  # False where a stream decides before the flow ends
)
# the longest silence of an engine that is still believed to be at work, seconds
PATIENCE = 300


class EngineError(RuntimeError):
    """nfstream failed on a capture: an exception, a crash or a hang of its process."""


@dataclass
class PacketBatch:
    """Packets in the order of the capture, and the flows that ended with or before the last one.

    Attributes
    ----------
    packets : structured ndarray of dtype `PACKET`
    data : ndarray of uint8
        Bytes of all packets, from the IP header on.
    offsets : ndarray of shape (n_packets + 1,), int64
        Packet i has ``data[offsets[i]:offsets[i + 1]]``.
    ended : list of tuple
        `FLOW_FIELDS` of each ended flow.
    record : int
        Number of the latest record that was read.
    """

    packets: np.ndarray
    data: np.ndarray
    offsets: np.ndarray = field(repr=False)
    ended: list
    record: int


class Engine:
    """One child process, for one capture after another."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-X", "utf8", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl  # a pipe as wide as Linux lets it be

            fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, 1 << 20)
        # what a crashing native library says last is worth telling; the pipe must not fill up
        self._said = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self):
        for line in self._process.stderr:
            self._said = [*self._said[-19:], line.decode(errors="replace").rstrip()]

    def close(self):
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        self._process.kill()
        self._process.wait()
        self._listener.join(timeout=1)
        self._process.stderr.close()

    def read(self, request):
        """Yield a :class:`PacketBatch` at a time, then return the counts of the end frame.

        Raises
        ------
        EngineError
            Whatever goes wrong in the child, within seconds.
        """
        line = (json.dumps(request) + "\n").encode()
        try:
            self._process.stdin.write(line)
        except OSError:
            raise EngineError(self._last_words()) from None
        while True:
            kind, n, n_data, n_text = HEADER.unpack(self._take(HEADER.size))
            packets = np.frombuffer(self._take(n * PACKET.itemsize), PACKET)
            data = np.frombuffer(self._take(n_data), np.uint8)
            text = json.loads(bytes(self._take(n_text)) or b"null")
            if kind == b"E":
                return text
            if kind == b"X":
                raise EngineError(text[0])
            offsets = np.concatenate([[0], np.cumsum(packets["captured"], dtype=np.int64)])
            record, ended = text
            yield PacketBatch(packets, data, offsets, ended, record)

    def _take(self, size):
        """Read exactly `size` bytes, or say why they do not come."""
        taken = memoryview(bytearray(size))
        pipe, at = self._process.stdout.fileno(), 0
        while at < size:
            readable, _, _ = select.select([pipe], [], [], PATIENCE)
            count = os.readv(pipe, [taken[at:]]) if readable else 0
            if not count:
                raise EngineError(self._last_words())
            at += count
        return taken

    def _last_words(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        code = self._process.returncode
        self._listener.join(timeout=1)
        said = f"; it said last: {self._said[-1]}" if self._said else ""
        if code is None:
            return f"nfstream gave no answer for {PATIENCE} s{said}"
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        return f"nfstream's process ended with {how}{said}"


class EnginePool:
    """Engines of this process, kept between captures; each thread takes one for itself."""

    def __init__(self):
        self._idle = []
        self._lock = threading.Lock()
        self._owner = os.getpid()

    @contextlib.contextmanager
    def engine(self):
        """Lend an engine; one that failed is not used again."""
        with self._lock:
            if self._owner != os.getpid():  # a forked copy must not talk to its parent's child
                self._idle, self._owner = [], os.getpid()
            engine = self._idle.pop() if self._idle else None
        engine = engine or Engine()
        try:
            yield engine
        except BaseException:
            engine.close()
            raise
        with self._lock:
            self._idle.append(engine)

    def close(self):
        """End all idle engines."""
        with self._lock:
            idle, self._idle = self._idle, []
        for engine in idle:
            engine.close()


POOL = EnginePool()
