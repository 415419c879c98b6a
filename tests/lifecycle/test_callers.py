"""Every caller of the service ends in time, against endless answers and decompression bombs."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.client.http.body import MAX_BODY_BYTES
from airflow_provider_testerarmy.exceptions import RunInterrupted, ServiceUnavailable, TestsFailed
from airflow_provider_testerarmy.hooks import base
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.lifecycle import screenshots
from airflow_provider_testerarmy.lifecycle.orphans import stop_orphans
from airflow_provider_testerarmy.runs.submission.stored import from_json
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from airflow_provider_testerarmy.triggers.runs import AwaitRunsTrigger
from tests.client.http.endless import BOMBS, ENDLESS
from tests.client.http.gateway import Gateway
from tests.client.http.rawserver import http_answer
from tests.lifecycle.tries import cancelled, fire, posts, single, started
from tests.reports.test_writing import Lines

RUN = "30000000-0000-4000-8000-000000000001"
#: Seconds that one exchange may take here; the connection's own limit is a minute.
TOTAL = 0.4
OUTAGE = 0.5
#: What an operator does besides, in seconds, on a busy machine.
BESIDES = 3.0

pytestmark = pytest.mark.usefixtures("brief")


@pytest.fixture
def brief(monkeypatch):
    """Shortens the time limit that covers a whole exchange."""
    shipped = base.ServiceHook._timeouts
    monkeypatch.setattr(
        base.ServiceHook, "_timeouts", lambda self, usual: shipped(self, replace(usual, total=TOTAL))
    )
    monkeypatch.setattr(base, "QUICK", replace(base.QUICK, total=TOTAL))
    monkeypatch.setattr(screenshots, "TIMEOUT", TOTAL)


@pytest.fixture
def gateway(service, tries, monkeypatch):
    """Puts a gateway between the connection `testerarmy_default` and the sandbox."""
    opened = []

    def connect(own, chosen):
        made = Gateway(service.origin, own, chosen).__enter__()
        opened.append(made)
        extra = {"connect_timeout": TOTAL / 2, "read_timeout": TOTAL / 2}
        fields = {"conn_type": "testerarmy", "host": made.url, "password": DEFAULT_API_KEY, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
        return made

    yield connect
    for each in opened:
        each.__exit__(None, None, None)


@pytest.fixture(params=[0, 4], ids=["header lines first", "silence first"])
def endless(request, gateway):
    """Makes answers to the chosen requests endless, each in another way than the one before."""
    ways = [*ENDLESS.values()]

    def connect(chosen):
        return gateway(lambda number, sent: ways[(request.param + number) % len(ways)](number, sent), chosen)

    return connect


@cache
def bomb(coding):
    return http_answer(BOMBS[coding](), headers=[("Content-Encoding", coding)])


@pytest.fixture(params=BOMBS)
def bombed(request, gateway):
    """Makes answers to the chosen requests decompression bombs of one coding."""
    answer = bomb(request.param)

    def connect(chosen):
        made = gateway(lambda _number, _sent: iter([answer]), chosen)
        made.size = len(answer)
        return made

    return connect


def in_time(held_by, work):
    """Return the result of the work, and check that it took at most three times the limits of its exchanges."""
    begun = time.monotonic()
    ending = work()
    assert held_by.held
    assert time.monotonic() - begun < 3 * TOTAL * len(held_by.held) + BESIDES
    return ending


def in_bounds(held_by, work):
    """Return the result of the work, and check that memory never held more than one answer of the limit's size."""
    tracemalloc.start()
    try:
        ending = work()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held_by.held
    assert peak < 1.5 * MAX_BODY_BYTES + 4 * held_by.size
    return ending


def everything(_line):
    return True


def submissions(line):
    return line.startswith("POST ") and line.endswith("/runs")


def polls(line):
    return line.startswith("GET ") and "/runs/" in line


def cancels(line):
    return line.endswith("/cancel")


def pictures(line):
    return "/api/v1/" not in line


def trigger(run_ids, **parameters):
    return AwaitRunsTrigger(
        hook=TesterArmyHook().path,
        conn_id="testerarmy_default",
        run_ids=run_ids,
        **{"poll_interval": 0.05, **parameters},
    )


def reported(folder):
    return single(catalog.TEST_FAILS, report_path=str(folder / "night.json"), copy_screenshots=True)


def sensor():
    return TesterArmyRunSensor(
        task_id="tests", run_ids=[RUN], deferrable=False, poll_interval=0.05, max_outage=OUTAGE
    )


# -- submission and wait


def test_a_submission_ends(endless, tries, service, no_pauses):
    """The request may have had an effect, so the task searches for its runs and does not send it again."""
    held = endless(submissions)
    ending = in_time(held, lambda: tries.execute(single(max_outage=OUTAGE)))
    assert isinstance(ending, ServiceUnavailable), ending
    assert posts(service) == 0


def test_a_submission_whose_target_is_not_shown_ends(endless, tries, service, no_pauses):
    """Nothing was sent."""
    held = endless(everything)
    ending = in_time(held, lambda: tries.execute(single(max_outage=OUTAGE)))
    assert isinstance(ending, ServiceUnavailable)
    assert "was not started" in str(ending)
    assert not any(map(submissions, held.held))


def test_a_wait_in_a_worker_ends(endless, tries):
    """By `max_outage`."""
    held = endless(everything)
    ending = in_time(held, lambda: tries.execute(sensor()))
    assert isinstance(ending, ServiceUnavailable)


def test_a_wait_in_the_triggerer_ends(endless):
    """It ends by `max_outage` too, and the event loop is not blocked."""
    held = endless(everything)
    event = in_time(held, lambda: fire(trigger([RUN], max_outage=OUTAGE)))
    assert event["end"] == "unavailable"


# -- cancelling


def test_a_cancel_on_kill_ends(endless, tries, service, airflow_says, no_pauses):
    """The message says what may still be running."""
    airflow_says("failed")
    held = endless(cancels)
    tries.seconds = 2
    task = single(catalog.TEST_ENDLESS)
    ending = in_time(held, lambda: tries.execute(task, max_tries=2, meanwhile=task.on_kill))
    assert type(ending) is RunInterrupted
    assert "possibly not cancelled" in str(ending)
    assert (cancelled(service), len(started(service))) == ([], 1)


def test_a_cancel_in_the_triggerer_ends(endless, service, monkeypatch):
    """Airflow cancels `on_kill` after a second. The cancellation of the runs continues, with a limit of its own."""
    if not airflow_compat.KILL_WHILE_DEFERRED.available:
        pytest.skip(f"triggers have on_kill from Airflow {airflow_compat.KILL_WHILE_DEFERRED.version} on")

    async def aown_state(_ti):
        return "failed"

    monkeypatch.setattr(airflow_compat, "aown_state", aown_state)
    turn = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _seconds: turn(0))
    held = endless(cancels)
    waiting = trigger([RUN])
    waiting._task_instance = SimpleNamespace(task_id="tests")
    in_time(held, lambda: asyncio.run(waiting.on_kill()))
    assert cancelled(service) == []


def test_a_cancel_in_the_listener_ends(endless, tries, service, airflow_says, monkeypatch, no_pauses):
    """It occupies a thread of the scheduler or the API server meanwhile."""
    airflow_says("running")
    tries.seconds = 2
    task = single(catalog.TEST_ENDLESS)
    assert type(tries.execute(task, max_tries=1, meanwhile=task.on_kill)) is RunInterrupted
    held, log = endless(cancels), Lines()
    monkeypatch.setattr(
        airflow_compat, "get_connection_for", lambda _dag_id, conn_id: BaseHook.get_connection(conn_id)
    )
    monkeypatch.setattr(airflow_compat, "stored_variable", lambda _name: None)
    name = airflow_compat.TaskName("dag", "manual", "tests")
    in_time(held, lambda: stop_orphans(from_json(tries.record), tries.record, name, log))
    assert "may still be running" in str(log.told)
    assert cancelled(service) == []


# -- the Test button and screenshots


def test_the_test_button_ends(endless):
    """The limit does not depend on the connection's own time-outs."""
    held = endless(everything)
    accepted, message = in_time(held, TesterArmyHook().test_connection)
    assert (accepted, "GET " in message) == (False, True)


def test_screenshots_end(endless, tries, tmp_path):
    """Verdict and report do not depend on the screenshots."""
    held = endless(pictures)
    ending = in_time(held, lambda: tries.execute(reported(tmp_path)))
    assert isinstance(ending, TestsFailed)
    assert [path.name for path in tmp_path.iterdir()] == ["night.json"]


# -- bombs


def test_a_bomb_as_answer_to_a_submission(bombed, tries, service, no_pauses):
    """It counts as a lost answer."""
    held = bombed(submissions)
    ending = in_bounds(held, lambda: tries.execute(single(max_outage=OUTAGE)))
    assert isinstance(ending, ServiceUnavailable), ending


def test_a_bomb_during_a_wait(bombed, tries):
    """It counts as a transient fault."""
    held = bombed(polls)
    ending = in_bounds(held, lambda: tries.execute(sensor()))
    assert isinstance(ending, ServiceUnavailable)


def test_a_bomb_in_the_triggerer(bombed):
    """As in the worker."""
    held = bombed(polls)
    event = in_bounds(held, lambda: fire(trigger([RUN], max_outage=OUTAGE)))
    assert event["end"] == "unavailable"


def test_a_bomb_as_a_screenshot(bombed, tries, tmp_path):
    """It is not copied."""
    held = bombed(pictures)
    ending = in_bounds(held, lambda: tries.execute(reported(tmp_path)))
    assert isinstance(ending, TestsFailed)
    assert [path.name for path in tmp_path.iterdir()] == ["night.json"]


def test_a_bomb_as_answer_to_the_test_button(bombed):
    """The page says that the answer is not usable."""
    held = bombed(everything)
    accepted, _ = in_bounds(held, TesterArmyHook().test_connection)
    assert accepted is False
