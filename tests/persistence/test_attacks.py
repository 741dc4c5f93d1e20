"""Known attacks on `load`, `read_provenance`, `sktraffic inspect`: nothing runs or is written."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktraffic.persistence import save
from tests.persistence import attacks

NAMES = sorted(
    found.name for found in pkgutil.iter_modules(attacks.__path__) if not found.name.startswith("_")
)
# how each file is tried, in a process that notes what it does: calls of the system, sockets, files
# opened for writing, and imports of what stands beside the file
TRY = """
import json, resource, sys, time
from pathlib import Path
from sktraffic.persistence import ModelFileError, load, read_provenance
from sktraffic.cli import app
from typer.testing import CliRunner
import skops.io, sktraffic.persistence._trust, sklearn.pipeline, sklearn.ensemble
try:  # a library, whose size depends on its build, is not what a file claims
    import sktraffic.neural_network
except ImportError:
    pass

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

seen, watching = [], False

def watch(event, args):
    if not watching:
        return
    if event.split(".")[0] in ("subprocess", "socket", "ctypes") or event in (
        "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "os.rename", "os.symlink",
    ):
        seen.append(event)
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append(f"open {args[0]} {args[1]}")
    if event == "import" and "evil" in str(args[0]):
        seen.append(f"import {args[0]}")

sys.addaudithook(watch)
sys.path.insert(0, sys.argv[1])
out = {"memory": -peak()}
for path in sorted(Path(sys.argv[1]).glob("*.skt")):
    answers, began = [], time.process_time()
    watching = True
    for how in (load, read_provenance, lambda p: CliRunner().invoke(app, ["inspect", str(p)])):
        try:
            answers.append(type(how(path)).__name__)
        except ModelFileError as error:
            answers.append("refused" if str(path) in str(error) else f"unnamed: {error}")
        except BaseException as error:
            answers.append(f"{type(error).__name__}: {error}")
    watching = False
    out[path.stem] = [answers, list(seen), time.process_time() - began]
    seen.clear()
out["memory"] += peak()
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Write all files, and try them in one process; the canary's folder and the notes."""
    folder = tmp_path_factory.mktemp("attacks")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), np.array(["web", "vpn"] * 30)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(X, y)
    save(model, folder / "a_sound_model.skt", X=X, y=y)
    with zipfile.ZipFile(folder / "a_sound_model.skt") as archive:
        sound = {name: archive.read(name) for name in archive.namelist()}
    for name in NAMES:
        module = importlib.import_module(f"{attacks.__name__}.{name}")
        module.attack(folder / f"{name}.skt", sound, folder / "canary")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", TRY, str(folder)],  # else byte code would be seen as writing
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix != ".pyc"}
    return folder, json.loads(done.stdout), before, after


def test_the_sound_model_is_read(tried):
    """The three ways work on a file that is no attack."""
    answers, seen, _ = tried[1]["a_sound_model"]
    assert answers == ["Pipeline", "dict", "Result"] and seen == []


@pytest.mark.parametrize("name", NAMES)
def test_the_attack_does_nothing(tried, name):
    """`load` refuses the file by name, and no way to read it calls, writes or imports anything."""
    folder, notes, _, _ = tried
    (loaded, told, inspected), seen, seconds = notes[name]
    assert loaded == "refused"
    assert told in ("refused", "dict") and inspected == "Result"
    assert seen == []
    assert seconds < 20
    assert not (folder / "canary").exists() and not (folder.parent / "canary").exists()


def test_nothing_is_written_and_memory_is_bounded(tried):
    """The folder is as it was, and what bombs claim was never allocated."""
    _, notes, before, after = tried
    assert before == after
    assert notes["memory"] < 100, "MiB beyond the libraries"


def test_each_says_what_it_would_have_done():
    """A script's first line names the attack and its victim elsewhere."""
    for name in NAMES:
        words = importlib.import_module(f"{attacks.__name__}.{name}").__doc__
        assert len(words.split()) > 6, name
    assert len(NAMES) >= 25 and Path(attacks.__path__[0]).is_dir()
