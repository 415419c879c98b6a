"""What a try submits: the whole request, or after failed tests only those that did not pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from airflow_provider_testerarmy.runs.results import Outcome, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, RunService
from airflow_provider_testerarmy.runs.submission.record import Record, Stage

#: The name of the only submission of a usual try.
WHOLE: Final = "run"
#: Above this many tests that did not pass, one submission of the whole is the better bargain.
MAX_SINGLE: Final = 50


def planned(service: RunService, request: RunRequest, record: Record) -> dict[str, RunRequest]:
    """The submissions of a try by name, in order: a lost try finds the same ones again."""
    if not record.again:
        return {WHOLE: request}
    single = {f"test {test_id}": service.single_test(request, test_id) for test_id in record.again}
    return {name: one for name, one in single.items() if one is not None}


def with_failures(record: Record, results: Sequence[RunResult]) -> Record:
    """The record of a verdict that is to be retried: what passed, and which tests did not."""
    passed = tuple(run.run_id for run in results if run.outcome is Outcome.PASSED)
    failed = tuple(dict.fromkeys(run.test_id for run in results if run.outcome is not Outcome.PASSED))
    return replace(record, stage=Stage.AGAIN, passed=passed, failed=failed)


def next_round(service: RunService, request: RunRequest, record: Record, *, only_failed: bool) -> Record:
    """The record with which a retry after a verdict begins.

    :param only_failed: run only the tests again that did not pass, and keep the passes of earlier rounds.
        Where the service cannot start them one by one as the whole was started, everything runs again.
    """
    fresh = replace(
        record, parts={}, stage=Stage.OPEN, deadline=None, again=(), passed=(), round=record.round + 1
    )
    failed = record.failed
    single = failed and all(failed) and len(failed) <= MAX_SINGLE
    if not only_failed or not single:
        return fresh
    if any(service.single_test(request, test_id) is None for test_id in failed):
        return fresh
    return replace(fresh, again=failed, passed=record.passed)


def marked_flaky(results: Iterable[RunResult], record: Record) -> list[RunResult]:
    """The results, a test that passes now and did not in an earlier round marked as flaky."""
    before = set(record.failed) if record.round else set()
    return [
        replace(run, flaky=True) if run.outcome is Outcome.PASSED and run.test_id in before else run
        for run in results
    ]


def titles_used(results: Sequence[RunResult], titles: Mapping[str, str]) -> list[RunResult]:
    """The results under their tests' own titles, where those are known."""
    return [replace(run, title=titles.get(run.test_id) or run.title) for run in results]
