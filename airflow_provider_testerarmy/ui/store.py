"""Queries on Airflow's metadata database: the only module of the tab that uses the ORM.

The connection and the report paths come from the task's rendered fields, which only its worker writes. Users can
edit XComs, so XComs provide only what is displayed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from airflow.models.dag import DagModel
from airflow.models.log import Log
from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.submission.record import KEY
from airflow_provider_testerarmy.runs.verdict.summary import NOTE

log = logging.getLogger(__name__)

_RESULT: Final = "return_value"
_KEYS: Final = (NOTE, _RESULT, "run_ids", "batch_id")
FINISHED: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
#: The most task instances of one DAG run that are listed.
MAX_TASKS: Final = 500


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task instance with its XComs, rendered fields and record.

    :param xcoms: this provider's XComs, by key.
    :param rendered: the template fields as the worker rendered them; empty once Airflow has deleted them.
    :param record: what the task stored between tries; None if there is no record.
    :param team: the team of the DAG; None without teams.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    started: datetime | None
    ended: datetime | None
    xcoms: dict[str, Any] = field(default_factory=dict)
    rendered: dict[str, Any] = field(default_factory=dict)
    record: object = None
    team: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the task is in a final state, which only a clear can change."""
        return self.state in FINISHED

    @property
    def note(self) -> dict[str, Any]:
        """The XCom that a task pushes when it starts runs; empty for any other task."""
        value = self.xcoms.get(NOTE)
        return value if isinstance(value, dict) and value.get("version") == 1 else {}

    @property
    def summary(self) -> dict[str, Any]:
        """The summary that the task returned; empty if there is none."""
        value = self.xcoms.get(_RESULT)
        return value if isinstance(value, dict) and {"verdict", "run_ids", "counts"} <= value.keys() else {}


_COLUMNS: Final = (
    TaskInstance.dag_id,
    TaskInstance.run_id,
    TaskInstance.task_id,
    TaskInstance.map_index,
    TaskInstance.state,
    TaskInstance.try_number,
    TaskInstance.start_date,
    TaskInstance.end_date,
)


def read_task(dag_id: str, run_id: str, task_id: str, map_index: int) -> StoredTask | None:
    """One task instance; None if it does not exist."""
    ours = (dag_id, run_id, task_id, map_index)
    with create_session() as session:
        row = session.execute(select(*_COLUMNS).where(*_is(TaskInstance, ours))).first()
        if row is None:
            return None
        pairs = session.execute(
            select(XComModel.key, XComModel.value).where(*_is(XComModel, ours), XComModel.key.in_(_KEYS))
        )
        xcoms = {key: _plain(value) for key, value in pairs}
        rendered = session.scalar(select(Rendered.rendered_fields).where(*_is(Rendered, ours)))
    task = _task(row, xcoms, rendered if isinstance(rendered, dict) else {})
    return replace(task, record=_record(task), team=team_of(dag_id).get("team_name"))


def _record(task: StoredTask) -> object:
    # A state store backend may raise any exception; the tab can still show the summary.
    try:
        return airflow_compat.stored_task_state(task, KEY)
    except Exception as error:
        log.warning("Cannot read the record of %s.%s: %s", task.dag_id, task.task_id, error)
        return None


def read_dag_run(dag_id: str, run_id: str) -> list[StoredTask]:
    """The tasks of a DAG run that have started test runs, the earliest first."""
    return _with_results(XComModel.dag_id == dag_id, XComModel.run_id == run_id, limit=MAX_TASKS)


def dags_with_runs() -> set[str]:
    """The ids of the DAGs with tasks that have started test runs."""
    with create_session() as session:
        return set(session.scalars(select(XComModel.dag_id).where(XComModel.key == NOTE).distinct()))


def read_history(dag_ids: Collection[str], since: datetime, limit: int, offset: int = 0) -> list[StoredTask]:
    """The tasks of these DAGs that have started test runs, the newest first.

    :param offset: how many of the newest tasks to skip.
    """
    if not dag_ids:
        return []
    return _with_results(
        XComModel.dag_id.in_(sorted(dag_ids)), TaskInstance.start_date >= since, limit=limit, offset=offset
    )


def _with_results(*conditions: Any, limit: int, offset: int | None = None) -> list[StoredTask]:
    result = aliased(XComModel)
    begun = func.coalesce(TaskInstance.start_date, TaskInstance.updated_at)
    # The key columns break ties, so that paging by offset neither repeats nor skips a task.
    order = (begun.asc() if offset is None else begun.desc(), *_COLUMNS[:4])
    query = (
        select(*_COLUMNS, XComModel.value, result.value)
        .join(TaskInstance, _same(XComModel, TaskInstance))
        .outerjoin(result, and_(_same(XComModel, result), result.key == _RESULT))
        .where(XComModel.key == NOTE, *conditions)
        .order_by(*order)
        .limit(limit)
        .offset(offset or 0)
    )
    with create_session() as session:
        rows = session.execute(query).all()
    return [_task(row[:-2], {NOTE: _plain(row[-2]), _RESULT: _plain(row[-1])}, {}) for row in rows]


def write_audit(task: StoredTask, event: str, user: str, display_name: str, extra: str) -> None:
    """Add a line to Airflow's audit log.

    :param user: the name of the signed-in user.
    """
    entry = Log(
        event=event,
        owner=user,
        owner_display_name=display_name,
        extra=extra,
        dag_id=task.dag_id,
        run_id=task.run_id,
        task_id=task.task_id,
        map_index=task.map_index,
        try_number=task.try_number,
    )
    with create_session() as session:
        session.add(entry)


def _is(model: Any, ours: tuple[str, str, str, int]) -> tuple[Any, ...]:
    dag_id, run_id, task_id, map_index = ours
    return (
        model.dag_id == dag_id,
        model.run_id == run_id,
        model.task_id == task_id,
        model.map_index == map_index,
    )


def _same(one: Any, other: Any) -> Any:
    return and_(
        one.dag_id == other.dag_id,
        one.run_id == other.run_id,
        one.task_id == other.task_id,
        one.map_index == other.map_index,
    )


def _task(row: Sequence[Any], xcoms: dict[str, Any], rendered: dict[str, Any]) -> StoredTask:
    dag_id, run_id, task_id, map_index, state, try_number, started, ended = row
    return StoredTask(
        dag_id, run_id, task_id, map_index, _text(state), try_number or 0, started, ended, xcoms, rendered
    )


def _text(state: Any) -> str | None:
    # Depending on the version, the column holds a string or an enum member.
    return None if state is None else str(getattr(state, "value", state))


def _plain(value: Any) -> Any:
    """An XCom's value. The column holds JSON, a JSON string or, with a custom XCom backend, a reference."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def team_of(dag_id: str) -> dict[str, Any]:
    """The DAG's team as keyword arguments for the auth manager; empty before Airflow had teams."""
    ask = getattr(DagModel, "get_team_name", None)
    return {} if ask is None else {"team_name": ask(dag_id)}


def connection_of_team(conn_id: str, team: str) -> Any:
    """The connection as a task of this team resolves it (`[core] multi_team`)."""
    from airflow.models.connection import Connection

    return Connection.get_connection_from_secrets(conn_id, team_name=team)
