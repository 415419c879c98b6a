"""Confirms failures: starts another round for failed tests before their try ends with a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from airflow_provider_testerarmy.exceptions import (
    BudgetExhausted,
    CredentialsRejected,
    RequestRefused,
    ServiceUnavailable,
)
from airflow_provider_testerarmy.lifecycle.record_backends import StoreUnavailable
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.lifecycle.start import Starter
from airflow_provider_testerarmy.lifecycle.temporary import TemporaryMaker
from airflow_provider_testerarmy.lifecycle.verdict import Judge
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.asked import asked_for
from airflow_provider_testerarmy.runs.submission.confirming import Plan, Rule, confirming_round, is_part
from airflow_provider_testerarmy.runs.submission.record import Record
from airflow_provider_testerarmy.runs.submission.rounds import given_up
from airflow_provider_testerarmy.runs.text import one_line, plural

_TOO_LATE: Final = "the timeout has passed"
_NOT_DURABLE: Final = "durable=False leaves no record of what was started"
_CHANGED: Final = "the task asks for something else now than when it started its runs"
_LOST: Final = "the record of what the task requested is lost"
_GONE: Final = "the service no longer has the test"
_TOO_MANY: Final = "the service can only run all tests again, which is more than max_reruns allows"


class Confirmer:
    """Confirms the failures of one try."""

    def __init__(
        self,
        session: ServiceSession,
        store: RecordStore,
        starter: Starter,
        judge: Judge,
        temporaries: TemporaryMaker,
        log: Any,
    ) -> None:
        self._session = session
        self._store = store
        self._starter = starter
        self._judge = judge
        self._temporaries = temporaries
        self._log = log
        #: Why failures are not confirmed, for the verdict; empty if they are, or need not be.
        self.why_not = ""
        #: Whether the service refused the last round, without any effect.
        self._refused = False

    def start_round(
        self,
        known: Mapping[RunId, RunResult],
        run_ids: Sequence[RunId],
        deadline: float | None,
        build_request: Callable[[], RunRequest | None],
    ) -> bool:
        """Start another round for the failures that the gate wants to confirm.

        :param known: the results of all runs of this try.
        :param deadline: when the wait ends, in seconds since the epoch; None for never.
        :return: whether there are runs to wait for. If not, the verdict can be given.
        :raises SubmissionUnclear: if it is unknown whether a run was started.
        """
        plan = self._judge.plan(known, self._store.record, run_ids)
        self.why_not = plan.why_not
        if not plan.tests:
            return False
        started = self._start(plan, known, run_ids, deadline, build_request)
        if not started:
            self._log.warning("The failures of %s stand: %s.", plural(len(plan.tests), "test"), self.why_not)
        return started

    def _start(
        self,
        plan: Plan,
        known: Mapping[RunId, RunResult],
        run_ids: Sequence[RunId],
        deadline: float | None,
        build_request: Callable[[], RunRequest | None],
    ) -> bool:
        rule, request = self._judge.rule, build_request()
        self.why_not = self.hindrance(deadline, request)
        if self.why_not or request is None or rule is None:
            return False
        results = [known[run_id] for run_id in dict.fromkeys(run_ids)]
        return self._run_again(plan, results, request, rule)

    def hindrance(self, deadline: float | None, request: RunRequest | None) -> str:
        """Why no further round can start; empty if one can.

        :param deadline: in seconds since the epoch; None for never.
        :param request: what the task asks for now.
        """
        if not self._store.remembered:
            return _NOT_DURABLE
        if deadline is not None and self._session.clock() >= deadline:
            return _TOO_LATE
        if not _is_known(self._store.record.base):
            return _LOST
        return _CHANGED if request is None or self._is_changed(request) else ""

    def _run_again(self, plan: Plan, results: Sequence[RunResult], request: RunRequest, rule: Rule) -> bool:
        """Run the tests alone, in a temporary target if need be, or else everything."""
        before, service = self._store.record, self._session.service
        alone = None
        if service.some_tests(request, plan.tests) is None and is_part(before, results, plan.tests):
            alone = self._temporaries.make(request, plan.tests)
        before = replace(before, temporary=self._store.record.temporary)
        record = confirming_round(service, request, before, results, plan.tests, rule, alone)
        if record is None:
            self.why_not = _TOO_MANY
            return False
        started = self._submit(record, before, plan, request)
        if started or alone is None or not self._refused:
            return started
        self._log.warning("The service does not run the temporary group: %s.", self.why_not)
        self._temporaries.remove()
        before = replace(before, temporary=self._store.record.temporary)
        whole = confirming_round(service, request, before, results, plan.tests, rule)
        if whole is not None:
            self.why_not = ""
            return self._submit(whole, before, plan, request)
        # The record must not keep a round that never ran, or its tests would count as confirmed.
        self._store.keep(before)
        self.why_not = _TOO_MANY
        return False

    def _is_changed(self, request: RunRequest) -> bool:
        """Whether the task asks for other runs than when it started its own: the DAG may have been edited since."""
        hook, before = self._session.hook, self._store.record.asked
        return not before.same_runs(asked_for(hook.path, hook.conn_id, request, before.gate))

    def _submit(self, record: Record, before: Record, plan: Plan, request: RunRequest) -> bool:
        self._log.info(
            "%s failed. Running %s again to confirm that.",
            plural(len(plan.tests), "test").capitalize(),
            "it" if len(plan.tests) == 1 else "them",
        )
        try:
            # A later try that found only the runs of this round would take their passes for the verdict.
            self._store.keep_for_certain(record)
        except StoreUnavailable as error:
            self._store.record, self.why_not = before, one_line(str(error), 200)
            return False
        try:
            self._starter.submit_parts(request)
        except (BudgetExhausted, CredentialsRejected, RequestRefused, ServiceUnavailable) as error:
            if self._store.record.unknown:
                raise
            self._refused = isinstance(error, RequestRefused)
            self.why_not = one_line(str(error), 300).rstrip(".")
            self._store.keep(given_up(self._store.record, self.why_not))
        active = any(part.active for part in self._store.record.parts.values())
        if not active and not self.why_not:
            self.why_not, self._refused = _GONE, True
        return active


def _is_known(record: Record) -> bool:
    """Whether a record has the requests of its runs, and not only their ids from a trigger or an XCom."""
    return all(part.request is not None and part.request.whole for part in record.parts.values())
