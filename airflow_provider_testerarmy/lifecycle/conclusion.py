"""The end of a try: keeps its runs for the next try or stops them, as ``runs/submission/decision.py`` decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.exceptions import (
    RequestRefused,
    ServiceUnavailable,
    SubmissionUnclear,
    TestRunError,
    TestsFailed,
    TestsSkipped,
    verdict_error,
)
from airflow_provider_testerarmy.lifecycle.cancellation import name_active, stop_record
from airflow_provider_testerarmy.lifecycle.claims import TaskClaims
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.lifecycle.record_trust import RecordReader
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.lifecycle.temporary import without_temporary
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.decision import Action, Ending, decide
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record, Stage
from airflow_provider_testerarmy.runs.submission.rounds import failed_before
from airflow_provider_testerarmy.runs.submission.setting import Setting
from airflow_provider_testerarmy.runs.verdict.gate import Verdict

#: States of a task that a user has ended: marked, cleared (``restarting``) or deleted. In any other state Airflow
#: considers this worker lost, and the next try may already be reconnecting to the same runs.
ENDED_BY_HAND: Final = frozenset(
    {"failed", "success", "skipped", "upstream_failed", "removed", "restarting", airflow_compat.GONE}
)
#: Which ending an error is, the first match counts.
_ENDINGS: Final = (
    (SubmissionUnclear, Ending.UNCLEAR),
    (ServiceUnavailable, Ending.OUTAGE),
    (RequestRefused, Ending.REFUSED),
)


class Finisher:
    """Ends one try.

    :param waits_only: True for a sensor: each try gets its run ids as an argument and starts no runs.
    """

    def __init__(
        self,
        session: ServiceSession,
        store: RecordStore,
        reader: RecordReader,
        options: Options,
        claims: TaskClaims | None,
        ti: Any,
        log: Any,
        *,
        waits_only: bool,
    ) -> None:
        self._session = session
        self._store = store
        self._reader = reader
        self._options = options
        self._claims = claims
        self._ti = ti
        self._log = log
        self._can_reconnect = store.remembered or waits_only

    def retry_follows(self, error: BaseException | None = None) -> bool:
        """Whether Airflow starts another try after this one fails (with ``error``, if one is given)."""
        final = isinstance(error, AirflowFailException | AirflowSkipException) or self._policy_fails(error)
        return not final and not self._options.softened and airflow_compat.retry_follows(self._ti)

    def _policy_fails(self, error: BaseException | None) -> bool:
        """Whether the task has a :class:`TestRetryPolicy` that fails it after this error."""
        policy = getattr(getattr(self._ti, "task", None), "retry_policy", None)
        if policy is None or error is None:
            return False
        from airflow_provider_testerarmy.retries import TestRetryPolicy

        return isinstance(policy, TestRetryPolicy) and policy.fails(error)

    def rerun_follows(self, results: Iterable[RunResult]) -> bool:
        """Whether Airflow starts another try after a failed verdict on these results."""
        if not self._options.retry_failed_tests or self._options.gate.report_only:
            return False
        return self.retry_follows(TestsFailed("", confirmed=self._confirmed(results)))

    def verdict_error(
        self,
        verdict: Verdict,
        results: Iterable[RunResult],
        run_ids: Sequence[RunId],
        *,
        all_rejected: bool = False,
    ) -> TestRunError | TestsSkipped | None:
        """The exception for a verdict on these results; see :func:`exceptions.verdict_error`."""
        return verdict_error(
            verdict,
            run_ids,
            all_rejected=all_rejected,
            retry_failed_tests=self._options.retry_failed_tests,
            confirmed=self._confirmed(results),
        )

    def _confirmed(self, results: Iterable[RunResult]) -> bool:
        """Whether every test that fails the gate has failed in an earlier try as well."""
        return failed_before(results, self._store.record, self._options.gate.blocks)

    def why_interrupted(self) -> tuple[Ending, bool]:
        """Whether a user or a lost worker has ended this try, and whether another try follows."""
        retry = airflow_compat.retry_follows(self._ti)
        # A signal does not tell a kill by a user from the shutdown of a node. The task's state in Airflow does.
        try:
            state = airflow_compat.own_state(self._ti)
        except Exception as error:
            self._log.info("Airflow did not say why it stopped the task (%s). Assuming a lost worker.", error)
            return Ending.TAKEN_AWAY, retry
        if state in ENDED_BY_HAND:
            return Ending.KILLED, False
        # A scheduler that was offline resets running tasks to no state and starts them again (measured).
        return Ending.TAKEN_AWAY, state is None or retry

    def ended_by_user(self) -> bool:
        """Whether Airflow has the task in a state that only a user sets; False if Airflow does not answer.

        A task instance that Airflow does not know counts as running: it may be one that no Airflow has stored.
        """
        try:
            return airflow_compat.own_state(self._ti) in ENDED_BY_HAND - {airflow_compat.GONE}
        except Exception as error:
            self._log.debug("Airflow did not return the state of the task (%s).", error)
            return False

    def end_with(self, error: Exception) -> StopResult | None:
        """End a try that failed with an error; see :meth:`end`."""
        ending = next((one for kind, one in _ENDINGS if isinstance(error, kind)), Ending.ERROR)
        return self.end(ending, follows=self.retry_follows(error))

    def end(self, ending: Ending, *, follows: bool) -> StopResult | None:
        """Keep the runs for the next try or stop them, as the decision says.

        :param follows: whether another try follows.
        :return: the result of stopping them, None if they are kept.
        """
        record = self._store.record
        if record is self._store.fresh:
            # This try has started nothing and restored nothing, so the stored record stays as it is.
            return None
        action = decide(
            record,
            record.asked,
            self._store.generation,
            ending,
            follows=follows and self._can_reconnect,
        )
        if action is Action.KEEP:
            return None
        record, fate = self.stop(record)
        if ending is Ending.KILLED or not follows:
            self.conclude(record, unstopped=fate is StopResult.UNKNOWN)
        else:
            # Runs that could not be stopped are still active. The next try waits for them, with a new deadline.
            self._store.keep(record if fate is StopResult.STOPPED else replace(record, deadline=None))
        return fate

    def conclude(self, record: Record, *, unstopped: bool = False) -> None:
        """Record that no retry follows. A later try can then only come from a clear.

        :param unstopped: whether runs that should have been stopped may still be active.
        """
        self._store.keep(replace(record, stage=Stage.CONCLUDED, unstopped=unstopped))

    def conclude_judged(self) -> None:
        """Record a final verdict."""
        record = self._store.record
        # Runs that turned out to have ended while they were being stopped are judged as well.
        ended = {
            name: replace(part, state=PartState.ENDED) if part.submission else part
            for name, part in record.parts.items()
        }
        self.conclude(replace(record, parts=ended))

    def stop(self, record: Record, *, patient: bool = False) -> tuple[Record, StopResult]:
        """Stop the active runs of a record, unless ``cancel_on_kill`` is off, and delete its temporary target.

        :return: the updated record, and the result.
        """
        stopped, fate = self._stop_runs(record, patient=patient)
        return self._without_temporary(stopped), fate

    def clean_up(self) -> None:
        """Delete the temporary target of this try, once its runs have ended."""
        self._store.record = self._without_temporary(self._store.record)

    def _without_temporary(self, record: Record) -> Record:
        if record.temporary is None:
            return record
        if record.temporary_may_run and airflow_compat.LISTENER.available:
            self._log.info("Not deleting %s yet: it may have active runs.", record.temporary.label)
            return record
        session = self._reader.session_for(record.asked)
        if session is None:
            return record
        try:
            return without_temporary(record, session, self._store.identity, self._log)
        finally:
            if session is self._session:
                self._store.renew(session.secret)
            else:
                session.close()

    def _stop_runs(self, record: Record, *, patient: bool) -> tuple[Record, StopResult]:
        if not record.unsettled:
            return record, StopResult.STOPPED
        if not self._options.cancel_on_kill:
            self._log.info("Not cancelling %s (cancel_on_kill=False).", name_active(record))
            return record, StopResult.RUNNING
        session = self._reader.session_for(record.asked)
        if session is None:
            return record, StopResult.UNKNOWN
        try:
            stopped, fate = self._stop_through(session, record, patient=patient)
            # The key may have been replaced while the task ran. Try once more with the new one.
            if fate is StopResult.UNKNOWN and session is self._session and session.reload():
                self._store.renew(session.secret)
                stopped, fate = self._stop_through(session, stopped, patient=patient)
        finally:
            if session is not self._session:
                session.close()
        return stopped, fate

    def _stop_through(
        self, session: ServiceSession, record: Record, *, patient: bool
    ) -> tuple[Record, StopResult]:
        outage = self._options.max_outage if patient else 0.0
        known = frozenset((*record.all_run_ids, *self._reader.run_ids))

        def setting_of(part: Part) -> Setting:
            request = part.request or RunRequest("", "", whole=False)
            return Setting(
                session.service, request, None, outage, session.clock, self._log.info, known, self._claims
            )

        ended = frozenset(run_id for run_id, run in session.seen.items() if run.finished)
        return stop_record(
            record, setting_of, session.drive_to_the_end, self._log, ended=ended, patient=patient
        )
