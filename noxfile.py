"""One nox session per cell of the test matrix, each in a fresh environment. `make test-matrix` runs them."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nox

from tests.matrix.cells import AIRFLOWS, CELLS, REPOSITORY, Cell, find_python
from tests.matrix.results import FAILED, PASSED, SKIPPED, Result

nox.options.envdir = ".local/matrix/envs"

#: Packages that may be newer than the Airflow of an old cell, because this provider needs a recent version.
ALWAYS_NEW = ("apache-airflow-providers-common-compat",)
#: Packages that only the unit tests need.
TEST_TOOLS = ("hypothesis", "jsonschema", "junitparser", "lxml", "markdown-it-py", "pytest", "pytest-xdist")
#: Tests that start Airflow 3, need a database server or Node.js, simulate the newest Airflow, or check only the
#: repository.
NOT_IN_A_CELL = (
    "airflow2",
    "chaos",
    "conformance",
    "contract/servers",
    "docs",
    "integration",
    "lineage",
    "matrix",
    "metrics",
    "nights",
    "object_store",
    "queues",
    "rig_tests",
    "simulation",
    "ui/browser",
    "website",
)
#: Tests of what imports no Airflow, as tests/test_architecture.py makes sure. Each Python runs them once, with the
#: newest Airflow, and so do the lowest versions of their dependencies.
WITHOUT_AIRFLOW = ("benchmarks", "client", "contract", "reports", "runs", "sandbox")
#: The files and folders of the unit tests to run, if not all.
FEW = os.environ.get("TESTS", "")
#: Tests, and the first Airflow that has the feature they test.
NEWER = {
    "ui": (3, 1),
    "lifecycle/test_asset_events.py": (3, 3),
    "triggers/test_event_delivery.py": (3, 3),
    "triggers/test_event_piles.py": (3, 3),
    "triggers/test_event_stream.py": (3, 3),
}


@nox.session(venv_backend="none")
@nox.parametrize("cell", [nox.param(cell, id=cell.name) for cell in CELLS])
def cell(session: nox.Session, cell: Cell) -> None:
    """Test the wheel on one Airflow and one Python."""
    reason, python = cell.unsupported, find_python(cell.python)
    if not reason and python is None:
        reason = f"Python {cell.python} is not installed on this machine"
    if reason:
        Result(SKIPPED, reason).keep(cell)
        session.skip(reason)
    result = Result(FAILED)
    try:
        _run(Room(session, cell, str(python)), result)
        result.state, result.reason = PASSED, f"with only these unit tests: {FEW}" if FEW else ""
    finally:
        result.keep(cell)


def _run(room: Room, result: Result) -> None:
    """Run the steps of a cell. The first failure ends it, and the step's name becomes the reason of the result."""

    @contextmanager
    def step(name: str) -> Iterator[None]:
        begin, result.reason = time.monotonic(), f"in the step: {name}"
        yield
        result.seconds[name] = round(time.monotonic() - begin, 1)

    with step("install the wheel alone"):
        room.create()
        room.install()
    with step("use the wheel alone"):
        room.airflow("db", "migrate", silent=True)
        room.python("-P", REPOSITORY / "tests/matrix/check_wheel.py", *room.examples)
    with step("install the test tools"):
        room.install("sandbox", *TEST_TOOLS)
    with step("unit tests"):
        missing = [name for name, since in NEWER.items() if room.airflow_version < since]
        repeated = () if room.runs_all_tests else WITHOUT_AIRFLOW
        ignored = [f"--ignore=tests/{name}" for name in (*NOT_IN_A_CELL, *missing, *repeated)]
        words = (
            *(FEW or "tests").split(),
            *ignored,
            "-m",
            "not integration",
            "-q",
            "-p",
            "no:cacheprovider",
            "-n",
            "2",
        )
        room.python("-m", "pytest", *words, cwd=REPOSITORY)
    with step("examples by dag.test()"):
        room.python("-P", REPOSITORY / "tests/matrix/check_examples.py", *room.examples)
    with step("two nights with memory_path"):
        matrix = REPOSITORY / "tests" / "matrix"
        room.python("-P", matrix / "check_memory.py", matrix / "dags" / "remembers.py")
    with step("docs/getting-started.md"):
        room.python("-P", REPOSITORY / "tests/docs/follow.py", REPOSITORY / "docs/getting-started.md")


def _needed_airflow(example: Path) -> tuple[int, ...]:
    """The version of Airflow that an example says it needs."""
    said = re.search(r"It needs Airflow (\d+)\.(\d+)", example.read_text())
    return tuple(map(int, said.groups())) if said else (0,)


class Room:
    """A cell's own environment and Airflow home. The repository is not on its path."""

    def __init__(self, session: nox.Session, cell: Cell, interpreter: str) -> None:
        self._session = session
        self._cell = cell
        self._interpreter = interpreter
        self.folder = REPOSITORY / ".local" / "matrix" / "cells" / cell.name
        self._home = self.folder / "home"
        found = sorted((REPOSITORY / "example_dags").glob("*.py"))
        #: Copies of the examples that this Airflow can run: Airflow parses all files of a folder.
        self.examples = [
            self.folder / "example_dags" / path.name
            for path in found
            if _needed_airflow(path) <= self.airflow_version
        ]

    @property
    def airflow_version(self) -> tuple[int, ...]:
        """Major and minor version."""
        return tuple(map(int, self._cell.airflow.minor.split(".")))

    @property
    def runs_all_tests(self) -> bool:
        """Whether the cell also runs the tests of what imports no Airflow."""
        return self._cell.lowest or self._cell.airflow is AIRFLOWS[-1]

    def create(self) -> None:
        """Create an empty environment."""
        self._session.run("rm", "-rf", self.folder, external=True, silent=True)
        self._home.mkdir(parents=True)
        for example in self.examples:
            example.parent.mkdir(exist_ok=True)
            example.write_text((REPOSITORY / "example_dags" / example.name).read_text())
        # The lists that examples read beside their file.
        for beside in (REPOSITORY / "example_dags").glob("*.yaml"):
            (self.folder / "example_dags" / beside.name).write_text(beside.read_text())
        self._uv("venv", "--quiet", "--no-project", "--python", self._interpreter, self.folder / "venv")

    def install(self, extra: str = "", *tools: str) -> None:
        """Install the wheel with its dependencies (and those of an extra), and the newest matching tools."""
        lock, pin = self.folder / "requirements.txt", self.folder / "requirements.in"
        pin.write_text("" if self._cell.lowest else f"apache-airflow=={self._cell.airflow.patch}\n")
        until = ("--exclude-newer", self._cell.airflow.until)
        until += tuple(f"--exclude-newer-package={name}=false" for name in ALWAYS_NEW)
        python = ("--python", self._python)
        extras = ("--extra", extra) if extra else ()
        resolution = "lowest-direct" if self._cell.lowest else "highest"
        self._uv("pip", "compile", "--quiet", REPOSITORY / "pyproject.toml", pin, *extras, *python, *until,
                 "--resolution", resolution, "--output-file", lock,
                 "--no-emit-package", "airflow-provider-testerarmy")  # fmt: skip
        self._uv("pip", "install", "--quiet", *python, "--requirements", lock)
        if tools:
            self._uv("pip", "install", "--quiet", *python, *until, "--constraints", lock, *tools)
        (wheel,) = (REPOSITORY / "dist").glob("*.whl")
        self._uv("pip", "install", "--quiet", *python, "--no-deps", "--reinstall", wheel)
        self._uv("pip", "check", "--quiet", *python)

    @property
    def _python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    def python(self, *words: object, cwd: Path | None = None) -> None:
        """Run the environment's Python outside of the repository, so that it imports the installed wheel."""
        with self._session.chdir(cwd or self._home):
            self._session.run(
                self._python, *words, external=True, env=self._environment(), include_outer_env=False
            )

    def airflow(self, *words: str, silent: bool = False) -> None:
        """Run the environment's Airflow."""
        command = self.folder / "venv" / "bin" / "airflow"
        with self._session.chdir(self._home):
            self._session.run(
                command,
                *words,
                external=True,
                env=self._environment(),
                include_outer_env=False,
                silent=silent,
            )

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
        return kept | {
            "PATH": f"{self.folder / 'venv' / 'bin'}{os.pathsep}{kept.get('PATH', '')}",
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "*",
        }

    def _uv(self, *words: object) -> None:
        self._session.run(
            Path(sys.executable).with_name("uv"), *words, external=True, env={"UV_LINK_MODE": "hardlink"}
        )
