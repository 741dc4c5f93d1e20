"""The other end of `_nfstream.py`: a child process that names sessions, kept between captures."""

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

SCRIPT = Path(__file__).with_name("_nfstream.py")
# the longest that an answer may take: seconds for any, and more for each packet; some fifty times
# what nfstream needs
PATIENCE, PATIENCE_PER_PACKET = 60, 1e-3
# processes that stay for captures read later, and for how many seconds
KEPT, IDLE = 2, 60


class NamingError(RuntimeError):
    """nfstream failed: an exception, a crash or a hang of its process."""


class NamingProcess:
    """One child process, for one request after another."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-X", "utf8", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._answers = queue.SimpleQueue()
        self._said = []  # what a crashing native library says last is worth telling
        self._readers = [
            threading.Thread(target=read, daemon=True) for read in (self._read, self._listen)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _listen(self):
        for line in self._process.stderr:
            self._said = [*self._said[-19:], line.decode(errors="replace").rstrip()]

    def ask(self, path, n_dissections):
        """Have a capture read; answers come in the order of the requests."""
        request = json.dumps({"path": os.fspath(path), "n_dissections": n_dissections})
        try:
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise NamingError(self._last_words()) from None

    def answer(self, timeout):
        """Return the next line that the child sent; None if there is none within `timeout` seconds.

        Raises
        ------
        NamingError
            If the child ended, or said that it failed.
        """
        try:
            line = self._answers.get(timeout=timeout) if timeout else self._answers.get_nowait()
        except queue.Empty:
            return None
        if line is None:
            raise NamingError(self._last_words())
        try:
            answer = json.loads(line)
        except ValueError:
            raise NamingError(f"nfstream's process answered {line[:80]!r}") from None
        if "error" in answer:
            raise NamingError(answer["error"])
        return answer

    def _last_words(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._readers[1].join(timeout=1)
        code = self._process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        said = f"; it said last: {self._said[-1]}" if self._said else ""
        return f"nfstream's process ended with {how}{said}"

    @property
    def runs(self):
        """Whether the process is there to be asked."""
        return self._process.poll() is None

    def close(self):
        """End the process."""
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                stream.close()


class NamingPool:
    """Idle processes of this process; each reader of a capture takes one for itself."""

    def __init__(self):
        self._idle, self._inherited = [], []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._timer = None

    def take(self):
        """Return an idle process, or a new one."""
        with self._lock:
            if self._owner != os.getpid():  # a forked copy must not talk to its parent's child
                self._inherited, self._idle, self._owner = self._idle, [], os.getpid()
                self._timer = None
            while self._idle:
                process = self._idle.pop()
                if process.runs:
                    return process
                process.close()  # killed meanwhile, say
        return NamingProcess()

    def give_back(self, process):
        """Keep a process that owes no answer for the next capture."""
        with self._lock:
            self._idle.append(process)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(IDLE, self.close)
            self._timer.daemon = True
            self._timer.start()

    def close(self, keep=0):
        """End idle processes, but for so many."""
        with self._lock:
            if self._owner != os.getpid():
                return
            self._idle, idle = self._idle[:keep], self._idle[keep:]
            timer, self._timer = (None, self._timer) if self._idle else (self._timer, None)
        for process in idle:
            process.close()
        if timer is not None and timer is not threading.current_thread():
            timer.cancel()
            timer.join()


POOL = NamingPool()
atexit.register(POOL.close)
