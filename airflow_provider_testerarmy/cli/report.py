"""The command `report`: a report of runs, or of a task that has run, to standard output or a file."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.cli.command import CommandFailed, command, say
from airflow_provider_testerarmy.cli.service import fetch_runs, open_hook
from airflow_provider_testerarmy.get_provider_info import hook_classes
from airflow_provider_testerarmy.lifecycle.reporting import render, suffix_of, write_local
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.submission.record import KEY
from airflow_provider_testerarmy.runs.submission.stored import runs_named
from airflow_provider_testerarmy.runs.text import name_runs
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from airflow_provider_testerarmy.runs.verdict.summary import summarize

if TYPE_CHECKING:
    from airflow_provider_testerarmy.airflow_compat import TaskName

_SUFFIXES: Final = {"html": ".html", "junit": ".xml", "markdown": ".md", "json": ".json"}
_DEFAULT: Final = ".md"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What to report.

    :param summary: the summary of a task; empty for runs, which are judged without a gate.
    """

    conn_id: str
    run_ids: Sequence[RunId]
    name: str = ""
    dag_id: str | None = None
    summary: Mapping[str, Any] | None = None


@command
def report_command(options: Namespace) -> None:
    """Write a report of runs, or of a task that has run."""
    suffix = _suffix(options)
    wanted = _wanted(options)
    hook = open_hook(wanted.conn_id, wanted.dag_id)
    results = fetch_runs(hook, wanted.run_ids)
    active = [run.run_id for run in results if not run.finished]
    if active:
        raise CommandFailed(f"{name_runs(active)} have not ended. Wait for them with `runs watch`.")
    summary = wanted.summary
    if summary is None:
        summary = summarize(
            QualityGate().judge(results),
            results,
            run_ids=wanted.run_ids,
            url=results[0].url if results else "",
        )
    else:
        results = _with_flaky(results, summary)
    text = render(f"report{suffix}", summary, results, name=wanted.name or name_runs(wanted.run_ids))
    if options.file == "-":
        sys.stdout.write(text)
        return
    path = Path(options.file).expanduser()
    try:
        write_local(path, text.encode())
    except OSError as error:
        raise CommandFailed(f"{options.file} cannot be written ({error.strerror or error}).") from error
    say(f"The report is at {options.file}.")


def _suffix(options: Namespace) -> str:
    named = None if options.file == "-" else suffix_of(options.file)
    return _SUFFIXES[options.format] if options.format else named or _DEFAULT


def _wanted(options: Namespace) -> _Wanted:
    task_given = [options.dag_id, options.dag_run_id, options.task_id]
    if options.run_ids and any(task_given):
        raise CommandFailed("Name either runs, or a task with --dag-id, --dag-run-id and --task-id.")
    if options.run_ids:
        return _Wanted(options.conn_id or "testerarmy_default", options.run_ids)
    if not all(task_given):
        raise CommandFailed("Name runs by their ids, or a task with --dag-id, --dag-run-id and --task-id.")
    return _of_task(
        airflow_compat.TaskName(options.dag_id, options.dag_run_id, options.task_id, options.map_index),
        options.conn_id,
    )


def _of_task(task: TaskName, conn_id: str | None) -> _Wanted:
    """The runs of a task: of its summary, else of its record, else of what it pushed when it started them."""
    stored, rendered = airflow_compat.stored_xcom(task, "return_value"), airflow_compat.rendered_fields(task)
    summary = (
        stored if isinstance(stored, dict) and {"verdict", "run_ids", "counts"} <= stored.keys() else None
    )
    whole = summary is not None and not (summary.get("truncated") or {}).get("run_ids")
    run_ids = summary["run_ids"] if summary is not None and whole else _started(task)
    name = f"{task.dag_id}.{task.task_id}"
    if not run_ids:
        raise CommandFailed(
            f"{name} has started no runs in the DAG run {task.run_id!r}, or Airflow has deleted its records."
        )
    conn_id = conn_id or _connection_in(rendered)
    if conn_id is None:
        raise CommandFailed(
            f"Airflow has deleted the rendered fields of {name}. Name its connection with --conn-id."
        )
    judged = summary if summary is not None and summary["verdict"] is not None else None
    return _Wanted(conn_id, run_ids, name, task.dag_id, judged)


def _started(task: TaskName) -> Sequence[RunId]:
    recorded = runs_named(airflow_compat.stored_task_state(task, KEY))
    pushed = airflow_compat.stored_xcom(task, "run_ids")
    return recorded or (pushed if isinstance(pushed, list) else ())


def _connection_in(rendered: Mapping[str, Any]) -> str | None:
    names = [resolve_name(path).conn_name_attr for path in hook_classes()]
    return next((str(rendered[name]) for name in names if rendered.get(name)), None)


def _with_flaky(results: Sequence[RunResult], summary: Mapping[str, Any]) -> list[RunResult]:
    """The results with what only the task knew: which tests passed on a later attempt."""
    tests = summary.get("tests")
    flaky = {str(test.get("run_id")) for test in tests or () if isinstance(test, dict) and test.get("flaky")}
    return [replace(run, flaky=True) if str(run.run_id) in flaky else run for run in results]
