"""What the sandbox knows when a whole Airflow is measured: groups of two tests that last until they are let go."""

from __future__ import annotations

import os

from airflow_provider_testerarmy.sandbox.testerarmy.catalog import (
    PROJECT_LOAD,
    Catalog,
    Group,
    SavedTest,
    bulk_test_id,
)

#: How many groups there are, for the DAG file too.
VARIABLE = "BENCHMARK_GROUPS"
#: Sandbox seconds that a run takes; its clock is put forward by as much when all tasks wait.
RUN_SECONDS = 100_000.0
_TESTS_PER_GROUP = 2


def group_ids() -> list[str]:
    """The ids of all groups."""
    count = int(os.environ.get(VARIABLE, "300"))
    return [f"37000000-0000-4000-8000-{number:012d}" for number in range(1, count + 1)]


def catalog() -> Catalog:
    """The tests and groups; every test passes."""
    ids = group_ids()
    numbers = range(1, _TESTS_PER_GROUP * len(ids) + 1)
    tests = [
        SavedTest(bulk_test_id(number), f"Check {number}", "passes", RUN_SECONDS, PROJECT_LOAD)
        for number in numbers
    ]
    groups = [
        Group(
            group_id,
            f"Group {index}",
            tuple(
                bulk_test_id(_TESTS_PER_GROUP * index + number) for number in range(1, _TESTS_PER_GROUP + 1)
            ),
            PROJECT_LOAD,
        )
        for index, group_id in enumerate(ids)
    ]
    return Catalog(tests=tests, groups=groups)
