"""Adoption: which runs a task that resumes after a deferral takes for its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from airflow_provider_testerarmy.exceptions import RunsForgotten
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.lifecycle.record_trust import RecordReader
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.rounds import WHOLE

_FORGOTTEN: Final = (
    "The ids of the runs that this task waited for are lost: neither its record nor its trigger has them. Check "
    "the dashboard for the runs."
)


def adopt(
    reader: RecordReader,
    store: RecordStore,
    request: RunRequest | None,
    started: Callable[[], Submission],
    trusted: frozenset[RunId],
) -> Record:
    """Take over the runs from before a deferral, or the runs that a sensor got as an argument.

    :param request: what the task submits, None for a sensor.
    :param started: returns the runs if there is no record.
    :param trusted: the runs that the trigger waited for. Users cannot edit these.
    :raises RunsForgotten: if neither names any run, or the runs of a request are missing.
    """
    record = reader.resumed(trusted)
    if record is not None and record.unknown:
        record = _with_unrecorded(reader, record, started(), trusted)
    if record is not None and (record.run_ids or record.carried):
        store.record = record
        if record.generation != store.generation:
            # ``clear_number`` goes up with every clear in the DAG run. A task that resumes was not cleared itself,
            # so another task was. A record of version 1 lacks the number: without it, a retry looks like a clear.
            store.keep(replace(record, generation=store.generation))
        return store.record
    submission = started()
    if not reader.can_be_ours(submission.run_ids, trusted):
        submission = Submission(())
    part = Part(request, PartState.STARTED, submission=submission)
    store.record = store.fresh.with_part(WHOLE, part)
    if not store.record.run_ids:
        raise RunsForgotten(_FORGOTTEN)
    return store.record


def _with_unrecorded(
    reader: RecordReader, record: Record, started: Submission, trusted: frozenset[RunId]
) -> Record:
    """The record with runs that Airflow did not store. Without them, kept passes could pass the gate alone."""
    missing = tuple(run_id for run_id in started.run_ids if run_id not in record.all_run_ids)
    if not missing or not reader.can_be_ours(missing, trusted):
        raise RunsForgotten(_FORGOTTEN)
    first, *others = [name for name, part in record.parts.items() if part.unknown]
    submission = replace(started, run_ids=missing)
    parts = {first: replace(record.parts[first], state=PartState.STARTED, submission=submission)}
    for name in others:
        reason = f"its runs are recorded with those of {first}"
        parts[name] = replace(record.parts[name], state=PartState.REFUSED, reason=reason)
    return replace(record, parts={**record.parts, **parts})
