"""Stopping orphaned runs from the listener: runs that neither the task's worker nor its trigger can stop."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pkgutil import resolve_name
from typing import Any

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.get_provider_info import hook_classes
from airflow_provider_testerarmy.lifecycle.cancellation import name_active, stop_record
from airflow_provider_testerarmy.lifecycle.claims import TaskClaims
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupts
from airflow_provider_testerarmy.lifecycle.record_store import identity_of
from airflow_provider_testerarmy.lifecycle.record_trust import examine, is_ours
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.lifecycle.temporary import without_temporary
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.record import Part, Record
from airflow_provider_testerarmy.runs.submission.setting import Setting
from airflow_provider_testerarmy.runs.submission.stored import is_signed


def stop_orphans(
    record: Record, stored: Any, task: airflow_compat.TaskName, log: Any, *, last: bool = False
) -> StopResult:
    """Stop the active runs of a record and delete its temporary target, if the task itself wrote the record.

    :param record: the parsed record.
    :param stored: the same as stored JSON, with its signature.
    :param task: the task instance that the record belongs to.
    :param log: receives one line per action.
    :param last: whether no further attempt follows. Only then is a target deleted that may have unknown runs.
    :return: what became of them; runs that are not the task's own go on.
    """
    if record.asked.hook not in hook_classes():
        # Users with the right to edit task state could otherwise make the API server import any class.
        log.warning(
            "The record of %s names the hook %r, which is no hook of this provider. Its runs are not cancelled: "
            "check the dashboard.",
            identity_of(task),
            record.asked.hook,
        )
        return StopResult.RUNNING
    hook = resolve_name(record.asked.hook)(record.asked.conn_id)
    # With ``[core] multi_team`` a connection may belong to the DAG's team. A plain ``get_connection`` in the API
    # server or scheduler does not find it (measured on 3.3).
    hook.use(airflow_compat.get_connection_for(task.dag_id, record.asked.conn_id))
    session = ServiceSession(hook, Interrupts(), follows_key=False)
    try:
        if not is_signed(stored, identity_of(task), session.secret) and not _is_plausible(
            record, task, session
        ):
            log.warning(
                "The record of %s is not signed with the current key of its connection, so the task may not have "
                "written it. It names %s. The provider does not touch these runs: check the dashboard.",
                identity_of(task),
                name_active(record),
            )
            return StopResult.RUNNING
        stopped, result = record, StopResult.STOPPED
        if record.cancels:
            claims = TaskClaims(identity_of(task), airflow_compat.stored_variable, writes=False)
            stopped, result = stop_record(
                record, lambda part: _setting(part, session, claims, log), session.drive_to_the_end, log
            )
        if not stopped.temporary_may_run or last or not record.cancels:
            stopped = without_temporary(stopped, session, identity_of(task), log)
        return result if stopped.temporary is None else StopResult.UNKNOWN
    finally:
        session.close()


def _setting(part: Part, session: ServiceSession, claims: TaskClaims, log: Any) -> Setting:
    # An outage of 0 s: this occupies a thread of the API server or scheduler, so it does not wait for the service.
    request = part.request or RunRequest("", "", whole=False)
    return Setting(session.service, request, None, 0.0, session.clock, log.info, claims=claims)


def _is_plausible(record: Record, task: airflow_compat.TaskName, session: ServiceSession) -> bool:
    """Whether an unsigned record names what its task names, and the task can have started its runs.

    Version 0.1 signed no records, and a key may have changed since the record was signed.
    """
    # Users can edit task state through Airflow's API, but not the rendered fields of a task.
    rendered = airflow_compat.rendered_fields(task)
    fields = " ".join(map(str, rendered.values()))
    named = [record.asked.conn_id, *record.asked.target.split(", ")]
    if not all(name in fields for name in named if name):
        return False
    run_ids = tuple(
        run_id for part in record.unsettled if part.submission for run_id in part.submission.run_ids
    )
    request = next((part.request for part in record.unsettled if part.request), None)
    if request is None:
        request = _rendered_request(rendered)
    if request is None:
        return False
    began = airflow_compat.beginning_of(task)
    if began is not None and began.tzinfo is None:
        began = began.replace(tzinfo=UTC)
    answers = session.drive_to_the_end(examine(session, run_ids, request))
    return all(is_ours(answer, began or datetime.min.replace(tzinfo=UTC)) for answer in answers)


def _rendered_request(fields: Mapping[str, Any]) -> RunRequest | None:
    """The request that a task's rendered fields describe, because version 0.1 recorded none; None if none does."""
    for kind in ("test", "group"):
        if target := fields.get(f"{kind}_id"):
            return RunRequest(kind, str(target), whole=False)
    prompt = fields.get("prompt")
    return RunRequest("prompt", "", {"prompt": str(prompt)}, whole=False) if prompt else None
