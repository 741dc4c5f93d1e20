"""Arithmetic over lists of unequal length: list columns, flat values with offsets, segments.

A list column (one list a session) becomes flat values of all sessions and the offsets that divide
them; every function here takes those and loops over neither sessions nor packets.
"""

from sktraffic.ragged._bursts import burst_bounds, burst_sums
from sktraffic.ragged._entropy import IAT_RANGE, bin_codes, iat_edges, segment_entropy, size_edges
from sktraffic.ragged._lists import (
    check_same_packets,
    column_array,
    first_of_lists,
    flat_list,
    list_column,
    offsets_to_rows,
    pad_first,
    ragged,
    ragged_words,
)
from sktraffic.ragged._segments import (
    ragged_diff,
    ragged_select,
    safe_divide,
    segment_max,
    segment_mean,
    segment_min,
    segment_quantiles,
    segment_std,
    segment_sum,
)

__all__ = [
    "IAT_RANGE",
    "bin_codes",
    "burst_bounds",
    "burst_sums",
    "check_same_packets",
    "column_array",
    "first_of_lists",
    "flat_list",
    "iat_edges",
    "list_column",
    "offsets_to_rows",
    "pad_first",
    "ragged",
    "ragged_diff",
    "ragged_select",
    "ragged_words",
    "safe_divide",
    "segment_entropy",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_quantiles",
    "segment_std",
    "segment_sum",
    "size_edges",
]
