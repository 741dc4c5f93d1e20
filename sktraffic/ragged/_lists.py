"""List columns of a session table as flat values and offsets, and back."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "check_same_packets",
    "column_array",
    "first_of_lists",
    "flat_list",
    "list_column",
    "offsets_to_rows",
    "pad_first",
    "ragged",
    "ragged_words",
]


def ragged(column):
    """Split a list column into flat values and offsets.

    Parameters
    ----------
    column : Series
        A list column of a session table.

    Returns
    -------
    values : ndarray of shape (n_packets,)
        Session after session. For `packet_bytes` use :func:`flat_list`.
    offsets : ndarray of shape (n_sessions + 1,), int64
        Session i holds ``values[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> from sktraffic.ragged import list_column, ragged
    >>> import numpy as np
    >>> ragged(list_column(np.array([5, 6, 7]), np.array([0, 2, 2, 3])))
    (array([5, 6, 7]), array([0, 2, 2, 3]))
    """
    flat, offsets = flat_list(column)
    return flat.to_numpy(zero_copy_only=False), offsets


def ragged_words(column):
    """Split a list column of words (messages) into codes, words and offsets.

    Parameters
    ----------
    column : Series
        `packet_message`, or another list column of strings.

    Returns
    -------
    codes : ndarray of shape (n_packets,), int64
        Index into `words`; -1 where a packet has none.
    words : ndarray of str
    offsets : ndarray of shape (n_sessions + 1,), int64

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.ragged import ragged_words
    >>> column = pd.Series([["DNS: Query A"], ["DNS: Query A", "NTP: Client"]])
    >>> codes, words, offsets = ragged_words(column)
    >>> codes, list(words), offsets
    (array([0, 0, 1]), ['DNS: Query A', 'NTP: Client'], array([0, 1, 3]))
    """
    flat, offsets = flat_list(column)
    if not pa.types.is_dictionary(flat.type):
        flat = flat.cast(pa.string()).dictionary_encode()
    codes = pc.fill_null(flat.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return codes, np.asarray(flat.dictionary.to_pylist(), dtype=object), offsets


def list_column(values, offsets, type=None):
    """Make a list column from flat values and offsets; the inverse of :func:`ragged`.

    Parameters
    ----------
    values : array-like or pyarrow.Array of shape (n_packets,)
    offsets : array-like of shape (n_sessions + 1,)
    type : pyarrow.DataType, optional
        Of one value.

    Returns
    -------
    Series of length n_sessions

    Examples
    --------
    >>> from sktraffic.ragged import list_column
    >>> [list(each) for each in list_column([5, 6, 7], [0, 2, 2, 3])]
    [[5, 6], [], [7]]
    """
    if not isinstance(values, pa.Array):
        values = pa.array(values, type=type)
    elif type is not None:
        values = values.cast(type)
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    return pd.Series(pd.arrays.ArrowExtensionArray(lists))


def offsets_to_rows(offsets):
    """Say for every flat value which session it belongs to; shape (n_packets,).

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import offsets_to_rows
    >>> offsets_to_rows(np.array([0, 2, 2, 3]))
    array([0, 0, 2])
    """
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def pad_first(values, offsets, width):
    """Cut every session after `width` values, or fill it up with zeros.

    Parameters
    ----------
    values : ndarray of shape (n_packets,)
    offsets : ndarray of shape (n_sessions + 1,)
    width : int

    Returns
    -------
    ndarray of shape (n_sessions, width)

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.ragged import pad_first
    >>> pad_first(np.array([1, 2, 3, 4]), np.array([0, 3, 4]), 2)
    array([[1, 2],
           [4, 0]])
    """
    counts = np.minimum(np.diff(offsets), width)
    there = np.arange(width) < counts[:, None]
    out = np.zeros(there.shape, dtype=values.dtype)
    out[there] = values[(offsets[:-1, None] + np.arange(width))[there]]
    return out


def flat_list(column):
    """Split a list column into its flat values as one Arrow array, and offsets.

    Parameters
    ----------
    column : Series
        A list column of a session table, `packet_bytes` say; a missing list is an empty one.

    Returns
    -------
    values : pyarrow.Array of shape (n_packets,)
    offsets : ndarray of shape (n_sessions + 1,), int64

    Examples
    --------
    >>> from sktraffic.ragged import flat_list, list_column
    >>> values, offsets = flat_list(list_column([b"GET", b"HTTP", b"OK"], [0, 2, 3]))
    >>> values.to_pylist(), offsets
    ([b'GET', b'HTTP', b'OK'], array([0, 2, 3]))
    """
    lists = column_array(column)
    if _holds_words(lists.type):
        lists = lists.unify_dictionaries()
    lists = lists.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.chunk(0) if lists.num_chunks else pa.array([], lists.type)
    if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)):
        raise TypeError(f"Column {column.name!r} holds {lists.type}, not one list a session.")
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return lists.flatten(), offsets


def first_of_lists(column, n):
    """Cut each list of a list column after its first `n` values; a Series of the same index.

    Examples
    --------
    >>> from sktraffic.ragged import first_of_lists, list_column
    >>> [list(each) for each in first_of_lists(list_column([5, 6, 7], [0, 2, 3]), 1)]
    [[5], [7]]
    """
    flat, offsets = flat_list(column)
    kept = np.minimum(np.diff(offsets), n)
    new = np.concatenate([[0], np.cumsum(kept)])
    # position in `flat` of every value that stays, list after list
    rows = np.arange(new[-1]) + np.repeat(offsets[:-1] - new[:-1], kept)
    out = list_column(flat.take(pa.array(rows)), new)
    out.index = column.index
    return out


def column_array(series):
    """Return the Arrow data of a column, without a copy where it is Arrow-backed.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.ragged import column_array
    >>> column_array(pd.Series([80, 443])).to_pylist()
    [80, 443]
    """
    if isinstance(series.dtype, pd.ArrowDtype):
        return pa.chunked_array(series.array._pa_array)
    return pa.chunked_array([pa.array(series, from_pandas=True)])


def _holds_words(kind):
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return lists and pa.types.is_dictionary(kind.value_type)


def check_same_packets(name, own, reference, offsets, where=True):
    """Raise unless two list columns have as many values a session.

    Parameters
    ----------
    name, reference : str
        The columns: the one that is checked, and the one that it is checked against.
    own, offsets : ndarray of shape (n_sessions + 1,)
        Offsets of the two, as :func:`ragged` gives them.
    where : bool or ndarray of shape (n_sessions,), default=True
        Sessions that are looked at.

    Raises
    ------
    ValueError
        That names the first session where they differ.

    Examples
    --------
    >>> from sktraffic.ragged import check_same_packets
    >>> check_same_packets("packet_size", [0, 2, 3], "packet_time", [0, 2, 3])
    """
    wrong = np.flatnonzero((np.diff(own) != np.diff(offsets)) & where)
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"Row {row} of the session table has {np.diff(own)[row]} values in {name} but "
            f"{np.diff(offsets)[row]} in {reference}; they must have one a packet. "
            "first_packets(X, n) cuts all columns alike."
        )
