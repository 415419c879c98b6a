"""The sandbox's catalog for the chaos suite: a test and a group per case, and groups for a mapped task."""

from __future__ import annotations

from airflow_provider_testerarmy.sandbox.testerarmy.catalog import (
    PROJECT_LOAD,
    Catalog,
    Group,
    SavedTest,
    bulk_test_id,
)

CASES = 300
MAPPED = 30
#: The duration of a run in seconds. Airflow fails (and retries) a task that resumes before the scheduler has
#: processed its deferral, so runs take longer where many tasks are deferred at once.
RUN_SECONDS = 8.0
MAPPED_RUN_SECONDS = 20.0
_SECOND_TESTS = 300
_MAPPED_TESTS = 600


def case_test(number: int) -> str:
    """Return the id of the test that belongs to one case alone."""
    return bulk_test_id(number)


def case_group(number: int) -> str:
    """Return the id of the group, of two tests, that belongs to one case alone."""
    return f"35000000-0000-4000-8000-{number:012d}"


def other_test(number: int) -> str:
    """Return the id of a second test that belongs to one case alone."""
    return bulk_test_id(_SECOND_TESTS + number)


MAPPED_GROUPS = [f"36000000-0000-4000-8000-{number:012d}" for number in range(1, MAPPED + 1)]


def catalog() -> Catalog:
    """Return the catalog; every test passes within `RUN_SECONDS` after its queue by default."""
    tests = [
        SavedTest(bulk_test_id(n), f"Chaos {n}", "passes", _seconds(n), PROJECT_LOAD) for n in range(1, 701)
    ]
    groups = [
        Group(case_group(n), f"Case {n}", (bulk_test_id(n), bulk_test_id(_SECOND_TESTS + n)), PROJECT_LOAD)
        for n in range(1, CASES + 1)
    ]
    groups += [
        Group(
            group_id,
            f"Mapped {n}",
            (bulk_test_id(_MAPPED_TESTS + 2 * n + 1), bulk_test_id(_MAPPED_TESTS + 2 * n + 2)),
            PROJECT_LOAD,
        )
        for n, group_id in enumerate(MAPPED_GROUPS)
    ]
    return Catalog(tests=tests, groups=groups)


def _seconds(number: int) -> float:
    return RUN_SECONDS if number <= _MAPPED_TESTS else MAPPED_RUN_SECONDS
