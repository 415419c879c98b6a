"""The rig itself: a whole Airflow starts, shows what happens in it, obeys, and leaves nothing behind."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import procfs
from tests.rig.airflow import LocalAirflow
from tests.rig.rest import NotFoundError
from tests.rig.waiting import TimedOutError, eventually

pytestmark = pytest.mark.integration

DAGS = Path(__file__).with_name("rig_dags.py")
#: Seconds. A trigger that fires as soon as its task is deferred can overtake the scheduler on a busy machine, which
#: then fails the task.
NAP = 5


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    with LocalAirflow([DAGS], home=home, connections={"from_env": {"conn_type": "http"}}) as running:
        sessions = {process.pid for process in running.processes.values()}
        yield running
    assert procfs.family(sessions) == set()


def test_a_run_succeeds_through_deferral_retry_and_mapping(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("rig_tour", conf={"nap": NAP})
    airflow.wait_task_state("rig_tour", run, "nap", "deferred")
    assert [row["kwargs"] for row in airflow.trigger_rows()] == [{"seconds": float(NAP)}]

    assert airflow.wait_dag_run("rig_tour", run) == "success"

    assert airflow.xcom("rig_tour", run, "greet") == {"nested": [1, {"none": None}], "text": "ü"}
    assert airflow.xcom("rig_tour", run, "nap") == {"slept": float(NAP)}
    assert [airflow.xcom("rig_tour", run, "square", map_index=index) for index in (0, 1)] == [4, 9]
    assert [each["state"] for each in airflow.task_tries("rig_tour", run, "fail_once")] == [
        "failed",
        "success",
    ]
    assert "hello from a task" in airflow.task_log("rig_tour", run, "greet")
    nap_log = airflow.task_log("rig_tour", run, "nap")
    assert "about to defer" in nap_log
    assert "napping in the triggerer" in nap_log
    assert "the first try fails" in airflow.task_log("rig_tour", run, "fail_once", try_number=1)


def test_a_missing_xcom_is_not_found(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("rig_busy")
    airflow.wait_task_state("rig_busy", run, "work", {"queued", "running"})
    with pytest.raises(NotFoundError):
        airflow.xcom("rig_busy", run, "work")
    airflow.set_dag_run_state("rig_busy", run, "failed")


def test_a_killed_task_process_fails_the_task(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("rig_busy")
    (worker,) = airflow.worker_pids("rig_busy", "work", run)
    assert (worker.run_id, worker.map_index, worker.try_number) == (run, -1, 1)
    worker.kill()
    assert airflow.wait_dag_run("rig_busy", run) == "failed"


def test_marking_a_running_task_failed_ends_its_process(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("rig_busy")
    (worker,) = airflow.worker_pids("rig_busy", "work", run)
    airflow.set_task_state("rig_busy", run, "work", "failed")
    ended = eventually(
        lambda: procfs.process(worker.pid) is None, 20, f"the end of task process {worker.pid}"
    )
    assert ended


def test_a_cleared_task_runs_again(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("rig_tour", conf={"nap": NAP})
    airflow.wait_dag_run("rig_tour", run)
    airflow.clear_task("rig_tour", run, "greet")
    assert airflow.wait_task_state("rig_tour", run, "greet", try_number=2)["state"] == "success"


def test_a_paused_triggerer_holds_a_deferred_task(airflow: LocalAirflow) -> None:
    triggerer = airflow.processes["triggerer"]
    triggerer.pause()
    run = airflow.trigger_dag("rig_tour", conf={"nap": NAP})
    airflow.wait_task_state("rig_tour", run, "nap", "deferred")
    triggerer.resume()
    assert airflow.wait_dag_run("rig_tour", run) == "success"


def test_a_killed_api_server_comes_back(airflow: LocalAirflow) -> None:
    server = airflow.processes["api-server"]
    server.kill(signal.SIGKILL)
    assert not server.running
    server.restart()
    airflow.wait_ready()
    assert airflow.health()["metadatabase"]["status"] == "healthy"


def test_connections_come_from_the_environment_and_from_the_database(airflow: LocalAirflow) -> None:
    airflow.create_connection("stored", "http", host="example.com", extra={"a": 1})
    got = airflow.cli("connections", "get", "stored", "--output", "json")
    assert got.returncode == 0, got.stderr
    assert "example.com" in got.stdout
    assert airflow.env["AIRFLOW_CONN_FROM_ENV"] == '{"conn_type": "http"}'


def test_a_time_out_says_what_state_things_are_in(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("rig_busy")
    with pytest.raises(TimedOutError, match=rf"run {run!s} .* is (queued|running)".replace("+", r"\+")):
        airflow.wait_dag_run("rig_busy", run, timeout=0)
    airflow.set_dag_run_state("rig_busy", run, "failed")
