"""Time as sessions see it: it does not run backwards, and one wrong time stamp does not stop it."""

import numpy as np

from sktraffic.packets._table import NO_TIME

__all__ = ["Clock"]

#: Seconds by which a time stamp must leave its neighbours to count as wrong, at least.
JUMP = 60
HOUR = 3600 * 10**9  # ns


class Clock:
    """Turn time stamps into times that do not run backwards, as nfstream does.

    The latest time so far stands in for an earlier one. But a single time stamp that is far from
    both its neighbours is wrong and moves nothing: the time before it stands in (for the first
    packet, the one behind it), or the stamp less the whole hours by which it is off, where that
    lies between its neighbours. And a packet far behind the latest time, not alone, keeps its own:
    captures that were put one behind the other, whatever their order.

    Parameters
    ----------
    jump : float, default=60
        Seconds that are "far".

    Attributes
    ----------
    odd : int
        Time stamps that were far from both neighbours.
    first_odd : tuple of (int, float) or None
        Record of the first of them, and by how many seconds it is off.
    lags : bool
        Whether a packet was far behind when `read` was called last.
    steps_back : int
        How often the time stamps went back far, and stayed there.
    first_step : tuple of (int, float) or None
        Record behind the first such step, and how many seconds it goes back.

    Examples
    --------
    >>> import numpy as np
    >>> from sktraffic.packets import Clock
    >>> seconds = np.array([0, 2, 1, 9000, 3])
    >>> (Clock().read(seconds * 10**9, record=np.arange(5)) / 1e9).tolist()
    [0.0, 2.0, 2.0, 2.0, 3.0]
    """

    def __init__(self, jump=JUMP):
        self._jump = np.int64(jump * 10**9)
        self._stamp = None  # the latest time stamp that was not wrong
        self._doubtful = False  # whether it was far from both its neighbours
        self._apart = False  # whether packets without a time stamp came behind it
        self._latest = NO_TIME  # the latest time
        self._behind = False  # whether the last packet was far behind it
        self.lags = False
        self.odd = self.steps_back = 0
        self.first_odd = self.first_step = None

    @property
    def now(self):
        """The latest time, ns; `NO_TIME` before any."""
        return self._latest

    def waits(self, time):
        """Say whether the last time stamp cannot be judged before the next one is there.

        Parameters
        ----------
        time : ndarray of shape (n_packets,), int64
            Time stamps that `read` is to be given.
        """
        if not len(time) or time[-1] == NO_TIME:
            return False
        if len(time) > 1:
            before = None if time[-2] == NO_TIME else int(time[-2])
        else:
            before = None if self._apart else self._stamp
        if before is None:
            return self._stamp is None and (time[:-1] == NO_TIME).all()
        return abs(int(time[-1]) - before) >= self._jump

    def read(self, time, record, following=None):
        """Give the times of the next packets.

        Parameters
        ----------
        time : ndarray of shape (n_packets,), int64
            Time stamps, ns; `NO_TIME` where there is none.
        record : ndarray of shape (n_packets,), int64
        following : int, optional
            The time stamp behind these, if it is known already: the neighbour of the last one.

        Returns
        -------
        ndarray of shape (n_packets,), int64
            `NO_TIME` where a packet has no time stamp.
        """
        known = np.flatnonzero(time != NO_TIME)
        if not len(known):
            self._apart |= len(time) > 0
            return time
        out = np.full(len(time), NO_TIME)
        # time stamps with a packet without one in between are no neighbours
        apart = np.append(known[0] > 0 or self._apart, np.diff(known) > 1)
        self._apart = bool(known[-1] < len(time) - 1)
        out[known] = self._read(time[known], record[known], apart, following)
        return out

    def _read(self, time, record, apart, following):
        time = self._without_odd(time, record, apart, following)
        clock = np.maximum.accumulate(time)
        np.maximum(clock, self._latest, out=clock)
        # far behind, and not alone
        far = clock - time >= self._jump
        self.lags = bool(far.any())
        if self.lags:
            before = np.append(self._stamp if self._stamp is not None else time[0], time[:-1])
            fall = before - time
            # where time stamps get far behind by small steps, it is the latest time they fell from
            slow = far & ~np.append(self._behind, far[:-1]) & (fall < self._jump)
            fall[slow] = (clock - time)[slow]
            steps = np.flatnonzero(fall >= self._jump)
            self.steps_back += len(steps)
            if len(steps) and self.first_step is None:
                self.first_step = (int(record[steps[0]]), fall[steps[0]] / 1e9)
        self._behind = bool(far[-1])
        self._stamp, self._latest = int(time[-1]), clock[-1]
        return np.where(far, time, clock) if self.lags else clock

    def _without_odd(self, time, record, apart, following):
        """Put the time before it in the place of each time stamp that is far from both sides."""
        first = self._stamp is None
        around = np.concatenate([
            time[:1] if first else [self._stamp],
            time,
            time[-1:] if following is None or self._apart else [following],
        ])  # fmt: skip
        step = np.diff(around)  # step[i] leads to time stamp i
        step[:-1][apart] = 0
        jump = np.abs(step) >= self._jump
        doubtful, self._doubtful = self._doubtful, False
        if not jump.any():
            return time
        odd = jump[:-1] & jump[1:] & ((step[:-1] > 0) != (step[1:] > 0))
        if first:
            odd[0] = step[1] <= -self._jump
        self._doubtful = bool(odd[-1])
        # of two odd ones side by side the first is wrong, and makes the second's step a right one
        odd &= ~np.append(doubtful, odd[:-1])
        rows = np.flatnonzero(odd)
        if not len(rows):
            return time
        before = around[rows]
        if first and odd[0]:
            before[0] = around[2]
        self.odd += len(rows)
        if self.first_odd is None:
            self.first_odd = (int(record[rows[0]]), (time[rows[0]] - before[0]) / 1e9)
        # a clock of another time zone is right but for whole hours
        after = time[np.minimum(rows + 1, len(time) - 1)]
        hours = np.round((time[rows] - after) / HOUR).astype(np.int64)
        moved = time[rows] - hours * HOUR
        early = np.where(before == after, after - self._jump, before)
        zone = (hours != 0) & (early <= moved) & (moved <= after)
        time = time.copy()
        time[rows] = np.where(zone, moved, before)
        return time
