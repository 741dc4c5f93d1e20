"""What is remembered of keys whose sessions are open, in arrays with a row a key."""

from itertools import repeat

import numpy as np

__all__ = ["KeyStates"]

FREE, ENDED = -2, -1


class KeyStates:
    """Arrays of shape (n_rows,), found by the name of a key; freed rows are used again.

    Attributes
    ----------
    number : int64
        Of the key's session; `ENDED` where it has ended but the key is remembered, `FREE` where
        the row is not in use.
    first_ms, last_ms, last_ns : int64
        Times of the session's first and last packet.
    count : int64
        Packets of the session.
    first_low : bool
        The sender of its first packet is the lower end of the key.
    client_low : bool
        The lower end is the client, as far as is known.
    told : bool
        A SYN of the session has said so.
    low, high : bool
        Either end has sent a packet of the session.
    tcp : bool
    finished : bool
        Of its latest SYN, FIN and RST, the last was no SYN.
    """

    _FIELDS = {
        "number": np.int64,
        "first_ms": np.int64,
        "last_ms": np.int64,
        "last_ns": np.int64,
        "count": np.int64,
        "first_low": bool,
        "client_low": bool,
        "told": bool,
        "low": bool,
        "high": bool,
        "tcp": bool,
        "finished": bool,
    }

    def __init__(self):
        self._rows = {}  # name of a key -> row
        self._names = []  # row -> name
        self._free = []
        for name, dtype in self._FIELDS.items():
            setattr(self, name, np.zeros(0, dtype))

    def find(self, names):
        """Give each key its row, and say which keys are new; shape (n_keys,) both."""
        rows = np.fromiter(map(self._rows.get, names, repeat(-1)), np.int64, len(names))
        new = np.flatnonzero(rows < 0)
        if len(new):
            rows[new] = self._take(len(new))
            places = rows[new].tolist()
            for place, name in zip(places, [names[i] for i in new.tolist()], strict=True):
                self._rows[name] = place
                self._names[place] = name
            for name, dtype in self._FIELDS.items():
                getattr(self, name)[rows[new]] = dtype(0)
            self.number[rows[new]] = ENDED
        fresh = np.zeros(len(names), bool)
        fresh[new] = True
        return rows, fresh

    def _take(self, count):
        missing = count - len(self._free)
        if missing > 0:
            old = len(self._names)
            size = max(2 * old, old + missing, 64)
            for name, dtype in self._FIELDS.items():
                grown = np.full(size, FREE if name == "number" else 0, dtype)
                grown[:old] = getattr(self, name)
                setattr(self, name, grown)
            self._names.extend(repeat(None, size - old))
            self._free.extend(range(size - 1, old - 1, -1))
        taken = self._free[-count:]
        del self._free[-count:]
        return taken

    def forget(self, rows):
        """Free these rows."""
        rows = rows.tolist()
        for row in rows:
            del self._rows[self._names[row]]
            self._names[row] = None
        self.number[rows] = FREE
        self._free.extend(rows)
