"""What a network does to a session: loss, reordering, padding, delay. Pure functions of tables."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.utils import check_random_state

from sktraffic.ragged import (
    list_column,
    offsets_to_rows,
    ragged,
    segment_max,
    segment_min,
    segment_sum,
)
from sktraffic.sessions import PACKET_COLUMNS, check_sessions, to_arrow

__all__ = ["delay_packets", "drop_packets", "pad_packets", "reorder_packets"]

NEEDED = ("packet_time", "packet_size", "packet_direction")
ENDS = (("src_ip", "dst_ip"), ("src_port", "dst_port"))


def drop_packets(X, rate, *, random_state=None):
    """Lose each packet with a fixed probability, as seen by an observer behind the loss.

    Parameters
    ----------
    X : DataFrame
        Session table.
    rate : float
        Probability, 0 to 1. A session that would lose all its packets keeps the first.
    random_state : int, RandomState instance or None, default=None
        Which packets are lost.

    Returns
    -------
    DataFrame
        Same rows. Times count from the first packet left, `start` moves along; where that packet
        came from the other side, directions, addresses and ports are exchanged. The facts are
        those of the packets listed.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import drop_packets
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column([0.0, 1.0, 3.0], [0, 3]),
    ...     "packet_size": list_column([60, 1500, 90], [0, 3]),
    ...     "packet_direction": list_column([1, -1, 1], [0, 3]),
    ... })
    >>> drop_packets(X, 1.0)["packet_size"].iloc[0]
    [60]
    """
    check_sessions(X, NEEDED)
    _check_share("rate", rate)
    _, offsets = ragged(X["packet_time"])
    rows = offsets_to_rows(offsets)
    position = np.arange(len(rows)) - offsets[rows]
    kept = check_random_state(random_state).uniform(size=len(rows)) >= rate
    left = segment_sum(kept.astype(np.int64), offsets)
    kept |= (position == 0) & (left[rows] == 0)
    return _arrange(X, rows[kept], position[kept])


def reorder_packets(X, rate, *, distance=1, random_state=None):
    """Let each packet fall behind its followers with a fixed probability.

    Parameters
    ----------
    X : DataFrame
        Session table.
    rate : float
        Probability, 0 to 1.
    distance : int, default=1
        Places a packet falls behind.
    random_state : int, RandomState instance or None, default=None
        Which packets fall behind.

    Returns
    -------
    DataFrame
        Same rows and times: another packet arrives at each of them. Where the first packet now
        came from the other side, directions, addresses and ports are exchanged.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import reorder_packets
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column([0.0, 1.0, 3.0], [0, 3]),
    ...     "packet_size": list_column([60, 1500, 90], [0, 3]),
    ...     "packet_direction": list_column([1, 1, 1], [0, 3]),
    ... })
    >>> reorder_packets(X, 0.5, random_state=1)["packet_size"].iloc[0]
    [1500, 60, 90]
    """
    check_sessions(X, NEEDED)
    _check_share("rate", rate)
    if distance < 1:
        raise ValueError(f"distance is {distance}; a packet falls behind by 1 place or more.")
    time, offsets = ragged(X["packet_time"])
    rows = offsets_to_rows(offsets)
    position = np.arange(len(rows)) - offsets[rows]
    late = check_random_state(random_state).uniform(size=len(rows)) < rate
    # half a place more than `distance` puts it behind the packet that stands there
    order = np.lexsort((position + late * (distance + 0.5), rows))
    out = _arrange(X, rows, position[order], facts=False)
    out["packet_time"] = _column(time, offsets, X["packet_time"])
    return out


def pad_packets(X, amount, *, mtu=1500):
    """Pad packets with payload towards the largest size.

    Parameters
    ----------
    X : DataFrame
        Session table.
    amount : float
        Share of the room between size and `mtu` that is filled, 0 to 1; with 1 all packets that
        carry payload have the same size.
    mtu : int, default=1500
        Largest size, bytes, in the table's measure of `packet_size`.

    Returns
    -------
    DataFrame
        Same rows; sizes, payload sizes and `total_bytes` grow. Packets without payload stay as
        they are; where the table does not say payload sizes, every packet is padded.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import pad_packets
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column([0.0, 1.0, 3.0], [0, 3]),
    ...     "packet_size": list_column([60, 1500, 100], [0, 3]),
    ...     "packet_direction": list_column([1, -1, 1], [0, 3]),
    ... })
    >>> pad_packets(X, 0.5)["packet_size"].iloc[0]
    [780, 1500, 800]
    """
    check_sessions(X, NEEDED)
    _check_share("amount", amount)
    size, offsets = ragged(X["packet_size"])
    more = np.rint(amount * np.maximum(mtu - size, 0)).astype(np.int64)
    out = X.copy()
    if "packet_payload_size" in X.columns:
        payload, own = ragged(X["packet_payload_size"])
        if np.array_equal(own, offsets):
            more[payload == 0] = 0
            out["packet_payload_size"] = _column(payload + more, offsets, X["packet_payload_size"])
    out["packet_size"] = _column(size + more, offsets, X["packet_size"])
    return _facts(out, X)


def delay_packets(X, scale, *, random_state=None):
    """Lengthen every pause by an exponential random time.

    Parameters
    ----------
    X : DataFrame
        Session table.
    scale : float
        Mean of what is added to each inter-arrival time, seconds.
    random_state : int, RandomState instance or None, default=None
        Of the delays.

    Returns
    -------
    DataFrame
        Same rows and order of packets; `duration` grows.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import delay_packets
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column([0.0, 1.0, 3.0], [0, 3]),
    ...     "packet_size": list_column([60, 1500, 90], [0, 3]),
    ...     "packet_direction": list_column([1, -1, 1], [0, 3]),
    ... })
    >>> delay_packets(X, 0.0)["packet_time"].iloc[0]
    [0.0, 1.0, 3.0]
    """
    check_sessions(X, NEEDED)
    if scale < 0:
        raise ValueError(f"scale is {scale}; packets cannot arrive before they are sent.")
    time, offsets = ragged(X["packet_time"])
    rows = offsets_to_rows(offsets)
    added = check_random_state(random_state).exponential(scale, size=len(time))
    added[offsets[:-1][np.diff(offsets) > 0]] = 0.0
    total = np.cumsum(added)
    total -= np.concatenate([[0.0], total])[offsets[:-1]][rows]
    out = X.copy()
    out["packet_time"] = _column(time + total, offsets, X["packet_time"])
    return _facts(out, X)


def _arrange(X, rows, positions, facts=True):
    """Keep packet `positions[i]` of session `rows[i]`, in this order; the observer starts there."""
    out = X.copy()
    for name in PACKET_COLUMNS:
        if name in X.columns:
            out[name] = _take(X, name, rows, positions)
    out = _from_first_sender(out)
    if not facts:
        return out
    time, offsets = ragged(out["packet_time"])
    first = segment_min(time, offsets)
    out["packet_time"] = _column(time - first[offsets_to_rows(offsets)], offsets, X["packet_time"])
    if "start" in X.columns:
        moved = pd.to_datetime(X["start"], utc=True) + pd.to_timedelta(first, unit="s")
        out["start"] = moved.astype(X["start"].dtype)
    return _facts(out, X)


def _take(X, name, rows, positions):
    """Rearrange one list column; lists that are shorter (first bytes) or null keep being so."""
    lists = to_arrow(X[[name]]).column(0).combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    there = positions < lengths[rows]
    take = starts[rows[there]] + positions[there]
    counts = np.bincount(rows[there], minlength=len(lengths))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    mask = lists.is_null() if lists.null_count else None
    new = pa.ListArray.from_arrays(
        pa.array(offsets), lists.flatten().take(pa.array(take)), mask=mask
    )
    return pd.Series(pd.arrays.ArrowExtensionArray(new), index=X.index)


def _from_first_sender(X):
    """Exchange the sides of sessions whose first packet came from the other one."""
    direction, offsets = ragged(X["packet_direction"])
    filled = np.diff(offsets) > 0
    swap = np.zeros(len(X), dtype=bool)
    swap[filled] = direction[offsets[:-1][filled]] < 0
    if not swap.any():
        return X
    sign = np.where(swap, -1, 1)[offsets_to_rows(offsets)].astype(direction.dtype)
    X["packet_direction"] = _column(direction * sign, offsets, X["packet_direction"])
    for a, b in ENDS:
        if a in X.columns and b in X.columns:
            first, second = X[a].copy(), X[b].copy()
            X[a], X[b] = first.where(~swap, second), second.where(~swap, first)
    return X


def _facts(out, X):
    """Recompute the facts from the packets listed."""
    time, offsets = ragged(out["packet_time"])
    size, _ = ragged(out["packet_size"])
    new = {
        "duration": segment_max(time, offsets) - segment_min(time, offsets),
        "packet_count": np.diff(offsets),
        "total_bytes": segment_sum(size.astype(np.int64), offsets),
    }
    for name, values in new.items():
        if name in X.columns:
            out[name] = pd.Series(values, index=X.index).astype(X[name].dtype)
    return out


def _column(values, offsets, like):
    """Make a list column with the value type and the index of another."""
    kind = to_arrow(like.to_frame(like.name)).column(0).type.value_type
    out = list_column(pa.array(values).cast(kind), offsets)
    out.index = like.index
    return out


def _check_share(name, value):
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it is a share between 0 and 1.")
