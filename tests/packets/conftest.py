"""Captures for the tests of this folder."""

import pytest

from tests.capture.craft import Craft


@pytest.fixture
def craft():
    """Return a maker of frames and files."""
    return Craft()
