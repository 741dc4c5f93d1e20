"""Run the tests on every Python that is here, with the oldest and the newest dependencies.

``python tools/matrix.py`` makes an environment for each pair below ``build/matrix``, runs the tests
in it and prints a row: passed, failed, skipped, seconds. What stands after ``--`` goes to pytest:

    python tools/matrix.py --python 3.11 --python 3.13 --set oldest -- tests/persistence

The newest set is constraints.txt, the oldest requirements/oldest.txt (on other Pythons than 3.11
resolved anew, since not every old release has a wheel there). Networks are tested where a CPU build
of torch can be had, else the core alone.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import oldest

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
CONSTRAINTS = ROOT / "constraints.txt"


def interpreter(version):
    """Return the path of a Python, or None; a shim of a version manager must really start it."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [str(path) for path in sorted(home.glob(f"{version}.*/bin/python"), reverse=True)]
    for path in (*found, shutil.which(f"python{version}")):
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


def run(*command, **options):
    """Run a command, quietly unless it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def environment(folder, python, version, name):
    """Make an environment with a set of dependencies; say whether it has torch."""
    shutil.rmtree(folder, ignore_errors=True)
    run(python, "-m", "venv", folder)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
    torch = re.search(r"^torch==[\w.]+", CONSTRAINTS.read_text("utf-8"), re.MULTILINE)[0]
    command = [*map(str, pip), "--only-binary", ":all:", f"{torch}+cpu"]
    has_torch = subprocess.run(command, capture_output=True).returncode == 0
    if name == "oldest":
        lock = folder / "oldest.txt"
        lock.write_text(
            oldest.LOCK.read_text("utf-8") if version == "3.11" else oldest.lock(version), "utf-8"
        )
        run(*pip, "-r", lock)
        run(*pip, "--no-deps", "-e", ROOT)
    else:
        extras = "all,test" if has_torch else "anonymise,dask,onnx,xlsx,zstd,test"
        run(*pip, "-c", CONSTRAINTS, "-e", f"{ROOT}[{extras}]")
    return has_torch


def tested(folder, arguments):
    """Run pytest in an environment; return its counts by outcome, seconds and exit code."""
    begin = time.perf_counter()
    command = [folder / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*map(str, command), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    (folder / "pytest.log").write_text(done.stdout, "utf-8")
    last = done.stdout.rstrip().rpartition("\n")[2]
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    return counts, time.perf_counter() - begin, done.returncode


def main():
    """Print the table; exit with 1 where a test failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", help="a version; all that are here")
    parser.add_argument("--set", action="append", choices=("newest", "oldest"), help="both")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "matrix")
    parser.add_argument("--keep", action="store_true", help="leave the environments")
    ours, rest = sys.argv[1:], []
    if "--" in ours:
        ours, rest = ours[: ours.index("--")], ours[ours.index("--") + 1 :]
    options = parser.parse_args(ours)
    bad = False
    print("| Python | dependencies | torch | passed | failed | skipped | seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for version in options.python or PYTHONS:
        python = interpreter(version)
        if python is None:
            print(f"| {version} | | | not on this machine | | | |", flush=True)
            continue
        for name in options.set or ("newest", "oldest"):
            folder = options.folder / f"{version}-{name}"
            torch = environment(folder, python, version, name)
            n, seconds, code = tested(folder, rest or ["-n", "2", "-m", "not slow"])
            failed = n.get("failed", 0) + n.get("error", 0)
            cells = [n.get("passed", 0), failed, n.get("skipped", 0), f"{seconds:.0f}"]
            row = [version, name, "yes" if torch else "no", *cells]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
            bad = bad or code not in (0, 5)
            if not options.keep and code == 0:
                shutil.rmtree(folder)
    sys.exit(bad)


if __name__ == "__main__":
    main()
