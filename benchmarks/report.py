"""Writes the results to the terminal and into the documentation, with a chart."""

from __future__ import annotations

from pathlib import Path

from benchmarks import chart
from benchmarks.results import Results
from benchmarks.stage import REPOSITORY
from benchmarks.tables import tables

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURE = REPOSITORY / "docs" / "images" / "performance.svg"
#: The results between these lines of the page are generated; the text around them is written by hand.
BEGIN = "<!-- benchmark: begin -->\n"
END = "<!-- benchmark: end -->\n"


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
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlaceError(f"{page} has no lines {BEGIN.strip()} and {END.strip()}")
    page.write_text(f"{before}{begin}\n{markdown(results, interval)}\n{end}{after}", encoding="utf-8")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(chart.svg(results), encoding="utf-8")
