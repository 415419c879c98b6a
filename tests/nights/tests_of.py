"""The tests of the three tasks, and their names in the script. No two tasks share a test."""

from __future__ import annotations

from typing import Final

from airflow_provider_testerarmy.sandbox.docket import catalog as docket
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import (
    PROJECT_LOAD,
    Catalog,
    Group,
    SavedTest,
    bulk_test_id,
)

NAMES: Final = ("search", "checkout", "cart", "login", "profile")
TASKS: Final = ("worker", "triggerer", "folder")
#: Docket's tests by name.
BLUEPRINTS: Final = dict(
    zip(
        NAMES,
        (
            docket.BLUEPRINT_PASSES,
            docket.BLUEPRINT_FAILS,
            docket.BLUEPRINT_CART,
            docket.BLUEPRINT_LOGIN,
            docket.BLUEPRINT_ORDERS,
        ),
        strict=True,
    )
)
_FIRST: Final = {"worker": 1, "triggerer": 101}
GROUPS: Final = {
    task: f"35000000-0000-4000-8000-{number:012d}" for number, task in enumerate(_FIRST, start=1)
}
_SECONDS: Final = 8.0


def id_of(task: str, name: str) -> str:
    """The id of a task's test."""
    if task == "folder":
        return str(BLUEPRINTS[name])
    return bulk_test_id(_FIRST[task] + NAMES.index(name))


def catalog() -> Catalog:
    """TesterArmy's tests and groups."""
    ids = {task: [id_of(task, name) for name in NAMES] for task in _FIRST}
    tests = [
        SavedTest(each, f"The {name} of {task}", "passes", _SECONDS, PROJECT_LOAD)
        for task in _FIRST
        for name, each in zip(NAMES, ids[task], strict=True)
    ]
    groups = [Group(GROUPS[task], f"Nights of {task}", tuple(ids[task]), PROJECT_LOAD) for task in _FIRST]
    return Catalog(tests=tests, groups=groups)
