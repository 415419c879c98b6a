"""Whose a temporary group is: the task's that made it, also with another key, and nobody else's."""

from __future__ import annotations

import json
import os

import pytest

from airflow_provider_testerarmy.hooks.docket import DocketHook
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.runs.submission.stored import runs_named, signature
from airflow_provider_testerarmy.runs.temporary import TemporaryTargets
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.test_temporary_groups import deferred_in_the_second_round, run, sizes, task, temporary
from tests.lifecycle.tries import Tries, started

pytestmark = pytest.mark.usefixtures("connections")


def rotate(service, monkeypatch):
    """Replace the connection's key; the service knows only the new one."""
    fields = json.loads(os.environ["AIRFLOW_CONN_TESTERARMY_DEFAULT"]) | {"password": "sk_second"}
    service.control.keys.add("sk_second")
    service.control.keys.revoke(DEFAULT_API_KEY)
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))


@pytest.mark.parametrize("lost", [False, True])
def test_a_key_that_is_replaced_while_the_group_exists(tries, service, monkeypatch, lost):
    """The record is not signed with the new key. The service says that the group and its runs are the task's."""
    tries.clear_number = 0
    one = task(deferrable=True, retries=1)
    deferred_in_the_second_round(tries, service, one)
    rotate(service, monkeypatch)
    service.control.clock.advance(60)
    summary = run(tries, one, try_number=2, max_tries=1) if lost else tries.through_trigger(one)
    assert (summary["verdict"], sizes(service), temporary(service)) == ("passed", [2, 1], [])


def test_a_service_that_says_of_which_group_a_run_is(tries, service, monkeypatch):
    """With a new key the runs count as the task's, because the group has a name that only this task gives."""
    tries.clear_number = 0
    one = task(deferrable=True, retries=1)
    left = deferred_in_the_second_round(tries, service, one)
    rotate(service, monkeypatch)
    service.control.clock.advance(60)
    service.control.faults.add("edit", "get_run", put={"input.groupId": left.id}, times=-1)
    summary = run(tries, one, try_number=2, max_tries=1)
    assert (summary["verdict"], sizes(service), temporary(service)) == ("passed", [2, 1], [])


@pytest.mark.parametrize("field", ["name", "target"])
def test_a_record_cannot_name_a_group_of_somebody_else(tries, service, field, listener, no_pauses):
    """Users can edit the record of a task, and whoever knows the key can sign it."""
    deferred_in_the_second_round(tries, service, task(deferrable=True))
    (own,) = temporary(service)
    victim = catalog.GROUP_NIGHTLY
    known = service.control.store.catalog
    change = {"target": victim, "name": known.groups[victim].name if field == "name" else own.name}
    forged = {**tries.record, "temporary": {**tries.record["temporary"], **change}}
    forged["signature"] = signature(forged, "dag/manual/tests/-1", DEFAULT_API_KEY)
    listener(forged)
    assert victim in known.groups


def test_the_group_of_another_task_is_not_deleted(tries, service, listener, no_pauses):
    """Its name has the identity of its own task."""
    deferred_in_the_second_round(tries, service, task(deferrable=True))
    other = Tries(service, map_index=1)
    left = deferred_in_the_second_round_of(other, service)
    forged = {**tries.record, "temporary": other.record["temporary"]}
    forged["signature"] = signature(forged, "dag/manual/tests/-1", DEFAULT_API_KEY)
    listener(forged)
    assert left in temporary(service)


def deferred_in_the_second_round_of(tries, service):
    """As above, for a further task; its temporary group."""
    before = temporary(service)
    one = task(deferrable=True)
    tries.execute(one, max_tries=1)
    tries.through_trigger(one)
    (left,) = [found for found in temporary(service) if found not in before]
    return left


def test_two_tasks_at_once(service, connections):
    """Each has a group of its own, and takes no run of the other."""
    both = [Tries(service, map_index=number) for number in (0, 1)]
    service.control.store.override_script(catalog.TEST_FLAKY, "fails")
    one = task(deferrable=True)
    for tries in both:
        tries.execute(one)
    for tries in both:
        tries.through_trigger(one)
    assert len({left.name for left in temporary(service)}) == 2
    for tries in both:
        assert "attempts: failed, failed" in str(tries.through_trigger(one))
    assert (sizes(service), temporary(service)) == ([2, 2, 1, 1], [])


def test_the_tab_shows_the_runs_of_the_group(tries, service):
    """They are in the record of the task."""
    run(tries, task())
    assert set(started(service)) <= set(runs_named(tries.record))


def test_docket_has_no_temporary_targets():
    """Its tests run alone in one request."""
    assert not isinstance(DocketHook().service(), TemporaryTargets)
    assert isinstance(TesterArmyHook("testerarmy_default").service(), TemporaryTargets)
