"""Remote text stays text in every field and view: no script runs, and only https URLs become links."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from airflow_provider_testerarmy.lifecycle.reporting import render
from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step
from tests.reports.cases import summary_of
from tests.ui.browser.chromium import Watched, watch
from tests.ui.browser.stage import Stage

pytestmark = pytest.mark.integration

Visit = Callable[..., Watched]

SCRIPT = (
    "</title></style></textarea></script><script>window.top.hacked='script';window.hacked='script'</script>"
    "<img src=x onerror=\"window.hacked='img'\"><svg onload=\"window.hacked='svg'\">"
    "<iframe srcdoc=\"<script>parent.hacked='frame'</script>\"></iframe>"
    '<a href="javascript:window.hacked=\'link\'">click</a>" onmouseover="window.hacked=\'attribute\'" x="'
)
CONTROLS = "\x00\x07\x1b[31m\x7f\u202egnp.exe\u2066\u200b\ufeff\u2028"
LONG = "3 MB of text " * 240_000
NASTY = f"{SCRIPT} {CONTROLS} {{{{ 7*7 }}}} [x](javascript:alert(1)) ]]>"
ADDRESSES = (
    "javascript:window.hacked='url'//https://x.example/",
    "data:text/html,<script>parent.hacked='data'</script>",
    "https://x.example/\"onmouseover=\"window.hacked='quote'",
    "https://user:pass@x.example/",
    "http://x.example/",
)
#: What a page may never hold after all of this went through it.
UNFIT = ("\x07", "\x1b", "\u202e", "\u2066", "\u200b")


def run(number: int, outcome: Outcome = Outcome.FAILED) -> RunResult:
    url = ADDRESSES[number % len(ADDRESSES)]
    issue = Issue(NASTY, True, 5, NASTY, url, NASTY, NASTY, (NASTY, NASTY), url)
    step = Step(NASTY, False, NASTY, NASTY, NASTY + LONG, NASTY, NASTY, -1.0, 2.0**60)
    return RunResult(
        f"{number} {NASTY}",
        NASTY,
        Phase.FINISHED,
        outcome,
        NASTY,
        NASTY,
        NASTY,
        NASTY + LONG,
        NASTY,
        url,
        (issue,) * 3,
        (step,) * 3,
        (url, *ADDRESSES),
        1e300,
        flaky=outcome is Outcome.PASSED,
        video_url=url,
    )


RUNS = [run(number) for number in range(4)] + [run(4, Outcome.PASSED)]
SUMMARY = {
    "verdict": "failed",
    "reasons": [NASTY, LONG],
    "counts": {"total": 5, "failed": 4, NASTY: 7, "passed": "1e999"},
    "run_ids": [each.run_id for each in RUNS],
    "batch_id": NASTY,
    "url": ADDRESSES[0],
    "issues": [{"test": NASTY, "run_id": RUNS[0].run_id, "name": NASTY, "type": NASTY, "severity": NASTY}],
    "tests": [
        {"run_id": each.run_id, "test_id": NASTY, "title": NASTY, "outcome": NASTY, "seconds": NASTY}
        for each in RUNS
    ],
    "flaky": NASTY,
    "started_at": NASTY,
    "finished_at": [],
    "truncated": NASTY,
    "report_markdown": NASTY,
}
NOTE = {"version": 1, "label": NASTY, "title": NASTY, "url": ADDRESSES[0]}


def open_everything(tab: Any) -> None:
    """Unfold every run, so that all of its fields are on the page, and move over all of it."""
    for row in tab.locator(".row").all():
        row.click()
        row.hover()
    for summary in tab.locator("details summary").all()[:3]:
        summary.click()


def hrefs(tab: Any) -> list[str]:
    return list(tab.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))"))


def check(tab: Any, staged: Stage) -> None:
    """What the page holds is text, and links lead to Airflow or to https."""
    text = str(tab.locator("body").inner_text())
    assert "<script>window.top.hacked" in text
    assert [sign for sign in UNFIT if sign in text] == []
    assert [href for href in hrefs(tab) if not str(href).startswith((staged.airflow.url, "https://"))] == []
    assert (
        tab.locator("script:not([src]), iframe, object, embed, form[action], [onerror], [onload]").count()
        == 0
    )


@pytest.mark.parametrize("task_id", ["live", "reported"])
def test_what_a_site_wrote(staged: Stage, runs: dict[str, str], visit: Visit, task_id: str) -> None:
    """The sandbox's hostile payloads, from the service and from a report."""
    tab = visit().open(staged.task_page("reviews", runs["reviews"], task_id))
    open_everything(tab)
    broken = tab.locator(".run", has_text="Product reviews are shown as text")
    expect(broken.locator(".detail")).to_contain_text("<script>alert('xss')</script>")
    assert [href for href in hrefs(tab) if "javascript" in str(href)] == []


@pytest.fixture(scope="module")
def edited(staged: Stage, runs: dict[str, str]) -> Iterator[str]:
    """A DAG run whose XComs and report were replaced with hostile content."""
    run_id = staged.run("shop")
    report = staged.airflow.home / "reports" / run_id / "checkout.json"
    report.write_text(render(str(report), SUMMARY, RUNS))
    values = {"return_value": SUMMARY, "test_runs": NOTE, "run_ids": SUMMARY["run_ids"], "batch_id": NASTY}
    with sqlite3.connect(staged.airflow.home / "airflow.db", timeout=30) as database:
        for key, value in values.items():
            database.execute(
                "UPDATE xcom SET value = ? WHERE run_id = ? AND key = ? AND task_id IN ('checkout', 'live')",
                (json.dumps(value), run_id, key),
            )
    yield run_id
    with sqlite3.connect(staged.airflow.home / "airflow.db", timeout=30) as database:
        database.execute("DELETE FROM xcom WHERE run_id = ?", (run_id,))


@pytest.mark.parametrize("task_id", ["checkout", "live"])
def test_what_somebody_put_into_xcoms_and_reports(
    staged: Stage, edited: str, visit: Visit, task_id: str
) -> None:
    """Every field of the summary, of the note, and of every run."""
    tab = visit().open(staged.task_page("shop", edited, task_id))
    expect(tab.locator(".run")).to_have_count(5)
    if task_id == "checkout":
        open_everything(tab)
        expect(tab.locator(".detail .steps")).to_have_count(5)
    check(tab, staged)


@pytest.mark.parametrize("page", ["dag_run", "history"])
def test_lists_of_such_tasks(staged: Stage, edited: str, visit: Visit, page: str) -> None:
    """They show the same texts."""
    address = staged.dag_run_page("shop", edited) if page == "dag_run" else staged.history_page
    tab = visit().open(address)
    expect(tab.locator("body")).to_contain_text("<script>window.top.hacked")
    check(tab, staged)


def test_the_html_report(chrome: Browser, tmp_path: Path) -> None:
    """A report opened from disk runs no script and sends no request."""
    path = tmp_path / "report.html"
    path.write_text(render(str(path), summary_of(RUNS), RUNS, name=NASTY))
    context = chrome.new_context(offline=True)
    watched = watch(context.new_page(), path.as_uri())
    watched.page.goto(path.as_uri())
    expect(watched.page.locator("body")).to_contain_text("<script>window.top.hacked")
    for summary in watched.page.locator("summary").all():
        summary.hover()
    assert watched.misdeeds() == {}
    assert watched.asked == [path.as_uri()]
    links = watched.page.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert [href for href in links if not href.startswith(("#", "https://"))] == []
    context.close()
