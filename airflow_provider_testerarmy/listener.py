"""Stops the runs of tasks that ended where neither a worker nor a trigger could do it.

Airflow calls listeners at three moments that nobody else hears of:

* the API server, when a user marks a task or a DAG run as failed, succeeded or skipped: the only notice when
  the trigger was not picked up yet, or while no triggerer lives;
* the scheduler, when a task has failed because its worker was lost on the last try;
* the scheduler, when a DAG run has ended: a task process that was killed on its last try, by the kernel for want
  of memory, say, is failed by its supervisor without a word to anybody.

Where a worker or a trigger is there, both cancel the same runs, which does no harm: cancelling is idempotent.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Final

from airflow.providers.common.compat.sdk import hookimpl

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.lifecycle.cancellation import name_active
from airflow_provider_testerarmy.lifecycle.claims import KEPT, PREFIX
from airflow_provider_testerarmy.runs.submission.decision import Action, Ending, decide
from airflow_provider_testerarmy.runs.submission.record import KEY, RecordUnreadable, Stage
from airflow_provider_testerarmy.runs.submission.stored import from_json
from airflow_provider_testerarmy.runs.text import name_runs

log = logging.getLogger(__name__)

#: Seconds that a process which is about to end gives to what goes on in the background.
LAST_WAIT: Final = 10.0

#: Seconds for which the record of a task that never concluded is kept (before Airflow 3.3).
RECORDS_KEPT: Final = 30 * 24 * 3600.0

_working: set[threading.Thread] = set()


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any) -> None:
    """A user marked the task, or its DAG run, as failed; or its worker was lost on the last try."""
    if previous_state is None or airflow_compat.lost_for_good(task_instance):
        _ended(task_instance, concluded=True)


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """A user marked the task, or its DAG run, as succeeded."""
    # The API server alone gives no previous state; elsewhere the task ended by itself.
    if previous_state is None:
        _ended(task_instance, concluded=False)


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """A user marked the task as skipped."""
    if previous_state is None:
        _ended(task_instance, concluded=False)


@hookimpl
def on_dag_run_failed(dag_run: Any) -> None:
    """Stop what failed tasks of the DAG run left behind."""
    _in_background(_stop_orphans_of_dag_run, dag_run.dag_id, dag_run.run_id)


@hookimpl
def on_dag_run_success(dag_run: Any) -> None:
    """Stop what failed tasks of the DAG run left behind: it may succeed in spite of them."""
    _in_background(_stop_orphans_of_dag_run, dag_run.dag_id, dag_run.run_id)


def _ended(task_instance: Any, *, concluded: bool) -> None:
    stored = airflow_compat.stored_task_state(task_instance, KEY)
    if stored is not None:
        _in_background(_stop_stored, stored, airflow_compat.named(task_instance), concluded)


def _stop_orphans_of_dag_run(dag_id: str, run_id: str) -> None:
    for task, stored in airflow_compat.stored_by_failed_tasks(dag_id, run_id, KEY):
        _stop_stored(stored, task, concluded=True)
    _prune(int(time.time() // 3600))


@lru_cache(maxsize=1)
def _prune(_hour: int) -> None:
    """Once an hour: nobody else prunes the notes of tasks, nor, before Airflow 3.3, records left behind."""
    airflow_compat.prune_records(older_than=RECORDS_KEPT)
    airflow_compat.prune_variables(PREFIX, older_than=KEPT)


def _stop_stored(stored: Any, task: airflow_compat.TaskName, concluded: bool) -> None:
    from airflow_provider_testerarmy.lifecycle.orphans import stop_orphans

    try:
        record = from_json(stored)
    except RecordUnreadable as error:
        named = f"; it names {name_runs(error.run_ids)}" if error.run_ids else ""
        log.warning("The record of test runs that a task left cannot be read (%s)%s.", error, named)
        return
    if record is None or not record.unsettled or (record.stage is Stage.CONCLUDED and not concluded):
        return
    action = decide(record, record.asked, record.generation, Ending.KILLED)
    if action is Action.STOP and record.cancels:
        stop_orphans(record, stored, task, log)
    else:
        log.info("A task that has ended leaves %s (cancel_on_kill=False).", name_active(record))


def _in_background(work: Callable[..., None], *arguments: Any) -> None:
    """Neither a user nor the scheduler's loop waits for a service that may be slow."""
    _import_ahead()

    def run() -> None:
        try:
            work(*arguments)
        except Exception:
            log.exception("Test runs that a task left behind could not be stopped.")
        finally:
            _working.discard(threading.current_thread())

    thread = threading.Thread(target=run, name="stop-test-runs", daemon=True)
    _working.add(thread)
    # What was registered last is called first: before Airflow closes its connections to the database.
    atexit.unregister(_finish)
    atexit.register(_finish)
    thread.start()


def _finish() -> None:
    """Let what goes on come to its end before the process does.

    A query whose connection is closed meanwhile can hang for ever; `airflow dags test` ends right after its DAG.
    """
    deadline = time.monotonic() + LAST_WAIT
    for thread in list(_working):
        thread.join(max(0.0, deadline - time.monotonic()))


@cache
def _import_ahead() -> None:
    """Import here what the thread would import.

    The LocalExecutor forks its workers off the scheduler. A worker forked while another thread imports a module
    inherits the lock on that module and nobody to release it: its first task stays queued for ever.
    """
    for integration in get_provider_info()["hooks"]:
        for module in integration["python-modules"]:
            import_module(module)
    for module in ("airflow_provider_testerarmy.lifecycle.orphans", "encodings.idna", "httpcore"):
        import_module(module)
    airflow_compat.import_ahead()
