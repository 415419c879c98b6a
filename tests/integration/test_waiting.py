from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen

pytestmark = pytest.mark.integration

KEYS = {"verdict", "reasons", "counts", "run_ids", "batch_id", "url", "issues"}
DASHBOARD = "https://tester.army/dashboard/acme-corp/projects/webshop?run="


def test_ids_and_link_are_there_while_the_task_waits(while_waiting: dict[str, Any]) -> None:
    """Nobody has to wait for the end to look at the runs."""
    assert len(while_waiting["run_ids"]) == 2
    assert while_waiting["batch_id"]
    assert while_waiting["links"] == {"TesterArmy dashboard": DASHBOARD + while_waiting["run_ids"][0]}
    assert "return_value" not in while_waiting["keys"]


def test_a_trigger_names_the_connection_and_the_runs_and_nothing_else(while_waiting: dict[str, Any]) -> None:
    """Airflow stores what a trigger is made of in plain text, as it stores the record."""
    assert len(while_waiting["triggers"]) == 2
    for row in while_waiting["triggers"]:
        assert set(row["kwargs"]) == {
            "hook",
            "conn_id",
            "run_ids",
            "rejected_run_ids",
            "batch_id",
            "poll_interval",
            "max_outage",
            "deadline",
            "cancel_on_kill",
            "record",
        }
        assert row["kwargs"]["conn_id"] == "testerarmy_default"


def test_a_deferred_group_run_succeeds(
    waited: Seen, while_waiting: dict[str, Any], sandbox: SandboxServer
) -> None:
    """Its summary is read back through the REST API."""
    summary = waited.xcom("group")
    assert waited.task("group")["state"] == "success"
    assert summary.keys() >= KEYS
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 2, "passed": 2})
    assert summary["run_ids"] == waited.xcom("group", "run_ids") == while_waiting["run_ids"]
    assert summary["batch_id"] == waited.xcom("group", "batch_id") == while_waiting["batch_id"]
    assert summary["url"] == DASHBOARD + summary["run_ids"][0]
    assert summary["reasons"] == ["2 of 2 judged runs passed (100.0%; 100.0% needed)."]
    assert summary["issues"] == []
    runs = sandbox.control.store.runs
    assert {runs[run_id].test.id for run_id in summary["run_ids"]} == {
        catalog.TEST_PASSES,
        catalog.TEST_ENDLESS,
    }


def test_the_link_stays_the_same(waited: Seen, while_waiting: dict[str, Any]) -> None:
    """The worker asks for it again at the end."""
    assert waited.links("group") == while_waiting["links"]


def test_a_prompt_run_signs_in_with_a_connection(waited: Seen, sandbox: SandboxServer) -> None:
    """The service got the login; Airflow shows which connection it came from."""
    (run,) = [run for run in sandbox.control.store.runs.values() if "profile picture" in str(run.input)]
    assert waited.task("prompt")["state"] == "success"
    assert waited.xcom("prompt")["run_ids"] == [run.id]


def test_rendered_fields_name_the_connection_only(while_waiting: dict[str, Any]) -> None:
    """Never what is in it."""
    assert while_waiting["rendered"]["credentials_conn_id"] == ["shop_login"]


@pytest.mark.parametrize(("task_id", "own"), [("group", 2), ("prompt", 1)])
def test_a_log_tells_of_its_own_task_alone(waited: Seen, task_id: str, own: int) -> None:
    """Though both tasks wait at the same time, and one poller in the triggerer asks for both."""
    lines = waited.log(task_id)
    assert f"0/{own} finished" in lines
    assert f"{own}/{own} finished" in lines
    assert set(re.findall(r"\d/(\d) finished", lines)) == {str(own)}


@pytest.mark.parametrize("task_id", ["group", "prompt"])
def test_a_resumed_task_looks_up_no_xcom_that_is_not_there(waited: Seen, task_id: str) -> None:
    """Airflow warns of each such lookup, and a prompt has no batch."""
    assert "Verdict: passed" in waited.log(task_id)
    assert "No XCom value found" not in waited.log(task_id)
    assert "Skipping masking" not in waited.log(task_id)
