"""Access to connections and task instances, for workers, triggerers and listeners."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
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
    """The identity of a task instance, which is the same in all of its tries."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


def named(ti: Any) -> TaskName:
    """The identity of a task instance."""
    return TaskName(ti.dag_id, ti.run_id, ti.task_id, map_index_of(ti))


def beginning_of(task: TaskName) -> Any:
    """In the API server or scheduler: the earliest possible start of a task's DAG run; None if unknown.

    A clear does not change it.
    """
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    query = select(DagRun).where(DagRun.dag_id == task.dag_id, DagRun.run_id == task.run_id)
    with own_session() as session:
        return earliest_of(session.scalar(query))


def earliest_of(dag_run: Any) -> Any:
    """The earliest possible start of a DAG run; None if unknown. A clear does not change it.

    ``start_date`` alone does not suffice: clearing a DAG run that has ended changes it. Airflow 2 has no
    ``run_after``, so ``execution_date`` takes its place there.
    """
    planned = getattr(dag_run, "run_after", None) or getattr(dag_run, "execution_date", None)
    known = [planned, getattr(dag_run, "start_date", None)]
    return min((moment for moment in known if moment is not None), default=None)


def due_at(dag_run: Any) -> float | None:
    """For when a DAG run was due, in seconds since the epoch; None if unknown. A backfill has dates of the past.

    A run of a schedule is due at the end of its data interval. A manual one is due at its logical date, which a
    person may choose, and ``run_after`` (Airflow 3) does not follow it.
    """
    dates = [getattr(dag_run, name, None) for name in ("logical_date", "data_interval_end")]
    known = [moment for moment in dates if moment is not None] or [getattr(dag_run, "run_after", None)]
    return None if known == [None] else float(max(known).timestamp())


def rendered_fields(task: TaskName) -> dict[str, Any]:
    """In the API server or scheduler: the template fields of a task instance as its latest try rendered them."""
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
    """In a worker: whether Airflow will retry the task if this try fails."""
    # Airflow 3 sends its decision to the worker. Airflow 2 does not, so compare the numbers as its scheduler does.
    should_retry = getattr(getattr(ti, "_ti_context_from_server", None), "should_retry", None)
    if should_retry is not None:
        return bool(should_retry)
    return int(ti.try_number or 0) <= int(ti.max_tries or 0)


async def aget_connection(conn_id: str) -> Any:
    """Read a connection from an event loop: natively on Airflow 3.1 and later, in a thread before.

    ``BaseHook.get_connection`` must not be called directly in a trigger. It fails with "conn_id isn't defined" on
    some versions (https://github.com/apache/airflow/issues/57145), and blocks the event loop on others.
    """
    if ASYNC_CONNECTION.available:
        try:
            return await BaseHook.aget_connection(conn_id)
        except AirflowNotFoundException:
            # In `airflow dags test`, a trigger can read connections of the metadata database only synchronously
            # (measured on Airflow 3.3.2).
            log.debug("Could not read the connection %r in the event loop; retrying in a thread.", conn_id)
    from asgiref.sync import sync_to_async

    return await sync_to_async(BaseHook.get_connection)(conn_id)


def own_state(ti: Any) -> str | None:
    """In a worker or triggerer: the current state of this task instance in Airflow's database.

    None means that the task will start again, because it was cleared or the scheduler takes its worker for lost.

    :return: the state, or :data:`GONE` if the task instance was deleted.
    :raises Exception: if the state cannot be read.
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
    # No row and a null state differ: a cleared task instance has a row without a state.
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
    # Airflow appends the map index to the task id of a mapped task instance.
    return found.get(f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id, GONE)


async def atask_states(
    dag_id: str, run_id: str, task_ids: Sequence[str] | None = None
) -> dict[str, str | None]:
    """In a triggerer (3.1+): the states of the tasks of a DAG run. A mapped task has its map index in its name."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from asgiref.sync import sync_to_async

    wanted = None if task_ids is None else list(task_ids)
    states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
        dag_id=dag_id, run_ids=[run_id], task_ids=wanted
    )
    return {str(name): state for name, state in states.get(run_id, {}).items()}


async def aown_state(ti: Any) -> str | None:
    """Like :func:`own_state`, for an event loop."""
    from asgiref.sync import sync_to_async

    # In a thread: the call waits for the supervisor or the database, and would block all other triggers.
    return await sync_to_async(own_state)(ti)


def get_connection_for(dag_id: str, conn_id: str) -> Any:
    """In the API server or scheduler: a connection as a task of this DAG reads it, i.e. its team's first (3.2+).

    Without the team, Airflow does not find a connection that belongs to one (``[core] multi_team``).

    :raises AirflowNotFoundException: if there is no such connection.
    """
    from airflow.models.connection import Connection

    if INSTALLED < (3, 2) or not conf.getboolean("core", "multi_team", fallback=False):
        return Connection.get_connection_from_secrets(conn_id)
    from airflow.models.dag import DagModel

    return Connection.get_connection_from_secrets(conn_id, team_name=DagModel.get_team_name(dag_id))


def import_ahead() -> None:
    """Import in advance what :func:`stored_by_failed_tasks` and reading a connection need."""
    import airflow.models.connection
    import airflow.models.dagrun
    import airflow.models.renderedtifields
    import airflow.models.taskinstance
    import airflow.models.variable
    from airflow.models import import_all_models

    # The package loads its modules on first use.
    for module in ("records", "variables"):
        import_module(f"{__package__}.{module}")
    import_module(f"{__package__}.metrics").stats()
    # The first query would configure all of Airflow's models, and import each one that a relationship refers to.
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
    """In a listener: whether the scheduler failed the task because its worker was lost."""
    # On Airflow 3, a worker passes its runtime task instance to listeners, and the scheduler passes the ORM model.
    in_database = type(ti).__module__ == "airflow.models.taskinstance"
    return in_database and str(getattr(ti.state, "value", ti.state)) == "failed"


def is_deferral_timeout(next_method: str, next_kwargs: dict[str, Any] | None) -> bool:
    """Whether a task is resumed only because ``defer(timeout=...)`` has expired."""
    # The error's text differs by version, but always contains "timeout".
    return next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error", "")).lower()


def is_trigger_failure(next_method: str) -> bool:
    """Whether a task is resumed because its deferral ended without an event of the trigger."""
    # airflow.models.trigger.TRIGGER_FAIL_REPR
    return next_method == "__fail__"


def trigger_failure(next_kwargs: dict[str, Any] | None) -> str:
    """Airflow's reason for a deferral that ended without an event, on one line."""
    kwargs = next_kwargs or {}
    # Airflow 3 stores the traceback of the trigger as a list of lines; the last one names the error.
    lines = "".join(map(str, kwargs.get("traceback") or ())).splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return (last or str(kwargs.get("error") or "Airflow gives no reason"))[:300]


def dag_folders(ti: Any) -> list[str]:
    """In a worker: the folders that are on the path only of processes that run this DAG (3.0+).

    On 2.11, the DAG folder is on the path of every process.
    """
    # Airflow 3 adds the path of the task's DAG bundle to `sys.path` of its worker, but not of a triggerer.
    bundle = getattr(ti, "bundle_instance", None)
    path = getattr(bundle, "path", None)
    return [] if path is None else [str(path)]


def map_index_of(ti: Any) -> int:
    """The map index as stored in the database; -1 for an unmapped task."""
    return -1 if ti.map_index is None else int(ti.map_index)


@contextmanager
def own_session() -> Iterator[Any]:
    """A separate database session, which is committed at the end.

    Airflow's ``create_session`` returns the thread's shared session and closes it at the end. Airflow calls
    listeners in the middle of a transaction, so this would close the session of the caller.
    """
    from airflow import settings
    from sqlalchemy.orm import Session

    with Session(settings.engine) as session, session.begin():
        yield session
