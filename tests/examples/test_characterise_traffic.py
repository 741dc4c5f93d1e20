"""The example that characterises traffic runs from top to bottom."""

import runpy
import time
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")
EXAMPLE = Path(__file__).parents[2] / "examples" / "plot_characterise_traffic.py"


def test_example_runs(monkeypatch, capsys):
    """It draws its six figures, prints both tables, and takes less than 30 s of CPU time."""
    import matplotlib.pyplot as plt

    if not EXAMPLE.is_file():
        pytest.skip("the examples are not beside the tests")
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.close("all")  # those of other tests
    begin = time.process_time()
    found = runpy.run_path(str(EXAMPLE))
    assert time.process_time() - begin < 30
    assert len(plt.get_fignums()) == 6
    plt.close("all")
    printed = capsys.readouterr().out
    assert "silhouette_all_rows" in printed
    assert "entropy_rate" in printed
    assert list(found["profile"].index) == sorted(set(found["y"]))
    assert found["kmeans"].n_clusters_ >= 2
