"""The command that prints table 2 runs on a small session table."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sktraffic.ragged import list_column
from sktraffic.sessions import write_sessions

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "clusterings.py"


def test_prints_the_table(tmp_path, capsys):
    """Two very different kinds of sessions: KMeans finds them, and the classes agree."""
    if not SCRIPT.is_file():
        pytest.skip("the benchmarks are not beside the tests")
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1], 60)
    offsets = 8 * np.arange(121)
    size = np.where(np.repeat(kind, 8) == 1, 1400, 60) + rng.integers(0, 40, 960)
    time = np.tile(np.arange(8.0), 120) * np.repeat(np.where(kind == 1, 0.01, 5.0), 8)
    X = pd.DataFrame(
        {
            "packet_time": list_column(time + rng.uniform(0, 1e-3, 960), offsets),
            "packet_size": list_column(size, offsets),
            "label": np.where(kind == 1, "file", "beacon"),
        }
    )
    write_sessions(X, tmp_path / "sessions.parquet")
    arguments = [str(tmp_path / "sessions.parquet"), "--label-column", "label", "--log"]
    runpy.run_path(str(SCRIPT))["main"](arguments)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("120 sessions, 2 classes; basic features, log(1 + x)")
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in lines if line[:1] == "|"}
    assert rows["KMeans"][0].strip() == "2"
    assert rows["KMeans"][5].strip() == "1.000"
    assert {"DBSCAN", "GMM", "KMeans, log elbow", "DBSCAN, 10 % quantile"} <= set(rows)
