from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.submission.record import (
    Owner,
    Part,
    Record,
    RecordUnreadable,
    Stage,
    Start,
    how_to_start,
)

RUN_IDS = st.lists(st.text(max_size=5) | st.integers(), max_size=3).map(tuple)
SUBMISSIONS = st.builds(Submission, RUN_IDS, RUN_IDS, st.text(max_size=5), st.booleans())
PARTS = st.builds(Part, st.none() | st.datetimes(timezones=st.just(UTC)), st.none() | SUBMISSIONS)
TEST_IDS = st.lists(st.text(max_size=5), max_size=3).map(tuple)
RECORDS = st.builds(
    Record,
    generation=st.integers(0, 99),
    parts=st.dictionaries(st.text(max_size=5), PARTS, max_size=3),
    stage=st.sampled_from(Stage),
    deadline=st.none() | st.floats(0, 1e10),
    round=st.integers(0, 9),
    failed=TEST_IDS,
    again=TEST_IDS,
    passed=RUN_IDS,
    owner=st.none() | st.builds(Owner, st.text(), st.text(), st.booleans()),
)


def nulls(value):
    """Return how many nulls there are in a document."""
    if isinstance(value, dict):
        return sum(nulls(item) for item in value.values())
    return sum(nulls(item) for item in value) if isinstance(value, list) else int(value is None)


@given(RECORDS)
def test_a_record_survives_json(record):
    """As plain values, none of them null: Airflow's store refuses null."""
    data = json.loads(json.dumps(record.to_json()))
    assert Record.from_json(data) == record
    assert nulls(data) == 0


def test_nothing_is_no_record():
    """A first try remembers nothing."""
    assert Record.from_json(None) is None


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        "text",
        7,
        {"version": 2},
        {"version": 1},
        {"version": 1, "generation": "x", "parts": {}, "stage": "open", "passed": [], "round": 0},
        {"version": 1, "generation": 1, "parts": [], "stage": "open", "passed": [], "round": 0},
        {"version": 1, "generation": 1, "parts": {"run": 7}, "stage": "open", "passed": [], "round": 0},
        {"version": 1, "generation": 1, "parts": {"run": {"since": "x"}}, "stage": "open", "passed": []},
        {"version": 1, "generation": 1, "parts": {"run": {"submission": {"ids": []}}}, "stage": "open"},
        {"version": 1, "generation": 1, "parts": {}, "stage": "new", "passed": [], "round": 0},
        {"version": 1, "generation": 1, "parts": {}, "stage": "open", "passed": None, "round": 0},
    ],
)
def test_what_cannot_be_read_is_not_ignored(data):
    """It may name a run that is active."""
    with pytest.raises(RecordUnreadable):
        Record.from_json(data)


@pytest.mark.parametrize(
    ("record", "start"),
    [
        (None, Start.FRESH),
        (Record(3), Start.RECONNECT),
        (Record(3, stage=Stage.FINISHED), Start.RECONNECT),
        (Record(3, stage=Stage.AGAIN), Start.AGAIN),
        (Record(2), Start.REPLACE),
        (Record(2, stage=Stage.FINISHED), Start.REPLACE),
        (Record(2, stage=Stage.AGAIN), Start.REPLACE),
    ],
)
def test_how_a_try_begins(record, start):
    """A retry of the third generation reconnects; what another one left is replaced."""
    assert how_to_start(record, 3) is start


def test_a_part_is_lost_while_nobody_knows_what_came_of_it():
    """An intent without an answer."""
    since = datetime(2026, 2, 11, tzinfo=UTC)
    assert Part(since).lost
    assert not Part().lost
    assert not Part(since, Submission(("a",))).lost


def test_a_record_knows_all_its_runs():
    """Of every submission, the known ones."""
    record = Record(1).with_part("run", Part(submission=Submission(("a", "b"))))
    record = record.with_part("test x", Part(submission=Submission((7,)))).with_part("test y", Part())
    assert record.run_ids == ("a", "b", 7)
    assert len(record.submissions) == 2
