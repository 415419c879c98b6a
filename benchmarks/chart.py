"""The chart of each contender's cost by number of waiting runs, readable on light and dark backgrounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Measurement
from benchmarks.results import Results

#: Mid tones, which contrast with white and with black. Each line also has its own marker shape.
COLOURS = ("#2f81f7", "#d4762c", "#a371f7", "#3a9d5d", "#808a94")
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
    panels = [partial(_panel, results, title, metric, floor) for title, metric, floor in _METRICS]
    title = "What waiting costs, by number of waiting runs and provider; both axes are logarithmic"
    return page(title, [*CONTENDERS], "by number of waiting runs", panels)


def page(
    title: str, names: Sequence[str], by: str, panels: Sequence[Callable[[float, float], list[str]]]
) -> str:
    """A chart as SVG, with two diagrams beside each other.

    :param names: the contenders, in the order of their colours.
    :param by: what the horizontal axes show.
    :param panels: each draws a diagram at its left and top pixel.
    """
    width = 2 * (_WIDTH + _GAP) + 10
    height = _TOP + (len(panels) + 1) // 2 * (_HEIGHT + _GAP) - 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" fill="{INK}">',
        "<style>text { font: 13px system-ui, sans-serif }</style>",
        f"<title>{escape(title)}</title>",
        *_legend(names, by),
    ]
    for index, draw in enumerate(panels):
        parts += draw(_LEFT + (index % 2) * (_WIDTH + _GAP), _TOP + (index // 2) * (_HEIGHT + _GAP))
    return "\n".join([*parts, "</svg>", ""])


def _legend(names: Sequence[str], by: str) -> list[str]:
    parts, apart = [], 680 // max(len(names), 1)
    for index, name in enumerate(names):
        x = _LEFT + 8 + index * min(apart, 170)
        parts.append(_mark(index, x, 26))
        parts.append(f'<text x="{x + 14}" y="31" style="font-size:15px">{escape(name)}</text>')
    right = _LEFT + 2 * _WIDTH + _GAP
    parts.append(f'<text x="{right}" y="31" text-anchor="end">{escape(by)}</text>')
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
    figures = {
        name: {size: metric(drawn[name, size]) for size in results.sizes() if (name, size) in drawn}
        for name in CONTENDERS
    }
    return panel([*figures.values()], results.sizes(), title, floor, left, top)


def panel(
    lines: Sequence[Mapping[int, float]],
    sizes: Sequence[int],
    title: str,
    floor: float,
    left: float,
    top: float,
) -> list[str]:
    """One diagram with a line for each contender.

    :param lines: the figures of each contender, by size.
    :param floor: the lowest value of the scale.
    """
    across = Scale(
        math.log10(min(sizes, default=10)) - 0.1,
        math.log10(max(sizes, default=5000)) + 0.1,
        left,
        left + _WIDTH,
    )
    up = Scale.over([value for line in lines for value in line.values()], floor, top + _HEIGHT, top)
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
    for index, line in reversed([*enumerate(lines)]):
        parts += _line(index, [(across(size), up(value)) for size, value in sorted(line.items())])
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
        f'<path d="M{x - 6} {y - 2}h12v4h-12z"',
    )
    return f'{shapes[index]} fill="{COLOURS[index]}"/>'
