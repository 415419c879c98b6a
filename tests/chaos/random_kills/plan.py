"""The tasks that the kills strike: how each runs, what it runs, and how its runs go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from airflow_provider_testerarmy.sandbox.docket.catalog import bulk_blueprint_id
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import (
    PROJECT_LOAD,
    Catalog,
    Group,
    SavedTest,
    bulk_test_id,
)

DAG_ID: Final = "random_kills"
#: Tests with a number above this one are the second tests of groups.
SECOND: Final = 500

VendorName = Literal["testerarmy", "docket"]


@dataclass(frozen=True)
class Profile:
    """One task of the DAG.

    :param script: how the runs of its test go.
    :param siblings: how many mapped instances run the same test.
    :param tolerates: how many runs that do not pass the gate lets through.
    :param second: how the runs of a group's second test go; None: it is no group.
    :param options: further parameters of the operator.
    """

    task_id: str
    vendor: VendorName
    deferrable: bool
    retries: int
    script: str = "passes"
    siblings: int = 1
    tolerates: int = 0
    second: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def endless(self) -> bool:
        """Whether a user has to end the task."""
        return self.script == "endless"


_ARMY: Final = "testerarmy"
_DOCKET: Final = "docket"

PROFILES: Final = (
    Profile("pass_sync_0", _ARMY, False, 0),
    Profile("pass_sync_2", _ARMY, False, 2),
    Profile("pass_deferred_0", _ARMY, True, 0),
    Profile("pass_deferred_2", _ARMY, True, 2),
    Profile("fail_sync_2", _ARMY, False, 2, "fails"),
    Profile("fail_deferred_0", _ARMY, True, 0, "fails"),
    Profile("break_once_deferred_2", _ARMY, True, 2, "breaks_once"),
    Profile("break_sync_0", _ARMY, False, 0, "breaks"),
    Profile("group_deferred_2", _ARMY, True, 2, second="passes"),
    Profile(
        "gated_group_sync_2",
        _ARMY,
        False,
        2,
        tolerates=1,
        second="fails",
        options={"gate": {"min_pass_rate": 0.5}},
    ),
    Profile("flaky_deferred_2", _ARMY, True, 2, "flaky", options={"retry_failed_tests": True}),
    Profile("twins_deferred_2", _ARMY, True, 2, siblings=3),
    Profile("endless_sync_2", _ARMY, False, 2, "endless"),
    Profile("endless_deferred_0", _ARMY, True, 0, "endless"),
    Profile("docket_pass_sync_0", _DOCKET, False, 0),
    Profile("docket_pass_deferred_2", _DOCKET, True, 2),
    Profile("docket_fail_deferred_2", _DOCKET, True, 2, "fails"),
    Profile("docket_endless_deferred_2", _DOCKET, True, 2, "endless"),
)
BY_ID: Final = {profile.task_id: profile for profile in PROFILES}


def number_of(wave: int, profile: Profile) -> int:
    """Return the number that belongs to a task of one DAG run alone."""
    return wave * len(PROFILES) + PROFILES.index(profile) + 1


def group_id(number: int) -> str:
    """Return the id of the group, of two tests, with that number."""
    return f"37000000-0000-4000-8000-{number:012d}"


def target_of(wave: int, profile: Profile) -> str:
    """Return the id of what the task starts."""
    number = number_of(wave, profile)
    if profile.vendor == "docket":
        return str(bulk_blueprint_id(number))
    return group_id(number) if profile.second else bulk_test_id(number)


def tests_of(wave: int, profile: Profile) -> dict[str, str]:
    """Return the script of each test that the task's runs are of, by the test's id."""
    number = number_of(wave, profile)
    if profile.vendor == "docket":
        return {str(bulk_blueprint_id(number)): profile.script}
    tests = {bulk_test_id(number): profile.script}
    return tests | ({bulk_test_id(SECOND + number): profile.second} if profile.second else {})


def family(wave: int, profile: Profile) -> str:
    """Return the name of the task instances that share a target."""
    return f"{wave}/{profile.task_id}"


def waves(count: int) -> Iterator[tuple[int, Profile]]:
    """Return every task of so many DAG runs."""
    return ((wave, profile) for wave in range(count) for profile in PROFILES)


def catalog() -> Catalog:
    """Return what the sandbox's TesterArmy knows: each test takes between 8 and 26 seconds."""
    tests = [
        SavedTest(bulk_test_id(n), f"Random {n}", "passes", 8.0 + n % 4 * 6, PROJECT_LOAD)
        for n in range(1, 2 * SECOND)
    ]
    groups = [
        Group(group_id(n), f"Pair {n}", (bulk_test_id(n), bulk_test_id(SECOND + n)), PROJECT_LOAD)
        for n in range(1, SECOND)
    ]
    return Catalog(tests=tests, groups=groups)
