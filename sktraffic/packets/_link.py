"""Link layers: where the IP header of a frame begins, for all frames of a block at once.

A frame is a chain of headers, each of which says what the next one is. :func:`walk` takes the
steps of all frames together: those at the same kind of header take one step in a few NumPy calls.
"""

import numpy as np

from sktraffic.packets import _link_steps, _link_types
from sktraffic.packets._bytes import number_at, numbers
from sktraffic.packets._kinds import (
    CUT,
    FOUND,
    KINDS,
    LINK_TYPE,
    LLC,
    NO_INTERFACE,
    NOT_IP,
    UNREAD_LINK,
)

__all__ = ["find_ip", "walk"]

MAX_STEPS = 24
_STEPS = [_link_steps.vlan_tag]
# kind of header -> 1 + place of its function in _STEPS, 0 where there is none
_STEP_OF = np.zeros(KINDS, np.uint8)
for _kind, _step in (_link_steps.STEPS | _link_types.STEPS).items():
    if _step not in _STEPS:
        _STEPS.append(_step)
    _STEP_OF[_kind] = 1 + _STEPS.index(_step)
_STEP_OF[:1501] = _STEP_OF[LLC]  # a length where an EtherType might be
_TAG = 1


def find_ip(data, at, stop, link_type):
    """Find the IP header of each frame.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    at, stop : ndarray of shape (n_frames,), int64
        Frame i was captured as ``data[at[i]:stop[i]]``.
    link_type : ndarray of shape (n_frames,), int64
        LINKTYPE numbers, -1 for unknown ones.

    Returns
    -------
    at : ndarray of shape (n_frames,), int64
        Where the IP header begins.
    vlan : ndarray of shape (n_frames,), int32
        Identifier of the innermost VLAN tag, 0 without one.
    state : ndarray of shape (n_frames,), int8
        `FOUND`, or a key of `CAUSES`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import FOUND, find_ip
    >>> frame = bytes(12) + bytes.fromhex("8100 0005 0800 45") + bytes(19)
    >>> at, vlan, state = find_ip(
    ...     np.frombuffer(frame, np.uint8), np.array([0]), np.array([38]), np.array([1])
    ... )
    >>> at.item(), vlan.item(), state.item() == FOUND
    (18, 5, True)
    """
    n = len(at)
    state, vlan = np.full(n, FOUND, np.int8), np.zeros(n, np.int32)
    if n and (link_type == 1).all() and int(at.max()) + 14 <= len(data):
        kind = numbers(data, "<u2")[at + 12]  # IPv4 and IPv6 as they lie in memory
        plain = ((kind == 0x0008) | (kind == 0xDD86)) & (stop - at >= 34)
        out = at + 14
    else:
        plain, out = np.zeros(n, bool), at.copy()
    odd = np.flatnonzero(~plain)
    if len(odd):
        kind = LINK_TYPE + np.minimum(link_type[odd], 0xFFFF)
        kind[link_type[odd] < 0] = NO_INTERFACE
        out[odd], vlan[odd], state[odd] = walk(data, at[odd], stop[odd], kind)
    return out, vlan, state


def walk(data, at, stop, kind):
    """Follow headers from a place and kind each to an IP header, or to why there is none.

    Parameters
    ----------
    data, at, stop
        As in :func:`find_ip`.
    kind : ndarray of shape (n,), int64
        What begins at `at`: a kind of `_kinds`, or a state already.

    Returns
    -------
    at, vlan, state
        As in :func:`find_ip`.
    """
    at, kind = at.copy(), kind.astype(np.int64)
    vlan = np.zeros(len(at), np.int32)
    rows = np.flatnonzero(kind >= 0)
    for _ in range(MAX_STEPS):
        if not len(rows):
            break
        here = _STEP_OF[kind[rows]]
        for number in np.flatnonzero(np.bincount(here)).tolist():
            same = rows[here == number]
            if number == 0:
                kind[same] = np.where(kind[same] >> 16 == 1, UNREAD_LINK, NOT_IP)
                continue
            begin, end = at[same], stop[same]
            if number == _TAG:
                vlan[same] = number_at(data, begin, end) & 0x0FFF
            kind[same], at[same] = _STEPS[number - 1](data, begin, end)
        # what lies behind the frame's end was never read
        cut = rows[at[rows] > stop[rows]]
        kind[cut] = np.where(kind[cut] == UNREAD_LINK, UNREAD_LINK, CUT)
        rows = rows[kind[rows] >= 0]
    kind[rows] = NOT_IP
    return at, vlan, kind.astype(np.int8)
