"""The beginning of a try: take up what earlier tries left, and submit what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from airflow_provider_testerarmy.exceptions import RequestRefused, submit_error
from airflow_provider_testerarmy.lifecycle.cancellation import name_active
from airflow_provider_testerarmy.lifecycle.claims import TaskClaims
from airflow_provider_testerarmy.lifecycle.conclusion import Finisher
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupts
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_store import PartJournal, RecordStore
from airflow_provider_testerarmy.lifecycle.record_trust import RecordReader
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.decision import Action, decide
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record, Stage
from airflow_provider_testerarmy.runs.submission.rounds import (
    WHOLE,
    first_round,
    next_round,
    request_of,
    without_test,
)
from airflow_provider_testerarmy.runs.submission.setting import Setting
from airflow_provider_testerarmy.runs.submission.submit import submit
from airflow_provider_testerarmy.runs.text import name_runs, one_line

#: Parts of earlier generations that are still remembered, should they not be settled.
MOST_LEFTOVERS: Final = 5


class Starter:
    """Begins one try."""

    def __init__(
        self,
        session: ServiceSession,
        store: RecordStore,
        reader: RecordReader,
        finisher: Finisher,
        options: Options,
        claims: TaskClaims | None,
        interrupts: Interrupts,
        log: Any,
    ) -> None:
        self._session = session
        self._store = store
        self._reader = reader
        self._finisher = finisher
        self._options = options
        self._claims = claims
        self._interrupts = interrupts
        self._log = log
        self._journal: PartJournal | None = None
        #: What a person calls what was started, where the service told it to this try.
        self.title = ""
        #: Whether this try waits for what an earlier one started.
        self.reconnected = False

    @property
    def sending(self) -> bool:
        """Whether a request is under way that may start runs."""
        return self._journal is not None and self._journal.sending

    def start(self, request: RunRequest) -> None:
        """Start the request, or reconnect to what an earlier try of this generation started.

        :raises TestRunError: when nothing was started, or when that is not clear.
        """
        self._interrupts.check()
        self._restore(request)
        for name in list(self._store.record.parts):
            part = self._store.record.parts[name]
            if part.unknown or part.state is PartState.PLANNED:
                self._submit_part(name, part, request)
            elif part.submission is not None:
                runs = name_runs(part.submission.run_ids)
                self._log.info("Reconnecting to %s, started by an earlier try.", runs)
                self.reconnected = True

    def _restore(self, request: RunRequest) -> None:
        """Make of what earlier tries left the record of this one."""
        record, believed = self._reader.earlier()
        action = decide(record, self._store.fresh.asked, self._store.generation, believed=believed)
        if record is None or action is Action.IGNORE:
            self._store.record = first_round(self._store.fresh, request)
        elif action is Action.REPLACE:
            self._replace(record, request)
        else:
            self._store.record = record
            if record.stage is Stage.AGAIN:
                self._next_round(record, request)

    def _replace(self, record: Record, request: RunRequest) -> None:
        """Stop what is not wanted any more, and begin anew."""
        fresh = self._store.fresh
        if record.unsettled:
            self._log.info(
                "The task was cleared or changed: stopping %s, which it started before.", name_active(record)
            )
            stopped, _ = self._finisher.stop(record, patient=True)
            fresh = replace(fresh, leftovers=self._leftovers(stopped))
        self._store.record = first_round(fresh, request)

    def _leftovers(self, stopped: Record) -> tuple[Part, ...]:
        """What a further try has to see to, because it could not be stopped now."""
        if stopped.asked.same_connection(self._store.fresh.asked):
            return stopped.unsettled[-MOST_LEFTOVERS:]
        if stopped.unsettled:
            self._log.warning(
                "Through the connection %r, check by hand: %s.", stopped.asked.conn_id, name_active(stopped)
            )
        return ()

    def _next_round(self, record: Record, request: RunRequest) -> None:
        # A time-out ends the wait and not the round: what has passed in it still counts.
        timed_out = any(part.state is PartState.STOPPED for part in record.parts.values())
        self._store.keep(
            next_round(
                self._session.service,
                request,
                record,
                only_blocking=self._options.retry_failed_tests or timed_out,
                same_gate=record.asked.same_gate(self._store.fresh.asked),
            )
        )

    def _submit_part(self, name: str, part: Part, whole: RunRequest) -> None:
        self._interrupts.check()
        request = request_of(self._session.service, name, part, whole)
        if request is None:
            raise RequestRefused(f"The {name} of an earlier round can no longer be started by itself.")
        self._journal = self._store.journal(name, request)
        ended = self._session.drive(
            submit(self._setting(request, self._journal), part.intent if part.unknown else None)
        )
        if ended.submission is None:
            if ended.gone and self._store.record.again and name != WHOLE:
                self._log.warning("The service no longer has the %s: %s.", request.label, ended.message)
                self._store.keep(without_test(self._store.record, name))
                return
            raise submit_error(ended, request.label, remembered=self._store.remembered)
        if self._claims is not None:
            self._claims.claim(ended.submission.run_ids)
        if name == WHOLE:
            self.title = one_line(ended.title, 200)
        how = "Found" if ended.submission.adopted else "Started"
        self._log.info("%s %s: %s.", how, request.label, name_runs(ended.submission.run_ids))
        if rejected := ended.submission.rejected_run_ids:
            self._log.warning("%s rejected %s at once.", self._session.service.vendor, name_runs(rejected))

    def _setting(self, request: RunRequest, journal: PartJournal) -> Setting:
        known = frozenset((*self._store.record.all_run_ids, *self._reader.run_ids))
        return Setting(
            self._session.service,
            request,
            journal,
            self._options.max_outage,
            self._session.clock,
            self._log.info,
            known,
            self._claims,
        )
