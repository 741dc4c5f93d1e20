"""The built site, a server on this machine, and Debian's Chromium; a skip says what is missing."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "docs" / "_build" / "html"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="session")
def site():
    """Return the folder of the built site."""
    if not (BUILT / "index.html").is_file():
        pytest.skip("the site is not built: run `make docs` first")
    return BUILT


@pytest.fixture(scope="session")
def serve():
    """Return a function that serves a folder and returns its address."""
    servers = []

    def start(folder):
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def browser():
    """Start a headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra `docs`: playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium here: Debian's package `chromium` brings it")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens an address and collects what goes wrong on the page."""
    contexts = []

    def visit(address, width=1280, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.wrong = []
        page.on("console", lambda m: m.type == "error" and page.wrong.append(m.text))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.goto(address, wait_until="load")
        return page

    yield visit
    for context in contexts:
        context.close()
