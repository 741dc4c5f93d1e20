"""TCP streams of a batch: positions, what is new in a segment, and messages that span segments.

A stream is one direction of a session. Sequence numbers become 64-bit positions by adding up the
signed 32-bit differences between a stream's consecutive packets (RFC 9293, section 3.4), so a
wrap-around is nothing special. A SYN begins a new run of positions.
"""

from dataclasses import dataclass, replace

import numpy as np

__all__ = [
    "CUT",
    "INSIDE",
    "NEVER",
    "OPEN",
    "Segments",
    "SessionStates",
    "follow_records",
    "sort_streams",
    "track",
]

# At most 2**15 packets are handled at once, so positions within a batch stay below 2**46 and
# (run, position) fits one int64.
MAX_PACKETS = 1 << 15
_SPAN = 1 << 47
_FAR = (1 << 46) - 1
NEVER = -(1 << 62)
#: End of a record that says no length; a segment that closes it sets the end.
OPEN = 1 << 62

#: Labels of `follow_records` for a segment in which no record ends, or that no record covers.
INSIDE, CUT = -1, -2


class SessionStates:
    """What is remembered of open sessions, in arrays with a row a session.

    `forget` frees rows; freed rows are used again.
    """

    # name: (columns, type, value of a new session)
    _FIELDS = {
        "speaks": (1, np.int16, 0),
        "secure": (1, np.bool_, False),
        "seen": (2, np.bool_, False),
        "seq": (2, np.int64, 0),
        "position": (2, np.int64, 0),
        "high": (2, np.int64, NEVER),
        "record_end": (2, np.int64, NEVER),
        "record_code": (2, np.int16, 0),
        "tail": (2, "V4", b""),
        "sealed": (2, np.bool_, False),
        "ssrc": (2, np.int64, -1),
    }

    def __init__(self):
        self._rows = {}
        self._free = []
        self._size = 0
        for name, (columns, dtype, _) in self._FIELDS.items():
            setattr(self, name, np.zeros((0, columns), dtype=dtype).reshape(-1))

    def __len__(self):
        return len(self._rows)

    def rows(self, sessions):
        """Give each session its row; new sessions get one.

        Parameters
        ----------
        sessions : ndarray of shape (n,), int64
            Without repetition.

        Returns
        -------
        ndarray of shape (n,), int64
        """
        known = self._rows
        rows = np.array([known.get(s, -1) for s in sessions.tolist()], dtype=np.int64)
        new = np.flatnonzero(rows < 0)
        if len(new):
            self._grow(len(new) - len(self._free))
            given = self._free[len(self._free) - len(new) :]
            del self._free[len(self._free) - len(new) :]
            known.update(zip(sessions[new].tolist(), given, strict=True))
            rows[new] = given
            self._reset(rows[new])
        return rows

    def forget(self, sessions):
        """Drop what is known of these sessions; unknown ones are no error."""
        for session in np.asarray(sessions, dtype=np.int64).reshape(-1).tolist():
            row = self._rows.pop(session, None)
            if row is not None:
                self._free.append(row)

    def _grow(self, missing):
        if missing <= 0:
            return
        size = max(2 * self._size, self._size + missing, 64)
        for name, (columns, dtype, _) in self._FIELDS.items():
            grown = np.zeros(size * columns, dtype=dtype)
            old = getattr(self, name)
            grown[: len(old)] = old
            setattr(self, name, grown)
        self._free.extend(range(size - 1, self._size - 1, -1))
        self._size = size

    def _reset(self, rows):
        for name, (columns, _, value) in self._FIELDS.items():
            field = getattr(self, name)
            for column in range(columns):
                field[rows * columns + column] = value


def sort_streams(stream):
    """Order packets by stream, in capture order within each; shape (n,) -> (n,)."""
    keys = stream * MAX_PACKETS + np.arange(len(stream))
    keys.sort()
    return keys & (MAX_PACKETS - 1)


@dataclass(frozen=True)
class Segments:
    """TCP packets sorted by stream and run; every array has shape (n,).

    Attributes
    ----------
    packet : int64
        Which packet of the batch.
    stream : int64
        Row of the stream in the state arrays.
    run : int64
        From 0, rising; a stream has more than one where SYNs occur.
    fresh : bool
        The run began in this batch, so the stream's state does not apply to it.
    start, end : int64
        Positions, relative to the stream's state; `end` counts SYN and FIN.
    high : int64
        End of everything seen before in the run, `NEVER` if nothing was.
    """

    packet: np.ndarray
    stream: np.ndarray
    run: np.ndarray
    fresh: np.ndarray
    start: np.ndarray
    end: np.ndarray
    high: np.ndarray

    def trimmed(self):
        """Begin each with its first new byte, where some were seen before."""
        return replace(self, start=np.maximum(self.start, self.high))

    def __getitem__(self, rows):
        return Segments(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def track(table, packet, stream, states):
    """Place TCP packets in their streams and update the streams' positions.

    Parameters
    ----------
    table : PacketTable
    packet : ndarray of shape (n,)
        TCP packets with a complete header, sorted by stream, in capture order within each.
    stream : ndarray of shape (n,)
    states : SessionStates

    Returns
    -------
    Segments
    base : ndarray of shape (n,), int64
        The state's position that `start` and `end` are relative to.
    """
    seq, flags = table.seq[packet], table.flags[packet]
    length = table.payload_size[packet]
    turns = np.ones(len(packet), dtype=bool)
    turns[1:] = stream[1:] != stream[:-1]
    syn = (flags & 2) != 0
    begins = turns | syn
    run = np.cumsum(begins) - 1
    opening = np.flatnonzero(begins)
    known = states.seen[stream[opening]] & ~syn[opening]
    step = np.zeros(len(packet), dtype=np.int64)
    step[1:] = _signed(seq[1:] - seq[:-1])
    step[opening] = np.where(known, _signed(seq[opening] - states.seq[stream[opening]]), 0)
    start = np.cumsum(step)
    start -= (start[opening] - step[opening])[run]
    base = np.where(known, states.position[stream[opening]], 0)
    high = np.where(known, states.high[stream[opening]], NEVER)
    high = np.where(high == NEVER, NEVER, np.clip(high - base, -_FAR, _FAR))
    extra = syn.astype(np.int64) + (flags & 1)
    end = start + length + extra
    # What begins a run says where the stream stands even if it is empty, but not a RST.
    counts = (length + extra) > 0
    counts[opening] |= (high == NEVER) & ((flags[opening] & 4) == 0)
    before = _high_before(end, counts, run, opening, high)
    segments = Segments(packet, stream, run, ~known[run], start, end, before)
    _remember(segments, counts, turns, seq, base[run], states)
    return segments, base[run]


def _signed(difference):
    """Signed 32-bit difference of sequence numbers."""
    return ((difference + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def _high_before(end, counts, run, opening, high):
    """Exclusive running maximum of `end` within runs, from `high`; `NEVER` while there is none."""
    lowest = -_FAR - 1
    values = np.where(counts, end, lowest) + run * _SPAN
    initial = np.maximum(high, lowest) + np.arange(len(opening)) * _SPAN
    values[opening] = np.maximum(values[opening], initial)
    highest = np.maximum.accumulate(values)
    before = np.empty_like(values)
    before[1:] = highest[:-1]
    before[opening] = initial
    before -= run * _SPAN
    return np.where(before <= lowest, NEVER, before)


def _remember(segments, counts, turns, seq, base, states):
    last = np.flatnonzero(np.append(turns[1:], True))
    stream = segments.stream[last]
    high = np.maximum(segments.high, np.where(counts, segments.end, NEVER))[last]
    high = np.where(high == NEVER, NEVER, high + base[last])
    old = np.where(segments.fresh[last], NEVER, states.high[stream])
    states.high[stream] = np.maximum(high, old)
    states.seq[stream] = seq[last]
    states.position[stream] = base[last] + segments.start[last]
    states.seen[stream] = True
    lost = segments.fresh[last]
    states.record_end[stream[lost]] = NEVER


def follow_records(segments, base, records, closes, states, strict=True):
    """Say which record (a message with a length) ends first in each segment.

    Records are proposed wherever bytes look like the head of one; a proposal is believed when it
    stands at the beginning of a segment or where a believed record ends. Reachability is found by
    pointer doubling, so a chain of n records takes log2(n) vectorised steps.

    Parameters
    ----------
    segments : Segments
        Those with new payload, each beginning with its new bytes, so that both ends rise.
    base : ndarray of shape (n_segments,), int64
    records : tuple of four ndarrays of shape (n_records,)
        Segment in which the head begins, positions of begin and end (`OPEN`: until a segment
        closes it), message code.
    closes : ndarray of shape (n_segments,), bool
        The segment ends whatever open record it continues.
    states : SessionStates
    strict : bool, default=True
        Believe no head inside a believed record. Off for protocols whose lengths cannot be
        trusted (the response to an HTTP HEAD has a length but no body): there a head ends what
        was before it, unsaid.

    Returns
    -------
    ndarray of shape (n_segments,), int16
        The code of the first record that ends in the segment, else `INSIDE` or `CUT`.
    """
    label = np.full(len(segments.run), CUT, dtype=np.int16)
    if not len(label):
        return label
    run, stream = segments.run, segments.stream
    pending = np.where(segments.fresh, NEVER, states.record_end[stream])
    relative = np.where(pending == OPEN, _FAR, np.clip(pending - base, -_FAR, _FAR))
    pending = np.where(pending == NEVER, -_FAR, relative)
    at, begin, end, code = _believed(segments, pending, _close(run, segments.end, records, closes))
    opening = np.flatnonzero(np.append(True, run[1:] != run[:-1]))
    carried = opening[pending[opening] > -_FAR]
    _, _, carried_end, _ = _close(
        run, segments.end, (carried, carried, pending[carried], carried), closes
    )
    # Carried records first: nothing of the run begins before them.
    at = np.append(carried, at)
    begin = np.append(np.full(len(carried), -_FAR), begin)
    end = np.append(carried_end, end)
    code = np.append(states.record_code[stream[carried]], code).astype(np.int16)
    order = np.argsort(run[at] * _SPAN + begin, kind="stable")
    at, begin, end, code = at[order], begin[order], end[order], code[order]
    keys = run * _SPAN + segments.end
    if strict:
        kept = _outermost(run[at] * _SPAN + begin, run[at] * _SPAN + np.minimum(end, _FAR))
        at, begin, end, code = at[kept], begin[kept], end[kept], code[kept]
    else:
        end, code = _cut_short(run[at], begin, end, code)
    _cover(segments, keys, run[at] * _SPAN + begin, at, end, label)
    # The first end in a segment is assigned last and stays.
    backwards = np.argsort(-(run[at] * _SPAN + np.minimum(end, _FAR)), kind="stable")
    at, end, code = at[backwards], end[backwards], code[backwards]
    where = np.searchsorted(keys, run[at] * _SPAN + np.minimum(end, _FAR))
    inside = np.minimum(where, len(keys) - 1)
    hit = (where < len(keys)) & (run[inside] == run[at]) & (end > segments.start[inside])
    hit &= code >= 0
    label[inside[hit]] = code[hit]
    _carry(segments, base, at, end, code, states)
    return label


def _close(run, ends, records, closes):
    """End each open record with the first segment of its run that closes it."""
    at, begin, end, code = records
    is_open = np.flatnonzero(end >= _FAR)
    closing = np.flatnonzero(closes)
    if len(is_open):
        end = np.minimum(end, _FAR)
    if len(is_open) and len(closing):
        first = np.minimum(np.searchsorted(closing, at[is_open]), len(closing) - 1)
        segment = closing[first]
        found = (segment >= at[is_open]) & (run[segment] == run[at[is_open]])
        end[is_open[found]] = ends[segment[found]]
    return at, begin, end, code


def _believed(segments, pending, records):
    at, begin, end, code = records
    if not len(at):
        return records
    keys = segments.run[at] * _SPAN + begin
    keys, first = np.unique(keys, return_index=True)
    at, begin, end, code = at[first], begin[first], end[first], code[first]
    following = segments.run[at] * _SPAN + np.minimum(end, _FAR)
    seed = (begin == segments.start[at]) | (begin == pending[at])
    # chains: records that each begin where the one before them ends
    chained = np.append(False, following[:-1] == keys[1:])
    first = np.flatnonzero(~chained)
    last = np.append(first[1:], len(keys)) - 1
    # the last of a chain may end at a record further on, over false heads in it
    to = np.minimum(np.searchsorted(keys, following[last]), len(keys) - 1)
    goes = keys[to] == following[last]
    jump = np.where(goes, np.searchsorted(first, to, side="right") - 1, -1)
    reached = np.logical_or.reduceat(seed, first)
    alive = np.flatnonzero(goes)
    while len(alive):
        reached[jump[alive][reached[alive]]] = True
        jump[alive] = jump[jump[alive]]
        alive = alive[jump[alive] >= 0]
    # in a chain that is reached, what lies behind the place where it is entered
    seed[to[goes & reached]] = True
    index = np.arange(len(keys))
    entered = np.maximum.accumulate(np.where(seed, index, -1))
    kept = entered >= np.maximum.accumulate(np.where(chained, 0, index))
    return at[kept], begin[kept], end[kept], code[kept]


def _outermost(begin, end):
    """Keep what does not begin inside something kept before it; `begin` rises.

    Each round settles at least one more of the doubtful ones, in practice all of them.
    """
    kept = np.ones(len(begin), dtype=bool)
    while len(begin):
        reach = np.maximum.accumulate(np.where(kept, end, np.iinfo(np.int64).min))
        now = kept.copy()
        now[1:] = begin[1:] >= reach[:-1]
        if np.array_equal(now, kept):
            break
        kept = now
    return kept


def _cut_short(run, begin, end, code):
    """End what is not finished where the next record of the run begins; its code becomes -1."""
    following = np.append(begin[1:], _FAR)
    following[:-1] = np.where(run[1:] == run[:-1], following[:-1], _FAR)
    return np.minimum(end, following), np.where(end > following, -1, code)


def _cover(segments, keys, starts, at, end, label):
    """Mark the segments that lie inside the last record begun before their end."""
    last = np.searchsorted(starts, keys) - 1
    some = last >= 0
    last = np.maximum(last, 0)
    if len(starts):
        same = some & (segments.run[at[last]] == segments.run)
        label[same & (end[last] > segments.start)] = INSIDE


def _carry(segments, base, at, end, code, states):
    """Keep, for each stream, the record that reaches furthest beyond its last segment."""
    run, stream = segments.run, segments.stream
    closing = np.flatnonzero(np.append(stream[1:] != stream[:-1], True))
    states.record_end[stream[closing]] = NEVER
    final = np.zeros(run[-1] + 1, dtype=np.int64) - 1
    final[run[closing]] = closing
    last = final[run[at]]
    keep = np.flatnonzero((last >= 0) & (end >= segments.end[last]))
    # Ends fall along these arrays, so the furthest of a stream comes first; written last it stays.
    keep = keep[::-1]
    to = stream[last[keep]]
    states.record_end[to] = np.where(end[keep] >= _FAR, OPEN, base[last[keep]] + end[keep])
    states.record_code[to] = code[keep]
