"""The protocol matrix of sessions: how often each message occurs."""

import re
from collections.abc import Iterable
from numbers import Integral
from typing import ClassVar

import numpy as np

from sktraffic._compat import Interval, StrOptions
from sktraffic.feature_extraction._base import BaseSessionTransformer
from sktraffic.messages import MESSAGES
from sktraffic.ragged import offsets_to_rows, ragged_words

__all__ = ["ProtocolMatrix", "count_codes", "message_names"]

OTHER = "other_messages"


def count_codes(codes, offsets, n_codes):
    """Count how often each code occurs in each session.

    Parameters
    ----------
    codes : ndarray of shape (n_packets,), int
        From 0 to ``n_codes - 1``; negative ones are not counted.
    offsets : ndarray of shape (n_sessions + 1,)
    n_codes : int

    Returns
    -------
    ndarray of shape (n_sessions, n_codes), float64
    """
    n_sessions = len(offsets) - 1
    rows = offsets_to_rows(offsets)
    known = codes >= 0
    cells = rows[known] * n_codes + codes[known]
    counts = np.bincount(cells, minlength=n_sessions * n_codes)
    return counts.reshape(n_sessions, n_codes).astype(np.float64)


def message_names(messages):
    """Turn messages into column names: "TLS: Client Hello" is `tls_client_hello`.

    Names that would be equal get a number: `http_get`, `http_get_2`.
    """
    return _unique(_slug(message) for message in messages)


def _slug(text):
    return re.sub(r"\W+", "_", text.lower()).strip("_") or "empty"


def _unique(names):
    taken, out = set(), []
    for name in names:
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.add(candidate)
        out.append(candidate)
    return out


def _protocol(message):
    return message.partition(":")[0].strip()


def _recode(words, codes, vocabulary, unknown):
    """Translate the codes of packets (into `words`) to positions in `vocabulary`."""
    positions = {word: j for j, word in enumerate(vocabulary)}
    table = np.array([positions.get(word, unknown) for word in words] + [unknown], dtype=np.int64)
    return table[codes]  # code -1, no message, takes the last entry


class ProtocolMatrix(BaseSessionTransformer):
    """Count the messages of every session: F[p][f] = sum_k delta(Info_k = f).

    A message is a protocol and what a packet says in it, such as "TLS: Client Hello"; every
    packet of a session has one (`packet_message`). The columns are the messages of a vocabulary,
    protocol by protocol, named like `tls_client_hello`. The fixed vocabulary gives the same
    columns for every data set, from captures as from Wireshark exports.

    Parameters
    ----------
    vocabulary : {"fixed", "learned"} or sequence of str, default="fixed"
        "fixed" takes the toolkit's own messages, "learned" those seen during `fit`, in
        alphabetical order; a sequence holds messages written as "PROTOCOL: info".

    min_count : int, default=1
        A learned vocabulary keeps the messages seen in at least so many packets.

    handle_unknown : {"other", "ignore"}, default="other"
        Packets whose message is outside the vocabulary, or that have none, are counted in a last
        column `other_messages`, so that a row's counts sum to the session's packets; "ignore"
        leaves that column out.

    normalise : {"count", "binary"} or None, default=None
        None gives counts; "count" divides them by the session's packets (shares that sum to 1
        with ``handle_unknown="other"``); "binary" gives 1 where a message occurs at all.

    protocol_set : bool, default=False
        Append the observed protocol set P: `has_tls` is 1 where a session has a packet of TLS,
        whatever it says, and `has_other` where one has a protocol that is not in the vocabulary.
        ``handle_unknown="ignore"`` leaves out `has_other`, too.

    Attributes
    ----------
    vocabulary_ : tuple of str
        The messages, in the order of the columns.

    protocols_ : tuple of str
        Their protocols, in the order in which they first occur.

    feature_names_in_ : ndarray of str
        The column of the session table that is read.

    n_features_in_ : int
        Its number, 1.

    References
    ----------
    Qi et al. (2025), "Research on Encrypted Traffic Classification and Sparse Traffic Recognition
    Based on Feature Extraction and Deep Learning", section 2.1, doi 10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.feature_extraction import ProtocolMatrix
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({"packet_message": list_column(
    ...     ["TLS: Client Hello", "TCP: ACK", "TCP: ACK", "DNS: Query"], [0, 3, 4]
    ... )})
    >>> matrix = ProtocolMatrix("learned").set_output(transform="pandas")
    >>> matrix.fit_transform(X)
       dns_query  tcp_ack  tls_client_hello  other_messages
    0        0.0      2.0               1.0             0.0
    1        1.0      0.0               0.0             0.0
    """

    _parameter_constraints: ClassVar[dict] = {
        "vocabulary": [StrOptions({"fixed", "learned"}), "array-like"],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "handle_unknown": [StrOptions({"other", "ignore"})],
        "normalise": [StrOptions({"count", "binary"}), None],
        "protocol_set": ["boolean"],
    }

    def __init__(
        self,
        vocabulary="fixed",
        *,
        min_count=1,
        handle_unknown="other",
        normalise=None,
        protocol_set=False,
    ):
        self.vocabulary = vocabulary
        self.min_count = min_count
        self.handle_unknown = handle_unknown
        self.normalise = normalise
        self.protocol_set = protocol_set

    def _columns(self):
        return ("packet_message",)

    def _fit(self, X):
        _check_messages(X)
        if isinstance(self.vocabulary, str) and self.vocabulary == "fixed":
            self.vocabulary_ = tuple(MESSAGES)
        elif isinstance(self.vocabulary, str):
            self.vocabulary_ = _learn(X["packet_message"], self.min_count)
        else:
            self.vocabulary_ = _checked_vocabulary(self.vocabulary)
        self.protocols_ = tuple(dict.fromkeys(map(_protocol, self.vocabulary_)))

    def _transform(self, X):
        _check_messages(X)
        codes, words, offsets = ragged_words(X["packet_message"])
        counts = self._count(codes, words, offsets, self.vocabulary_)
        if self.normalise == "binary":
            counts = np.minimum(counts, 1.0)
        elif self.normalise == "count":
            counts /= np.maximum(np.diff(offsets), 1)[:, None]
        if not self.protocol_set:
            return counts
        protocols = [_protocol(word) for word in words]
        present = self._count(codes, protocols, offsets, self.protocols_)
        return np.hstack([counts, np.minimum(present, 1.0)])

    def _count(self, codes, words, offsets, vocabulary):
        """Count words a session, with a last column for the rest if it is wanted."""
        other = self.handle_unknown == "other"
        unknown = len(vocabulary) if other else -1
        recoded = _recode(words, codes, vocabulary, unknown)
        return count_codes(recoded, offsets, len(vocabulary) + other)

    def _names(self):
        other = [OTHER] if self.handle_unknown == "other" else []
        names = [*message_names(self.vocabulary_), *other]
        if self.protocol_set:
            names += [f"has_{_slug(name)}" for name in self.protocols_]
            names += ["has_other"] if other else []
        return _unique(names)


def _check_messages(X):
    null = X["packet_message"].isna().to_numpy(dtype=bool)
    if null.any():
        raise ValueError(
            f"packet_message is null in {null.sum()} of {len(X)} rows of the session table (first "
            f"in row {int(np.flatnonzero(null)[0])}): their messages are unknown, not absent. "
            "Extract the sessions with messages, or drop these rows."
        )


def _learn(column, min_count):
    codes, words, _ = ragged_words(column)
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    kept = {word for word, count in zip(words, counts, strict=True) if count >= min_count}
    if not kept:
        raise ValueError(
            f"No message occurs in at least {min_count} packets of the {len(column)} sessions to "
            "learn a vocabulary from. Lower min_count, or use vocabulary='fixed'."
        )
    return tuple(sorted(kept))


def _checked_vocabulary(vocabulary: Iterable):
    messages = list(vocabulary)
    strange = [m for m in messages if not isinstance(m, str)]
    repeated = sorted({m for m in messages if isinstance(m, str) and messages.count(m) > 1})
    if strange or repeated or not messages:
        what = (
            f"has {strange[0]!r}" if strange else f"repeats {repeated}" if repeated else "is empty"
        )
        raise ValueError(
            f"The vocabulary {what}; it must hold different messages such as 'TLS: Client Hello'."
        )
    return tuple(messages)
