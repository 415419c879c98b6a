"""A person answers what failed tests mean, on Airflow's own pages, or lets the time pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from airflow_provider_testerarmy import airflow_compat
from tests.rig.waiting import eventually
from tests.ui.browser.chromium import Watched
from tests.ui.browser.stage import Stage

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not airflow_compat.ASK.available, reason="this Airflow cannot ask a person"),
]

Visit = Callable[..., Watched]
#: 3.3 parks the task in a state of its own; before, a trigger waits.
WAITS = {"awaiting_input", "deferred"}
CHOICES = ("Accept", "Reject", "Run what failed again")
#: Seconds that a question must be old: Airflow's scheduler can take an earlier answer for the end of a lost task
#: (https://github.com/apache/airflow/issues/72716).
SETTLED = 5.0


def question(staged: Stage, run_id: str, task_id: str) -> dict[str, Any]:
    """A task's question, as Airflow's REST API has it."""
    found: dict[str, Any] = staged.airflow.rest.get(
        f"/dags/asks/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
    )
    return found


@pytest.fixture(scope="module")
def asked(staged: Stage) -> str:
    """A run whose tasks have asked long enough ago."""
    run_id = staged.airflow.trigger_dag("asks")
    for task_id in ("accepted", "rejected"):
        staged.airflow.wait_task_state("asks", run_id, task_id, WAITS, timeout=120)

    def settled(task_id: str) -> bool:
        asked_at = datetime.fromisoformat(question(staged, run_id, task_id)["created_at"])
        return (datetime.now(UTC) - asked_at).total_seconds() >= SETTLED

    eventually(lambda: settled("accepted") and settled("rejected"), 30, "questions that the scheduler knows")
    return run_id


def find(window: Watched, staged: Stage, task_id: str) -> Page:
    """Go from the list of all questions to the task's."""
    window.page.goto(f"{staged.airflow.url}/required_actions")
    window.page.get_by_role("link", name=f"Tests failed: {task_id}. Accept?").click()
    expect(window.page.get_by_text("Payment button does nothing").first).to_be_visible()
    return window.page


def test_without_the_right_nobody_answers(staged: Stage, asked: str, visit: Visit) -> None:
    """A viewer reads the question, and Airflow refuses the answer. Who cannot see the DAG sees no question."""
    page = find(visit("viewer"), staged, "accepted")
    page.locator("#element_words").fill("I am only looking")
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as pressed:
        page.get_by_role("button", name="Accept", exact=True).click()
    assert pressed.value.status == 403
    assert question(staged, asked, "accepted")["response_received"] is False
    assert staged.airflow.task_instance("asks", asked, "accepted")["state"] in WAITS

    other = visit("outsider").page
    other.goto(f"{staged.airflow.url}/required_actions")
    expect(other.get_by_text("No Required Actions found")).to_be_visible()
    expect(other.get_by_text("Tests failed")).to_have_count(0)


@pytest.mark.parametrize(
    ("task_id", "button", "choice", "state"),
    [("accepted", "Accept", "accept", "success"), ("rejected", "Reject", "reject", "failed")],
)
def test_a_person_decides(
    staged: Stage, asked: str, visit: Visit, task_id: str, button: str, choice: str, state: str
) -> None:
    """The buttons need a reason. The tab shows who decided, and with which words."""
    window = visit("admin")
    page = find(window, staged, task_id)
    for name in CHOICES:
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    page.locator("#element_words").fill("known since Monday")
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as pressed:
        page.get_by_role("button", name=button, exact=True).click()
    assert pressed.value.status == 200
    staged.airflow.wait_task_state("asks", asked, task_id, {"success", "failed"}, timeout=120)
    assert staged.airflow.task_instance("asks", asked, task_id)["state"] == state
    (decision,) = staged.airflow.xcom("asks", asked, task_id)["decisions"]
    assert (decision["choice"], decision["words"], decision["timed_out"]) == (
        choice,
        "known since Monday",
        False,
    )
    tab = window.open(staged.task_page("asks", asked, task_id))
    expect(tab.locator(".reasons li").first).to_contain_text("by admin")
    expect(tab.locator(".reasons li").first).to_contain_text("known since Monday")


def test_nobody_answers_in_time(staged: Stage, asked: str, visit: Visit) -> None:
    """The default counts: the task has failed, and the page offers no answer any more."""
    staged.airflow.wait_task_state("asks", asked, "timed_out", {"success", "failed"}, timeout=120)
    assert staged.airflow.task_instance("asks", asked, "timed_out")["state"] == "failed"
    (decision,) = staged.airflow.xcom("asks", asked, "timed_out")["decisions"]
    assert (decision["choice"], decision["timed_out"]) == ("reject", True)
    window = visit("admin")
    page = find(window, staged, "timed_out")
    for name in CHOICES:
        expect(page.get_by_role("button", name=name, exact=True, disabled=False)).to_have_count(0)
    tab = window.open(staged.task_page("asks", asked, "timed_out"))
    expect(tab.locator(".reasons li").first).to_contain_text("Nobody answered in time")
