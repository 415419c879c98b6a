"""The chart of each contender's cost by number of waiting runs, readable on light and dark backgrounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Measurement
from benchmarks.results import Results

#: Mid tones, which contrast with white and with black. Each line also has its own marker shape.
COLOURS = ("#2f81f7", "#d4762c", "#a371f7", "#3a9d5d")
INK = "#808a94"
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 380, 190, 70, 84, 80
_METRICS: tuple[tuple[str, Callable[[Measurement], float], float], ...] = (
    ("Requests in 25 s", lambda item: item.requests, 1),
    ("Connections in 25 s", lambda item: item.connections, 1),
    ("CPU-seconds in 25 s", lambda item: item.cpu, 0.1),
    ("Delay from end to event, p99, s", lambda item: item.p99, 0.1),
)


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale from whole powers of ten to pixels."""

    low: float
    high: float
    begin: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], floor: float, begin: float, end: float) -> Scale:
        """A scale over all values; values below the floor are drawn at the floor."""
        top = max([*values, 10 * floor])
        return cls(math.log10(floor), math.ceil(math.log10(top)), begin, end)

    def __call__(self, value: float) -> float:
        """The pixel position of a value."""
        share = (math.log10(max(value, 10**self.low)) - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self) -> list[float]:
        """The powers of ten within the scale."""
        return [10.0**power for power in range(math.ceil(self.low), math.floor(self.high) + 1)]


def svg(results: Results) -> str:
    """The chart as SVG."""
    width = 2 * (_WIDTH + _GAP) + 10
    height = _TOP + 2 * (_HEIGHT + _GAP) - 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" fill="{INK}">',
        "<style>text { font: 13px system-ui, sans-serif }</style>",
        "<title>What waiting costs, by number of waiting runs and provider; both axes are logarithmic</title>",
        *_legend(),
    ]
    for index, (title, metric, floor) in enumerate(_METRICS):
        left = _LEFT + (index % 2) * (_WIDTH + _GAP)
        top = _TOP + (index // 2) * (_HEIGHT + _GAP)
        parts += _panel(results, title, metric, floor, left, top)
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> list[str]:
    parts = []
    for index, name in enumerate(CONTENDERS):
        x = _LEFT + 8 + index * 170
        parts.append(_mark(index, x, 26))
        parts.append(f'<text x="{x + 14}" y="31" style="font-size:15px">{escape(name)}</text>')
    right = _LEFT + 2 * _WIDTH + _GAP
    parts.append(f'<text x="{right}" y="31" text-anchor="end">by number of waiting runs</text>')
    return parts


def _panel(
    results: Results,
    title: str,
    metric: Callable[[Measurement], float],
    floor: float,
    left: float,
    top: float,
) -> list[str]:
    drawn = {key: item for key, item in results.triggers.items() if not item.note and metric(item) < math.inf}
    sizes = results.sizes()
    across = Scale(
        math.log10(min(sizes, default=10)) - 0.1,
        math.log10(max(sizes, default=5000)) + 0.1,
        left,
        left + _WIDTH,
    )
    up = Scale.over([metric(item) for item in drawn.values()], floor, top + _HEIGHT, top)
    parts = [f'<text x="{left}" y="{top - 12}" style="font-weight:600">{escape(title)}</text>']
    for tick in up.ticks():
        y = up(tick)
        parts.append(
            f'<path d="M{left} {y}H{left + _WIDTH}" stroke="{INK}" stroke-opacity="0.3"/>'
            f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{tick:,g}</text>'
        )
    parts += [
        f'<text x="{across(size)}" y="{top + _HEIGHT + 20}" text-anchor="middle">{size:,}</text>'
        for size in sizes
    ]
    for index, name in reversed([*enumerate(CONTENDERS)]):
        points = [(across(size), up(metric(drawn[name, size]))) for size in sizes if (name, size) in drawn]
        parts += _line(index, points)
    return parts


def _line(index: int, points: Sequence[tuple[float, float]]) -> list[str]:
    if not points:
        return []
    path = "L".join(f"{x} {y}" for x, y in points)
    wide = 3 if index == 0 else 2
    line = f'<path d="M{path}" fill="none" stroke="{COLOURS[index]}" stroke-width="{wide}"/>'
    return [line, *(_mark(index, x, y) for x, y in points)]


def _mark(index: int, x: float, y: float) -> str:
    shapes = (
        f'<circle cx="{x}" cy="{y}" r="5"',
        f'<path d="M{x - 5} {y - 5}h10v10h-10z"',
        f'<path d="M{x} {y - 6}l6 11h-12z"',
        f'<path d="M{x} {y - 7}l6 7l-6 7l-6 -7z"',
    )
    return f'{shapes[index]} fill="{COLOURS[index]}"/>'
