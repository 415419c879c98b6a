"""The callback of a deadline, on a real Airflow: it says which tests are open."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy import airflow_compat
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not airflow_compat.ASK.available, reason="this Airflow has no deadlines"),
]


def test_a_deadline_says_which_tests_are_open(airflow: LocalAirflow) -> None:
    """One test has ended, the other waits for its runs."""
    run_id = airflow.trigger_dag("deadline")
    airflow.wait_task_state("deadline", run_id, "quick", "success")

    def said() -> str:
        files = [path for path in (airflow.home / "logs").rglob("*") if path.is_file()]
        logs = [path.read_text(errors="replace") for path in files]
        return next((text for text in logs if f"The deadline of deadline, {run_id} has passed." in text), "")

    try:
        found = eventually(said, 120, "the message of the deadline")
    finally:
        airflow.set_dag_run_state("deadline", run_id, "failed")
    assert "1 test open: slow (waits for its runs)." in found
