"""A whole Airflow with the OpenLineage provider, which writes its events to a file."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lineage.schema import check
from tests.rig.airflow import LocalAirflow
from tests.rig.sandbox import sandbox_connection
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration
DAG = Path(__file__).with_name("dags") / "lineage.py"
ENDS = {"COMPLETE", "FAIL", "ABORT"}
TASKS = ["passed", "failed", "deferred", "skipped", "refused", "mapped", "docket", "started", "sensor"]


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """The events of each task, in the order in which they were written."""
    home = tmp_path_factory.mktemp("airflow")
    file = home / "events.ndjson"
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    with SandboxServer(Sandbox(SandboxClock(speed=2))) as sandbox:
        connections = {
            "testerarmy_default": sandbox_connection(sandbox.url),
            "docket_default": {
                "conn_type": "docket",
                "host": sandbox.docket_url,
                "password": DEFAULT_API_KEY,
            },
        }
        env = {
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "rig",
        }
        with LocalAirflow([DAG], home=home, connections=connections, parallelism=3, env=env) as airflow:
            run_id = airflow.trigger_dag("lineage")

            def read():
                found = defaultdict(list)
                for line in file.read_text().splitlines() if file.exists() else ():
                    event = json.loads(line)
                    found[event["job"]["name"].removeprefix("lineage.")].append(event)
                return found

            def ended():
                found = read()
                return all(
                    sum(event["eventType"] in ENDS for event in found[task]) >= (2 if task == "mapped" else 1)
                    for task in TASKS
                )

            state = lambda: (airflow.describe_run("lineage", run_id), {k: len(v) for k, v in read().items()})  # noqa: E731
            eventually(ended, 180, "the last event of each task", state=state)
            yield read()


def last(events, task):
    """The event of a task's end; its own facets of run and job, without what they are like in every event."""
    (event,) = [event for event in events[task] if event["eventType"] in ENDS]
    return event, event["run"]["facets"], event["job"]["facets"]


def test_every_event_is_valid(events):
    for task in TASKS:
        for event in events[task]:
            check(event)


def test_nothing_secret_is_in_an_event(events):
    assert "secret" not in json.dumps({task: events[task] for task in TASKS})
    assert DEFAULT_API_KEY not in json.dumps({task: events[task] for task in TASKS})


def test_a_start_has_the_target(events):
    (event,) = [event for event in events["passed"] if event["eventType"] == "START"]
    target = event["job"]["facets"]["testerarmy_target"]
    assert (target["service"], target["kind"], target["target"]) == (
        "TesterArmy",
        "group",
        catalog.GROUP_SEQUENTIAL,
    )
    assert target["address"] == "https://staging.shop.example/cart"
    assert "test" not in event["run"]["facets"]


def test_a_task_that_passed(events):
    event, run, _ = last(events, "passed")
    assert event["eventType"] == "COMPLETE"
    verdict = run["testerarmy_verdict"]
    assert (verdict["verdict"], verdict["commit"]) == ("passed", "4f2d1c9aa")
    assert verdict["url"].startswith("https://")
    assert {test["status"] for test in run["test"]["tests"]} == {"pass"}
    assert run["externalQuery"]["externalQueryId"] == verdict["batchId"]
    assert [(each["namespace"], each["name"]) for each in event["inputs"]] == [
        ("https://shop.example", "/cart")
    ]


@pytest.mark.parametrize("task", ["failed", "deferred"])
def test_a_task_that_failed(events, task):
    """In the worker and after a deferral alike."""
    event, run, _ = last(events, task)
    assert event["eventType"] == "FAIL"
    assert run["testerarmy_verdict"]["verdict"] == "failed"
    first, *others = run["test"]["tests"]
    assert (first["status"], first["severity"]) == ("fail", "error")
    assert first["name"] == "Checkout with a credit card"
    assert first["expected"]
    assert first["actual"]
    assert {test["status"] for test in others} == {"pass"}


def test_a_task_that_was_skipped(events):
    """Nothing that was not tested counts as a pass."""
    _, run, _ = last(events, "skipped")
    assert run["testerarmy_verdict"]["verdict"] == "skipped"
    assert {test["status"] for test in run["test"]["tests"]} == {"skip"}


def test_a_task_that_started_nothing(events):
    event, run, _ = last(events, "refused")
    assert event["eventType"] == "FAIL"
    assert "testerarmy_verdict" not in run


def test_mapped_tasks(events):
    ends = [event for event in events["mapped"] if event["eventType"] in ENDS]
    found = {event["run"]["facets"]["testerarmy_verdict"]["verdict"]: event["eventType"] for event in ends}
    assert found == {"passed": "COMPLETE", "failed": "FAIL"}


def test_docket(events):
    _, run, job = last(events, "docket")
    assert job["testerarmy_target"]["service"] == "Docket"
    assert run["testerarmy_verdict"]["verdict"] == "passed"


def test_runs_that_nobody_waited_for_have_no_verdict(events):
    _, run, _ = last(events, "started")
    assert run["testerarmy_verdict"].get("verdict") is None
    assert "test" not in run


def test_a_sensor(events):
    _, run, job = last(events, "sensor")
    assert run["testerarmy_verdict"]["verdict"] == "passed"
    assert "testerarmy_target" not in job
