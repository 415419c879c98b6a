"""The listener's part of an ending: what a task leaves that neither its worker nor its trigger can stop."""

from __future__ import annotations

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
from airflow_provider_testerarmy.lifecycle.service_session import ServiceLine
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.cancel import Fate
from airflow_provider_testerarmy.runs.submission.record import Part, Record
from airflow_provider_testerarmy.runs.submission.setting import Setting
from airflow_provider_testerarmy.runs.submission.stored import is_signed


def stop_left(record: Record, stored: Any, task: airflow_compat.TaskName, log: Any) -> Fate:
    """Stop what a record says is active, if the record is the task's own.

    :param stored: the record as it is stored, with its signature.
    :param task: whose record it is.
    :return: what became of the runs; those of somebody else go on.
    """
    if record.asked.hook not in hook_classes():
        # Users may edit records, and this runs in the API server and the scheduler.
        log.warning(
            "A task's record of test runs names %r, which is no hook of this provider.", record.asked.hook
        )
        return Fate.RUNNING
    hook = resolve_name(record.asked.hook)(record.asked.conn_id)
    hook.use(airflow_compat.get_connection_for(task.dag_id, record.asked.conn_id))
    line = ServiceLine(hook, Interrupts())
    try:
        if not is_signed(stored, identity_of(task), line.secret) and not _agrees(record, task, line):
            log.warning(
                "The record of %s was not written by that task, or with another connection's key. It names %s, "
                "which are left alone.",
                identity_of(task),
                name_active(record),
            )
            return Fate.RUNNING
        claims = TaskClaims(identity_of(task), airflow_compat.stored_variable)
        _, fate = stop_record(
            record, lambda part: _setting(part, line, claims, log), line.drive_to_the_end, log
        )
        return fate
    finally:
        line.close()


def _setting(part: Part, line: ServiceLine, claims: TaskClaims, log: Any) -> Setting:
    request = part.request or RunRequest("", "", whole=False)
    return Setting(line.service, request, None, 0.0, line.clock, log.info, claims=claims)


def _agrees(record: Record, task: airflow_compat.TaskName, line: ServiceLine) -> bool:
    """Whether an unsigned record is about what its task itself names, and its runs can be that task's.

    The version before signed nothing, and a key may have been changed since.
    """
    fields = " ".join(map(str, airflow_compat.rendered_fields(task).values()))
    named = [record.asked.conn_id, *record.asked.target.split(", ")]
    if not all(name in fields for name in named if name):
        return False
    run_ids = tuple(
        run_id for part in record.unsettled if part.submission for run_id in part.submission.run_ids
    )
    request = next(
        (part.request for part in record.unsettled if part.request), RunRequest("", "", whole=False)
    )
    began = airflow_compat.beginning_of(task)
    if began is not None and began.tzinfo is None:
        began = began.replace(tzinfo=UTC)
    answers = line.drive_to_the_end(examine(line, run_ids, request))
    return all(is_ours(answer, began or datetime.min.replace(tzinfo=UTC)) for answer in answers)
