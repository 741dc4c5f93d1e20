"""Test sessions whose packets were in training, to the byte."""

import numpy as np

from sktraffic.model_selection._fingerprints import first_packet_keys
from sktraffic.sessions import check_sessions

__all__ = ["has_twin"]


def has_twin(X_train, X_test, *, n_packets=30):
    """Say which test sessions have an equal sequence of packets among the training sessions.

    Programs repeat themselves: a start-up, a keep-alive or a scan gives the same sizes in the same
    directions day after day. A model need not understand such sessions, only remember them, and on
    sets where most test sessions have a twin a nearest neighbour is as good as a network. That is
    no leak (the captures are others), but a score should be given with and without them; see
    :func:`sktraffic.metrics.twin_scores`.

    Parameters
    ----------
    X_train, X_test : DataFrame
        Session tables with `packet_size` and `packet_direction`.
    n_packets : int, default=30
        First packets that are compared: sizes, directions, and the number of packets up to there.
        Times are not; they never repeat.

    Returns
    -------
    ndarray of shape (n_test_sessions,), bool

    Raises
    ------
    ValueError
        If `n_packets` is below 1, or a table lacks a column.

    See Also
    --------
    check_split : Finds sessions that *are* the same, times included: a leak.

    References
    ----------
    Towards understanding of nearest neighbours on packet sequences: arXiv 2506.08655.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.model_selection import has_twin
    >>> from sktraffic.ragged import list_column
    >>> def table(sizes, offsets):
    ...     columns = {"packet_size": sizes, "packet_direction": [1] * len(sizes)}
    ...     return pd.DataFrame({name: list_column(v, offsets) for name, v in columns.items()})
    >>> train = table([60, 1500, 60], [0, 2, 3])
    >>> test = table([60, 1500, 61, 60, 60], [0, 2, 3, 5])
    >>> has_twin(train, test).tolist()
    [True, False, False]
    """
    if n_packets < 1:
        raise ValueError(f"n_packets is {n_packets}; at least 1 packet must be compared.")
    for X in (X_train, X_test):
        check_sessions(X, ("packet_size", "packet_direction"))
    test, train = (first_packet_keys(X, n_packets) for X in (X_test, X_train))
    return np.isin(test, train, kind="sort")  # NumPy 2.0's table of small ranges overflows
