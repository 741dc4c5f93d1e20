"""The packet size matrix of sessions: how often each signed size occurs."""

from numbers import Integral
from typing import ClassVar

import numpy as np

from sktraffic._compat import Interval
from sktraffic.feature_extraction._base import BaseSessionTransformer, ragged_columns
from sktraffic.feature_extraction._protocol_matrix import count_codes
from sktraffic.ragged import offsets_to_rows

__all__ = ["PacketSizeMatrix"]


class PacketSizeMatrix(BaseSessionTransformer):
    """Count how often each frequent signed packet size occurs in a session.

    Encryption hides what a packet says, not how long it is: records, requests and answers of one
    program come in lengths of their own, wherever in a session they stand. A column is one size
    and direction; its value is the number of packets of the session that have them, among all
    packets that the table holds. Which sizes have columns is learned: those that most sessions
    have. Forests and boosting profit from it; what it cost and gained is in the user guide.

    Parameters
    ----------
    max_sizes : int, default=512
        Columns at most; sizes of more sessions come first, smaller ones before larger where
        equal.

    min_sessions : int, default=5
        A size that fewer sessions have gets no column.

    Attributes
    ----------
    sizes_ : ndarray of shape (n_features_out,), int
        Signed sizes in bytes, ascending; negative ones are of packets from server to client.

    feature_names_in_ : ndarray of str
        The columns of the session table that are read.

    n_features_in_ : int
        Their number, 2.

    See Also
    --------
    PacketSequences : Sizes by their place.
    ProtocolMatrix : The same for messages.

    References
    ----------
    The distribution of packet lengths by direction identifies encrypted traffic in Liberatore and
    Levine, "Inferring the source of encrypted HTTP connections", CCS 2006.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.feature_extraction import PacketSizeMatrix
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_size": list_column([60, 1500, 1500, 60], [0, 3, 4]),
    ...     "packet_direction": list_column([1, -1, -1, 1], [0, 3, 4]),
    ... })
    >>> PacketSizeMatrix(min_sessions=1).set_output(transform="pandas").fit_transform(X)
       n_packets_minus_1500  n_packets_60
    0                   2.0           1.0
    1                   0.0           1.0
    """

    _parameter_constraints: ClassVar[dict] = {
        "max_sizes": [Interval(Integral, 1, None, closed="left")],
        "min_sessions": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, max_sizes=512, *, min_sessions=5):
        self.max_sizes = max_sizes
        self.min_sessions = min_sessions

    def _columns(self):
        return ("packet_size", "packet_direction")

    def _fit(self, X):
        sizes, offsets = _signed_sizes(X)
        found, n_sessions = count_sessions(sizes, offsets)
        kept = n_sessions >= self.min_sessions
        if not kept.any():
            raise ValueError(
                f"No packet size occurs in min_sessions={self.min_sessions} of the {len(X)} "
                "sessions. Lower min_sessions, or give more sessions."
            )
        found, n_sessions = found[kept], n_sessions[kept]
        order = np.lexsort((np.abs(found), -n_sessions))
        self.sizes_ = np.sort(found[order[: self.max_sizes]])

    def _transform(self, X):
        sizes, offsets = _signed_sizes(X)
        place = np.searchsorted(self.sizes_, sizes).clip(max=len(self.sizes_) - 1)
        codes = np.where(self.sizes_[place] == sizes, place, -1)
        return count_codes(codes, offsets, len(self.sizes_))

    def _names(self):
        return [f"n_packets_{size}".replace("-", "minus_") for size in self.sizes_]


def count_sessions(sizes, offsets):
    """Count the sessions that have each signed size.

    Parameters
    ----------
    sizes : ndarray of shape (n_packets,), int
    offsets : ndarray of shape (n_sessions + 1,)

    Returns
    -------
    sizes : ndarray of shape (n_sizes,), int
        Ascending.
    n_sessions : ndarray of shape (n_sizes,), int
    """
    rows = offsets_to_rows(offsets)
    order = np.lexsort((rows, sizes))
    sizes, rows = sizes[order], rows[order]
    new_size = np.diff(sizes, prepend=sizes[:1] - 1) != 0
    # a session's second packet of the same size does not count
    first = new_size | (np.diff(rows, prepend=-1) != 0)
    starts = np.flatnonzero(new_size)
    return sizes[starts], np.add.reduceat(first.astype(np.int64), starts) if len(starts) else starts


def _signed_sizes(X):
    """Signed sizes of all packets (n_packets,) and the offsets of their sessions."""
    values, offsets = ragged_columns(X, ("packet_size", "packet_direction"))
    return values["packet_size"].astype(np.int64) * values["packet_direction"], offsets
