"""The result of each cell, stored in one file per cell and shown as a grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.matrix.cells import CELLS, PYTHONS, REPOSITORY, Cell

FOLDER = REPOSITORY / ".local" / "matrix" / "results"
PASSED, FAILED, SKIPPED = "passed", "FAILED", "skipped"


@dataclass(slots=True)
class Result:
    """The result of one cell.

    :param state: one of PASSED, FAILED and SKIPPED.
    :param reason: the step that failed, why the cell was skipped, or which tests it ran if not all.
    :param seconds: the duration of each step, by its name.
    """

    state: str
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def keep(self, cell: Cell) -> None:
        """Store the result."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        path(cell).write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def of(cls, cell: Cell) -> Result | None:
        """The newest stored result of the cell, None if it has never run."""
        return cls(**json.loads(path(cell).read_text())) if path(cell).exists() else None


def path(cell: Cell) -> Path:
    """The path of the file with a cell's result."""
    return FOLDER / f"{cell.name}.json"


def grid(cells: Sequence[Cell]) -> str:
    """The table of these cells, followed by a line for each cell that did not pass, or ran only some tests."""
    results = {cell: Result.of(cell) for cell in cells}
    rows = list(dict.fromkeys(cell.row for cell in CELLS if cell in results))
    lines = ["| Airflow | " + " | ".join(f"Python {python}" for python in PYTHONS) + " |"]
    lines.append("| --- |" + " --- |" * len(PYTHONS))
    for row in rows:
        shown = [
            next(
                (
                    _shown(result)
                    for cell, result in results.items()
                    if (cell.row, cell.python) == (row, python)
                ),
                "",
            )
            for python in PYTHONS
        ]
        patch = next(cell.airflow.patch for cell in cells if cell.row == row)
        lines.append(f"| {_named(row, patch)} | " + " | ".join(shown) + " |")
    return "\n".join([*lines, "", *_remarks(results)]).rstrip()


def _named(row: str, patch: str) -> str:
    return f"{patch}, lowest versions" if row == "lowest" else patch


def _shown(result: Result | None) -> str:
    if result is None:
        return "not run"
    took = sum(result.seconds.values())
    return f"{result.state} ({took:.0f} s)" if took else result.state


def _remarks(results: dict[Cell, Result | None]) -> list[str]:
    names: dict[tuple[str, str], list[str]] = {}
    for cell, result in results.items():
        if result is not None and result.reason:
            names.setdefault((result.state, result.reason), []).append(cell.name)
    return [f"* {', '.join(cells)} {state}: {reason}" for (state, reason), cells in names.items()]
