"""Reads the verdicts of a task, or of all test tasks of a DAG run, from their XComs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_testerarmy.lifecycle.task import LifecycleTask
from airflow_provider_testerarmy.reports.message import Message, TaskVerdict
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.runs.verdict.summary import NOTE

RESULT = "return_value"


def verdict_of_task(context: Mapping[str, Any]) -> Message:
    """The verdict of the task that calls the notifier.

    :raises ValueError: outside of a task.
    """
    ti = _task_instance(context)
    mapped = ti.map_index if isinstance(getattr(ti, "map_index", None), int) and ti.map_index >= 0 else None
    name = ti.task_id if mapped is None else f"{ti.task_id} [{mapped}]"
    where = {"task_ids": ti.task_id, "map_indexes": ti.map_index}
    summary = ti.xcom_pull(key=RESULT, **where)
    note = None if _is_summary(summary) else ti.xcom_pull(key=NOTE, **where)
    return Message(_where(context), [_verdict(name, summary, note)])


def verdict_of_dag_run(context: Mapping[str, Any]) -> Message:
    """The verdicts of all test tasks of the DAG run.

    :raises ValueError: if Airflow names no DAG or no task instance, without which no XCom can be read.
    """
    ti, dag = _task_instance(context), context.get("dag")
    if dag is None:
        raise ValueError("Airflow names no DAG in the context, so no test tasks are known.")
    tasks = [found for task in dag.tasks if _is_test_task(task) for found in _verdicts(ti, task.task_id)]
    return Message(_where(context), tasks)


def _task_instance(context: Mapping[str, Any]) -> Any:
    ti = context.get("ti") or context.get("task_instance")
    if ti is None:
        raise ValueError(
            "Airflow names no task instance in the context, so no verdict can be read. Use the notifier in the "
            "callback of a task."
        )
    return ti


def _is_test_task(task: Any) -> bool:
    # Of a mapped task. Airflow 2 does not mark it otherwise.
    kind = getattr(task, "operator_class", None)
    return issubclass(kind if isinstance(kind, type) else type(task), LifecycleTask)


def _verdicts(ti: Any, task_id: str) -> Iterator[TaskVerdict]:
    summaries = list(_each(ti.xcom_pull(task_ids=task_id, key=RESULT)))
    if not summaries:
        notes = list(_each(ti.xcom_pull(task_ids=task_id, key=NOTE)))
        yield _verdict(task_id, None, notes[0] if notes else None)
    for number, summary in enumerate(summaries):
        yield _verdict(task_id if len(summaries) == 1 else f"{task_id} [{number}]", summary, None)


def _each(pulled: Any) -> Iterator[Mapping[str, Any]]:
    """The values of a task, which are several if it is mapped."""
    if isinstance(pulled, Mapping):
        yield pulled
    elif pulled is not None and not isinstance(pulled, str | int | float):
        yield from (each for each in pulled if isinstance(each, Mapping))


def _verdict(name: str, summary: Any, note: Any) -> TaskVerdict:
    known = summary if _is_summary(summary) else {}
    reason = note.get("reason") if isinstance(note, Mapping) else None
    if not known and not reason:
        reason = "The task has no verdict. See its log."
    return TaskVerdict(one_line(name, 300), known, one_line(str(reason or ""), 500))


def _is_summary(value: Any) -> bool:
    return isinstance(value, Mapping) and "verdict" in value and "counts" in value


def _where(context: Mapping[str, Any]) -> str:
    ti = context.get("ti") or context.get("task_instance")
    run = context.get("run_id") or getattr(ti, "run_id", "")
    return one_line(f"{ti.dag_id if ti is not None else ''} · {run}", 300)
