"""The results of all executors as a table, for the terminal and for the documentation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.random_kills.events import NOTHING, Event, Key
from tests.chaos.random_kills.evidence import Evidence, Violation

BEGIN: Final = "<!-- random kills table: begin -->\n"
END: Final = "<!-- random kills table: end -->\n"
HEADINGS: Final = ("event", "executor", "count", "final states of the affected tasks", "violations")
ALL: Final = {"kill": "all kills", "user": "all user actions", "fault": "all faults"}


@dataclass(frozen=True)
class Result:
    """The result on one executor."""

    executor: str
    seed: int
    evidence: Evidence
    violations: list[Violation]


Row = tuple[str, str, str, str, str]


def rows(result: Result) -> list[Row]:
    """Return a row for each event name, one for each kind of event, and one for all tasks."""
    events = [event for event in result.evidence.events if event.name != NOTHING]
    found: list[Row] = []
    for kind, heading in ALL.items():
        some = [event for event in events if event.kind == kind]
        names = sorted({event.name for event in some})
        # The tasks that a fault affects are not known.
        found += [_row(result, name, [event for event in some if event.name == name]) for name in names]
        found.append(_row(result, heading, some))
    states = Counter(task.state for task in result.evidence.tasks)
    whole = f"all events (seed {result.seed})"
    found.append((whole, result.executor, str(len(events)), _told(states), str(len(result.violations))))
    return found


def _row(result: Result, name: str, events: list[Event]) -> Row:
    affected: set[Key] = {key for event in events for key in event.affected}
    states = Counter(task.state for task in result.evidence.tasks if task.key in affected)
    wrong = sum(violation.key in affected for violation in result.violations)
    return name, result.executor, str(len(events)), _told(states) or "-", str(wrong) if affected else "-"


def _told(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def plain(table: list[Row]) -> list[str]:
    """Return the lines for a terminal."""
    lines = [HEADINGS, *table]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def write(path: Path, results: list[Result]) -> None:
    """Write the table into its place; rows of executors that were not run stay as they are."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the table")
    played = {result.executor for result in results}
    kept = [line for line in old.splitlines() if line.startswith("| ") and _executor(line) not in played]
    lines = kept or [_line(HEADINGS), _line(("---",) * len(HEADINGS))]
    lines += [_line(row) for result in results for row in rows(result)]
    table = "\n".join(lines)
    path.write_text(f"{before}{begin}\n{table}\n\n{end}{after}", encoding="utf-8")


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _executor(line: str) -> str:
    return line.split(" | ")[1]
