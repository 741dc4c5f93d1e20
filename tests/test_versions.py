"""One version everywhere: the package, the citation, the changelog, the locks, the linter."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import sktraffic
from sktraffic._versions import CORE, installed

ROOT = Path(sktraffic.__file__).parents[1]
LOCKED = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64"}


def text(name):
    """Return a file of the repository, or skip where there is only the package."""
    path = ROOT / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the package")
    return path.read_text("utf-8")


def required():
    """Return the lower bound of each requirement on the lock's Python, by distribution."""
    project = tomllib.loads(text("pyproject.toml"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    pattern = r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)"
    lines = [line for group in groups for line in group]
    markers = [Requirement(line).marker for line in lines]
    found = (
        re.match(pattern, line)
        for line, marker in zip(lines, markers, strict=True)
        if marker is None or marker.evaluate(LOCKED)
    )
    return {match[1].lower(): match[2] for match in found if match}


def pins(name):
    """Return the versions in a file of pins, by distribution."""
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text(name).lower(), re.MULTILINE))


def test_show_versions_tells_all(capsys):
    """Every declared dependency has a line, with the version that is installed or a word."""
    sktraffic.show_versions()
    out = capsys.readouterr().out
    assert out.startswith(f"sktraffic: {sktraffic.__version__}\npython: 3.")
    for name, version in installed(CORE).items():
        assert f"\n  {name}: {version}\n" in out
    assert re.search(r"neural: torch (\d|not installed)", out) and "threads" in out


def test_the_core_is_listed_whole():
    """What show_versions names is what pyproject.toml declares."""
    project = tomllib.loads(text("pyproject.toml"))["project"]
    assert list(CORE) == [re.match(r"[\w-]+", line)[0] for line in project["dependencies"]]


def test_the_release_is_dated():
    """Changelog and citation name this version, with one date."""
    version = re.escape(sktraffic.__version__)
    dated = re.search(rf"^## \[{version}\] - (\d{{4}}-\d\d-\d\d)$", text("CHANGELOG.md"), re.M)
    cited = text("CITATION.cff")
    assert re.search(rf"^version: {version}$", cited, re.M)
    assert f'date-released: "{dated[1]}"' in cited


def test_the_oldest_lock_holds_the_lower_bounds():
    """Each requirement is locked at its lower bound; torch is left to the machine."""
    locked = pins("requirements/oldest.txt")
    checked = {name: version for name, version in required().items() if name in locked}
    later = {
        name: locked[name]
        for name, bound in checked.items()
        if not re.fullmatch(rf"{re.escape(bound)}(\.0)*", locked[name])
    }
    assert later == {}
    left_out = set(required()) - set(locked)
    assert "torch" in left_out and not left_out & {*CORE, "skorch", "transformers"}


def test_the_newest_pins_are_let_in():
    """constraints.txt names every requirement, at its lower bound or later."""
    newest = pins("constraints.txt")
    number = lambda version: [int(n) for n in re.findall(r"\d+", version)]  # noqa: E731
    for name, bound in required().items():
        if name in newest:
            assert number(newest[name]) >= number(bound), name
    assert set(CORE) <= set(newest)


def test_pre_commit_has_the_same_ruff():
    """What lints a commit is what `make lint` runs."""
    revision = re.search(r"ruff-pre-commit\s+rev: v([\d.]+)", text(".pre-commit-config.yaml"))
    assert revision[1] == pins("constraints.txt")["ruff"]
