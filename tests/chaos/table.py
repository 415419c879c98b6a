"""The outcomes of all cases as a table, for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.chaos.cases import ANY, Outcome

#: The table between these lines of an existing file is replaced; a file without them is overwritten.
BEGIN = "<!-- chaos table: begin -->\n"
END = "<!-- chaos table: end -->\n"

HEADINGS = (
    "what goes wrong",
    "task",
    "mode",
    "POSTs that took effect",
    "runs left active",
    "task state",
    "seconds",
)


def rows(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    """Return one row per case; unexpected values are marked."""
    return [
        (
            f"{o.case.area}: {o.case.what}" + (f" ({o.note})" if o.note else ""),
            "test" if o.case.kind in ("limited", "own") else o.case.kind,
            o.case.mode,
            _marked(o.posts, o.case.posts),
            _marked(o.active, o.case.active),
            _marked(o.state, o.case.state),
            f"{o.seconds:.1f}",
        )
        for o in outcomes
    ]


def _marked(got: object, wanted: object) -> str:
    return str(got) if wanted in (got, ANY, None) else f"{got} (must be {wanted})"


def plain(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the table's lines for a terminal."""
    table = [HEADINGS, *rows(outcomes)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]


def markdown(outcomes: Iterable[Outcome]) -> str:
    """Return the table as Markdown."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *rows(outcomes)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write the table as Markdown, between the file's markers if it has them."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    written = f"{before}{begin}\n{markdown(outcomes)}\n{end}{after}" if begin and end else markdown(outcomes)
    path.write_text(written, encoding="utf-8")
