"""A headless Chromium that records what a page does: requests, errors and dialogs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Frame, FrameLocator, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = "Chromium was not found: install it (Debian: apt-get install chromium), or set CHROMIUM to its path"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
#: Time-out in milliseconds; generous, because the machine may be busy.
PATIENCE = 20_000

expect.set_options(timeout=PATIENCE)


def chromium() -> str | None:
    """The path of the browser's executable; None if none is installed."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    program = chromium()
    if program is None:
        raise RuntimeError(MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield running
        finally:
            running.close()


@dataclass
class Watched:
    """A page and a record of what it did."""

    page: Page
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, url: str) -> Frame | FrameLocator:
        """Open a page of Airflow, and wait until the tab is rendered."""
        self.page.goto(url)
        # Airflow's own address of the history contains the path of the view.
        if urlsplit(url).path.startswith("/testerarmy/view/"):
            tab: Frame | FrameLocator = self.page.main_frame
        else:
            tab = self.page.frame_locator("iframe[src*='testerarmy/view/']")
        expect(tab.locator("#page:not([aria-busy])")).to_be_visible()
        return tab

    def misdeeds(self) -> dict[str, list[str]]:
        """Forbidden actions of the page, by kind."""
        flags = [
            str(flag) for frame in self.page.frames if (flag := frame.evaluate("() => window.hacked || ''"))
        ]
        seen = {"dialogs": self.dialogs, "errors": self.errors, "foreign": self.foreign, "flags": flags}
        return {kind: found for kind, found in seen.items() if found}


def watch(page: Page, home: str) -> Watched:
    """Record what a page does; requests to URLs that do not start with `home` count as foreign."""
    watched = Watched(page)

    def on_dialog(dialog: object) -> None:
        watched.dialogs.append(dialog.message)  # type: ignore[attr-defined]
        dialog.dismiss()  # type: ignore[attr-defined]

    def on_console(message: object) -> None:
        # Violations of the content security policy appear in the console as well.
        text = str(message.text)  # type: ignore[attr-defined]
        place = str((message.location or {}).get("url", ""))  # type: ignore[attr-defined]
        if message.type == "error" and ("testerarmy" in place or "Content Security Policy" in text):  # type: ignore[attr-defined]
            watched.errors.append(text)

    def on_request(request: object) -> None:
        url = str(request.url)  # type: ignore[attr-defined]
        watched.asked.append(url)
        if not url.startswith((home, "data:", "blob:", "about:")):
            watched.foreign.append(url)

    page.on("dialog", on_dialog)
    page.on("console", on_console)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("request", on_request)
    return watched


def context(
    running: Browser, token: str | None, url: str, *, dark: bool = False, width: int = 1280
) -> BrowserContext:
    """A new browser context, signed in through the cookie that Airflow's login sets."""
    made = running.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="UTC",
    )
    made.set_default_timeout(PATIENCE)
    if token:
        made.add_cookies([{"name": "_token", "value": token, "url": url}])
    if dark:
        made.add_init_script("localStorage.setItem('theme', 'dark')")
    return made
