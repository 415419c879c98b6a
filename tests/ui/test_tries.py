"""The tab's list of earlier tries."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.verdict.tries import KEY, try_entry, with_entry
from airflow_provider_testerarmy.ui.store import StoredTask
from airflow_provider_testerarmy.ui.tries import tries_of

pytestmark = pytest.mark.skipif(
    not airflow_compat.TASK_STATE_STORE.available, reason="needs the task state store of Airflow 3.3"
)

FIRST = try_entry(1, 10.0, {"verdict": "failed", "reasons": ["1 of 2 runs failed"], "counts": {"total": 2}})
SECOND = try_entry(2, 20.0, {"verdict": "passed", "reasons": [], "counts": {"total": 1}})


@pytest.fixture
def shown(monkeypatch):
    """The tries that the tab shows."""

    def read(record, held):
        monkeypatch.setattr(airflow_compat, "stored_task_state", lambda _task, key: {KEY: held}[key])
        task = StoredTask("dag", "manual", "tests", -1, "success", 1, None, None, record=record)
        return [(one["try"], one["verdict"]) for one in tries_of(task)["tries"]]

    return read


def test_the_first_try_is_in_the_record(shown):
    assert shown({"said": FIRST}, None) == [(1, "failed")]


def test_the_list_of_a_later_try_has_the_first_one_too(shown):
    """The record still has the entry."""
    held = with_entry(with_entry(None, FIRST), SECOND)
    assert shown({"said": FIRST}, held) == [(1, "failed"), (2, "passed")]


@pytest.mark.parametrize("record", [None, "text", {"said": "text"}, {"said": {"try": "1"}}, {"said": {}}])
def test_an_edited_record_is_no_obstacle(shown, record):
    """Users can edit task state."""
    assert shown(record, None) == []
