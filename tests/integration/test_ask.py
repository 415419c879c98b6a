"""A person decides what failed tests mean, on a real Airflow, with answers through its REST API."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen
from tests.rig.airflow import LocalAirflow
from tests.rig.rest import NotFoundError, RestClient, RestError
from tests.rig.waiting import eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not airflow_compat.ASK.available, reason="this Airflow cannot ask a person"),
]

#: 3.3 parks the task in a state of its own; before, a trigger waits.
WAITS = {"awaiting_input", "deferred"}
CHOICES = {"accepted": "Accept", "rejected": "Reject", "again": "Run what failed again"}


def detail(seen: Seen, task_id: str) -> str:
    """The path of a task's question."""
    return f"/dags/ask/dagRuns/{seen.run_id}/taskInstances/{task_id}/-1/hitlDetails"


def answer(rest: RestClient, seen: Seen, task_id: str, option: str) -> Any:
    """Answer as the UI does."""
    return rest.patch(
        detail(seen, task_id), {"chosen_options": [option], "params_input": {"words": "seen by the team"}}
    )


@pytest.fixture(scope="module")
def asked(airflow: LocalAirflow, sandbox: SandboxServer) -> Seen:
    """A run of the DAG whose questions have all been answered, and the refusals on the way."""
    before = len(sandbox.control.log)
    seen = Seen(airflow, "ask", airflow.trigger_dag("ask"))
    tasks = ("accepted", "rejected", "again", "marked", "assigned")
    for task_id in tasks:
        # `again` was deferred before, so a state alone does not show that it has asked.
        eventually(
            lambda task_id=task_id: airflow.rest.get(detail(seen, task_id)),
            120,
            f"the question of {task_id}",
            state=lambda: airflow.describe_run("ask", seen.run_id),
            retry_on=(NotFoundError,),
        )
        airflow.wait_task_state("ask", seen.run_id, task_id, WAITS, timeout=120)
    viewer = RestClient(airflow.url, "viewer", airflow.password)
    refused = []
    for rest, task_id in ((viewer, "accepted"), (airflow.rest, "assigned")):
        with pytest.raises(RestError) as caught:
            answer(rest, seen, task_id, "Accept")
        refused.append(caught.value.status)
    viewer.close()
    seen.states["refused"] = str(refused)
    # An answer within a second of the question meets https://github.com/apache/airflow/issues/72716: the scheduler
    # has not seen the worker exit yet, and takes the resumed task for lost.
    airflow.wait_task_state("ask", seen.run_id, "timed_out", timeout=120)
    for task_id, option in CHOICES.items():
        answer(airflow.rest, seen, task_id, option)
    for task_id in ("marked", "assigned"):
        airflow.set_task_state("ask", seen.run_id, task_id, "success")
    airflow.wait_dag_run("ask", seen.run_id, timeout=120)
    seen.calls = sandbox.control.log.entries(since=before)
    return seen


def test_only_those_with_the_right_can_answer(asked: Seen) -> None:
    """Airflow refuses a viewer, and a user who is not among `ask_users`."""
    assert asked.states["refused"] == "[403, 403]"


def test_accepted(asked: Seen) -> None:
    """The task succeeds, and the summary says who decided."""
    assert asked.task("accepted")["state"] == "success"
    summary = asked.xcom("accepted")
    assert summary["verdict"] == "failed"
    assert summary["reasons"][0].startswith("Accepted by admin")
    (decision,) = summary["decisions"]
    assert (decision["choice"], decision["words"], decision["timed_out"]) == (
        "accept",
        "seen by the team",
        False,
    )


def test_rejected(asked: Seen) -> None:
    """The task fails, once."""
    assert asked.tries("rejected") == ["failed"]
    assert asked.xcom("rejected")["reasons"][0].startswith("Rejected by admin")


def test_what_failed_runs_again(asked: Seen) -> None:
    """In the same try, and only what failed."""
    assert asked.tries("again") == ["success"], asked.log("again")
    assert asked.submissions_of(f"/groups/{catalog.GROUP_FLAKY}/runs") == 1
    assert asked.submissions_of(f"/tests/{catalog.TEST_FLAKY}/runs") == 1
    assert asked.xcom("again")["counts"] == {"total": 2, "passed": 2}


def test_nobody_answers(asked: Seen) -> None:
    """The default counts."""
    assert asked.task("timed_out")["state"] == "success"
    assert asked.xcom("timed_out")["decisions"][0]["timed_out"] is True


def test_a_mark_ends_the_wait(asked: Seen) -> None:
    """Nothing is cancelled, and nothing starts again."""
    assert asked.task("marked")["state"] == "success"
    assert asked.submissions_of(f"/tests/{catalog.TEST_FAILS}/runs") == 5
    own = set(asked.xcom("marked", "run_ids"))
    cancelled = [call for call in asked.calls if call.effect == "cancelled" and own & set(call.run_ids)]
    assert own
    assert cancelled == []
