"""The messages of several small captures, read together."""

import numpy as np

from sktraffic.messages import MessageReader
from sktraffic.packets import PacketSessions, PacketTable

__all__ = ["MessageQueue"]

MOST_WAITING = 50_000  # packets


class MessageQueue:
    """Packets of several captures that wait to be given to one MessageReader.

    Reading them takes some two milliseconds however few they are, so captures of a few packets
    are read many times faster together than one by one.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.capture._message_queue import MessageQueue
    >>> from sktraffic.packets import PacketTable, SessionTracker
    >>> queue, found = MessageQueue(), []
    >>> for capture in range(2):
    ...     table = PacketTable.blank(1, protocol=np.full(1, 17, np.uint8))
    ...     queue.put(capture, table, SessionTracker().add(table), found.append)
    >>> queue.read()
    >>> len(found)
    2
    """

    def __init__(self):
        self._reader = MessageReader()
        self._tables, self._sessions, self._then = [], [], []

    def put(self, capture, table, sessions, then):
        """Take packets.

        Parameters
        ----------
        capture : int
            Whose they are: less than 2**31.
        table : PacketTable
        sessions : PacketSessions
            With numbers below 2**32, that other captures may use, too.
        then : callable
            Called with the packets' messages when they have been read: indices into `MESSAGES`,
            shape (n_packets,), int16.
        """
        self._tables.append(table)
        self._sessions.append((capture << 32, sessions))
        self._then.append(then)
        if sum(map(len, self._tables)) >= MOST_WAITING:
            self.read()

    def read(self):
        """Read all that waits."""
        if not self._tables:
            return
        table = PacketTable.concatenate(self._tables)
        number = np.concatenate([shift + each.session for shift, each in self._sessions])
        direction = np.concatenate([each.direction for _, each in self._sessions])
        codes = self._reader.read(table, PacketSessions.given(table, number, direction))
        ends = np.cumsum([len(each) for each in self._tables])[:-1]
        waiting, self._then = self._then, []
        self._tables, self._sessions = [], []
        for then, own in zip(waiting, np.split(codes, ends), strict=True):
            then(own)
