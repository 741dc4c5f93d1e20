"""CICFlowMeter's features from packets, as its authors define and Engelen et al. correct them.

Lengths are payload bytes, times whole microseconds, header lengths those of the transport header;
standard deviations have N - 1 in the denominator; a feature of nothing is 0.
"""

from dataclasses import dataclass, replace

import numpy as np

from sktraffic.feature_extraction._activity import active_and_idle, find_bulks
from sktraffic.ragged import (
    ragged_diff,
    ragged_select,
    safe_divide,
    segment_max,
    segment_mean,
    segment_min,
    segment_std,
    segment_sum,
)

__all__ = ["CICFLOWMETER_COLUMNS", "cicflowmeter_statistics"]

CICFLOWMETER_COLUMNS = (
    "packet_time",
    "packet_payload_size",
    "packet_direction",
    "packet_flags",
    "packet_header_size",
    "packet_window",
)
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "CWR": 128, "ECE": 64}
SECOND = 1_000_000
IDLE_AFTER = 5 * SECOND  # the tool's activity timeout


@dataclass
class _Packets:
    """Flat packet values of many sessions; all but `offsets` of shape (n_packets,)."""

    time: np.ndarray  # us
    payload: np.ndarray  # bytes
    flags: np.ndarray
    header: np.ndarray  # bytes of the transport header
    window: np.ndarray
    direction: np.ndarray
    offsets: np.ndarray  # (n_sessions + 1,)

    def select(self, mask):
        """Packets of a mask, session by session."""
        values = {name: value[mask] for name, value in vars(self).items() if name != "offsets"}
        return replace(self, **values, offsets=ragged_select(mask, self.offsets))

    def counts(self):
        return np.diff(self.offsets)

    def first(self, values, missing):
        """Value of each session's first packet, `missing` for a session without packets."""
        filled = self.counts() > 0
        out = np.full(len(filled), missing, dtype=np.float64)
        out[filled] = values[self.offsets[:-1][filled]]
        return out


def cicflowmeter_statistics(values, offsets):
    """Compute CICFlowMeter's features.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_packets,)
        The columns `CICFLOWMETER_COLUMNS`; what a packet does not have, NaN, counts as 0.
    offsets : ndarray of shape (n_sessions + 1,)

    Returns
    -------
    dict of str to ndarray of shape (n_sessions,)
        Under the names of the corrected tool, in its order.
    """
    packets = _Packets(
        time=np.rint(values["packet_time"] * 1e6),
        payload=_known(values["packet_payload_size"]),
        flags=_known(values["packet_flags"]).astype(np.int64),
        header=_known(values["packet_header_size"]),
        window=_known(values["packet_window"]),
        direction=values["packet_direction"],
        offsets=offsets,
    )
    forward, backward = (packets.select(packets.direction == sign) for sign in (1, -1))
    duration = segment_max(packets.time, offsets) - segment_min(packets.time, offsets)
    out = {"Flow Duration": duration}
    out |= _amounts(forward, backward)
    out |= _rates(packets, duration)
    out |= _intervals(packets, forward, backward)
    out |= _headers(forward, backward)
    out |= {
        "Fwd Packets/s": safe_divide(forward.counts() * SECOND, duration),
        "Bwd Packets/s": safe_divide(backward.counts() * SECOND, duration),
    }
    out |= _all_lengths(packets)
    out |= {
        f"{name} Flag Count": segment_sum((packets.flags & bit != 0).astype(float), offsets)
        for name, bit in FLAGS.items()
    }
    out |= _averages(packets, forward, backward)
    out |= _bulks(packets)
    out |= _subflows(packets, forward, backward)
    out |= {
        # the tool writes 0 where a direction has no packet
        "FWD Init Win Bytes": forward.first(forward.window, 0),
        "Bwd Init Win Bytes": backward.first(backward.window, 0),
        "Fwd Act Data Pkts": segment_sum((forward.payload > 0).astype(float), forward.offsets),
        "Fwd Seg Size Min": segment_min(forward.header, forward.offsets),
    }
    return out | _active_and_idle(packets)


def _known(values):
    return np.nan_to_num(np.asarray(values, np.float64))


def _amounts(forward, backward):
    out = {
        "Total Fwd Packet": forward.counts(),
        "Total Bwd packets": backward.counts(),
        "Total Length of Fwd Packet": segment_sum(forward.payload, forward.offsets),
        "Total Length of Bwd Packet": segment_sum(backward.payload, backward.offsets),
    }
    for way, packets in (("Fwd", forward), ("Bwd", backward)):
        spread = _spread(packets.payload, packets.offsets)
        out |= {
            f"{way} Packet Length {name}": spread[name] for name in ("Max", "Min", "Mean", "Std")
        }
    return out


def _rates(packets, duration):
    total = segment_sum(packets.payload, packets.offsets)
    return {
        "Flow Bytes/s": safe_divide(total * SECOND, duration),
        "Flow Packets/s": safe_divide(packets.counts() * SECOND, duration),
    }


def _intervals(packets, forward, backward):
    out = {}
    for name, part in (("Flow", packets), ("Fwd", forward), ("Bwd", backward)):
        gaps, offsets = ragged_diff(part.time, part.offsets)
        if name != "Flow":
            out[f"{name} IAT Total"] = segment_sum(gaps, offsets)
        spread = _spread(gaps, offsets)
        out |= {f"{name} IAT {what}": spread[what] for what in ("Mean", "Std", "Max", "Min")}
    return out


def _headers(forward, backward):
    out = {
        f"{way} {flag} Flags": segment_sum(
            (part.flags & FLAGS[flag] != 0).astype(float), part.offsets
        )
        for flag in ("PSH", "URG", "RST")
        for way, part in (("Fwd", forward), ("Bwd", backward))
    }
    return out | {
        "Fwd Header Length": segment_sum(forward.header, forward.offsets),
        "Bwd Header Length": segment_sum(backward.header, backward.offsets),
    }


def _all_lengths(packets):
    spread = _spread(packets.payload, packets.offsets)
    out = {f"Packet Length {name}": spread[name] for name in ("Min", "Max", "Mean", "Std")}
    return out | {"Packet Length Variance": spread["Std"] ** 2}


def _averages(packets, forward, backward):
    return {
        "Down/Up Ratio": safe_divide(backward.counts(), forward.counts()),
        "Average Packet Size": segment_mean(packets.payload, packets.offsets),
        "Fwd Segment Size Avg": segment_mean(forward.payload, forward.offsets),
        "Bwd Segment Size Avg": segment_mean(backward.payload, backward.offsets),
    }


def _bulks(packets):
    found = find_bulks(packets.time, packets.payload, packets.direction, packets.offsets, SECOND)
    n_sessions = len(packets.offsets) - 1
    out = {}
    for way, sign in (("Fwd", 1), ("Bwd", -1)):
        own = found.direction == sign
        payload, size, duration, count = (
            np.bincount(found.session[own], weights=values, minlength=n_sessions)
            for values in (found.payload[own], found.packets[own], found.duration[own], None)
        )
        out[f"{way} Bytes/Bulk Avg"] = safe_divide(payload, count)
        out[f"{way} Packet/Bulk Avg"] = safe_divide(size, count)
        out[f"{way} Bulk Rate Avg"] = safe_divide(payload * SECOND, duration)
    return out


def _subflows(packets, forward, backward):
    """Packets and bytes a subflow: what lies between silences of more than a second.

    The tool counts the silences, not the parts, and gives 0 where there is none.
    """
    gaps, offsets = ragged_diff(packets.time, packets.offsets)
    silences = segment_sum((gaps > SECOND).astype(np.int64), offsets)
    out = {}
    for way, part in (("Fwd", forward), ("Bwd", backward)):
        sent = segment_sum(part.payload, part.offsets)
        out[f"Subflow {way} Packets"] = np.floor(safe_divide(part.counts(), silences))
        out[f"Subflow {way} Bytes"] = np.floor(safe_divide(sent, silences))
    return out


def _active_and_idle(packets):
    """Stretches without a silence of more than five seconds, and these silences."""
    (active, stretches), silences = active_and_idle(packets.time, packets.offsets, IDLE_AFTER)
    lasting = active > 0
    stretches = active[lasting], ragged_select(lasting, stretches)
    out = {}
    for name, part in (("Active", stretches), ("Idle", silences)):
        spread = _spread(*part)
        out |= {f"{name} {what}": spread[what] for what in ("Mean", "Std", "Max", "Min")}
    return out


def _spread(values, offsets):
    return {
        "Max": segment_max(values, offsets),
        "Min": segment_min(values, offsets),
        "Mean": segment_mean(values, offsets),
        "Std": segment_std(values, offsets),
    }
