"""A recording plays in the dialog of the screenshots, and nothing of it is loaded before a click."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from airflow_provider_testerarmy.ui.recordings import player
from tests.ui.browser.scripted import HOME, Site
from tests.ui.browser.test_task_page import TASK
from tests.ui.browser.test_task_page import answer as answered

pytestmark = pytest.mark.integration

VIDEO = "https://store.example/videos/1.webm?X-Amz-Signature=ab"


class Store:
    """The service's store of recordings, and the page that Airflow serves for one."""

    def __init__(self, page: Page, *, also: str = "") -> None:
        #: Addresses outside of Airflow that the browser has asked for.
        self.asked: list[str] = []
        #: The address of another site that the page with the recording tries to load.
        self.also = also
        page.route("https://**/*", self._serve)
        page.route("**/recording?*", self._play)

    def _serve(self, route: Route) -> None:
        self.asked.append(route.request.url)
        route.fulfill(body=b"", content_type="video/webm")

    def _play(self, route: Route) -> None:
        made = player(VIDEO)
        assert made is not None
        page, policy = made
        if self.also:
            page += f'<img src="{self.also}"><script>fetch("{self.also}")</script>'
        route.fulfill(body=page, content_type="text/html", headers={"Content-Security-Policy": policy})


def answer(path: str, query: dict[str, list[str]]) -> Any:
    found = answered(path, query)
    if path.endswith("/runs"):
        for each in found["runs"].values():
            each["video"] = VIDEO
    return found


@pytest.fixture
def window(chrome: Browser) -> Iterator[Site]:
    """A browser window with the real policy of the page."""
    context = chrome.new_context(locale="en-GB", viewport={"width": 1400, "height": 900})
    site = Site(context.new_page())
    site.answer = answer
    yield site
    context.close()


def test_nothing_is_loaded_before_a_click(window: Site) -> None:
    """Not on the page, and not when the arrow keys reach the recording."""
    page, store = window.page, Store(window.page)
    window.open(TASK)
    page.locator(".first .enlarge").click()
    box = page.locator(".lightbox")
    page.keyboard.press("ArrowRight")
    expect(box.get_by_role("status")).to_have_text("3 of 3: Recording")
    page.wait_for_timeout(300)
    assert (store.asked, box.locator("iframe").count()) == ([], 0)
    box.get_by_role("button", name="Play the recording from store.example").click()
    expect(box.frame_locator("iframe").locator("video")).to_be_visible()
    page.wait_for_timeout(300)
    assert set(store.asked) == {VIDEO}
    expect(box.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(box.locator("iframe")).to_have_count(0)


def test_the_button_plays_it_at_once(window: Site) -> None:
    page, store = window.page, Store(window.page)
    window.open(TASK)
    page.locator(".first .recording").click()
    video = page.frame_locator(".lightbox iframe").locator("video")
    expect(video).to_have_js_property("controls", True)
    expect(video).to_have_attribute("src", VIDEO)
    page.keyboard.press("Escape")
    expect(page.locator(".lightbox")).to_have_count(0)
    assert set(store.asked) == {VIDEO}


def test_the_recordings_page_reaches_no_other_site(window: Site) -> None:
    """Its policy has the origin of the recording alone, and no scripts."""
    page, store = window.page, Store(window.page, also="https://evil.example/x")
    window.open(TASK)
    page.locator(".first .recording").click()
    expect(page.frame_locator(".lightbox iframe").locator("video")).to_be_visible()
    page.wait_for_timeout(300)
    assert set(store.asked) == {VIDEO}


def test_a_run_without_a_recording(window: Site) -> None:
    """An address that is not https is none."""

    def without(path: str, query: dict[str, list[str]]) -> Any:
        found = answer(path, query)
        if path.endswith("/runs"):
            for each in found["runs"].values():
                each["video"] = "http://store.example/1.webm"
        return found

    window.answer = without
    window.open(TASK)
    expect(window.page.locator(".first .enlarge")).to_be_visible()
    expect(window.page.locator(".recording")).to_have_count(0)
    assert window.page.url.startswith(HOME)
