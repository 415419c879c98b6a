"""Everything that differs between the versions of Airflow, and every use of an Airflow internal.

Internals in use, for want of a public way:

* ``RuntimeTaskInstance.get_task_states`` (3.0+), from a worker or a triggerer: the state of this very task.
* ``airflow.state`` and the models behind it (3.3+), from the listener in API server and scheduler: what tasks
  stored, without the tasks.
* ``ensure_secrets_backend_loaded`` (3.0+), from the listener: what reading a connection imports at its first time.
* ``__fail__`` as the next method of a deferred task, and ``timeout`` in its error: Airflow ended the deferral.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseHook
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS, AIRFLOW_V_3_3_PLUS

__all__ = [
    "GONE",
    "HAS_EXTERNAL_VIEWS",
    "HAS_TASK_STATE_STORE",
    "aget_connection",
    "aown_state",
    "import_ahead",
    "is_deferral_timeout",
    "lost_for_good",
    "own_state",
    "stored_by_failed_tasks",
    "stored_task_state",
    "task_state_store",
]

#: Whether a task can store what outlives its try, and triggers are told of a kill.
HAS_TASK_STATE_STORE = AIRFLOW_V_3_3_PLUS

#: Whether a plugin can show pages in Airflow's UI.
HAS_EXTERNAL_VIEWS = AIRFLOW_V_3_1_PLUS

#: The state of a task instance that was deleted.
GONE = "gone"


async def aget_connection(conn_id: str) -> Any:
    """Read a connection from an event loop (natively from Airflow 3.0 on, in a thread before)."""
    native = getattr(BaseHook, "aget_connection", None)
    if native is not None:
        return await native(conn_id)
    from asgiref.sync import sync_to_async

    return await sync_to_async(BaseHook.get_connection)(conn_id)


def task_state_store(context: Any) -> Any | None:
    """What survives from one try of a task to the next (3.3+), None where there is nothing of the kind."""
    return context.get("task_state_store")


def own_state(ti: Any) -> str | None:
    """The state that Airflow's database has for this task instance right now.

    None is a state too: the scheduler takes the worker for lost and will start the task anew. :data:`GONE` is
    that of a task instance that is no longer there. Airflow 3.0 and later; any failure on the way to the API
    server is raised as it comes.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    mapped = ti.map_index is not None and ti.map_index >= 0
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id,
        task_ids=[ti.task_id],
        run_ids=[ti.run_id],
        map_index=ti.map_index if mapped else None,
    )
    found = states.get(ti.run_id, {})
    state = found.get(f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id, GONE)
    return None if state is None else str(getattr(state, "value", state))


async def aown_state(ti: Any) -> str | None:
    """As :func:`own_state`, from an event loop."""
    from asgiref.sync import sync_to_async

    return await sync_to_async(own_state)(ti)


def stored_task_state(ti: Any, key: str) -> Any:
    """What a task instance stored under a key (3.3+), read in the API server or scheduler; None for nothing.

    A deployment that keeps task state in a backend of its own has only a reference here, which reads as None.
    """
    from airflow._shared.state import TaskScope
    from airflow.state.metastore import MetastoreBackend

    scope = TaskScope(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)
    return _own_record(MetastoreBackend().get(scope, key))


def stored_by_failed_tasks(dag_id: str, run_id: str, key: str) -> list[Any]:
    """What those tasks of a DAG run stored under a key that failed or were skipped (3.3+); one query."""
    from airflow.models.task_state_store import TaskStateStoreModel as Stored
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import and_, select

    same_task = and_(
        TaskInstance.dag_id == Stored.dag_id,
        TaskInstance.run_id == Stored.run_id,
        TaskInstance.task_id == Stored.task_id,
        TaskInstance.map_index == Stored.map_index,
    )
    query = (
        select(Stored.value)
        .join(TaskInstance, same_task)
        .where(
            Stored.dag_id == dag_id,
            Stored.run_id == run_id,
            Stored.key == key,
            TaskInstance.state.in_(("failed", "skipped")),
        )
    )
    with create_session() as session:
        found = [_own_record(value) for value in session.scalars(query)]
    return [record for record in found if record is not None]


def import_ahead() -> None:
    """Import what :func:`stored_by_failed_tasks` and reading a connection will need (3.3+)."""
    import airflow.models.task_state_store
    import airflow.sdk.definitions.connection
    import airflow.sdk.execution_time.cache  # noqa: F401
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    ensure_secrets_backend_loaded()


def _own_record(stored: str | None) -> Any:
    import json

    value = json.loads(stored) if stored else None
    return value if isinstance(value, dict) and "version" in value else None


def lost_for_good(ti: Any) -> bool:
    """Whether a listener in the scheduler is told of a task that failed without a worker to say so."""
    in_database = type(ti).__module__ == "airflow.models.taskinstance"
    return in_database and str(getattr(ti.state, "value", ti.state)) == "failed"


def is_deferral_timeout(next_method: str, next_kwargs: dict[str, Any] | None) -> bool:
    """Whether a task is resumed only because ``defer(timeout=...)`` is over; the exception differs by version."""
    return next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error", "")).lower()
