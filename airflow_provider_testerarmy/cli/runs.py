"""The commands `runs list`, `runs show` and `runs cancel`."""

from __future__ import annotations

from argparse import Namespace
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.cli.command import CommandFailed, command, confirm, say
from airflow_provider_testerarmy.cli.output import print_rows
from airflow_provider_testerarmy.cli.service import as_run_id, fetch_runs, open_hook, requests_to
from airflow_provider_testerarmy.runs.results import RunResult
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault
from airflow_provider_testerarmy.runs.text import name_runs, plural

if TYPE_CHECKING:
    from datetime import datetime


@command
def list_command(options: Namespace) -> None:
    """List the newest runs of the account."""
    if options.limit < 1:
        raise CommandFailed(f"--limit must be at least 1, not {options.limit}.")
    hook: Any = open_hook(options.conn_id)
    service = hook.service()
    if not service.ended_statuses:
        raise CommandFailed(
            f"{service.vendor} has no list of runs. Use `runs show` with the ids of the task."
        )
    known = (*service.active_statuses, *service.ended_statuses)
    if options.status and options.status not in known:
        raise CommandFailed(f"--status must be one of {', '.join(known)}.")
    try:
        listed = hook.list_runs(status=options.status, project_id=options.project, test_id=options.test)
        runs = [service.result(run) for run in islice(listed, options.limit)]
    finally:
        hook.close()
    print_rows(list(map(brief_row, runs)), options.output)


@command
def show_command(options: Namespace) -> None:
    """Show runs: outcome, issues, failed step and times."""
    runs = fetch_runs(open_hook(options.conn_id), options.run_ids)
    rows = list(map(detail_row, runs))
    if options.output in ("json", "yaml"):
        print_rows(rows, options.output)
        return
    for row in rows:
        # One field a line: a whole run is too wide for a row.
        print_rows([{"field": name, "value": value} for name, value in row.items()], options.output)


@command
def cancel_command(options: Namespace) -> None:
    """Cancel active runs."""
    hook = open_hook(options.conn_id)
    with requests_to(hook) as requests:
        service = requests.service
        if not service.can_cancel:
            raise CommandFailed(f"{service.vendor} cannot cancel runs. They go on to their end.")
        run_ids = [as_run_id(hook, run_id) for run_id in dict.fromkeys(options.run_ids)]
        confirm(f"Cancel {name_runs(run_ids)}?", options)
        failed = []
        for run_id in run_ids:
            try:
                requests.send(service.cancel_run(run_id))
            except ServiceFault as fault:
                if fault.kind is FaultKind.CONFLICT:
                    say(f"{run_id}: has ended before.")
                else:
                    failed.append(run_id)
                    say(f"{run_id}: not cancelled ({fault.message}).")
            else:
                say(f"{run_id}: cancelled.")
    if failed:
        raise CommandFailed(f"{name_runs(failed)} may still be active. Run the command again.")


def brief_row(run: RunResult) -> dict[str, Any]:
    """A run as one row of a list."""
    return {
        "run_id": run.run_id,
        "test": run.title or run.test_id,
        "status": run.status,
        "outcome": str(run.outcome) if run.outcome else None,
        "issues": len(run.issues),
        "seconds": None if run.duration is None else round(run.duration, 1),
        "started_at": _moment(run.started_at or run.created_at),
        "url": run.url,
    }


def detail_row(run: RunResult) -> dict[str, Any]:
    """A run with what failed in it."""
    step = run.failed_step
    return {
        **brief_row(run),
        "finished_at": _moment(run.finished_at),
        "reason": run.reason,
        "failed_step": f"{step.title}: {step.error}".strip(": ") if step else None,
        "steps": plural(len(run.steps), "step"),
        "issues": [
            f"{'issue' if issue.confirmed else 'warning'}"
            f"{'' if issue.severity is None else f' (severity {issue.severity})'}: {issue.name}"
            for issue in run.issues
        ],
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
