"""Trigger rows and events of other versions of the provider."""

from __future__ import annotations

import json
from pathlib import Path
from pkgutil import resolve_name

import pytest

from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.triggers.runs import make_event, read_event

#: What version 0.1.0 wrote: `serialize()` of its triggers, and their events.
WRITTEN = json.loads((Path(__file__).parents[1] / "fixtures" / "triggers_0_1_0.json").read_text())


@pytest.mark.parametrize("row", WRITTEN["rows"].values(), ids=WRITTEN["rows"])
def test_a_row_of_version_0_1_0_is_continued(row):
    """An upgrade meets tasks that are deferred."""
    assert resolve_name(row["classpath"])(**row["kwargs"]).serialize() == (row["classpath"], row["kwargs"])


@pytest.mark.parametrize("row", WRITTEN["rows"].values(), ids=WRITTEN["rows"])
def test_only_a_task_that_stops_early_stores_more(row):
    """A triggerer of an older version ignores the argument, and waits for all runs."""
    kwargs = {**row["kwargs"], "stop_at": 3}
    assert resolve_name(row["classpath"])(**kwargs).serialize() == (row["classpath"], kwargs)


@pytest.mark.parametrize("event", WRITTEN["events"].values(), ids=WRITTEN["events"])
def test_an_event_of_version_0_1_0_is_read(event):
    """Worker and triggerer are not upgraded at the same moment."""
    assert read_event(event) == Waited(WaitEnd(event["end"]), {}, "why")


@pytest.mark.parametrize("end", WaitEnd)
def test_an_event_is_read_as_it_was_written(end):
    """Through JSON."""
    event = json.loads(json.dumps(make_event(Waited(end, {}, "why"))))
    assert read_event(event) == Waited(end, {}, "why")


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        [],
        "finished",
        True,
        {"end": "finished"},
        {"version": 0, "end": "finished"},
        {"version": 2, "end": "finished"},
        {"version": "1", "end": "finished"},
        {"version": 1},
        {"version": 1, "end": None},
        {"version": 1, "end": "success"},
        {"version": 1, "end": ["finished"]},
        {"version": 1, "end": {}},
        {"version": [1], "end": "finished"},
        "x" * 100_000,
    ],
)
def test_an_event_of_another_shape_is_a_lost_wait(event):
    """The worker polls the runs itself; an unknown event never counts as success."""
    waited = read_event(event)
    assert waited.end is WaitEnd.LOST
    assert str(event)[:20] in waited.message
