"""One try of a task on test runs, in the worker: submit, remember, await, stop, judge, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.exceptions import (
    RequestRefused,
    RunErrored,
    RunInterrupted,
    RunsForgotten,
    TestRunError,
    TestsFailed,
    submit_error,
    verdict_error,
    wait_error,
)
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupted, Interrupts
from airflow_provider_testerarmy.lifecycle.record_store import TaskMemory
from airflow_provider_testerarmy.lifecycle.reporting import push_summary, report_markdown, write_report
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.single import await_runs, look
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH, Waited, WaitEnd
from airflow_provider_testerarmy.runs.flow import Flow, drive, side_by_side
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, ServiceFault, Submission
from airflow_provider_testerarmy.runs.submission.cancel import cancel
from airflow_provider_testerarmy.runs.submission.record import (
    Owner,
    Part,
    Record,
    RecordUnreadable,
    Stage,
    Start,
)
from airflow_provider_testerarmy.runs.submission.rounds import (
    WHOLE,
    marked_flaky,
    next_round,
    planned,
    titles_used,
    with_failures,
)
from airflow_provider_testerarmy.runs.submission.submit import Journal, Setting, find, submit
from airflow_provider_testerarmy.runs.text import name_runs, one_line
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, Verdict
from airflow_provider_testerarmy.runs.verdict.summary import summarize
from airflow_provider_testerarmy.runs.verdict.titles import titles_of

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

R = TypeVar("R")

#: The states of a task that a user ended: marked, cleared (``restarting``), or deleted. In any other one Airflow
#: takes this worker for lost, and the next try may be on its way to the same runs already.
ENDED_BY_HAND: Final = frozenset(
    {"failed", "success", "skipped", "upstream_failed", "removed", "restarting", airflow_compat.GONE}
)


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters that operators and sensors share, rendered and checked.

    :param poll_interval: seconds.
    :param timeout: seconds from the submission to the deadline, None for no deadline.
    :param max_outage: seconds.
    """

    gate: QualityGate
    poll_interval: float
    timeout: float | None
    max_outage: float
    cancel_on_kill: bool
    durable: bool
    report_path: str | Sequence[str] | None = None
    copy_screenshots: bool = False
    retry_failed_tests: bool = False


class Lifecycle:
    """One try of one task instance.

    :param hook: the connection; its service is asked.
    :param request: what is started, None for a task that only waits.
    :param context: Airflow's, of this try.
    :param log: takes the lines of the task's log.
    """

    def __init__(
        self,
        hook: ServiceHook,
        options: Options,
        request: RunRequest | None,
        context: Mapping[str, Any],
        log: Any,
    ) -> None:
        self._hook = hook
        self._options = options
        self._request = request
        self._log = log
        self._ti = context["ti"]
        self._task = context["task"]
        self._service = hook.service()
        self._interrupts = Interrupts()
        self._judged = False
        #: What a person calls what was started, where the service told it to this try.
        self.title = ""
        #: Whether this try waits for what an earlier one started.
        self.reconnected = False
        self._memory = self._open_memory(context, Owner(hook.path, hook.conn_id, options.cancel_on_kill))
        self._put, self._close = hook.asker()

    def _open_memory(self, context: Mapping[str, Any], owner: Owner) -> TaskMemory:
        try:
            return TaskMemory(context, owner, durable=self._options.durable)
        except RecordUnreadable as error:
            raise RequestRefused(
                f"What an earlier try remembered cannot be read ({error}). Look on the dashboard for runs that "
                "it left, then run the task with durable=False or in a new DAG run."
            ) from error

    @property
    def run_ids(self) -> tuple[RunId, ...]:
        """What is judged: the runs of this round, and those of earlier rounds that passed and still count."""
        return (*self.record.passed, *self.record.run_ids)

    @property
    def record(self) -> Record:
        """What is known to have been started."""
        return self._memory.record

    @property
    def submission(self) -> Submission:
        """All that was started, as one."""
        parts = self.record.submissions
        batches = {part.batch_id for part in parts}
        return Submission(
            self.record.run_ids,
            tuple(run_id for part in parts for run_id in part.rejected_run_ids),
            batches.pop() if len(batches) == 1 else "",
        )

    @contextmanager
    def guarded(self) -> Iterator[Lifecycle]:
        """Whatever ends the block, no run is left behind that nobody will wait for.

        :raises RunInterrupted: when the task was told to stop.
        """
        try:
            yield self
        except Interrupted:
            raise self._interrupted() from None
        except AirflowTaskTimeout:
            self._log.info("The task's execution_timeout is over.")
            self.give_up()
            raise
        except Exception as error:
            if not self._judged and not self._reconnects_after(error):
                self._stop(self.record)
            raise
        finally:
            self._close()

    def kill(self) -> None:
        """The task is told to stop; see :class:`~airflow_provider_testerarmy.lifecycle.interrupts.Interrupts`."""
        if not self._judged:
            self._interrupts.kill()

    @property
    def label(self) -> str:
        """What was started, in the vendor's words; empty for a task that only waits."""
        return one_line(self._request.label, 200) if self._request else ""

    # -- submitting

    def submit(self) -> Record:
        """Start the request, or reconnect to what an earlier try of this generation started.

        :raises TestRunError: when nothing was started, or when that is not clear.
        """
        assert self._request is not None  # noqa: S101
        self._begin(self._request)
        for name, request in planned(self._service, self._request, self.record).items():
            part = self.record.parts.get(name, Part())
            if part.submission is None:
                self._submit_part(name, request, part)
            else:
                runs = name_runs(part.submission.run_ids)
                self._log.info("Reconnecting to %s, started by an earlier try.", runs)
                self.reconnected = True
        self.start_timeout()
        self._interrupts.check()
        return self.record

    def start_timeout(self) -> None:
        """From now on the time-out counts, unless an earlier try began to count."""
        if self._options.timeout is not None and self.record.deadline is None:
            self._memory.keep(replace(self.record, deadline=time.time() + self._options.timeout))

    def _begin(self, request: RunRequest) -> None:
        """Make of what earlier tries left the record of this one."""
        start = self._memory.start()
        if start is Start.REPLACE:
            self._stop_earlier_generation()
            self._memory.keep(self._memory.fresh)
        if start is Start.AGAIN:
            only_failed = self._options.retry_failed_tests
            self._memory.keep(next_round(self._service, request, self.record, only_failed=only_failed))

    def _submit_part(self, name: str, request: RunRequest, part: Part) -> None:
        self._interrupts.check()
        ended = self._drive(submit(self._setting(request, self._memory.journal(name)), part.since))
        if ended.submission is None:
            raise submit_error(ended, request.label, remembered=self._memory.remembered)
        if name == WHOLE:
            self.title = one_line(ended.title, 200)
        how = "Found" if ended.submission.adopted else "Started"
        self._log.info("%s %s: %s.", how, request.label, name_runs(ended.submission.run_ids))
        if rejected := ended.submission.rejected_run_ids:
            self._log.warning("%s rejected %s at once.", self._service.vendor, name_runs(rejected))

    def _setting(self, request: RunRequest, journal: Journal) -> Setting:
        records = [record for record in (self._memory.earlier, self.record) if record]
        known = frozenset(run_id for record in records for run_id in record.run_ids)
        return Setting(
            self._service, request, journal, self._options.max_outage, time.time, self._log.info, known
        )

    # -- awaiting

    def pace(self) -> Pace:
        """How to wait, until the earlier of the task's deadlines."""
        deadlines = [self.record.deadline, self._execution_deadline()]
        known = [deadline for deadline in deadlines if deadline is not None]
        return Pace(self._options.poll_interval, self._options.max_outage, min(known, default=None))

    def _execution_deadline(self) -> float | None:
        # Airflow does not enforce execution_timeout while a task is deferred, and starts it anew on resume.
        limit, began = self._task.execution_timeout, self._ti.start_date
        return (began + limit).timestamp() if limit and began else None

    @property
    def can_be_active(self) -> bool:
        """Whether there is a run that can be active."""
        return bool(set(self.record.run_ids) - set(self.submission.rejected_run_ids))

    def time_left(self, grace: timedelta) -> timedelta | None:
        """The time from now to the deadline and ``grace`` beyond it, None without a deadline."""
        deadline = self.pace().deadline
        return None if deadline is None else timedelta(seconds=max(0.0, deadline - time.time())) + grace

    def wait(self, run_ids: Sequence[RunId]) -> Waited:
        """Wait in this worker."""
        with self._interrupts.waiting():
            return self._drive(
                await_runs(self._service, run_ids, self.pace(), time.time, self._log.info, width=WIDTH)
            )

    def look(self, run_ids: Sequence[RunId]) -> Waited | None:
        """Look once; None while something is still to be waited for."""
        with self._interrupts.waiting():
            return self._drive(
                look(self._service, run_ids, self.pace(), time.time, self._log.info, width=WIDTH)
            )

    def adopt(self, started: Callable[[], Submission]) -> Record:
        """Take over what was started before the task was deferred, or what a sensor was given.

        :param started: tells it where there is no record.
        :raises RunsForgotten: when it is not known either way.
        """
        self._memory.start()
        if not self.record.run_ids:
            self._memory.record = self.record.with_part(WHOLE, Part(submission=started()))
        if not self.record.run_ids:
            raise RunsForgotten(
                "The ids of the runs that this task waited for are gone: neither the task state store nor the "
                "XCom run_ids has them. Look for the runs on the dashboard."
            )
        return self.record

    # -- stopping

    def _interrupted(self) -> RunInterrupted:
        """A user who kills a task wants its runs stopped; whoever takes the worker away does not."""
        ids = self.record.run_ids
        what = name_runs(ids) if ids else "no run yet"
        if self._memory.remembered and self._next_try_comes():
            return RunInterrupted(f"The worker was stopped; the next try reconnects ({what}).", ids)
        stopped = self._stop(self.record)
        fate = "stopped" if stopped else "not stopped"
        return RunInterrupted(f"The task was stopped, its runs were {fate} ({what}).", ids)

    def _next_try_comes(self) -> bool:
        try:
            state = airflow_compat.own_state(self._ti)
        except Exception as error:
            self._log.info("Airflow did not say why the task is stopped (%s); assuming a lost worker.", error)
            return self._retries_left()
        # A scheduler that was away resets the state of running tasks to none, and starts them anew.
        return state is None or (state not in ENDED_BY_HAND and self._retries_left())

    def _retries_left(self) -> bool:
        return int(self._ti.try_number) <= int(self._ti.max_tries or 0)

    def _reconnects_after(self, error: Exception) -> bool:
        """Whether a next try will come, and will find what this one started."""
        final = isinstance(error, AirflowFailException)
        return self._memory.remembered and self._retries_left() and not final

    def _stop_earlier_generation(self) -> None:
        earlier = self._memory.earlier
        if earlier is not None and earlier.stage is Stage.OPEN:
            self._log.info("The task was cleared: stopping what it started before.")
            self._stop(earlier)

    def give_up(self) -> None:
        """The deadline is over: stop the runs, and let a further try start new ones.

        What could not be stopped is still going on, so a further try waits for it instead, for as long again.
        """
        if self._stop(self.record):
            self._memory.note(Stage.AGAIN)
        else:
            self._memory.keep(replace(self.record, deadline=None))

    def _stop(self, record: Record) -> bool:
        """Cancel what a record started, as far as it is known; whether nothing is left running."""
        if not self._options.cancel_on_kill:
            if record.run_ids:
                self._log.info("Not cancelling %s (cancel_on_kill=False).", name_runs(record.run_ids))
            return False
        submissions = [*record.submissions, *self._lost_submissions(record)]
        outcomes = [
            self._drive(cancel(self._service, one, self._log.info), time.sleep) for one in submissions
        ]
        return all(outcomes)

    def _lost_submissions(self, record: Record) -> Iterator[Submission]:
        """What was started by a submission whose answer nobody has."""
        if self._request is None:
            return
        for name, request in planned(self._service, self._request, record).items():
            part = record.parts.get(name, Part())
            if part.since is None or part.submission is not None:
                continue
            setting = replace(self._setting(request, self._memory.journal(name)), max_outage=0.0)
            found = self._drive(find(setting, part.since), time.sleep)
            if found is None:
                self._log.info("The lost submission of the %s started nothing.", request.label)
            elif found.submission:
                yield found.submission
            else:
                self._log.warning("The %s may still be running: %s.", request.label, found.message)

    # -- judging

    def conclude(self, waited: Waited, run_ids: Sequence[RunId]) -> dict[str, Any]:
        """Judge what a wait came to, and return the summary.

        :raises TestRunError, TestsSkipped: for every verdict but passed, and for a wait that ended early.
        """
        if waited.end is WaitEnd.DEADLINE:
            self.give_up()
            self._judged = True
        if waited.end is not WaitEnd.FINISHED:
            cancelled = self._options.cancel_on_kill and self._service.can_cancel
            raise wait_error(waited, run_ids, cancelled=cancelled)
        return self._judge([waited.results[run_id] for run_id in dict.fromkeys(run_ids)], run_ids)

    def _judge(self, unnamed: Sequence[RunResult], run_ids: Sequence[RunId]) -> dict[str, Any]:
        results = marked_flaky(self._named(unnamed), self.record)
        verdict = self._options.gate.judge(results)
        batch_id = self.submission.batch_id
        url = self.url(run_ids) or next((run.url for run in results if run.url), "")
        markdown = self._markdown(verdict, results, total=len(run_ids), url=url)
        summary = summarize(
            verdict, results, run_ids=run_ids, batch_id=batch_id, url=url, report_markdown=markdown
        )
        self._log.info("Verdict: %s. %s", verdict.kind, " | ".join(verdict.reasons))
        if self._options.report_path:
            write_report(
                self._options.report_path,
                summary,
                results,
                self._log,
                name=self._name,
                screenshots=self._options.copy_screenshots,
                loopback=self._hook.endpoint.on_loopback,
            )
        error = verdict_error(
            verdict,
            run_ids,
            all_rejected=self.submission.all_rejected,
            retry_failed_tests=self._options.retry_failed_tests,
        )
        if isinstance(error, RunErrored | TestsFailed) and not isinstance(error, AirflowFailException):
            self._memory.keep(with_failures(self.record, results))
        else:
            self._memory.note(Stage.FINISHED)
        self._judged = True
        if error is None:
            return summary
        if self._options.gate.report_only and isinstance(error, TestRunError):
            self._log.warning("The gate only reports, so the task succeeds all the same.")
            return summary
        push_summary(self._ti, summary)
        raise error

    def unjudged(self) -> dict[str, Any]:
        """The summary of runs that were started and are not awaited.

        :raises TestRunError: when there is nothing that could run.
        """
        run_ids, submission = self.record.run_ids, self.submission
        if not self.can_be_active:
            return self.conclude(self.wait(run_ids), run_ids)
        self._judged = True
        url, batch_id = self.url(run_ids), submission.batch_id
        markdown = self._markdown(None, (), total=len(run_ids), url=url)
        return summarize(None, (), run_ids=run_ids, batch_id=batch_id, url=url, report_markdown=markdown)

    @property
    def _name(self) -> str:
        return f"{self._ti.dag_id}.{self._ti.task_id}"

    def _markdown(
        self, verdict: Verdict | None, results: Sequence[RunResult], *, total: int, url: str
    ) -> str:
        return report_markdown(verdict, results, self._log, total=total, name=self._name, url=url)

    def url(self, run_ids: Sequence[RunId]) -> str:
        """Where a person looks at the runs, empty where that is not known."""
        return self._service.submission_url(self.submission) if run_ids else ""

    def _named(self, results: Sequence[RunResult]) -> list[RunResult]:
        project_id = next((run.project_id for run in results if run.project_id), "")
        if self._request is None or not results or not any(run.test_id for run in results):
            return list(results)
        try:
            with self._interrupts.waiting():
                titles = self._drive(titles_of(self._service, self._request, project_id))
        except ServiceFault as fault:
            self._log.info("The tests' titles could not be read (%s); showing what the runs say.", fault)
            return list(results)
        return titles_used(results, titles)

    def _drive(self, flow: Flow[R], sleep: Callable[[float], None] | None = None) -> R:
        return drive(flow, self._put, sleep or self._interrupts.sleep, side_by_side)
