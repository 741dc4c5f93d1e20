"""The reference has every public name, and the contributor's chapter every module."""

import re
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import sktraffic

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def api_pages():
    """Import what writes the pages of the reference."""
    pytest.importorskip("sphinx", reason="needs the extra `docs`: sphinx")
    if not DOCS.is_dir():
        pytest.skip("the pages are not beside the tests")
    sys.path.insert(0, str(DOCS / "_extensions"))
    try:
        import api_pages
    finally:
        sys.path.pop(0)
    return api_pages


def test_every_public_name_is_on_its_modules_page(api_pages, tmp_path):
    """The written pages hold exactly the names of every ``__all__``."""
    api_pages.write(tmp_path)
    for name, module in api_pages.public_modules().items():
        page = (tmp_path / f"{name}.rst").read_text("utf-8")
        listed = re.findall(r"^   (\w+)$|^\.\. py:data:: (\w+)$", page, flags=re.MULTILINE)
        assert sorted(a or b for a, b in listed) == sorted(module.__all__)


def test_every_class_and_function_shows_an_example(api_pages):
    """What the page of a public name says ends with code; the doctests run it."""
    shown = {
        f"{module.__name__}.{name}": ">>> " in (getattr(module, name).__doc__ or "")
        for module in api_pages.public_modules().values()
        for heading, names in api_pages.groups(module).items()
        if heading in ("Classes", "Functions")
        for name in names
    }
    assert [name for name, example in shown.items() if not example] == []


def test_every_public_name_has_a_page_in_the_site(api_pages, site):
    """The inventory of the built site leads each name to a page that is there."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", "/".join)
    kinds = [items for kind, items in inventory.items() if kind.startswith("py:")]
    where = {name: item.uri for items in kinds for name, item in items.items()}
    for module, its in api_pages.public_modules().items():
        for name in (f"{module}.{item}" for item in its.__all__):
            page = where.get(name, "nowhere").partition("#")[0].lstrip("/")
            assert (site / page).is_file(), name


def test_no_link_inside_the_site_is_dead(site):
    """Every relative address leads to a file that is there, and every anchor to an element."""
    anchors, links = {}, set()
    for path in sorted({*site.rglob("*.html")} - {*site.glob("_static/**/*.html")}):
        page = path.read_text("utf-8")
        anchors[path] = {unescape(each) for each in re.findall(r'\sid="([^"]*)"', page)}
        for found in re.findall(r'<(?:a|img|link|script)\s[^>]*?\b(?:href|src)="([^"]*)"', page):
            address = urlsplit(unescape(found))
            if not address.scheme and not address.netloc:
                target = (path.parent / unquote(address.path)).resolve() if address.path else path
                links.add((path, target, unquote(address.fragment)))
    assert len(links) > 1000
    dead = [
        f"{page.relative_to(site)}: {target}#{anchor}"
        for page, target, anchor in sorted(links)
        if not target.is_file() or (target in anchors and anchor and anchor not in anchors[target])
    ]
    assert dead == []


def test_every_page_says_where_to_go_next():
    """Each page but the first ends with links."""
    if not DOCS.is_dir():
        pytest.skip("the pages are not beside the tests")
    pages = {*DOCS.glob("*.md"), *DOCS.glob("*/*.md")} - {*DOCS.glob("_*/*"), *DOCS.glob("api/*")}
    for path in sorted(pages - {DOCS / "index.md"}):
        blocks = path.read_text("utf-8").rstrip().split("\n\n")
        *_, last = (block for block in blocks if not block.startswith("```{toctree}"))
        assert last.startswith("Next: "), path.name


def test_design_lists_every_module():
    """The table of modules in the contributor's chapter is the package, in its order."""
    chapter = DOCS / "contributing" / "design.md"
    if not chapter.is_file():
        pytest.skip("the pages are not beside the tests")
    table = chapter.read_text("utf-8").partition("## Modules")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    folder = Path(sktraffic.__file__).parent
    there = {p.stem for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert set(listed) == {name for name in there if not name.startswith("_")}
    from tests.test_architecture import ORDER

    assert listed == sorted(listed, key=ORDER.index)
