"""Every parameter of every public estimator is named by a test."""

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import sktraffic
from sktraffic._extras import missing

TESTS = Path(__file__).parent


def public_estimators():
    """Classes with parameters that the packages offer, by name."""
    found = {}
    for module in pkgutil.iter_modules(sktraffic.__path__):
        is_network = module.name in ("nn", "neural_network")
        if module.name.startswith("_") or (is_network and missing("neural")):
            continue
        package = importlib.import_module(f"sktraffic.{module.name}")
        for name in getattr(package, "__all__", ()):
            value = getattr(package, name)
            if isinstance(value, type) and issubclass(value, BaseEstimator):
                found[name] = value
    return found


ESTIMATORS = public_estimators()


@cache
def names_by_test():
    """Return (file, test) -> names in it: keywords of calls, text, `a__b` as b, attributes.

    What a file holds beside its tests (settings, helpers) counts for each of its tests.
    """
    named = {}
    for file in TESTS.rglob("test_*.py"):
        if file == Path(__file__):
            continue
        body = ast.parse(file.read_text("utf-8")).body
        tests = [node for node in body if getattr(node, "name", "").startswith("test_")]
        shared = set().union(*(_names(node) for node in body if node not in tests))
        for test in tests:
            named[file, test.name] = shared | _names(test)
    return named


def _names(node):
    names = set()
    for part in ast.walk(node):
        if isinstance(part, ast.keyword) and part.arg:
            names.add(part.arg.rpartition("__")[2])
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            names.add(part.value.rpartition("__")[2])
        elif isinstance(part, ast.Name):
            names.add(part.id)
        elif isinstance(part, ast.Attribute):
            names.add(part.attr)
        elif isinstance(part, ast.alias):
            names.add(part.name)
    return names


def count_tests(name, parameter):
    """Count the tests that name an estimator and a parameter."""
    return sum({name, parameter} <= names for names in names_by_test().values())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_parameter_is_named_by_a_test(name):
    """A parameter that no test sets may do anything."""
    parameters = ESTIMATORS[name]._get_param_names()
    assert [p for p in parameters if not count_tests(name, p)] == []
