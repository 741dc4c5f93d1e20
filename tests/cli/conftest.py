"""A folder of a few labelled captures, and a model trained on it by the command line."""

import inspect
import shutil
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from sktraffic.cli import app
from sktraffic.datasets import lab_captures

# before click 8.2 the two outputs are one unless asked otherwise, and help ends with 0
OLD_CLICK = "mix_stderr" in inspect.signature(CliRunner).parameters


def run(*arguments):
    """Run the command line in this process."""
    runner = CliRunner(mix_stderr=False) if OLD_CLICK else CliRunner()
    return runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """Make captures of two classes in folders, and a model trained on them."""
    root = tmp_path_factory.mktemp("cli")
    taken = {"chat": [], "vpn_voip": []}
    for path, label in zip(*lab_captures(), strict=True):
        if label in taken and len(taken[label]) < 4:
            taken[label].append(path)
    for label, paths in taken.items():
        for i, path in enumerate(paths):
            target = root / ("seen" if i < 3 else "unseen") / label
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    result = run("train", root / "seen", "-o", root / "model.skt", "--json")
    assert result.exit_code == 0, result.output
    return SimpleNamespace(
        seen=root / "seen", unseen=root / "unseen", model=root / "model.skt", trained=result
    )


@pytest.fixture
def cli():
    """Return the function that runs the command line."""
    return run


@pytest.fixture
def code_of_help():
    """Return the exit code of the command line without a command, typer's own."""
    return 0 if OLD_CLICK else 2
