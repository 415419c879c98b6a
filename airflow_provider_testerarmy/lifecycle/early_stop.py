"""When a task cancels its active runs, because enough tests have failed for good."""

from __future__ import annotations

from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.verdict import Judge
from airflow_provider_testerarmy.lifecycle.worker_wait import Waiter
from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.results import Outcome, RunResult


class EarlyStop:
    """Decides whether enough tests have failed.

    A wait ends at a number of failed runs, in the worker or in the triggerer. Not all of them have to count: the
    gate may exclude a test, or know its failure. Then the wait goes on, up to a higher number.
    """

    def __init__(self, options: Options, judge: Judge, waiter: Waiter) -> None:
        self._options = options
        self._judge = judge
        self._waiter = waiter
        if options.gate.confirm is None:
            # Before it is confirmed, no failure is for good.
            waiter.stop_at = options.stop_after_failures

    def goes_on(self, waited: Waited) -> bool:
        """Whether a wait that ended after some failures has to go on, because too few of them count."""
        if waited.end is not WaitEnd.ENOUGH:
            return False
        limit = self._options.stop_after_failures
        finished = [run for run in waited.results.values() if run.finished]
        failed = self._judge.count_failed(finished)
        if limit is not None and failed >= limit:
            return False
        seen = sum(run.outcome is Outcome.FAILED for run in finished)
        self._waiter.stop_at = None if limit is None else seen + limit - failed
        return True

    def runs_again(self, run: RunResult) -> bool:
        """Whether a retry runs the test of a run again: it counts against the gate, or was cancelled untested."""
        cancelled = self._options.stop_after_failures is not None and run.outcome is Outcome.CANCELLED
        return cancelled or self._options.gate.blocks(run)
