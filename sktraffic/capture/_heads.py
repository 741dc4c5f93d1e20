"""The first packets of sessions, kept until there are enough and written as captures for nDPI."""

import numpy as np
import pyarrow as pa

from sktraffic.packets import NO_TIME, TCP, UDP, binaries

# identifiers of a VLAN tag
LANES = 4096
# two MAC addresses (12), a VLAN tag (4), a type (2)
FRAME_HEADER = 18
HEAD = 16 + FRAME_HEADER  # a record's header too
# magic number of nanoseconds, version 2.4, longest packet, Ethernet
FILE_HEADER = np.array([0xA1B23C4D, 0x00040002, 0, 0, 262144, 1], "<u4").tobytes()


class Heads:
    """First packets of each session, copied; whole heads can be taken out.

    Parameters
    ----------
    n_packets : int
        A session's head is whole when so many were seen, or when it has ended.
    """

    def __init__(self, n_packets):
        self._n_packets = n_packets
        self._columns, self._whole = [], []
        self._frames = []  # bytes of each packet held, from the IP header on
        self._held = 0
        self.size = 0  # bytes of all packets held

    def __len__(self):
        return self._held

    def add(self, packets, session, place):
        """Copy what belongs to heads.

        Parameters
        ----------
        packets : PacketTable
        session : ndarray of shape (n_packets,), int64
        place : ndarray of shape (n_packets,), int64
            Number of each packet in its session, from 0.

        Returns
        -------
        ndarray of int64
            Sessions of which packets were copied; in any order, with repetitions.
        """
        self.end(session[place == self._n_packets - 1])
        rows = np.flatnonzero((place < self._n_packets) & (packets.fragment < 2))
        if not len(rows):
            return rows
        taken = packets.take(rows)
        self._hold(
            {
                "session": session[rows],
                "time": taken.time,
                "size": taken.size,
                "version": taken.version,
                "ends": _ends(taken),
            },
            _packet_bytes(taken),
        )
        return session[rows]

    def _hold(self, columns, frames):
        self._columns.append(columns)
        self._frames.append(frames)
        self._held += len(frames)
        self.size += frames.nbytes - 4 * len(frames)

    def end(self, sessions):
        """Say that sessions have ended."""
        if len(sessions):
            self._whole.append(np.asarray(sessions, np.int64))

    def take(self, everything=False):
        """Remove heads that are whole, or all.

        Returns
        -------
        columns : dict of ndarray of shape (n_packets,)
            `session`, `time`, `size` and `version`; `ends`, shape (n_packets, 6), is equal in
            packets that nfstream takes for the same flow.
        frames : pyarrow.BinaryArray of length n_packets
            From the IP header on.
        """
        columns = {
            name: np.concatenate([part[name] for part in self._columns])
            for name in (self._columns[0] if self._columns else ())
        }
        frames = pa.concat_arrays(self._frames) if self._frames else pa.array([], pa.binary())
        whole = np.concatenate(self._whole) if self._whole else np.zeros(0, np.int64)
        self._columns, self._frames, self._whole, self._held, self.size = [], [], [], 0, 0
        if everything or not columns:
            return columns, frames
        gone = np.isin(columns["session"], whole)
        if not gone.all():
            self._hold({name: v[~gone] for name, v in columns.items()}, frames.filter(~gone))
        return {name: values[gone] for name, values in columns.items()}, frames.filter(gone)


def _packet_bytes(packets):
    """Copy each packet's captured bytes, its empty length field (offload) filled in."""
    data, at = packets.data, packets.at
    four = packets.version == 4
    field = at + np.where(four, 2, 4)  # place of the length field in the IP header
    empty = ((data[field] | data[field + 1]) == 0) & (packets.size <= 0xFFFF)
    if empty.any():
        data = data.copy()
        length = packets.size[empty] - np.where(four[empty], 0, 40)
        data[field[empty]], data[field[empty] + 1] = length >> 8, length & 0xFF
    return binaries(data, at, packets.stop)


def _ends(packets):
    """Return what makes packets one flow for nfstream, shape (n_packets, 6).

    Both directions have the same; ports count for TCP and UDP only.
    """
    with_ports = (packets.protocol == TCP) | (packets.protocol == UDP)
    ports = [
        np.where(with_ports & (port > 0), port, 0).astype(np.uint64)
        for port in (packets.src_port, packets.dst_port)
    ]
    kind = packets.protocol.astype(np.uint64) << np.uint64(8) | packets.version
    here = np.column_stack([packets.src, ports[0] | kind << np.uint64(16)])
    there = np.column_stack([packets.dst, ports[1] | kind << np.uint64(16)])
    turned = np.zeros(len(packets), bool)
    for column in (2, 1, 0):
        a, b = here[:, column], there[:, column]
        turned = np.where(a == b, turned, a > b)
    turned = turned[:, None]
    return np.hstack([np.where(turned, there, here), np.where(turned, here, there)])


def lanes(ends):
    """Tell sessions apart that nfstream would take for one flow.

    Parameters
    ----------
    ends : ndarray of shape (n_sessions, 6), uint64

    Returns
    -------
    ndarray of shape (n_sessions,), int64
        0 for the first session with these ends, 1 for the next.
    """
    _, flow = np.unique(ends, axis=0, return_inverse=True)
    order = np.argsort(flow.ravel(), kind="stable")
    flow = flow.ravel()[order]
    first = np.flatnonzero(np.diff(flow, prepend=-1))
    lane = np.empty(len(flow), np.int64)
    lane[order] = np.arange(len(flow)) - np.repeat(first, np.diff(first, append=len(flow)))
    return lane


def frame_heads(number, lane, columns, captured):
    """Return what stands before each packet in a capture: its record's header and Ethernet's.

    Parameters
    ----------
    number, lane : ndarray of shape (n_packets,), int64
        What both MAC addresses and the VLAN tag say.
    columns : dict
        As :meth:`Heads.take` returns it.
    captured : ndarray of shape (n_packets,), int64
        Bytes of each packet.

    Returns
    -------
    ndarray of shape (n_packets, HEAD), uint8
    """
    n = len(captured)
    time = np.where(columns["time"] == NO_TIME, 0, columns["time"])
    seconds, fraction = np.divmod(np.clip(time, 0, 2**32 * 10**9 - 1), 10**9)
    captured = captured + FRAME_HEADER
    wire = np.maximum(captured, columns["size"] + FRAME_HEADER)
    record = np.column_stack([seconds, fraction, captured, wire]).astype("<u4")
    address = number.astype(">u8").view(np.uint8).reshape(n, 8)[:, 2:]
    kind = np.where(columns["version"] == 4, 0x0800, 0x86DD)
    tag = np.column_stack([np.full(n, 0x8100), lane, kind]).astype(">u2")
    return np.hstack([record.view(np.uint8), address, address, tag.view(np.uint8)])
