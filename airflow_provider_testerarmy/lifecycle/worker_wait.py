"""Polling runs in the worker: until they end, once, or only to collect the results of runs that have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from airflow_provider_testerarmy import metrics
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupted, Interrupts
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.single import await_runs, look
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH, Waited, WaitEnd
from airflow_provider_testerarmy.runs.flow import Flow
from airflow_provider_testerarmy.runs.results import Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.submission.record import Record

#: Seconds by which the clocks of the service and of this machine may differ.
SKEW: Final = 60.0
#: Seconds before the connection is read a second time. People revoke the old key first and store the new one after.
REREAD_AFTER: Final = 5.0


class Waiter:
    """Waits for the runs of one try.

    :param task: the operator, for its ``execution_timeout``.
    """

    def __init__(
        self,
        session: ServiceSession,
        store: RecordStore,
        options: Options,
        task: Any,
        ti: Any,
        interrupts: Interrupts,
        log: Any,
    ) -> None:
        self._session = session
        self._store = store
        self._options = options
        self._task = task
        self._ti = ti
        self._interrupts = interrupts
        self._log = log
        #: The number of failed runs at which a wait ends, although others are active; None for never.
        self.stop_at: int | None = None

    def start_timeout(self) -> None:
        """Store the deadline, unless the record has one: ``timeout`` counts across retries."""
        record = self._store.record
        if (timed := self.with_deadline(record)) is not record:
            self._store.keep(timed)

    def with_deadline(self, record: Record) -> Record:
        """The record with a deadline that counts from now, or the same record if it has one or needs none."""
        if self._options.timeout is None or record.deadline is not None:
            return record
        return replace(record, deadline=self._session.clock() + self._options.timeout)

    def pace(self) -> Pace:
        """The poll interval, the longest outage, the earlier of the task's two deadlines, and ``stop_at``."""
        deadlines = [self._store.record.deadline, self._execution_deadline()]
        known = [deadline for deadline in deadlines if deadline is not None]
        deadline = min(known, default=None)
        # The failures of a search are no failures of this night.
        stop_at = None if self._store.record.searching else self.stop_at
        return Pace(self._options.poll_interval, self._options.max_outage, deadline, stop_at)

    def _execution_deadline(self) -> float | None:
        # Airflow documents execution_timeout as the total run time, but enforces it only inside the worker process:
        # never while the task is deferred, and from zero after each resume (measured on 3.3).
        # https://github.com/apache/airflow/issues/67227 describes the same in another provider.
        limit, began = self._task.execution_timeout, self._ti.start_date
        return (began + limit).timestamp() if limit and began else None

    def time_left(self, grace: timedelta) -> timedelta | None:
        """The time from now to the deadline plus ``grace``, None without a deadline."""
        deadline = self.pace().deadline
        return (
            None
            if deadline is None
            else timedelta(seconds=max(0.0, deadline - self._session.clock())) + grace
        )

    def wait(self, run_ids: Sequence[RunId]) -> Waited:
        """Wait until the runs have ended, or until their deadline."""
        pace = self.pace()
        if pace.deadline is None or self._session.clock() < pace.deadline:
            waited = self._run_flow(run_ids, pace, await_runs)
            assert waited is not None  # noqa: S101
            return waited
        # A retry may begin after the deadline. ``after_deadline`` then collects runs that ended in time.
        return Waited(WaitEnd.DEADLINE, {}, "the deadline has passed")

    def collect(self, run_ids: Sequence[RunId]) -> Waited:
        """Fetch the results of runs that have ended, also after the deadline, which limits only the wait."""
        pace = replace(self.pace(), deadline=self._session.clock() + self._options.max_outage, stop_at=None)
        waited = self._run_flow(run_ids, pace, await_runs)
        if waited is not None and waited.end is not WaitEnd.DEADLINE:
            return waited
        return Waited(WaitEnd.UNAVAILABLE, self.known(run_ids), "the results could not be fetched")

    def check_once(self, run_ids: Sequence[RunId]) -> Waited | None:
        """Poll each run once, also after the deadline; None if the wait has to go on."""
        return self._run_flow(run_ids, replace(self.pace(), deadline=None), look)

    def after_deadline(self, waited: Waited, run_ids: Sequence[RunId]) -> Waited:
        """The results at the deadline. A trigger has cancelled the runs that were still active by then."""
        if waited.results:
            return waited
        checked = self.check_once(run_ids)
        if checked is None or checked.end is not WaitEnd.FINISHED:
            return replace(waited, results=self.known(run_ids))
        cancelled = any(run.outcome is Outcome.CANCELLED for run in checked.results.values())
        if cancelled or self._ended_late(checked.results.values()):
            return replace(waited, results=checked.results)
        return checked

    def check_cancelled(self, run_ids: Sequence[RunId]) -> None:
        """Poll runs that were cancelled without a final status. The last poll may have missed the end of one."""
        known = self.known(run_ids)
        if any(run_id not in known or not known[run_id].finished for run_id in run_ids):
            # A kill that arrives now has nothing left to stop.
            with suppress(Interrupted):
                self.check_once(run_ids)

    def ended_in_time(self, known: Mapping[RunId, RunResult], run_ids: Sequence[RunId]) -> bool:
        """Whether every run is known to have ended by itself, and by the deadline."""
        results = [known[run_id] for run_id in run_ids if run_id in known]
        by_themselves = all(run.finished and run.outcome is not Outcome.CANCELLED for run in results)
        return len(results) == len(run_ids) and by_themselves and not self._ended_late(results)

    def known(self, run_ids: Sequence[RunId]) -> dict[RunId, RunResult]:
        """The newest cached result of each of the runs, without a request."""
        return {run_id: self._session.seen[run_id] for run_id in run_ids if run_id in self._session.seen}

    def _run_flow(
        self, run_ids: Sequence[RunId], pace: Pace, flow: Callable[..., Flow[Waited | None]]
    ) -> Waited | None:
        """Run a flow. If the service rejects the key and the connection has a new one, run it again."""
        while True:
            # Opened first: a kill may interrupt the block of `waiting()` anywhere.
            with metrics.span("testerarmy.wait", run_ids=list(run_ids)), self._interrupts.waiting():
                waited = self._session.drive(
                    flow(
                        self._session.service, run_ids, pace, self._session.clock, self._log.info, width=WIDTH
                    )
                )
            if waited is None or waited.end is not WaitEnd.DENIED or not self._connection_changed():
                return waited
            self._log.info(
                "The connection has been changed since the wait began. Waiting continues with the new one."
            )
            self._store.renew(self._session.secret)

    def _connection_changed(self) -> bool:
        """Whether the connection has another host or key now, or a few seconds later."""
        if self._session.reload():
            return True
        with self._interrupts.waiting():
            self._session.sleep(REREAD_AFTER)
        return self._session.reload()

    def _ended_late(self, results: Iterable[RunResult]) -> bool:
        deadline = self.pace().deadline
        ends = [run.finished_at for run in results if run.finished_at is not None]
        return deadline is not None and any(end.timestamp() > deadline + SKEW for end in ends)
