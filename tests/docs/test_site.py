"""The built site in a real browser: wide and narrow, light and dark."""

import pytest

PAGES = (
    "index.html",
    "user_guide/evaluation.html",
    "api/generated/sktraffic.pipeline.CaptureClassifier.html",
    "auto_examples/index.html",
    "results.html",
)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LINES = "[...document.querySelectorAll('h1,h2,h3,dt.sig')]"
CUT = f"{LINES}.filter(h => h.scrollWidth > h.clientWidth + 1)"
BROKEN = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"


@pytest.fixture(scope="module")
def address(site, serve):
    """Return the address of the served site."""
    return serve(site)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_sound(name, width, scheme, address, open_page):
    """Nothing sticks out, every picture is there, and the console has no error."""
    page = open_page(f"{address}/{name}", width, scheme)
    page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.evaluate(OVERFLOW) <= 0
    assert page.evaluate(f"{CUT}.map(h => h.innerText)") == []
    assert page.evaluate(BROKEN) == []
    assert page.wrong == []


def test_search_finds_an_estimator(address, open_page):
    """Words typed into the search box lead to the page of the class."""
    page = open_page(f"{address}/index.html")
    page.keyboard.press("Control+k")
    page.locator("input[type=search]:visible").first.fill("GuardedADASYN")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html*")
    found = page.locator("#search-results a[href*='GuardedADASYN.html']").first
    found.wait_for(timeout=20_000)
    found.click()
    page.wait_for_load_state("load")
    assert page.locator("h1").inner_text().startswith("GuardedADASYN")


def test_theme_switch_changes_the_colours(address, open_page):
    """Light, dark and the browser's own can be chosen, and the choice stays on the next page."""
    page = open_page(f"{address}/index.html")

    def choose(mode):
        page.locator(".theme-switch-button:visible").first.click()
        page.locator(f".theme-change-button[data-mode={mode}]:visible").first.click()
        assert page.evaluate("document.documentElement.dataset.mode") == mode

    colour = "getComputedStyle(document.body).backgroundColor"
    seen = {}
    for mode in ("light", "auto", "dark"):
        choose(mode)
        seen[mode] = page.evaluate(colour)
    assert seen["light"] == seen["auto"] != seen["dark"]
    page.goto(f"{address}/comparison.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
