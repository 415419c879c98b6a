"""What tasks have stored of their runs: in the task state store (3.3+), before that in Airflow Variables.

Of the places that a worker can write on every version before 3.3, only a Variable outlives a try: the next try
deletes the XComs.
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

#: What a Variable holds beside the record.
_HELD: Final = frozenset({"dag_id", "run_id", "task_id", "map_index", "stored_at", "record"})
#: Seconds after which the states of a DAG run's tasks are read again. The API server may call the listener before
#: what a user did to a DAG run is committed.
COMMITTED_AFTER = 3.0
_ENDED_BADLY: Final = ("failed", "skipped")
#: What the names of Variables with records begin with (before 3.3).
_VARIABLES: Final = "testerarmy_runs_"


def task_state_store(context: Any) -> Any | None:
    """What survives from one try of a task to the next (3.3+), None where there is nothing of the kind."""
    return context.get("task_state_store")


def has_own_state_backend() -> bool:
    """Whether the deployment keeps what tasks store (3.3+) elsewhere than in Airflow's database."""
    return bool(conf.get("workers", "state_store_backend", fallback=""))


def read_record(ti: Any) -> Any | None:
    """In a worker before 3.3: the record in the task instance's Variable; None for none.

    :raises Exception: whatever keeps Airflow from answering, and for a Variable that somebody else has written.
    """
    name = _variable_name(ti)
    if DATABASE_EVERYWHERE:
        value = dict(_variables(name)).get(name)
    else:
        from airflow.sdk.execution_time.comms import GetVariable

        value = getattr(ask_supervisor(GetVariable(key=name)), "value", None)
    return None if value is None else _held(value)["record"]


def write_record(ti: Any, record: Mapping[str, Any]) -> None:
    """In a worker before 3.3: write the record into the task instance's Variable.

    :raises Exception: whatever keeps Airflow from storing it.
    """
    held = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": map_index_of(ti)}
    value = json.dumps({**held, "stored_at": time.time(), "record": dict(record)})
    description = f"Test runs of the task {ti.task_id} in {ti.dag_id}, {ti.run_id}; removed when it has ended"
    if DATABASE_EVERYWHERE:
        from airflow.models.variable import Variable

        Variable.set(_variable_name(ti), value, description=description)
    else:
        from airflow.sdk.execution_time.comms import PutVariable

        ask_supervisor(PutVariable(key=_variable_name(ti), value=value, description=description))


def delete_record(ti: Any) -> None:
    """In a worker before 3.3: delete the task instance's Variable, if there is one.

    :raises Exception: whatever keeps Airflow from it.
    """
    if DATABASE_EVERYWHERE:
        from airflow.models.variable import Variable

        Variable.delete(_variable_name(ti))
    else:
        from airflow.sdk.execution_time.comms import DeleteVariable

        ask_supervisor(DeleteVariable(key=_variable_name(ti)))


def prune_records(older_than: float) -> int:
    """In the scheduler before 3.3: delete Variables with records that were last written so many seconds ago.

    :return: how many. They are left by tasks that never concluded, as their DAG or DAG run was deleted.
    """
    from airflow.models.variable import Variable
    from sqlalchemy import delete

    if TASK_STATE_STORE.available:
        return 0
    old = [held for held in _held_records(_VARIABLES) if time.time() - held["stored_at"] > older_than]
    with own_session() as session:
        for held in old:
            session.execute(delete(Variable).where(Variable.key == held["name"]))
    return len(old)


def stored_task_state(ti: Any, key: str) -> Any:
    """What a task instance stored under a key, read in the API server or scheduler; None for nothing.

    A deployment that keeps task state (3.3+) in a backend of its own has only a reference here, which reads as
    None.
    """
    if not TASK_STATE_STORE.available:
        return next((held["record"] for held in _held_records(_variable_name(ti))), None)
    from airflow._shared.state import TaskScope
    from airflow.state.metastore import MetastoreBackend

    scope = TaskScope(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)
    return _own_record(MetastoreBackend().get(scope, key))


def stored_by_failed_tasks(dag_id: str, run_id: str, key: str) -> list[tuple[TaskName, Any]]:
    """What those tasks of a DAG run stored under a key that failed or were skipped; a query or two."""
    if not TASK_STATE_STORE.available:
        return _held_of_failed_tasks(dag_id, run_id)
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
            TaskInstance.state.in_(_ENDED_BADLY),
        )
    )
    with create_session() as session:
        found = [
            (TaskName(dag_id, run_id, task_id, map_index), _own_record(value))
            for task_id, map_index, value in session.execute(query)
        ]
    return [(task, record) for task, record in found if record is not None]


def _held_of_failed_tasks(dag_id: str, run_id: str) -> list[tuple[TaskName, Any]]:
    held = {(each["task_id"], each["map_index"]): each for each in _held_records(_run_prefix(dag_id, run_id))}
    failed = _failed_of(dag_id, run_id, held)
    if len(failed) < len(held):
        time.sleep(COMMITTED_AFTER)
        failed |= _failed_of(dag_id, run_id, held)
    return [
        (TaskName(dag_id, run_id, *task), each["record"]) for task, each in held.items() if task in failed
    ]


def _failed_of(dag_id: str, run_id: str, tasks: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    if not tasks:
        return set()
    query = select(TaskInstance.task_id, TaskInstance.map_index).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id.in_({task_id for task_id, _ in tasks}),
        TaskInstance.state.in_(_ENDED_BADLY),
    )
    with own_session() as session:
        return {(task_id, map_index) for task_id, map_index in session.execute(query)}


def _own_record(stored: str | None) -> Any:
    value = json.loads(stored) if stored else None
    return value if isinstance(value, dict) and "version" in value else None


def _variable_name(ti: Any) -> str:
    return _run_prefix(ti.dag_id, ti.run_id) + _digest(ti.task_id, map_index_of(ti))


def _run_prefix(dag_id: str, run_id: str) -> str:
    return f"{_VARIABLES}{_digest(dag_id, run_id)}_"


def _digest(*of: str | int) -> str:
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]


def _held_records(prefix: str) -> Iterator[dict[str, Any]]:
    """What the Variables hold whose names begin so; those that somebody else has written are left out."""
    for name, value in _variables(prefix):
        try:
            held = _held(value)
        except ValueError as error:
            log.warning("The Airflow Variable %s is ignored: %s", name, error)
        else:
            yield {**held, "name": name}


def _variables(prefix: str) -> list[tuple[str, str]]:
    """Names and values, from the database."""
    from airflow.models.variable import Variable
    from sqlalchemy import select

    query = select(Variable).where(Variable.key.startswith(prefix, autoescape=True))
    with own_session() as session:
        return [(each.key, each.val) for each in session.scalars(query)]


def _held(value: str) -> dict[str, Any]:
    """What :func:`write_record` has written.

    :raises ValueError: for anything else.
    """
    held = json.loads(value)
    if not isinstance(held, dict) or not held.keys() >= _HELD or not isinstance(held["record"], dict):
        raise ValueError("it holds no record of test runs")
    return held


def ask_supervisor(message: Any) -> Any:
    """Have the supervisor ask the API server; an answer that says "not found" is returned."""
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse

    answer = task_runner.SUPERVISOR_COMMS.send(message)
    if isinstance(answer, ErrorResponse) and answer.error is not ErrorType.VARIABLE_NOT_FOUND:
        raise AirflowRuntimeError(answer)
    return answer
