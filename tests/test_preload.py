"""What a process that forks tasks has imported before, so that no task pays for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

OWN = "airflow_provider_testerarmy"

#: Airflow creates a job when a scheduler, a triggerer or a DAG processor starts.
JOB = f"""if True:
    import sys
    from airflow.jobs.job import Job

    Job()
    print("{OWN}.lifecycle.attempt" in sys.modules)
"""

#: A task that starts and resumes in Airflow's own task runner, after the preload.
TASK = f"""if True:
    import json, sys
    import airflow.sdk.execution_time.task_runner
    from {OWN}.plugin import TesterArmyPlugin
    from {OWN}.preload import own_models, preload
    from tests.lifecycle.airflow_channel import TaskProcesses, task_in_dag

    preload()
    unbuilt = [str(model) for model in own_models() if not model.__pydantic_complete__]
    gates = [model.__name__ for model in own_models() if model.__name__ == "QualityGate"]
    before = set(sys.modules)
    from {OWN}.operators.testerarmy import TesterArmyRunGroupOperator
    from {OWN}.runs.awaiting.wait_end import Waited, WaitEnd
    from {OWN}.triggers.runs import make_event

    task = TaskProcesses(task_in_dag(TesterArmyRunGroupOperator, group_id=sys.argv[1], deferrable=True))
    task.run()
    print("DEFERRED", flush=True)
    sys.stdin.readline()
    task.run("execute_complete", {{"event": make_event(Waited(WaitEnd.FINISHED, {{}}))}})
    new = sorted(name for name in set(sys.modules) - before if name.startswith(("{OWN}", "pydantic", "httpx")))
    print("RESULT", json.dumps({{"new": new, "unbuilt": unbuilt, "gates": gates, "state": str(task.state)}}))
"""


def test_a_process_that_forks_has_the_modules_of_a_task():
    """By Airflow's listener."""
    printed = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "True"


@pytest.mark.skipif(
    not airflow_compat.TASK_STATE_STORE.available, reason="runs the task runner of Airflow 3.3 and later"
)
def test_a_task_imports_nothing_further(service):
    """Neither when it starts nor when it resumes."""
    connection = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    environment = os.environ | {"AIRFLOW_CONN_TESTERARMY_DEFAULT": json.dumps(connection)}
    with subprocess.Popen(
        [sys.executable, "-c", TASK, catalog.GROUP_SEQUENTIAL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin
        assert process.stdout
        while process.stdout.readline().strip() != "DEFERRED":
            assert process.poll() is None
        service.control.clock.advance(60)
        result = process.communicate("go\n")[0].splitlines()[-1]
    assert json.loads(result.removeprefix("RESULT")) == {
        "new": [],
        "unbuilt": [],
        "gates": ["QualityGate"],
        "state": "TaskInstanceState.SUCCESS",
    }
