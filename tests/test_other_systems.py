"""What only POSIX systems have is not needed to read files, save models and show pictures."""

import ast
import contextlib
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import sktraffic
from sktraffic._extras import missing
from sktraffic.datasets import _download, lab_captures

ROOT = Path(sktraffic.__file__).parent
NEURAL = ("nn", "neural_network")
# Other packages see a POSIX system and may use it, so they come first; then modules, and names of
# modules, that Windows does not have are hidden from ours.
HIDE = """
import contextlib, importlib, os, shutil, signal, socket, sys

OTHERS = (
    "distributed imblearn.pipeline joblib matplotlib.pyplot nfstream openpyxl pandas pooch psutil "
    "pyarrow.parquet requests rich.console scipy.stats skops.card skops.io skorch torch "
    "transformers typer"
)
for name in OTHERS.split():
    with contextlib.suppress(ImportError):
        importlib.import_module(name)

ABSENT = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in ABSENT & set(sys.modules):
    del sys.modules[name]
sys.meta_path.insert(0, Hidden())
for module, names in {
    os: ["fork", "forkpty", "getuid", "geteuid", "mkfifo", "O_NONBLOCK", "sched_getaffinity",
         "sched_setaffinity", "uname", "killpg"],
    signal: ["SIGALRM", "SIGUSR1", "SIGHUP", "alarm", "setitimer"],
    socket: ["AF_PACKET", "AF_UNIX"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
os.supports_dir_fd = set()
importlib.reload(shutil)  # it chooses at import how it removes folders
"""


def run(code, *arguments, cwd=None):
    """Run code in a process that hides what is POSIX only."""
    done = subprocess.run(
        [sys.executable, "-c", HIDE + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent), "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules():
    """Names of all modules of the package, without the networks where torch is missing."""
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        if parts[-1] != "__main__" and not (parts[1] in NEURAL and missing("neural")):
            yield ".".join(parts).removesuffix(".__init__")


def test_every_module_can_be_imported():
    """No module needs, at import, what only POSIX systems have."""
    names = list(modules())
    out = run(
        f"import importlib\nfor name in {names!r}: importlib.import_module(name)\nprint('all')"
    )
    assert len(names) > 100 and out.strip() == "all"


WORK = """
import shutil
from pathlib import Path
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sktraffic.capture import SessionExtractor
from sktraffic.feature_extraction import SessionStatistics
from sktraffic.inspection import FeatureDistributionDisplay
from sktraffic.persistence import load, save
from sktraffic.pipeline import CaptureClassifier
from sktraffic.sessions import read_sessions, write_sessions

names = ["C:\\\\our captures\\\\\u00e4 b.pcap.xz", "with space/\u00fc ber.pcap.xz"]
Path("with space").mkdir()
for source, name in zip(sys.argv[1:], names):
    shutil.copy(source, name)
extractor = SessionExtractor()
X = extractor.transform(names)
assert X["capture"].unique().tolist() == names, X["capture"].unique()
write_sessions(X, "out put.parquet")
assert len(read_sessions("out put.parquet")) == len(X) > 2
FeatureDistributionDisplay.from_estimator(
    SessionStatistics().fit(X), X, X["capture"].astype(object)
).figure_.savefig("a picture.png")
clf = CaptureClassifier(
    make_pipeline(SessionStatistics(), RandomForestClassifier(5, random_state=0)), extractor
).fit(names, ["a", "b"])
save(clf, "a model.skt")
print(load("a model.skt").predict(names).tolist())
"""


@pytest.mark.filterwarnings("ignore")
def test_captures_models_and_pictures_without_posix(tmp_path):
    """Read two captures with awkward names, save and load a model, draw; no nfstream."""
    paths, labels = lab_captures()
    chosen = [paths[list(labels).index(label)] for label in ("chat", "voip")]
    out = run(WORK, *chosen, cwd=tmp_path)
    assert out.strip() == "['a', 'b']"
    assert (tmp_path / "a picture.png").stat().st_size > 1000


def test_an_interface_is_for_linux():
    """Capturing live says at use that it is for Linux; importing it says nothing."""
    code = """
from sktraffic.capture import CaptureError, SessionExtractor
socket.if_nameindex = lambda: [(1, "eth7")]
try:
    with SessionExtractor().stream("eth7") as stream:
        next(iter(stream))
except CaptureError as error:
    print(error)
"""
    assert "Linux only" in run(code)


def test_downloads_are_locked_on_windows_too(tmp_path, monkeypatch):
    """Without fcntl the lock is that of Windows, tried until it is had."""
    calls = []

    def locking(descriptor, mode, n_bytes):
        calls.append((os.fstat(descriptor).st_size, mode, n_bytes))
        if len(calls) < 3:
            raise OSError(36, "Resource deadlock avoided")

    fake = types.SimpleNamespace(LK_LOCK=1, locking=locking)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_download._locked(tmp_path))
    assert calls == [(0, 1, 1)] * 3


def calls_without_encoding(file):
    """Yield the lines of calls that open a file as text and name no encoding."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        named = {keyword.arg for keyword in node.keywords}
        if name in ("read_text", "write_text"):
            lacks = "encoding" not in named and len(node.args) < 1 + (name == "write_text")
        elif isinstance(node.func, ast.Name) and name == "open":
            modes = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
            binary = any("b" in getattr(mode, "value", "b") for mode in modes)
            lacks = not binary and "encoding" not in named
        else:
            continue
        if lacks:
            yield f"{file.relative_to(ROOT)}:{node.lineno}"


def test_text_files_name_their_encoding():
    """Nothing is read or written in the encoding that a system happens to have."""
    assert [line for file in ROOT.rglob("*.py") for line in calls_without_encoding(file)] == []
