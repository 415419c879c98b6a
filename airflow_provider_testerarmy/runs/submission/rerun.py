"""A clear that runs only what did not pass: the order that a person gives with the clear, and its round.

Passes from before the clear count, because the runs tested the same request. The order is valid for one record and
one generation, so any other clear ignores it and runs everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from airflow_provider_testerarmy.runs.results import Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, RunService
from airflow_provider_testerarmy.runs.submission.asked import UNKNOWN
from airflow_provider_testerarmy.runs.submission.record import Entry, Record, Stage
from airflow_provider_testerarmy.runs.submission.rounds import MAX_SINGLE, closed, next_round
from airflow_provider_testerarmy.runs.submission.stored import is_signed, signature

#: The key of the order in the task state store.
KEY: Final = "test_runs_rerun"
_VERSION: Final = 1


def rerun_order(stored: Mapping[str, Any], clear_number: int, identity: str, secret: str) -> dict[str, Any]:
    """The order to run only what did not pass, as JSON values without null.

    :param stored: the signed record as it is stored.
    :param clear_number: of the DAG run after the clear.
    :param identity: of the task instance.
    :param secret: of the connection, which signs the order as it signs the record.
    """
    order = {"version": _VERSION, "clear_number": clear_number, "record": str(stored.get("signature", ""))}
    return {**order, "signature": signature(order, identity, secret)}


def is_ordered(order: object, stored: object, clear_number: int, identity: str, secret: str) -> bool:
    """Whether an order is for this clear and for this record, and both are signed.

    :param order: what is stored under :data:`KEY`; users can edit it.
    :param stored: the record as it is stored.
    :param clear_number: of this try's DAG run.
    """
    if not is_signed(order, identity, secret) or not is_signed(stored, identity, secret):
        return False
    assert isinstance(order, Mapping)  # noqa: S101
    assert isinstance(stored, Mapping)  # noqa: S101
    return (
        clear_number != UNKNOWN
        and order.get("version") == _VERSION
        and order.get("clear_number") == clear_number
        and order.get("record") == stored["signature"]
    )


def can_rerun(record: Record) -> bool:
    """Whether a record has what a rerun needs: a concluded generation with nothing left to stop or look up."""
    return record.stage is Stage.CONCLUDED and not record.to_clean_up and bool(record.run_ids)


def splits(service: RunService, record: Record, test_id: str) -> bool:
    """Whether the service can run single tests of the record's request.

    :param test_id: of any test of the request.
    """
    requests = [part.request for name, part in record.parts.items() if part.request is not None]
    # A round that ran single tests shows that it can.
    if record.again or len(record.parts) > 1:
        return True
    return bool(requests) and service.some_tests(requests[0], (test_id,)) is not None


def rerun_round(
    service: RunService,
    request: RunRequest,
    record: Record,
    results: Iterable[RunResult],
    blocks: Callable[[RunResult], bool],
    fresh: Record,
) -> Record | None:
    """The first record of the new generation, which runs every test without a pass that counts.

    :param record: of the generation before the clear.
    :param results: the results of its runs, one for each test.
    :param blocks: whether a run counts against the gate.
    :param fresh: the empty record of the new generation.
    :return: None if the service cannot run these tests on their own, or no pass is left.
    """
    # A gate may tolerate a test that did not pass. The person asked to run it again nevertheless.
    before = closed(record, results, lambda run: blocks(run) or run.outcome is not Outcome.PASSED)
    before = replace(before, rounds=tuple(tuple(map(_without_pass, entries)) for entries in before.rounds))
    same = record.asked.same_gate(fresh.asked) and record.asked.same_runs(fresh.asked)
    following = next_round(service, request, before, only_blocking=True, same_gate=same)
    if not following.carried:
        return None
    return replace(
        following,
        asked=fresh.asked,
        generation=fresh.generation,
        cancels=fresh.cancels,
        inherited=following.carried,
    )


def own_runs(record: Record, results: Iterable[RunResult]) -> list[RunResult]:
    """The results of runs that this generation has started."""
    inherited: frozenset[RunId] = frozenset(record.inherited)
    return [run for run in results if run.run_id not in inherited]


def too_many(count: int) -> bool:
    """Whether so many tests run in one request, which then includes those that passed."""
    return count > MAX_SINGLE


def _without_pass(entry: Entry) -> Entry:
    return replace(entry, blocks=entry.blocks or entry.outcome is not Outcome.PASSED)
