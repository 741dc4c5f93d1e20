"""The times of an export's packets."""

import numpy as np
import pandas as pd
import pyarrow as pa

from sktraffic.wireshark._cells import refuse_rows

__all__ = ["packet_times"]

EPOCH_FROM = 10**17  # ns; a number of seconds after 1973 is a date, not a time since the start


def packet_times(table, path):
    """Find the times of packets.

    Parameters
    ----------
    table : DataFrame of str
        With one or more of the columns "epoch", "time" and "delta".
    path : Path
        For the error.

    Returns
    -------
    times : ndarray of shape (n_packets,), int64
        Nanoseconds, since 1970 if `absolute`.
    absolute : bool
    note : str
        What was done about times that are not what they seem, or "".
    """
    cells = table["time"]
    if "epoch" in table:
        cells = table["epoch"].where(table["epoch"] != "", cells)
    elif (cells == "").all() and "delta" in table:
        return np.cumsum(_times_ns(table["delta"], path)[0]), False, ""
    times, absolute = _times_ns(cells, path)
    if absolute or "epoch" in table or not _looks_like_steps(times):
        return times, absolute or "epoch" in table, ""
    note = (
        "the times are those since the packet before (they begin at 0 and keep falling back) and "
        "were added up; export 'Seconds Since First Captured Packet' to be sure"
    )
    return np.cumsum(times), False, note


def _looks_like_steps(times):
    """Say whether times are those between packets: they fall below half of their highest often."""
    if len(times) < 3 or times[0] != 0 or times.min() < 0:
        return False
    return bool((times < np.maximum.accumulate(times) / 2).mean() >= 0.1)


def _times_ns(column, path):
    """Parse times.

    Parameters
    ----------
    column : Series of str
        Seconds since the first packet, seconds since 1970, a time of day, or a date and time
        (UTC where it says no zone). Seconds may have a decimal comma.
    path : Path
        For the error.

    Returns
    -------
    times : ndarray of shape (n_packets,), int64
        Nanoseconds, since 1970 if `absolute`.
    absolute : bool
    """
    if column.str.fullmatch(r"-?\d+,\d+").mean() > 0.5:
        column = column.str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().mean() > 0.5:
        refuse_rows(numbers.isna() | ~np.isfinite(numbers), column, path, "Time is no number")
        times = _seconds_to_ns(column, numbers)
        return times, bool(np.median(times) >= EPOCH_FROM)
    if column.str.match(r"^\d{1,3}:\d{2}:\d{2}").mean() > 0.5:
        parsed = pd.to_timedelta(column, errors="coerce")
        refuse_rows(parsed.isna(), column, path, "Time is no time of day")
        return parsed.to_numpy().astype("timedelta64[ns]").astype(np.int64), False
    parsed = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    if parsed.isna().any():
        parsed = pd.to_datetime(column, errors="coerce", utc=True, format="mixed")
    refuse_rows(parsed.isna(), column, path, "Time is neither seconds nor a date")
    return pd.DatetimeIndex(parsed).as_unit("ns").asi8.copy(), True


def _seconds_to_ns(column, numbers):
    """Nanoseconds of decimal texts, exact where they have at most nine decimals."""
    try:
        exact = pa.array(column.astype(object), pa.string()).cast(pa.decimal128(28, 9))
        # stored as 128-bit whole numbers of the last decimal: every other word is the lower half
        words = np.frombuffer(exact.buffers()[1], np.int64)
        return words[2 * exact.offset :][: 2 * len(exact) : 2].copy()
    except pa.ArrowInvalid:  # more decimals, or 1e-05
        return np.rint(numbers.to_numpy(dtype=np.float64) * 1e9).astype(np.int64)
