"""The code on the pages runs as it is printed: ``pytest docs``."""

import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path

from joblib.externals.loky import get_reusable_executor
from sybil import Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

from sktraffic.datasets import lab_captures

collect_ignore = ["conf.py", "_extensions", "_build", "api", "auto_examples"]


def enter_empty_folder(namespace):
    """Run a page in an empty folder of its own."""
    namespace["_before"], namespace["_folder"] = os.getcwd(), tempfile.mkdtemp()
    os.chdir(namespace["_folder"])


def enter_folder_with_captures(namespace):
    """Run a page beside ``captures/`` (five runs each of three classes) and two more captures."""
    enter_empty_folder(namespace)
    taken = {"chat": 0, "email": 0, "voip": 0}
    for path, label in zip(*lab_captures(), strict=True):
        if taken.get(label, 5) < 5:
            taken[label] += 1
            Path("captures", label).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, Path("captures", label))
    shutil.copy(lab_captures()[0][-1], "unknown.pcap")  # the content says what it is
    with lzma.open(lab_captures()[0][-1]) as file:  # what others read is not compressed
        Path("capture.pcap").write_bytes(file.read())


def leave_folder(namespace):
    """Go back, and remove the folder; joblib's workers were started in it."""
    get_reusable_executor().shutdown(wait=True)
    os.chdir(namespace["_before"])
    shutil.rmtree(namespace["_folder"])


def run_commands(example):
    """Run the lines of a console block that start with a prompt."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for line in example.parsed.splitlines():
        if line.startswith("$ "):
            command = ["bash", "-c", line[2:]]
            environment = {**os.environ, "PATH": path}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def sybil(enter, *more, **files):
    """Collect the Python blocks of some pages; doctests in them are checked."""
    parsers = [PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)]
    return Sybil([*parsers, *more, SkipParser()], setup=enter, teardown=leave_folder, **files)


SITE = ["_build/*", "_build/**/*", "api/**/*", "auto_examples/**/*"]
FIRST = "getting_started.md"
pytest_collect_file = (
    sybil(enter_empty_folder, CodeBlockParser("console", run_commands), filenames=[FIRST])
    + sybil(enter_folder_with_captures, patterns=["*.md", "**/*.md"], excludes=[FIRST, *SITE])
).pytest()
