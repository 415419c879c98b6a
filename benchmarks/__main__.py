"""`make bench`: measures, prints the tables, and writes docs/performance.md.

Without options, it measures and writes everything but the parts `whole` and `push`. With options, it measures only
what they name, takes the other numbers from the previous run, and writes the page only with --write.
"""

from __future__ import annotations

import argparse
import pstats
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from benchmarks import report
from benchmarks.contenders import CONTENDERS, OURS, Contender
from benchmarks.entrants import FLOOR, NAMES
from benchmarks.floor import ROUNDS, cost_table, floor, table
from benchmarks.imports import import_costs
from benchmarks.limit import LimitSetting, limited
from benchmarks.machine import machine
from benchmarks.measure import Setting, measure
from benchmarks.push import push
from benchmarks.push import tables as push_tables
from benchmarks.results import Results
from benchmarks.stage import OUTPUT, Stage
from benchmarks.whole import whole

SIZES = (10, 100, 1000, 5000)
RESULTS = OUTPUT / "results.json"
#: Parts whose tables are not between those of the others; they run only if they are named.
APART = ("whole", "push")
_PROFILE_LINES = 60


def main() -> None:
    """Measure the selected parts, and report the results."""
    given = _arguments()
    results = Results.load(given.results)
    parts = given.part or [name for name in PARTS if name not in APART]
    for part in parts:
        PARTS[part](results, given)
        results.machine = machine()
        results.save(given.results)
    if {*parts} <= {*APART}:
        if given.write and "whole" in parts:
            report.write_tasks(results)
            print(f"\nWritten: {report.PAGE}, {report.TASKS_PICTURE}")
        return
    print("\n".join(report.plain(results, given.interval)))
    if given.write or len(sys.argv) == 1:
        report.write(results, given.interval)
        print(f"\nWritten: {report.PAGE}, {report.PICTURE}")


def _triggers(results: Results, given: argparse.Namespace) -> None:
    stage, setting = Stage(), Setting(interval=given.interval)
    wanted = [_contender(name) for name in given.only] or [*CONTENDERS.values()]
    for count in given.sizes:
        for contender in wanted:
            print(f"{contender.name}, {count:,} runs ...", flush=True)
            profile = OUTPUT / f"profile-{contender.name}-{count}.prof" if given.profile else None
            found = measure(stage, contender, count, setting, profile)
            if profile is None:
                results.triggers[contender.name, count] = found
                results.save(given.results)
            else:
                print(f"  {found}\n  {_readable(profile)}")


def _readable(profile: Path) -> Path:
    """Write the profile as text: the top functions by own time, then by cumulative time."""
    path = profile.with_suffix(".txt")
    with path.open("w", encoding="utf-8") as sink, redirect_stdout(sink):
        pstats.Stats(str(profile)).sort_stats("tottime").print_stats(_PROFILE_LINES).sort_stats(
            "cumulative"
        ).print_stats(_PROFILE_LINES)
    return path


def _imports(results: Results, _given: argparse.Namespace) -> None:
    print("imports ...", flush=True)
    results.imports = import_costs()


def _limit(results: Results, given: argparse.Namespace) -> None:
    print(f"{given.limit_runs:,} runs behind a limit of {given.limit_rate:g} requests/s ...", flush=True)
    setting = replace(LimitSetting(), count=given.limit_runs, rate=given.limit_rate, interval=given.interval)
    results.limited = limited(Stage(), setting)


def _airflow(results: Results, given: argparse.Namespace) -> None:
    print(f"a whole Airflow, {given.groups:,} tasks ...", flush=True)
    results.whole = whole(given.groups)


def _floor(results: Results, given: argparse.Namespace) -> None:
    names = [name for name in NAMES if name == FLOOR or not given.only or name in given.only]
    for tasks in given.tasks:
        print(f"{', '.join(names)}: {tasks:,} tasks, in turns ...", flush=True)
        found = floor(tasks, given.rounds, names)
        kept = [one for one in results.rounds if one.tasks != tasks or one.name not in names]
        results.rounds = [*kept, *found]
        results.save(given.results)
    print("\n".join([*table(results.rounds), "", *cost_table(results.rounds)]), flush=True)


def _push(_results: Results, given: argparse.Namespace) -> None:
    print(f"hints against polls, {given.push_runs:,} runs, and a storm of forged hints ...", flush=True)
    for found in push_tables(*push(given.push_runs)):
        print("\n".join(found.plain()), flush=True)


def _nothing(_results: Results, _given: argparse.Namespace) -> None:
    pass


PARTS: dict[str, Callable[[Results, argparse.Namespace], None]] = {
    "triggers": _triggers,
    "imports": _imports,
    "limit": _limit,
    "airflow": _airflow,
    "whole": _floor,
    "push": _push,
    "report": _nothing,
}


def _contender(name: str) -> Contender:
    return OURS if name == "ours" else CONTENDERS[name]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="measure only this part; repeatable")
    parser.add_argument(
        "--only", action="append", default=[], choices=["ours", *CONTENDERS], help="only this trigger"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="the numbers of runs to measure")
    parser.add_argument("--interval", type=float, default=5.0, help="the poll interval in seconds")
    parser.add_argument(
        "--profile", action="store_true", help="profile the triggers into .local, do not measure"
    )
    parser.add_argument(
        "--limit-runs", type=int, default=LimitSetting.count, help="runs under the rate limit"
    )
    parser.add_argument(
        "--limit-rate", type=float, default=LimitSetting.rate, help="the rate limit per second"
    )
    parser.add_argument("--groups", type=int, default=300, help="the number of tasks of the part airflow")
    parser.add_argument(
        "--tasks", type=int, nargs="+", default=[10, 100, 300], help="the numbers of tasks of the part whole"
    )
    parser.add_argument("--push-runs", type=int, default=1000, help="the waiting runs of the part push")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="the rounds of the part whole")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that stores the results")
    parser.add_argument("--write", action="store_true", help="write the page and its chart")
    return parser.parse_args()


if __name__ == "__main__":
    main()
