"""The chart of what one task costs in a whole Airflow, by number of tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from benchmarks.chart import page, panel
from benchmarks.entrants import FLOOR, NAMES
from benchmarks.floor import Round, median_of

#: Ours first and the floor last, so that providers have the colours of the other chart.
_ORDER: Final = (*(name for name in NAMES if name != FLOOR), FLOOR)


def svg(rounds: Sequence[Round]) -> str:
    """The chart as SVG. A figure that falls with the number of tasks has a fixed share."""
    names = [name for name in _ORDER if any(one.name == name for one in rounds)]
    figures: tuple[tuple[str, Callable[[str, int], float], float], ...] = (
        ("Seconds until all tasks wait", lambda name, tasks: median_of(rounds, name, tasks, "deferring"), 1),
        ("Seconds until all have resumed", lambda name, tasks: median_of(rounds, name, tasks, "resuming"), 1),
        ("API server, CPU ms per task", partial(_per_task, rounds, "api-server"), 10),
        ("Scheduler and tasks, CPU ms per task", partial(_per_task, rounds, "scheduler"), 10),
        ("Triggerer, CPU ms per task", partial(_per_task, rounds, "triggerer"), 1),
        ("Requests to the service per task", partial(_requests, rounds), 1),
    )
    panels = [partial(_panel, rounds, names, title, figure, lowest) for title, figure, lowest in figures]
    title = "What a task costs in a whole Airflow, by number of tasks and provider; both axes are logarithmic"
    return page(title, names, "by number of tasks", panels)


def _panel(
    rounds: Sequence[Round],
    names: Sequence[str],
    title: str,
    figure: Callable[[str, int], float],
    lowest: float,
    left: float,
    top: float,
) -> list[str]:
    measured = {(one.name, one.tasks) for one in rounds}
    sizes = sorted({tasks for _, tasks in measured})
    lines = [{tasks: figure(name, tasks) for tasks in sizes if (name, tasks) in measured} for name in names]
    return panel(lines, sizes, title, lowest, left, top)


def _per_task(rounds: Sequence[Round], process: str, name: str, tasks: int) -> float:
    return 1000 * median_of(rounds, name, tasks, "cpu", process) / tasks


def _requests(rounds: Sequence[Round], name: str, tasks: int) -> float:
    return median_of(rounds, name, tasks, "requests") / tasks
