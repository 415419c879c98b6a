"""What a task costs Airflow: the exact messages between the worker and its supervisor."""

from __future__ import annotations

import json
import os

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor

if not airflow_compat.TASK_STATE_STORE.available:
    pytest.skip("lists the messages of Airflow 3.3 and later", allow_module_level=True)

from tests.lifecycle.airflow_channel import TaskProcesses, task_in_dag

URL = "https://tester.army/dashboard/acme/projects/shop?run="


def group(group_id=catalog.GROUP_SEQUENTIAL, **kwargs):
    parameters = {"group_id": group_id, "deferrable": True, "poll_interval": 0.05} | kwargs
    return TaskProcesses(task_in_dag(TesterArmyRunGroupOperator, **parameters))


def test_a_task_that_defers_sends_nothing_that_it_does_not_need(service, connections):
    """Airflow alone sends the fields, the deferral, the link, the return value and the end."""
    task = group()
    started = task.run()
    claim = next(one for one in started if one.startswith("PutVariable"))
    assert started == [
        "SetRenderedFields",
        "SetTaskStateStore test_runs",
        "SetTaskStateStore test_runs",
        claim,
        "SetXCom test_runs",
        "SetXCom run_ids",
        "SetXCom batch_id",
        "SetXCom testerarmy_url",
        "GetTaskStates",
        "DeferTask",
    ]
    service.control.clock.advance(60)
    assert task.resume() == [
        "SetRenderedFields",
        "SetTaskStateStore test_runs",
        "SetXCom return_value",
        "SucceedTask",
    ]
    assert task.channel.xcoms["return_value"]["verdict"] == "passed"


def test_every_xcom_of_a_deferred_task_has_its_value(service, connections):
    """DAGs pull these keys, also while the task waits."""
    task = group()
    task.run()
    xcoms = dict(task.channel.xcoms)
    assert len(xcoms["run_ids"]) == 4
    assert xcoms["batch_id"] == xcoms["test_runs"]["batch_id"]
    assert xcoms["testerarmy_url"] == xcoms["test_runs"]["url"] == URL + xcoms["run_ids"][0]
    service.control.clock.advance(60)
    task.resume()
    assert task.channel.xcoms["testerarmy_url"] == xcoms["testerarmy_url"]


def test_the_ids_and_the_deadline_are_stored_at_once(service, connections):
    """A worker that dies after the write leaves a time-out that counts from the submission."""
    task = group(timeout=100)
    task.run()
    first, second = (one.value for one in task.channel.records)
    assert "deadline" not in first
    assert second["deadline"] == task.deferral.trigger_kwargs["deadline"]


def test_a_task_that_waits_in_its_worker_has_its_link_from_the_start(service, connections, no_pauses):
    """The button is of most use while the runs are active."""
    started = group(deferrable=False).run()
    assert started.count("SetXCom testerarmy_url") == 1
    assert started.index("SetXCom testerarmy_url") < started.index("SetXCom return_value")
    assert "GetXCom testerarmy_url" not in started


def test_a_resumed_task_without_an_address_keeps_the_link(service, connections, monkeypatch):
    """The connection lost its workspace during the wait, so the worker no longer knows the address."""
    task = group()
    task.run()
    before = task.channel.xcoms["testerarmy_url"]
    fields = json.loads(os.environ["AIRFLOW_CONN_TESTERARMY_DEFAULT"]) | {"extra": {}}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    service.control.clock.advance(60)
    assert [one for one in task.resume() if one.endswith("testerarmy_url")] == []
    assert task.channel.xcoms["testerarmy_url"] == before


def test_a_sensor_that_defers_sends_its_link_once(service, connections):
    """As an operator does."""
    runs = group(wait_for_completion=False)
    runs.run()
    run_ids = runs.channel.xcoms["run_ids"]
    sensor = TaskProcesses(task_in_dag(TesterArmyRunSensor, run_ids=run_ids, deferrable=True))
    started = sensor.run()
    assert [one for one in started if one.endswith("testerarmy_url")] == ["SetXCom testerarmy_url"]
    assert sensor.channel.xcoms["testerarmy_url"] == URL + run_ids[0]


def test_a_sensor_that_is_rescheduled_has_its_link(service, connections):
    """It pushed an empty one before."""
    runs = group(wait_for_completion=False)
    runs.run()
    run_ids = runs.channel.xcoms["run_ids"]
    sensor = TaskProcesses(
        task_in_dag(TesterArmyRunSensor, run_ids=run_ids, deferrable=False, mode="reschedule")
    )
    sensor.run()
    assert sensor.channel.xcoms["testerarmy_url"] == URL + run_ids[0]
