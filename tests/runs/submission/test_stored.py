"""The record as JSON, its signature, and records of version 1."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.results import Deployment, Outcome
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import UNKNOWN, Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import (
    Entry,
    Part,
    PartState,
    Record,
    RecordUnreadable,
    Stage,
)
from airflow_provider_testerarmy.runs.submission.search import Search, Span, Trial
from airflow_provider_testerarmy.runs.submission.stored import (
    MAX_BODY,
    from_json,
    is_signed,
    runs_named,
    signature,
    to_json,
)
from airflow_provider_testerarmy.runs.temporary import TemporaryTarget

RUN_IDS = st.lists(st.text(max_size=5) | st.integers() | st.uuids().map(str), max_size=30).map(tuple)
SUBMISSIONS = st.builds(Submission, RUN_IDS, RUN_IDS, st.text(max_size=5), st.booleans())
MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))
REQUESTS = st.builds(
    RunRequest,
    st.text(max_size=5),
    st.text(max_size=5),
    st.dictionaries(st.sampled_from(["mode", "x"]), st.text(max_size=5) | st.integers(), max_size=2),
)
PARTS = st.builds(
    Part,
    st.none() | REQUESTS,
    st.sampled_from([state for state in PartState if state is not PartState.STARTED]),
    MOMENTS,
    RUN_IDS,
    st.none() | SUBMISSIONS,
    RUN_IDS,
    st.text(max_size=5),
    MOMENTS,
)
ENTRIES = st.builds(
    Entry, st.text(max_size=5), st.text(max_size=5) | st.integers(), st.sampled_from(Outcome), st.booleans()
)
SEARCHES = st.builds(
    Search,
    st.lists(
        st.builds(Deployment, st.integers(0, 9), st.text(max_size=5), st.text(max_size=5), st.booleans()),
        min_size=1,
        max_size=4,
    ).map(tuple),
    st.lists(st.builds(Span, st.text(max_size=5), st.just(0), st.just(0)), max_size=2).map(tuple),
    st.lists(
        st.builds(
            Trial,
            st.text(max_size=5),
            st.just(0),
            st.text(max_size=5) | st.integers(),
            st.sampled_from(Outcome),
            st.sampled_from(["passed", "failed", "no answer"]),
        ),
        max_size=3,
    ).map(tuple),
    st.just(0),
    st.lists(st.text(max_size=5), max_size=2).map(tuple),
    st.text(max_size=5),
)
RECORDS = st.builds(
    Record,
    asked=st.builds(Asked, *[st.text(max_size=5)] * 6),
    generation=st.builds(Generation, st.integers(0, 99), st.integers(-1, 9), st.integers(-1, 9)),
    parts=st.dictionaries(st.text(max_size=5), PARTS, max_size=3),
    stage=st.sampled_from(Stage),
    deadline=st.none() | st.floats(0, 1e10),
    rounds=st.lists(st.lists(ENTRIES, max_size=30).map(tuple), max_size=2).map(tuple),
    again=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    carried=RUN_IDS,
    cancels=st.booleans(),
    leftovers=st.lists(PARTS, max_size=2).map(tuple),
    temporary=st.none() | st.builds(TemporaryTarget, *[st.text(max_size=5)] * 3),
    search=st.none() | SEARCHES,
    held=st.dictionaries(st.text(max_size=5), PARTS, max_size=2),
)
FIXTURES = json.loads((Path(__file__).parent / "records_0_1_0.json").read_text())


def nulls(value):
    """Return how many nulls there are in a document."""
    if isinstance(value, dict):
        return sum(nulls(item) for item in value.values())
    return sum(nulls(item) for item in value) if isinstance(value, list) else int(value is None)


@given(RECORDS)
def test_a_record_survives_json(record):
    """As plain values, none of them null: Airflow's store refuses null."""
    stored = to_json(record)
    data = json.loads(json.dumps(stored))
    # Airflow's store refuses tuples.
    assert data == stored
    assert from_json(data) == record
    assert nulls(data) == 0


def test_a_record_without_a_temporary_target_is_as_before():
    """An older version reads it, and a newer one may add fields to the target."""
    record = Record(Asked("hook", "conn"), Generation(0))
    assert "temporary" not in to_json(record)
    newer = to_json(record) | {"temporary": {"name": "n", "project_id": "p", "more": 1}}
    assert from_json(newer) == replace(record, temporary=TemporaryTarget("n", "p"))


@pytest.mark.parametrize(
    "edited", [{"night": 2}, {"spans": [{"test_id": "t", "good": 0, "bad": 7}]}, {"nights": []}, {"tests": 1}]
)
def test_a_search_that_names_nights_that_it_lacks_is_unreadable(edited):
    """A task does not guess what an edited record means."""
    record = Record(Asked("hook", "conn"), Generation(0), search=Search((Deployment(1),)))
    data = to_json(record)
    assert from_json(data) == record
    with pytest.raises(RecordUnreadable):
        from_json(data | {"search": data["search"] | edited})


def test_a_record_knows_the_runs_of_its_search():
    """The round of the verdict comes back after the search, and no run is forgotten."""
    started = {name: Part(state=PartState.STARTED, submission=Submission((name,))) for name in "abc"}
    before = Record(Asked("hook", "conn"), Generation(0), {"a": started["a"]}, carried=("z",))
    search = Search((Deployment(1),), trials=(Trial("t", 0, "b", Outcome.PASSED, "passed"),))
    record = replace(before, parts={"c": started["c"]}, held=before.parts, carried=("z", "a"), search=search)
    assert record.searching
    assert record.base == replace(before, search=search)
    assert set(record.all_run_ids) == {"a", "b", "c"}
    assert runs_named(to_json(record)) == ("z", "a", "c")


def test_nothing_is_no_record():
    """The first try has no record."""
    assert from_json(None) is None


def test_a_record_of_a_thousand_tests_fits_into_the_store():
    """Airflow takes 64 KiB; the ids alone, as text, would need more."""
    ids = [f"20000000-0000-4000-8000-{number:012x}" for number in range(2000)]
    entries = tuple(Entry(ids[n], ids[1000 + n], Outcome.PASSED, blocks=False) for n in range(1000))
    record = Record(Asked("hook", "conn"), Generation(2), rounds=(entries,), carried=tuple(ids[1000:1950]))
    assert len(json.dumps(to_json(record))) < 72 * 1024
    running = Record(Asked("hook", "conn"), Generation(2)).with_part(
        "run", Part(state=PartState.STARTED, submission=Submission(tuple(ids[:1000])))
    )
    assert len(json.dumps(to_json(running))) < 32 * 1024


def test_a_stored_request_has_no_secrets():
    """Records lie in the metadata database in plain text."""
    body = {"prompt": "p", "credentials": [{"username": "u", "password": "hunter2"}]}
    stored = json.dumps(
        to_json(Record(Asked("h", "c"), Generation(0)).with_part("run", Part(RunRequest("prompt", "", body))))
    )
    assert "hunter2" not in stored
    assert '"u"' in stored


def test_of_a_large_request_only_the_outline_is_stored():
    """Its runs cannot be matched, so none is adopted."""
    request = RunRequest("prompt", "", {"prompt": "x" * MAX_BODY})
    record = Record(Asked("h", "c"), Generation(0)).with_part("run", Part(request))
    read = from_json(to_json(record)).parts["run"].request
    assert (read.kind, read.body, read.whole) == ("prompt", {}, False)


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        "text",
        7,
        {"version": 3},
        {"version": "2"},
        {"version": 2},
        {"version": 2, "asked": {}, "generation": [1, 1, 1], "parts": {}, "stage": "open"},
        {"version": 1},
        {"version": 1, "generation": "x", "parts": {}, "stage": "open", "passed": [], "failed": []},
        {"version": 1, "generation": 1, "parts": [], "stage": "open", "passed": [], "failed": []},
        {"version": 1, "generation": 1, "parts": {"run": 7}, "stage": "open", "passed": [], "failed": []},
        {"version": 1, "generation": 1, "parts": {}, "stage": "new", "passed": [], "failed": [], "again": []},
    ],
)
def test_what_cannot_be_read_is_not_ignored(data):
    """It may name a run that is active."""
    with pytest.raises(RecordUnreadable):
        from_json(data)


def test_what_cannot_be_read_is_named_as_far_as_possible():
    """A record of a later version, whose shape nobody knows here."""
    data = {"version": 9, "x": [{"y": {"run_ids": ["a", 7]}}], "carried": ["b"], "runs": {"uuids": "!"}}
    with pytest.raises(RecordUnreadable) as caught:
        from_json(data)
    assert set(caught.value.run_ids) == {"a", 7, "b"}
    assert set(runs_named(data)) == {"a", 7, "b"}
    assert runs_named("text") == ()


# -- who wrote it


def test_a_signature_holds_for_one_task_and_one_secret():
    data = to_json(Record(Asked("h", "c"), Generation(0)))
    signed = json.loads(json.dumps({**data, "signature": signature(data, "dag/run/task/-1", "sk")}))
    assert is_signed(signed, "dag/run/task/-1", "sk")
    assert not is_signed(signed, "dag/run/other/-1", "sk")
    assert not is_signed(signed, "dag/run/task/-1", "sk2")
    assert not is_signed({**signed, "cancels": False}, "dag/run/task/-1", "sk")
    assert not is_signed(signed, "dag/run/task/-1", "")


@pytest.mark.parametrize("forged", [None, 7, "", "é", ["x"], "0" * 64])
def test_a_forged_signature_proves_nothing(forged):
    data = to_json(Record(Asked("h", "c"), Generation(0)))
    assert not is_signed({**data, "signature": forged}, "dag/run/task/-1", "sk")
    assert not is_signed([data], "dag/run/task/-1", "sk")


# -- the version before


def test_an_open_record_of_the_version_before():
    """Its runs are active; neither the request nor `retries` was kept."""
    record = from_json(FIXTURES["open"])
    assert record.asked == Asked(
        "airflow_provider_testerarmy.hooks.testerarmy.TesterArmyHook", "testerarmy_default"
    )
    assert record.generation == Generation(2, UNKNOWN, UNKNOWN)
    assert (record.stage, record.cancels, record.deadline) == (Stage.OPEN, True, 1770811500.5)
    (part,) = record.unsettled
    assert (part.state, part.submission.run_ids, part.submission.batch_id) == (
        PartState.STARTED,
        ("a", "b"),
        "B",
    )
    assert part.submission.rejected_run_ids == ("b",)


def test_a_lost_intent_of_the_version_before():
    """It is looked up by its time."""
    (part,) = from_json(FIXTURES["intent"]).unsettled
    assert (part.state, part.since) == (PartState.SENDING, datetime(2026, 2, 11, 12, tzinfo=UTC))


def test_a_round_of_the_version_before():
    """What passed still counts, and what failed is run again one by one."""
    record = from_json(FIXTURES["round"])
    assert (record.again, record.carried, record.stage) == (("t1", "t2"), ("p1",), Stage.OPEN)
    assert [part.state for part in record.parts.values()] == [PartState.STARTED, PartState.SENDING]


def test_a_judged_record_of_the_version_before():
    """No retry followed a final verdict, and its runs had ended."""
    record = from_json(FIXTURES["finished"])
    assert (record.stage, record.unsettled) == (Stage.CONCLUDED, ())
    again = from_json(FIXTURES["again"])
    assert (again.stage, again.unsettled) == (Stage.AGAIN, ())
    assert [(entry.test_id, entry.blocks) for entries in again.rounds for entry in entries] == [
        ("", False),
        ("t1", True),
        ("t2", True),
    ]
