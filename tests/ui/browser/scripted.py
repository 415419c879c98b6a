"""The tab's real scripts in a real browser, with scripted answers of its API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, Route, expect

from airflow_provider_testerarmy import ui

STATIC = Path(ui.__file__).with_name("static")
HOME = "http://tab.test/testerarmy"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'"
)
TYPES = {".js": "text/javascript", ".json": "application/json", ".css": "text/css", ".svg": "image/svg+xml"}

Answer = Callable[[str, dict[str, list[str]]], Any]
#: What the page loads beside the task: nobody may act, there is one try, and nothing is known of the wait.
BESIDE = {
    "actions": {"may": False},
    "live": {"now": 1.77e9, "started": None, "usual": None, "answered": None, "outage": None, "titles": {}},
    "tries": {"tries": [], "rounds": {}},
}


class Site:
    """Serves the tab's static files, and its data from a function; a response of None is held back."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.held: list[Route] = []
        self.answer: Answer = lambda path, query: {}
        self.beside: dict[str, Any] = dict(BESIDE)
        page.route("**/*", self._serve)

    def _serve(self, route: Route) -> None:
        parts = urlsplit(route.request.url)
        path = parts.path.removeprefix("/testerarmy/")
        if path.startswith("api/"):
            beside = self.beside.get(path.rpartition("/")[2])
            answer = beside or self.answer(path.removeprefix("api/"), parse_qs(parts.query))
            self.held.append(route) if answer is None else route.fulfill(json=answer)
        elif path.startswith("static/"):
            file = STATIC / path.removeprefix("static/")
            route.fulfill(body=file.read_text(), content_type=TYPES[file.suffix])
        else:
            root = "../" * (path.count("/"))
            body = (STATIC / "page.html").read_text().replace("{{root}}", root)
            route.fulfill(body=body, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    def open(self, view: str) -> None:
        self.page.goto(f"{HOME}/view/{view}")
        expect(self.page.locator("#page:not([aria-busy])")).to_be_visible()


def task(**changes: Any) -> dict[str, Any]:
    """The task endpoint's payload for a task that waits."""
    usual = {
        "kind": "tests",
        "task": {"task_id": "t", "state": "deferred", "finished": False, "try_number": 1, "started": 1.77e9},
        "summary": None,
        "runs": [
            {"id": name, "title": f"Test {name}", "outcome": outcome, "seconds": 3.0, "flaky": False}
            for name, outcome in (("a", "failed"), ("b", "running"), *((str(n), "passed") for n in range(12)))
        ],
        "total": 14,
        "source": "service",
        "given": False,
        "url": "",
        "reports": [],
        "reason": "",
        "group": "g",
        "group_title": "Checkout",
        "label": "group g",
    }
    return {**usual, **changes}


def detail(run_id: str, outcome: str = "failed") -> dict[str, Any]:
    issue = {
        "name": "No total",
        "confirmed": True,
        "severity": 4,
        "description": "",
        "url": "",
        "expected": "1",
    }
    return {
        "id": run_id,
        "outcome": outcome,
        "title": "",
        "seconds": 3.0,
        "flaky": False,
        "issues": 1,
        "status": "completed",
        "test_id": "",
        "reason": "The total is missing.",
        "code": "",
        "url": "",
        "video": "",
        "findings": [{**issue, "actual": "2", "reproduction": ["Open the cart"]}],
        "steps": [],
        "pictures": [],
        "left_out": "",
        "markdown": "" if outcome in ("passed", "running") else f"### Test {run_id}\n",
    }


@contextmanager
def opened(chrome: Browser, **options: Any) -> Iterator[Site]:
    """A new browser window, after which no script may have failed."""
    context = chrome.new_context(locale="en-GB", **options)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Site(page)
    context.close()
    assert errors == []
