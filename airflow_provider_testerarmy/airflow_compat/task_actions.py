"""In the API server (3.1+): Airflow's own clear and mark-as-failed, for one task instance that has not changed.

The functions of Airflow's public REST API do the work, so its rules apply. A request of the browser to that API
could not say which state of the task the person saw, so two people could clear a task one after the other. Here the
check, the change and the line of the audit log are one transaction.
"""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from airflow_provider_testerarmy.airflow_compat.tasks import TaskName

# SQLite has no row locks. One process at least does one thing at a time.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Seen:
    """The task instance as a person sees it.

    :param state: Airflow's state; None for a task that has just been cleared.
    """

    try_number: int
    state: str | None


class TaskChanged(Exception):
    """The task instance is not what the person sees.

    :param now: the task instance as it is; None if it is gone.
    """

    def __init__(self, now: Seen | None) -> None:
        super().__init__("The task instance has changed.")
        self.now = now


@dataclass(frozen=True, slots=True)
class Audit:
    """A line of Airflow's audit log.

    :param user: the name of the signed-in user.
    """

    event: str
    user: str
    extra: Mapping[str, Any]


def tasks_to_clear(task: TaskName, user: Any) -> list[TaskName]:
    """The task instances that :func:`clear_task` clears: this one and those downstream of it.

    :raises HTTPException: if Airflow refuses.
    """
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        found = _clear(task, user, session, dry_run=True)
    return [TaskName(task.dag_id, task.run_id, ti.task_id, ti.map_index) for ti in found]


def clear_task(
    task: TaskName,
    seen: Seen,
    user: Any,
    audit: Audit,
    store: Callable[[int], tuple[str, Mapping[str, Any]] | None] = lambda _number: None,
) -> None:
    """Clear a task instance and those downstream of it, as Airflow's UI does.

    :param store: returns a key and a value for the task state store (3.3+), from the DAG run's new clear number.
    :raises TaskChanged: if the task instance is not what the person sees.
    :raises HTTPException: if Airflow refuses.
    """
    with _unchanged(task, seen, audit) as (session, clear_number):
        _clear(task, user, session, dry_run=False)
        if (entry := store(clear_number + 1)) is not None:
            _store_state(task, *entry, session)


def fail_task(task: TaskName, seen: Seen, user: Any, audit: Audit) -> None:
    """Mark a task instance as failed. Airflow then calls the listener, which cancels its runs.

    :raises TaskChanged: if the task instance is not what the person sees.
    :raises HTTPException: if Airflow refuses.
    """
    from airflow.api_fastapi.core_api.datamodels.task_instances import PatchTaskInstanceBody
    from airflow.api_fastapi.core_api.routes.public.task_instances import patch_task_instance

    with _unchanged(task, seen, audit) as (session, _):
        _call(
            patch_task_instance,
            dag_id=task.dag_id,
            dag_run_id=task.run_id,
            task_id=task.task_id,
            dag_bag=_dag_bag(),
            body=PatchTaskInstanceBody(new_state="failed"),
            user=user,
            session=session,
            map_index=task.map_index,
            update_mask=["new_state"],
        )


@contextmanager
def _unchanged(task: TaskName, seen: Seen, audit: Audit) -> Iterator[tuple[Any, int]]:
    """A session with the task instance locked, and the clear number of its DAG run. Commits at the end."""
    from airflow.models.dagrun import DagRun
    from airflow.models.log import Log
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ours = {"dag_id": task.dag_id, "run_id": task.run_id, "task_id": task.task_id}
    # A session of its own: the listener opens the thread's session, and would commit that one halfway.
    with _one_at_a_time, create_session(scoped=False) as session:
        # The scheduler locks the DAG run before its tasks, so this order cannot deadlock with it.
        clear_number = session.scalar(
            select(DagRun.clear_number)
            .where(DagRun.dag_id == task.dag_id, DagRun.run_id == task.run_id)
            .with_for_update(of=DagRun)
        )
        row = session.execute(
            select(TaskInstance.state, TaskInstance.try_number)
            .filter_by(**ours, map_index=task.map_index)
            .with_for_update(of=TaskInstance)
        ).first()
        state = None if row is None or row[0] is None else str(getattr(row[0], "value", row[0]))
        now = None if row is None else Seen(row[1] or 0, state)
        if now != seen:
            raise TaskChanged(now)
        yield session, int(clear_number or 0)
        session.add(
            Log(
                event=audit.event,
                owner=audit.user,
                owner_display_name=audit.user,
                extra=json.dumps(dict(audit.extra)),
                dag_id=task.dag_id,
                run_id=task.run_id,
                task_id=task.task_id,
                map_index=task.map_index,
                try_number=seen.try_number,
            )
        )


def _clear(task: TaskName, user: Any, session: Any, *, dry_run: bool) -> list[Any]:
    from airflow.api_fastapi.core_api.datamodels.task_instances import ClearTaskInstancesBody
    from airflow.api_fastapi.core_api.routes.public.task_instances import post_clear_task_instances

    wanted = {
        "dry_run": dry_run,
        "only_failed": False,
        "dag_run_id": task.run_id,
        "task_ids": [task.task_id if task.map_index < 0 else (task.task_id, task.map_index)],
        "include_downstream": True,
        "reset_dag_runs": True,
        # A task downstream that runs is not restarted under somebody's hands.
        "prevent_running_task": True,
    }
    known = ClearTaskInstancesBody.model_fields
    body = ClearTaskInstancesBody(**{name: value for name, value in wanted.items() if name in known})
    found = _call(
        post_clear_task_instances,
        dag_id=task.dag_id,
        dag_bag=_dag_bag(),
        body=body,
        session=session,
        user=user,
    )
    return list(found.task_instances)


def _store_state(task: TaskName, key: str, value: Mapping[str, Any], session: Any) -> None:
    from airflow._shared.state import TaskScope
    from airflow.state.metastore import MetastoreBackend

    scope = TaskScope(dag_id=task.dag_id, run_id=task.run_id, task_id=task.task_id, map_index=task.map_index)
    MetastoreBackend().set(scope, key, json.dumps(dict(value)), session=session)


def _call(function: Any, **arguments: Any) -> Any:
    # The parameters differ between versions: `user`, for example, is newer than 3.1.
    known = inspect.signature(function).parameters
    return function(**{name: value for name, value in arguments.items() if name in known})


@cache
def _dag_bag() -> Any:
    from airflow.api_fastapi.common.dagbag import create_dag_bag

    return create_dag_bag()
