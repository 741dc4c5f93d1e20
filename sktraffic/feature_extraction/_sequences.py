"""The first packets of sessions as fixed-width rows."""

from numbers import Integral
from typing import ClassVar

import numpy as np

from sktraffic._compat import Interval, StrOptions
from sktraffic.feature_extraction._base import (
    BaseSessionTransformer,
    check_known,
    ragged_columns,
)
from sktraffic.ragged import pad_first

__all__ = ["PacketSequences"]

# field -> columns that it is made of; the field is one number a packet
FIELDS = {
    "size": ("packet_size",),
    "signed_size": ("packet_size", "packet_direction"),
    "payload_size": ("packet_payload_size",),
    "signed_payload_size": ("packet_payload_size", "packet_direction"),
    "time": ("packet_time",),
    "iat": ("packet_time",),
    "signed_iat": ("packet_time", "packet_direction"),
    "direction": ("packet_direction",),
    "flags": ("packet_flags",),
}
SECONDS = ("time", "iat", "signed_iat")


def _field(name, values, offsets):
    """One number a packet for a field; (n_packets,) float64."""
    column = values[FIELDS[name][0]]
    out = np.asarray(column, dtype=np.float64)
    if name.endswith("iat"):
        # the first packet of a session has no packet before it: 0
        out = np.diff(out, prepend=out[:1])
        out[offsets[:-1][np.diff(offsets) > 0]] = 0.0
    if name.startswith("signed_"):
        out = out * values["packet_direction"]
    return out


def _log(name, values):
    """Compress to sign(x) log(1 + |x|), x in bytes or, for times, microseconds."""
    if name in ("direction", "flags"):
        return values
    x = values * 1e6 if name in SECONDS else values
    return np.sign(x) * np.log1p(np.abs(x))


class PacketSequences(BaseSessionTransformer):
    """The first packets of every session, as many numbers a packet as there are fields.

    Column ``packet_3_iat`` is the field `iat` of the fourth packet. Columns go packet by packet,
    so that ``out.reshape(len(out), n_packets, len(fields))`` is a sequence for a recurrent or
    convolutional network. Where a session has no such packet all its fields are 0; a direction is
    never 0 otherwise.

    Parameters
    ----------
    n_packets : int, default=20
        Packets a session; later ones are left out.

    fields : sequence of str, default=("size", "iat", "direction")
        From "size" (bytes), "payload_size" (bytes), "time" (s since the session's start), "iat"
        (s since the packet before, 0 for the first), "direction" (+1 or -1), "flags" (of TCP, as a
        number: FIN 1 to CWR 128) and "signed_size", "signed_payload_size", "signed_iat": the same
        times the direction.

    scale : {"log"} or None, default=None
        "log" replaces x by `sign(x) log(1 + |x|)`, x in bytes or microseconds; directions and
        flags stay.

    Attributes
    ----------
    feature_names_in_ : ndarray of str
        The columns of the session table that are read.

    n_features_in_ : int
        Their number.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.feature_extraction import PacketSequences
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_size": list_column([40, 1500, 60], [0, 2, 3]),
    ...     "packet_direction": list_column([1, -1, 1], [0, 2, 3]),
    ... })
    >>> sequences = PacketSequences(3, fields=["signed_size"])
    >>> sequences.fit_transform(X)
    array([[   40., -1500.,     0.],
           [   60.,     0.,     0.]])
    >>> sequences.get_feature_names_out()[1]
    'packet_1_signed_size'
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_packets": [Interval(Integral, 1, None, closed="left")],
        "fields": ["array-like"],
        "scale": [StrOptions({"log"}), None],
    }

    def __init__(self, n_packets=20, *, fields=("size", "iat", "direction"), scale=None):
        self.n_packets = n_packets
        self.fields = fields
        self.scale = scale

    def _columns(self):
        fields = list(self.fields)
        unknown = [name for name in fields if name not in FIELDS]
        if unknown or not fields or len(set(fields)) < len(fields):
            raise ValueError(
                f"fields must be different names from {', '.join(FIELDS)}; got {fields!r}."
            )
        return tuple(dict.fromkeys(column for name in fields for column in FIELDS[name]))

    def _fit(self, X):
        check_known(X, self._columns())

    def _transform(self, X):
        columns = tuple(self.feature_names_in_)
        check_known(X, columns)
        values, offsets = ragged_columns(X, columns)
        out = np.empty((len(X), self.n_packets, len(self.fields)))
        for j, name in enumerate(self.fields):
            padded = pad_first(_field(name, values, offsets), offsets, self.n_packets)
            out[:, :, j] = _log(name, padded) if self.scale == "log" else padded
        return out.reshape(len(X), self.n_packets * len(self.fields))

    def _names(self):
        return [f"packet_{i}_{name}" for i in range(self.n_packets) for name in self.fields]
