"""64-bit fingerprints of sessions: of their identity and of their packets."""

import numpy as np
import pandas as pd

from sktraffic.ragged import ragged, segment_sum
from sktraffic.sessions import PACKET_COLUMNS

__all__ = [
    "FIVE_TUPLE",
    "content_keys",
    "first_packet_keys",
    "five_tuple_keys",
    "number_keys",
    "row_keys",
    "session_keys",
    "value_keys",
]

FIVE_TUPLE = ("src_ip", "dst_ip", "src_port", "dst_port", "protocol")
CONTENT = ("packet_size", "packet_direction", "packet_payload_size", "packet_flags")
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def five_tuple_keys(X):
    """Fingerprint of the five-tuple, the same for both directions.

    Parameters
    ----------
    X : DataFrame with the columns `FIVE_TUPLE`

    Returns
    -------
    keys : ndarray of shape (n_sessions,), uint64
    known : ndarray of shape (n_sessions,), bool
        False where an address is missing.
    """
    known = X["src_ip"].notna().to_numpy() & X["dst_ip"].notna().to_numpy()
    ends = [_mix(_hash(X[f"{side}_ip"]), _hash(X[f"{side}_port"])) for side in ("src", "dst")]
    low, high = np.minimum(*ends), np.maximum(*ends)
    return _mix(_mix(low, high), _hash(X["protocol"])), known


def session_keys(X):
    """Fingerprint of five-tuple and start: one recorded session, whatever file it is in."""
    keys, known = five_tuple_keys(X)
    return _mix(keys, _hash(X["start"])), known & X["start"].notna().to_numpy()


def number_keys(X):
    """Fingerprint of capture and running number."""
    known = X["capture"].notna().to_numpy() & X["session"].notna().to_numpy()
    return _mix(_hash(X["capture"]), _hash(X["session"])), known


def content_keys(X):
    """Fingerprint of a session's packets: sizes, directions, payloads, flags, times to 1 us.

    Returns
    -------
    keys : ndarray of shape (n_sessions,), uint64
    known : ndarray of shape (n_sessions,), bool
        False for sessions of fewer than two packets: those look alike by nature.
    """
    lists = [(name, *ragged(X[name])) for name in CONTENT if name in X.columns]
    if "packet_time" in X.columns:
        time, offsets = ragged(X["packet_time"])
        lists.append(("packet_time", np.rint(time * 1e6), offsets))
    keys = np.zeros(len(X), dtype=np.uint64)
    for _, values, offsets in lists:
        keys = _mix(keys, _hash_lists(values, offsets))
    packets = max((np.diff(offsets) for *_, offsets in lists), key=np.sum)
    return keys, packets >= 2


def first_packet_keys(X, n_packets):
    """Fingerprint of the sizes and directions of the first packets, and of how many there are.

    Returns
    -------
    ndarray of shape (n_sessions,), uint64
    """
    keys = np.zeros(len(X), dtype=np.uint64)
    for name in ("packet_size", "packet_direction"):
        values, offsets = ragged(X[name])
        # (n_packets,) bool: which of all packets are among their session's first
        place = np.arange(len(values)) - np.repeat(offsets[:-1], np.diff(offsets))
        counts = np.minimum(np.diff(offsets), n_packets)
        cut = np.concatenate([[0], np.cumsum(counts)])
        keys = _mix(keys, _hash_lists(np.asarray(values)[place < n_packets], cut))
    return keys


def value_keys(X, columns):
    """Fingerprint of the values of some columns, in their order; a missing value is a value.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_columns)
        Numbers, times, strings; no lists.
    columns : iterable of str
        Those that count.

    Returns
    -------
    ndarray of shape (n_samples,), uint64
        Equal for rows that are equal there.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.model_selection import value_keys
    >>> keys = value_keys(pd.DataFrame({"sni": ["a.example", "b.example", "a.example"]}), ["sni"])
    >>> keys == keys[0]
    array([ True, False,  True])
    """
    keys = np.zeros(len(X), dtype=np.uint64)
    for name in columns:
        keys = _mix(keys, _hash(X[name]))
    return keys


def row_keys(X):
    """Fingerprint of whole rows of a feature table."""
    if isinstance(X, pd.DataFrame):
        scalars = [name for name in X.columns if name not in PACKET_COLUMNS]
    else:
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        X = pd.DataFrame(X.reshape(len(X), -1))
        scalars = X.columns
    return value_keys(X, scalars), np.ones(len(X), dtype=bool)


def _hash(series):
    """Fingerprint of values, alike for whatever pandas type holds them; missing is a value."""
    kind = getattr(series.dtype, "kind", "O")
    if kind == "M":
        stamps = pd.to_datetime(series, utc=True).to_numpy(dtype="datetime64[ns]")
        return pd.util.hash_array(stamps.view(np.int64))
    if kind in "iuf":
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.util.hash_array(numbers + 0.0)  # -0.0 and 0.0 are one number
    codes, words = pd.factorize(np.asarray(series, dtype=object))
    hashed = pd.util.hash_array(np.array([*map(str, words), ""], dtype=object), categorize=False)
    return hashed[codes]


def _mix(a, b):
    """Combine two fingerprints so that their order matters; arithmetic wraps at 64 bits."""
    mixed = (a ^ (b + GOLDEN + (a << np.uint64(6)) + (a >> np.uint64(2)))) * GOLDEN
    return mixed ^ (mixed >> np.uint64(29))


def _hash_lists(values, offsets):
    """One fingerprint a list; a value counts with its place in the list."""
    place = np.arange(len(values), dtype=np.uint64)
    place -= np.repeat(offsets[:-1], np.diff(offsets)).astype(np.uint64)
    hashed = pd.util.hash_array(np.asarray(values, dtype=np.float64))
    sums = segment_sum(_mix(hashed, place), offsets).astype(np.uint64)
    return _mix(sums, np.diff(offsets).astype(np.uint64))
