"""The code in the README runs as it is written, on a folder of captures."""

import re
import shutil
from pathlib import Path

import pytest

from sktraffic.datasets import lab_captures

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def blocks():
    """Python blocks of the README."""
    if not README.is_file():
        pytest.skip("the README is not beside the tests")
    return re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Change to a folder with ``captures/`` and ``unknown.pcap`` in it."""
    taken = {"chat": 0, "voip": 0, "email": 0}
    for path, label in zip(*lab_captures(), strict=True):
        if taken.get(label, 5) < 5:
            taken[label] += 1
            (tmp_path / "captures" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "captures" / label)
    # told by its content, not by its name
    shutil.copy(lab_captures()[0][-1], tmp_path / "unknown.pcap")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_captures_in_a_few_lines(blocks, folder):
    """It trains on the folder, classifies, and writes a model file."""
    [code] = [block for block in blocks if "CaptureClassifier" in block]
    found = {}
    exec(compile(code, "README.md", "exec"), found)
    assert (folder / "lab.skt").is_file()
    assert set(found["clf"].classes_) == {"chat", "email", "voip"}


@pytest.mark.neural
@pytest.mark.slow
@pytest.mark.timeout(1800)  # 48 transformers
def test_pipeline_of_the_readme(blocks, folder):
    """The grid search over the transformer ensemble gives a score for each gamma."""
    [code] = [block for block in blocks if "GridSearchCV" in block]
    found = {}
    exec(compile(code, "README.md", "exec"), found)
    scores = found["search"].cv_results_["mean_test_score"]
    assert len(scores) == 3 and (scores > 1 / 3).all()
