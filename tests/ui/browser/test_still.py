"""Page updates while someone reads: the real scripts in a real browser, with scripted API responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from airflow_provider_testerarmy import ui
from airflow_provider_testerarmy.ui.history import Filter, history
from tests.reports.cases import NIGHT, summary_of
from tests.ui.test_payloads import stored

pytestmark = pytest.mark.integration

STATIC = Path(ui.__file__).with_name("static")
HOME = "http://tab.test/testerarmy"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Answer = Callable[[str, dict[str, list[str]]], Any]
#: Counts what changes on the page from now on.
WATCH = """() => {
  window.changes = [];
  new MutationObserver((records) => window.changes.push(...records.map((one) => one.target.nodeName)))
    .observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
}"""
SELECT = """() => {
  const text = document.querySelector('.detail .said').firstChild;
  getSelection().setBaseAndExtent(text, 0, text, 6);
}"""


class Site:
    """Serves the tab's static files, and its data from a function; a response of None is held back."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.held: list[Route] = []
        self.answer: Answer = lambda path, query: {}
        page.route("**/*", self._serve)

    def _serve(self, route: Route) -> None:
        parts = urlsplit(route.request.url)
        path = parts.path.removeprefix("/testerarmy/")
        if path.startswith("api/"):
            answer = self.answer(path.removeprefix("api/"), parse_qs(parts.query))
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


@pytest.fixture
def site(chrome: Browser) -> Iterator[Site]:
    """A new browser window whose time zone is New York."""
    context = chrome.new_context(locale="en-GB", timezone_id="America/New_York")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Site(page)
    context.close()
    assert errors == []


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
    }


def test_nothing_moves_under_the_reader(site: Site) -> None:
    """Identical responses change nothing on the page; a new response changes only what differs."""
    now = {"b": "running"}

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        if path.endswith("/runs"):
            return {
                "runs": {each: detail(each, now.get(each, "failed")) for each in query["run"]},
                "notice": "",
            }
        return task()

    site.answer = answer
    page = site.page
    page.clock.install()
    site.open("task/d/r/t/-1")
    page.locator("#row-a").click()
    page.locator("#run-a summary").click()
    page.locator("#words").fill("Test")
    page.evaluate(SELECT)
    page.locator("#row-b").focus()
    page.evaluate("window.kept = document.querySelector('#run-a details')")
    page.evaluate("document.getSelection().rangeCount || 0")
    page.evaluate(WATCH)
    with page.expect_response(lambda each: "/runs" in each.url):
        page.clock.run_for(6_000)
    page.wait_for_timeout(100)
    assert page.evaluate("window.changes") == []
    now["b"] = "passed"
    with page.expect_response(lambda each: "/runs" in each.url):
        page.clock.run_for(6_000)
    expect(page.locator("#run-b .badge")).to_contain_text("Passed")
    assert page.evaluate("getSelection().toString()") == "The to"
    assert page.evaluate("document.activeElement.id") == "row-b"
    assert page.locator("#words").input_value() == "Test"
    assert page.evaluate("document.querySelector('#run-a details') === window.kept && window.kept.open")


def test_nothing_moves_in_the_list_of_a_dag_run(site: Site) -> None:
    """A task that waits is asked for again; a new verdict changes its own line alone."""
    waiting = stored(None, {"label": "group g", "title": "Orders"}, state="deferred", task_id="orders")
    tasks = [stored(summary_of(NIGHT)), waiting]
    now = {"tasks": history(tasks, Filter())["runs"], "most": 500}
    site.answer = lambda path, query: now
    page = site.page
    page.clock.install()
    site.open("dag-run/d/r")
    page.evaluate("""() => {
      const text = document.querySelector('.task .reasons li').firstChild;
      getSelection().setBaseAndExtent(text, 0, text, 6);
    }""")
    page.get_by_role("link", name="orders").focus()
    kept = page.evaluate("getSelection().toString()")
    page.evaluate(WATCH)
    with page.expect_response(lambda each: "/dag-run" in each.url):
        page.clock.run_for(6_000)
    page.wait_for_timeout(100)
    assert (page.evaluate("window.changes"), len(kept)) == ([], 6)
    tasks[1] = stored(summary_of(NIGHT), {"label": "group g", "title": "Orders"}, task_id="orders")
    now = {"tasks": history(tasks, Filter())["runs"], "most": 500}
    page.clock.run_for(6_000)
    expect(page.locator(".task", has_text="orders").locator(".badge").first).to_contain_text("Failed")
    assert page.evaluate("getSelection().toString()") == kept
    assert page.evaluate("document.activeElement.textContent") == "orders"


@pytest.mark.parametrize("view", ["task/d/r/t/-1", "dag-run/d/r"])
def test_a_session_that_ends_while_the_page_is_open(site: Site, view: str) -> None:
    """The page says so in place of statements that are no longer true."""
    waiting = stored(None, {"label": "group g"}, state="deferred")
    listed = {"tasks": history([waiting], Filter())["runs"], "most": 500}
    site.answer = lambda path, query: (
        {"runs": {}, "notice": ""} if path.endswith("/runs") else listed if "dag-run" in path else task()
    )
    page = site.page
    page.clock.install()
    site.open(view)
    page.route("**/api/**", lambda route: route.fulfill(status=401))
    page.clock.run_for(6_000)
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()


def test_what_is_drawn_again_still_works(site: Site) -> None:
    """After an update, runs still open and close, and the filter still works."""
    site.answer = lambda path, query: (
        {"runs": {each: detail(each) for each in query["run"]}, "notice": ""}
        if path.endswith("/runs")
        else task()
    )
    site.open("task/d/r/t/-1")
    row = site.page.locator("#row-a")
    for expanded in ("true", "false", "true"):
        row.click()
        expect(row).to_have_attribute("aria-expanded", expanded)
    site.page.locator("#words").fill("Test b")
    expect(site.page.locator(".run")).to_have_count(1)
    site.page.locator("#words").fill("nothing")
    expect(site.page.get_by_text("No matching runs.")).to_be_visible()
    site.page.locator("#words").fill("")
    expect(site.page.locator(".run")).to_have_count(14)


def past(query: dict[str, list[str]]) -> dict[str, Any]:
    """The history endpoint's payload for these filters."""
    tasks = [
        stored(summary_of(NIGHT), dag_id="shop"),
        stored({**summary_of(NIGHT), "verdict": "passed"}, dag_id="passing", task_id="good"),
    ]
    wanted = Filter(*(query.get(name, [""])[0] for name in ("dag_id", "group", "verdict")))
    return {**history(tasks, wanted), "days": 30, "cut": False, "searched": 2}


def test_a_late_answer_does_not_overwrite_a_newer_one(site: Site) -> None:
    """The rows always match the filters that the page shows."""

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        return None if query.get("dag_id") == ["shop"] and "verdict" not in query else past(query)

    site.answer = answer
    site.open("history")
    page = site.page
    rows = page.locator("section[aria-labelledby=runs] tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_label("DAG").select_option("shop")
    page.get_by_label("Verdict").select_option("passed")
    expect(page.get_by_role("heading", name="No matching test tasks")).to_be_visible()
    for route in site.held:
        route.fulfill(json=past({"dag_id": ["shop"]}))
    page.wait_for_timeout(200)
    expect(page.get_by_role("heading", name="No matching test tasks")).to_be_visible()
    page.get_by_label("DAG").select_option("passing")
    expect(rows).to_have_count(1)


@pytest.mark.parametrize(("cut", "number"), [(False, "2"), (True, "2+")])
def test_the_number_of_tasks_is_a_lower_bound_if_not_all_were_searched(
    site: Site, cut: bool, number: str
) -> None:
    """The page says so, and how many were searched."""
    site.answer = lambda path, query: {**past(query), "cut": cut, "searched": 5000}
    site.open("history")
    expect(site.page.locator(".figure b").first).to_have_text(number)
    expect(site.page.locator("#runs .dim")).to_have_text(number)
    expect(site.page.get_by_text("Only the newest 5,000 test tasks were searched.")).to_have_count(int(cut))


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [('"UTC"', "UTC"), ('"Asia/Tokyo"', "GMT+9"), (None, "GMT-5"), ("{", "GMT-5"), ('"x"', "GMT-5")],
)
def test_times_are_in_airflows_time_zone(site: Site, chosen: str | None, shown: str) -> None:
    """Times use the zone from Airflow's settings and name it; without a valid setting, the browser's."""
    site.page.add_init_script(
        f"const zone = {json.dumps(chosen)}; zone && localStorage.setItem('timezone', zone)"
    )
    site.answer = lambda path, query: task(source="summary")
    site.open("task/d/r/t/-1")
    expect(site.page.locator(".head .facts")).to_contain_text(shown)


@pytest.mark.parametrize(("given", "count"), [(False, 0), (True, 1)])
def test_an_operator_that_was_refused_did_not_wait(site: Site, given: bool, count: int) -> None:
    """A sensor waits for runs of another task; an operator without runs does not."""
    ended = {"task_id": "t", "state": "failed", "finished": True, "try_number": 1, "started": 1.77e9}
    site.answer = lambda path, query: task(
        label="", given=given, runs=[], total=0, task=ended, reason="The test was not started: not found."
    )
    site.open("task/d/r/t/-1")
    expect(site.page.get_by_role("status")).to_have_text("The test was not started: not found.")
    expect(site.page.get_by_text("Waited for runs")).to_have_count(count)


@pytest.mark.parametrize(
    ("state", "reason", "total", "said"),
    [
        ("failed", "", 0, "This task did not say which runs it started, if any. See its log for the reason."),
        ("failed", "It may have started.", 0, "It may have started."),
        ("failed", "It was stopped.", 2, "The task ended without a verdict: It was stopped."),
        ("up_for_retry", "It was down.", 0, "The last try failed: It was down."),
    ],
)
def test_why_there_is_no_verdict(site: Site, state: str, reason: str, total: int, said: str) -> None:
    """The page never says that nothing was started unless the task has said so."""
    ended = {
        "task_id": "t",
        "state": state,
        "finished": state == "failed",
        "try_number": 1,
        "started": 1.77e9,
    }
    site.answer = lambda path, query: task(runs=[], total=total, task=ended, reason=reason, source="summary")
    site.open("task/d/r/t/-1")
    expect(site.page.get_by_role("status")).to_have_text(said)


JUDGED = {
    "verdict": "failed",
    "reasons": [],
    "more_reasons": 0,
    "issues": [],
    "more_issues": 0,
    "flaky": 0,
    "batch_id": "",
    "started": None,
    "ended": None,
}


def judged(counts: dict[str, int], outcomes: list[str]) -> dict[str, Any]:
    """A judged task with these counts, and a list with these outcomes."""
    ended = {"task_id": "t", "state": "failed", "finished": True, "try_number": 1, "started": 1.77e9}
    rows = [
        {"id": str(number), "title": str(number), "outcome": outcome, "seconds": None, "flaky": False}
        for number, outcome in enumerate(outcomes)
    ]
    return task(
        task=ended, summary={**JUDGED, "counts": counts}, runs=rows, total=len(rows), source="summary"
    )


def test_counts_are_those_of_the_list(site: Site) -> None:
    """Where they differ, the page says why."""
    counts = {"total": 4, "failed": 2, "passed": 2}
    site.answer = lambda path, query: judged(counts, ["failed", "failed", "passed", "passed"])
    site.open("task/d/r/t/-1")
    choices = site.page.locator(".choices button")
    expect(choices).to_have_text(["All", "Failed 2", "Passed 2"])
    expect(site.page.get_by_text("These outcomes were judged")).to_have_count(0)
    site.answer = lambda path, query: judged(counts, ["failed", "passed", "", ""])
    site.open("task/d/r/t/-1")
    expect(choices).to_have_text(["All", "Failed 1 of 2", "Passed 1 of 2"])
    site.answer = lambda path, query: judged({"total": 2, "unknown": 1, "passed": 1}, ["running", "passed"])
    site.open("task/d/r/t/-1")
    expect(site.page.get_by_text("are now: 1 passed, 1 running.")).to_be_visible()


def test_a_dag_runs_list_names_the_test(site: Site) -> None:
    """The list shows the first reasons and how many more there are."""
    (entry,) = history([stored({**summary_of(NIGHT), "reasons": list("abcd")})], Filter())["runs"]
    site.answer = lambda path, query: {"tasks": [entry], "most": 500}
    site.open("dag-run/d/r")
    expect(site.page.locator(".task .reasons li")).to_have_text(["a", "b", "c"])
    expect(site.page.locator(".task")).to_contain_text("and 1 more reason")
