"""Reads the record of earlier tries, and rejects one that the task itself did not write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    ListedRun,
    Match,
    Reply,
    RunRequest,
    ServiceFault,
)
from airflow_provider_testerarmy.runs.submission.asked import Asked
from airflow_provider_testerarmy.runs.submission.record import Record, RecordUnreadable
from airflow_provider_testerarmy.runs.temporary import TemporaryTarget, TemporaryTargets, is_named_for
from airflow_provider_testerarmy.runs.text import name_runs

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

#: How much older than its DAG run a run may be, because the clocks of Airflow and the service may differ.
SKEW: Final = timedelta(seconds=60)
#: The most runs that are read from the service at the same time.
CONCURRENT_READS: Final = 8


class RecordReader:
    """The record of earlier tries.

    :param request: what this try submits, None for a sensor.
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
        #: The temporary target that the stored record names; it is not trusted.
        self._temporary: TemporaryTarget | None = None
        #: The runs of the trusted record.
        self.run_ids: tuple[RunId, ...] = ()

    def earlier(self, trusted: frozenset[RunId] = frozenset()) -> tuple[Record | None, bool]:
        """The record of earlier tries, and whether it is trusted.

        :param trusted: runs that are known to belong to this task.
        :raises RequestRefused: if this version cannot read the record.
        :raises ServiceUnavailable: if the record has to be checked and the service does not answer.
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
        self._temporary = record.temporary
        trust = self._store.trust(record, self._secret_of)
        if trust is Trust.PLAUSIBLE and not set(record.all_run_ids) <= trusted:
            trust = Trust.PLAUSIBLE if self._runs_are_plausible(record) else Trust.NONE
        if trust is Trust.NONE:
            self._log.warning(
                "The stored record of this task is not signed with the current key of its connection, so the task "
                "may not have written it. It names %s. The task does not touch these runs: check the dashboard.",
                name_active(record) or name_runs(record.all_run_ids),
            )
            return record, False
        # A person decides only through Airflow. Somebody may have written an answer into an unsigned record.
        if trust is not Trust.SIGNED and record.answers:
            record = replace(record, answers=())
        self.run_ids = record.all_run_ids
        return record, True

    def resumed(self, trusted: frozenset[RunId]) -> Record | None:
        """The record of this try after a deferral, None if there is no trusted one.

        :param trusted: the runs that the trigger has waited for.
        """
        record, believed = self.earlier(trusted)
        return record if believed else None

    def session_for(self, asked: Asked) -> ServiceSession | None:
        """A session through the connection that a record names, None if it cannot be used."""
        if asked.same_connection(self._store.fresh.asked):
            return self._session
        hook = _hook_of(asked, self._session.hook)
        try:
            return None if hook is None else ServiceSession(hook, self._session.interrupts)
        except Exception as error:
            self._log.warning("The connection %r cannot be used: %s", asked.conn_id, error)
            return None

    def _secret_of(self, asked: Asked) -> str:
        if asked.same_connection(self._store.fresh.asked):
            return self._session.secret
        # The task may have used another connection when it wrote the record. Its secret only verifies a signature.
        return secret_of(asked, self._session.hook, self._log)

    def _runs_are_plausible(self, record: Record) -> bool:
        """Whether this task can have started every run of an unsigned record."""
        submissions = [part.submission for part in record.unsettled if part.submission]
        active = [run_id for submission in submissions for run_id in submission.run_ids]
        run_ids = tuple(dict.fromkeys((*active, *record.carried)))
        return self._request is not None and self.can_be_ours(run_ids)

    def can_be_ours(self, run_ids: tuple[RunId, ...], trusted: frozenset[RunId] = frozenset()) -> bool:
        """Whether this task can have started these runs: they have its target and are no older than its DAG run.

        :param run_ids: runs from a record or XCom, which a user may have edited.
        :param trusted: runs that are known to belong to this task.
        """
        doubtful = tuple(run_id for run_id in run_ids if run_id not in trusted)
        if self._request is None or not doubtful:
            return True
        answers = self._session.drive(examine(self._session, doubtful, self._request))
        others = [
            run_id
            for run_id, answer in zip(doubtful, answers, strict=True)
            if not is_ours(answer, self._began)
        ]
        if not others or self._ran_on_temporary(tuple(others)):
            return True
        self._log.warning(
            "This task cannot have started %s, so it does not touch them. Check its record and XComs.",
            name_runs(run_ids),
        )
        return False

    def _ran_on_temporary(self, run_ids: tuple[RunId, ...]) -> bool:
        """Whether the runs are of the record's temporary target, and the target has a name that this task gives."""
        targets, named, request = self._session.service, self._temporary, self._request
        if request is None or named is None or not isinstance(targets, TemporaryTargets):
            return False
        if not named.target or not is_named_for(self._store.identity, named.name):
            return False
        (name,) = self._session.drive(ask_together([targets.name_of_target(named.target)]))
        if isinstance(name, ServiceFault) or name.value != named.name:
            return False
        answers = self._session.drive(
            examine(self._session, run_ids, targets.on_target(request, named.target))
        )
        return all(is_ours(answer, self._began) for answer in answers)


def secret_of(asked: Asked, hook: ServiceHook, log: Any) -> str:
    """The secret that signs the records of a task with this connection; empty if it cannot be read.

    :param hook: the hook of the task.
    """
    named = _hook_of(asked, hook)
    try:
        return "" if named is None else str(named.connection.password or "")
    except Exception as error:
        log.warning("The connection %r cannot be read: %s", asked.conn_id, error)
        return ""


def _hook_of(asked: Asked, own: ServiceHook) -> ServiceHook | None:
    """The hook that a record names. Users can edit records, so only known classes are imported."""
    if asked.hook not in {*hook_classes(), own.path}:
        return None
    hook: ServiceHook = resolve_name(asked.hook)(asked.conn_id)
    return hook


def is_ours(answer: Reply[ListedRun] | ServiceFault, began: datetime | None) -> bool:
    """Whether a task can have started a run.

    :param answer: the run as the service describes it.
    :param began: the earliest start of the task's DAG run, None if unknown.
    :raises ServiceUnavailable: if the service does not answer.
    """
    if isinstance(answer, ServiceFault):
        # The service shows a key only the runs of its own account.
        if answer.kind in (FaultKind.NOT_FOUND, FaultKind.REFUSED):
            return False
        raise ServiceUnavailable(
            f"The service did not say whether the task started the runs in its record: {answer.message}."
        )
    # Docket's reference does not specify a time zone for ``created_at``. A time without one counts as UTC.
    created = answer.value.run.created_at
    if created is not None and created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    too_old = created is not None and began is not None and created < began - SKEW
    return answer.value.match is not Match.NO and not too_old


def examine(
    session: ServiceSession, run_ids: tuple[RunId, ...], request: RunRequest
) -> Flow[list[Reply[ListedRun] | ServiceFault]]:
    """Read the runs from the service, each with whether it matches the request."""
    answers: list[Reply[ListedRun] | ServiceFault] = []
    for at in range(0, len(run_ids), CONCURRENT_READS):
        questions = [
            session.service.examine(run_id, request) for run_id in run_ids[at : at + CONCURRENT_READS]
        ]
        answers += yield from ask_together(questions)
    return answers


def _beginning(context: Mapping[str, Any]) -> datetime | None:
    """The earliest time at which the DAG run can have started; a clear does not change it."""
    found = airflow_compat.earliest_of(context.get("dag_run"))
    return found if isinstance(found, datetime) else None
