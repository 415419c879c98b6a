"""Writes the results to the terminal and into the documentation, with a chart."""

from __future__ import annotations

from pathlib import Path

from benchmarks import chart, floor, floor_chart
from benchmarks.results import Results
from benchmarks.stage import REPOSITORY
from benchmarks.tables import tables

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURE = REPOSITORY / "docs" / "images" / "performance.svg"
TASKS_PICTURE = REPOSITORY / "docs" / "images" / "tasks.svg"
#: The results between these lines of the page are generated; the text around them is written by hand.
BEGIN = "<!-- benchmark: begin -->\n"
END = "<!-- benchmark: end -->\n"
#: The same for the part `whole`, which is measured apart.
TASKS_BEGIN = "<!-- tasks: begin -->\n"
TASKS_END = "<!-- tasks: end -->\n"


class NoPlaceError(Exception):
    """The page has no markers for the results."""


def plain(results: Results, interval: float) -> list[str]:
    """All tables for a terminal."""
    return [line for table in tables(results, interval) for line in table.plain()]


def markdown(results: Results, interval: float) -> str:
    """The text between the page's markers."""
    facts = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    picture = (
        f"![What waiting costs, by number of waiting runs]({PICTURE.relative_to(PAGE.parent).as_posix()})"
    )
    written = "\n".join(table.markdown() for table in tables(results, interval))
    return f"Measured with: {facts}.\n\n{picture}\n\n{written}"


def write(results: Results, interval: float, page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Write the results between the page's markers, and the chart into its file.

    :raises NoPlaceError: the page has no markers.
    """
    _write(markdown(results, interval), BEGIN, END, page)
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(chart.svg(results), encoding="utf-8")


def tasks_markdown(results: Results) -> str:
    """The tables and the chart of the part `whole`."""
    picture = TASKS_PICTURE.relative_to(PAGE.parent).as_posix()
    facts = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    number = max((_rounds_of(results, one.name, one.tasks) for one in results.rounds), default=0)
    return "\n".join(
        [
            f"Medians of {number} rounds. Measured with: {facts}.",
            "",
            f"![What a task costs in a whole Airflow, by number of tasks]({picture})",
            "",
            *floor.table(results.rounds),
            "",
            "What one task costs in each process. The scheduler forks the processes of tasks, so its figure",
            "includes them. The last columns are calls to Airflow's API server.",
            "",
            *floor.cost_table(results.rounds),
            "",
        ]
    )


def _rounds_of(results: Results, name: str, tasks: int) -> int:
    return sum((one.name, one.tasks) == (name, tasks) for one in results.rounds)


def write_tasks(results: Results, page: Path = PAGE, picture: Path = TASKS_PICTURE) -> None:
    """Write the tables of the part `whole` between the page's second markers, and the chart into its file.

    :raises NoPlaceError: the page has no markers.
    """
    _write(tasks_markdown(results), TASKS_BEGIN, TASKS_END, page)
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(floor_chart.svg(results.rounds), encoding="utf-8")


def _write(written: str, begins: str, ends: str, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise NoPlaceError(f"{page} has no lines {begins.strip()} and {ends.strip()}")
    page.write_text(f"{before}{begin}\n{written}\n{end}{after}", encoding="utf-8")
