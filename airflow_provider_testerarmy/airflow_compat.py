"""Everything that differs between the versions of Airflow, and every use of an Airflow internal.

Internals in use, for want of a public way:

* ``RuntimeTaskInstance.get_task_states`` (3.0+), from a worker or a triggerer: the state of this very task.
* ``airflow.state`` and the models behind it (3.3+), from the listener in API server and scheduler: what tasks
  stored, without the tasks.
* ``ensure_secrets_backend_loaded`` (3.0+), from the listener: what reading a connection imports at its first time.
* ``__fail__`` as the next method of a deferred task, and ``timeout`` in its error: Airflow ended the deferral.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any, Final

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

__all__ = [
    "ASYNC_CONNECTION",
    "DURABLE_RETRIES",
    "FEATURES",
    "FORM_FROM_INFO",
    "GONE",
    "KILL_WHILE_DEFERRED",
    "LISTENER",
    "RETRY_ONLY_FAILED",
    "UI_TAB",
    "Feature",
    "aget_connection",
    "aown_state",
    "has_own_state_backend",
    "import_ahead",
    "is_deferral_timeout",
    "lost_for_good",
    "own_state",
    "stored_by_failed_tasks",
    "stored_task_state",
    "task_state_store",
]

log = logging.getLogger(__name__)

#: Major and minor version of the Airflow that is installed; a pre-release counts as its release.
_INSTALLED: Final = tuple(map(int, re.findall(r"\d+", airflow_version)[:2]))


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that only newer versions of Airflow make possible.

    :param title: what a user gets, as the documentation's table names it.
    :param since: the first version of Airflow, major and minor, that has what it stands on.
    :param stands_on: what that is.
    :param before: what there is instead on an older Airflow.
    """

    title: str
    since: tuple[int, int]
    stands_on: str
    before: str

    @property
    def available(self) -> bool:
        """Whether the installed Airflow has it."""
        return self.since <= _INSTALLED

    @property
    def version(self) -> str:
        """The first version that has it, as people write it."""
        return ".".join(map(str, self.since))


DURABLE_RETRIES: Final = Feature(
    "A retry after a lost worker reconnects to its runs",
    (3, 3),
    "the task state store",
    "the retry starts new runs; a worker that gets a SIGTERM cancels its own",
)
RETRY_ONLY_FAILED: Final = Feature(
    "`retry_failed_tests` runs only those tests again that did not pass",
    (3, 3),
    "the task state store",
    "the retry runs all of them again",
)
KILL_WHILE_DEFERRED: Final = Feature(
    "Killing or clearing a deferred task cancels its runs",
    (3, 3),
    "`on_kill` of triggers",
    "the runs end by themselves; a task that waits in the worker cancels them",
)
LISTENER: Final = Feature(
    "Runs are cancelled of a task that ended where neither worker nor trigger could",
    (3, 3),
    "listeners that can read the task state store",
    "the runs end by themselves",
)
FORM_FROM_INFO: Final = Feature(
    "Connection form without loading the hook",
    (3, 2),
    "`conn-fields` of the provider's description",
    "the same form, asked of the hook",
)
UI_TAB: Final = Feature(
    "Test-run tab in the UI",
    (3, 1),
    "`external_views` of plugins",
    "no tab; the dashboard button and the reports are there",
)
ASYNC_CONNECTION: Final = Feature(
    "The triggerer reads connections in its event loop",
    (3, 1),
    "`BaseHook.aget_connection`",
    "it reads them in a thread",
)

#: All of them, the newest first; `docs/versions.md` shows them, and what branches asks one of them.
FEATURES: Final = (
    DURABLE_RETRIES,
    RETRY_ONLY_FAILED,
    KILL_WHILE_DEFERRED,
    LISTENER,
    FORM_FROM_INFO,
    UI_TAB,
    ASYNC_CONNECTION,
)

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
    return TaskName(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else int(ti.map_index))


def beginning_of(task: TaskName) -> Any:
    """When a task's DAG run can have begun at the earliest; a clear does not change it. None where unknown."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == task.dag_id, DagRun.run_id == task.run_id))
        known = [getattr(run, name, None) for name in ("run_after", "start_date")]
    return min((moment for moment in known if moment is not None), default=None)


def use_team(hook: Any, task: TaskName) -> None:
    """Let a hook read its connection as a task of this DAG does (``[core] multi_team``, 3.3+)."""


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


def task_state_store(context: Any) -> Any | None:
    """What survives from one try of a task to the next (3.3+), None where there is nothing of the kind."""
    return context.get("task_state_store")


def has_own_state_backend() -> bool:
    """Whether the deployment keeps what tasks store (3.3+) elsewhere than in Airflow's database."""
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.get("workers", "state_store_backend", fallback=""))


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


def stored_by_failed_tasks(dag_id: str, run_id: str, key: str) -> list[tuple[TaskName, Any]]:
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
        select(Stored.task_id, Stored.map_index, Stored.value)
        .join(TaskInstance, same_task)
        .where(
            Stored.dag_id == dag_id,
            Stored.run_id == run_id,
            Stored.key == key,
            TaskInstance.state.in_(("failed", "skipped")),
        )
    )
    with create_session() as session:
        found = [
            (TaskName(dag_id, run_id, task_id, map_index), _own_record(value))
            for task_id, map_index, value in session.execute(query)
        ]
    return [(task, record) for task, record in found if record is not None]


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


def is_trigger_failure(next_method: str) -> bool:
    """Whether a task is resumed because its deferral ended in another way than by the trigger's event."""
    return next_method == "__fail__"


def trigger_failure(next_kwargs: dict[str, Any] | None) -> str:
    """What Airflow says about a deferral that ended without an event, on one line."""
    kwargs = next_kwargs or {}
    lines = [str(line) for line in kwargs.get("traceback") or ()]
    last = next((line.strip() for line in reversed("".join(lines).splitlines()) if line.strip()), "")
    return (last or str(kwargs.get("error") or "Airflow does not say why"))[:300]


def is_deferral_timeout(next_method: str, next_kwargs: dict[str, Any] | None) -> bool:
    """Whether a task is resumed only because ``defer(timeout=...)`` is over; the exception differs by version."""
    return next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error", "")).lower()


def has_variables() -> bool:
    """Whether this process can read and write Airflow Variables: a task's process can."""
    if _INSTALLED < (3, 0):
        return True
    return _supervisor() is not None


def get_variable(key: str) -> str | None:
    """A Variable as Airflow's database has it, None for none; secrets backends are not asked."""
    if _INSTALLED < (3, 0):
        from airflow.models import Variable

        found: str | None = Variable.get(key, default_var=None)
        return found
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable

    try:
        found = _supervisor().send(GetVariable(key=key))
    except Exception as error:
        if _is_missing(error):
            return None
        raise
    if isinstance(found, ErrorResponse):
        if _is_missing(found):
            return None
        raise RuntimeError(str(found.error))
    return None if found is None else getattr(found, "value", None)


def stored_variable(key: str) -> str | None:
    """A Variable as the database has it, None for none; in API server and scheduler."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalar(select(Variable).where(Variable.key == key))
        return None if found is None else str(found.val)


def rendered_fields(ti: Any) -> dict[str, Any]:
    """The fields of a task instance as its newest try rendered them; in API server and scheduler."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    with create_session() as session:
        return RenderedTaskInstanceFields.get_templated_fields(ti, session=session) or {}


def set_variable(key: str, value: str) -> None:
    """Write a Variable."""
    if _INSTALLED < (3, 0):
        from airflow.models import Variable

        Variable.set(key, value)
        return
    from airflow.sdk.execution_time.comms import PutVariable

    _supervisor().send(
        PutVariable(key=key, value=value, description="A test run and the task that started it.")
    )


def delete_variable(key: str) -> None:
    """Remove a Variable."""
    if _INSTALLED < (3, 0):
        from airflow.models import Variable

        Variable.delete(key)
        return
    from airflow.sdk.execution_time.comms import DeleteVariable

    _supervisor().send(DeleteVariable(key=key))


def _supervisor() -> Any:
    """The channel to the process that supervises this task, None where there is none."""
    try:
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
    except ImportError:
        return None
    return SUPERVISOR_COMMS


def _is_missing(error: Any) -> bool:
    said = getattr(error, "error", error)
    return "VARIABLE_NOT_FOUND" in str(getattr(said, "error", said)).upper()


def retry_follows(ti: Any) -> bool:
    """Whether Airflow will try the task again when this try fails, as far as it has told this process."""
    told = getattr(getattr(ti, "_ti_context_from_server", None), "should_retry", None)
    if told is not None:
        return bool(told)
    return int(ti.try_number or 0) <= int(ti.max_tries or 0)
