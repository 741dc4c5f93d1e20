"""Statistics of sessions: the nine features of Qi et al. (2025), and more on request."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar

import numpy as np

from sktraffic._compat import Interval, StrOptions
from sktraffic.feature_extraction._base import (
    BaseSessionTransformer,
    check_known,
    check_not_all_null,
    ragged_columns,
)
from sktraffic.feature_extraction._cicflowmeter import (
    CICFLOWMETER_COLUMNS,
    cicflowmeter_statistics,
)
from sktraffic.feature_extraction._transport_statistics import (
    TRANSPORT_COLUMNS,
    icmp_statistics,
    transport_statistics,
)
from sktraffic.ragged import (
    bin_codes,
    burst_bounds,
    burst_sums,
    check_same_packets,
    iat_edges,
    ragged,
    ragged_diff,
    ragged_select,
    safe_divide,
    segment_entropy,
    segment_max,
    segment_mean,
    segment_min,
    segment_quantiles,
    segment_std,
    segment_sum,
    size_edges,
)
from sktraffic.sessions import from_arrow, session_schema

__all__ = ["SessionStatistics", "basic_statistics", "extended_statistics"]

BASIC_COLUMNS = ("packet_time", "packet_size")
EXTENDED_COLUMNS = (
    "packet_time",
    "packet_size",
    "packet_direction",
    "packet_payload_size",
    "packet_flags",
)
ALL_COLUMNS = (*dict.fromkeys((*EXTENDED_COLUMNS, *TRANSPORT_COLUMNS)), "packet_bytes")
COLUMNS = {
    "basic": BASIC_COLUMNS,
    "extended": EXTENDED_COLUMNS,
    "all": ALL_COLUMNS,
    "cicflowmeter": CICFLOWMETER_COLUMNS,
}
# what a source may lack as a whole, and who has it
FROM_CAPTURES = "Use features='basic', or extract from the capture itself."
TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
# Packet times are stored as decimal fractions of a second; their differences carry noise of the
# last binary digit, which must not throw equal intervals into two bins.
IAT_DECIMALS = 9


@dataclass
class _Packets:
    """Flat packet values of many sessions."""

    time: np.ndarray  # (n_packets,) s since the session's start
    size: np.ndarray  # (n_packets,) bytes
    offsets: np.ndarray  # (n_sessions + 1,)

    def select(self, mask):
        return _Packets(self.time[mask], self.size[mask], ragged_select(mask, self.offsets))

    def iat(self):
        return ragged_diff(self.time, self.offsets)


def basic_statistics(packets, size_bins, iat_bins):
    """Compute the nine features; Qi et al. (2025), section 2.1.

    Parameters
    ----------
    packets : _Packets
    size_bins, iat_bins : ndarray
        Bin edges, bytes and seconds.

    Returns
    -------
    dict of str to ndarray of shape (n_sessions,)
    """
    size, offsets = packets.size, packets.offsets
    iat, iat_offsets = packets.iat()
    return {
        "packet_count": np.diff(offsets),
        "total_bytes": segment_sum(size, offsets),
        "duration": segment_max(packets.time, offsets) - segment_min(packets.time, offsets),
        "packet_size_mean": segment_mean(size, offsets),
        "packet_size_std": segment_std(size, offsets),
        "packet_size_entropy": segment_entropy(bin_codes(size, size_bins), offsets),
        "iat_mean": segment_mean(iat, iat_offsets),
        "iat_std": segment_std(iat, iat_offsets),
        "iat_entropy": segment_entropy(
            bin_codes(np.round(iat, IAT_DECIMALS), iat_bins), iat_offsets
        ),
    }


def extended_statistics(packets, direction, quantiles):
    """Rates, extremes, quantiles, both directions and bursts.

    Parameters
    ----------
    packets : _Packets
    direction : ndarray of shape (n_packets,)
        +1 or -1.
    quantiles : sequence of float

    Returns
    -------
    dict of str to ndarray of shape (n_sessions,)
    """
    iat, iat_offsets = packets.iat()
    duration = segment_max(packets.time, packets.offsets) - segment_min(
        packets.time, packets.offsets
    )
    out = {
        "packets_per_second": safe_divide(np.diff(packets.offsets), duration),
        "bytes_per_second": safe_divide(segment_sum(packets.size, packets.offsets), duration),
    }
    out |= _spread("packet_size", packets.size, packets.offsets, quantiles)
    out |= _spread("iat", iat, iat_offsets, quantiles)
    for name, sign in (("forward", 1), ("backward", -1)):
        out |= _direction(name, packets.select(direction == sign))
    total = np.diff(packets.offsets)
    out["forward_packet_share"] = safe_divide(out["forward_packet_count"], total)
    out["forward_byte_share"] = safe_divide(
        out["forward_total_bytes"], segment_sum(packets.size, packets.offsets)
    )
    return out | _bursts(packets, direction)


def _spread(name, values, offsets, quantiles):
    out = {f"{name}_min": segment_min(values, offsets)}
    table = segment_quantiles(values, offsets, quantiles)
    out |= {f"{name}_q{100 * q:g}": table[:, j] for j, q in enumerate(quantiles)}
    out[f"{name}_max"] = segment_max(values, offsets)
    return out


def _direction(name, packets):
    iat, iat_offsets = packets.iat()
    size, offsets = packets.size, packets.offsets
    return {
        f"{name}_packet_count": np.diff(offsets),
        f"{name}_total_bytes": segment_sum(size, offsets),
        f"{name}_packet_size_mean": segment_mean(size, offsets),
        f"{name}_packet_size_std": segment_std(size, offsets),
        f"{name}_packet_size_min": segment_min(size, offsets),
        f"{name}_packet_size_max": segment_max(size, offsets),
        f"{name}_iat_mean": segment_mean(iat, iat_offsets),
        f"{name}_iat_std": segment_std(iat, iat_offsets),
        f"{name}_iat_max": segment_max(iat, iat_offsets),
    }


def _bursts(packets, direction):
    bounds, bursts = burst_bounds(direction, packets.offsets)
    last = bounds[1:] - 1
    measures = {
        "packets": np.diff(bounds),
        "bytes": burst_sums(packets.size, bounds),
        "duration": packets.time[last] - packets.time[bounds[:-1]],
    }
    out = {"burst_count": np.diff(bursts)}
    for name, values in measures.items():
        out[f"burst_{name}_mean"] = segment_mean(values, bursts)
        out[f"burst_{name}_std"] = segment_std(values, bursts)
        out[f"burst_{name}_max"] = segment_max(values, bursts)
    return out


def payload_statistics(payload, direction, offsets, size_bins):
    """Describe the payload sizes of sessions; a dict of (n_sessions,) arrays."""
    payload = np.asarray(payload, dtype=np.float64)
    back = direction == -1
    return {
        "payload_packet_count": segment_sum((payload > 0).astype(np.int64), offsets),
        "payload_bytes": segment_sum(payload, offsets),
        "forward_payload_bytes": segment_sum(np.where(back, 0, payload), offsets),
        "backward_payload_bytes": segment_sum(np.where(back, payload, 0), offsets),
        "payload_size_mean": segment_mean(payload, offsets),
        "payload_size_std": segment_std(payload, offsets),
        "payload_size_max": segment_max(payload, offsets),
        "payload_size_entropy": segment_entropy(bin_codes(payload, size_bins), offsets),
    }


def flag_statistics(flags, direction, offsets):
    """Count packets, of both directions, that carry each TCP flag; dict of (n_sessions,) arrays."""
    flags = np.nan_to_num(np.asarray(flags, dtype=np.float64)).astype(np.int64)
    return {
        f"tcp_{name}_count": segment_sum((flags >> bit) & 1, offsets)
        for bit, name in enumerate(TCP_FLAGS)
    }


class SessionStatistics(BaseSessionTransformer):
    """Describe every session by statistics of its packets.

    ``features="basic"`` gives the nine features of Qi et al. (2025), in this order:
    `packet_count`, `total_bytes` (bytes), `duration` (s), `packet_size_mean`, `packet_size_std`
    (bytes), `packet_size_entropy` (bits), `iat_mean`, `iat_std` (s), `iat_entropy` (bits).
    ``features="extended"`` adds rates, extremes and quantiles, the two directions, bursts (maximal
    runs of packets in one direction), payload sizes and TCP flags. ``features="all"`` adds what
    headers say, by direction: header bytes, TCP flags, windows, times to live, retransmissions,
    bulks; and activity, silences (longer than 5 s), changes of direction, ICMP type and code.
    ``features="cicflowmeter"`` gives the columns of CICFlowMeter as Engelen et al. (2021) correct
    it, under its names: payload bytes and microseconds; see the notes. Both read the columns
    that ``SessionExtractor(headers=True)`` adds.

    Parameters
    ----------
    features : {"basic", "extended", "all", "cicflowmeter"}, default="basic"
        Which features. `size_bins` and `iat_bins` are for all but the last, `quantiles` for
        "extended" and "all".

    size_bins : int or array-like of shape (n_edges,), default=64
        Bins of the packet size entropies, bytes: the width of equal bins, or their edges.

    iat_bins : int or array-like of shape (n_edges,), default=3
        Bins of the inter-arrival time entropy: how many a decade between a microsecond and
        1000 s (with 3, the edges are 1, 2.15, 4.64, 10, ... microseconds), or their edges in
        seconds. Shorter and longer intervals have a bin each.

    quantiles : sequence of float, default=(0.25, 0.5, 0.75)
        Quantiles of packet size and inter-arrival time in the extended features.

    Attributes
    ----------
    size_edges_ : ndarray of shape (n_edges,)
        Edges of the size bins, bytes; bin k holds ``edges[k - 1] <= size < edges[k]``.

    iat_edges_ : ndarray of shape (n_edges,)
        Edges of the inter-arrival time bins, s.

    feature_names_in_ : ndarray of str
        The columns of the session table that are read.

    n_features_in_ : int
        Their number.

    Notes
    -----
    Sizes are whatever the extractor's `size` says, IP bytes by default. Standard deviations have
    N - 1 in the denominator and are 0 for fewer than two values; mean and entropy are 0 where
    there is no value (the intervals of a one-packet session). Intervals are taken in the order of
    the packets. Sessions whose `packet_payload_size` or `packet_flags` is null (a text export does
    not say them) get NaN in the features made of it.

    The columns of CICFlowMeter follow its definitions, odd ones too, corrected as Engelen et al.
    did: an idle time counts from packet to packet, flags count packets, header lengths are those of
    the transport header, and lengths are payload bytes. "Subflow" columns divide by the number of
    silences over a second and are 0 where there is none. Its sessions end at FIN or RST, so give
    the extractor ``end_on="fin"``.

    References
    ----------
    Engelen et al. (2021), "Troubleshooting an Intrusion Detection Dataset: the CICIDS2017 Case
    Study", IEEE SPW, doi 10.1109/SPW53761.2021.00009.

    Qi et al. (2025), "Research on Encrypted Traffic Classification and Sparse Traffic Recognition
    Based on Feature Extraction and Deep Learning", section 2.1, doi 10.62177/apemr.v2i5.632.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.feature_extraction import SessionStatistics
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column([0.0, 1.0, 3.0, 0.0], [0, 3, 4]),
    ...     "packet_size": list_column([40, 1500, 1500, 60], [0, 3, 4]),
    ... })
    >>> statistics = SessionStatistics().set_output(transform="pandas").fit_transform(X)
    >>> statistics[["packet_count", "total_bytes", "duration", "iat_mean"]]
       packet_count  total_bytes  duration  iat_mean
    0           3.0       3040.0       3.0       1.5
    1           1.0         60.0       0.0       0.0
    """

    _parameter_constraints: ClassVar[dict] = {
        "features": [StrOptions(set(COLUMNS))],
        "size_bins": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "iat_bins": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "quantiles": ["array-like"],
    }

    def __init__(self, features="basic", *, size_bins=64, iat_bins=3, quantiles=(0.25, 0.5, 0.75)):
        self.features = features
        self.size_bins = size_bins
        self.iat_bins = iat_bins
        self.quantiles = quantiles

    def _columns(self):
        return COLUMNS[self.features]

    def _fit(self, X):
        self.size_edges_ = size_edges(self.size_bins)
        self.iat_edges_ = iat_edges(self.iat_bins)
        check_quantiles(self.quantiles)
        if self.features in ("extended", "all"):
            check_not_all_null(X, EXTENDED_COLUMNS[3:], FROM_CAPTURES)
        if self.features == "all" and len(X) and "packet_bytes" in X:
            check_not_all_null(X, ["packet_bytes"], "Extract with n_bytes of 160, say.")
        self._feature_names_out = list(
            self._compute(from_arrow(session_schema(headers=True).empty_table()))
        )

    def _transform(self, X):
        features = self._compute(X)
        return np.column_stack([np.asarray(v, np.float64) for v in features.values()])

    def _names(self):
        return self._feature_names_out

    def _compute(self, X):
        if self.features == "cicflowmeter":
            check_known(X, CICFLOWMETER_COLUMNS)
            return cicflowmeter_statistics(*ragged_columns(X, CICFLOWMETER_COLUMNS))
        core = BASIC_COLUMNS if self.features == "basic" else EXTENDED_COLUMNS[:3]
        check_known(X, core)
        values, offsets = ragged_columns(X, core)
        size = values["packet_size"]
        size = size.astype(np.int64) if size.dtype.kind in "iu" else size
        packets = _Packets(values["packet_time"], size, offsets)
        out = basic_statistics(packets, self.size_edges_, self.iat_edges_)
        if self.features == "basic":
            return out
        direction = values["packet_direction"]
        out |= extended_statistics(packets, direction, self.quantiles)
        measures = {"packet_payload_size": self._payload, "packet_flags": flag_statistics}
        for name, measure in measures.items():
            out |= _where_known(X[name], direction, offsets, measure)
        if self.features == "all":
            check_known(X, TRANSPORT_COLUMNS)
            out |= transport_statistics(*ragged_columns(X, TRANSPORT_COLUMNS)) | icmp_statistics(X)
        return out

    def _payload(self, payload, direction, offsets):
        return payload_statistics(payload, direction, offsets, self.size_edges_)


def _where_known(column, direction, offsets, measure):
    """Apply `measure` to a column that may be null in some sessions; NaN in those."""
    values, own = ragged(column)
    known = column.notna().to_numpy(dtype=bool)
    lengths = np.diff(offsets)
    check_same_packets(column.name, own, "packet_time", offsets, where=known)
    out = measure(values, direction[np.repeat(known, lengths)], own)
    return {name: np.where(known, value, np.nan) for name, value in out.items()}


def check_quantiles(quantiles: Sequence[Real]):
    """Raise unless all quantiles lie between 0 and 1."""
    values = np.asarray(quantiles, dtype=np.float64)
    if values.ndim != 1 or ((values < 0) | (values > 1)).any():
        raise ValueError(f"quantiles must be numbers between 0 and 1, got {quantiles!r}.")
