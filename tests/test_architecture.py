"""Checks the layers of the package in every file: a module imports only from layers below its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_testerarmy

OWN = "airflow_provider_testerarmy"
ROOT = Path(airflow_provider_testerarmy.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

GROUND = {"client", "runs", "catalogue"}
#: What each part may import of this package, beside itself. `""` is the package's own `__init__`.
ALLOWED = {
    "client": {""},
    "runs": set(),
    "catalogue": {"runs"},
    "reports": {"runs"},
    "metrics": {"airflow_compat"},
    "configuration": {"client"},
    "hooks": GROUND | {"airflow_compat", "configuration", "metrics", "reports"},
    "exceptions": {"runs"},
    "retries": {"airflow_compat", "exceptions"},
    "airflow_compat": set(),
    "triggers": GROUND | {"hooks", "airflow_compat", "exceptions", "metrics"},
    "lifecycle": GROUND
    | {"hooks", "triggers", "reports", "airflow_compat", "exceptions", "metrics", "configuration", "retries"}
    | {"get_provider_info", ""},
    "operators": GROUND | {"hooks", "lifecycle", "airflow_compat", "configuration", "exceptions"},
    "sensors": GROUND | {"hooks", "lifecycle", "operators", "airflow_compat", "configuration", "exceptions"},
    "decorators": GROUND | {"hooks", "lifecycle", "operators", "airflow_compat", "exceptions"},
    "notifications": GROUND | {"lifecycle", "reports", "airflow_compat"},
    "task_groups": GROUND | {"lifecycle", "operators", "sensors"},
    "deadlines": {"runs", "airflow_compat"},
    "ui": GROUND
    | {"reports", "hooks", "lifecycle", "airflow_compat", "configuration", "get_provider_info", ""},
    "preload": {"client"},
    "listener": {"runs", "lifecycle", "airflow_compat", "get_provider_info", "preload"},
    "plugin": {"listener", "ui", "airflow_compat"},
    "get_provider_info": {"hooks", "configuration", ""},
    "cli": GROUND | {"hooks", "lifecycle", "airflow_compat", "configuration", "get_provider_info", ""},
    "__main__": {"cli"},
    "sandbox": {""},
    "": set(),
}
#: Rooms of one folder that stand side by side on what that folder holds itself; none imports another.
NEIGHBOURS = [
    ("runs", {"submission", "awaiting", "verdict"}),
    ("client", {"testerarmy", "docket"}),
    ("sandbox", {"testerarmy", "docket"}),
]
#: What the memory may import of its folder beside itself: it stands on the verdict, and no room stands on it.
BELOW_MEMORY = {"results", "text", "rendered", "verdict"}
#: Rooms that their neighbours stand on; of their own folder they import themselves alone.
FOUNDATIONS = ["client.http", "sandbox.core"]
#: What stands on the floor of the rooms themselves: the files that put them together.
ROOFS = {"sandbox": {"core", "testerarmy", "docket"}}


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to."""
    first = path.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, also inside functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module == OWN:
                submodules = [
                    alias.name
                    for alias in node.names
                    if (ROOT / alias.name).exists() or (ROOT / f"{alias.name}.py").exists()
                ]
                yield from ((node.lineno, f"{OWN}.{name}") for name in submodules or [""])
            else:
                yield node.lineno, module


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_imports_point_down(path):
    """A new part has to be added to the table first."""
    part = part_of(path)
    own = [
        (line, name.removeprefix(OWN).strip(".")) for line, name in imports(path) if name.split(".")[0] == OWN
    ]
    wrong = [
        f"line {line}: {name}" for line, name in own if name.partition(".")[0] not in ALLOWED[part] | {part}
    ]
    assert wrong == []


@pytest.mark.parametrize(("folder", "rooms"), NEIGHBOURS, ids=["runs", "client", "sandbox"])
def test_no_room_imports_its_neighbour(folder, rooms):
    """Each of them can be read and changed without the others."""
    wrong = [
        f"{named(path)}, line {line}: {name}"
        for room in rooms
        for path in (ROOT / folder / room).rglob("*.py")
        for line, name in imports(path)
        for other in rooms - {room}
        if f"{name}.".startswith(f"{OWN}.{folder}.{other}.")
    ]
    assert wrong == []


def test_the_memory_stands_on_the_verdict_and_only_the_budget_stands_on_it():
    """A gate judges without a memory as it always did. The ledger of a budget needs its cells alone."""
    wrong = [
        f"{named(path)}, line {line}: {name}"
        for path in (ROOT / "runs").rglob("*.py")
        for line, name in imports(path)
        if name.startswith(f"{OWN}.runs.")
        and (
            name.split(".")[2] not in BELOW_MEMORY | {"memory"}
            if path.is_relative_to(ROOT / "runs" / "memory")
            else name.split(".")[2] == "memory"
            and not (path.is_relative_to(ROOT / "runs" / "budget") and name.endswith(".memory.cells"))
        )
    ]
    assert wrong == []


@pytest.mark.parametrize("room", FOUNDATIONS)
def test_what_neighbours_stand_on_imports_neither(room):
    """Shared code does not depend on one vendor's code."""
    folder = room.partition(".")[0]
    wrong = [
        f"{named(path)}, line {line}: {name}"
        for path in (ROOT / room.replace(".", "/")).rglob("*.py")
        for line, name in imports(path)
        if name.startswith(f"{OWN}.{folder}") and not f"{name}.".startswith(f"{OWN}.{room}.")
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ROOFS)
def test_no_room_imports_what_puts_the_rooms_together(folder):
    """Only the files beside these folders know all of them."""
    wrong = [
        f"{named(path)}, line {line}: {name}"
        for room in ROOFS[folder]
        for path in (ROOT / folder / room).rglob("*.py")
        for line, name in imports(path)
        if name.startswith(f"{OWN}.{folder}") and name.split(".")[2:3] not in [[own] for own in ROOFS[folder]]
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if part_of(path) in GROUND | {"sandbox", "reports"}], ids=named
)
def test_the_ground_knows_nothing_of_airflow(path):
    """It can be used and tested without Airflow."""
    assert [line for line, name in imports(path) if name.split(".")[0] == "airflow"] == []


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) == "runs"], ids=named)
def test_the_domain_names_no_vendor(path):
    """A third vendor changes nothing there."""
    text = path.read_text().replace(OWN, "")
    assert re.findall(r"(?i)testerarmy|tester\.army|docket", text) == []


def test_a_sensor_takes_only_the_link_from_the_operators():
    """Airflow stores a link's import path in serialized DAGs, so the links stay where they were."""
    from_operators = re.compile(rf"from {OWN}\.operators\S* import (.+)")
    taken = {
        name
        for path in FILES
        if part_of(path) == "sensors"
        for name in from_operators.findall(path.read_text())
    }
    assert taken == {"DocketRunLink", "TesterArmyRunLink"}


def test_nothing_imports_the_sandbox():
    """The provider works without the sandbox."""
    importers = [
        named(path)
        for path in FILES
        if part_of(path) != "sandbox" and any(name.startswith(f"{OWN}.sandbox") for _, name in imports(path))
    ]
    assert importers == []


def test_versions_of_airflow_differ_in_one_place():
    """To drop a version, only one folder has to change."""
    asks = re.compile(
        r"AIRFLOW_V_\d|airflow\.__version__|from airflow import .*__version__|version_compat"
        r"|get_base_airflow_version|version\(.apache-airflow"
    )
    found = [named(path) for path in FILES if asks.search(path.read_text())]
    assert found == ["airflow_compat/features.py"]


def test_airflows_inside_is_used_in_one_place():
    """Internal interfaces may change with any release."""
    inside = re.compile(r"^airflow\.(sdk\.(execution_time|_)|state|_shared|models|utils|jobs)")
    found = {part_of(path) for path in FILES for _, name in imports(path) if inside.search(name)}
    assert found <= {"airflow_compat", "ui"}


def test_the_tab_asks_the_database_in_one_module():
    """Airflow's models may change with any release."""
    models = re.compile(r"^(airflow\.(models|utils)|sqlalchemy)")
    found = {named(path) for path in FILES for _, name in imports(path) if models.search(name)}
    assert {name for name in found if name.startswith("ui/")} == {"ui/store.py"}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_error_is_swallowed_without_a_word(path):
    """`except: pass`, and a handler that takes everything, hide bugs."""
    silent = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or all(isinstance(statement, ast.Pass) for statement in node.body))
    ]
    assert silent == []
