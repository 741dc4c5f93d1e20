"""The HTML report in a real browser: readable on a phone, and sound for a screen reader."""

from itertools import pairwise

import numpy as np
import pytest

from sktraffic.datasets import lab_captures
from sktraffic.pipeline import CaptureClassifier
from sktraffic.report import evaluate_captures, evaluation_report

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def report(browser, tmp_path_factory):
    """Write the report of a small model on captures that it has not seen."""
    paths, labels = (np.asarray(each) for each in lab_captures())
    few = [*np.flatnonzero(labels == "chat")[:5], *np.flatnonzero(labels == "vpn_voip")[:5]]
    held, train = few[::5] + few[4::5], [i for i in few if i not in few[::5] + few[4::5]]
    clf = CaptureClassifier().fit(paths[train], labels[train])
    found = evaluate_captures(clf, paths[held], labels[held])
    sessions = clf.extractor_.transform(list(paths[held]))
    page = evaluation_report(clf, found, sessions, lead="Two classes.", disturbances=("loss",))
    path = page.save(tmp_path_factory.mktemp("report") / "report.html")
    return path.as_uri()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out(report, width, open_page):
    """The page itself never scrolls sideways; tables and figures scroll inside themselves."""
    page = open_page(report, width)
    assert page.evaluate(OVERFLOW) <= 0
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth)")
    assert page.wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation(report, width, open_page):
    """Contrast, headings, names of regions, texts for pictures: axe-core has nothing to say."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs `docs`").Axe()
    found = axe.run(open_page(report, width)).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found] == []


def test_headings_and_pictures(report, open_page):
    """One heading of the first level, none left out below it, a text for every picture."""
    page = open_page(report)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.evaluate("[...document.images].every(i => i.alt.trim().length > 10)")
