"""The start of a try: reconnects to the runs of earlier tries and submits what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from airflow_provider_testerarmy import metrics
from airflow_provider_testerarmy.exceptions import (
    BudgetExhausted,
    CredentialsRejected,
    RequestRefused,
    ServiceUnavailable,
    TestsSkipped,
    submit_error,
)
from airflow_provider_testerarmy.lifecycle.budget import RoundAllowance
from airflow_provider_testerarmy.lifecycle.cancellation import name_active
from airflow_provider_testerarmy.lifecycle.claims import TaskClaims, claim_patiently
from airflow_provider_testerarmy.lifecycle.conclusion import Finisher
from airflow_provider_testerarmy.lifecycle.handover import Source, hand_over, signed
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupts
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_store import PartJournal, RecordStore
from airflow_provider_testerarmy.lifecycle.record_trust import RecordReader
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.decision import Action, decide
from airflow_provider_testerarmy.runs.submission.handover import Handover
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record, Stage
from airflow_provider_testerarmy.runs.submission.rounds import (
    WHOLE,
    first_round,
    given_up,
    next_round,
    request_of,
    without_test,
)
from airflow_provider_testerarmy.runs.submission.setting import Setting
from airflow_provider_testerarmy.runs.submission.submit import submit
from airflow_provider_testerarmy.runs.temporary import TemporaryTargets
from airflow_provider_testerarmy.runs.text import name_runs, one_line

#: The most unsettled parts of earlier generations that a record keeps. It has a size limit.
MOST_LEFTOVERS: Final = 5


class Starter:
    """Starts one try."""

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
        self._round: RoundAllowance | None = None
        #: Whether this try waits for runs that it has not started.
        self.reconnected = False
        self._took = False
        #: Builds the first round of a clear that runs only what did not pass; None for any other clear.
        self.rerun: Callable[[Record, RunRequest], Record | None] = lambda _record, _request: None
        #: Where the runs come from, if another task has started them; None if this task starts them.
        self.source: Source | None = None
        #: Creates a temporary target with some tests; returns None if there can be none.
        self.make: Callable[[RunRequest, tuple[str, ...]], RunRequest | None] = lambda _request, _tests: None

    @property
    def sending(self) -> bool:
        """Whether a request that may start runs is in flight."""
        return self._journal is not None and self._journal.sending

    def start(self, request: RunRequest) -> None:
        """Submit the request, or reconnect to the runs that an earlier try of this generation started.

        :raises TestRunError: if no run was started, or if that is unknown.
        :raises Interrupted: if a stop was requested.
        """
        self._interrupts.check()
        self._restore(request)
        try:
            self.submit_parts(request)
        except BudgetExhausted as error:
            self._without_budget(error)
        except (CredentialsRejected, RequestRefused, ServiceUnavailable) as error:
            # A search that cannot go on must not hide the verdict.
            if not self._store.record.searching or self._store.record.unknown:
                raise
            self._give_up(error)

    def _without_budget(self, error: BudgetExhausted) -> None:
        """Go on with a failure that is not confirmed or searched for; else skip or fail, as the budget says."""
        record, budget = self._store.record, self._options.budget
        if (record.confirming or record.searching) and not record.unknown:
            self._give_up(error)
            return
        # A skip must not hide what an earlier round has found.
        if budget is not None and budget.skips and not record.all_run_ids:
            raise TestsSkipped(str(error)) from error
        raise error

    def _give_up(self, error: Exception) -> None:
        self._log.warning("%s", error)
        self._store.keep(given_up(self._store.record, one_line(str(error), 300).rstrip(".")))

    def submit_parts(self, request: RunRequest) -> None:
        """Submit the parts of the record that have started nothing yet; errors as of :meth:`start`.

        :raises BudgetExhausted: if the budget has no room for them.
        """
        self._plan_alone()
        if self._options.budget is None:
            self._submit_each(request)
            return
        self._round = self._options.budget.round(self._store.record, self._session, self._log)
        with self._round.settled(lambda: self._store.record):
            self._submit_each(request)

    def _plan_alone(self) -> None:
        """Plan a temporary group for a test of another task's group, if the test cannot run alone without one."""
        if self.source is None:
            return
        if (alone := self.source.alone(self._store.record, self._session, self.make)) is not None:
            self._store.keep_for_certain(replace(self._store.record, parts={alone.label[:200]: Part(alone)}))

    def _submit_each(self, request: RunRequest) -> None:
        for name in list(self._store.record.parts):
            part = self._store.record.parts[name]
            if part.unknown or part.state is PartState.PLANNED:
                self._submit_part(name, part, request)
            elif part.submission is not None:
                if not self._took:
                    runs = name_runs(part.submission.run_ids)
                    self._log.info("Reconnecting to %s, started by an earlier try.", runs)
                self.reconnected = True

    def _restore(self, request: RunRequest) -> None:
        """Build the record of this try from that of earlier tries."""
        record, believed = self._reader.earlier()
        if record is not None and believed:
            self._store.inherit(record)
        action = decide(record, self._store.fresh.asked, self._store.generation, believed=believed)
        if self.source is not None and record is not None and action in (Action.KEEP, Action.LOOK):
            action = Action.REPLACE if self.source.is_renewed(record) else action
        if record is None or action is Action.IGNORE:
            self._begin(self._store.fresh, request, sure=record is None)
        elif action is Action.REPLACE:
            self._replace(record, request)
        else:
            # A lookup may find active runs, so a record that was concluded without them is open again.
            reopened = record.stage is Stage.CONCLUDED and action is Action.LOOK
            record = replace(record, stage=Stage.OPEN) if reopened else record
            # A task that an edit has given a function keeps what the function returned from now on.
            self._store.record = record = replace(record, chosen=self._store.fresh.chosen)
            if record.stage is Stage.AGAIN:
                self._next_round(record, request)

    def _replace(self, record: Record, request: RunRequest) -> None:
        """Stop the runs of the earlier generation, and start from an empty record, unless a rerun is ordered."""
        if (again := self.rerun(record, request)) is not None:
            self._store.record = again
            return
        fresh = self._store.fresh
        if record.to_clean_up:
            self._log.info(
                "The task was cleared or changed. Stopping what it started before: %s.", name_active(record)
            )
            # A clear leaves time for a full search, unlike a kill.
            stopped, _ = self._finisher.stop(record, patient=True)
            reachable = stopped.asked.same_connection(fresh.asked)
            temporary = stopped.temporary if reachable else None
            fresh = replace(fresh, leftovers=self._leftovers(stopped), temporary=temporary)
        self._begin(fresh, request, sure=True)

    def _begin(self, fresh: Record, request: RunRequest, *, sure: bool) -> None:
        """Begin a generation, with the runs that another task has started for this one or with the whole request.

        :param sure: whether the task knows which runs it has taken before.
        """
        if self.source is None:
            self._store.record = first_round(fresh, request)
            return
        sure = sure and (self._store.remembered or self._store.try_number <= 1)
        record = self.source.first_round(fresh, request, self._session, self._reader, sure=sure)
        self._took = bool(record.run_ids)
        if self._took:
            # Stored before the wait: a later clear must know that these runs have been judged.
            self._store.keep_for_certain(record)
        self._store.record = record

    def hand_over(self, request: RunRequest) -> tuple[Handover, dict[str, Any]]:
        """What this task has started, for the tasks that wait for it; also with a signature.

        :raises ServiceUnavailable: if the service does not say which tests it runs.
        """
        (part,) = self._store.record.submissions
        handover = hand_over(self._session, request, part, self._log)
        return handover, signed(handover, self._store.identity, self._session.secret)

    def _leftovers(self, stopped: Record) -> tuple[Part, ...]:
        """The parts that could not be stopped now, which a later try has to stop."""
        # A later try reaches leftovers through its own connection only.
        if stopped.asked.same_connection(self._store.fresh.asked):
            return stopped.unsettled[-MOST_LEFTOVERS:]
        if stopped.to_clean_up:
            self._log.warning(
                "The task uses another connection now, so a later try cannot stop %s. Check the dashboard of the "
                "connection %r.",
                name_active(stopped),
                stopped.asked.conn_id,
            )
        return ()

    def _next_round(self, record: Record, request: RunRequest) -> None:
        # A time-out ends the wait, not the round: tests that passed before it do not run again.
        timed_out = any(part.state is PartState.STOPPED for part in record.parts.values())
        # A person who asked for a part of the tests did not ask for a retry that runs all of them.
        partial = bool(record.inherited or record.answers)
        self._store.keep(
            next_round(
                self._session.service,
                request,
                record,
                only_blocking=self._options.retry_failed_tests or timed_out or partial,
                same_gate=record.asked.same_gate(self._store.fresh.asked),
            )
        )

    def _submit_part(self, name: str, part: Part, whole: RunRequest) -> None:
        # The last point at which a kill can still prevent the POST.
        self._interrupts.check()
        temporary = self._store.record.temporary
        target = temporary.target if temporary else ""
        there = self._of_this_round(whole)
        request = there and request_of(self._session.service, name, part, there, target)
        if request is None:
            raise RequestRefused(
                f"The {name} of an earlier round cannot be run on its own any more. Clear the task to run "
                "everything again."
            )
        self._journal = self._store.journal(name, request)
        with metrics.span("testerarmy.submit", target=one_line(request.label, 200)) as describe:
            ended = self._session.drive(
                submit(self._setting(name, request, self._journal), part.intent if part.unknown else None)
            )
            if ended.submission is not None:
                describe(run_ids=ended.submission.run_ids, batch_id=ended.submission.batch_id)
        if ended.submission is None:
            if ended.gone and self._store.record.again and name != WHOLE:
                self._log.warning("The service no longer has the %s: %s.", request.label, ended.message)
                self._store.keep(without_test(self._store.record, name))
                return
            raise submit_error(ended, request.label, remembered=self._store.remembered)
        # The record comes first and the claim second: a lost record costs a run, a lost claim only a check.
        if self._claims is not None:
            self._session.drive(claim_patiently(self._claims, ended.submission.run_ids))
        self._count(len(ended.submission.run_ids))
        how = "Found" if ended.submission.adopted else "Started"
        self._log.info("%s %s: %s.", how, request.label, name_runs(ended.submission.run_ids))
        if rejected := ended.submission.rejected_run_ids:
            self._log.warning("%s rejected %s at once.", self._session.service.vendor, name_runs(rejected))

    def _of_this_round(self, whole: RunRequest) -> RunRequest | None:
        """The request of this try as the round sends it. A search tests other addresses."""
        record, service = self._store.record, self._session.service
        if not record.searching or record.search is None:
            return whole
        place = record.search.deployment
        if not isinstance(service, TemporaryTargets):
            return None
        return service.on_deployment(whole, place.address, place.commit)

    def _count(self, started: int) -> None:
        service, record = self._session.service.vendor, self._store.record
        metrics.count(metrics.RUNS_STARTED, started, service=service)
        if record.confirming or record.again:
            metrics.count(metrics.RERUNS, started, service=service)

    def _setting(self, name: str, request: RunRequest, journal: PartJournal) -> Setting:
        known = frozenset((*self._store.record.all_run_ids, *self._reader.run_ids))
        setting = Setting(
            self._session.service,
            request,
            journal,
            self._options.max_outage,
            self._session.clock,
            self._log.info,
            known,
            self._claims,
            None if self._round is None else self._round.part(name),
        )
        # A part of the tests has titles of its own.
        return replace(setting, titled=self._titled) if name == WHOLE else setting

    def _titled(self, title: str) -> None:
        """Take the title into the record. The intent, which follows, stores it."""
        if title:
            self._store.record = replace(self._store.record, title=one_line(title, 200))
