"""Where a try's runs come from: the record of earlier tries, believed only where it is this task's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.exceptions import RequestRefused, ServiceUnavailable
from airflow_provider_testerarmy.get_provider_info import hook_classes
from airflow_provider_testerarmy.lifecycle.cancellation import name_active
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore, Trust
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.flow import Flow, ask_together
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import (
    FaultKind,
    Match,
    Reply,
    RunRequest,
    ServiceFault,
    Sighting,
)
from airflow_provider_testerarmy.runs.submission.asked import Asked
from airflow_provider_testerarmy.runs.submission.record import Record, RecordUnreadable
from airflow_provider_testerarmy.runs.text import name_runs

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

#: A run of this task cannot be older than its DAG run by more than clocks may differ.
SKEW: Final = timedelta(seconds=60)
#: Runs that are examined side by side.
CONCURRENT_READS: Final = 8


class RecordReader:
    """The record of earlier tries.

    :param request: what this try starts, None for a task that only waits.
    """

    def __init__(
        self,
        store: RecordStore,
        session: ServiceSession,
        request: RunRequest | None,
        context: Mapping[str, Any],
        log: Any,
    ) -> None:
        self._store = store
        self._session = session
        self._request = request
        self._began = _beginning(context)
        self._log = log
        #: The runs that earlier tries are known to have started.
        self.run_ids: tuple[RunId, ...] = ()

    def earlier(self, trusted: frozenset[RunId] = frozenset()) -> tuple[Record | None, bool]:
        """What earlier tries left, and whether it is this task's own.

        :param trusted: runs that are known to be this task's.
        :raises RequestRefused: when this version cannot read it.
        :raises ServiceUnavailable: when it has to be held against the service, and that does not answer.
        """
        try:
            record = self._store.earlier()
        except RecordUnreadable as error:
            named = f" It names {name_runs(error.run_ids)}." if error.run_ids else ""
            raise RequestRefused(
                f"The record that an earlier try left cannot be read ({error}).{named} Nothing was started or "
                "stopped. Check the dashboard, then run the task with durable=False or in a new DAG run."
            ) from error
        if record is None:
            return None, True
        trust = self._store.trust(record, self._secret_of)
        if trust is Trust.PLAUSIBLE and not set(record.all_run_ids) <= trusted:
            trust = Trust.PLAUSIBLE if self._runs_are_plausible(record) else Trust.NONE
        if trust is Trust.NONE:
            self._log.warning(
                "The stored record of this task was not written by it, or with another connection's key. It "
                "names %s, which are left alone.",
                name_active(record) or name_runs(record.all_run_ids),
            )
            return record, False
        self.run_ids = record.all_run_ids
        return record, True

    def resumed(self, trusted: frozenset[RunId]) -> Record | None:
        """The record of this very try, after a deferral; None where there is none to assess.

        :param trusted: the runs that the trigger has waited for.
        """
        record, believed = self.earlier(trusted)
        return record if believed else None

    def session_for(self, asked: Asked) -> ServiceSession | None:
        """The line through the connection that a record names; None where it cannot be used."""
        if asked.same_connection(self._store.fresh.asked):
            return self._session
        hook = self._hook_of(asked)
        try:
            return None if hook is None else ServiceSession(hook, self._session.interrupts)
        except Exception as error:
            self._log.warning("The connection %r cannot be used: %s", asked.conn_id, error)
            return None

    def _secret_of(self, asked: Asked) -> str:
        if asked.same_connection(self._store.fresh.asked):
            return self._session.secret
        hook = self._hook_of(asked)
        try:
            return "" if hook is None else str(hook.connection.password or "")
        except Exception as error:
            self._log.warning("The connection %r cannot be read: %s", asked.conn_id, error)
            return ""

    def _hook_of(self, asked: Asked) -> ServiceHook | None:
        """A hook of this package, or this task's own: users may edit records."""
        if asked.hook not in {*hook_classes(), self._session.hook.path}:
            return None
        hook: ServiceHook = resolve_name(asked.hook)(asked.conn_id)
        return hook

    def _runs_are_plausible(self, record: Record) -> bool:
        """Whether every run of a record that nothing else proves can be this task's."""
        submissions = [part.submission for part in record.unsettled if part.submission]
        active = [run_id for submission in submissions for run_id in submission.run_ids]
        run_ids = tuple(dict.fromkeys((*active, *record.carried)))
        return self._request is not None and self.can_be_ours(run_ids)

    def can_be_ours(self, run_ids: tuple[RunId, ...], trusted: frozenset[RunId] = frozenset()) -> bool:
        """Whether runs that a user may have named can be this task's: of its target, and no older than it.

        :param trusted: runs that are known to be this task's.
        """
        doubtful = tuple(run_id for run_id in run_ids if run_id not in trusted)
        if self._request is None or not doubtful:
            return True
        answers = self._session.drive(examine(self._session, doubtful, self._request))
        if all(is_ours(answer, self._began) for answer in answers):
            return True
        self._log.warning("%s cannot be this task's, and are left alone.", name_runs(run_ids))
        return False


def is_ours(answer: Reply[Sighting] | ServiceFault, began: datetime | None) -> bool:
    """Whether a run can be that of a task whose DAG run began then.

    :raises ServiceUnavailable: when the service does not say.
    """
    if isinstance(answer, ServiceFault):
        if answer.kind in (FaultKind.NOT_FOUND, FaultKind.REFUSED):
            return False
        raise ServiceUnavailable(
            f"Whether the runs that the task's record names are its own cannot be checked: {answer.message}."
        )
    created = answer.value.run.created_at
    if created is not None and created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    too_old = created is not None and began is not None and created < began - SKEW
    return answer.value.match is not Match.NO and not too_old


def examine(
    session: ServiceSession, run_ids: tuple[RunId, ...], request: RunRequest
) -> Flow[list[Reply[Sighting] | ServiceFault]]:
    """The runs, each with whether it stems from the request."""
    answers: list[Reply[Sighting] | ServiceFault] = []
    for at in range(0, len(run_ids), CONCURRENT_READS):
        questions = [
            session.service.examine(run_id, request) for run_id in run_ids[at : at + CONCURRENT_READS]
        ]
        answers += yield from ask_together(questions)
    return answers


def _beginning(context: Mapping[str, Any]) -> datetime | None:
    """When the DAG run can have begun at the earliest; a clear does not change it."""
    found = airflow_compat.earliest_of(context.get("dag_run"))
    return found if isinstance(found, datetime) else None
