"""Odd answers and inputs around temporary groups."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.lifecycle.record_backends import StoreUnavailable
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.test_temporary_groups import deferred_in_the_second_round, run, sizes, task, temporary
from tests.lifecycle.tries import started

pytestmark = pytest.mark.usefixtures("connections")


@pytest.mark.parametrize("value", ["", None, "not-a-uuid", catalog.GROUP_NIGHTLY, "../runs"])
@pytest.mark.parametrize("field", ["id", "name"])
def test_a_creation_with_an_odd_answer(tries, service, field, value, no_pauses):
    """Nothing but the group of the task is touched, nothing is left, and the verdict is given."""
    before = set(service.control.store.catalog.groups)
    service.control.faults.add("edit", "create_group", put={f"group.{field}": value})
    assert run(tries, task())["verdict"] == "passed"
    assert set(service.control.store.catalog.groups) == before


@pytest.mark.parametrize("kind", ["empty", "html", "wrong_shape"])
@pytest.mark.parametrize("operation", ["add_group_test", "delete_group", "list_groups"])
def test_a_wrong_answer_of_a_change(tries, service, kind, operation, no_pauses):
    """It is repeated."""
    service.control.faults.add(kind, operation)
    assert run(tries, task())["verdict"] == "passed"
    assert temporary(service) == []


def test_a_group_without_a_preparation_test_and_a_mobile_build(tries, service):
    """Every field of the request goes along."""
    one = task(environment="preview", pr_number=7)
    run(tries, one)
    inputs = [service.control.store.runs[run_id].input for run_id in started(service)]
    same = [{name: each.get(name) for name in ("environment", "prNumber", "targetUrl")} for each in inputs]
    assert same == [same[0]] * 3
    assert same[0]["prNumber"] == 7


def test_a_mapped_task_with_an_address_from_expand(tries, service):
    """`expand()` gives it as text."""
    one = task(target_url="https://preview.shop.example/?a=1&b=%20")
    assert run(tries, one)["verdict"] == "passed"
    assert sizes(service) == [2, 1]


def test_a_record_that_cannot_be_stored_creates_nothing(tries, service):
    """Nobody could delete the group after a lost worker, so the whole group runs again."""

    def refuse(record):
        if "temporary" in record:
            raise StoreUnavailable("Airflow does not store it.")

    tries.store.on_set = refuse
    run(tries, task())
    assert service.control.log.entries(operation="create_group") == []


@pytest.mark.parametrize("target", ["not-a-uuid", "", "..", "30000000-0000-4000-8000-000000000001"])
def test_an_edited_id_fails_nothing(tries, service, target, no_pauses):
    """The task has its verdict, and no other group is deleted."""
    one = task(deferrable=True)
    deferred_in_the_second_round(tries, service, one)
    service.control.clock.advance(60)
    before = {group.id for group in service.control.store.catalog.groups.values()} - {
        group.id for group in temporary(service)
    }
    edited = json.loads(json.dumps(tries.record))
    edited["temporary"]["target"] = target
    tries.store["test_runs"] = edited
    tries.through_trigger(one)
    assert before <= set(service.control.store.catalog.groups)
