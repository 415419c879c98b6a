from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
    timezone,
)

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.exceptions import RequestRefused, RunErrored, TestsFailedFinally
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.base import parse_ids
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.lifecycle.tries import Tries

A, B = catalog.TEST_PASSES, catalog.TEST_FAILS


@pytest.fixture(autouse=True)
def connection(service, monkeypatch):
    """The connection `testerarmy_default` to the sandbox."""
    fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))


@pytest.fixture
def tries(service):
    """The tries of a task instance. The service's clock starts when the task starts to wait."""
    return Tries(service)


@pytest.fixture
def start():
    """Starts a group or a test, and returns the ids of its runs."""

    def submit(target, kind="group"):
        hook = TesterArmyHook()
        try:
            return list(hook.send(hook.service().submit(RunRequest(kind, target))).run_ids)
        finally:
            hook.close()

    return submit


def sensor(run_ids, **parameters):
    given = {"task_id": "tests", "deferrable": False, "poll_interval": 0.05, **parameters}
    return TesterArmyRunSensor(run_ids=run_ids, **given)


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ([A, B], [A, B]),
        ((A,), [A]),
        (A, [A]),
        (f" {A} , {B} ", [A, B]),
        (json.dumps([A, B]), [A, B]),
        (str([A, B]), [A, B]),
        (str((A, B)), None),
        (181, [181]),
        ("[181, 182]", [181, 182]),
    ],
)
def test_ids_in_every_form_they_come_in(given, ids):
    """A list, one id, or rendered text of either."""
    if ids is not None:
        assert parse_ids(given) == ids


@pytest.mark.parametrize("given", [None, "", "  ", [], "[]", ",", ()])
def test_no_ids_at_all(given):
    """A template that renders to nothing is never a pass."""
    with pytest.raises(RequestInvalid, match="run_ids is empty"):
        parse_ids(given)


def test_a_mapped_tasks_output(tries, start):
    """Nested lists, a summary, capitals and blanks are accepted. Each run is awaited once."""
    first, second = start(catalog.GROUP_SEQUENTIAL), start(catalog.TEST_PASSES, "test")
    tries.seconds = 120
    given = [first, {"run_ids": second, "truncated": {}}, f" {first[0].upper()} "]
    assert tries.execute(sensor(given))["run_ids"] == [*first, *second]


@pytest.mark.parametrize(
    ("parameters", "interval"),
    [
        ({}, 10.0),
        ({"poke_interval": 60}, 60),
        ({"poll_interval": 60, "poke_interval": "60"}, "60"),
        ({"poke_interval": timedelta(minutes=1)}, timedelta(minutes=1)),
        ({"poll_interval": 5, "default_args": {"poke_interval": 60}}, 5),
        ({"default_args": {"poke_interval": 60}}, 60),
        ({"poke_interval": "{{ params.seconds }}"}, "{{ params.seconds }}"),
    ],
)
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_the_interval_has_two_names(parameters, interval, mode, deferrable):
    """Airflow's name works in every mode."""
    task = TesterArmyRunSensor(task_id="t", run_ids=A, mode=mode, deferrable=deferrable, **parameters)
    assert task.poll_interval == interval


def test_two_intervals_that_differ():
    """It is unclear which one is meant."""
    with pytest.raises(ValueError, match=r"poll_interval .* and poke_interval .* differ"):
        TesterArmyRunSensor(task_id="t", run_ids=A, poll_interval=10, poke_interval=60)


def test_a_reschedule_obeys_the_poke_interval(tries, start):
    """The sensor checks once a minute."""
    before = timezone.utcnow()
    task = TesterArmyRunSensor(
        task_id="tests", run_ids=start(catalog.GROUP_ENDLESS), mode="reschedule", poke_interval=600
    )
    ending = tries.execute(task)
    assert (ending.reschedule_date - before).total_seconds() >= 599


def test_a_reschedule_does_not_overtake_the_end_of_its_process(tries, start):
    """A short interval is raised to the minimum."""
    before = timezone.utcnow()
    ending = tries.execute(sensor(start(catalog.GROUP_ENDLESS), mode="reschedule", poll_interval=0.1))
    assert (ending.reschedule_date - before).total_seconds() >= 5


def test_text_that_is_no_list():
    """The message contains the start of the text."""
    with pytest.raises(RequestInvalid, match="is not a list of ids"):
        parse_ids("[1, 2")


@pytest.mark.parametrize("run_ids", [["nightly"], [181], [None], "None"])
def test_what_is_no_id(tries, service, run_ids):
    """The mistake fails the task before any request is sent."""
    ending = tries.execute(sensor(run_ids))
    assert type(ending) is RequestRefused
    assert len(service.control.log) == 0


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_pass(tries, service, start, deferrable):
    """The ids are pushed under the same name as an operator's."""
    ids = start(catalog.GROUP_SEQUENTIAL)
    tries.seconds = 0 if deferrable else 60
    task = sensor(ids, deferrable=deferrable)
    ending = tries.execute(task)
    if deferrable:
        assert isinstance(ending, TaskDeferred)
        service.control.clock.advance(60)
        ending = tries.through_trigger(task)
    assert (ending["verdict"], ending["run_ids"], tries.xcoms["run_ids"]) == ("passed", ids, ids)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failure(tries, service, start, deferrable):
    """Airflow does not retry, and the summary is pushed."""
    tries.seconds = 0 if deferrable else 60
    task = sensor(start(catalog.GROUP_FAILING), deferrable=deferrable)
    ending = tries.execute(task)
    if deferrable:
        service.control.clock.advance(60)
        ending = tries.through_trigger(task)
    assert type(ending) is TestsFailedFinally
    assert tries.summary["verdict"] == "failed"


def test_softly(tries, start):
    """`soft_fail` skips the task instead, for every kind of failure."""
    for group_id in (catalog.GROUP_FAILING, catalog.GROUP_BROKEN):
        ending = tries.execute(sensor(start(group_id), soft_fail=True))
        assert type(ending) is AirflowSkipException
        assert "Verdict: " in str(ending)


def test_a_broken_run_is_retried(tries, start):
    """Airflow retries, and the sensor waits for the same runs."""
    assert type(tries.execute(sensor(start(catalog.GROUP_BROKEN)))) is RunErrored


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("cancel_on_kill", [False, True])
def test_a_time_out(tries, service, start, deferrable, cancel_on_kill):
    """Airflow does not retry a sensor's time-out. The runs are cancelled only with `cancel_on_kill`."""
    ids = start(catalog.GROUP_ENDLESS)
    tries.seconds = 2
    task = sensor(ids, timeout=1, deferrable=deferrable, cancel_on_kill=cancel_on_kill)
    ending = tries.execute(task)
    if deferrable:
        ending = tries.through_trigger(task)
    assert type(ending) is AirflowSensorTimeout
    assert set(service.control.log.cancelled_run_ids()) == (set(ids) if cancel_on_kill else set())


def test_one_poke_at_a_time(tries, service, start):
    """A poke returns nothing while a run is still active."""
    task = sensor(start(catalog.GROUP_SEQUENTIAL), mode="reschedule")
    ti = {"try_number": 1, "max_tries": 0, "start_date": None, "dag_id": "d", "task_id": "t"}
    tries.ti = type("Ti", (), {**ti, "xcom_push": lambda *_args, **_kwargs: None})()
    context = tries.context(task)
    first = task.poke(context)
    assert (first.is_done, first.xcom_value) == (False, None)
    service.control.clock.advance(120)
    last = task.poke(context)
    assert (last.is_done, last.xcom_value["verdict"]) == (True, "passed")


@pytest.mark.parametrize("timeout", [None, 60, "60"])
def test_rescheduling(tries, service, start, timeout):
    """Between two checks the sensor occupies no worker slot."""
    ids = start(catalog.GROUP_SEQUENTIAL)
    ending = tries.execute(sensor(ids, mode="reschedule", timeout=timeout))
    assert type(ending).__name__ == "AirflowRescheduleException"
    service.control.clock.advance(120)
    assert tries.execute(sensor(ids, mode="reschedule", timeout=timeout))["verdict"] == "passed"


def test_what_is_over_already_is_not_deferred(tries, service, start):
    """A trigger that fires at once would race with Airflow's scheduler."""
    ids = start(catalog.GROUP_SEQUENTIAL)
    service.control.clock.advance(120)
    tries.seconds = 0
    assert tries.execute(sensor(ids, deferrable=True))["verdict"] == "passed"
    assert tries.deferred is None


def test_a_sensor_remembers_nothing(tries, start):
    """A sensor gets its run ids as an argument, so it needs no record. It keeps only what its tries said."""
    tries.execute(sensor(start(catalog.GROUP_SEQUENTIAL)))
    assert set(tries.store) == {"test_runs_tries"}
