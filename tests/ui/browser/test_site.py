"""The documentation site in a real browser: search, versions, links, and axe."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.chromium import PATIENCE
from tests.ui.browser.test_accessible import serious
from website import links
from website.build import OUT
from website.navigation import sections

pytestmark = pytest.mark.integration


class Quiet(SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: Any) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the newest version of the built site, and of nothing else."""
    assert (OUT / "latest" / "index.html").exists(), "the site is not built: run make docs-site"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(OUT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def page(chrome: Browser, site: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window; the test fails if it requests anything from elsewhere."""
    made = chrome.new_context(
        color_scheme=getattr(request, "param", "light"), viewport={"width": 1280, "height": 900}
    )
    made.set_default_timeout(PATIENCE)
    window = made.new_page()
    foreign: list[str] = []
    window.on(
        "request",
        lambda asked: foreign.append(asked.url) if not asked.url.startswith((site, "data:")) else None,
    )
    yield window
    made.close()
    assert foreign == []


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("max_outage", "reliability"), ("stale", "reliability"), ("TestsFailed", "gate")],
)
def test_search_finds(page: Page, site: str, words: str, wanted: str) -> None:
    """From the search field of a page."""
    page.goto(f"{site}/latest/index.html")
    page.keyboard.press("Control+k")
    page.locator("dialog input[name=q]").fill(words)
    page.keyboard.press("Enter")
    expect(page.locator("#search-results .search-summary")).to_contain_text("found")
    results = page.locator("#search-results ul.search a")
    expect(results.first).to_be_visible()
    found = [str(link.get_attribute("href")) for link in results.all()]
    assert any(f"{wanted}.html" in link for link in found), found


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_axe(page: Page, site: str) -> None:
    """Every page, in both colour schemes."""
    found = {}
    for name in ["index", *(entry.name for entries in sections().values() for entry in entries)]:
        page.goto(f"{site}/latest/{name}.html")
        found[name] = serious(page)
    assert {name: rules for name, rules in found.items() if rules} == {}


def test_no_link_is_dead(page: Page, site: str) -> None:
    """The files, and the pages as the browser sees them: no failed request, and all pages in the navigation."""
    assert links.broken(OUT / "latest") == []
    page.goto(f"{site}/latest/index.html")
    addresses = page.eval_on_selector_all("nav[aria-label=Pages] a", "all => all.map(link => link.href)")
    assert len(addresses) > len([entry for entries in sections().values() for entry in entries])
    assert [link for link in addresses if page.request.get(link).status != 200] == []


def test_the_menu_of_versions(page: Page, site: str) -> None:
    """It lists what `versions.json` has."""
    versions = json.loads((OUT / "versions.json").read_text())
    page.goto(f"{site}/latest/gate.html")
    page.locator(".version-switcher__button:visible").click()
    shown = page.locator(".version-switcher__menu:visible a")
    expect(shown).to_have_count(len(versions))
    assert page.request.get(shown.first.evaluate("link => link.href")).status == 200


def test_dark_mode(page: Page, site: str) -> None:
    """It follows the system until a reader chooses, and remembers the choice."""

    def background() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.goto(f"{site}/latest/gate.html")
    light = background()
    page.emulate_media(color_scheme="dark")
    page.reload()
    dark = background()
    assert dark != light
    page.locator(".pst-navbar-icon[aria-label='Color mode']:visible").click()
    page.get_by_role("button", name="Light").click()
    page.reload()
    assert background() == light


def test_a_coding_agent_finds_its_files(page: Page, site: str) -> None:
    """As text, at fixed addresses."""
    page.goto(f"{site}/index.html")
    page.wait_for_url(f"{site}/latest/index.html")
    for name in ("llms.txt", "llms-full.txt", "gate.md", "skills/airflow-testerarmy/SKILL.md"):
        assert page.request.get(f"{site}/latest/{name}").status == 200, name
    assert Path(OUT / "latest" / "llms.txt").stat().st_size < 20_000
