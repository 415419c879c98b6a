"""The events of ended runs, while triggerers are killed, paused and doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.chaos.stage import LOST_AFTER, SPARE, Stage, connection, new_service
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration

DAG_FILE = Path(__file__).with_name("dags") / "events.py"
PORTION = 50


@pytest.fixture(scope="module")
def events(database_url: str) -> Iterator[Stage]:
    """An Airflow with 100 watchers that have all begun."""
    with new_service() as service:
        airflow = LocalAirflow(
            [DAG_FILE],
            triggerers=2,
            database_url=database_url,
            parallelism=2,
            connections={"testerarmy_default": connection(service)},
            env=LOST_AFTER,
        )
        spare = airflow.processes.pop(SPARE)
        with airflow:
            stage = Stage(airflow, service, spare)
            eventually(lambda: len(cursors(stage)) == 100, 120, "100 cursors", state=airflow.describe)
            yield stage
            stage.close()


def cursors(stage: Stage) -> list[Any]:
    with stage.engine.connect() as link:
        return list(link.execute(text("SELECT key, asset_id FROM asset_state_store")))


def stored(stage: Stage) -> list[dict[str, Any]]:
    """The payloads of all events, in the order in which Airflow stored them."""
    with stage.engine.connect() as link:
        return [
            row.extra["payload"] for row in link.execute(text("SELECT extra FROM asset_event ORDER BY id"))
        ]


def start_runs(stage: Stage) -> set[str]:
    """Start runs on behalf of someone else."""
    url = stage.service.url.removesuffix("/api/v1") + "/_sandbox/foreign-runs"
    answers = [
        httpx.post(url, json={"prompt": f"look at page {n}", "source": "scheduled"}) for n in range(PORTION)
    ]
    return {run_id for answer in answers for run_id in answer.json()["runIds"]}


def test_no_end_is_lost_and_100_watchers_make_one_poll(events: Stage) -> None:
    """The triggerer is killed, stays away, is paused and doubled; no end is lost, repeats are marked."""
    before = len(events.service.control.log)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began >= 20, 30, "20 seconds")
    polls = len(events.service.control.log.entries("list_runs", before))
    assert 3 <= polls <= 15

    expected = start_runs(events)
    eventually(lambda: stored(events), 60, "the first event", state=events.airflow.describe)
    events.kill_triggerer(9)
    expected |= start_runs(events)
    events.start_triggerer()
    expected |= start_runs(events)
    eventually(lambda: told(events) >= expected, 120, "150 events", state=lambda: str(len(told(events))))
    expected |= start_runs(events)
    events.triggerer.pause()
    with events.second_triggerer():
        eventually(lambda: told(events) >= expected, 120, "200 events", state=lambda: str(len(told(events))))
        events.triggerer.resume()
        last = start_runs(events)
        eventually(lambda: told(events) >= expected | last, 120, "all events")
    seen: set[str] = set()
    for payload in stored(events):
        assert payload["repeat"] or payload["run_id"] not in seen
        seen.add(payload["run_id"])
    assert seen == expected | last


def told(stage: Stage) -> set[str]:
    """The runs that have an event."""
    return {payload["run_id"] for payload in stored(stage)}
