"""Connections and task instances, as workers, triggerers and listeners reach them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, conf

from airflow_provider_testerarmy.airflow_compat.features import (
    ASYNC_CONNECTION,
    DATABASE_EVERYWHERE,
    INSTALLED,
    TASK_STATE_STORE,
)

log = logging.getLogger(__name__)

#: The state of a task instance that was deleted.
GONE = "gone"


@dataclass(frozen=True, slots=True)
class TaskName:
    """What names a task instance through all of its tries."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


def named(ti: Any) -> TaskName:
    """The name of a task instance."""
    return TaskName(ti.dag_id, ti.run_id, ti.task_id, map_index_of(ti))


def beginning_of(task: TaskName) -> Any:
    """In API server and scheduler: when a task's DAG run can have begun at the earliest; None where unknown.

    A clear does not change it.
    """
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    query = select(DagRun).where(DagRun.dag_id == task.dag_id, DagRun.run_id == task.run_id)
    with own_session() as session:
        return earliest_of(session.scalar(query))


def earliest_of(dag_run: Any) -> Any:
    """When a DAG run can have begun at the earliest; a clear does not change it. None where unknown.

    ``start_date`` alone would: a clear of a DAG run that has ended sets it anew. Before Airflow 3.0 there is no
    ``run_after``; there the beginning of the data interval has to do.
    """
    planned = getattr(dag_run, "run_after", None) or getattr(dag_run, "execution_date", None)
    known = [planned, getattr(dag_run, "start_date", None)]
    return min((moment for moment in known if moment is not None), default=None)


def rendered_fields(task: TaskName) -> dict[str, Any]:
    """In API server and scheduler: the fields of a task instance as its newest try rendered them."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered
    from sqlalchemy import select

    query = select(Rendered.rendered_fields).where(
        Rendered.dag_id == task.dag_id,
        Rendered.run_id == task.run_id,
        Rendered.task_id == task.task_id,
        Rendered.map_index == task.map_index,
    )
    with own_session() as session:
        found: Any = session.scalar(query)
    return found if isinstance(found, dict) else {}


def retry_follows(ti: Any) -> bool:
    """In a worker: whether Airflow tries the task again when this try fails, as far as it has told."""
    told = getattr(getattr(ti, "_ti_context_from_server", None), "should_retry", None)
    if told is not None:
        return bool(told)
    return int(ti.try_number or 0) <= int(ti.max_tries or 0)


async def aget_connection(conn_id: str) -> Any:
    """Read a connection from an event loop (natively from Airflow 3.1 on, in a thread before)."""
    if ASYNC_CONNECTION.available:
        try:
            return await BaseHook.aget_connection(conn_id)
        except AirflowNotFoundException:
            # `airflow dags test` answers a trigger only when it asks synchronously, for connections that are in
            # the metadata database (seen with Airflow 3.3.2).
            log.debug("The connection %r was not found from the event loop; asking in a thread.", conn_id)
    from asgiref.sync import sync_to_async

    return await sync_to_async(BaseHook.get_connection)(conn_id)


def own_state(ti: Any) -> str | None:
    """The state that Airflow's database has for this task instance right now, in a worker or a triggerer.

    None is a state too: the task was cleared, or the scheduler takes its worker for lost; it starts anew.
    :data:`GONE` is that of a task instance that was deleted. Any failure on the way is raised as it comes.
    """
    state = _state_in_database(ti) if DATABASE_EVERYWHERE else _state_by_supervisor(ti)
    return None if state is None else str(getattr(state, "value", state))


def _state_in_database(ti: Any) -> Any:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    query = select(TaskInstance.state).where(
        TaskInstance.dag_id == ti.dag_id,
        TaskInstance.run_id == ti.run_id,
        TaskInstance.task_id == ti.task_id,
        TaskInstance.map_index == map_index_of(ti),
    )
    with own_session() as session:
        row = session.execute(query).first()
    return GONE if row is None else row[0]


def _state_by_supervisor(ti: Any) -> Any:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    mapped = map_index_of(ti) >= 0
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id,
        task_ids=[ti.task_id],
        run_ids=[ti.run_id],
        map_index=ti.map_index if mapped else None,
    )
    found = states.get(ti.run_id, {})
    return found.get(f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id, GONE)


async def aown_state(ti: Any) -> str | None:
    """As :func:`own_state`, from an event loop."""
    from asgiref.sync import sync_to_async

    return await sync_to_async(own_state)(ti)


def get_connection_for(dag_id: str, conn_id: str) -> Any:
    """In the API server or scheduler: a connection as a task of this DAG sees it, with its team's (3.2+) first.

    :raises AirflowNotFoundException: when there is none.
    """
    from airflow.models.connection import Connection

    if INSTALLED < (3, 2) or not conf.getboolean("core", "multi_team", fallback=False):
        return Connection.get_connection_from_secrets(conn_id)
    from airflow.models.dag import DagModel

    return Connection.get_connection_from_secrets(conn_id, team_name=DagModel.get_team_name(dag_id))


def import_ahead() -> None:
    """Import what :func:`stored_by_failed_tasks` and reading a connection will need."""
    import airflow.models.connection
    import airflow.models.dagrun
    import airflow.models.renderedtifields
    import airflow.models.taskinstance
    import airflow.models.variable
    from airflow.models import import_all_models

    # The first query configures all of Airflow's models, and imports every one that a relationship names.
    import_all_models()
    if TASK_STATE_STORE.available:
        import airflow.models.task_state_store
    if INSTALLED >= (3, 1):
        import airflow.sdk.execution_time.cache
    if not DATABASE_EVERYWHERE:
        import airflow.sdk.definitions.connection  # noqa: F401
        from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

        ensure_secrets_backend_loaded()


def lost_for_good(ti: Any) -> bool:
    """Whether a listener in the scheduler is told of a task that failed without a worker to say so."""
    in_database = type(ti).__module__ == "airflow.models.taskinstance"
    return in_database and str(getattr(ti.state, "value", ti.state)) == "failed"


def is_deferral_timeout(next_method: str, next_kwargs: dict[str, Any] | None) -> bool:
    """Whether a task is resumed only because ``defer(timeout=...)`` is over; the exception differs by version."""
    return next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error", "")).lower()


def is_trigger_failure(next_method: str) -> bool:
    """Whether a task is resumed because its deferral ended in another way than by the trigger's event."""
    return next_method == "__fail__"


def trigger_failure(next_kwargs: dict[str, Any] | None) -> str:
    """What Airflow says about a deferral that ended without an event, on one line."""
    kwargs = next_kwargs or {}
    lines = "".join(map(str, kwargs.get("traceback") or ())).splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return (last or str(kwargs.get("error") or "Airflow does not say why"))[:300]


def dag_folders(ti: Any) -> list[str]:
    """In a worker: the folders that only processes that run this DAG have on their path (3.0+).

    On 2.11 the DAG folder is on the path of every process.
    """
    bundle = getattr(ti, "bundle_instance", None)
    path = getattr(bundle, "path", None)
    return [] if path is None else [str(path)]


def map_index_of(ti: Any) -> int:
    """The map index as the database has it, -1 for a task that is not mapped."""
    return -1 if ti.map_index is None else int(ti.map_index)


@contextmanager
def own_session() -> Iterator[Any]:
    """A database session of its own, committed at the end.

    Airflow's ``create_session`` hands out the thread's one session and closes it at the end. A listener is called
    in mid-transaction, and would close the session of whoever called it.
    """
    from airflow import settings
    from sqlalchemy.orm import Session

    with Session(settings.engine) as session, session.begin():
        yield session
