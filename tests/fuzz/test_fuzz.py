"""Every harness on what it starts from, on what once broke it, and on inputs at random."""

import pytest

from tests.fuzz.harnesses import HARNESSES
from tests.fuzz.seeds import regressions, seeds

FOUND = [(name, path, data) for name in HARNESSES for path, data in regressions(name)]


@pytest.mark.parametrize("name", HARNESSES)
def test_seeds_keep_all_promises(name):
    """What fuzzing starts from is sound, and there is some for each harness."""
    assert seeds()[name]
    for data in seeds()[name]:
        HARNESSES[name](data)


@pytest.mark.parametrize(("name", "data"), [pytest.param(n, d, id=p) for n, p, d in FOUND])
def test_what_was_found_stays_mended(name, data):
    """The regression corpus, whole."""
    HARNESSES[name](data)
