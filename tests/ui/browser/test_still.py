"""Page updates while someone reads: the real scripts in a real browser, with scripted API responses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from airflow_provider_testerarmy.ui.history_filter import Filter
from tests.reports.cases import NIGHT, summary_of
from tests.ui.browser.scripted import HOME, Site, detail, opened, task
from tests.ui.histories import history
from tests.ui.test_payloads import stored

pytestmark = pytest.mark.integration

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


@pytest.fixture
def site(chrome: Browser) -> Iterator[Site]:
    """A new browser window whose time zone is New York."""
    with opened(chrome, timezone_id="America/New_York") as site:
        yield site


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
      const text = document.querySelector('.task .why span').firstChild;
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
    wanted = Filter(*(query.get(name, [""])[0] for name in ("dag_id", "group", "verdict", "test", "search")))
    return history(tasks, wanted)


def test_a_late_answer_does_not_overwrite_a_newer_one(site: Site) -> None:
    """The rows always match the filters that the page shows."""

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        return None if query.get("dag_id") == ["shop"] and "verdict" not in query else past(query)

    site.answer = answer
    site.open("history")
    page = site.page
    rows = page.locator("section[aria-labelledby=runs] tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_label("DAG", exact=True).select_option("shop")
    page.get_by_label("Verdict", exact=True).select_option("passed")
    expect(page.get_by_role("heading", name="No matching test tasks")).to_be_visible()
    for route in site.held:
        route.fulfill(json=past({"dag_id": ["shop"]}))
    page.wait_for_timeout(200)
    expect(page.get_by_role("heading", name="No matching test tasks")).to_be_visible()
    page.get_by_label("DAG", exact=True).select_option("passing")
    expect(rows).to_have_count(1)


def test_the_next_page_is_added_below(site: Site) -> None:
    """The first page stays as it is, and the number is that of all matching tasks."""
    rows = [{**past({})["runs"][0], "task_id": f"t{number}"} for number in range(3)]

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        if query.get("after") == ["two"]:
            return {"runs": rows[2:], "next": ""}
        return {
            **past(query),
            "runs": rows[:2],
            "next": "two",
            "figures": {**past({})["figures"], "tasks": 3},
        }

    site.answer = answer
    site.open("history")
    listed = site.page.locator("section[aria-labelledby=runs] tbody tr")
    expect(listed).to_have_count(2)
    expect(site.page.locator("#runs .dim")).to_have_text("3")
    site.page.get_by_role("button", name="Show 1 more task").click()
    expect(listed).to_contain_text(["t0", "t1", "t2"])
    expect(site.page.locator("#more-runs")).to_have_count(0)


def test_a_view_is_in_its_address(site: Site) -> None:
    """A view opens as it was sent, and the back button leads to the view before."""
    site.answer = lambda path, query: past(query)
    site.open("history?dag_id=shop&days=7")
    page = site.page
    rows = page.locator("section[aria-labelledby=runs] tbody tr")
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Period", exact=True)).to_have_value("7")
    page.get_by_label("Verdict", exact=True).select_option("failed")
    expect(page).to_have_url(f"{HOME}/view/history?dag_id=shop&days=7&verdict=failed")
    page.locator("section[aria-labelledby=tests] tbody").get_by_role("link").first.click()
    expect(page.get_by_role("link", name="All test runs")).to_be_visible()
    key = parse_qs(urlsplit(page.url).query)["test"][0]
    expect(page.locator("section[aria-labelledby=results] tbody tr")).to_have_count(1)
    page.reload()
    expect(page.locator("section[aria-labelledby=results] tbody tr")).to_have_count(1)
    page.go_back()
    expect(page.get_by_label("Verdict", exact=True)).to_have_value("failed")
    expect(rows).to_have_count(1)
    assert key not in page.url
    page.get_by_label("Search").fill("nothing of the kind")
    expect(page.get_by_role("heading", name="No matching test tasks")).to_be_visible()
    expect(page.get_by_label("Search")).to_be_focused()
    page.get_by_role("link", name="Clear all filters").click()
    expect(rows).to_have_count(2)


@pytest.mark.parametrize("count", [1, 7, 366])
def test_each_night_has_a_bar_of_its_own(site: Site, count: int) -> None:
    """A failure is as visible among 366 nights as among seven, and the keyboard reads each night."""
    made = [
        {
            "when": 1.77e9 + 86400 * each,
            "verdicts": {"failed": 1} if each == 0 else {"passed": 9},
            "seconds": 60.0,
        }
        for each in range(count)
    ]
    chart = [{**night, "passed": 1, "judged": 2} for night in made]
    site.answer = lambda path, query: {**past(query), "nights": chart}
    site.open("history")
    plot = site.page.get_by_role("slider", name="Test tasks by verdict")
    expect(plot.locator("g.night")).to_have_count(count)
    box = plot.locator("rect.bar.k-failed").bounding_box()
    assert box is not None
    assert box["width"] >= 1
    assert box["height"] >= 4
    plot.focus()
    site.page.keyboard.press("Home")
    expect(plot).to_have_attribute("aria-valuetext", re.compile("1 failed"))
    expect(plot.locator(".reading")).to_contain_text("1 failed")


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


def test_a_dag_runs_list_begins_with_the_worst(site: Site) -> None:
    """One row a task: what failed, then what has no verdict, what still waits, and what passed."""
    summaries = {each: {**summary_of(NIGHT), "verdict": each} for each in ("passed", "errored", "failed")}
    tasks = [stored(summary, task_id=name) for name, summary in summaries.items()]
    tasks += [stored(None, {"label": "g"}, task_id=state, state=state) for state in ("deferred", "success")]
    site.answer = lambda path, query: {"tasks": history(tasks, Filter())["runs"], "most": 500}
    site.open("dag-run/d/r")
    names = site.page.locator(".tests-of-run tbody th a")
    expect(names).to_have_text(["failed", "errored", "success", "deferred", "passed"])


def test_a_dag_runs_list_names_the_test(site: Site) -> None:
    """The table shows the reason that names a test, and how many more there are."""
    named = f"{summary_of(NIGHT)['tests'][0]['title']}: failed: no total"
    (entry,) = history([stored({**summary_of(NIGHT), "reasons": [*"abc", named]})], Filter())["runs"]
    site.answer = lambda path, query: {"tasks": [entry], "most": 500}
    site.open("dag-run/d/r")
    expect(site.page.locator(".task .why")).to_contain_text(named)
    expect(site.page.locator(".task .why")).to_contain_text("and 3 more reasons")
