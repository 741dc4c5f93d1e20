"""Estimators, errors and the command line name their pages of the documentation."""

import importlib
import inspect
import pickle
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import sktraffic
from sktraffic._documentation import SITE, Explained, page

DOCS = Path(__file__).parents[1] / "docs"


def public_classes(base):
    """Classes below ``base`` that a module of the package exports."""
    for info in pkgutil.iter_modules(sktraffic.__path__):
        if info.name.startswith("_"):
            continue
        try:
            module = importlib.import_module(f"sktraffic.{info.name}")
        except ImportError:  # an extra is not installed
            continue
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) and issubclass(value, base):
                yield pytest.param(value, f"{module.__name__}.{name}", id=name)


@pytest.mark.parametrize(("cls", "name"), [*public_classes(BaseEstimator)])
def test_estimators_link_to_their_page(cls, name):
    """The address ends with the name under which the estimator is imported."""
    estimator = cls.__new__(cls)
    assert estimator._get_doc_link() == page(f"api/generated/{name}")


def test_html_representation_has_the_link():
    """A notebook shows it beside the estimator's name."""
    from sktraffic.cluster import ElbowKMeans

    assert page("api/generated/sktraffic.cluster.ElbowKMeans") in ElbowKMeans()._repr_html_()


@pytest.mark.parametrize(("cls", "name"), [*public_classes(Explained)])
def test_errors_name_a_page_that_exists(cls, name):
    """The note stands under the traceback, survives pickling, and leaves the message alone."""
    if not DOCS.is_dir():
        pytest.skip("the pages are not beside the tests")
    given = [name for name in inspect.signature(cls).parameters if name != "args"]
    error = pickle.loads(pickle.dumps(cls("what is wrong", *given[1:])))
    [note] = set(error.__notes__)
    assert "See" not in str(error)
    assert (DOCS / note.removeprefix(f"See {SITE}").replace(".html", ".md")).is_file()


def test_help_names_the_guide():
    """``sktraffic --help`` ends with the address of the command line's page."""
    done = subprocess.run(
        [sys.executable, "-m", "sktraffic", "--help"],
        capture_output=True,
        text=True,
        env={"COLUMNS": "200", "TERM": "dumb", "PATH": ""},
        cwd=Path(sktraffic.__file__).parents[1],
    )
    assert page("user_guide/command_line") in re.sub(r"\s+", " ", done.stdout), done.stderr
