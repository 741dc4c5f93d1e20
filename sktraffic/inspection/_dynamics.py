"""How sessions go on: entropy rate, autocorrelation and burstiness, without a loop over them."""

import numpy as np

from sktraffic.ragged import (
    offsets_to_rows,
    safe_divide,
    segment_entropy,
    segment_mean,
    segment_std,
    segment_sum,
)


def entropy_rate(states, offsets, groups, n_groups):
    """Entropy of a packet's state given the state before it, per group of sessions.

    H(S_i | S_{i-1}) = H(S_{i-1}, S_i) - H(S_{i-1}), each from the relative frequencies of all
    transitions inside the sessions of a group (plug-in estimate). Few transitions make it too
    small: N of them cannot show more than log2 N bits.

    Parameters
    ----------
    states : ndarray of shape (n_packets,), int
        Not negative.
    offsets : ndarray of shape (n_sessions + 1,)
    groups : ndarray of shape (n_sessions,), int
        Group of each session, from 0 on.
    n_groups : int

    Returns
    -------
    rate : ndarray of shape (n_groups,)
        Bits a packet; nan for a group without transitions.
    n_transitions : ndarray of shape (n_groups,)
    """
    rows = offsets_to_rows(offsets)
    inside = rows[1:] == rows[:-1]
    before, after = states[:-1][inside], states[1:][inside]
    group = groups[rows[1:][inside]]
    order = np.argsort(group, kind="stable")
    before, after = before[order], after[order]
    counts = np.bincount(group, minlength=n_groups)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    # numbered without gaps, as a code of pairs of raw states could overflow
    _, before = np.unique(before, return_inverse=True)
    _, after = np.unique(after, return_inverse=True)
    pairs = before * (after.max(initial=0) + 1) + after
    _, pairs = np.unique(pairs, return_inverse=True)
    rate = segment_entropy(pairs, bounds) - segment_entropy(before, bounds)
    return np.where(counts > 0, np.maximum(rate, 0.0), np.nan), counts


def autocorrelation(values, offsets, max_lag):
    """Autocorrelation of each session's values, at lags 0 to `max_lag`.

    r_l = sum_i (x_i - m)(x_{i+l} - m) / sum_i (x_i - m)^2, with the session's mean m: the usual
    estimate, which fades out as fewer and fewer pairs are a lag apart.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
    offsets : ndarray of shape (n_sessions + 1,)
    max_lag : int

    Returns
    -------
    ndarray of shape (n_sessions, max_lag + 1)
        nan for sessions whose values do not vary.
    """
    rows = offsets_to_rows(offsets)
    mean = segment_mean(values, offsets)
    centred = values - mean[rows]
    power = segment_sum(centred**2, offsets)
    # Equal values leave rounding errors of the mean behind, which must not correlate.
    varies = power > 1e-18 * segment_sum(values**2, offsets)
    out = np.full((len(offsets) - 1, max_lag + 1), np.nan)
    for lag in range(max_lag + 1):
        n = len(values) - lag
        same = rows[:n] == rows[lag:] if n > 0 else np.zeros(0, dtype=bool)
        products = centred[: max(n, 0)] * centred[lag:]
        sums = np.bincount(rows[: max(n, 0)][same], products[same], minlength=len(power))
        out[varies, lag] = sums[varies] / power[varies]
    return out


def autocorrelation_peak(correlation):
    """Return the largest local maximum at lag 2 or later, and its lag.

    A slow decay from lag 0 on says that neighbours are alike, not that anything returns; only
    what rises again after a fall is a period. Sessions that do not vary (nan) repeat at lag 1
    perfectly: peak 1.

    Parameters
    ----------
    correlation : ndarray of shape (n_sessions, max_lag + 1)

    Returns
    -------
    peak : ndarray of shape (n_sessions,)
        0 where nothing rises above 0.
    lag : ndarray of shape (n_sessions,), int
        0 where there is no peak.
    """
    constant = np.isnan(correlation[:, 0])
    inner = np.nan_to_num(correlation)
    rises = inner[:, 2:] > inner[:, 1:-1]
    falls = np.append(inner[:, 2:-1] >= inner[:, 3:], np.ones((len(inner), 1), bool), axis=1)
    peaks = np.where(rises & falls, inner[:, 2:], 0.0)
    peaks = np.maximum(peaks, 0.0)
    at = peaks.argmax(axis=1)
    peak = peaks[np.arange(len(peaks)), at]
    lag = np.where(peak > 0, at + 2, 0)
    return np.where(constant, 1.0, peak), np.where(constant, 1, lag)


def burstiness(values, offsets):
    """Burstiness of the intervals of each session, free of the bias of short ones.

    Goh and Barabasi's (s - m) / (s + m), of mean m and standard deviation s, cannot reach 1 with
    few intervals; Kim and Jo (2016), Physical Review E 94, 032311, correct it:
    (sqrt(n + 1) r - sqrt(n - 1)) / ((sqrt(n + 1) - 2) r + sqrt(n - 1)), r = s / m.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Intervals, s.
    offsets : ndarray of shape (n_sessions + 1,)

    Returns
    -------
    ndarray of shape (n_sessions,)
        -1 for equal intervals, 0 for a Poisson process, 1 for one long silence; nan for fewer
        than two intervals, or none above 0.
    """
    n = np.diff(offsets)
    mean = segment_mean(values, offsets)
    # the formula is stated for the standard deviation with n in the denominator
    std = segment_std(values, offsets) * np.sqrt(safe_divide(n - 1, n).clip(0))
    ratio = safe_divide(std, mean)
    low, high = np.sqrt(np.maximum(n - 1, 0)), np.sqrt(n + 1)
    out = safe_divide(high * ratio - low, (high - 2) * ratio + low)
    return np.where((n >= 2) & (mean > 0), out, np.nan)
