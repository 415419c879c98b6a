"""Stores and reads the records of tasks: in the task state store (3.3+), or in Airflow Variables before 3.3.

Before 3.3, Variables are the only store that a worker can write on every version and that survives a try. Airflow
deletes a task's XComs when its next try starts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from airflow.providers.common.compat.sdk import conf

from airflow_provider_testerarmy.airflow_compat.features import DATABASE_EVERYWHERE, TASK_STATE_STORE
from airflow_provider_testerarmy.airflow_compat.tasks import TaskName, map_index_of, own_session

log = logging.getLogger(__name__)

#: The fields of a Variable with a record.
_HELD: Final = frozenset({"dag_id", "run_id", "task_id", "map_index", "stored_at", "record"})
#: Seconds before the states of a DAG run's tasks are read a second time. The API server may call the listener
#: before it has committed the user's change.
COMMITTED_AFTER = 3.0
_ENDED_BADLY: Final = ("failed", "skipped")
#: A task that succeeds concludes its record. A user who marks a task can leave an open one, or one with this field:
#: its worker could not stop the runs.
_OPEN: Final = "open"
_UNSTOPPED: Final = "unstopped"
#: The prefix of the names of Variables with records (before 3.3).
_VARIABLES: Final = "testerarmy_runs_"


def task_state_store(context: Any) -> Any | None:
    """The task state store, which survives from one try to the next (3.3+); None on older versions."""
    # Airflow clears it neither for a retry, nor after a success, nor when a user clears the task (measured on
    # 3.3.2). So a record needs a generation to tell whether it is still valid.
    return context.get("task_state_store")


def has_own_state_backend() -> bool:
    """Whether the deployment stores task state (3.3+) outside Airflow's database."""
    return bool(conf.get("workers", "state_store_backend", fallback=""))


def read_record(ti: Any) -> Any | None:
    """Before 3.3, in a worker: the record in the task instance's Variable; None if there is none.

    :raises Exception: if Airflow cannot read it, or if the Variable has another format.
    """
    name = _variable_name(ti)
    if DATABASE_EVERYWHERE:
        value = dict(_variables(name)).get(name)
    else:
        # Not the public Variable: its get() reads secrets backends first, and reports every failure as a KeyError.
        from airflow.sdk.execution_time.comms import GetVariable

        value = getattr(ask_supervisor(GetVariable(key=name)), "value", None)
    return None if value is None else _held(value)["record"]


def write_record(ti: Any, record: Mapping[str, Any]) -> None:
    """Before 3.3, in a worker: write the record to the task instance's Variable.

    :raises Exception: if Airflow cannot store it.
    """
    held = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": map_index_of(ti)}
    value = json.dumps({**held, "stored_at": time.time(), "record": dict(record)})
    description = (
        f"Test runs of task {ti.task_id} in {ti.dag_id}, {ti.run_id}; deleted when the task has ended"
    )
    if DATABASE_EVERYWHERE:
        from airflow.models.variable import Variable

        Variable.set(_variable_name(ti), value, description=description)
    else:
        # Not the public Variable: its set() only logs an error (https://github.com/apache/airflow/issues/68537),
        # and a task without a stored record could submit a second time.
        from airflow.sdk.execution_time.comms import PutVariable

        ask_supervisor(PutVariable(key=_variable_name(ti), value=value, description=description))


def delete_record(ti: Any) -> None:
    """Before 3.3, in a worker: delete the task instance's Variable, if it exists.

    :raises Exception: if Airflow cannot delete it.
    """
    if DATABASE_EVERYWHERE:
        from airflow.models.variable import Variable

        Variable.delete(_variable_name(ti))
    else:
        from airflow.sdk.execution_time.comms import DeleteVariable

        ask_supervisor(DeleteVariable(key=_variable_name(ti)))


def prune_records(older_than: float) -> int:
    """Before 3.3, in the scheduler: delete Variables with old records.

    Tasks that never conclude leave them, e.g. because their DAG or DAG run was deleted.

    :param older_than: the minimum number of seconds since the record was last written.
    :return: the number of deleted Variables.
    """
    from airflow.models.variable import Variable
    from sqlalchemy import delete

    # `airflow db clean` does not delete Variables.
    if TASK_STATE_STORE.available:
        return 0
    old = [held for held in _held_records(_VARIABLES) if time.time() - held["stored_at"] > older_than]
    with own_session() as session:
        for held in old:
            session.execute(delete(Variable).where(Variable.key == held["name"]))
    return len(old)


def stored_task_state(ti: Any, key: str) -> Any:
    """In the API server or scheduler: what a task instance stored under a key; None if there is nothing.

    If the deployment stores task state (3.3+) in a custom backend, Airflow's database has only a reference. It
    counts as None.
    """
    if not TASK_STATE_STORE.available:
        return next((held["record"] for held in _held_records(_variable_name(ti))), None)
    from airflow._shared.state import TaskScope
    from airflow.state.metastore import MetastoreBackend

    scope = TaskScope(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)
    return _own_record(MetastoreBackend().get(scope, key))


def stored_by_failed_tasks(dag_id: str, run_id: str, key: str) -> list[tuple[TaskName, Any]]:
    """What tasks of a DAG run stored under a key, if they failed, were skipped, or succeeded with runs to stop.

    It takes one or two queries.
    """
    if not TASK_STATE_STORE.available:
        return _held_of_failed_tasks(dag_id, run_id)
    from airflow.models.task_state_store import TaskStateStoreModel as Stored
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import and_, or_, select

    same_task = and_(
        TaskInstance.dag_id == Stored.dag_id,
        TaskInstance.run_id == Stored.run_id,
        TaskInstance.task_id == Stored.task_id,
        TaskInstance.map_index == Stored.map_index,
    )
    query = (
        select(Stored.task_id, Stored.map_index, TaskInstance.state, Stored.value)
        .join(TaskInstance, same_task)
        .where(
            Stored.dag_id == dag_id,
            Stored.run_id == run_id,
            Stored.key == key,
            or_(
                TaskInstance.state.in_(_ENDED_BADLY),
                # A DAG run may have a thousand successful tasks, each with a long record that is not needed.
                and_(
                    TaskInstance.state == "success",
                    or_(*(Stored.value.contains(f'"{word}"') for word in (_OPEN, _UNSTOPPED))),
                ),
            ),
        )
    )
    with create_session() as session:
        found = [
            (TaskName(dag_id, run_id, task_id, map_index), state, _own_record(value))
            for task_id, map_index, state, value in session.execute(query)
        ]
    return [(task, record) for task, state, record in found if record and is_left(state, record)]


def is_left(state: str | None, record: Mapping[str, Any]) -> bool:
    """Whether a task that ended in a state may have left runs that nobody has stopped."""
    return state in _ENDED_BADLY or record.get("stage") == _OPEN or record.get(_UNSTOPPED) is True


def _held_of_failed_tasks(dag_id: str, run_id: str) -> list[tuple[TaskName, Any]]:
    held = {(each["task_id"], each["map_index"]): each for each in _held_records(_run_prefix(dag_id, run_id))}
    ended = _ended_of(dag_id, run_id, held)
    # Not all tasks with a record have ended: their states may not be committed yet, so read them again.
    if len(ended) < len(held):
        time.sleep(COMMITTED_AFTER)
        ended |= _ended_of(dag_id, run_id, held)
    return [
        (TaskName(dag_id, run_id, *task), each["record"])
        for task, each in held.items()
        if task in ended and is_left(ended[task], each["record"])
    ]


def _ended_of(dag_id: str, run_id: str, tasks: Collection[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The final states of those tasks that have one."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    if not tasks:
        return {}
    query = select(TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id.in_({task_id for task_id, _ in tasks}),
        TaskInstance.state.in_((*_ENDED_BADLY, "success")),
    )
    with own_session() as session:
        return {(task_id, map_index): state for task_id, map_index, state in session.execute(query)}


def _own_record(stored: str | None) -> Any:
    value = json.loads(stored) if stored else None
    # A custom backend leaves only a reference here, which has no version.
    return value if isinstance(value, dict) and "version" in value else None


def _variable_name(ti: Any) -> str:
    return _run_prefix(ti.dag_id, ti.run_id) + _digest(ti.task_id, map_index_of(ti))


def _run_prefix(dag_id: str, run_id: str) -> str:
    return f"{_VARIABLES}{_digest(dag_id, run_id)}_"


def _digest(*of: str | int) -> str:
    # The key of a Variable has at most 250 characters, and a DAG id alone may have as many.
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]


def _held_records(prefix: str) -> Iterator[dict[str, Any]]:
    """The contents of the Variables with a prefix; those in another format are logged and left out."""
    for name, value in _variables(prefix):
        try:
            held = _held(value)
        except ValueError as error:
            log.warning("Ignoring the Airflow Variable %s: %s.", name, error)
        else:
            yield {**held, "name": name}


def _variables(prefix: str) -> list[tuple[str, str]]:
    """The names and values of the Variables with a prefix, from the database."""
    from airflow.models.variable import Variable
    from sqlalchemy import select

    # Escaped: the underscores of the prefix are wildcards in LIKE.
    query = select(Variable).where(Variable.key.startswith(prefix, autoescape=True))
    with own_session() as session:
        return [(each.key, each.val) for each in session.scalars(query)]


def _held(value: str) -> dict[str, Any]:
    """Parse the value that :func:`write_record` has written.

    :raises ValueError: for any other value.
    """
    held = json.loads(value)
    if not isinstance(held, dict) or not held.keys() >= _HELD or not isinstance(held["record"], dict):
        raise ValueError("it does not contain a record of test runs")
    return held


def ask_supervisor(message: Any) -> Any:
    """Send a message to the API server through the supervisor, and return its response.

    :raises AirflowRuntimeError: for an error response, unless it says that the Variable does not exist.
    """
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse

    answer = task_runner.SUPERVISOR_COMMS.send(message)
    if isinstance(answer, ErrorResponse) and answer.error is not ErrorType.VARIABLE_NOT_FOUND:
        raise AirflowRuntimeError(answer)
    return answer
