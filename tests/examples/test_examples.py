"""Every example runs from top to bottom with small settings, and prints what it is about."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTS = {
    "plot_bert_on_bytes": "pre-trained weights",
    "plot_early_decision": "lose most by deciding early",
    "plot_exports": "sessions; missing:",
    "plot_first_look": "packets",
    "plot_grid_search": "best: {'estimator__clf__gamma'",
    "plot_honest_evaluation": "macro F1, whole captures",
    "plot_live_stream": "The capture is",
    "plot_model_card": "the same predictions: True",
    "plot_own_captures": "captures held out",
    "plot_quick_start": "precision",
    "plot_sparse_classes": "focal + ADASYN: mean F1",
    "plot_unknown_traffic": "rejected_unknown",
}


MARKS = {
    "plot_bert_on_bytes": [pytest.mark.slow, pytest.mark.neural],
    "plot_grid_search": [pytest.mark.neural],
    "plot_sparse_classes": [pytest.mark.neural],
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in PRINTS])
def test_example_runs(name, tmp_path):
    """It ends well, without a warning of ours, and leaves nothing in the current folder."""
    file = EXAMPLES / f"{name}.py"
    if not file.is_file():
        pytest.skip("the examples are not beside the tests")
    settings = {"SKTRAFFIC_EXAMPLE_FAST": "1", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(file)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **settings, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert PRINTS[name] in done.stdout
    assert "CaptureWarning" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_example_is_run():
    """A new example must be put into the table above (one has a test of its own)."""
    if not EXAMPLES.is_dir():
        pytest.skip("the examples are not beside the tests")
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {*PRINTS, "plot_characterise_traffic"}
