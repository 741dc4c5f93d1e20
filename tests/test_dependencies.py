"""What is declared is what is imported, and what is missing is named by its extra."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sktraffic
from sktraffic._extras import EXTRAS, require

ROOT = Path(sktraffic.__file__).parent
PYPROJECT = ROOT.parent / "pyproject.toml"
# names of distributions that are not those of their packages
DISTRIBUTIONS = {"imblearn": "imbalanced-learn", "sklearn": "scikit-learn"}
SUMS = ("all", "dev", "docs", "test")
SMALL = ("anonymise", "dask", "onnx", "xlsx", "zstd")
NEURAL = ("nn", "neural_network")


@pytest.fixture(scope="module")
def declared():
    """Return the requirements of the core and of each extra, distributions in lower case."""
    if not PYPROJECT.is_file():
        pytest.skip("pyproject.toml is not beside the package")
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    named = {"core": project["dependencies"], **project["optional-dependencies"]}
    return {key: {re.match(r"[\w-]+", r)[0].lower() for r in named[key]} for key in named}


def imported(file):
    """Distributions whose packages a file imports anywhere, functions included."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "sktraffic":
                yield DISTRIBUTIONS.get(top, top)


def all_imports(neural):
    """Return what the rooms of the networks import, or what all others do."""
    return {
        name
        for file in ROOT.rglob("*.py")
        if (file.relative_to(ROOT).parts[0] in NEURAL) == neural
        for name in imported(file)
    }


def test_the_core_declares_what_it_imports(declared):
    """No more and no less, but for the small extras, which are imported where a file needs one."""
    small = {name for key in SMALL for name in declared[key]}
    assert all_imports(neural=False) - small == declared["core"]


def test_the_extra_of_the_networks_is_what_only_they_import(declared):
    """Whatever the networks import beyond the core, and nothing besides."""
    assert all_imports(neural=True) - declared["core"] == declared["neural"]


def test_extras_are_known_by_their_packages(declared):
    """The names in errors are the names in pyproject.toml; all is the sum of the others."""
    extras = {key: names for key, names in declared.items() if key not in ("core", *SUMS)}
    assert set(EXTRAS) == set(extras)
    for key, packages in EXTRAS.items():
        assert set(packages) <= extras[key] | {"distributed"}
    text = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["optional-dependencies"]["all"][0]
    assert set(re.search(r"\[(.*)\]", text)[1].split(",")) == set(extras)


def test_a_missing_extra_is_named(monkeypatch):
    """The error says what needs it, what is missing, and what to install."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r"A spreadsheet needs openpyxl.*'sktraffic\[xlsx\]'"):
        require("xlsx", "A spreadsheet")


WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder

absent, find_spec = ("torch", "skorch", "transformers", "safetensors"), PathFinder.find_spec
PathFinder.find_spec = lambda name, *args: (
    None if name.partition(".")[0] in absent else find_spec(name, *args)
)
"""


def run_without_torch(code, *arguments):
    """Run code in a process where the packages of the extra `neural` cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
    )


@pytest.mark.parametrize("module", NEURAL)
def test_networks_without_torch_name_their_extra(module):
    """At import, which is the moment of use."""
    done = run_without_torch(f"import sktraffic.{module}")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: sktraffic.{module} needs torch")
    assert last.endswith("pip install 'sktraffic[neural]'")


def test_the_command_line_names_the_extra(tmp_path):
    """One line and exit code 1, before any capture is read."""
    code = (
        "from sktraffic.cli import app\n"
        "from sktraffic.datasets import lab_captures\n"
        "paths, labels = lab_captures()\n"
        "two = [paths[list(labels).index(name)] for name in ('chat', 'voip')]\n"
        "app(['train', *two, '-o', sys.argv[1], '--label', 'stem', '--model', 'mlp'])\n"
    )
    done = run_without_torch(code, tmp_path / "m.skt")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("pip install 'sktraffic[neural]'")
    assert done.stderr.startswith("error: ") and not (tmp_path / "m.skt").exists()


@pytest.mark.neural
def test_a_saved_network_names_the_extra(tmp_path):
    """Loading it where torch is missing is no damaged file."""
    from sktraffic.neural_network import MLPClassifier
    from sktraffic.persistence import save

    clf = MLPClassifier((4,), max_epochs=1, early_stopping=False).fit([[0.0], [1.0]], ["a", "b"])
    save(clf, tmp_path / "m.skt")
    done = run_without_torch(
        "from sktraffic.persistence import load; load(sys.argv[1])", tmp_path / "m.skt"
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: The neural network in") and "[neural]" in last


def test_security_says_what_each_dependency_is_trusted_with(declared):
    """Every package of the core and the extras stands in the table, once, and no other."""
    policy = PYPROJECT.with_name("SECURITY.md")
    if not policy.is_file():
        pytest.skip("SECURITY.md is not beside the package")
    table = policy.read_text("utf-8").partition("| packages | trusted with |")[2]
    rows = re.findall(r"^\| ([\w, -]+) \| (?!-)", table, re.MULTILINE)
    named = [name for row in rows for name in row.split(", ")]
    wanted = {name for key, names in declared.items() if key not in SUMS for name in names}
    assert sorted(named) == sorted(wanted)
