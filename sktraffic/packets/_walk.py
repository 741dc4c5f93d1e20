"""Where records begin: a chain in which each record says how far it is to the next."""

import struct
from dataclasses import dataclass

import numpy as np

from sktraffic.packets._bytes import numbers

__all__ = ["Chain", "record_starts"]

# below so many bytes the records are walked one by one: the lanes would cost more than they save
SMALL = 1 << 16
# bytes from which the size of records is guessed
PROBE = 1 << 13
# records that a lane should have, on average, and how many times more before it is given up
LANE = 48
GIVE_UP = 4
# bytes in which a lane looks for a record
SEARCH = 2048


@dataclass(frozen=True)
class Chain:
    """How records follow each other.

    Attributes
    ----------
    head : int
        Bytes of a record that must be there to know its length.
    length_at : int
        Place of the 32-bit length in it.
    extra : int
        Bytes of a record that its length does not count.
    least, most, multiple : int
        Lengths that make sense.
    order : str
        Byte order, "<" or ">".
    mark, mark_at : int
        A byte that stands in (almost) every record, and where.
    small, fixed : tuple
        Places of 32-bit numbers below 2**18, and places and values of others: what tells a
        record among the places that the mark shows.
    """

    head: int
    length_at: int
    extra: int
    least: int
    most: int
    multiple: int
    order: str
    mark: int
    mark_at: int
    small: tuple
    fixed: tuple = ()


def record_starts(data, position, end, chain):
    """Find the whole records of a stretch of a file.

    Parameters
    ----------
    data : ndarray of uint8
        With padding behind `end`.
    position, end : int
        Where a record begins, and where the stretch ends.
    chain : Chain

    Returns
    -------
    starts : ndarray of shape (n_records,), int64
    behind : int
        Where the first record begins that is not whole.
    claimed : int or None
        Its length where that makes no sense.

    Notes
    -----
    Long stretches are cut into lanes which are walked at once, a record of each at a time. Each
    lane begins where `mark` is found, which may be wrong: what counts is that the walk of the
    lane before arrives just there. A lane for which it does not is walked anew, from the place of
    arrival, so the result is that of the plain walk in any case.
    """
    if end - position < SMALL:
        starts = _plain_walk(data, position, end, end, chain)
    else:
        starts = _walk_lanes(data, position, end, chain)
    return _whole_records(data, starts, end, chain)


def _plain_walk(data, position, bound, end, chain):
    """Places of records from `position` on, the last one at or behind `bound` (or illegal)."""
    length_of = struct.Struct(f"{chain.order}{chain.length_at}xI").unpack_from
    extra, most = chain.extra, chain.most
    bound = min(bound, end - chain.head + 1)
    found = [position]
    while position < bound:
        length = length_of(data, position)[0]
        if length > most or length < chain.least:
            break
        position += length + extra
        found.append(position)
    return np.array(found)


def _walk_lanes(data, position, end, chain):
    probe = _plain_walk(data, position, position + PROBE, end, chain)
    spacing = max(LANE * (int(probe[-1]) - position) // max(len(probe) - 1, 1), 1024)
    edges = position + spacing * np.arange(max((end - position) // spacing, 1))
    starts = _lane_starts(data, edges, end, chain)
    bounds = np.append(starts[1:], end)
    places = _walk_together(data, starts, bounds, end, chain)  # (n_steps + 1, n_lanes)
    inside = places[:-1] < bounds
    counts = inside.sum(axis=0)
    # each lane's first place at or behind its bound, or where its walk was given up
    arrivals = places[counts, np.arange(len(starts))]
    if (arrivals[:-1] == starts[1:]).all() and arrivals[-1] >= end:
        return np.append(places[:-1].T[inside.T], arrivals[-1])
    lanes = [places[:count, lane] for lane, count in enumerate(counts)]
    return _mend(data, position, lanes, arrivals, bounds, end, chain)


def _lane_starts(data, edges, end, chain):
    """Find a likely record at or behind each edge; the first edge is one for certain."""
    if len(edges) < 2:
        return edges
    spacing = int(edges[1] - edges[0])
    width = min(spacing, SEARCH)
    # what stands where a record's mark would, row by row behind each edge; (n_lanes, width)
    marks = np.ndarray((len(edges), width), np.uint8, data, int(edges[0]) + chain.mark_at,
                       (spacing, 1))  # fmt: skip
    lane, place = np.divmod(np.flatnonzero(marks == chain.mark), width)
    place += edges[lane]
    words = numbers(data, f"{chain.order}u4")
    sound = np.ones(len(place), bool)
    for at in chain.small:
        sound &= words[place + at] < 1 << 18
    for at, value in chain.fixed:
        sound &= words[place + at] == value
    lane, place = lane[sound], place[sound]
    first = np.flatnonzero(np.diff(lane, prepend=-1))
    starts = np.zeros(len(edges), np.int64)
    starts[lane[first]] = place[first]
    starts[0] = edges[0]
    # where none is found the lane before goes on: this one is empty
    return np.minimum(np.maximum.accumulate(starts), end)


def _walk_together(data, starts, bounds, end, chain):
    """Walk all lanes until each is at or behind its bound; places of shape (n_steps + 1, n_lanes).

    What is behind the end stays there. A length that makes no sense leads anywhere: the caller
    cuts the chain at it. Lanes with far more records than the others are given up.
    """
    lengths = numbers(data, f"{chain.order}u4")[chain.length_at :]
    places = np.empty((GIVE_UP * LANE + 1, len(starts)), np.int64)
    places[0] = starts
    for step in range(1, len(places)):
        here, there = places[step - 1], places[step]
        np.add(here, lengths[here], out=there)
        there += chain.extra
        np.minimum(there, end, out=there)
        if step % 8 == 0 and (there >= bounds).all():
            return places[: step + 1]
    return places


def _mend(data, position, lanes, arrivals, bounds, end, chain):
    """Join lanes; what lies before a lane that began at the wrong place is walked anew."""
    parts = []
    for lane, arrival, bound in zip(lanes, arrivals.tolist(), bounds.tolist(), strict=True):
        if len(lane) and lane[0] == position:
            parts.append(lane)
            position = arrival
        if position < bound:
            walked = _plain_walk(data, position, bound, end, chain)
            parts.append(walked[:-1])
            position = int(walked[-1])
            if position < bound:  # at the end, or where a length makes no sense
                break
    return np.concatenate([*parts, [position]])


def _whole_records(data, starts, end, chain):
    """Cut a chain of places at the first record that is not whole or claims a senseless length."""
    known = starts[starts + chain.head <= end]
    length = numbers(data, f"{chain.order}u4")[known + chain.length_at].astype(np.int64)
    sound = (length >= chain.least) & (length <= chain.most) & (length % chain.multiple == 0)
    whole = sound & (known + length + chain.extra <= end)
    n = len(known) if whole.all() else int(np.argmin(whole))
    claimed = None if n == len(known) or sound[n] else int(length[n])
    return known[:n], int(starts[n]), claimed
