"""Answers that are late, aborted or partial: the real scripts in a real browser, with scripted API responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.scripted import Site, detail, task
from tests.ui.browser.test_still import past

pytestmark = pytest.mark.integration

TASK = "task/d/r/t/-1"
LOADING = "Loading…"


@pytest.fixture
def site(chrome: Browser) -> Iterator[Site]:
    """A new browser window whose clock the test moves."""
    context = chrome.new_context(locale="en-GB")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.clock.install()
    yield Site(page)
    context.close()
    assert errors == []


def refreshed(page: Page, path: str) -> None:
    """Move the clock to the next refresh, and wait for what it asks of this path."""
    with page.expect_response(lambda each: f"/{path}" in each.url):
        page.clock.run_for(6_000)


def test_an_aborted_refresh_leaves_no_loading_text(site: Site) -> None:
    """The details of an open run come with the next refresh, and a late answer to the first changes nothing."""
    asked: list[str] = []

    def answer(path: str, query: dict[str, list[str]]) -> Any:
        if not path.endswith("/runs"):
            return task()
        asked.append(path)
        # What the first refresh asks for, and what the reader does by opening a run.
        return (
            None if len(asked) <= 2 else {"runs": {each: detail(each) for each in query["run"]}, "notice": ""}
        )

    site.answer = answer
    site.open(TASK)
    page = site.page
    page.locator("#row-a").click()
    opened = page.locator("#run-a .detail")
    expect(opened).to_contain_text(LOADING)
    # A reader who comes back to the page does not wait for the answers to the refresh before.
    with page.expect_response(lambda each: "/runs" in each.url):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(opened).to_contain_text("The total is missing.")
    expect(page.get_by_text(LOADING)).to_have_count(0)
    for route in site.held:
        route.fulfill(json={"runs": {"a": {**detail("a"), "reason": "An older answer."}}, "notice": "late"})
    page.wait_for_timeout(200)
    expect(opened).to_contain_text("The total is missing.")
    expect(page.get_by_text("late", exact=True)).to_have_count(0)


def test_an_aborted_next_page_leaves_no_loading_button(site: Site) -> None:
    """Filters that change while the next page loads show their own list."""
    site.answer = lambda path, query: (
        None
        if "after" in query
        else {**past(query), "next": "two", "figures": {**past({})["figures"], "tasks": 9}}
    )
    site.open("history")
    page = site.page
    button = page.locator("#more-runs")
    button.click()
    expect(button).to_have_text(LOADING)
    page.get_by_label("DAG", exact=True).select_option("passing")
    expect(page.locator("section[aria-labelledby=runs] tbody tr")).to_have_count(1)
    expect(button).to_be_enabled()
    expect(page.get_by_text(LOADING)).to_have_count(0)
    for route in site.held:
        route.fulfill(json={"runs": past({})["runs"], "next": "", "complete_since": None, "reading": False})
    page.wait_for_timeout(200)
    expect(page.locator("section[aria-labelledby=runs] tbody tr")).to_have_count(1)


QUARANTINE = {"since": 1.77e9, "until": 1.9e9, "owner": "Ada", "reason": "Flaky", "commit": "", "past": False}
MEMORY: dict[str, Any] = {"may_edit": False, "owner": "", "why": "", "command": ""}
OFFER: dict[str, Any] = {
    "may": True,
    "state": "failed",
    "try_number": 2,
    "all": {"why": "", "runs": 2},
    "rest": {"why": "all", "runs": 0, "issues": False},
    "cancel": {"why": "ended", "runs": [], "count": 0},
    "left": 0,
    "others": 0,
    "testing": 0,
}
EARLIER = {"try": 1, "verdict": "failed", "at": 1.77e9, "counts": {}, "reasons": [], "tests": [], "more": 0}


@pytest.mark.parametrize(
    ("path", "newer", "older", "shown"),
    [
        (
            "memory",
            {**MEMORY, "tests": {"t-a": {"quarantine": QUARANTINE, "failing": None}}},
            {**MEMORY, "tests": {}},
            "#run-a .chip",
        ),
        ("tries", {"tries": [EARLIER], "rounds": {}}, {"tries": [], "rounds": {}}, "#try-1"),
        ("actions", OFFER, {"may": False}, "#action-all"),
    ],
)
def test_a_late_answer_never_overwrites_a_newer_one(
    site: Site, path: str, newer: dict[str, Any], older: dict[str, Any], shown: str
) -> None:
    """What was asked during the first try arrives after the answer about the second."""
    site.beside.pop(path, None)
    now = {"try_number": 1, "state": "deferred"}
    asked: list[str] = []

    def answer(asked_path: str, query: dict[str, list[str]]) -> Any:
        if asked_path.endswith(f"/{path}"):
            asked.append(path)
            return None if len(asked) == 1 else newer
        if asked_path.endswith("/memory"):
            return {**MEMORY, "tests": {}}
        if asked_path.endswith("/runs"):
            return {"runs": {}, "notice": ""}
        usual = task()
        rows = [{**usual["runs"][0], "test_id": "t-a"}, *usual["runs"][1:]]
        return {**usual, "runs": rows, "task": {**usual["task"], **now}}

    site.answer = answer
    site.open(TASK)
    page = site.page
    expect(page.locator(shown)).to_have_count(0)
    now.update(try_number=2, state="up_for_retry")
    refreshed(page, path)
    expect(page.locator(shown)).to_be_visible()
    (late,) = site.held
    with page.expect_response(lambda each: f"/{path}" in each.url):
        late.fulfill(json=older)
    page.wait_for_timeout(200)
    expect(page.locator(shown)).to_be_visible()


def test_a_partial_history_says_so_until_it_is_complete(site: Site) -> None:
    """The page asks again by itself, and its figures are then those of the whole answer."""
    now: dict[str, Any] = {"complete_since": 1.77e9, "reading": True}
    figures = past({})["figures"]
    site.answer = lambda path, query: {
        **past(query),
        **now,
        "figures": {**figures, "tasks": 7 if now["reading"] else 9},
    }
    site.open("history")
    page = site.page
    notice = page.get_by_text("Older test tasks are still being read.")
    expect(notice).to_be_visible()
    expect(page.locator(".figure b").first).to_have_text("7")
    refreshed(page, "history")
    expect(notice).to_be_visible()
    now.update(complete_since=None, reading=False)
    refreshed(page, "history")
    expect(notice).to_have_count(0)
    expect(page.locator(".figure b").first).to_have_text("9")


def test_choices_appear_once_all_tasks_are_read(site: Site) -> None:
    """With a filter, the list may be complete before the choices of the other filters are."""
    now: dict[str, Any] = {"complete_since": None, "reading": True}
    whole = past({})["choices"]
    few = {**whole, "verdicts": ["failed"]}
    site.answer = lambda path, query: {**past(query), **now, "choices": few if now["reading"] else whole}
    site.open("history?verdict=failed")
    page = site.page
    options = page.get_by_label("Verdict", exact=True).locator("option")
    expect(page.get_by_text("Older test tasks are still being read.")).to_have_count(0)
    expect(options).to_have_count(2)
    now["reading"] = False
    refreshed(page, "history")
    expect(options).to_have_count(3)


def test_the_servers_notices_are_in_the_language_of_the_page(site: Site) -> None:
    """Also with a value in them; words that are no key stay as they are."""
    site.page.add_init_script("localStorage.setItem('i18nextLng', 'de')")
    said = {
        "silent": "Der Dienst antwortet nicht.",
        "unreadable:shop:eu": "Der API-Server kann die Connection shop:eu nicht lesen.",
        "No such thing: here": "No such thing: here",
    }
    for notice, text in said.items():
        site.answer = lambda path, query, notice=notice: (  # type: ignore[misc]
            {"runs": {}, "notice": notice} if path.endswith("/runs") else task()
        )
        site.open(TASK)
        expect(site.page.locator("section[aria-labelledby=runs] .notice")).to_contain_text(text)
