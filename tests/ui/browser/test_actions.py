"""Actions and earlier tries in a real Airflow: what the service gets, who may act, and the audit log."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.rig.waiting import eventually
from tests.ui.browser.chromium import Watched
from tests.ui.browser.stage import Stage

pytestmark = pytest.mark.integration

Visit = Callable[..., Watched]
SAME = {"sec-fetch-site": "same-origin", "content-type": "application/json"}


def shot(window: Watched, name: str) -> None:
    """A screenshot for a person, where `SHOTS` names a folder."""
    if folder := os.environ.get("SHOTS"):
        window.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def offered(staged: Stage, dag_id: str, run_id: str, task_id: str, user: str = "admin") -> dict[str, Any]:
    with staged.client(user) as client:
        answer = client.get(f"dags/{dag_id}/actions", params={"run_id": run_id, "task_id": task_id})
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def act(
    staged: Stage,
    user: str | None,
    where: tuple[str, str, str],
    action: str,
    headers: dict[str, str] | None = None,
    **wish: Any,
) -> httpx.Response:
    dag_id, run_id, task_id = where
    with staged.client(user) as client:
        return client.post(
            f"dags/{dag_id}/actions",
            params={"run_id": run_id, "task_id": task_id},
            content=json.dumps({"action": action, "try_number": 1, "state": "failed", "others": 0, **wish}),
            headers=SAME if headers is None else headers,
        )


def audited(staged: Stage, event: str, dag_id: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{staged.airflow.url}/api/v2/eventLogs",
        params={"event": event, "dag_id": dag_id},
        headers={"Authorization": f"Bearer {staged.token('admin')}"},
        trust_env=False,
        timeout=20,
    )
    found: list[dict[str, Any]] = answer.raise_for_status().json()["event_logs"]
    return found


def sizes(staged: Stage) -> list[int]:
    return [len(one.run_ids) for one in staged.sandbox.control.log.submissions()]


def test_run_again_what_did_not_pass(staged: Stage, visit: Visit) -> None:
    """A reader has no button. An editor confirms what it costs, and exactly that is started."""
    run_id = staged.run("again")
    where = ("again", run_id, "checkout")
    before = sizes(staged)
    reader = visit("viewer")
    tab = reader.open(staged.task_page(*where))
    expect(tab.locator(".head")).to_contain_text("Failed")
    expect(tab.locator(".actions")).to_have_count(0)
    assert offered(staged, *where, user="viewer") == {"may": False}

    window = visit("admin")
    tab = window.open(staged.task_page(*where))
    tab.get_by_role("button", name="Run again what did not pass (1 test)").click()
    expect(tab.locator(".question")).to_contain_text("The next try starts 1 test run.")
    expect(tab.locator(".question")).to_contain_text("1 downstream task is cleared as well.")
    shot(window, "actions-rest")
    tab.get_by_role("button", name="Keep as it is").click()
    expect(tab.locator(".question")).to_have_count(0)
    tab.get_by_role("button", name="Run again what did not pass (1 test)").click()
    tab.get_by_role("button", name="Yes, run these again").dblclick()
    expect(tab.locator(".notice", has_text="The task was cleared")).to_be_visible()
    staged.airflow.wait_dag_run("again", run_id)
    assert sizes(staged) == [*before, 1]
    assert [line["owner"] for line in audited(staged, "testerarmy_run_rest_again", "again")] == ["admin"]
    expect(tab.locator(".head")).to_contain_text("Failed")
    expect(tab.locator(".head")).to_contain_text("try 2")
    expect(tab.locator(".reasons")).to_contain_text("4 tests passed before the clear")
    shot(window, "actions-rest-done")

    tab.get_by_role("button", name="Run all again").click()
    expect(tab.locator(".question")).to_contain_text("5 test runs")
    tab.get_by_role("button", name="Yes, run all again").click()
    expect(tab.locator(".notice", has_text="The task was cleared")).to_be_visible()
    staged.airflow.wait_dag_run("again", run_id)
    assert sizes(staged) == [*before, 1, 5]
    assert len(audited(staged, "testerarmy_run_all_again", "again")) == 1


def test_docket_runs_again_what_did_not_pass(staged: Stage) -> None:
    """Docket starts some tests of a request, but not of a CI run, which GitHub would show as the whole."""
    staged.sandbox.control.docket.override_script(202, "fails")
    run_id = staged.run("again_docket")
    assert offered(staged, "again_docket", run_id, "ci")["rest"]["why"] == "split"
    assert act(staged, "admin", ("again_docket", run_id, "ci"), "rest").status_code == 409
    before = len(staged.sandbox.control.docket.runs)
    assert offered(staged, "again_docket", run_id, "tests")["rest"] == {"why": "", "runs": 1, "issues": False}
    answer = act(staged, "admin", ("again_docket", run_id, "tests"), "rest")
    assert answer.status_code == 200, answer.text
    staged.airflow.wait_dag_run("again_docket", run_id)
    assert len(staged.sandbox.control.docket.runs) == before + 1


def test_cancel(staged: Stage, visit: Visit) -> None:
    """Airflow marks the task as failed, and the runs end at the service."""
    run_id = staged.airflow.trigger_dag("stopped")
    staged.airflow.wait_task_state("stopped", run_id, "waits", "deferred")
    where = ("stopped", run_id, "waits")
    log = staged.sandbox.control.log
    started = log.submissions()[-1].run_ids
    window = visit("admin", width=390)
    tab = window.open(staged.task_page(*where))
    expect(tab.get_by_role("button", name="Run all again")).to_have_count(0)
    tab.get_by_role("button", name="Cancel the runs").click()
    expect(tab.locator(".question")).to_contain_text("1 run is cancelled at the service.")
    expect(tab.locator(".question")).not_to_contain_text(str(started[0])[:8])
    expect(tab.locator(".live")).to_contain_text("running for")
    for title in tab.locator(".run .title").all_inner_texts():
        assert title
        assert not any(str(run) in title for run in started)
    shot(window, "actions-cancel")
    tab.get_by_role("button", name="Yes, cancel the runs").click()
    expect(tab.locator(".notice", has_text="marked as failed")).to_be_visible()
    active = staged.sandbox.control.store.active_run_ids
    eventually(lambda: not set(started) & set(active()), 30, "the runs of the task have ended")
    assert set(started) & set(log.cancelled_run_ids())
    assert [line["owner"] for line in audited(staged, "testerarmy_cancel_runs", "stopped")] == ["admin"]
    assert offered(staged, *where)["state"] == "failed"


def test_who_may_and_from_where(staged: Stage, runs: dict[str, str]) -> None:
    """Nobody else changes anything: no stranger, no reader, no other DAG's user, no other site, no other method."""
    where = ("shop", runs["shop"], "checkout")
    before = sizes(staged)
    for action in ("all", "rest", "cancel"):
        assert act(staged, None, where, action).status_code == 401
        for user in ("viewer", "blind", "outsider"):
            assert act(staged, user, where, action).status_code == 403
        for headers in (
            {"content-type": "application/json"},
            {**SAME, "sec-fetch-site": "cross-site"},
            {**SAME, "sec-fetch-site": "same-site"},
            {"content-type": "application/json", "origin": "https://evil.example"},
        ):
            assert act(staged, "admin", where, action, headers).status_code == 403
        assert act(staged, "admin", where, action, {**SAME, "content-type": "text/plain"}).status_code == 415
    with staged.client("admin") as client:
        query = {"run_id": where[1], "task_id": where[2]}
        for method in ("PUT", "DELETE", "PATCH"):
            assert client.request(method, "dags/shop/actions", params=query, headers=SAME).status_code == 405
    with staged.client() as client:
        assert client.get("dags/shop/actions", params=query).status_code == 401
    with staged.client("outsider") as client:
        assert client.get("dags/shop/actions", params=query).status_code == 403
    assert sizes(staged) == before
    assert audited(staged, "testerarmy_run_all_again", "shop") == []


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"try_number": 7}, 409),
        ({"state": "success"}, 409),
        ({"state": None}, 409),
        ({"others": 7}, 409),
        ({"action": "cancel"}, 409),
        ({"action": "other"}, 400),
        ({"try_number": True}, 400),
        ({"try_number": "1"}, 400),
        ({"state": 1}, 400),
        ({"action": ["all"]}, 400),
    ],
)
def test_a_page_that_is_out_of_date(
    staged: Stage, runs: dict[str, str], wish: dict[str, Any], status: int
) -> None:
    """The task has changed, or the request makes no sense: nothing happens, and the answer says why."""
    where = ("shop", runs["shop"], "live")
    given = offered(staged, *where)
    seen = {"action": "all", **{name: given[name] for name in ("state", "try_number", "others")}, **wish}
    answer = act(staged, "admin", where, **seen)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert audited(staged, "testerarmy_run_all_again", "shop") == []


def test_two_people_at_once(staged: Stage) -> None:
    """One of two simultaneous requests clears the task; the other learns that it has changed."""
    run_id = staged.run("again")
    where = ("again", run_id, "checkout")
    before = sizes(staged)
    others = offered(staged, *where)["others"]
    answers: list[int] = []

    def press() -> None:
        answers.append(act(staged, "admin", where, "all", others=others).status_code)

    people = [threading.Thread(target=press) for _ in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    staged.airflow.wait_dag_run("again", run_id)
    assert sorted(answers) == [200, 409, 409, 409]
    assert sizes(staged) == [*before, 5]


def test_live_requests(staged: Stage, runs: dict[str, str]) -> None:
    """A task that waits has its tests' titles; nobody reads them without the right to the DAG."""
    query = {"run_id": runs["waiting"], "task_id": "waits"}
    with staged.client("viewer") as client:
        found = client.get("dags/waiting/live", params=query).raise_for_status().json()
        assert client.post("dags/waiting/live", params=query, headers=SAME).status_code == 405
    assert set(found["titles"]) > {catalog.TEST_ENDLESS}
    assert all(found["titles"].values())
    assert (found["usual"], found["outage"]) == (None, None)
    for user, status in ((None, 401), ("outsider", 403), ("blind", 403)):
        with staged.client(user) as client:
            assert client.get("dags/waiting/live", params=query).status_code == status


def test_earlier_tries_stay_readable(staged: Stage, visit: Visit) -> None:
    """A retry passed; what the first try said is one click away, and the test shows both of its runs."""
    catalog_test = "Live stock badge updates"
    staged.sandbox.control.store.override_script(catalog.TEST_FLAKY, "fails")
    run_id = staged.airflow.trigger_dag("twice")
    eventually(lambda: sizes(staged)[-1:] == [1], 60, "the failed test runs again")
    staged.airflow.wait_dag_run("twice", run_id)
    staged.sandbox.control.store.override_script(catalog.TEST_FLAKY, None)
    window = visit("viewer")
    tab = window.open(staged.task_page("twice", run_id, "widgets"))
    expect(tab.locator(".tries button")).to_have_count(2)
    expect(tab.locator("#try-2")).to_have_attribute("aria-pressed", "true")
    tab.locator("#try-1").click()
    expect(tab.locator(".said-by")).to_contain_text(catalog_test)
    expect(tab.locator(".said-by")).to_contain_text("Try 1 ended")
    row = tab.locator(".run", has_text=catalog_test)
    row.locator(".row").click()
    expect(row.locator(".attempts li")).to_have_count(2)
    shot(window, "tries")
    tab.locator("#try-2").click()
    expect(tab.locator(".said-by")).to_have_count(0)
    query = {"run_id": run_id, "task_id": "widgets"}
    for user, status in ((None, 401), ("outsider", 403), ("blind", 403)):
        with staged.client(user) as client:
            assert client.get("dags/twice/tries", params=query).status_code == status
    with staged.client("admin") as client:
        assert client.post("dags/twice/tries", params=query, headers=SAME).status_code == 405
