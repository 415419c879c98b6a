"""Rounds: the first one runs the whole request, later ones the tests that count against the gate.

Which tests were flaky, which results still count and which tests run again is computed from all rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from airflow_provider_testerarmy.runs.results import Outcome, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, RunService
from airflow_provider_testerarmy.runs.submission.record import Entry, Part, PartState, Record, Stage

#: The name of the part that submits the whole request.
WHOLE: Final = "run"
#: If more tests than this have to run again, one request for all tests is cheaper.
MAX_SINGLE: Final = 50


def first_round(record: Record, request: RunRequest) -> Record:
    """The record with the whole request planned."""
    return record.with_part(WHOLE, Part(request))


def closed(record: Record, results: Iterable[RunResult], blocks: Callable[[RunResult], bool]) -> Record:
    """The record with its round closed, so that the next try starts another one.

    :param results: the results of this round, and those of earlier rounds that still count.
    :param blocks: whether a run counts against the gate.
    """
    own = frozenset(record.run_ids)
    entries = tuple(
        Entry(run.test_id, run.run_id, run.outcome or Outcome.UNKNOWN, blocks(run))
        for run in results
        if run.run_id in own
    )
    parts = {
        name: replace(part, state=PartState.ENDED) if part.active else part
        for name, part in record.parts.items()
    }
    return replace(record, parts=parts, stage=Stage.AGAIN, rounds=(*record.rounds, entries))


def next_round(
    service: RunService,
    request: RunRequest,
    record: Record,
    *,
    only_blocking: bool,
    same_gate: bool = True,
) -> Record:
    """The record of a new round after a closed one.

    :param only_blocking: run only the tests that count against the gate, and keep the results of the others. If
        the service cannot run these tests on their own, everything runs again.
    :param same_gate: whether the current gate is the one by which the earlier rounds were judged.
    """
    fresh = replace(
        record, parts={}, stage=Stage.OPEN, deadline=None, again=(), carried=(), confirming=(), search=None
    )
    latest = _latest(record)
    again = tuple(test_id for test_id, entry in latest.items() if entry.blocks)
    known = bool(again) and all(latest) and len(again) <= MAX_SINGLE
    carried = _in_force(latest, again, record)
    # If no result is kept, start everything in one request, as in the first round.
    some = only_blocking and same_gate and known and bool(carried)
    requests = service.some_tests(request, again) if some else None
    if requests is None:
        return first_round(fresh, request)
    parts = {one.label[:200]: Part(one) for one in requests}
    return replace(fresh, parts=parts, again=again, carried=carried)


def request_of(
    service: RunService, name: str, part: Part, whole: RunRequest, temporary: str = ""
) -> RunRequest | None:
    """The request of a part, with its secrets; None if it can no longer be built.

    :param whole: the request of this try, because the record holds no secrets.
    :param temporary: the id of the temporary target of this round; empty if there is none.
    """
    if name == WHOLE:
        return whole
    if part.request is not None and temporary and part.request.target == temporary:
        # The record may not have the whole body of its request, which is that of the whole target.
        return replace(whole, kind=part.request.kind, target=temporary)
    if part.request is not None:
        return part.request
    # Records of version 1 have only the name of the part, which ends with the test's id.
    requests = service.some_tests(whole, (name.rpartition(" ")[2],))
    return requests[0] if requests else None


def _latest(record: Record) -> dict[str, Entry]:
    return {entry.test_id: entry for entries in record.rounds for entry in entries}


def _in_force(latest: Mapping[str, Entry], again: Sequence[str], record: Record) -> tuple[str | int, ...]:
    kept = [entry.run_id for test_id, entry in latest.items() if test_id and test_id not in again]
    # Records of version 1 do not say to which test a passed run belongs.
    nameless = [
        entry.run_id
        for entries in record.rounds
        for entry in entries
        if not entry.test_id and not entry.blocks
    ]
    return tuple(run_id for run_id in dict.fromkeys([*nameless, *kept]) if run_id != "")


def without_test(record: Record, name: str) -> Record:
    """The record without a test that the service no longer has; the test's last result is reported instead."""
    part = record.parts[name]
    last = _latest(record).get(part.request.target) if part.request else None
    carried = record.carried if last is None else (*record.carried, last.run_id)
    return replace(record.with_part(name, replace(part, state=PartState.REFUSED)), carried=carried)


def given_up(record: Record, reason: str) -> Record:
    """The record without the parts that have not been sent. Neither this nor a later try sends them."""
    for name, part in record.parts.items():
        if part.state is PartState.PLANNED:
            record = record.with_part(name, replace(part, state=PartState.REFUSED, reason=reason))
    return record


def removed_tests(record: Record) -> frozenset[str]:
    """The tests of this round that the service no longer has."""
    refused = [part.request for part in record.parts.values() if part.state is PartState.REFUSED]
    return frozenset(request.target for request in refused if request) & frozenset(record.again)


def failed_before(results: Iterable[RunResult], record: Record, blocks: Callable[[RunResult], bool]) -> bool:
    """Whether every test that fails the gate has failed in an earlier round too; False in the first round.

    :param blocks: whether a run counts against the gate.
    """
    earlier = {
        entry.test_id for entries in record.rounds for entry in entries if entry.outcome is Outcome.FAILED
    }
    failed = [run.test_id for run in results if run.outcome is Outcome.FAILED and blocks(run)]
    return bool(record.rounds) and earlier.issuperset(failed)


def with_rounds(results: Iterable[RunResult], record: Record) -> list[RunResult]:
    """The results with flaky tests marked, removed tests skipped, and rejected runs explained."""
    # A failure that was to be confirmed stands, whatever has become of its test.
    removed = frozenset[str]() if record.confirming else removed_tests(record)
    rejected = frozenset(run_id for each in record.submissions for run_id in each.rejected_run_ids)
    marked = (_marked(run, record, removed) for run in results)
    return [_explained(run) if run.run_id in rejected else run for run in marked]


def _explained(run: RunResult) -> RunResult:
    """A rejected run, which the service lists as a cancelled one, with the reason that nobody cancelled it."""
    if run.outcome is not Outcome.CANCELLED:
        return run
    said = "rejected by the service on submission"
    return replace(run, reason=f"{said}: {run.reason}" if run.reason else said)


def _marked(run: RunResult, record: Record, removed: frozenset[str]) -> RunResult:
    if run.test_id and run.test_id in removed:
        said = f"the service no longer has this test; its last outcome was {run.outcome}"
        return replace(run, outcome=Outcome.SKIPPED, reason=said)
    return replace(run, flaky=True) if _is_flaky(run, record) else run


def _is_flaky(run: RunResult, record: Record) -> bool:
    """Whether a test passed after it had failed. An errored run says nothing about the test."""
    if run.outcome is not Outcome.PASSED or not run.test_id:
        return False
    for entries in record.rounds:
        if any(entry.run_id == run.run_id for entry in entries):
            return False
        if any(entry.test_id == run.test_id and entry.outcome is Outcome.FAILED for entry in entries):
            return True
    return False


def titles_used(results: Sequence[RunResult], titles: Mapping[str, str]) -> list[RunResult]:
    """The results with the titles of their tests, where those are known."""
    return [replace(run, title=titles.get(run.test_id) or run.title) for run in results]
