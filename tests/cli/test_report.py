"""Reports of runs and of tasks that have run."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import features
from airflow_provider_testerarmy.client.testerarmy import operations
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.cli.command_line import connect

TASK = ["--dag-id", "nightly", "--dag-run-id", "r1", "--task-id", "gate"]


@pytest.fixture(scope="module")
def fast():
    """A sandbox in which a run takes a moment."""
    with SandboxServer(Sandbox(SandboxClock(speed=400))) as server:
        yield server


@pytest.fixture
def ended(fast, monkeypatch, command_line):
    """Runs a test to its end, and returns the id of the run."""
    connect(monkeypatch, host=fast.url, password=DEFAULT_API_KEY)

    def run(test_id=catalog.TEST_FAILS):
        run_id = TesterArmyHook().send(operations.trigger_test_run(test_id)).run_id
        command_line.run("runs", "watch", run_id, "--interval", "0.1", code=None)
        return run_id

    return run


@pytest.fixture
def task(monkeypatch):
    """What Airflow has stored of a task."""
    stored = {"rendered": {"testerarmy_conn_id": "testerarmy_default"}, "record": None}
    monkeypatch.setattr(airflow_compat, "rendered_fields", lambda _: stored["rendered"])
    monkeypatch.setattr(airflow_compat, "stored_xcom", lambda _, key: stored.get(key))
    monkeypatch.setattr(airflow_compat, "stored_task_state", lambda *_: stored["record"])
    return stored


def test_every_format_to_standard_output(command_line, ended):
    run_id = ended()
    assert "failed" in command_line.run("report", run_id)
    assert command_line.run("report", run_id, "--format", "html").startswith("<!doctype html>")
    suite = ET.fromstring(command_line.run("report", run_id, "--format", "junit"))
    assert suite.get("failures") == "1"
    document = json.loads(command_line.run("report", run_id, "--format", "json"))
    assert document["summary"]["verdict"] == "failed"
    assert [run["run_id"] for run in document["runs"]] == [run_id]


def test_the_suffix_of_the_file_selects_the_format(command_line, ended, tmp_path):
    run_id, path = ended(), tmp_path / "report.xml"
    assert command_line.run("report", run_id, "--file", path) == f"The report is at {path}.\n"
    assert ET.fromstring(path.read_text()).tag == "testsuites"
    command_line.run("report", run_id, "--file", path, "--format", "json")
    assert json.loads(path.read_text())["schema_version"] == 1
    assert "cannot be written" in command_line.refuse(
        "report", run_id, "--file", tmp_path / "no" / "report.md"
    )


def test_a_task_with_its_own_verdict(command_line, ended, task):
    """The gate of the task has judged, and knew which tests were flaky."""
    run_id = ended(catalog.TEST_PASSES)
    task["return_value"] = {
        "verdict": "failed",
        "reasons": ["the gate says so"],
        "counts": {"passed": 1, "total": 1},
        "run_ids": [run_id],
        "tests": [{"run_id": run_id, "flaky": True}],
        "truncated": {},
    }
    document = json.loads(command_line.run("report", *TASK, "--format", "json"))
    assert document["name"] == "nightly.gate"
    assert document["summary"]["reasons"] == ["the gate says so"]
    assert [run["flaky"] for run in document["runs"]] == [True]


def test_a_task_without_a_summary(command_line, ended, task):
    """Its runs are judged without its gate."""
    task["run_ids"] = [ended()]
    document = json.loads(command_line.run("report", *TASK, "--format", "json"))
    assert document["summary"]["verdict"] == "failed"


def test_a_summary_that_left_out_runs_is_completed(command_line, ended, task):
    run_ids = [ended(), ended()]
    task["run_ids"] = run_ids
    task["return_value"] = {
        "verdict": "failed",
        "reasons": [],
        "counts": {},
        "run_ids": run_ids[:1],
        "truncated": {"run_ids": 1},
    }
    document = json.loads(command_line.run("report", *TASK, "--format", "json"))
    assert [run["run_id"] for run in document["runs"]] == run_ids


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "Name runs by their ids, or a task"),
        (["--dag-id", "nightly"], "Name runs by their ids, or a task"),
        (["x", "--dag-id", "nightly"], "either runs, or a task"),
        (TASK, "nightly.gate has started no runs"),
    ],
)
def test_a_mistake_is_one_line(command_line, ended, task, words, why):
    assert why in command_line.refuse("report", *words)


def test_a_task_whose_fields_airflow_has_deleted(command_line, ended, task):
    task["run_ids"], task["rendered"] = [ended()], {}
    assert "Name its connection with --conn-id" in command_line.refuse("report", *TASK)
    assert command_line.run("report", *TASK, "--conn-id", "testerarmy_default")


def test_a_run_that_is_active_has_no_report(command_line, fast, ended):
    run_id = TesterArmyHook().send(operations.trigger_test_run(catalog.TEST_ENDLESS)).run_id
    assert "have not ended" in command_line.refuse("report", run_id)
    command_line.run("runs", "cancel", run_id, "-y")
    assert "cancelled" in command_line.run("report", run_id)


def test_an_xcom_as_airflow_stores_it(tmp_path, monkeypatch):
    """JSON of a custom backend too: its reference is returned as it is."""
    if features.DATABASE_EVERYWHERE:
        pytest.skip("Airflow 2 reads XComs itself")
    from airflow import settings
    from airflow.models import import_all_models
    from airflow.models.xcom import XComModel
    from sqlalchemy import create_engine, insert

    import_all_models()
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    XComModel.__table__.create(engine)
    monkeypatch.setattr(settings, "engine", engine)
    task = airflow_compat.TaskName("nightly", "r1", "gate")
    values = {"run_ids": ["a"], "dumped": '["a"]', "reference": "s3://bucket/x"}
    with engine.begin() as sql:
        for key, value in values.items():
            row = {"dag_run_id": 1, "dag_id": "nightly", "run_id": "r1", "task_id": "gate", "map_index": -1}
            sql.execute(insert(XComModel.__table__).values(**row, key=key, value=value))
    found = {key: airflow_compat.stored_xcom(task, key) for key in (*values, "none")}
    assert found == {"run_ids": ["a"], "dumped": ["a"], "reference": "s3://bucket/x", "none": None}
    engine.dispose()
