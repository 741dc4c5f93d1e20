"""The structure of the package: imports go upward only, and heavy ones stay where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sktraffic

ROOT = Path(sktraffic.__file__).parent
# a module may import those before it
ORDER = (
    "_files",
    "_limits",
    "_parquet",
    "_extras",
    "_versions",
    "_compat",
    "_documentation",
    "_base",
    "_routing",
    "ragged",
    "sessions",
    "packets",
    "messages",
    "wireshark",
    "capture",
    "exchange",
    "feature_extraction",
    "preprocessing",
    "cluster",
    "feature_selection",
    "over_sampling",
    "nn",
    "neural_network",
    "model_selection",
    "ensemble",
    "metrics",
    "calibration",
    "inspection",
    "datasets",
    "pipeline",
    "persistence",
    "report",
    "cli",
    "__main__",
)


def _imports(file):
    """Yield the sktraffic modules that a file imports, and its other imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "sktraffic":
                yield from (f"sktraffic.{alias.name}" for alias in node.names)


def _room(name):
    return name.split(".")[1] if "." in name else ""


def test_every_module_has_its_place():
    """A new module must be put into the order."""
    rooms = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms - {"__init__", "__pycache__"} <= set(ORDER)


def test_imports_go_upward_only():
    """No module imports one that stands later in the order."""
    wrong = []
    for file in ROOT.rglob("*.py"):
        here = file.relative_to(ROOT).parts[0].removesuffix(".py")
        if here == "__init__":
            continue
        for name in _imports(file):
            there = _room(name) if name.startswith("sktraffic.") else ""
            if there in ORDER and ORDER.index(there) > ORDER.index(here):
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert wrong == []


def _reached(file):
    """Yield what a file imports of the package, as (module, name)."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def _is_private(name):
    return name.startswith("_") and not name.startswith("__")


def test_no_module_reaches_into_a_neighbour():
    """What another part of the package needs is public in the part that it belongs to.

    The modules beside the parts (`_compat` and such) are the whole package's; `_compat` gives
    scikit-learn's names as they are, underscores included.
    """
    wrong = []
    for file in ROOT.rglob("*.py"):
        here = file.relative_to(ROOT).parts[0].removesuffix(".py")
        for module, name in _reached(file):
            package, *parts = module.split(".")
            if package != "sktraffic" or parts[:1] in ([here], ["_compat"]):
                continue
            if any(map(_is_private, parts[1:])) or (parts and _is_private(name)):
                wrong.append(f"{file.relative_to(ROOT)}: {name} of {module}")
    assert wrong == []


def test_private_names_of_scikit_learn_come_through_compat():
    """Only _compat.py breaks when scikit-learn moves a private name."""
    wrong = []
    for file in ROOT.rglob("*.py"):
        if file.name == "_compat.py":
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                parts = node.module.split(".") + [alias.name for alias in node.names]
                if any(part.startswith("_") and not part.startswith("__") for part in parts):
                    wrong.append(f"{file.relative_to(ROOT)}: from {node.module}")
    assert wrong == []


def _is_nfstream(name):
    return name.partition(".")[0] == "nfstream"


def test_only_one_file_imports_nfstream():
    """The engine's process is the only place where nfstream runs."""
    files = {f.name for f in ROOT.rglob("*.py") for name in _imports(f) if _is_nfstream(name)}
    assert files == {"_nfstream.py"}


@pytest.mark.parametrize(
    "module",
    sorted(
        name
        for name in ORDER[3:-2]
        if name not in ("nn", "neural_network")
        and ((ROOT / name).is_dir() or (ROOT / f"{name}.py").exists())
    ),
)
def test_importing_stays_light(module):
    """Nothing that trains no network imports torch; nothing imports nfstream or matplotlib."""
    code = (
        f"import sys, sktraffic, sktraffic.{module}\n"
        "heavy = {'torch', 'nfstream', 'matplotlib', 'transformers', 'skorch'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent
    )
    assert done.returncode == 0, done.stderr
