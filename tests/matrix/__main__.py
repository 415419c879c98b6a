"""`make test-matrix`: runs the cells, `JOBS` of them at a time, and prints the grid of results.

python -m tests.matrix                      run all cells
python -m tests.matrix 2.11 3.3-py3.13      run a row and a cell
python -m tests.matrix --list               list the names of the cells
python -m tests.matrix --grid               print the grid of the stored results
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.docs.markers import between
from tests.matrix.cells import CELLS, REPOSITORY, Cell, chosen
from tests.matrix.results import FAILED, Result, grid, path

LOGS = REPOSITORY / ".local" / "matrix" / "logs"
SHOWN = 60  # the lines to print from the log of a failed cell


def main(words: list[str]) -> int:
    """Run the cells that the words name, and return the exit status: 0 if none failed."""
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
    with ThreadPoolExecutor(int(os.environ.get("JOBS") or 1)) as pool:
        ended = list(pool.map(run, cells))
    show(cells)
    return 1 if FAILED in [result.state for result in ended] else 0


def show(cells: Sequence[Cell]) -> None:
    """Print the grid, and write it into the page that `TESTERARMY_MATRIX_TABLE` names."""
    shown = grid(cells)
    print(f"\n{shown}", flush=True)
    if table := os.environ.get("TESTERARMY_MATRIX_TABLE"):
        page = Path(table)
        page.write_text(between(page.read_text(), "matrix", shown))


def run(cell: Cell) -> Result:
    """Run one cell. Its output goes into a file. If the cell fails, print the end of that file."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{cell.name}.log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "nox", "--session", f"cell({cell.name})"]
        subprocess.run(command, cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, check=False)
    result = Result.of(cell)
    if result is None:
        result = Result(FAILED, "the session ended without a result")
        result.keep(cell)
    steps = ", ".join(f"{name} {seconds:g} s" for name, seconds in result.seconds.items())
    print(f"{cell.name}: {result.state}; {steps or result.reason}", flush=True)
    if result.state == FAILED:
        print(
            f"{result.reason}. End of {log}:",
            *log.read_text().splitlines()[-SHOWN:],
            sep="\n",
            flush=True,
        )
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
