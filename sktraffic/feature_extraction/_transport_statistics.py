"""Statistics of what headers say: by direction, of activity, bulks, retransmissions, ICMP."""

import numpy as np

from sktraffic.feature_extraction._activity import active_and_idle, find_bulks
from sktraffic.feature_extraction._byte_tokens import flat_packets
from sktraffic.packets import ICMP, ICMPV6, number_at, parse_headers
from sktraffic.ragged import (
    first_of_lists,
    offsets_to_rows,
    ragged_select,
    segment_max,
    segment_mean,
    segment_min,
    segment_std,
    segment_sum,
)

__all__ = ["TRANSPORT_COLUMNS", "icmp_statistics", "retransmissions", "transport_statistics"]

TRANSPORT_COLUMNS = (
    "packet_time",
    "packet_direction",
    "packet_payload_size",
    "packet_flags",
    "packet_header_size",
    "packet_window",
    "packet_ttl",
    "packet_seq",
)
FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
SYN_FIN = 1 | 2
HEADERS = 160  # bytes of a packet in which its ICMP header lies
IDLE_AFTER = 5.0  # s
BULK_PAUSE = 1.0  # s


def transport_statistics(values, offsets):
    """Describe sessions by their packets' headers.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_packets,)
        The columns `TRANSPORT_COLUMNS`; NaN where a packet has no such header.
    offsets : ndarray of shape (n_sessions + 1,)

    Returns
    -------
    dict of str to ndarray of shape (n_sessions,)
        Windows and times to live are NaN for a direction in which no packet has one.
    """
    time, direction = values["packet_time"], values["packet_direction"]
    payload = np.nan_to_num(np.asarray(values["packet_payload_size"], np.float64))
    flags = np.nan_to_num(np.asarray(values["packet_flags"], np.float64)).astype(np.int64)
    again = retransmissions(np.asarray(values["packet_seq"], np.float64), payload, flags,
                            direction, offsets)  # fmt: skip
    out = {"direction_change_count": _changes(direction, offsets)}
    for name, sign in (("forward", 1), ("backward", -1)):
        own = direction == sign
        bounds = ragged_select(own, offsets)
        header = np.nan_to_num(np.asarray(values["packet_header_size"], np.float64)[own])
        out[f"{name}_header_bytes"] = segment_sum(header, bounds)
        out[f"{name}_retransmission_count"] = segment_sum(again[own].astype(np.int64), bounds)
        for bit, flag in enumerate(FLAGS):
            out[f"{name}_tcp_{flag}_count"] = segment_sum((flags[own] >> bit) & 1, bounds)
        out |= _known(f"{name}_window", values["packet_window"][own], bounds)
        out |= _known(f"{name}_ttl", values["packet_ttl"][own], bounds)
    parts = active_and_idle(time, offsets, IDLE_AFTER)
    for name, (lengths, bounds) in zip(("active", "idle"), parts, strict=True):
        out[f"{name}_count"] = np.diff(bounds)
        out[f"{name}_mean"] = segment_mean(lengths, bounds)
        out[f"{name}_std"] = segment_std(lengths, bounds)
        out[f"{name}_max"] = segment_max(lengths, bounds)
    return out | _bulks(find_bulks(time, payload, direction, offsets, BULK_PAUSE), len(offsets) - 1)


def _changes(direction, offsets):
    """Count neighbours of different direction."""
    turn = np.zeros(len(direction), np.int64)
    turn[1:] = direction[1:] != direction[:-1]
    turn[offsets[:-1][np.diff(offsets) > 0]] = 0
    return segment_sum(turn, offsets)


def _known(name, values, offsets):
    """First, mean, smallest of the values that are there; NaN where none is."""
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    values, offsets = values[known], ragged_select(known, offsets)
    none = np.diff(offsets) == 0
    first = np.full(len(none), np.nan)
    first[~none] = values[offsets[:-1][~none]]
    return {
        f"{name}_first": first,
        f"{name}_mean": np.where(none, np.nan, segment_mean(values, offsets)),
        f"{name}_min": np.where(none, np.nan, segment_min(values, offsets)),
    }


def retransmissions(seq, payload, flags, direction, offsets):
    """Say which packets carry only bytes of a TCP stream that were there already.

    Parameters
    ----------
    seq : ndarray of shape (n_packets,), float64
        TCP sequence numbers; NaN for packets that have none.
    payload, flags, direction : ndarray of shape (n_packets,)
    offsets : ndarray of shape (n_sessions + 1,)

    Returns
    -------
    ndarray of shape (n_packets,), bool
        True where all payload, SYN and FIN lie before the stream's farthest byte so far.

    Notes
    -----
    Sequence numbers count modulo 2**32; they are followed by their differences, so a jump of more
    than 2**31 bytes is taken for a step back. Keep-alives repeat a byte, and count.
    """
    carried = payload + ((flags & SYN_FIN) > 0)
    there = np.flatnonzero(~np.isnan(seq) & (carried > 0))
    out = np.zeros(len(seq), dtype=bool)
    if not len(there):
        return out
    # one stream a session and direction, its packets in order
    stream = offsets_to_rows(offsets)[there] * 2 + (direction[there] < 0)
    order = np.argsort(stream, kind="stable")
    there, stream = there[order], stream[order]
    number = seq[there].astype(np.int64)
    first = np.ones(len(there), dtype=bool)
    first[1:] = stream[1:] != stream[:-1]
    step = np.diff(number, prepend=number[:1])
    step = (step + 2**31) % 2**32 - 2**31
    step[first] = 0
    place = np.cumsum(step)
    begins = np.flatnonzero(first)
    place -= np.repeat(place[begins], np.diff(np.append(begins, len(place))))
    end = place + carried[there].astype(np.int64)
    # the farthest byte so far; streams are laid one behind the other, none reaches into the next
    shift = (np.cumsum(first) - 1) * (end.max() - end.min() + 1)
    farthest = np.maximum.accumulate(end + shift)
    out[there[1:]] = ~first[1:] & (end[1:] + shift[1:] <= farthest[:-1])
    return out


def _bulks(found, n_sessions):
    out = {}
    for name, sign in (("forward", 1), ("backward", -1)):
        own = found.direction == sign
        count = np.bincount(found.session[own], minlength=n_sessions)
        sums = np.bincount(found.session[own], weights=found.payload[own], minlength=n_sessions)
        out[f"{name}_bulk_count"] = count
        out[f"{name}_bulk_bytes_mean"] = np.divide(
            sums, count, out=np.zeros(n_sessions), where=count > 0
        )
    return out


def icmp_statistics(X):
    """Type and code of each session's first packet, NaN where it is no ICMP or has no bytes.

    Parameters
    ----------
    X : DataFrame
        Session table with `packet_bytes`.

    Returns
    -------
    dict of str to ndarray of shape (n_sessions,)
    """
    out = {name: np.full(len(X), np.nan) for name in ("icmp_type", "icmp_code")}
    data, at, stop, offsets = flat_packets(first_of_lists(X["packet_bytes"], 1), HEADERS)
    table = parse_headers(data, at, stop)
    told = np.isin(table.protocol, (ICMP, ICMPV6)) & (table.version > 0) & (table.fragment < 2)
    told &= table.transport + 2 <= table.stop
    rows, place, stop = offsets_to_rows(offsets)[told], table.transport[told], table.stop[told]
    out["icmp_type"][rows] = number_at(data, place, stop, np.uint8)
    out["icmp_code"][rows] = number_at(data, place + 1, stop, np.uint8)
    return out
