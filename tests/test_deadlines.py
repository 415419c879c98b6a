"""What the callback of a deadline says."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.deadlines import log_open_tests, open_tests, open_text

CONTEXT = {"dag_run": {"dag_id": "nightly", "dag_run_id": "manual__1"}, "deadline": {"id": "1"}}


@pytest.fixture
def states(monkeypatch):
    """The states of the tasks of the DAG run."""
    found = {"web": "success", "mobile": "deferred", "release": "awaiting_input", "later": None}

    async def read(dag_id, run_id, task_ids=None):
        assert (dag_id, run_id) == ("nightly", "manual__1")
        return {name: state for name, state in found.items() if task_ids is None or name in task_ids}

    monkeypatch.setattr(airflow_compat, "atask_states", read)
    return found


def test_open_tests_are_named(states):
    assert asyncio.run(open_tests(CONTEXT)) == {
        "mobile": "deferred",
        "release": "awaiting_input",
        "later": "not started",
    }


def test_only_some_tasks_test_something(states):
    assert asyncio.run(open_tests(CONTEXT, ["web", "mobile"])) == {"mobile": "deferred"}


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed"])
def test_an_ended_task_is_not_open(states, state):
    states.update(dict.fromkeys(states, state))
    assert asyncio.run(log_open_tests(CONTEXT)).endswith("No test is open.")


def test_the_message_says_what_each_waits_for(states):
    text = asyncio.run(log_open_tests(CONTEXT))
    assert text == (
        "The deadline of nightly, manual__1 has passed. 3 tests open: later (not started), mobile (waits for its "
        "runs), release (waits for a person)."
    )


def test_the_message_is_bounded():
    text = open_text(CONTEXT, {f"{'t' * 200}\n{number}": "running" for number in range(1000)})
    assert len(text) < 5000
    assert "\n" not in text
    assert "and 950 more" in text
