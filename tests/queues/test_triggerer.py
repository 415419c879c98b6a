"""A hint from SQS in the triggerer of a real Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from tests.queues.conftest import Queue
from tests.rig.airflow import LocalAirflow
from tests.rig.sandbox import sandbox_connection
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration
DAG_FILE = Path(__file__).with_name("dags") / "hinted.py"


def test_a_message_ends_a_wait_that_polls_once_an_hour(sqs: Queue) -> None:
    """The triggerer reads the queue, and polls the run at once."""
    with SandboxServer(Sandbox()) as service:
        connection = sandbox_connection(service.url)
        assert isinstance(connection, dict)
        hinted = {**connection, "extra": {**connection["extra"], "hints_queue": sqs.settings}}
        with LocalAirflow(
            [DAG_FILE],
            parallelism=2,
            connections={"testerarmy_default": hinted},
            env=sqs.connections,
        ) as airflow:
            run_id = airflow.trigger_dag("hinted")
            airflow.wait_task_state("hinted", run_id, "test", "deferred")
            # The first poll has shown that the run is active.
            eventually(lambda: service.control.log.entries("get_run"), 60, "the first poll")
            (run,) = service.control.store.runs.values()
            service.control.store.force(run.id, script="passes")
            sqs.send(json.dumps({"runId": run.id}))
            assert airflow.wait_dag_run("hinted", run_id, timeout=120) == "success"
