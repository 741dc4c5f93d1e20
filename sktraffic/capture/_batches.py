"""Heads of sessions, together in one capture for one run of NFStreamer, and what it answers."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sktraffic.capture._heads import FILE_HEADER, HEAD, LANES, frame_heads, lanes
from sktraffic.packets import binaries


@dataclass
class Portion:
    """Heads of some sessions of one capture.

    Attributes
    ----------
    owner : object
        Has `unnamed` (set of sessions), `names` (dict), `named`, `lost` (int) and `failure` (str)
        of its capture.
    columns, frames
        As :meth:`Heads.take` gives them.
    """

    owner: object
    columns: dict
    frames: pa.BinaryArray


class Batch:
    """A capture of Ethernet frames that hold the packets of portions.

    Both MAC addresses of a frame say the number of its session, its VLAN tag keeps sessions apart
    that nfstream would take for one flow.

    Parameters
    ----------
    sessions : dict of int to (object, int)
        Number in this batch -> owner, and number there.
    number : ndarray of shape (n_packets,), int64
        Session of each packet.
    heads : ndarray of shape (n_packets, HEAD), uint8
        What stands before each packet in the file.
    packets : pyarrow.BinaryArray of length n_packets
        The packet.
    """

    def __init__(self, sessions, number, heads, packets):
        self._sessions, self._number, self._pieces = sessions, number, (heads, packets)
        self._answers = {}  # number -> what was said of its flow with the most packets
        self.path = None
        self.serial = 0  # order in which batches were sent

    def __len__(self):
        return len(self._number)

    def write(self, path):
        """Write the file; its bytes are not kept."""
        (heads, packets), self._pieces = self._pieces, None
        n = len(heads)
        heads = pa.Array.from_buffers(pa.binary(HEAD), n, [None, pa.py_buffer(heads)])
        records = pc.binary_join_element_wise(heads.cast(pa.binary()), packets, b"")
        _, ends, content = records.buffers()
        self._ends = np.frombuffer(ends, np.int32)[: n + 1] + np.int64(len(FILE_HEADER))
        self.path = path
        with open(path, "wb") as file:
            file.write(FILE_HEADER)
            file.write(memoryview(content)[: self._ends[-1] - len(FILE_HEADER)])

    def note(self, flows):
        """Take in answers. A session is mostly one flow; of several, the largest speaks for it."""
        for number, *answer in flows:
            if number not in self._answers or answer[0] > self._answers[number][0]:
                self._answers[number] = answer

    def settle(self):
        """Hand the answers out.

        Returns
        -------
        list of Batch
            One for each capture of several that needs a run of its own: nDPI named one of its
            sessions by what it knew from another, of whichever capture.
        """
        owners = {owner for owner, _ in self._sessions.values()}
        again = {self._sessions[n][0] for n, (_, cached, *_) in self._answers.items() if cached}
        again = again if len(owners) > 1 else set()
        for number, (owner, session) in self._sessions.items():
            if owner in again:
                continue
            if number in self._answers:
                owner.names[session] = self._answers[number][2:]
                owner.named += 1
            owner.unnamed.discard(session)
        return [self._alone(owner) for owner in again]

    def _alone(self, owner):
        sessions = {n: whose for n, whose in self._sessions.items() if whose[0] is owner}
        rows = np.flatnonzero(np.isin(self._number, list(sessions)))
        data = np.fromfile(self.path, np.uint8)
        starts, ends = self._ends[rows], self._ends[rows + 1]
        heads = data[starts[:, None] + np.arange(HEAD)]
        return Batch(sessions, self._number[rows], heads, binaries(data, starts + HEAD, ends))

    def lose(self, why):
        """Give the sessions up."""
        for owner, session in self._sessions.values():
            owner.unnamed.discard(session)
            owner.lost += 1
            owner.failure = owner.failure or why


def make_batches(portions):
    """Put portions together: into one batch unless a five-tuple is used more often than tags go.

    Parameters
    ----------
    portions : list of Portion

    Yields
    ------
    Batch
    """
    sessions, numbers, ends = {}, [], []
    for portion in portions:
        distinct, first, number = np.unique(
            portion.columns["session"], return_index=True, return_inverse=True
        )
        numbers.append(number + len(sessions))
        ends.append(portion.columns["ends"][first])
        count = len(sessions)
        sessions |= {count + i: (portion.owner, n) for i, n in enumerate(distinct.tolist())}
    if not sessions:
        return
    number, lane = np.concatenate(numbers), lanes(np.concatenate(ends))
    packets = pa.concat_arrays([portion.frames for portion in portions])
    columns = {
        name: np.concatenate([portion.columns[name] for portion in portions])
        for name in ("time", "size", "version")
    }
    captured = pc.binary_length(packets).to_numpy().astype(np.int64)
    heads = frame_heads(number, lane[number] % LANES, columns, captured)
    if lane.max() < LANES:
        yield Batch(sessions, number, heads, packets)
        return
    for turn in range(int(lane.max()) // LANES + 1):
        rows = np.flatnonzero(lane[number] // LANES == turn)
        chosen = {n: sessions[n] for n in np.unique(number[rows]).tolist()}
        yield Batch(chosen, number[rows], heads[rows], packets.take(rows))
