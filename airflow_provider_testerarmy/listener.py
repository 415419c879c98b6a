"""Stops the runs of tasks that have ended without a worker or a trigger that could stop them.

Airflow calls listeners (https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/listeners.html)
in three such cases:

* in the API server, when a user marks a task or a DAG run as failed, succeeded or skipped. Nothing else learns of
  it if no triggerer has picked the trigger up yet, or if no triggerer is alive;
* in the scheduler, when a task has failed because its worker was lost on the last try;
* in the scheduler, when a DAG run has ended. If the kernel kills a task process on its last try (out of memory, for
  example), the supervisor fails the task and calls no listener.

If a worker or a trigger exists as well, both cancel the same runs. Cancelling is idempotent, so that is harmless.

It also imports what a task needs before a process forks; see :mod:`airflow_provider_testerarmy.preload`.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Final

from airflow.providers.common.compat.sdk import hookimpl

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.lifecycle.cancellation import name_active
from airflow_provider_testerarmy.lifecycle.claims import KEPT, PREFIX
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.decision import Action, Ending, decide
from airflow_provider_testerarmy.runs.submission.record import KEY, RecordUnreadable, Stage
from airflow_provider_testerarmy.runs.submission.stored import from_json
from airflow_provider_testerarmy.runs.text import name_runs

log = logging.getLogger(__name__)

#: Seconds for which a process that exits waits for background work.
LAST_WAIT: Final = 10.0

#: Seconds after which the record of a task that never concluded is deleted (before Airflow 3.3).
RECORDS_KEPT: Final = 30 * 24 * 3600.0

#: Seconds before each further attempt to stop runs, while the service or Airflow does not answer. Nothing else
#: cancels the runs of an ended task.
AGAIN_AFTER: Final = (20.0, 60.0, 180.0, 300.0)

_working: set[threading.Thread] = set()


@hookimpl
def on_starting(component: Any) -> None:
    """A scheduler, a triggerer or a DAG processor starts, and forks later; see :mod:`.preload`."""
    from airflow_provider_testerarmy.preload import preload

    preload()


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any) -> None:
    """A user marked the task or its DAG run as failed, or the task's worker was lost on the last try."""
    # Airflow passes no previous state when the change comes through the API (measured on 3.3).
    if previous_state is None or airflow_compat.lost_for_good(task_instance):
        _ended(task_instance, concluded=True)


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """A user marked the task or its DAG run as succeeded."""
    # With a previous state the task ended by itself, and its worker has handled its runs.
    if previous_state is None:
        _ended(task_instance, concluded=False)


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """A user marked the task as skipped."""
    if previous_state is None:
        _ended(task_instance, concluded=False)


@hookimpl
def on_dag_run_failed(dag_run: Any) -> None:
    """Stop the runs that failed tasks of the DAG run left active."""
    _in_background(_stop_orphans_of_dag_run, dag_run.dag_id, dag_run.run_id)


@hookimpl
def on_dag_run_success(dag_run: Any) -> None:
    """Stop the runs that failed tasks left active. A DAG run may succeed in spite of failed tasks."""
    _in_background(_stop_orphans_of_dag_run, dag_run.dag_id, dag_run.run_id)


def _ended(task_instance: Any, *, concluded: bool) -> None:
    stored = airflow_compat.stored_task_state(task_instance, KEY)
    if stored is not None:
        _in_background(_stop_all, [(airflow_compat.named(task_instance), stored)], concluded)


def _stop_orphans_of_dag_run(dag_id: str, run_id: str) -> None:
    left = airflow_compat.stored_by_failed_tasks(dag_id, run_id, KEY)
    _prune(int(time.time() // 3600))
    _stop_all(left, concluded=True)


def _stop_all(left: list[tuple[airflow_compat.TaskName, Any]], concluded: bool) -> None:
    """Stop the runs that tasks left behind, and retry until the service answers."""
    for number, seconds in enumerate((0.0, *AGAIN_AFTER)):
        if seconds:
            time.sleep(seconds)
            left = [(task, newest) for task, stored in left if (newest := _newest_of_try(task, stored))]
        # A try that was killed concludes its record itself, whether or not it could cancel its runs.
        sure = concluded or seconds > 0
        last = number == len(AGAIN_AFTER)
        left = [(task, stored) for task, stored in left if not _is_settled(task, stored, sure, last=last)]
        if not left:
            return


def _newest_of_try(task: airflow_compat.TaskName, stored: Any) -> Any:
    """The record as the same try has written it by now; None once a new try has, because its runs are wanted."""
    newest = airflow_compat.stored_task_state(task, KEY)
    same = newest is not None and newest.get("try") == stored.get("try")
    return newest if same else None


def _is_settled(task: airflow_compat.TaskName, stored: Any, concluded: bool, *, last: bool) -> bool:
    """Stop the runs that a task left behind; False if another attempt can help."""
    from airflow_provider_testerarmy.lifecycle.record_store import identity_of

    try:
        return _stop_stored(stored, task, concluded, last=last)
    except Exception:
        log.exception("The test runs of %s could not be cancelled now.", identity_of(task))
        return False


@lru_cache(maxsize=1)
def _prune(_hour: int) -> None:
    """Delete old claims and, before Airflow 3.3, old records, at most once an hour.

    Both are Airflow Variables, which Airflow never prunes.
    """
    airflow_compat.prune_records(older_than=RECORDS_KEPT)
    airflow_compat.prune_variables(PREFIX, older_than=KEPT)


def _stop_stored(stored: Any, task: airflow_compat.TaskName, concluded: bool, *, last: bool = False) -> bool:
    from airflow_provider_testerarmy.lifecycle.orphans import stop_orphans

    try:
        record = from_json(stored)
    except RecordUnreadable as error:
        named = f" It names {name_runs(error.run_ids)}: check the dashboard." if error.run_ids else ""
        log.warning("The record of test runs of an ended task cannot be read (%s).%s", error, named)
        return True
    if record is None or not record.to_clean_up or (record.stage is Stage.CONCLUDED and not concluded):
        return True
    action = decide(record, record.asked, record.generation, Ending.KILLED)
    if not record.cancels:
        runs = name_active(replace(record, temporary=None))
        log.info("Not cancelling %s of an ended task (cancel_on_kill=False).", runs or "any run")
    if action is not Action.STOP or not (record.cancels or record.temporary):
        return True
    return stop_orphans(record, stored, task, log, last=last) is not StopResult.UNKNOWN


def _in_background(work: Callable[..., None], *arguments: Any) -> None:
    """Run ``work`` in a thread, so that neither a user nor the scheduler's loop waits for a slow service."""
    _import_ahead()

    def run() -> None:
        try:
            work(*arguments)
        except Exception:
            log.exception(
                "The test runs of an ended task could not be stopped. Check the dashboard for active runs."
            )
        finally:
            _working.discard(threading.current_thread())

    thread = threading.Thread(target=run, name="stop-test-runs", daemon=True)
    _working.add(thread)
    # ``atexit`` calls the last registered function first, so this runs before Airflow closes its connections to the
    # database.
    atexit.unregister(_finish)
    atexit.register(_finish)
    thread.start()


def _finish() -> None:
    """Wait for background work before the process exits.

    A query can hang forever if its connection is closed in the middle (measured). `airflow dags test` exits right
    after its DAG run, so this happens there.
    """
    deadline = time.monotonic() + LAST_WAIT
    for thread in list(_working):
        thread.join(max(0.0, deadline - time.monotonic()))


@cache
def _import_ahead() -> None:
    """Import in this thread everything that the background thread needs.

    The LocalExecutor forks its workers from the scheduler. A worker that is forked while another thread imports a
    module inherits the lock of that import, and no thread to release it. Its first task then stays queued forever
    (measured; https://github.com/apache/airflow/issues/65942 has the same cause).
    """
    for integration in get_provider_info()["hooks"]:
        for module in integration["python-modules"]:
            import_module(module)
    for module in ("airflow_provider_testerarmy.lifecycle.orphans", "encodings.idna", "httpcore"):
        import_module(module)
    airflow_compat.import_ahead()
