"""One try of a task on test runs, in the worker: submit, remember, await, stop, judge, report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_testerarmy.exceptions import (
    RunErrored,
    RunInterrupted,
    RunsForgotten,
    TestRunError,
    TestsFailed,
    verdict_error,
    wait_error,
)
from airflow_provider_testerarmy.lifecycle.cancellation import name_active
from airflow_provider_testerarmy.lifecycle.claims import claims_of
from airflow_provider_testerarmy.lifecycle.conclusion import Ender
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupted, Interrupts
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore, identity_of
from airflow_provider_testerarmy.lifecycle.record_trust import Origin
from airflow_provider_testerarmy.lifecycle.service_session import ServiceLine
from airflow_provider_testerarmy.lifecycle.start import Beginner
from airflow_provider_testerarmy.lifecycle.verdict import Judge, as_one
from airflow_provider_testerarmy.lifecycle.worker_wait import Waiter
from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.results import Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import asked_for
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.decision import Ending
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.rounds import (
    WHOLE,
    closed,
)
from airflow_provider_testerarmy.runs.text import name_runs, one_line

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

_ENDINGS: Final = {
    WaitEnd.DEADLINE: Ending.DEADLINE,
    WaitEnd.UNAVAILABLE: Ending.OUTAGE,
    WaitEnd.LOST: Ending.TRIGGER_LOST,
}
_STOPPED: Final = {
    StopResult.STOPPED: "stopped",
    StopResult.RUNNING: "not stopped",
    StopResult.UNKNOWN: "perhaps not stopped",
}


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
        self._options = options
        self._request = request
        self._log = log
        ti = context["ti"]
        self._interrupts = Interrupts()
        self._line = ServiceLine(hook, self._interrupts)
        self._asked = asked_for(hook.path, hook.conn_id, request, options.gate.digest())
        self._store = RecordStore(
            context, self._asked, self._line.secret, cancels=options.cancel_on_kill, durable=options.durable
        )
        self._origin = Origin(self._store, self._line, request, context, log)
        self._claims = claims_of(identity_of(ti))
        self._ender = Ender(
            self._line, self._store, self._origin, options, self._claims, ti, log, waits_only=request is None
        )
        self._judge = Judge(self._line, options, request, context["task"], ti, log, self._interrupts)
        self._beginner = Beginner(
            self._line,
            self._store,
            self._origin,
            self._ender,
            options,
            self._claims,
            self._interrupts,
            log,
        )
        #: Waits for the runs, and says until when.
        self.waiter = Waiter(self._line, self._store, options, context["task"], ti, self._interrupts, log)
        #: Whether the runs have been judged, or are not to be.
        self.judged = False

    @property
    def record(self) -> Record:
        """What is known to have been started."""
        return self._store.record

    @property
    def run_ids(self) -> tuple[RunId, ...]:
        """What is judged: the runs of this round, and those of earlier rounds that still count."""
        return tuple(dict.fromkeys((*self.record.carried, *self.record.run_ids)))

    @property
    def submission(self) -> Submission:
        """All that was started, as one."""
        return as_one(self.record)

    @property
    def can_be_active(self) -> bool:
        """Whether there is a run that can be active."""
        return bool(set(self.record.run_ids) - set(self.submission.rejected_run_ids))

    @property
    def label(self) -> str:
        """What was started, in the vendor's words; empty for a task that only waits."""
        return one_line(self._request.label, 200) if self._request else ""

    @property
    def title(self) -> str:
        """What a person calls what was started, where the service told it to this try."""
        return self._beginner.title

    @property
    def reconnected(self) -> bool:
        """Whether this try waits for what an earlier one started."""
        return self._beginner.reconnected

    def url(self, run_ids: Sequence[RunId]) -> str:
        """Where a person looks at the runs, empty where that is not known."""
        return self._judge.url(self.record, run_ids)

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
            if not self.judged:
                self._execution_timed_out()
            raise
        except (KeyboardInterrupt, SystemExit):
            # `airflow dags test` runs tasks in the foreground.
            if not self.judged:
                self._ender.end(Ending.KILLED, follows=False)
            raise
        except Exception as error:
            if not self.judged:
                self._ender.end_with(error)
            raise
        finally:
            self._line.close()

    def kill(self) -> None:
        """The task is told to stop; see :class:`~airflow_provider_testerarmy.lifecycle.interrupts.Interrupts`."""
        if self.judged:
            return
        if self._beginner.sending:
            # Airflow may end the process before the answer comes.
            self._log.warning(
                "The request for the %s has been sent and is not answered. It may start runs: unless a later line "
                "names them, check the dashboard.",
                self.label,
            )
        self._interrupts.kill()

    # -- beginning

    def submit(self) -> Record:
        """Start the request, or reconnect to what an earlier try of this generation started.

        :raises TestRunError: when nothing was started, or when that is not clear.
        """
        assert self._request is not None  # noqa: S101
        self._beginner.begin(self._request)
        self.waiter.start_timeout()
        self._interrupts.check()
        return self.record

    def adopt(self, started: Callable[[], Submission], trusted: frozenset[RunId] = frozenset()) -> Record:
        """Take over what was started before the task was deferred, or what a sensor was given.

        :param started: tells it where there is no record.
        :param trusted: the runs that the trigger has waited for; no user can have named them to it.
        :raises RunsForgotten: when it is not known either way.
        """
        record = self._origin.resumed(trusted)
        if record is not None and (record.run_ids or record.carried):
            self._store.record = record
            if not record.generation.same(self._store.generation):
                # A task that resumes was not cleared itself; something else in its DAG run was.
                self._store.keep(replace(record, generation=self._store.generation))
            return self.record
        submission = started()
        if not self._origin.can_be_ours(submission.run_ids, trusted):
            submission = Submission(())
        part = Part(self._request, PartState.STARTED, submission=submission)
        self._store.record = self._store.fresh.with_part(WHOLE, part)
        if not self.record.run_ids:
            raise RunsForgotten(
                "The ids of the runs that this task waited for are gone: neither its record nor its trigger has "
                "them. Check the dashboard for the runs."
            )
        return self.record

    # -- ending

    def abandon(self) -> str:
        """Stop what an earlier try started, because this one cannot go on; what became of it, for a message."""
        record, believed = self._origin.earlier()
        if record is None or not believed or not record.unsettled:
            return "Nothing was started."
        what = name_active(record)
        self._store.record = record
        fate = self._ender.end(Ending.REFUSED, follows=False)
        return (
            f"Nothing new was started. From an earlier try, {what}: {_STOPPED[fate or StopResult.UNKNOWN]}."
        )

    def _interrupted(self) -> RunInterrupted:
        """A user who kills a task wants its runs stopped; whoever takes the worker away does not."""
        ids = self.record.run_ids
        ending, follows = self._ender.why_interrupted()
        fate = self._ender.end(ending, follows=follows)
        if fate is None:
            what = name_runs(ids) if ids else "no run yet"
            message = f"The worker was stopped; the next try reconnects ({what})."
        else:
            # Those that have ended were not stopped, and do not go on.
            known = self.waiter.known(ids)
            active = tuple(run_id for run_id in ids if run_id not in known or not known[run_id].finished)
            what = name_runs(active) if active else "all had ended" if ids else "no run yet"
            message, ids = f"The task was stopped, its runs were {_STOPPED[fate]} ({what}).", active
        self._push_known(message, fate)
        return RunInterrupted(message, ids)

    def _execution_timed_out(self) -> None:
        self._log.info("The task's execution_timeout has passed.")
        follows = self._ender.retry_follows()
        fate = self._ender.end(Ending.EXECUTION_TIMEOUT, follows=follows)
        if self.run_ids:
            # A kill that comes now has nothing left to stop; what is known is reported all the same.
            with suppress(Interrupted):
                self.waiter.look(self.run_ids)
        results = self._push_known("execution_timeout has passed.", fate)
        # A try may be cut off while it looks for what an earlier one has started, which may have ended long since.
        cut_short = any(run.outcome is Outcome.CANCELLED for run in results)
        if follows and fate is StopResult.STOPPED and cut_short:
            self._store.keep(closed(self.record, results, self._options.gate.blocks))

    def _push_known(self, why: str, fate: StopResult | None) -> list[RunResult]:
        """Judge and report what this try has seen of its runs; asks the service nothing more."""
        if not self.run_ids:
            return []
        known = self.waiter.known(self.run_ids)
        stopped = fate is StopResult.STOPPED
        _, results, summary = self._judge.judge_early(
            known, self.record, self.run_ids, why, stopped=stopped, brief=True
        )
        self._judge.push(summary)
        return results

    def conclude(self, waited: Waited, run_ids: Sequence[RunId]) -> dict[str, Any]:
        """Judge what a wait came to, and return the summary.

        :raises TestRunError, TestsSkipped: for every verdict but passed, and for a wait that ended early.
        """
        if waited.end is WaitEnd.DEADLINE:
            waited = self.waiter.after_deadline(waited, run_ids)
        if waited.end is WaitEnd.FINISHED:
            return self._final(waited.results, run_ids)
        return self._early(waited, run_ids)

    def _early(self, waited: Waited, run_ids: Sequence[RunId]) -> dict[str, Any]:
        """End a wait that is over before its runs are known to be.

        :return: the summary, where stopping the runs has shown that all of them had ended in time.
        :raises TestRunError: else.
        """
        ending = _ENDINGS.get(waited.end, Ending.ERROR)
        follows = self._ender.retry_follows(wait_error(waited, run_ids))
        fate = self._ender.end(ending, follows=follows)
        known = {**waited.results, **self.waiter.known(run_ids)}
        if self.waiter.ended_in_time(known, run_ids):
            return self._final(known, run_ids)
        error = wait_error(replace(waited, results=known), run_ids, fate)
        stopped, brief = fate is StopResult.STOPPED, ending is not Ending.DEADLINE
        _, results, summary = self._judge.judge_early(
            known, self.record, run_ids, str(error), stopped=stopped, brief=brief
        )
        if ending is Ending.DEADLINE and follows and stopped:
            self._store.keep(closed(self.record, results, self._options.gate.blocks))
        self.judged = True
        self._judge.push(summary)
        raise error

    def _final(self, known: Mapping[RunId, RunResult], run_ids: Sequence[RunId]) -> dict[str, Any]:
        verdict, results, summary = self._judge.judge(known, self.record, run_ids)
        error = verdict_error(
            verdict,
            run_ids,
            all_rejected=self.submission.all_rejected,
            retry_failed_tests=self._options.retry_failed_tests,
        )
        retried = isinstance(error, RunErrored | TestsFailed) and not isinstance(error, AirflowFailException)
        if retried and self._ender.retry_follows(error) and not self._options.gate.report_only:
            self._store.keep(closed(self.record, results, self._options.gate.blocks))
        else:
            self._ender.conclude_judged()
        self.judged = True
        if error is None:
            return summary
        if self._options.gate.report_only and isinstance(error, TestRunError):
            self._log.warning("The gate only reports, so the task succeeds all the same.")
            return summary
        self._judge.push(summary)
        raise error

    def unjudged(self) -> dict[str, Any]:
        """The summary of runs that were started and are not awaited.

        :raises TestRunError: when there is nothing that could run.
        """
        run_ids = self.record.run_ids
        if not self.can_be_active:
            return self.conclude(self.waiter.wait(run_ids), run_ids)
        self.judged = True
        self._ender.conclude(self.record)
        return self._judge.unjudged(self.record, run_ids)
