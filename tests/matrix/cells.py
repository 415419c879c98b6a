"""The cells of the matrix: an Airflow, a Python, and the date up to which dependencies are resolved.

This module imports only the standard library, because it also runs outside of the cells.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True, slots=True)
class Airflow:
    """The newest patch release of a minor version of Airflow, as of November 2026.

    :param until: the date up to which packages are considered, as Airflow's constraints file does for users. This
        Airflow was never tested with later ones. With the packages of November 2026, no task runs on two versions.
        The API of Airflow 3.0 refuses its own requests, and pydantic 2.14 cannot build a model of Airflow 3.2.
    :param pythons: the versions in :data:`PYTHONS` that it supports.
    :param why_not: the reason why it does not support the others.
    """

    patch: str
    until: str
    pythons: tuple[str, ...] = PYTHONS
    why_not: str = ""

    @property
    def minor(self) -> str:
        """The minor version, which names its row in the grid."""
        return ".".join(self.patch.split(".")[:2])


AIRFLOWS = (
    Airflow("2.11.2", "2026-03-16", ("3.11", "3.12"), "Airflow 2.11 was not released for Python 3.13"),
    Airflow("3.0.6", "2025-09-01", ("3.11", "3.12"), "Airflow 3.0 was not released for Python 3.13"),
    Airflow("3.1.8", "2026-03-13"),
    Airflow("3.2.2", "2026-05-31"),
    Airflow("3.3.2", "2026-09-19"),
)

#: The lowest versions of the direct dependencies that pyproject.toml allows. Their own dependencies are resolved as
#: of that date.
LOWEST = Airflow("2.11.0", "2025-06-01", ("3.11",), "one Python is enough for the lowest versions")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: an environment with one Airflow and one Python."""

    airflow: Airflow
    python: str
    lowest: bool = False

    @property
    def name(self) -> str:
        """The name of the cell, for the command line and the grid."""
        return f"{self.row}-py{self.python}"

    @property
    def row(self) -> str:
        """The cell's row in the grid."""
        return "lowest" if self.lowest else self.airflow.minor

    @property
    def unsupported(self) -> str:
        """The reason why this combination does not exist, empty if it does."""
        return "" if self.python in self.airflow.pythons else self.airflow.why_not


CELLS = tuple(
    [Cell(airflow, python) for airflow in AIRFLOWS for python in PYTHONS]
    + [Cell(LOWEST, python, lowest=True) for python in PYTHONS]
)


def chosen(words: list[str]) -> list[Cell]:
    """The cells that the words name. A word is the name of a cell or of a row; no words select all cells.

    :raises ValueError: for an unknown name.
    """
    for word in words:
        if not any(word in (cell.name, cell.row) for cell in CELLS):
            known = ", ".join(cell.name for cell in CELLS)
            raise ValueError(f"There is no cell {word!r}. The cells are {known}.")
    return [cell for cell in CELLS if not words or cell.name in words or cell.row in words]


def find_python(version: str) -> str | None:
    """The path of an interpreter of this minor version, from the PATH or from pyenv; None if there is none."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted((root / "versions").glob(f"{version}*/bin/python"), key=_patch, reverse=True)
    on_path = [shutil.which(f"python{version}"), shutil.which("python3")]
    for path in (*on_path, *map(str, installed)):
        # pyenv puts a shim for every version on the PATH, also for versions that are not active and do not run.
        if path and _version_of(path) == version:
            return path
    return None


def _patch(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parts[-3])]


def _version_of(path: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    ended = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return ended.stdout.strip()
