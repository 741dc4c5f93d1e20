"""Lock the oldest versions that pyproject.toml lets in: ``python tools/oldest.py``.

Writes ``requirements/oldest.txt`` for the oldest Python, or prints the lock for another one:
``python tools/oldest.py 3.13`` (each release's oldest wheel for that Python). What the project
requires is taken at its lower bound, all that comes along at its newest, but for ``NOT_NEWER``.
torch is left out: which of its builds is wanted, the machine decides.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "oldest.txt"
EXTRAS = ("all", "test")
# releases of what comes along whose deprecations the oldest typer and matplotlib trip over
NOT_NEWER = ("click<8.2", "pyparsing<3.3")
HEAD = "# the oldest versions that the tests pass with; made by tools/oldest.py\n"


def requirements(project):
    """Return the requirements of the core and of `EXTRAS`, without the project's own name."""
    extras, found, waiting = project["optional-dependencies"], set(), [project["dependencies"]]
    waiting += [extras[name] for name in EXTRAS]
    while waiting:
        for line in waiting.pop():
            own = re.fullmatch(r"sktraffic\[(.*)\]", line)
            if own:
                waiting += [extras[name] for name in own[1].split(",")]
            elif not line.startswith("torch>"):
                found.add(line)
    return sorted(found)


def lock(python):
    """Return the lock for a Python version, a str."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    with tempfile.TemporaryDirectory() as folder:
        wanted, capped = Path(folder, "wanted.in"), Path(folder, "capped.in")
        wanted.write_text("\n".join(requirements(project)), "utf-8")
        capped.write_text("\n".join(NOT_NEWER), "utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"]
        command += ["--no-annotate", "--only-binary", ":all:", "--resolution", "lowest-direct"]
        command += ["--python-version", python, "--constraint", capped, wanted]
        return HEAD + subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    if sys.argv[1:]:
        print(lock(sys.argv[1]), end="")
    else:
        LOCK.parent.mkdir(exist_ok=True)
        LOCK.write_text(lock("3.11"), "utf-8")
