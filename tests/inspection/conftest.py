"""What the tests of displays share: no window, and a synthetic session table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sktraffic.ragged import list_column
from sktraffic.sessions import from_arrow, to_arrow


@pytest.fixture(autouse=True)
def headless():
    """Draw without a screen and close every figure."""
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture
def make_traffic():
    """Return a function that makes sessions of classes that differ in size, not in address."""

    def make(n_captures=12, per_capture=12, seed=0, classes=3, shift=120):
        rng = np.random.default_rng(seed)
        n = n_captures * per_capture
        label = np.repeat(np.arange(n_captures) % classes, per_capture)
        lengths = rng.integers(4, 16, n)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.repeat(np.arange(n), lengths)
        gaps = rng.exponential(0.02, offsets[-1])
        time = np.cumsum(gaps)
        time -= time[offsets[:-1]][rows]
        size = np.clip(rng.normal(300 + shift * label[rows], 80), 40, 1500).astype(int)
        direction = np.where(rng.random(len(rows)) < 0.5, 1, -1)
        direction[offsets[:-1]] = 1
        payload = np.where(rng.random(len(rows)) < 0.2, 0, size - 40)
        table = pd.DataFrame(
            {
                "capture": np.repeat([f"c{i}" for i in range(n_captures)], per_capture),
                "session": np.tile(np.arange(per_capture), n_captures),
                "start": pd.Timestamp("2026-01-01", tz="UTC")
                + pd.to_timedelta(rng.uniform(0, 9e5, n), unit="s"),
                "src_ip": [f"10.0.0.{i}" for i in rng.integers(0, 9, n)],
                "dst_ip": [f"192.0.2.{i}" for i in rng.integers(0, 9, n)],
                "src_port": rng.integers(1024, 65000, n),
                "dst_port": rng.choice([80, 443], n),
                "protocol": 6,
                "duration": 0.0,
                "packet_count": lengths,
                "total_bytes": np.add.reduceat(size, offsets[:-1]),
            }
        )
        table["duration"] = time[offsets[1:] - 1]
        table["packet_time"] = list_column(time, offsets)
        table["packet_size"] = list_column(size, offsets)
        table["packet_direction"] = list_column(direction, offsets)
        table["packet_payload_size"] = list_column(payload, offsets)
        words = np.array(["TLS: Client Hello", "TCP: ACK", "DNS: Query"])[
            rng.integers(0, 3, len(rows))
        ]
        table["packet_message"] = list_column(words.tolist(), offsets)
        heads = [b"x" * int(i % 7) for i in range(2 * n)]
        table["packet_bytes"] = list_column(heads, np.arange(0, 2 * n + 1, 2))
        return from_arrow(to_arrow(table)), np.array(["chat", "mail", "voip"])[label]

    return make
