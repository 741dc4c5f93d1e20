"""What the user guide lists is what there is."""

from pathlib import Path

import pytest

from sktraffic.packets import CAUSES, LATER_FRAGMENT, TUNNEL_FRAGMENT, TUNNELS

PAGE = Path(__file__).parents[2] / "docs" / "user_guide" / "packets.md"


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not beside the tests")
def test_the_guide_names_every_tunnel_and_cause():
    """A tunnel or a cause that is added gets its line."""
    text = PAGE.read_text("utf-8")
    named = [*filter(None, TUNNELS), *CAUSES.values(), LATER_FRAGMENT, TUNNEL_FRAGMENT]
    assert [name for name in named if name not in text] == []
