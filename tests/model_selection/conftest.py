"""Synthetic session tables for the tests of splits."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sktraffic.ragged import list_column


@pytest.fixture
def make_sessions():
    """Return a function that makes a session table, `per_capture` sessions a capture."""

    def make(captures=("a", "b", "c", "d"), per_capture=10, seed=0, packets=6):
        rng = np.random.default_rng(seed)
        n = len(captures) * per_capture
        lengths = rng.integers(2, packets + 1, n)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        gaps = rng.exponential(0.01, offsets[-1])
        time = np.concatenate([np.cumsum(gaps[a:b]) - gaps[a] for a, b in pairwise(offsets)])
        size = rng.integers(40, 1500, offsets[-1])
        direction = np.where(rng.random(offsets[-1]) < 0.5, 1, -1)
        direction[offsets[:-1]] = 1
        table = pd.DataFrame(
            {
                "capture": np.repeat(list(captures), per_capture),
                "session": np.tile(np.arange(per_capture), len(captures)),
                "start": pd.Timestamp("2026-01-01", tz="UTC")
                + pd.to_timedelta(np.sort(rng.uniform(0, 3600, n)), unit="s"),
                "src_ip": [f"10.{seed}.{i // 250}.{i % 250}" for i in range(n)],
                "dst_ip": "192.0.2.1",
                "src_port": rng.integers(1024, 65000, n),
                "dst_port": 443,
                "protocol": 6,
                "duration": [time[b - 1] for b in offsets[1:]],
                "packet_count": lengths,
                "total_bytes": np.add.reduceat(size, offsets[:-1]),
            }
        )
        table["packet_time"] = list_column(time, offsets)
        table["packet_size"] = list_column(size.astype(np.int32), offsets)
        table["packet_direction"] = list_column(direction.astype(np.int8), offsets)
        return table

    return make
