"""nDPI's names and fingerprints for sessions, while their captures are being read."""

import contextlib
import tempfile
import time
from collections import deque
from pathlib import Path

import joblib
import numpy as np

from sktraffic.capture._batches import Portion, make_batches
from sktraffic.capture._heads import Heads
from sktraffic.capture._naming import PATIENCE, PATIENCE_PER_PACKET, POOL, NamingError
from sktraffic.sessions import LABELS

# A run of NFStreamer costs some 0.06 s whatever it reads, and what nDPI learns from one session
# about another (which address is whose, say) holds within a run. So a capture's heads go out in
# few portions: the first early, for nfstream to work beside the reader, the next ones larger; and
# the last ones alike, for two processes to end at the same time.
FIRST_PORTION, LARGEST_PORTION = 10_000, 20_000  # packets
PORTION_BYTES = 32 << 20
MOST_PROCESSES = 2  # of one labeller
MOST_BATCHES = 4  # on their way to nfstream
MOST_FAILURES = 3  # of one labeller; after that its other sessions go without labels
NOTHING = (None,) * len(LABELS)


class Labeller:
    """Names the sessions of captures; use it in a ``with`` statement.

    The first packets of each session are copied into small captures for NFStreamers in processes
    of their own (see `_nfstream.py`), which work while the caller goes on reading; a second process
    is started when the first has enough to do. If nfstream fails, sessions stay unnamed.

    Several small captures share a run of NFStreamer. Where nDPI named a session by what it knew
    from another, the run is repeated for that capture alone: labels do not depend on which captures
    are read together.

    Parameters
    ----------
    n_dissections : int
        Packets of a session that nDPI may look at.

    Attributes
    ----------
    errors : list of str
        How nfstream failed, if it did.
    """

    def __init__(self, n_dissections):
        self.n_dissections = n_dissections
        self.errors = []
        self._portions = []  # wait for others to go with
        self._workers = []
        self._files = None
        self._written = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self._workers:
            if worker.batches:
                worker.process.close()
            else:
                POOL.give_back(worker.process)
        self._workers = []
        if self._files is not None:
            self._files.cleanup()

    def capture(self):
        """Return the :class:`CaptureLabels` of a capture that is now to be read.

        A first process is started, to be ready when the first packets have been read.
        """
        if not self._workers and not self.errors:
            self._worker()
        return CaptureLabels(self)

    @property
    def waits(self):
        """Whether there are answers to wait for."""
        return any(worker.batches for worker in self._workers)

    def put(self, portion):
        """Take heads; few of them wait until there are more."""
        self._portions.append(portion)
        if sum(len(portion.frames) for portion in self._portions) >= FIRST_PORTION:
            self.send()

    def send(self):
        """Have nfstream read all that waits."""
        portions, self._portions = self._portions, []
        for batch in make_batches(portions):
            self._ask(batch)

    def collect(self, wait):
        """Take in the answers that are there; or wait until the oldest batch is answered."""
        busy = [worker for worker in self._workers if worker.batches]
        oldest = min(busy, key=lambda worker: worker.batches[0].serial, default=None)
        for worker in busy:
            try:
                settled = worker.read(wait and worker is oldest)
            except NamingError as error:
                self._give_up(worker, error)
                continue
            for batch in settled:
                for alone in batch.settle():
                    self._ask(alone)
                batch.path.unlink()

    def _ask(self, batch):
        while sum(len(worker.batches) for worker in self._workers) >= MOST_BATCHES:
            self.collect(wait=True)
        if len(self.errors) >= MOST_FAILURES:
            return batch.lose(self.errors[-1])
        if self._files is None:
            self._files = tempfile.TemporaryDirectory(prefix="sktraffic-")
        self._written += 1
        batch.serial = self._written
        worker = self._worker()
        worker.batches.append(batch)
        try:
            batch.write(Path(self._files.name) / f"{batch.serial}.pcap")
            worker.process.ask(batch.path, self.n_dissections)
        except (NamingError, OSError) as error:
            self._give_up(worker, error)

    def _worker(self):
        """Return who has nothing to do; or a new one; or who has least to do."""
        least = min(self._workers, key=lambda worker: len(worker.batches), default=None)
        most = min(MOST_PROCESSES, joblib.cpu_count())
        if least is None or (least.batches and len(self._workers) < most):
            least = _Worker(POOL.take())
            self._workers.append(least)
        return least

    def _give_up(self, worker, error):
        """End a process; what it had to do stays undone."""
        self.errors.append(str(error))
        self._workers.remove(worker)
        worker.process.close()
        batches, worker.batches = worker.batches, deque()
        for batch in batches:
            batch.lose(str(error))
            with contextlib.suppress(OSError):
                batch.path.unlink()


class _Worker:
    """A process and the batches that it has not answered, in order."""

    def __init__(self, process):
        self.process = process
        self.batches = deque()

    def read(self, wait):
        """Return batches that have been answered; at least one if asked to wait."""
        settled, began = [], time.monotonic()
        while self.batches:
            patience = PATIENCE + len(self.batches[0]) * PATIENCE_PER_PACKET
            wait = wait and not settled
            left = max(began + patience - time.monotonic(), 0) if wait else 0
            answer = self.process.answer(left)
            if isinstance(answer, list):
                self.batches[0].note(answer)
            elif answer is not None:
                settled.append(self.batches.popleft())
            elif wait:
                raise NamingError(f"nfstream gave no answer for {patience:.0f} s")
            else:
                break
        return settled


class CaptureLabels:
    """The labels of one capture's sessions; made by :meth:`Labeller.capture`.

    Attributes
    ----------
    named : int
        Sessions for which nfstream gave an answer, be it "Unknown".
    lost : int
        Sessions that stay unnamed because nfstream failed.
    failure : str or None
        How it failed.
    """

    def __init__(self, labeller):
        self._labeller = labeller
        self._heads = Heads(labeller.n_dissections)
        self._portion = FIRST_PORTION
        self._packets, self._bytes = FIRST_PORTION, PORTION_BYTES  # held, when to look again
        self.unnamed = set()  # sessions whose heads are held, or on their way
        self.names = {}
        self.named = self.lost = 0
        self.failure = None

    @property
    def settled(self):
        """Whether there is nothing to wait for."""
        return not self.unnamed

    def add(self, packets, session, place):
        """Take the packets of a block.

        Parameters
        ----------
        packets : PacketTable
        session : ndarray of shape (n_packets,), int64
            Numbers that are not used again in this capture.
        place : ndarray of shape (n_packets,), int64
            Number of each packet in its session, from 0.
        """
        heads = self._heads
        self.unnamed.update(np.unique(heads.add(packets, session, place)).tolist())
        if len(heads) >= self._packets or heads.size >= self._bytes:
            # heads that stay incomplete must not fill the memory: then all go as they are
            self._put(len(heads) >= 4 * LARGEST_PORTION or heads.size >= 4 * PORTION_BYTES)
            self._portion = min(2 * self._portion, LARGEST_PORTION)
            self._packets, self._bytes = len(heads) + self._portion, heads.size + PORTION_BYTES
        self._labeller.collect(wait=False)

    def end(self, sessions):
        """Say that sessions have ended; shape (n_sessions,), int64."""
        self._heads.end(sessions)

    def finish(self):
        """Say that all sessions have ended."""
        self._put(everything=True)

    def ask(self):
        """Have sessions that have ended named soon, and take in what is there, without waiting."""
        if not self._labeller.waits:
            self._put(everything=False)
            self._labeller.send()
        self._labeller.collect(wait=False)

    def take(self, sessions):
        """Return what nDPI says, once, waiting for it.

        Parameters
        ----------
        sessions : ndarray of shape (n_sessions,), int64
            Sessions that have ended.

        Returns
        -------
        dict of list of str or None, each of length n_sessions
            The columns `sktraffic.sessions.LABELS`; None where nDPI says nothing.
        """
        numbers = np.asarray(sessions).tolist()
        if not self.unnamed.isdisjoint(numbers):
            self._put(everything=False)
            self._labeller.send()
        while self._labeller.waits and not self.unnamed.isdisjoint(numbers):
            self._labeller.collect(wait=True)
        rows = [self.names.pop(number, NOTHING) for number in numbers]
        columns = zip(*rows, strict=True) if rows else [()] * len(LABELS)
        return dict(zip(LABELS, map(list, columns), strict=True))

    def _put(self, everything):
        columns, frames = self._heads.take(everything)
        if 0 < len(frames) <= LARGEST_PORTION:
            self._labeller.put(Portion(self, columns, frames))
        if len(frames) <= LARGEST_PORTION:
            return
        for rows in _shares(columns["session"], LARGEST_PORTION):
            share = {name: values[rows] for name, values in columns.items()}
            self._labeller.put(Portion(self, share, frames.take(rows)))


def _shares(session, most):
    """Divide packets of sessions into shares of about equal size, each session in one of them.

    Parameters
    ----------
    session : ndarray of shape (n_packets,), int64
    most : int
        Packets of a share, about.

    Returns
    -------
    list of ndarray of int64
        Packets of each share, in their order.
    """
    n = -(-len(session) // most)
    _, number, counts = np.unique(session, return_inverse=True, return_counts=True)
    share = (n * (np.cumsum(counts) - counts) // len(session))[number]
    return [rows for i in range(n) if len(rows := np.flatnonzero(share == i))]
