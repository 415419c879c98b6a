"""The command `runs watch`: waits for runs, shows their progress, and exits by their verdict."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from airflow_provider_testerarmy.cli.command import INTERRUPTED, CommandFailed, command
from airflow_provider_testerarmy.cli.output import clean, print_rows
from airflow_provider_testerarmy.cli.runs import brief_row
from airflow_provider_testerarmy.cli.service import as_run_id, open_hook, requests_to
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.single import await_runs
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited, WaitEnd
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.text import name_runs, one_line
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, VerdictKind

#: The exit code of each verdict. 1 is an error of the command, and 2 a wrong argument.
EXIT_CODES: Final = {VerdictKind.PASSED: 0, VerdictKind.FAILED: 3}
#: The exit code of every other verdict: nothing is known to be broken, and nothing to work.
UNDECIDED: Final = 4
#: Seconds between two pictures of the table while nothing changes.
_TICK: Final = 1.0


@command
def watch_command(options: Namespace) -> None:
    """Wait for runs, show their progress, and exit by their verdict."""
    for name, value in (("--interval", options.interval), ("--timeout", options.timeout)):
        # A comparison that is false for NaN, too.
        if value is not None and not 0 < value < 10**9:
            raise CommandFailed(f"{name} must be a positive number of seconds, not {value}.")
    hook = open_hook(options.conn_id)
    run_ids = [as_run_id(hook, run_id) for run_id in dict.fromkeys(options.run_ids)]
    try:
        waited = _wait(hook, run_ids, options)
    except KeyboardInterrupt:
        sys.stderr.write(
            f"Stopped watching. {_go_on(run_ids)} Cancel them with `runs cancel`, or watch them again.\n"
        )
        raise SystemExit(INTERRUPTED) from None
    if waited.end is WaitEnd.DEADLINE:
        raise CommandFailed(f"The runs have not ended within {options.timeout:g} s. {_go_on(run_ids)}")
    if waited.end is not WaitEnd.FINISHED:
        raise CommandFailed(f"The wait ended: {waited.message}. {_go_on(run_ids)}")
    results = [waited.results[run_id] for run_id in run_ids]
    verdict = QualityGate().judge(results)
    print_rows(list(map(brief_row, results)), options.output)
    sys.stderr.write(
        f"Verdict: {verdict.kind}. {' | '.join(one_line(each, 500) for each in verdict.reasons)}\n"
    )
    sys.exit(EXIT_CODES.get(verdict.kind, UNDECIDED))


def _go_on(run_ids: Sequence[RunId]) -> str:
    return f"Nothing is cancelled: {name_runs(run_ids)} may be active."


def _wait(hook: Any, run_ids: Sequence[RunId], options: Namespace) -> Waited:
    runs: dict[RunId, RunResult] = {}
    with _shown(runs, run_ids) as (tick, report):
        deadline = None if options.timeout is None else time.time() + options.timeout

        def seen(run: RunResult) -> None:
            if run.run_id in run_ids:
                runs[run.run_id] = run

        def sleep(seconds: float) -> None:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                tick()
                time.sleep(min(left, _TICK))

        with requests_to(hook, seen) as requests:
            flow = await_runs(
                requests.service,
                run_ids,
                Pace(options.interval, deadline=deadline),
                time.time,
                report,
                width=WIDTH,
            )
            return requests.drive(flow, sleep)


@contextmanager
def _shown(
    runs: dict[RunId, RunResult], run_ids: Sequence[RunId]
) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """A table on standard error that follows the runs; lines of progress where that is no terminal.

    :return: what draws the table again, and what takes a line of progress.
    """
    if not sys.stderr.isatty():

        def report(line: str) -> None:
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {one_line(line, 500)}\n")
            sys.stderr.flush()

        yield lambda: None, report
        return
    from rich.console import Console
    from rich.live import Live

    latest = [""]
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def draw() -> None:
            live.update(_table(runs, run_ids, latest[0]), refresh=True)

        def take(line: str) -> None:
            latest[0] = one_line(line, 500)
            draw()

        yield draw, take


def _table(runs: dict[RunId, RunResult], run_ids: Sequence[RunId], caption: str) -> Any:
    """The runs as a table, those that did not pass first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(caption=Text(caption), caption_justify="left", box=None, pad_edge=False)
    for name in ("run", "test", "state", "seconds"):
        table.add_column(name)
    ordered = sorted(run_ids, key=lambda run_id: _rank(runs.get(run_id)))
    for run_id in ordered:
        run = runs.get(run_id)
        cells = ("not seen yet", "", "") if run is None else _cells(run)
        state, test, seconds = cells
        table.add_row(*(Text(str(clean(cell, 100))) for cell in (run_id, test, state, seconds)))
    return table


def _cells(run: RunResult) -> tuple[str, str, str]:
    seconds = "" if run.duration is None else f"{run.duration:.0f}"
    return str(run.outcome or run.status), run.title or run.test_id, seconds


def _rank(run: RunResult | None) -> int:
    if run is None:
        return 2
    return 1 if not run.finished else 3 if run.outcome == "passed" else 0
