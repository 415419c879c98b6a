"""Formats the results as tables, for the terminal and for the documentation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.contenders import CONTENDERS, OURS
from benchmarks.figures import ratio
from benchmarks.measure import Measurement
from benchmarks.results import Results
from benchmarks.targets import targets

_MIB = 1024 * 1024
_FAULTS = (("missed", "events never came"), ("failed", "triggers failed"))
#: Above this share of a core, the server may be the bottleneck.
_BUSY_SERVER = 0.85
#: Above this many cores in use by other processes, the numbers are unreliable.
_DISTURBANCE = 0.2


@dataclass(frozen=True)
class Table:
    """A table of texts with a title."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def plain(self) -> list[str]:
        """The table's lines for a terminal."""
        table = [self.headings, *self.rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(self.headings))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table
        ]
        return ["", self.title, *(line.rstrip() for line in lines)]

    def markdown(self) -> str:
        """The table as Markdown, its title as a heading."""
        lines = [self.headings, ["---"] * len(self.headings), *self.rows]
        return f"### {self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def tables(results: Results, interval: float) -> list[Table]:
    """All tables for which there are results."""
    found = [Table("Targets", ("target", "measured", "reached"), _target_rows(results, interval))]
    found += [_triggers(results, count) for count in results.sizes()]
    if results.imports:
        found.append(_imports(results))
    if results.whole:
        found.append(_whole(results))
    return found


def _target_rows(results: Results, interval: float) -> list[tuple[str, str, str]]:
    return [(line.wanted, line.got, line.verdict) for line in targets(results, interval)]


def _triggers(results: Results, count: int) -> Table:
    headings = (
        "trigger", "requests", "connections", "traffic MiB", "CPU s", "memory MiB",
        "delay median s", "delay p99 s", "loop blocked s", "remarks",
    )  # fmt: skip
    ours = results.ours(count)
    rows = [
        _row(results.triggers[name, count], ours) for name in CONTENDERS if (name, count) in results.triggers
    ]
    return Table(f"{count:,} waiting runs", headings, rows)


def _row(item: Measurement, ours: Measurement | None) -> list[str]:
    if item.note:
        return [item.contender, *["-"] * 8, item.note.splitlines()[0]]
    return [
        item.contender,
        _versus("requests", item, ours, "{:,.0f}"),
        _versus("connections", item, ours, "{:,.0f}"),
        _versus("traffic", item, ours, "{:,.1f}", _MIB),
        _versus("cpu", item, ours, "{:,.2f}"),
        _versus("memory", item, ours, "{:,.0f}", _MIB),
        _versus("median", item, ours, "{:,.2f}"),
        _versus("p99", item, ours, "{:,.2f}"),
        f"{item.pause:.2f}",
        ", ".join(_remarks(item)),
    ]


def _versus(metric: str, item: Measurement, ours: Measurement | None, form: str, unit: float = 1) -> str:
    """A number; for a peer, followed by its ratio to this provider's number."""
    value = getattr(item, metric)
    shown = "never" if value == math.inf else form.format(value / unit)
    if ours is None or item.contender == OURS.name or value == math.inf:
        return shown
    mine = getattr(ours, metric)
    return shown if mine == math.inf else f"{shown} ({times(ratio(mine, value))})"


def times(factor: float) -> str:
    """A factor, rounded to about two significant digits."""
    if factor == math.inf:
        return "infinite"
    digits = 0 if factor >= 10 else 1 if factor >= 0.1 else 2
    return f"{factor:.{digits}f}x"


def _remarks(item: Measurement) -> Iterable[str]:
    for name, shown in _FAULTS:
        if number := getattr(item, name):
            yield f"{number:,} {shown}"
    if item.server >= _BUSY_SERVER:
        yield f"server at {item.server:.0%} of a core"
    if item.others >= _DISTURBANCE:
        yield f"disturbed: {item.others:.1f} cores busy elsewhere"


def _imports(results: Results) -> Table:
    mine = next(cost for cost in results.imports if cost.contender == OURS.name)
    rows = [
        (
            f"`{cost.module}`",
            f"{1000 * cost.seconds:.0f}"
            + (f" ({times(cost.seconds / mine.seconds)})" if cost != mine else ""),
            str(cost.modules),
            f"{cost.memory / _MIB:.1f}",
        )
        for cost in results.imports
    ]
    return Table("Importing the operators", ("module", "ms", "modules loaded", "memory MiB"), rows)


def _whole(results: Results) -> Table:
    found = results.whole
    if found is None:
        raise ValueError("the whole Airflow was not measured")
    rows = [
        ("tasks, and their runs", f"{found.groups:,}, {found.runs:,}"),
        ("requests that started runs", f"{found.submissions:,}"),
        ("end states", ", ".join(f"{number:,} {state}" for state, number in found.states.items())),
        ("start of the DAG run until every task waits", f"{found.deferring:.0f} s"),
        ("end of all runs until the end of the DAG run", f"{found.resuming:.0f} s"),
        ("triggerer, 25 s without a task: CPU", f"{found.idle_cpu:.2f} s"),
        ("triggerer, 25 s with every task waiting: CPU", f"{found.waiting_cpu:.2f} s"),
        ("the same: requests", f"{found.waiting_requests:,}"),
        ("triggerer, the whole DAG run: CPU", f"{found.triggerer_cpu:.1f} s"),
        ("requests, the whole DAG run", ", ".join(f"{n:,} {name}" for name, n in found.requests.items())),
    ]
    return Table("A whole Airflow on PostgreSQL", ("what", "measured"), rows)
