"""How a try ends: what becomes of its runs, by the one decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.exceptions import RequestRefused, ServiceUnavailable, SubmissionUnclear
from airflow_provider_testerarmy.lifecycle.cancellation import name_active, stop_record
from airflow_provider_testerarmy.lifecycle.claims import TaskClaims
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.lifecycle.record_trust import RecordReader
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.cancel import Fate
from airflow_provider_testerarmy.runs.submission.decision import Action, Ending, decide
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record, Stage
from airflow_provider_testerarmy.runs.submission.setting import Setting

#: The states of a task that a user ended: marked, cleared (``restarting``), or deleted. In any other one Airflow
#: takes this worker for lost, and the next try may be on its way to the same runs already.
ENDED_BY_HAND: Final = frozenset(
    {"failed", "success", "skipped", "upstream_failed", "removed", "restarting", airflow_compat.GONE}
)
_ENDINGS: Final = (
    (SubmissionUnclear, Ending.UNCLEAR),
    (ServiceUnavailable, Ending.OUTAGE),
    (RequestRefused, Ending.REFUSED),
)


class Finisher:
    """Ends one try.

    :param waits_only: whether each try is given its runs anew, and starts none.
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
        """Whether Airflow tries again after this try fails, with this error where there is one."""
        final = isinstance(error, AirflowFailException | AirflowSkipException)
        return not final and not self._options.softened and airflow_compat.retry_follows(self._ti)

    def why_interrupted(self) -> tuple[Ending, bool]:
        """Whether a user or a lost worker ends this try, and whether another try follows."""
        retry = airflow_compat.retry_follows(self._ti)
        try:
            state = airflow_compat.own_state(self._ti)
        except Exception as error:
            self._log.info("Airflow did not say why the task is stopped (%s); assuming a lost worker.", error)
            return Ending.TAKEN_AWAY, retry
        if state in ENDED_BY_HAND:
            return Ending.KILLED, False
        # A scheduler that was away resets the state of running tasks to none, and starts them anew.
        return Ending.TAKEN_AWAY, state is None or retry

    def end_with(self, error: Exception) -> Fate | None:
        """End a try that an error ends; see :meth:`end`."""
        ending = next((one for kind, one in _ENDINGS if isinstance(error, kind)), Ending.ERROR)
        return self.end(ending, follows=self.retry_follows(error))

    def end(self, ending: Ending, *, follows: bool) -> Fate | None:
        """Do with the runs what the decision says.

        :return: what became of them, None where they are kept for the next try.
        """
        record = self._store.record
        if record is self._store.fresh:
            # Nothing was begun, so what earlier tries left stays as it is.
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
            self.conclude(record)
        else:
            # What could not be stopped still goes on, so a further try waits for it, for as long again.
            self._store.keep(record if fate is Fate.STOPPED else replace(record, deadline=None))
        return fate

    def conclude(self, record: Record) -> None:
        """Note that no retry follows."""
        self._store.keep(replace(record, stage=Stage.CONCLUDED))

    def conclude_judged(self) -> None:
        """Note a final verdict."""
        record = self._store.record
        ended = {
            name: replace(part, state=PartState.ENDED) if part.active else part
            for name, part in record.parts.items()
        }
        self.conclude(replace(record, parts=ended))

    def stop(self, record: Record, *, patient: bool = False) -> tuple[Record, Fate]:
        """Stop what is active in a record, as far as the options allow; the record then, and what became of it."""
        if not record.unsettled:
            return record, Fate.STOPPED
        if not self._options.cancel_on_kill:
            self._log.info("Not cancelling %s (cancel_on_kill=False).", name_active(record))
            return record, Fate.RUNNING
        session = self._reader.session_for(record.asked)
        if session is None:
            return record, Fate.UNKNOWN
        try:
            stopped, fate = self._stop_through(session, record, patient=patient)
            # A key that was changed while the task ran is no reason to leave runs behind.
            if fate is Fate.UNKNOWN and session is self._session and session.reload():
                self._store.renew(session.secret)
                stopped, fate = self._stop_through(session, stopped, patient=patient)
        finally:
            if session is not self._session:
                session.close()
        return stopped, fate

    def _stop_through(self, session: ServiceSession, record: Record, *, patient: bool) -> tuple[Record, Fate]:
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
