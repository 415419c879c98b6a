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
from typing import Any, Final, NamedTuple

from airflow.models.dag import DagModel
from airflow.models.log import Log
from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import Text, and_, cast, func, or_, select
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


class Change(NamedTuple):
    """How many tasks of a DAG have started test runs, and when the last of them changed."""

    tasks: int
    updated: datetime | None
    pushed: datetime


def read_changes() -> dict[str, Change]:
    """The DAGs with tasks that have started test runs, each with a mark that changes when one of them does.

    The two tables are read one after the other: a join of 100,000 tasks takes three times as long. The value of a
    summary is left out: SQLite would read all of it to get at the time behind it.
    """
    # By an expression: SQLite would walk an index to group by the column, and fetch each row from a random page.
    pushed_by, run_by = XComModel.dag_id + "", TaskInstance.dag_id + ""
    pushed = (
        select(pushed_by, XComModel.task_id, func.count(), func.max(XComModel.timestamp))
        .where(XComModel.key == NOTE)
        .group_by(pushed_by, XComModel.task_id)
    )
    with create_session() as session:
        found = session.execute(pushed).all()
        names, task_ids = {name for name, *_ in found}, {task_id for _, task_id, *_ in found}
        updated = (
            select(run_by, func.max(TaskInstance.updated_at))
            .where(TaskInstance.dag_id.in_(sorted(names)), TaskInstance.task_id.in_(sorted(task_ids)))
            .group_by(run_by)
        )
        times = dict(session.execute(updated).all()) if found else {}
    changes: dict[str, Change] = {}
    for name, _, tasks, last in found:
        known = changes.get(name, Change(0, times.get(name), last))
        changes[name] = Change(known.tasks + tasks, known.updated, max(known.pushed, last))
    return changes


@dataclass(frozen=True, slots=True)
class Hints:
    """What SQL can tell of the history's filters. An empty field is no condition.

    Verdicts, tests and issues are in JSON documents, which each database and each version of Airflow stores in
    another form. So the conditions are on their text, and let through some tasks that do not match.

    :param verdict: a word.
    :param group: the key of a group.
    :param group_part: a part of that key as it is in the JSON of the note.
    :param test: a part of a test's id or title as it is in the JSON of the summary.
    :param search: a part of the searched words, in lower case.
    :param exact: whether no task that matches can fail the conditions.
    """

    dag_id: str = ""
    verdict: str = ""
    group: str = ""
    group_part: str = ""
    test: str = ""
    search: str = ""
    exact: bool = True

    @property
    def any(self) -> bool:
        """Whether there is any condition."""
        return bool(self.dag_id or self.verdict or self.group or self.test or self.search)


_NO_HINTS: Final = Hints()


def read_marks(
    dag_ids: Collection[str], since: datetime, limit: int, hints: Hints = _NO_HINTS
) -> list[tuple[str, object, object]]:
    """The newest tasks of these DAGs that have started test runs: DAG, id, and a mark that changes with it."""
    query = (
        select(TaskInstance.dag_id, TaskInstance.id, TaskInstance.updated_at, XComModel.timestamp)
        .join(TaskInstance, _same(XComModel, TaskInstance))
        .where(XComModel.key == NOTE, XComModel.dag_id.in_(sorted(dag_ids)), TaskInstance.start_date >= since)
        .order_by(TaskInstance.start_date.desc())
        .limit(limit)
    )
    if hints.any:
        result = aliased(XComModel)
        query = query.outerjoin(result, _result_of(XComModel, result)).where(*_fitting(hints, result))
    with create_session() as session:
        return [(dag_id, name, hash(tuple(mark))) for dag_id, name, *mark in session.execute(query)]


def _fitting(hints: Hints, result: Any) -> list[Any]:
    """The conditions, the cheap ones first. PostgreSQL makes a text of the JSON for each that needs one."""
    note, summary = cast(XComModel.value, Text), cast(result.value, Text)
    found = []
    if hints.dag_id:
        found.append(XComModel.dag_id == hints.dag_id)
    if hints.group:
        own = TaskInstance.dag_id + "." + TaskInstance.task_id == hints.group
        found.append(or_(own, _has(note, hints.group_part), _is_reference(note)))
    if hints.verdict:
        # Some versions of Airflow store JSON inside a JSON string, which escapes the quotation marks.
        plain = func.replace(summary, '\\"', '"')
        found.append(or_(_has(plain, f'"verdict": "{hints.verdict}"'), _is_reference(summary)))
    if hints.test:
        found.append(or_(_has(summary, hints.test), _is_reference(summary)))
    if hints.search:
        texts = (TaskInstance.dag_id, TaskInstance.task_id, note, summary)
        found.append(or_(*(_has(func.lower(text), hints.search) for text in texts)))
    return found


def _has(text: Any, part: str) -> Any:
    return text.contains(part, autoescape=True)


def _is_reference(value: Any) -> Any:
    """Whether JSON may be the reference of an XCom backend: it has no object."""
    return ~value.contains("{")


def read_results(ids: Collection[Any]) -> list[tuple[object, StoredTask]]:
    """The task instances with these ids, each with its id, its note and its summary."""
    result = aliased(XComModel)
    query = (
        select(TaskInstance.id, *_COLUMNS, XComModel.value, result.value)
        .join(TaskInstance, _same(XComModel, TaskInstance))
        .outerjoin(result, _result_of(XComModel, result))
        .where(XComModel.key == NOTE, TaskInstance.id.in_(list(ids)))
    )
    with create_session() as session:
        rows = session.execute(query).all()
    return [(row[0], _listed(row[1:])) for row in rows]


def read_listed(orders: Collection[tuple[str, str, str, int]]) -> list[StoredTask]:
    """These task instances (DAG, run, task, map index), each with its note and its summary, in no order."""
    if not orders:
        return []
    return _with_results(or_(*(and_(*_is(XComModel, ours)) for ours in orders)), limit=len(orders))


def _with_results(*conditions: Any, limit: int, newest_first: bool = False) -> list[StoredTask]:
    result = aliased(XComModel)
    begun = func.coalesce(TaskInstance.start_date, TaskInstance.updated_at)
    query = (
        select(*_COLUMNS, XComModel.value, result.value)
        .join(TaskInstance, _same(XComModel, TaskInstance))
        .outerjoin(result, _result_of(XComModel, result))
        .where(XComModel.key == NOTE, *conditions)
        .order_by(begun.desc() if newest_first else begun.asc(), *_COLUMNS[:4])
        .limit(limit)
    )
    with create_session() as session:
        return [_listed(row) for row in session.execute(query)]


def _listed(row: Sequence[Any]) -> StoredTask:
    return _task(row[:-2], {NOTE: _plain(row[-2]), _RESULT: _plain(row[-1])}, {})


def _result_of(note: Any, result: Any) -> Any:
    return and_(_same(note, result), result.key == _RESULT)


def read_earlier(task: StoredTask, limit: int) -> list[StoredTask]:
    """The newest ended instances of a task in other DAG runs that have a result."""
    return _with_results(
        XComModel.dag_id == task.dag_id,
        XComModel.task_id == task.task_id,
        XComModel.map_index == task.map_index,
        XComModel.run_id != task.run_id,
        TaskInstance.state.in_(("success", "failed")),
        limit=limit,
        newest_first=True,
    )


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


def connection_of(conn_id: str) -> Any:
    """The connection with this id; None if there is none."""
    from airflow.models.connection import Connection

    from airflow_provider_testerarmy.airflow_compat import AirflowNotFoundException

    try:
        return Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        return None
