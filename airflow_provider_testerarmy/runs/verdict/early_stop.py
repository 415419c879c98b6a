"""A task that cancels its remaining runs once enough tests have failed for good."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from airflow_provider_testerarmy.runs.results import Outcome, RunResult
from airflow_provider_testerarmy.runs.text import plural
from airflow_provider_testerarmy.runs.verdict.gate import Verdict, VerdictKind


def count_failed(
    results: Sequence[RunResult], blocks: Callable[[RunResult], bool], counted: Collection[str]
) -> int:
    """How many tests have failed for good. A run without a test, e.g. of a prompt, counts for itself.

    :param blocks: whether a run counts against the gate.
    :param counted: the tests whose failures count, e.g. not the known ones.
    """
    failed = [
        run
        for run in results
        if run.finished and run.outcome in (Outcome.FAILED, Outcome.PASSED) and blocks(run)
    ]
    tests = {run.test_id for run in failed if run.test_id in counted}
    return len(tests - {""}) + sum(not run.test_id for run in failed)


def stopped(verdict: Verdict, results: Sequence[RunResult], failed: int, stop_after: int) -> Verdict:
    """The verdict on a task that may have been stopped: *failed*, if it has cancelled runs after enough failures.

    The gate alone might pass, for example with a low ``min_pass_rate`` and ``on_cancelled="ignore"``.

    :param results: without the runs that the service rejected on submission.
    :param failed: how many tests have failed for good.
    """
    cancelled = sum(run.outcome is Outcome.CANCELLED for run in results)
    if failed < stop_after or not cancelled:
        return verdict
    said = f"{plural(failed, 'test')} failed, and {plural(cancelled, 'run')} did not finish"
    reason = f"Stopped early: {said} (stop_after_failures is {stop_after})."
    return replace(verdict, kind=VerdictKind.FAILED, reasons=(reason, *verdict.reasons))
