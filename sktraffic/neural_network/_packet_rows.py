"""Session tables and packet sequences as the rows that a network over packets reads.

A row is one session: T packets of C numbers each, then S statistics. A packet's first two numbers
are its signed size in bytes and the seconds since the packet before it (0 where no one says);
payload size, TCP flags and the number of its message may follow. Packets that are not there are
all 0.
"""

import re

import numpy as np
from sklearn.base import clone

from sktraffic._base import BaseEstimator
from sktraffic.feature_extraction import PacketSequences, SessionFeatures, SessionStatistics
from sktraffic.ragged import pad_first, ragged_words
from sktraffic.sessions import check_sessions, first_packets

#: Field of a packet -> columns of a session table that it is made of. The order is that of a row.
TABLE_FIELDS = {
    "signed_size": ("packet_size", "packet_direction"),
    "iat": ("packet_time",),
    "payload_size": ("packet_payload_size",),
    "flags": ("packet_flags",),
    "message": ("packet_message",),
}
ARRAY_FIELDS = ("signed_size", "iat", "payload_size", "flags", "size", "direction")
MESSAGES = 255  # most frequent ones that are told apart


def is_session_table(X):
    """Whether X is a table with the columns that a sequence of packets is made of."""
    return {"packet_size", "packet_direction"} <= set(getattr(X, "columns", ()))


def table_fields(X, fields):
    """Fields that a session table has, or those asked for.

    None takes all whose columns are there and null in no row. A field that is unknown or named
    twice, or no size among them, is a ValueError.
    """
    if fields is None:
        there = [name for name in X.columns if not X[name].isna().any()]
        return tuple(name for name, columns in TABLE_FIELDS.items() if set(columns) <= set(there))
    unknown = set(fields) - TABLE_FIELDS.keys()
    if unknown or len(set(fields)) < len(fields) or "signed_size" not in fields:
        raise ValueError(
            f"fields must be different names from {', '.join(TABLE_FIELDS)} for a session table, "
            f"with signed_size among them; got {list(fields)!r}."
        )
    return tuple(name for name in TABLE_FIELDS if name in fields)


def learn_messages(X):
    """Return the most frequent messages of a session table, sorted; (n_messages,) of str."""
    codes, words, _ = ragged_words(X["packet_message"])
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    return np.sort(words[np.argsort(-counts, kind="stable")[:MESSAGES]].astype(str))


def table_rows(X, fields, n_packets, messages=()):
    """First T packets of a session table of n sessions, C fields each: (n, T, C).

    Messages are numbered from 1 in the order of ``messages``; 0 is any other, and none.
    """
    numbers = [name for name in fields if name != "message"]
    rows = PacketSequences(n_packets, fields=numbers).fit(X).transform(X)
    rows = array_rows(rows, numbers, n_packets)
    if "message" not in fields:
        return rows
    codes, words, offsets = ragged_words(X["packet_message"])
    number = {word: i for i, word in enumerate(messages, start=1)}
    # of each word of this table, and of none (the last): the number of its message
    known = np.array([number.get(word, 0) for word in words] + [0], dtype=np.float64)
    return np.dstack([rows, pad_first(known[codes], offsets, n_packets)])


def array_fields(names, fields, n_columns):
    """Fields of a table of packet sequences, from the names of its columns or as given.

    `PacketSequences` names columns ``packet_0_size``; without names and fields each column is a
    packet's signed size. A field that is unknown, no size, names that differ from the fields, or
    columns that are no whole number of packets are a ValueError.
    """
    found = [
        re.fullmatch(r"packet_(\d+)_(\w+)", str(name)) for name in ([] if names is None else names)
    ]
    named = tuple(dict.fromkeys(match[2] for match in found)) if found and all(found) else None
    fields = named or ("signed_size",) if fields is None else tuple(fields)
    if named is not None and fields != named:
        raise ValueError(
            f"fields are {list(fields)}, but the columns are named after {list(named)}. Leave "
            "fields out, or pass an array without names."
        )
    sized = "signed_size" in fields or {"size", "direction"} <= set(fields)
    if not sized or set(fields) - set(ARRAY_FIELDS) or len(set(fields)) < len(fields):
        raise ValueError(
            f"fields must be different names from {', '.join(ARRAY_FIELDS)}, with signed_size, or "
            f"size and direction, among them; got {list(fields)}. PacketSequences makes them, with "
            "scale=None."
        )
    if n_columns % len(fields):
        raise ValueError(
            f"X has {n_columns} columns, which is no whole number of packets of {len(fields)} "
            f"fields each ({', '.join(fields)}). Name the fields of its packets in `fields`."
        )
    return fields


def array_rows(X, fields, n_packets):
    """First T packets of a table of packet sequences: (n, packets * fields) -> (n, T, C).

    X is packet by packet; the C numbers come in the order of `TABLE_FIELDS`.
    """
    packets = X.reshape(len(X), -1, len(fields))[:, :n_packets]
    column = {name: packets[:, :, i] for i, name in enumerate(fields)}
    if "signed_size" not in column:
        column["signed_size"] = column["size"] * column["direction"]
    if "iat" not in column:
        column["iat"] = np.zeros_like(column["signed_size"])
    return np.dstack([column[name] for name in TABLE_FIELDS if name in column])


def signed_log(x):
    """Compress to ``sign(x) log(1 + |x|)``: sizes, counts and times span decades."""
    return np.sign(x) * np.log1p(np.abs(x))


class PacketRows(BaseEstimator):
    """Reader of session tables, or of packet sequences, for networks over packets.

    Parameters
    ----------
    n_packets, fields, statistics
        As of `PacketSequenceClassifier`.

    Attributes
    ----------
    reads_table_ : bool
        Whether it was fitted on a session table.
    columns_ : tuple of str
        Columns of the session table that are read, statistics aside.
    n_packets_ : int
        T.
    fields_ : tuple of str
    channels_ : tuple of str
        What a packet's C numbers are.
    messages_ : ndarray of str
    statistics_ : transformer or None
    kept_, mean_, std_ : ndarray
        Which statistics vary in training, and their scale; (S,) of the last two.
    """

    def __init__(self, n_packets=30, fields=None, statistics="extended"):
        self.n_packets = n_packets
        self.fields = fields
        self.statistics = statistics

    def fit(self, X, names=None, like=None):
        """Learn what a row holds, from a session table or an array with its columns' names.

        ``like`` is a fitted reader whose packets are to be read alike.
        """
        self.reads_table_ = is_session_table(X)
        self.columns_, self.messages_, self.statistics_ = (), np.array([], dtype=str), None
        self.n_packets_ = self.n_packets
        if self.reads_table_:
            self._fit_table(X, like)
        else:
            self.fields_ = array_fields(names, self.fields, X.shape[1])
            self.n_packets_ = min(self.n_packets, X.shape[1] // len(self.fields_))
        channels = ("signed_size", "iat", *self.fields_)
        self.channels_ = tuple(name for name in TABLE_FIELDS if name in channels)
        if like is not None and self.channels_ != like.channels_:
            raise ValueError(
                f"pretrained reads {', '.join(like.channels_)} of a packet, this one "
                f"{', '.join(self.channels_)}. Pass fields={list(like.fields_)}."
            )
        return self

    def _fit_table(self, X, like):
        fields = like.fields_ if self.fields is None and like is not None else self.fields
        self.fields_ = table_fields(X, fields)
        self.columns_ = tuple(c for name in self.fields_ for c in TABLE_FIELDS[name])
        check_sessions(X, self.columns_)
        if "message" in self.fields_:
            self.messages_ = learn_messages(X) if like is None else like.messages_
        if self.statistics is None:
            return
        if isinstance(self.statistics, str):
            describe = SessionFeatures if "message" in self.fields_ else SessionStatistics
            self.statistics_ = describe("extended")
        else:
            self.statistics_ = clone(self.statistics)
        values = signed_log(np.asarray(self.statistics_.fit_transform(X), dtype=np.float64))
        std = values.std(axis=0)
        self.kept_ = np.flatnonzero(std > 1e-6)
        self.mean_, self.std_ = values.mean(axis=0)[self.kept_], std[self.kept_]

    @property
    def n_statistics_(self):
        """S."""
        return 0 if self.statistics_ is None else len(self.kept_)

    def transform(self, X, dtype=np.float32):
        """Rows of sessions: (n, T * C + S)."""
        if not self.reads_table_:
            return array_rows(X, self.fields_, self.n_packets_).reshape(len(X), -1)
        rows = table_rows(X, self.fields_, self.n_packets_, self.messages_)
        parts = [rows.reshape(len(X), -1), self._statistics(X)]
        return np.hstack(parts).astype(dtype)

    def _statistics(self, X):
        """Standardised statistics: (n, S)."""
        if self.statistics_ is None:
            return np.empty((len(X), 0))
        values = signed_log(np.asarray(self.statistics_.transform(X), dtype=np.float64))
        return np.clip((values[:, self.kept_] - self.mean_) / self.std_, -5, 5)

    def cuts(self, X, lengths, dtype=np.float32):
        """Each length with the statistics of the sessions cut there: (n, L * (1 + S))."""
        parts = []
        for length in lengths:
            parts.append(np.full((len(X), 1), length))
            if self.n_statistics_:
                parts.append(self._statistics(first_packets(X, length)))
        return np.hstack(parts).astype(dtype)
