"""Sensors fail with Airflow's sensor errors, and cancel runs only if `cancel_on_kill` is set."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_testerarmy.exceptions import ServiceUnavailable
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest as SandboxRequest
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.lifecycle.tries import cancelled

pytestmark = pytest.mark.usefixtures("connections")


@pytest.fixture
def run_id(service):
    test = service.control.store.catalog.tests[catalog.TEST_ENDLESS]
    return service.control.store.submit_test(test, SandboxRequest()).id


def sensor(run_id, **parameters):
    return TesterArmyRunSensor(
        **{"task_id": "tests", "run_ids": [run_id], "cancel_on_kill": True, "deferrable": False} | parameters
    )


def test_a_sensors_runs_are_kept_for_its_next_try(tries, service, run_id):
    """After an outage the next try waits for the same runs, as the message says."""
    service.control.down = "html"
    ending = tries.execute(sensor(run_id, max_outage=0.1), max_tries=2)
    assert type(ending) is ServiceUnavailable
    service.control.down = None
    assert cancelled(service) == []


@pytest.mark.parametrize(
    "soft", [{"soft_fail": True}, {"never_fail": True}], ids=lambda soft: next(iter(soft))
)
def test_a_sensor_whose_failure_is_softened_has_no_next_try(tries, service, run_id, soft):
    """An outage is final, so the sensor cancels the runs."""
    service.control.faults.add("status", "get_run", status=503, times=8)
    ending = tries.execute(sensor(run_id, max_outage=0.1, **soft), max_tries=2)
    assert isinstance(ending, AirflowSkipException)
    assert cancelled(service) == [run_id]


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_a_sensors_time_out_stops_the_runs(tries, service, run_id, deferrable, soft):
    task = sensor(run_id, timeout=0.2, soft_fail=soft, deferrable=deferrable)
    ending = tries.execute(task)
    if deferrable:
        ending = tries.through_trigger(task)
    assert isinstance(ending, AirflowSkipException if soft else AirflowSensorTimeout)
    assert cancelled(service) == [run_id]


@pytest.mark.parametrize(
    "soft", [{}, {"soft_fail": True}, {"never_fail": True}], ids=["hard", "soft", "never"]
)
def test_a_rescheduling_sensors_time_out_stops_the_runs(tries, service, run_id, soft):
    """With `soft_fail`, Airflow turns the time-out into a skip."""
    task = sensor(run_id, mode="reschedule", timeout=0.001, poll_interval=0.001, **soft)
    ending = tries.execute(task)
    # Airflow's `never_fail` is about what a poke raises, and not about the time-out.
    assert isinstance(ending, AirflowSkipException if "soft_fail" in soft else AirflowSensorTimeout)
    assert cancelled(service) == [run_id]


def test_a_rescheduling_sensor_that_skips_by_its_verdict_stops_nothing(tries, service):
    test = service.control.store.catalog.tests[catalog.TEST_SKIPPED]
    run_id = service.control.store.submit_test(test, SandboxRequest()).id
    service.control.clock.advance(60)
    ending = tries.execute(sensor(run_id, mode="reschedule", soft_fail=True))
    assert isinstance(ending, AirflowSkipException)
    assert cancelled(service) == []


def test_a_deferral_of_a_sensor_that_airflow_ends_is_its_time_out(tries, service, run_id):
    task = sensor(run_id, deferrable=True, timeout=timedelta(hours=1))
    assert isinstance(tries.execute(task), TaskDeferred)
    ending = tries.resume(task, "__fail__", {"error": "Trigger timeout"})
    assert isinstance(ending, AirflowSensorTimeout)
    assert cancelled(service) == [run_id]
