"""The sandbox's catalog for the whole-Airflow benchmark: groups of tests that run until the clock is advanced."""

from __future__ import annotations

import os

from airflow_provider_testerarmy.sandbox.testerarmy.catalog import (
    PROJECT_LOAD,
    Catalog,
    Group,
    SavedTest,
    bulk_test_id,
)

#: The environment variable with the number of groups; the DAG file reads it too.
VARIABLE = "BENCHMARK_GROUPS"
#: The duration of a run in sandbox seconds; the clock is advanced past it when all tasks wait.
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
