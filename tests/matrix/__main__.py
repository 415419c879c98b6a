"""`make test-matrix`: runs the cells one after the other, and prints the grid.

python -m tests.matrix                      all cells
python -m tests.matrix 2.11 3.3-py3.13      a row and a cell
python -m tests.matrix --list               their names
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.docs.markers import between
from tests.matrix.cells import CELLS, REPOSITORY, Cell, chosen
from tests.matrix.results import FAILED, Result, grid, path

LOGS = REPOSITORY / ".local" / "matrix" / "logs"
SHOWN = 60  # lines of the log of a cell that failed


def main(words: list[str]) -> int:
    """Run the cells that the words name; 0 when none failed."""
    if words == ["--list"]:
        print("\n".join(cell.name for cell in CELLS))
        return 0
    if words == ["--grid"]:
        show(CELLS)
        return 0
    try:
        cells = chosen(words)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for cell in cells:
        path(cell).unlink(missing_ok=True)
    failed = [cell for cell in cells if run(cell).state == FAILED]
    show(cells)
    return 1 if failed else 0


def show(cells: Sequence[Cell]) -> None:
    """Print the grid, and write it into the page that the environment names."""
    shown = grid(cells)
    print(f"\n{shown}", flush=True)
    if table := os.environ.get("TESTERARMY_MATRIX_TABLE"):
        page = Path(table)
        page.write_text(between(page.read_text(), "matrix", shown))


def run(cell: Cell) -> Result:
    """Run one cell; what it prints goes into a file, whose end is shown when it fails."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{cell.name}.log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "nox", "--session", f"cell({cell.name})"]
        subprocess.run(command, cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, check=False)
    result = Result.of(cell)
    if result is None:
        result = Result(FAILED, "it ended without a result")
        result.keep(cell)
    steps = ", ".join(f"{name} {seconds:g} s" for name, seconds in result.seconds.items())
    print(f"{cell.name}: {result.state}; {steps or result.reason}", flush=True)
    if result.state == FAILED:
        print(
            f"{result.reason}; the end of {log}:",
            *log.read_text().splitlines()[-SHOWN:],
            sep="\n",
            flush=True,
        )
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
