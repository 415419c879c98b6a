"""What people are used to: reduced motion, the keyboard, and what a task that waits tells. Scripted responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from airflow_provider_testerarmy.ui.history_filter import Filter
from tests.ui.browser.scripted import Site, detail, opened, task
from tests.ui.browser.test_still import past
from tests.ui.browser.test_task_page import TASK
from tests.ui.browser.test_task_page import answer as ended
from tests.ui.histories import history

pytestmark = pytest.mark.integration

#: A later style sheet that moves everything. It has no influence on readers who ask for reduced motion.
MOVING = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`@keyframes drift { to { translate: 9px } }
    *, ::before, ::after, ::backdrop { transition: all 2s; animation: drift 2s infinite }
    html { scroll-behavior: smooth }`);
  document.adoptedStyleSheets = [sheet];
}"""
#: What would move: the elements and their parts with a duration, and the animations that run.
MOTION = """() => {
  const found = [];
  for (const node of document.querySelectorAll("*")) {
    for (const part of [null, "::before", "::after", "::backdrop"]) {
      const style = getComputedStyle(node, part);
      const durations = `${style.animationDuration}, ${style.transitionDuration}`.split(", ").map(parseFloat);
      const moves = style.animationName !== "none" || durations.some((one) => one > 0);
      if (moves || style.scrollBehavior === "smooth") found.push(`${node.nodeName}${part ?? ""}`);
    }
  }
  return [...new Set(found), ...document.getAnimations().map((one) => one.playState)];
}"""

#: Marks each control, in the order of the page, and names those that a mouse alone can use.
CONTROLS = """() => {
  const usual = "a[href], button:not(:disabled), input, select, textarea, summary, [tabindex='0']";
  const shown = (node) => node.checkVisibility() && node.closest("main");
  const controls = [...document.querySelectorAll(usual)].filter(shown);
  controls.forEach((node, place) => { node.place = place; });
  const clicked = [...document.querySelectorAll("main *")].filter((node) => node.listeners?.click);
  const mouse = clicked.filter((node) => !controls.includes(node));
  return [controls.length, mouse.map((node) => node.outerHTML)];
}"""
#: The place of the control with the focus, and whether the page shows where the focus is.
FOCUSED = """() => {
  const node = document.activeElement;
  return [node.place ?? null, node.matches(":focus-visible") && getComputedStyle(node).outlineStyle !== "none"];
}"""


@pytest.fixture
def site(chrome: Browser) -> Iterator[Site]:
    """A browser window of a laptop, whose clock the test moves."""
    with opened(chrome, timezone_id="UTC", viewport={"width": 1400, "height": 900}) as site:
        yield site


def motion(page: Page) -> list[str]:
    found: list[str] = page.evaluate(MOTION)
    return found


@pytest.mark.parametrize("wanted", ["reduce", "no-preference"])
def test_reduced_motion(site: Site, wanted: Any) -> None:
    """While the page updates and while a picture is shown: nothing moves by itself, and nothing can be made to."""
    page = site.page
    page.emulate_media(reduced_motion=wanted)
    page.clock.install()
    now = {"b": "running"}
    site.answer = lambda path, query: (
        {"runs": {each: detail(each, now.get(each, "failed")) for each in query["run"]}, "notice": ""}
        if path.endswith("/runs")
        else task()
    )
    site.open(TASK)
    page.locator("#row-b").click()
    assert motion(page) == []
    page.evaluate(MOVING)
    now["b"] = "passed"
    with page.expect_response(lambda each: "/runs" in each.url):
        page.clock.run_for(6_000)
    expect(page.locator("#run-b .badge").first).to_contain_text("Passed")
    assert (motion(page) == []) is (wanted == "reduce")

    site.answer = ended
    site.open(TASK)
    page.locator(".first .enlarge").click()
    expect(page.locator(".lightbox img")).to_be_visible()
    assert motion(page) == []
    page.evaluate(MOVING)
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".lightbox").get_by_role("status")).to_have_text("1 of 2: Screenshot 1")
    found = motion(page)
    assert (found == []) is (wanted == "reduce")
    assert ("DIALOG::backdrop" in found) is (wanted != "reduce")


def a_task(path: str, query: dict[str, list[str]]) -> Any:
    """A task that has ended, with a failure that the viewer may quarantine."""
    found = ended(path, query)
    return {**found, "may_edit": True, "owner": "ada", "command": ""} if path.endswith("/memory") else found


@pytest.mark.parametrize(
    ("view", "answer"),
    [
        (TASK, a_task),
        ("dag-run/d/r", lambda path, query: {"tasks": past(query)["runs"], "most": 500}),
        ("history", lambda path, query: past(query)),
        ("history?test=t-checkout", lambda path, query: past(query)),
    ],
    ids=["task", "dag-run", "history", "test"],
)
def test_the_keyboard_reaches_everything(site: Site, view: str, answer: Any) -> None:
    """Tab leads through all controls in the order of the page, and each shows the focus. None needs a mouse."""
    page = site.page
    site.answer = answer
    site.open(view)
    if view == TASK:
        expect(page.locator(".first")).to_be_visible()
        page.locator("#row-b").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#row-b")).to_have_attribute("aria-expanded", "true")
        expect(page.locator("#run-b .detail .steps")).to_be_visible()
        page.evaluate("document.activeElement.blur(); getSelection().removeAllRanges()")
    count, mouse = page.evaluate(CONTROLS)
    assert mouse == []
    assert count > 2
    visited = []
    page.evaluate(
        "document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')"
    )
    for _ in range(count):
        page.keyboard.press("Tab")
        visited.append(page.evaluate(FOCUSED))
    assert visited == [[place, True] for place in range(count)]


def waits(**live: Any) -> dict[str, Any]:
    """What the page learns beside the task: it has waited for five minutes."""
    known = {"now": 1.77e9 + 300, "started": 1.77e9, "usual": None, "answered": None, "outage": None}
    return {**known, "titles": {}, **live}


def waiting_for(site: Site, **live: Any) -> Page:
    """The page of a task with two runs, of which nothing has been read yet."""
    rows = [
        {"id": f"4f2d1c9a-0000-4000-8000-00000000000{place}", "title": "", "outcome": "", "seconds": None}
        for place in range(2)
    ]
    rows = [{**row, "test_id": f"t-{place}", "flaky": False} for place, row in enumerate(rows)]
    site.beside["live"] = waits(**live)
    beside = {"runs": {"runs": {}, "notice": ""}, "memory": {"tests": {}, "why": "", "may_edit": False}}
    site.answer = lambda path, query: beside.get(path.rpartition("/")[2]) or task(runs=rows, total=2)
    site.open(TASK)
    expect(site.page.locator(".live")).to_be_visible()
    return site.page


def test_titles_from_the_first_second(site: Site) -> None:
    """A run whose test has no title yet has its place, and never a bare id."""
    page = waiting_for(site, titles={"t-1": "Checkout"})
    expect(page.locator(".run .title")).to_have_text(["Test run 1", "Checkout"])
    expect(page.get_by_text("4f2d1c9a")).to_have_count(0)


@pytest.mark.parametrize(
    ("usual", "said", "bar", "late"),
    [
        (600, "running for 5 min 00 s, usually 10 min 00 s (median of 20 nights)", "50% of the usual", False),
        (200, "running for 5 min 00 s, usually 3 min 20 s (median of 20 nights)", "150% of the usual", True),
    ],
)
def test_elapsed_against_usual(site: Site, usual: int, said: str, bar: str, late: bool) -> None:
    """In words and as a bar, which is full and of another colour once the task is late."""
    page = waiting_for(site, usual={"seconds": usual, "nights": 20}, answered=1.77e9 + 290)
    live = page.locator(".live")
    expect(live).to_contain_text(said)
    expect(live).to_contain_text("runs last read 2 Feb 2026, 02:44 UTC")
    lane = live.get_by_role("img", name=bar)
    outer, inner = lane.bounding_box(), lane.locator("i").bounding_box()
    assert outer
    assert inner
    assert round(inner["width"] / outer["width"], 2) == (1 if late else 0.5)
    colour = "node => getComputedStyle(node).backgroundColor"
    errored = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--errored')")
    page.evaluate("colour => document.body.style.setProperty('color', colour)", errored)
    as_errored = page.evaluate("getComputedStyle(document.body).color")
    assert (lane.locator("i").evaluate(colour) == as_errored) is late


def test_what_a_task_waits_for_during_an_outage(site: Site) -> None:
    """Since when there is no answer, and until when the task waits."""
    outage = {"since": 1.77e9 + 60, "until": 1.77e9 + 660, "notice": "silent"}
    page = waiting_for(site, outage=outage)
    said = page.locator(".live").get_by_role("status")
    expect(said).to_contain_text("The API server has had no answer since 2 Feb 2026, 02:41 UTC.")
    expect(said).to_contain_text("it waits until 2 Feb 2026, 02:51 UTC at most.")


@pytest.mark.parametrize(
    ("status", "heading", "next_step"),
    [
        (401, "You are signed out", "Sign in to Airflow again, then reload this page."),
        (403, "You don't have access", "Ask your Airflow administrator."),
        (404, "Not found", "Choose another one of its DAG."),
        (500, "Something went wrong", "See its log for the cause."),
        (0, "Airflow is not responding", "If this lasts, reload the page."),
    ],
)
def test_an_error_says_what_to_do(site: Site, status: int, heading: str, next_step: str) -> None:
    """What is wrong, in a heading, and the next step."""
    site.page.route("**/api/**", lambda route: route.fulfill(status=status) if status else route.abort())
    site.open(TASK)
    expect(site.page.get_by_role("heading")).to_have_text(heading)
    expect(site.page.locator(".empty")).to_contain_text(next_step)


@pytest.mark.parametrize(
    ("view", "answer", "heading", "next_step"),
    [
        (TASK, {"kind": "none", "task": task()["task"]}, "No test runs here", "View the history"),
        ("dag-run/d/r", {"tasks": [], "most": 500}, "No test runs yet", "View the history"),
        ("history", history([], Filter()), "No test runs", "Choose a longer period."),
        ("history?verdict=failed", history([], Filter()), "No matching test tasks", "Clear all filters"),
    ],
    ids=["task", "dag-run", "history", "filtered"],
)
def test_an_empty_page_says_what_to_do(
    site: Site, view: str, answer: dict[str, Any], heading: str, next_step: str
) -> None:
    """A page without test runs leads to others."""
    site.answer = lambda path, query: answer
    site.open(view)
    empty = site.page.locator(".empty")
    expect(empty.get_by_role("heading")).to_have_text(heading)
    expect(empty).to_contain_text(next_step)
