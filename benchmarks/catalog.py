"""The sandbox's catalog for the whole-Airflow benchmark: groups of tests that run until the clock is advanced."""

from __future__ import annotations

from airflow_provider_testerarmy.sandbox.testerarmy.catalog import (
    PROJECT_LOAD,
    Catalog,
    Group,
    SavedTest,
    bulk_test_id,
)
from benchmarks.sizes import group_ids

#: The duration of a run in sandbox seconds; the clock is advanced past it when all tasks wait.
RUN_SECONDS = 100_000.0
_TESTS_PER_GROUP = 2


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
