"""Where the gate's study goes: a table and a chart in docs/gate-study.md, between its markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import mean
from typing import TypeAlias

from benchmarks.gate_study import FLAKY_RUNS, FLAKY_TESTS, NIGHTS, TESTS, Quarter
from benchmarks.stage import REPOSITORY

Results: TypeAlias = Mapping[str, Sequence[Quarter]]

PAGE = REPOSITORY / "docs" / "gate-study.md"
PICTURE = REPOSITORY / "docs" / "images" / "gate-study.svg"
BEGIN, END = "<!-- gate-study: begin -->", "<!-- gate-study: end -->"

#: Middle tones, which stand out from white and from black alike; the mark's height says the same as its colour.
HEADS = (
    "gate",
    "false-red nights",
    "red for known breakages alone",
    "red for a breakage: new, or a reminder",
    "missed breakages",
    "nights until reported: mean, longest",
    "extra runs",
    "quarantines extended",
)
INK = "#808a94"
#: Letter, words, colour and height of a night's mark.
MARKS = (
    ("f", "red for a flake alone", "#d4762c", 10),
    ("k", "red for known breakages alone", "#a371f7", 17),
    ("r", "red for a breakage: new, or a reminder", "#2f81f7", 24),
)
_LEFT, _TOP, _CELL, _ROW, _RIGHT = 190, 56, 7, 44, 170


def table(found: Results) -> list[str]:
    """One row for each policy, in Markdown."""
    rows = ["| " + " | ".join(HEADS) + " |", "| --- |" + " ---: |" * (len(HEADS) - 1)]
    for name, quarters in found.items():
        delays = [delay for one in quarters for delay in one.delays]
        extra = mean(one.extra for one in quarters)
        cells = (
            f"`{name}`",
            f"{mean(one.nights.count('f') for one in quarters):.1f}",
            f"{mean(one.nights.count('k') for one in quarters):.1f}",
            f"{mean(one.nights.count('r') for one in quarters):.1f}",
            f"{sum(one.missed for one in quarters)} of {len(delays) + sum(one.missed for one in quarters)}",
            f"{mean(delays):.1f}, {max(delays)}" if delays else "none",
            f"{extra:.0f} ({extra / (NIGHTS * TESTS):.2%})",
            f"{mean(one.extended for one in quarters):.1f}",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def svg(found: Results) -> str:
    """The nights of the first quarter, a row for each policy."""
    width = _LEFT + NIGHTS * _CELL + _RIGHT
    height = _TOP + len(found) * _ROW + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" fill="{INK}">',
        "<style>text { font: 13px system-ui, sans-serif }</style>",
        f"<title>Red nights of one simulated quarter of {NIGHTS} nights, by gate</title>",
        *(
            f'<path d="M{_LEFT + at * 230} {30 - tall}h5v{tall}h-5z" fill="{colour}"/>'
            f'<text x="{_LEFT + at * 230 + 12}" y="30">{words}</text>'
            for at, (_, words, colour, tall) in enumerate(MARKS)
        ),
    ]
    for index, (name, quarters) in enumerate(found.items()):
        base = _TOP + index * _ROW + 30
        nights = quarters[0].nights
        said = f"{nights.count('f')} false-red nights"
        parts += [
            f'<text x="{_LEFT - 12}" y="{base}" text-anchor="end">{escape(name)}</text>',
            f'<path d="M{_LEFT} {base}h{NIGHTS * _CELL}" stroke="{INK}" stroke-opacity="0.4"/>',
            f'<text x="{_LEFT + NIGHTS * _CELL + 12}" y="{base}">{said}</text>',
            *_marks(nights, base),
        ]
    parts.append(f'<text x="{_LEFT}" y="{height - 8}">night 1</text>')
    parts.append(
        f'<text x="{_LEFT + NIGHTS * _CELL}" y="{height - 8}" text-anchor="end">night {NIGHTS}</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _marks(nights: str, base: int) -> Iterator[str]:
    for letter, _, colour, tall in MARKS:
        places = [_LEFT + at * _CELL + 1 for at, one in enumerate(nights) if one == letter]
        bars = [f"M{x} {base}v-{tall}h5v{tall}z" for x in places]
        if bars:
            yield f'<path d="{"".join(bars)}" fill="{colour}"/>'


def markdown(found: Results, steady: Results, page: Path = PAGE, picture: Path = PICTURE) -> str:
    """What stands between the page's markers.

    :param steady: the same without flaky tests.
    """
    quarters = len(next(iter(found.values())))
    said = (
        f"{quarters} simulated quarters of {NIGHTS} nights and {TESTS} tests. {FLAKY_TESTS:.0%} of the tests are "
        f"flaky, and {FLAKY_RUNS:.1%} of all runs are flakes. Figures are means of a quarter; missed breakages are "
        "those of all quarters."
    )
    image = picture.relative_to(page.parent).as_posix()
    shown = f"![Red nights of the first quarter, by gate]({image})"
    also = "The same suites and breakages without flaky tests:"
    return "\n".join([said, "", *table(found), "", shown, "", also, "", *table(steady)])


def write(found: Results, steady: Results, page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Put tables and chart into their place.

    :raises ValueError: when the page has no markers.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN} and {END}")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(svg(found), encoding="utf-8")
    text = f"{before}{begin}\n\n{markdown(found, steady, page, picture)}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")
