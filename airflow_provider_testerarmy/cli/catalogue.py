"""The commands below `tests`: test files beside the DAGs, and the service."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.catalogue.files import schema
from airflow_provider_testerarmy.cli.command import CommandFailed, command, confirm, say
from airflow_provider_testerarmy.cli.output import clean, print_rows
from airflow_provider_testerarmy.cli.service import open_hook
from airflow_provider_testerarmy.hooks.catalogue_folder import lock_place, read_files, read_lock
from airflow_provider_testerarmy.runs.text import plural

if TYPE_CHECKING:
    from airflow_provider_testerarmy.catalogue.plan import Action, Conflict, Plan
    from airflow_provider_testerarmy.lifecycle.catalogue import CatalogueSync


@command
def check_command(options: Namespace) -> None:
    """Check the files and the lock, without a request."""
    files, faults = read_files(options.folder)
    if faults:
        for fault in faults:
            say(str(clean(fault)))
        raise CommandFailed(f"{plural(len(faults), 'file')} of {len(files) + len(faults)} cannot be used.")
    read_lock(lock_place(options.folder, options.lock))
    say(f"{plural(len(files), 'test')} in {options.folder}, all valid.")


@command
def schema_command(_options: Namespace) -> None:
    """Print the JSON schema of a test file."""
    say(schema().rstrip())


@command
def plan_command(options: Namespace) -> None:
    """Show what apply would do."""
    with _opened(options) as sync:
        plan = sync.plan(sync.read(), delete=options.delete, overwrite=options.overwrite)
    _show(plan, options.output)
    if plan.conflicts:
        raise CommandFailed(
            f"The plan has {plural(len(plan.conflicts), 'conflict')}; apply would change nothing."
        )
    if plan.actions and options.exit_code:
        raise SystemExit(2)


@command
def apply_command(options: Namespace) -> None:
    """Bring the service to the state of the files."""
    with _opened(options) as sync:
        state = sync.read()
        plan = sync.plan(state, delete=options.delete, overwrite=options.overwrite)
        if plan.actions or plan.conflicts:
            _show(plan, "table")
        if plan.conflicts:
            raise CommandFailed("Nothing is changed. Resolve the conflicts first.")
        if not plan.actions:
            say("Nothing to do.")
            return
        confirm(f"Apply {plural(len(plan.actions), 'action')}?", options)
        done: list[Action] = []
        try:
            sync.apply(state, plan, done.append)
        finally:
            say(f"Applied {len(done)} of {plural(len(plan.actions), 'action')}.")


@command
def pull_command(options: Namespace) -> None:
    """Write what changed at the service into the files."""
    with _opened(options) as sync:
        state = sync.read()
        adopt = set(options.test or ()) | (set(state.remote.tests) if options.all else set())
        pulled, conflicts = sync.plan_pull(state, adopt=adopt, overwrite=options.overwrite)
        if conflicts:
            print_rows([_conflict(each) for each in conflicts], "table")
            raise CommandFailed("No file is changed. Resolve the conflicts first.")
        if not pulled:
            say("Nothing to pull.")
            return
        rows = [
            {"action": "new file" if each.new else "update", "file": each.file.key, "title": each.file.title}
            for each in pulled
        ]
        print_rows(rows, "table")
        confirm(f"Write {plural(len(pulled), 'file')}?", options)
        sync.pull(pulled)
        say(f"Wrote {plural(len(pulled), 'file')}.")


@contextmanager
def _opened(options: Namespace) -> Iterator[CatalogueSync]:
    from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
    from airflow_provider_testerarmy.hooks.testerarmy_catalogue import HookRequests
    from airflow_provider_testerarmy.lifecycle.catalogue import CatalogueSync

    hook = open_hook(options.conn_id)
    if not isinstance(hook, TesterArmyHook):
        raise CommandFailed(f"The connection {options.conn_id!r} is not of the type testerarmy.")
    try:
        yield CatalogueSync(HookRequests(hook), options.folder, options.project, options.lock)
    finally:
        hook.close()


def _show(plan: Plan, output: str) -> None:
    rows: Sequence[dict[str, Any]] = [*map(_row, plan.actions), *map(_conflict, plan.conflicts)]
    if rows or output == "json":
        print_rows(rows, output)
    else:
        say("Nothing to do.")


def _row(action: Action) -> dict[str, Any]:
    named = action.group if not action.key else action.title
    detail = f"{action.group}; {action.detail}".strip("; ") if action.key and action.group else action.detail
    return {"action": str(action.kind), "file": action.key, "title": named, "detail": detail}


def _conflict(conflict: Conflict) -> dict[str, Any]:
    return {"action": "CONFLICT", "file": conflict.key, "title": "", "detail": conflict.reason}
