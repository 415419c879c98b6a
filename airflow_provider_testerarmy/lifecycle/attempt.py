"""One try of a task in the worker: submits or reconnects, waits, stops runs, judges and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_testerarmy.exceptions import (
    RunErrored,
    RunInterrupted,
    TestRunError,
    TestsFailed,
    TestsSkipped,
    stop_text,
    wait_error,
)
from airflow_provider_testerarmy.lifecycle.adoption import adopt
from airflow_provider_testerarmy.lifecycle.asking import Asker
from airflow_provider_testerarmy.lifecycle.bisection import Bisector
from airflow_provider_testerarmy.lifecycle.cancellation import STOPPED, describe_interruption, name_active
from airflow_provider_testerarmy.lifecycle.claims import claims_of
from airflow_provider_testerarmy.lifecycle.conclusion import Finisher
from airflow_provider_testerarmy.lifecycle.confirmation import Confirmer
from airflow_provider_testerarmy.lifecycle.early_stop import EarlyStop
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupted, Interrupts
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore, identity_of
from airflow_provider_testerarmy.lifecycle.record_trust import RecordReader
from airflow_provider_testerarmy.lifecycle.rerun import Rerun
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.lifecycle.start import Starter
from airflow_provider_testerarmy.lifecycle.temporary import TemporaryMaker
from airflow_provider_testerarmy.lifecycle.try_log import TryLog
from airflow_provider_testerarmy.lifecycle.verdict import Judge, complete, submission_of
from airflow_provider_testerarmy.lifecycle.worker_wait import Waiter
from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.results import Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import asked_for
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.decision import Ending
from airflow_provider_testerarmy.runs.submission.record import Record
from airflow_provider_testerarmy.runs.submission.rounds import closed
from airflow_provider_testerarmy.runs.text import one_line

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

_ENDINGS: Final = {
    WaitEnd.DEADLINE: Ending.DEADLINE,
    WaitEnd.UNAVAILABLE: Ending.OUTAGE,
    WaitEnd.LOST: Ending.TRIGGER_LOST,
}


class Lifecycle:
    """One try of one task instance.

    :param hook: the hook of the Airflow connection.
    :param options: the common parameters.
    :param request: what to submit, None for a sensor.
    :param context: Airflow's context of this try.
    :param log: the logger of the task.
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
        self.request = request
        self._log = log
        ti = context["ti"]
        self._interrupts = Interrupts()
        self._session = ServiceSession(hook, self._interrupts)
        self._asked = asked_for(hook.path, hook.conn_id, request, options.gate.digest())
        self._store = RecordStore(context, self._asked, self._session.secret, **options.kept())
        self._reader = RecordReader(self._store, self._session, request, context, log)
        self._claims = claims_of(identity_of(ti))
        waits_only = request is None
        self._finisher = Finisher(
            self._session, self._store, self._reader, options, self._claims, ti, log, waits_only=waits_only
        )
        #: What the tries of this task have said.
        self.tries = TryLog(context, self._store, log)
        self._judge = Judge(
            self._session, options, request, context["task"], ti, log, self._interrupts, self.tries
        )
        session, store, finisher = self._session, self._store, self._finisher
        #: Starts the try, and hands its runs over or takes them.
        self.starter = Starter(
            session, store, self._reader, finisher, options, self._claims, self._interrupts, log
        )
        maker = TemporaryMaker(session, store, options, log)
        self.starter.make = maker.make
        self._confirmer = Confirmer(session, store, self.starter, self._judge, maker, log)
        #: Polls the runs, and knows their deadline.
        self.waiter = Waiter(self._session, self._store, options, context["task"], ti, self._interrupts, log)
        store.started = self.waiter.with_deadline
        self._bisector = Bisector(
            *(session, store, self.starter, self._judge, self._confirmer, maker),
            *(options, finisher, self.waiter, log),
        )
        self.starter.rerun = Rerun(session, store, self._judge, self.waiter, log).first_round
        #: Asks a person what a failed verdict means.
        self.asker = Asker(options, store, self._judge.push, context, log)
        #: Whether enough tests have failed to cancel the rest.
        self.early_stop = EarlyStop(options, self._judge, self.waiter)
        #: Whether the runs have been judged, or need no judgement. A kill then changes nothing.
        self.judged = False

    @property
    def record(self) -> Record:
        """The record of this try."""
        return self._store.record

    @property
    def run_ids(self) -> tuple[RunId, ...]:
        """The runs to wait for: those of this round, and those of earlier rounds that still count."""
        return tuple(dict.fromkeys((*self.record.carried, *self.record.run_ids)))

    @property
    def submission(self) -> Submission:
        """All parts of this round, as one submission."""
        return submission_of(self.record)

    @property
    def record_to_carry(self) -> str | None:
        """The record as text for the trigger; None if a trigger cannot carry it."""
        return self._store.to_carry()

    @property
    def can_be_active(self) -> bool:
        """Whether the service accepted any of the runs."""
        return bool(set(self.record.run_ids) - set(self.submission.rejected_run_ids))

    @property
    def label(self) -> str:
        """The submitted target in the vendor's terms, for messages; empty for a sensor."""
        return one_line(self.request.label, 200) if self.request else ""

    @property
    def title(self) -> str:
        """The title of the test or group, empty if no try has read it."""
        return self.record.title

    def url(self, run_ids: Sequence[RunId]) -> str:
        """The dashboard address of the runs, empty if it is unknown."""
        return self._judge.url(self.record.base, run_ids)

    @contextmanager
    def guarded(self) -> Iterator[Lifecycle]:
        """A block that leaves no run active without a try that waits for it, however it ends.

        :raises RunInterrupted: if Airflow or a user stopped the task.
        """
        try:
            yield self
        except Interrupted:
            raise self._end_interrupted() from None
        except AirflowTaskTimeout:
            if not self.judged:
                self._end_timed_out()
            raise
        except (KeyboardInterrupt, SystemExit):
            # `airflow dags test` runs tasks in the foreground, where Ctrl-C raises this and no retry follows.
            if not self.judged:
                self._finisher.end(Ending.KILLED, follows=False)
            raise
        except Exception as error:
            if not self.judged:
                self._finisher.end_with(error)
            raise
        finally:
            self._session.close()

    def kill(self) -> None:
        """Request a stop; see :class:`~airflow_provider_testerarmy.lifecycle.interrupts.Interrupts`."""
        if self.judged:
            return
        if self.starter.sending:
            # Airflow may kill the process before the answer arrives, so this may be the last line of the log.
            self._log.warning(
                "The request for the %s has been sent and has no answer yet. It may start runs. Unless a later "
                "line names them, check the dashboard.",
                self.label,
            )
        self._interrupts.kill()

    def submit(self) -> Record:
        """Submit the request, or reconnect to the runs that an earlier try of this generation started.

        :raises TestRunError: if no run was started, or if that is unknown.
        """
        assert self.request is not None  # noqa: S101
        self.starter.start(self.request)
        self.waiter.start_timeout()
        self._interrupts.check()
        return self.record

    def adopt(self, started: Callable[[], Submission], trusted: frozenset[RunId] = frozenset()) -> Record:
        """Take over the runs from before a deferral; see :func:`adopt`."""
        return adopt(self._reader, self._store, self.request, started, trusted)

    def check_wanted(self) -> None:
        """Stop here if a user has ended the task since it began.

        Airflow then refuses the deferral or the result, and this process ends before a heartbeat reports the mark.
        The run ids are stored by now, so the listener finds them after a later mark.

        :raises Interrupted: if a user has ended it.
        """
        if self._finisher.ended_by_user():
            raise Interrupted

    def confirm(self, waited: Waited, build_request: Callable[[], RunRequest | None]) -> bool:
        """Run failed tests again if the gate confirms failures, then at earlier nights' addresses with ``bisect``.

        :param build_request: builds the whole request, which a try that resumes does not have yet.
        :return: whether runs were started, for which the task has to wait.
        :raises TestRunError: if it is unknown whether a run was started.
        """
        confirms = self._judge.rule is not None and self.record.search is None
        if waited.end is not WaitEnd.FINISHED or not (confirms or self._options.bisect):
            return False
        self._book_time(waited.results.values())
        self.check_wanted()
        known, deadline = waited.results, self.waiter.pace().deadline
        if confirms and self._confirmer.start_round(known, self.run_ids, deadline, build_request):
            return True
        return self._bisector.start_round(known, deadline, build_request)

    def stop_earlier(self) -> str:
        """Stop the runs of earlier tries, because this try cannot continue.

        :return: a sentence on the result, for an error message.
        """
        record, believed = self._reader.earlier()
        if record is None or not believed or not record.to_clean_up:
            return "Nothing was started."
        what = name_active(record)
        self._store.record = record
        fate = self._finisher.end(Ending.REFUSED, follows=False)
        return f"Nothing new was started. From an earlier try, {what}: {STOPPED[fate or StopResult.UNKNOWN]}."

    def _end_interrupted(self) -> RunInterrupted:
        """Cancel the runs if a user killed the task. Keep them if only the worker went away."""
        ids = self.record.run_ids
        ending, follows = self._finisher.why_interrupted()
        fate = self._finisher.end(ending, follows=follows)
        message, ids = describe_interruption(ids, self.waiter.known(ids), fate)
        self._push_known(message, fate)
        return RunInterrupted(message, ids)

    def _end_timed_out(self) -> None:
        self._log.info("The task's execution_timeout has passed.")
        follows = self._finisher.retry_follows()
        fate = self._finisher.end(Ending.EXECUTION_TIMEOUT, follows=follows)
        if self.run_ids:
            # A kill that arrives now has nothing left to stop. The known results are reported in any case.
            with suppress(Interrupted):
                self.waiter.check_once(self.run_ids)
        results = self._push_known("execution_timeout has passed.", fate)
        # The time-out may interrupt a search for runs of an earlier try, which may have ended long ago. Only runs
        # that were cancelled now make another round necessary.
        cut_short = any(run.outcome is Outcome.CANCELLED for run in results)
        if follows and fate is StopResult.STOPPED and cut_short:
            self._store.keep(closed(self.record.base, results, self._options.gate.blocks))

    def _push_known(self, why: str, fate: StopResult | None) -> list[RunResult]:
        """Judge and report the known results, without further requests to the service."""
        if not self.run_ids:
            return []
        base = self.record.base
        run_ids = tuple(dict.fromkeys((*base.carried, *base.run_ids)))
        _, results, summary = self._judge.judge_early(
            *(self.waiter.known(run_ids), base, run_ids, why),
            cancelled=fate is StopResult.STOPPED,
            brief=True,
        )
        self._judge.push(summary)
        return results

    def conclude(self, waited: Waited, run_ids: Sequence[RunId]) -> dict[str, Any]:
        """Judge the runs after a wait, and return the summary.

        :raises TestRunError, TestsSkipped: for every verdict except *passed*, and for a wait that ended early.
        """
        waited, run_ids = self._bisector.leave(waited, run_ids)
        if waited.end is WaitEnd.DEADLINE:
            waited = self.waiter.after_deadline(waited, run_ids)
        if waited.end is WaitEnd.FINISHED:
            return self._judge_final(waited.results, run_ids)
        if waited.end is WaitEnd.ENOUGH:
            return self._stop_early(waited, run_ids)
        return self._end_early(waited, run_ids)

    def _end_early(self, waited: Waited, run_ids: Sequence[RunId]) -> dict[str, Any]:
        """End a wait before its runs are known to have ended.

        :return: the summary, if cancelling the runs has shown that all of them had ended in time.
        :raises TestRunError: otherwise.
        """
        ending = _ENDINGS.get(waited.end, Ending.ERROR)
        follows = self._finisher.retry_follows(wait_error(waited, run_ids))
        fate = self._finisher.end(ending, follows=follows)
        if fate is StopResult.STOPPED:
            self.waiter.check_cancelled(run_ids)
        known = {**waited.results, **self.waiter.known(run_ids)}
        self._book_time(known.values())
        if self.waiter.ended_in_time(known, run_ids):
            return self._judge_final(known, run_ids)
        error = wait_error(replace(waited, results=known), run_ids, fate)
        stopped, brief = fate is StopResult.STOPPED, ending is not Ending.DEADLINE
        _, results, summary = self._judge.judge_early(
            known, self.record.base, run_ids, str(error), cancelled=stopped, brief=brief
        )
        # Tests that passed before the deadline do not run again.
        if ending is Ending.DEADLINE and follows and stopped:
            self._store.keep(closed(self.record, results, self._options.gate.blocks))
        self.judged = True
        self._judge.push(summary)
        raise error

    def _stop_early(self, waited: Waited, run_ids: Sequence[RunId]) -> dict[str, Any]:
        """Cancel the active runs after enough failures, and judge what has ended.

        :return: the summary, with ``report_only`` in the gate.
        :raises TestsFailed: otherwise.
        """
        self._log.info("Enough tests have failed (stop_after_failures). Cancelling the active runs.")
        follows = self._finisher.rerun_follows(waited.results.values())
        fate = self._finisher.end(Ending.ENOUGH, follows=follows)
        # A run that ended before it was cancelled keeps its outcome.
        self.waiter.check_once(run_ids)
        known = {**waited.results, **self.waiter.known(run_ids)}
        if fate is StopResult.STOPPED:
            return self._judge_final(complete(known, run_ids, cancelled=True), run_ids)
        why = f"Stopped early: enough tests failed (stop_after_failures). {stop_text(fate)}"
        early = self._judge.judge_early
        verdict, results, summary = early(known, self.record, run_ids, why, failed=True, brief=True)
        return self._end(self._finisher.verdict_error(verdict, results, run_ids), summary)

    def _book_time(self, results: Iterable[RunResult]) -> None:
        """Count the time of the runs of this round against the budget."""
        if self._options.budget is not None:
            self._options.budget.book_time(self.record, results, self._session.clock(), self._log)

    def _judge_final(self, known: Mapping[RunId, RunResult], run_ids: Sequence[RunId]) -> dict[str, Any]:
        self._book_time(known.values())
        verdict, results, summary = self._judge.judge(known, self.record, run_ids, self._confirmer.why_not)
        rejected = self.submission.all_rejected and not self.record.confirming
        error = self._finisher.verdict_error(verdict, results, run_ids, all_rejected=rejected)
        # Airflow retries only these two verdicts. All others end the task, and a later try comes from a clear.
        retried = isinstance(error, RunErrored | TestsFailed) and not isinstance(error, AirflowFailException)
        self._finisher.clean_up()
        if retried and self._finisher.retry_follows(error) and not self._options.gate.report_only:
            self._store.keep(closed(self.record, results, self.early_stop.runs_again))
        else:
            if self.asker.asks(error):
                self.judged = True  # All runs have ended, so a kill has nothing to stop.
                error = self.asker.settle(error, results, summary, self.early_stop.runs_again)
            self._finisher.conclude_judged()
        self.tries.complete()
        return self._end(error, summary)

    def _end(self, error: TestRunError | TestsSkipped | None, summary: dict[str, Any]) -> dict[str, Any]:
        """Return the summary, or raise the error of the verdict."""
        self.judged = True
        if error is None:
            return summary
        if self._options.gate.report_only and isinstance(error, TestRunError):
            self._log.warning("The gate has report_only=True, so the task succeeds in spite of this verdict.")
            return summary
        self._judge.push(summary)
        raise error

    def unjudged(self, *, concludes: bool = True) -> dict[str, Any]:
        """The summary of runs that the task does not wait for.

        :param concludes: False leaves the record open: runs that are active when the DAG run ends are stopped then.
        :raises TestRunError: if the service accepted none of the runs.
        """
        run_ids = self.record.run_ids
        if not self.can_be_active:
            return self.conclude(self.waiter.wait(run_ids), run_ids)
        self.check_wanted()
        self.judged = True
        self._finisher.clean_up()
        if concludes:
            self._finisher.conclude(self.record)
        return self._judge.unjudged(self.record, run_ids)
