"""A world's history as a drawing by time: who did what, one line an event."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH = 108


def draw(history: Sequence[tuple[float, str, str]]) -> str:
    """The history as text: a column for each of those who take part, time running down."""
    names = list(dict.fromkeys(who for _, who, _ in history))
    letters = {name: _letter(number) for number, name in enumerate(names)}
    legend = [f"  {letters[name]} = {name}" for name in names]
    lines = [_line(when, letters[who], list(letters.values()), what) for when, who, what in history]
    return "\n".join([*legend, "", *lines])


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else chr(ord("a") + number - 26)


def _line(when: float, letter: str, letters: list[str], what: str) -> str:
    lanes = "".join(each if each == letter else "·" for each in letters)
    text = what if len(what) <= _WIDTH else what[: _WIDTH - 1] + "…"
    return f"{when:9.2f}  {lanes}  {text}"
