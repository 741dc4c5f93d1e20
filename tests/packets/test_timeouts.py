"""Where timeouts cut: values by hand, and the sessions of nfstream on random packets."""

import os
import struct

import numpy as np
import pytest

from sktraffic.packets import PacketTable, SessionTracker, read_packets
from tests.packets.test_sessions import table_of


@pytest.mark.parametrize(
    ("time", "idle", "active", "expected"),
    [
        ([0, 5, 14.999], 10, 1800, [0, 0, 0]),
        ([0, 5, 15], 10, 1800, [0, 0, 1]),
        ([0, 5, 10, 15, 20], 100, 15, [0, 0, 0, 1, 1]),
        ([0, 5, 10, 14.9999, 20], 100, 15, [0, 0, 0, 0, 1]),
        ([5, 0, 14.5, 15.2], 10, 1800, [0, 0, 0, 0]),
        ([0, 5, 10, 15, 20, 25, 30], 100, 10, [0, 0, 1, 1, 2, 2, 3]),
        ([0.0009, 5.0009, 15.0001], 10, 1800, [0, 0, 1]),
        ([0, 1e6, 2e6], np.inf, np.inf, [0, 0, 0]),
        ([], 10, 10, []),
    ],
)
def test_boundaries_by_hand(time, idle, active, expected):
    """A packet exactly at a timeout is in the next session; milliseconds are cut off."""
    tracker = SessionTracker(idle_timeout=idle, active_timeout=active)
    assert tracker.add(table_of(time, 1, 2)).session.tolist() == expected


def test_many_cuts_are_numbered_in_order():
    """A hundred thousand packets of one key, cut ten thousand times."""
    tracker = SessionTracker(active_timeout=1)
    found = tracker.add(table_of(np.arange(100_000) * 0.1, 1, 2)).session
    np.testing.assert_array_equal(found, np.arange(100_000) // 10)


def udp_capture(path, packets):
    """Write UDP packets (time, source, source port) as a pcap file."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for time, source, port in packets:
            ports = struct.pack(">HHHH", port, 7000, 8, 0)
            head = struct.pack(">BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0)
            ip = head + bytes([10, 0, 0, source]) + bytes([10, 0, 0, 99]) + ports
            frame = bytes(12) + b"\x08\x00" + ip
            micros = round((1_000 + time) * 1e6)
            file.write(struct.pack("<IIII", *divmod(micros, 10**6), len(frame), len(frame)))
            file.write(frame)


def test_sessions_are_nfstreams(tmp_path, rng):
    """Random UDP packets, some out of order, are cut into the sessions that nfstream finds."""
    nfstream = pytest.importorskip("nfstream")
    time = np.round(np.cumsum(rng.exponential(0.8, 400)) + rng.normal(0, 0.3, 400), 6) + 5
    source, port = rng.integers(1, 3, 400), rng.integers(5000, 5003, 400)
    path = tmp_path / "t.pcap"
    udp_capture(path, list(zip(time, source, port, strict=True)))
    streamer = nfstream.NFStreamer(
        str(path), idle_timeout=6, active_timeout=25, n_dissections=0, n_meters=1
    )
    affinity = os.sched_getaffinity(0)
    expected = sorted(
        (f.bidirectional_first_seen_ms, f.bidirectional_last_seen_ms, f.bidirectional_packets)
        for f in streamer
    )
    os.sched_setaffinity(0, affinity)  # nfstream changes it
    table = PacketTable.concatenate(read_packets(path))
    sessions = SessionTracker(idle_timeout=6, active_timeout=25).add(table)
    clock, ids = sessions.time // 1_000_000, sessions.session
    found = [(clock[ids == i].min(), clock[ids == i].max(), (ids == i).sum()) for i in set(ids)]
    assert len(expected) > 50
    assert sorted(found) == expected
