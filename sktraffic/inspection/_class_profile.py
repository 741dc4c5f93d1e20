"""What sets classes of sessions apart, as a table of numbers and words."""

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length

from sktraffic.inspection._dynamics import (
    autocorrelation,
    autocorrelation_peak,
    burstiness,
    entropy_rate,
)
from sktraffic.ragged import (
    bin_codes,
    check_same_packets,
    offsets_to_rows,
    ragged,
    ragged_diff,
    ragged_select,
    ragged_words,
    safe_divide,
    size_edges,
)
from sktraffic.sessions import check_sessions

# Packet times are decimal fractions stored in binary; their differences carry noise of the last
# digit, which must not make equal intervals differ.
IAT_DECIMALS = 9
# A message sets a class apart if so much larger a share of its sessions has it.
LEAST_DIFFERENCE = 0.05


def encode_classes(y, n_rows):
    """Classes and the number of each row's class."""
    y = np.asarray(y)
    check_consistent_length(y, np.empty(n_rows))
    return np.unique(y, return_inverse=True)


def message_shares(codes, n_words, offsets, groups, n_groups):
    """Share of each group's sessions that have a message at least once.

    Parameters
    ----------
    codes : ndarray of shape (n_packets,), int
        Message of each packet, -1 for none.
    n_words : int
    offsets : ndarray of shape (n_sessions + 1,)
    groups : ndarray of shape (n_sessions,), int
    n_groups : int

    Returns
    -------
    inside, outside : ndarray of shape (n_groups, n_words)
        Of the group's own sessions, and of all others.
    """
    rows = offsets_to_rows(offsets)
    there = codes >= 0
    cells = np.unique(rows[there] * n_words + codes[there])
    group, word = groups[cells // max(n_words, 1)], cells % max(n_words, 1)
    counts = np.bincount(group * n_words + word, minlength=n_groups * n_words)
    counts = counts.reshape(n_groups, n_words)
    sessions = np.bincount(groups, minlength=n_groups)[:, None]
    inside = safe_divide(counts, sessions)
    outside = safe_divide(counts.sum(axis=0) - counts, sessions.sum() - sessions)
    return inside, outside


def distinguishing_messages(X, y, *, n_messages=3):
    """List the protocol messages that are commoner in a class than elsewhere.

    Parameters
    ----------
    X : DataFrame of shape (n_sessions, n_columns)
        Session table with `packet_message`.
    y : array-like of shape (n_sessions,)
        Classes.
    n_messages : int or None, default=3
        At most so many a class; None for all.

    Returns
    -------
    DataFrame
        With the columns `class`, `message`, `share` (of the class's sessions that have the
        message), `share_elsewhere` (of all other sessions) and `difference`. The difference is
        Youden's J of the rule "has the message, so is of the class"; messages with less than
        0.05 are left out. Class by class, the largest difference first.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.inspection import distinguishing_messages
    >>> from sktraffic.ragged import list_column
    >>> X = pd.DataFrame({"packet_message": list_column(
    ...     ["DNS: Query", "DNS: Response", "TLS: Client Hello", "DNS: Query"], [0, 2, 3, 4])})
    >>> distinguishing_messages(X, ["name", "web", "name"], n_messages=1)
      class            message  share  share_elsewhere  difference
    0  name         DNS: Query    1.0              0.0         1.0
    1   web  TLS: Client Hello    1.0              0.0         1.0
    """
    check_sessions(X, ("packet_message",))
    classes, groups = encode_classes(y, len(X))
    codes, words, offsets = ragged_words(X["packet_message"])
    inside, outside = message_shares(codes, len(words), offsets, groups, len(classes))
    difference = inside - outside
    order = np.argsort(-difference, axis=1, kind="stable")[:, :n_messages]
    k = np.repeat(np.arange(len(classes)), order.shape[1])
    table = pd.DataFrame(
        {
            "class": classes[k],
            "message": words[order.ravel()],
            "share": inside[k, order.ravel()],
            "share_elsewhere": outside[k, order.ravel()],
            "difference": difference[k, order.ravel()],
        }
    )
    return table[table["difference"] >= LEAST_DIFFERENCE].reset_index(drop=True)


def session_rhythm(time, offsets, min_packets, max_lag):
    """Autocorrelation peak, its lag and burstiness of the IATs of sessions long enough.

    Returns
    -------
    rows : ndarray of shape (n_long,), int
        Sessions with at least `min_packets` packets.
    peak, lag, burst : ndarray of shape (n_long,)
    """
    long = np.diff(offsets) >= min_packets
    keep = np.repeat(long, np.diff(offsets))
    bounds = ragged_select(keep, offsets)
    bounds = np.append(bounds[:-1][long], bounds[-1])
    iat, bounds = ragged_diff(time[keep], bounds)
    iat = np.round(iat, IAT_DECIMALS)
    peak, lag = autocorrelation_peak(autocorrelation(iat, bounds, max_lag))
    return np.flatnonzero(long), peak, lag, burstiness(iat, bounds)


def in_words(row):
    """Put a row of the profile into words; the thresholds are those of `class_profile`."""
    words = []
    if row["full_size_share"] >= 0.4:
        words.append("bulk transfer: full-size packets dominate")
    elif row["full_size_share"] < 0.05:
        words.append("small packets")
    if row["entropy_rate"] < 1.0:
        words.append("the next packet is predictable")
    elif row["entropy_rate"] > 2.5:
        words.append("the next packet is hard to predict")
    if row["burstiness"] < -0.3:
        words.append("steady rhythm")
    elif row["burstiness"] > 0.3:
        words.append("bursts and silences")
    if row["iat_autocorrelation"] >= 0.4:
        words.append(f"a pattern that returns every {row['iat_period']:.0f} packets")
    return "; ".join(words) or "nothing stands out"


def _medians(values, groups, n_groups):
    found = pd.Series(values, dtype=np.float64).groupby(groups).median()
    return found.reindex(np.arange(n_groups)).to_numpy()


def _message_words(X, y, classes, n_messages):
    table = distinguishing_messages(X, y, n_messages=n_messages)
    said = [
        f"{message} ({100 * share:.0f} % against {100 * other:.0f} %)"
        for message, share, other in zip(
            table["message"], table["share"], table["share_elsewhere"], strict=True
        )
    ]
    joined = pd.Series(said, dtype=object).groupby(table["class"].to_numpy()).agg("; ".join)
    return joined.reindex(classes, fill_value="").to_numpy()


def class_profile(X, y, *, full_size=1400, size_bins=64, min_packets=10, max_lag=32, n_messages=3):
    """Describe every class of sessions by how its traffic goes on.

    Section 2.4 of Qi et al. (2025) [1]_ tells kinds of traffic apart by entropy, periodicity and
    the share of full packets; this computes it.

    Parameters
    ----------
    X : DataFrame of shape (n_sessions, n_columns)
        Session table with `packet_time` and `packet_size`; `packet_direction` and
        `packet_message` are used where they are there.
    y : array-like of shape (n_sessions,)
        Classes, or clusters.
    full_size : int, default=1400
        A packet of at least so many bytes is full-size. The largest IP packet on Ethernet has
        1500 bytes, tunnels and radio links a little less.
    size_bins : int or array-like, default=64
        Bins of the packet size, bytes: the width of equal ones or their edges. With the direction
        they are the states of the entropy rate.
    min_packets : int, default=10
        Sessions with fewer packets say nothing of rhythm and are left out of it.
    max_lag : int, default=32
        Longest period looked for, packets.
    n_messages : int, default=3
        Messages named a class.

    Returns
    -------
    DataFrame
        One row a class, with the columns

        - `sessions`, `packets`: how many;
        - `entropy_rate` (bits a packet): entropy of a packet's size bin and direction, given
          those of the packet before it in its session, over all transitions of the class. Low is
          predictable. With N transitions it cannot exceed log2 N, so it is too small for a class
          of few packets;
        - `iat_autocorrelation`: median over sessions of the largest local maximum of the
          autocorrelation of inter-arrival times from lag 2 on; 1 for constant intervals. White
          noise of n intervals reaches about 2 / sqrt(n);
        - `iat_period` (packets): median lag of that maximum, 1 for constant intervals;
        - `burstiness`: median over sessions of (s - m) / (s + m), with mean m and standard
          deviation s of the inter-arrival times, corrected for short sessions: -1 clockwork, 0 as
          random as a Poisson process, towards 1 bursts and silences;
        - `rhythm_sessions`: sessions long enough for the last three, nan where there is none;
        - `full_size_share`: share of all packets of the class that are full-size;
        - `messages`, where known: messages commoner here than elsewhere, with both shares, see
          :func:`distinguishing_messages`;
        - `words`: the numbers in words. At least 0.4 full-size packets is a bulk transfer, less
          than 0.05 small packets; an entropy rate below 1 bit predictable, above 2.5 hard to
          predict; burstiness below -0.3 steady, above 0.3 bursts; an autocorrelation of at least
          0.4 a pattern that returns.

    References
    ----------
    .. [1] Qi et al. (2025), section 2.4, doi:10.62177/apemr.v2i5.632.
    .. [2] Kim and Jo (2016), "Measuring burstiness for finite event sequences",
       Physical Review E 94, 032311.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sktraffic.inspection import class_profile
    >>> from sktraffic.ragged import list_column
    >>> offsets = np.array([0, 50, 100])
    >>> X = pd.DataFrame({
    ...     "packet_time": list_column(np.tile(0.02 * np.arange(50), 2), offsets),
    ...     "packet_size": list_column(np.repeat([200, 1500], 50), offsets),
    ... })
    >>> profile = class_profile(X, ["voice", "file"])
    >>> profile[["burstiness", "full_size_share"]]
           burstiness  full_size_share
    file         -1.0              1.0
    voice        -1.0              0.0
    """
    check_sessions(X, ("packet_time", "packet_size"))
    classes, groups = encode_classes(y, len(X))
    n = len(classes)
    time, offsets = ragged(X["packet_time"])
    size, own = ragged(X["packet_size"])
    check_same_packets("packet_size", own, "packet_time", offsets)
    states = _states(X, size, offsets, size_bins)
    packet_groups = groups[offsets_to_rows(offsets)]
    packets = np.bincount(packet_groups, minlength=n)
    full = np.bincount(packet_groups, size >= full_size, minlength=n)
    rows, peak, lag, burst = session_rhythm(time, offsets, min_packets, max_lag)
    profile = pd.DataFrame(
        {
            "sessions": np.bincount(groups, minlength=n),
            "packets": packets,
            "entropy_rate": entropy_rate(states, offsets, groups, n)[0],
            "iat_autocorrelation": _medians(peak, groups[rows], n),
            "iat_period": _medians(np.where(lag > 0, lag, np.nan), groups[rows], n),
            "burstiness": _medians(burst, groups[rows], n),
            "rhythm_sessions": np.bincount(groups[rows], minlength=n),
            "full_size_share": safe_divide(full, packets),
        },
        index=classes,
    )
    if "packet_message" in X.columns and (ragged_words(X["packet_message"])[0] >= 0).any():
        profile["messages"] = _message_words(X, y, classes, n_messages)
    profile["words"] = profile.apply(in_words, axis=1)
    return profile


def _states(X, size, offsets, size_bins):
    """Size bin and direction of each packet as one number."""
    states = bin_codes(size, size_edges(size_bins))
    if "packet_direction" not in X.columns or X["packet_direction"].isna().any():
        return states
    direction, own = ragged(X["packet_direction"])
    check_same_packets("packet_direction", own, "packet_time", offsets)
    return 2 * states + (direction > 0)
