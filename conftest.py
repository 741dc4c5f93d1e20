"""Leaves out what needs the extra ``neural`` where it is not installed, and says so."""

from pathlib import Path

import pytest

from sktraffic._extras import missing

ROOT = Path(__file__).parent
# whole folders cannot be imported without torch
FOLDERS = ("sktraffic/nn", "sktraffic/neural_network", "tests/nn", "tests/neural_network")
DOCTESTS = {"sktraffic.pipeline._recipes.make_estimator"}
ABSENT = missing("neural")


def pytest_report_header():
    """Say at the top of a run what is left out of it."""
    if ABSENT:
        return f"not installed: {', '.join(ABSENT)}; left out: {', '.join(FOLDERS)}"
    return None


def pytest_ignore_collect(collection_path):
    """Do not import the folders of the networks without torch."""
    if ABSENT and any(collection_path.is_relative_to(ROOT / folder) for folder in FOLDERS):
        return True
    return None


def pytest_collection_modifyitems(items):
    """Skip single tests that are marked as ones of networks."""
    if not ABSENT:
        return
    skip = pytest.mark.skip(reason=f"needs sktraffic[neural]: {', '.join(ABSENT)} not installed")
    for item in items:
        if item.get_closest_marker("neural") or item.name in DOCTESTS:
            item.add_marker(skip)
