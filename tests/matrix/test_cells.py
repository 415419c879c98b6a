from __future__ import annotations

import re
import sys
import tomllib

import pytest
import yaml

from tests.matrix import results
from tests.matrix.cells import AIRFLOWS, CELLS, PYTHONS, REPOSITORY, chosen, find_python
from tests.matrix.results import FAILED, PASSED, SKIPPED, Result, grid

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def test_every_promised_python_is_a_column():
    """Those that the package's classifiers name."""
    found = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tuple(found) == PYTHONS


def test_the_newest_airflow_is_that_of_the_other_tests():
    """So continuous integration need not run that cell."""
    lock = tomllib.loads((REPOSITORY / "uv.lock").read_text())
    (locked,) = [each["version"] for each in lock["package"] if each["name"] == "apache-airflow"]
    assert locked.startswith(f"{AIRFLOWS[-1].minor}.")


def test_every_cell_that_does_not_exist_says_why():
    """And each supported one exists."""
    assert [
        cell.name for cell in CELLS if bool(cell.unsupported) == (cell.python in cell.airflow.pythons)
    ] == []


def test_cells_are_chosen_by_row_or_by_name():
    """Nothing chooses all."""
    assert [cell.name for cell in chosen(["2.11", "lowest-py3.11"])] == [
        *(f"2.11-py{python}" for python in PYTHONS),
        "lowest-py3.11",
    ]
    assert chosen([]) == list(CELLS)
    with pytest.raises(ValueError, match=r"no cell '2\.10'"):
        chosen(["2.10"])


def test_the_cells_of_continuous_integration_exist():
    """The oldest Airflow with the lowest versions; the newest is what `make test` runs on."""
    (words,) = re.findall(r'CELLS="([^"]+)"', (REPOSITORY / ".ci" / "run").read_text())
    [cell] = chosen(words.split())
    assert cell.lowest


def test_the_workflow_runs_what_everybody_can_run():
    """The same script and targets as on any machine."""
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())
    ran = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert [command.split(" CELLS=")[0] for command in ran] == [".ci/run", "make test-matrix"]
    rows = re.findall(r"([\w.]+)-py\$", ran[1])
    assert rows == list(dict.fromkeys(cell.row for cell in CELLS))


def test_a_python_of_pyenv_is_found(tmp_path, monkeypatch):
    """Wherever its root is, and the newest of several; one that does not run is passed over."""
    own = "{}.{}".format(*sys.version_info[:2])
    for version in ("9", "10"):
        folder = tmp_path / "versions" / f"{own}.{version}" / "bin"
        folder.mkdir(parents=True)
        (folder / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python(own) == str(tmp_path / "versions" / f"{own}.10" / "bin" / "python")
    assert find_python("3.99") is None


def test_the_grid(tmp_path, monkeypatch):
    """Each cell with its time; what did not pass, or ran only some tests, with the reason."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    cells = chosen(["2.11"])
    Result(PASSED, seconds={"unit tests": 60.0, "examples": 30.0}).keep(cells[0])
    Result(FAILED, "in the step: unit tests", {"install": 5.0}).keep(cells[1])
    Result(SKIPPED, "not released for it").keep(cells[2])
    assert grid(cells).splitlines() == [
        "| Airflow | Python 3.11 | Python 3.12 | Python 3.13 |",
        "| --- | --- | --- | --- |",
        "| 2.11.2 | passed (90 s) | FAILED (5 s) | skipped |",
        "",
        "* 2.11-py3.12 FAILED: in the step: unit tests",
        "* 2.11-py3.13 skipped: not released for it",
    ]
    for cell in cells[:2]:
        Result(PASSED, "with only these unit tests: tests/hooks").keep(cell)
    shared = "* 2.11-py3.11, 2.11-py3.12 passed: with only these unit tests: tests/hooks"
    assert shared in grid(cells).splitlines()
