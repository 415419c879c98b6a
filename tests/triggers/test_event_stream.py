"""The triggers in Airflow's own stream manager, against the sandbox."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing

import httpx
import pytest
import structlog
from airflow.triggers.shared_stream import SharedStreamManager

from airflow_provider_testerarmy.triggers import event_stream, events
from airflow_provider_testerarmy.triggers.events import DocketRunFinished, TesterArmyRunFinished
from tests.triggers.event_world import Cell, Stores

KEY = "sk_sandbox_key"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same rules with shorter pauses."""
    monkeypatch.setattr(event_stream, "BETWEEN", 0.02)
    monkeypatch.setattr(event_stream, "AFTER_FAULT", (0.02, 0.05))
    monkeypatch.setattr(event_stream, "AFTER_DENIAL", 0.05)


@pytest.fixture
def connect(monkeypatch, service):
    """Sets the key of both connections."""

    def set_key(key=KEY):
        for name, host in (("TESTERARMY", service.url), ("DOCKET", service.docket_url)):
            monkeypatch.setenv(
                f"AIRFLOW_CONN_{name}_DEFAULT",
                json.dumps(
                    {
                        "conn_type": name.lower(),
                        "host": host,
                        "password": key,
                        "extra": {"max_requests_per_second": 500},
                    }
                ),
            )

    set_key()
    return set_key


def start(service, number=1, **fields):
    """Start runs on behalf of someone else, and let them end."""
    url = f"{service.origin}/_sandbox/foreign-runs"
    order = {"prompt": "look", "source": "scheduled", **fields}
    found = [httpx.post(url, json=order).json()["runIds"][0] for _ in range(number)]
    service.control.clock.advance(300)
    return found


async def first_events(triggers, after, count, during=None):
    """Run triggers in one manager; return the payloads of the first events, once all have begun.

    :param after: starts runs.
    """
    manager = SharedStreamManager(log=structlog.get_logger())
    found = asyncio.Queue()

    async def consume(number, trigger):
        trigger.asset_state_store = Stores(Cell())
        key = trigger.shared_stream_key()
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        async with aclosing(trigger.filter_shared_stream(stream)) as events:
            async for event in events:
                seq = manager.bind_pending_event(trigger_id=number, key=key)
                await found.put((number, event.payload))
                manager.confirm_persisted([] if seq is None else [seq])

    tasks = [asyncio.create_task(consume(number, trigger)) for number, trigger in enumerate(triggers, 1)]
    try:
        async with asyncio.timeout(30):
            if during is not None:
                await during()
            while any(trigger._member.cursor is None for trigger in triggers):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.to_thread(after)
            return [await found.get() for _ in range(count)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await manager.stop_all()


def run(triggers, after, count, during=None):
    return asyncio.run(first_events(triggers, after, count, during))


def test_every_watcher_gets_its_runs_of_one_stream(connect, service):
    """Filters select; a hundred watchers share the requests."""
    started = []
    triggers = [TesterArmyRunFinished(source="scheduled", poll_interval=1 + n / 100) for n in range(98)]
    triggers += [
        TesterArmyRunFinished(source="dashboard", poll_interval=1),
        TesterArmyRunFinished(verdict="failed"),
    ]
    found = run(triggers, lambda: started.extend(start(service)), 98)
    assert {number for number, _ in found} == set(range(1, 99))
    assert {payload["run_id"] for _, payload in found} == set(started)
    assert len(service.control.log.entries("list_runs")) < 40


def test_the_payload_tells_what_ran(connect, service):
    """It is small, and has no key."""
    started = []

    def after():
        started.extend(start(service, input={"commitSha": "abc", "environment": "staging"}))

    ((_, payload),) = run([TesterArmyRunFinished(environment="Staging", poll_interval=1)], after, 1)
    assert payload["run_id"] == started[0]
    assert payload["id"] == f"testerarmy:{started[0]}"
    assert (payload["verdict"], payload["source"], payload["commit"]) == ("passed", "scheduled", "abc")
    assert not payload["repeat"]
    assert KEY not in json.dumps(payload)


def test_hostile_text_is_cleaned_and_bounded(connect, service):
    """A payload becomes a row of Airflow's database, and a line of its log."""
    nasty = "x\x00\u202e\n" * 50_000
    ((_, payload),) = run(
        [TesterArmyRunFinished(poll_interval=1)],
        lambda: start(service, input={"commitSha": nasty, "environment": nasty, "groupId": nasty}),
        1,
    )
    text = json.dumps(payload)
    assert len(text) < 8 * 1024
    assert "\\u0000" not in text
    assert "\\u202e" not in text


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("status", {"status": 503}),
        ("html", {}),
        ("garbage", {}),
        ("wrong_shape", {}),
        ("truncated", {}),
        ("empty", {}),
        ("wrong_shape", {"body": "[" * 100_000}),
        ("edit", {"put": {"runs": [{"id": ["run"]}]}}),
        ("edit", {"put": {"runs": "\u0000" * 10_000}}),
    ],
)
def test_an_outage_delays_and_loses_nothing(connect, service, kind, details):
    """The stream retries; its triggers do not fail."""
    started = []

    def after():
        service.control.faults.add(kind, "list_runs", times=3, **details)
        started.extend(start(service))

    ((_, payload),) = run([TesterArmyRunFinished(poll_interval=1)], after, 1)
    assert payload["run_id"] == started[0]


def test_a_rejected_key_is_read_again(connect, service):
    """The triggers wait for the new key, and do not fail."""
    connect("sk_wrong")

    async def rotate():
        while not service.control.log.entries("list_runs"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        connect()

    assert run([TesterArmyRunFinished(poll_interval=1)], lambda: start(service), 1, rotate)


def test_docket_runs_are_watched_by_id(connect, service):
    """A run that has ended before the first start is reported as well."""
    answer = httpx.post(
        f"{service.docket_url}/test_group_run/trigger_run",
        json={"test_blueprint_ids": [181]},
        headers={"X-API-KEY": KEY},
    ).json()
    run_id = answer["test_group_run"]["test_runs"][0]["id"]
    ((_, payload),) = run(
        [DocketRunFinished(run_ids=[run_id], poll_interval=1)],
        lambda: service.control.clock.advance(600),
        1,
    )
    assert (payload["run_id"], payload["vendor"], payload["test_id"]) == (run_id, "Docket", "181")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"verdict": "green"}, "verdict must be one of"),
        ({"project_id": "web"}, "project_id"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"since": "yesterday"}, "since"),
        ({"source": [7]}, "source"),
        ({"testerarmy_conn_id": ""}, "connection"),
    ],
)
def test_a_wrong_argument_is_refused_when_the_dag_is_parsed(arguments, message):
    """With its name."""
    with pytest.raises(ValueError, match=message):
        TesterArmyRunFinished(**arguments)


@pytest.mark.parametrize("wrong", [[], "17", list(range(1, 500))])
def test_docket_needs_a_bounded_list_of_runs(wrong):
    """Its API cannot list runs."""
    with pytest.raises(ValueError, match="run_ids"):
        DocketRunFinished(run_ids=wrong)


@pytest.mark.parametrize(
    "trigger",
    [
        TesterArmyRunFinished(verdict=["failed", "errored"], since="2026-01-31T06:00:00Z", source="API"),
        DocketRunFinished(run_ids=[3, 1], verdict="failed"),
    ],
)
def test_a_trigger_is_the_same_after_serialization(trigger):
    """Airflow creates it from its arguments in the triggerer, and finds it by their hash."""
    path, arguments = trigger.serialize()
    again = type(trigger)(**json.loads(json.dumps(arguments)))
    assert path.endswith(type(trigger).__name__)
    assert again.serialize() == trigger.serialize()
    assert again.wanted == trigger.wanted


def test_an_unknown_status_is_an_end_once_the_run_has_a_completion_time(connect, service):
    """Before, the run counts as active. Its verdict is unknown, and not a pass."""
    started = []

    def after():
        started.extend(start(service))
        put = {"runs.0.status": "archived"}
        service.control.faults.add("edit", "list_runs", times=3, put={**put, "runs.0.completedAt": None})
        service.control.faults.add("edit", "list_runs", times=-1, put=put)

    ((_, payload),) = run([TesterArmyRunFinished(verdict="unknown", poll_interval=1)], after, 1)
    assert (payload["run_id"], payload["status"], payload["verdict"]) == (started[0], "archived", "unknown")


def test_a_pile_is_read_once_and_reported_in_portions(connect, service, monkeypatch):
    """Each portion would read all pages again."""
    make, started, requests = events.make_payload, [], []

    def count(*arguments):
        requests.append(len(service.control.log.entries("list_runs")))
        return make(*arguments)

    monkeypatch.setattr(events, "make_payload", count)
    monkeypatch.setattr(events, "ANNOUNCED", 5)
    found = run([TesterArmyRunFinished(poll_interval=1)], lambda: started.extend(start(service, 40)), 40)
    assert {payload["run_id"] for _, payload in found} == set(started)
    assert not any(payload["repeat"] for _, payload in found)
    assert requests[-1] == requests[0]


def test_a_key_that_is_replaced_while_events_come_loses_none(connect, service):
    """The service refuses the old key, and the connection has the new one only later."""
    started = []

    def after():
        started.extend(start(service, 3))
        service.control.keys.revoke(KEY)
        service.control.keys.add("sk_new_key")
        started.extend(start(service, 3))
        refused = len(service.control.log)
        while len(service.control.log) < refused + 2:
            time.sleep(0.01)
        connect("sk_new_key")
        started.extend(start(service, 3))

    found = run([TesterArmyRunFinished(poll_interval=1)], after, 9)
    assert sorted(payload["run_id"] for _, payload in found) == sorted(started)


@pytest.mark.parametrize("run_id", ["../../projects", "a b", "x" * 5000, "", "\u202e", "a/b?c=d"])
def test_a_run_id_that_is_no_id_blocks_nothing(connect, service, run_id):
    """An active run is read by its id once no list shows it. The request for this one leads nowhere else."""
    started = []

    def after():
        put = {"runs.0.id": run_id, "runs.0.status": "running", "runs.0.completedAt": None}
        service.control.faults.add("edit", "list_runs", times=2, put=put)
        started.extend(start(service, 2))

    found = run([TesterArmyRunFinished(poll_interval=1)], after, 2)
    assert {payload["run_id"] for _, payload in found} == set(started)
    assert {entry.operation for entry in service.control.log.entries()} <= {"list_runs", "get_run", None}
