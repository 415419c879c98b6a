"""What a task that waits can tell: its usual duration, and an outage of the service."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.ui.live import outage_of, usual_of
from airflow_provider_testerarmy.ui.service import Contact
from tests.ui.test_payloads import stored
from tests.ui.test_service import OWNER, clock, details, fetch, runs, start

__all__ = ["clock", "details", "runs"]

NOON = datetime(2026, 2, 11, 12, tzinfo=UTC)


def night(seconds, **fields):
    ended = None if seconds is None else (NOON + timedelta(seconds=seconds)).isoformat()
    summary = {"verdict": "passed", "run_ids": [], "counts": {}, "started_at": NOON.isoformat()}
    return stored({**summary, "finished_at": ended, **fields})


def test_the_usual_duration_is_the_median():
    """One night that hung does not move it, and a night without times does not count."""
    assert usual_of([night(60), night(70), night(9000), night(None)]) == {"seconds": 70, "nights": 3}


@pytest.mark.parametrize(
    "nights", [[], [night(None)], [night(0)], [night(-5)], [night(60, started_at="text")]]
)
def test_no_usual_duration(nights):
    """Users can write any value into an XCom."""
    assert usual_of(nights) is None


@pytest.mark.parametrize(
    ("max_outage", "seconds"), [("1800", 1800), (None, 600), ("None", 600), ("nonsense", None), ("-1", None)]
)
def test_how_long_the_task_waits_at_most(max_outage, seconds):
    """As the task's parameter says; without one, its default."""
    task = replace(stored({}), state="deferred", rendered={"max_outage": max_outage})
    found = outage_of(task, Contact(50.0, 100.0, "no answer"))
    assert found == {"since": 100.0, "until": seconds and 100.0 + seconds, "notice": "no answer"}
    assert outage_of(task, Contact(50.0)) is None


def test_an_outage_begins_once_and_ends_with_an_answer(service, details, runs, clock):
    """The first failed request says since when; a later one does not move it."""
    assert details.contact(OWNER).answered is None
    service.control.faults.add("status", "get_run", status=503, times=-1)
    fetch(details, runs)
    first = details.contact(OWNER).failing_since
    assert first is not None
    clock.now += 100
    fetch(details, runs)
    assert details.contact(OWNER).failing_since == first
    assert details.contact(OWNER).notice == "silent"
    service.control.faults.clear()
    clock.now += 100
    fetch(details, runs)
    contact = details.contact(OWNER)
    assert (contact.failing_since, contact.answered is not None) == (None, True)


def test_waiting_for_new_runs_is_no_outage(service, details):
    """A run that the service no longer has says nothing about the service."""
    fetch(details, start(service, f"groups/{catalog.GROUP_FAILING}"))
    assert details.contact(OWNER).failing_since is None
