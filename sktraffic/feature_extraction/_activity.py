"""Parts of sessions: stretches of activity and the silences between them, and bulks."""

from dataclasses import dataclass

import numpy as np

from sktraffic.ragged import offsets_to_rows, ragged_diff, ragged_select

__all__ = ["BULK_PACKETS", "Bulks", "active_and_idle", "find_bulks"]

BULK_PACKETS = 4  # packets with payload that make a bulk


def active_and_idle(time, offsets, idle_after):
    """Divide sessions at their long silences.

    Parameters
    ----------
    time : ndarray of shape (n_packets,)
    offsets : ndarray of shape (n_sessions + 1,)
    idle_after : float
        A longer gap between two packets is a silence; unit of `time`.

    Returns
    -------
    active, idle : tuple of ndarray
        Lengths of the stretches, and of the silences between them, each with offsets by session of
        shape (n_sessions + 1,). A session with packets has a stretch more than it has silences.
    """
    gaps, gap_offsets = ragged_diff(time, offsets)
    idle = gaps > idle_after
    filled = np.diff(offsets) > 0
    # a stretch begins with each session that has packets, and behind each silence
    begins = np.zeros(len(time), dtype=bool)
    begins[offsets[:-1][filled]] = True
    begins[np.flatnonzero(~begins)[idle]] = True
    starts = np.flatnonzero(begins)
    ends = np.append(starts, len(begins))[1:] - 1
    stretches = ragged_select(begins, offsets)
    return (time[ends] - time[starts], stretches), (gaps[idle], ragged_select(idle, gap_offsets))


@dataclass
class Bulks:
    """Bulks of many sessions; every array has shape (n_bulks,).

    A bulk is `BULK_PACKETS` or more packets with payload in one direction; a packet with payload
    the other way, or a pause, ends it, and packets without payload do not count.
    """

    session: np.ndarray
    direction: np.ndarray  # +1 or -1
    packets: np.ndarray
    payload: np.ndarray  # bytes
    duration: np.ndarray  # unit of the packets' time


def find_bulks(time, payload, direction, offsets, pause):
    """Find the bulks of sessions.

    Parameters
    ----------
    time, payload, direction : ndarray of shape (n_packets,)
        `payload` in bytes, `direction` +1 or -1.
    offsets : ndarray of shape (n_sessions + 1,)
    pause : float
        A longer gap ends a bulk; unit of `time`.

    Returns
    -------
    Bulks
    """
    carrying = payload > 0
    session = offsets_to_rows(offsets)[carrying]
    time, payload, direction = time[carrying], payload[carrying], direction[carrying]
    new = np.ones(len(session), dtype=bool)
    new[1:] = (
        (session[1:] != session[:-1]) | (direction[1:] != direction[:-1]) | (np.diff(time) > pause)
    )
    # bounds of the runs, (n_runs + 1,)
    bounds = np.append(np.flatnonzero(new), len(new))
    starts, packets = bounds[:-1], np.diff(bounds)
    bulk = packets >= BULK_PACKETS
    first, last = starts[bulk], bounds[1:][bulk] - 1
    amount = np.add.reduceat(payload, starts)[bulk] if len(starts) else np.empty(0)
    return Bulks(session[first], direction[first], packets[bulk], amount, time[last] - time[first])
