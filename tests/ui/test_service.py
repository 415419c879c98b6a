"""Run details for the tab: requests are cached, coalesced, bounded in time, and paused after a failure."""

from __future__ import annotations

import asyncio
import json
from importlib import metadata

import httpx
import pytest

from airflow_provider_testerarmy.hooks.docket import DocketHook
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import Record
from airflow_provider_testerarmy.runs.submission.stored import signature, to_json
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.ui.service import FINISHED_TTL, PAUSE, Owner, RunDetails, owner_of
from airflow_provider_testerarmy.ui.store import StoredTask

VERSION = tuple(map(int, metadata.version("apache-airflow").split(".")[:2]))

OWNER = Owner(TesterArmyHook, "testerarmy_default")


class Clock:
    """A clock that the test advances."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def details(service, clock, monkeypatch):
    fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    return RunDetails(clock)


def start(service, path):
    """Start runs as an operator would, and return their ids."""
    answer = httpx.post(
        f"{service.url}/{path}/runs", headers={"Authorization": f"Bearer {DEFAULT_API_KEY}"}, trust_env=False
    ).json()
    return answer.get("runIds") or [answer["runId"]]


@pytest.fixture
def runs(service):
    """The finished runs of a group."""
    ids = start(service, f"groups/{catalog.GROUP_FAILING}")
    service.control.clock.advance(600)
    return ids


def asked(service):
    return [entry.path.rpartition("/")[2] for entry in service.control.log.entries("get_run", 0)]


def fetch(details, ids, viewers=1, owner=OWNER):
    async def all_of_them():
        return await asyncio.gather(*(details.fetch(owner, ids) for _ in range(viewers)))

    return asyncio.run(all_of_them())


def test_many_viewers_make_one_call_for_each_run(service, details, runs):
    """Concurrent requests for a run are coalesced."""
    found = fetch(details, runs, viewers=20)
    assert all(set(each.details) == set(runs) and not each.notice for each in found)
    assert sorted(asked(service)) == sorted(runs)


def test_an_answer_is_kept(service, details, clock, runs):
    """A finished run is cached for an hour."""

    async def twice():
        await details.fetch(OWNER, runs)
        clock.now = FINISHED_TTL - 1
        await details.fetch(OWNER, runs)

    asyncio.run(twice())
    assert sorted(asked(service)) == sorted(runs)


def test_a_run_that_goes_on_is_asked_for_again(service, details, clock):
    """An active run is fetched again after a few seconds."""
    (run_id,) = start(service, f"tests/{catalog.TEST_ENDLESS}")

    async def later():
        for clock.now in (0.0, 1.0, 10.0):
            await details.fetch(OWNER, [run_id])

    asyncio.run(later())
    assert asked(service) == [run_id, run_id]


def test_a_service_that_is_down_is_left_alone(service, details, clock, runs):
    """During the pause everyone gets the same notice; after it the service is asked again."""
    service.control.down = "reset"

    async def until_it_is_up():
        first = await details.fetch(OWNER, runs)
        service.control.down = None
        second = await details.fetch(OWNER, runs)
        clock.now += PAUSE + 1
        return first, second, await details.fetch(OWNER, runs)

    first, second, third = asyncio.run(until_it_is_up())
    assert first.details == second.details == {}
    assert first.notice == "silent"
    assert second.notice == first.notice
    assert (set(third.details), third.notice) == (set(runs), "")


def test_a_rejected_key_is_said(service, details, runs):
    """The notice says that the key was rejected, and does not contain the key."""
    service.control.keys.revoke(DEFAULT_API_KEY)
    (found,) = fetch(details, runs)
    assert found.details == {}
    assert found.notice == "denied"
    assert DEFAULT_API_KEY not in found.notice


def test_a_run_that_is_gone_hides_no_other(service, details, runs):
    """One missing run does not hide the others, and the notice mentions it."""
    (found,) = fetch(details, [*runs, catalog.UNKNOWN_ID])
    assert set(found.details) == set(runs)
    assert found.notice == "gone"


def test_a_connection_that_is_gone(details, runs):
    """The notice names the missing connection; the page still has the summary."""
    (found,) = fetch(details, runs, owner=Owner(TesterArmyHook, "nowhere"))
    assert found.details == {}
    assert "nowhere" in found.notice


def test_whom_to_ask():
    """The rendered connection field decides which hook is used; no other field can name a class."""
    assert owner_of({"testerarmy_conn_id": "a", "group_id": "g"}) == Owner(TesterArmyHook, "a")
    assert owner_of({"docket_conn_id": "b"}) == Owner(DocketHook, "b")
    assert owner_of({"http_conn_id": "c", "hook": "os.system", "testerarmy_conn_id": ""}) is None


@pytest.mark.skipif(VERSION < (3, 2), reason="connections have teams from Airflow 3.2 on")
def test_a_connection_of_the_dags_team(service, details, runs, monkeypatch):
    """With `[core] multi_team` a connection may belong to one team, and no other team reads it."""
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    monkeypatch.delenv("AIRFLOW_CONN_TESTERARMY_DEFAULT")
    fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN__SHOP___TESTERARMY_DEFAULT", json.dumps(fields))
    ours = Owner(TesterArmyHook, "testerarmy_default", "shop")
    (found,) = fetch(details, runs, owner=ours)
    assert (set(found.details), found.notice) == (set(runs), "")
    for team in ("other", None):
        (found,) = fetch(details, runs, owner=Owner(TesterArmyHook, "testerarmy_default", team))
        assert found.details == {}
        assert found.notice.startswith("unreadable:")


# -- who wrote a record


@pytest.mark.parametrize(
    ("secret", "name", "signed"),
    [
        (DEFAULT_API_KEY, "d/r/t/-1", True),
        ("sk_another_key", "d/r/t/-1", False),
        (DEFAULT_API_KEY, "d/r/other/-1", False),
        (None, "", False),
    ],
    ids=["its own", "another key", "another task", "not signed"],
)
def test_a_record_is_the_tasks_own_by_its_signature(details, secret, name, signed):
    """Users can edit task state, and the API key can read all runs of its account."""
    data = to_json(Record(Asked("hook", "testerarmy_default"), Generation(0)))
    record = {**data, "signature": signature(data, name, secret)} if secret else data
    task = StoredTask("d", "r", "t", -1, "success", 1, None, None, record=record)
    assert asyncio.run(details.is_record_signed(OWNER, task)) is signed
    assert not asyncio.run(details.is_record_signed(Owner(TesterArmyHook, "no_such_connection"), task))
