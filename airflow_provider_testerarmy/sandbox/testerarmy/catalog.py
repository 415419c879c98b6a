"""The sandbox's TesterArmy account: projects, groups and saved tests of a small shop, with fixed ids."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.sandbox.testerarmy.entities import (
    CREATED_AT,
    PROJECT_SHOP,
    UPDATED_AT,
    Environment,
    Group,
    Project,
    SavedTest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = ["CREATED_AT", "PROJECT_SHOP", "UPDATED_AT", "Environment", "Group", "Project", "SavedTest"]


# Valid version 4 UUIDs (RFC 9562): the OpenAPI document declares `format: uuid`, so clients may validate ids.
def _project(number: int) -> str:
    return f"10000000-0000-4000-8000-{number:012d}"


def _test(number: int) -> str:
    return f"20000000-0000-4000-8000-{number:012d}"


def bulk_test_id(number: int) -> str:
    """Return the id of the generated test `number` (1 to 1000) of `PROJECT_LOAD`."""
    return f"25000000-0000-4000-8000-{number:012d}"


def _group(number: int) -> str:
    return f"30000000-0000-4000-8000-{number:012d}"


UNKNOWN_ID = "ffffffff-0000-4000-8000-000000000000"
"""A valid id that nothing in the catalog has."""

PROJECT_APP = _project(2)
PROJECT_LOAD = _project(3)

ENVIRONMENT_PRODUCTION = "40000000-0000-4000-8000-000000000001"
ENVIRONMENT_STAGING = "40000000-0000-4000-8000-000000000002"
MOBILE_APP = "50000000-0000-4000-8000-000000000001"
PROJECT_FILE = "60000000-0000-4000-8000-000000000001"
PROJECT_WEBHOOK = "70000000-0000-4000-8000-000000000001"
GROUP_WEBHOOK = "70000000-0000-4000-8000-000000000002"
WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105 - of the local stand-in

# One test per possible course of a run.
TEST_PASSES = _test(1)
TEST_PASSES_WITH_WARNING = _test(2)
TEST_FAILS = _test(3)
TEST_PASSES_WITH_SEVERE_ISSUE = _test(4)
TEST_FLAKY = _test(5)
TEST_BREAKS = _test(6)
TEST_BREAKS_ONCE = _test(7)
TEST_SKIPPED = _test(8)
TEST_CANCELLED = _test(9)
TEST_ENDLESS = _test(10)
TEST_REJECTED = _test(11)
TEST_HOSTILE = _test(12)
TEST_UNKNOWN_STATUS = _test(13)
TEST_MOBILE = _test(14)
TEST_REFUSES_CANCEL = _test(15)
TEST_AUTO_RETRIED = _test(16)
TEST_DISABLED = _test(17)
TEST_UNKNOWN_VALUES = _test(18)
TEST_SPARSE = _test(19)
TEST_NO_OUTPUT = _test(20)
TEST_UNKNOWN_RESULT = _test(21)
TEST_CUT_EMOJI = _test(22)
TEST_STUCK_IN_QUEUE = _test(23)

# The other tests of the nightly regression; all of them pass.
TEST_PREPARATION = _test(31)
TEST_CART = _test(32)
TEST_LOGIN = _test(33)
TEST_PROFILE = _test(34)
TEST_ORDER_HISTORY = _test(35)
TEST_NEWSLETTER = _test(36)
TEST_RETURNS = _test(37)

GROUP_ALL = _group(1)
GROUP_NIGHTLY = _group(2)
GROUP_FAILING = _group(3)
GROUP_BROKEN = _group(4)
GROUP_SKIPPED = _group(5)
GROUP_SOME_REJECTED = _group(6)
GROUP_ALL_REJECTED = _group(7)
GROUP_ENDLESS = _group(8)
GROUP_EMPTY = _group(9)
GROUP_SEQUENTIAL = _group(10)
GROUP_FLAKY = _group(11)
GROUP_REFUSES_CANCEL = _group(12)
GROUP_WITH_DISABLED = _group(13)
GROUP_BREAKS_ONCE = _group(14)
GROUP_HOSTILE = _group(15)
GROUP_UNKNOWN_STATUS = _group(16)
GROUP_CANCELLED = _group(17)
GROUP_PREPARED = _group(18)
GROUP_APP_ALL = _group(20)
GROUP_LOAD_ALL = _group(21)
GROUP_250 = _group(250)
GROUP_1000 = _group(1000)

PROJECTS = (
    Project(PROJECT_SHOP, "acme-shop", "Acme Shop", "https://shop.acme.example/", "web", "The web shop."),
    Project(PROJECT_APP, "acme-app", "Acme Shop App", None, "mobile", "The shop's mobile app."),
    Project(PROJECT_LOAD, "acme-catalogue", "Acme Catalogue", "https://catalogue.acme.example/", "web"),
)

ENVIRONMENTS = (
    Environment(
        ENVIRONMENT_PRODUCTION,
        PROJECT_SHOP,
        "Production",
        "production",
        "production",
        "https://shop.acme.example/",
    ),
    Environment(
        ENVIRONMENT_STAGING,
        PROJECT_SHOP,
        "Staging",
        "staging",
        "static",
        "https://staging.shop.acme.example/",
    ),
)

SCENARIO_TESTS = (
    SavedTest(TEST_PASSES, "Search finds a product", "passes", 8.0, path="/search"),
    SavedTest(
        TEST_PASSES_WITH_WARNING,
        "Checkout with a gift card",
        "passes_with_warning",
        12.0,
        path="/checkout",
        login=True,
    ),
    SavedTest(TEST_FAILS, "Checkout with a credit card", "fails", 11.0, path="/checkout", login=True),
    SavedTest(
        TEST_PASSES_WITH_SEVERE_ISSUE,
        "Product page shows the price",
        "passes_with_severe_issue",
        path="/products/42",
    ),
    SavedTest(TEST_FLAKY, "Live stock badge updates", "flaky", path="/products/7"),
    SavedTest(TEST_BREAKS, "Compare two products", "breaks", 6.0, path="/compare"),
    SavedTest(TEST_BREAKS_ONCE, "Filter products by colour", "breaks_once", 6.0, path="/products"),
    SavedTest(TEST_SKIPPED, "Cookie banner texts", "skipped", 6.0),
    SavedTest(TEST_CANCELLED, "Wish list survives a logout", "cancelled", path="/wishlist", login=True),
    SavedTest(TEST_ENDLESS, "Infinite scroll of the catalogue", "endless", path="/products"),
    SavedTest(TEST_REJECTED, "Bulk order for companies", "rejected", path="/bulk"),
    SavedTest(TEST_HOSTILE, "Product reviews are shown as text", "hostile", path="/products/13/reviews"),
    SavedTest(TEST_UNKNOWN_STATUS, "Live chat with the support", "unknown_status", path="/support"),
    SavedTest(TEST_MOBILE, "Sign in with the app", "passes", 14.0, PROJECT_APP, login=True),
    SavedTest(TEST_REFUSES_CANCEL, "Refund of a paid order", "refuses_cancel", 20.0, path="/orders"),
    SavedTest(TEST_AUTO_RETRIED, "Delivery slot can be chosen", "auto_retried", 18.0, path="/checkout"),
    SavedTest(TEST_DISABLED, "Christmas landing page", "passes", path="/christmas", enabled=False),
    SavedTest(TEST_UNKNOWN_VALUES, "Voice search", "unknown_values", path="/search"),
    SavedTest(TEST_SPARSE, "Imprint is reachable", "sparse", 6.0, path="/imprint"),
    SavedTest(TEST_NO_OUTPUT, "Store finder map", "no_output", path="/stores"),
    SavedTest(TEST_UNKNOWN_RESULT, "Currency switch", "unknown_result"),
    SavedTest(TEST_CUT_EMOJI, "Reviews with emoji", "cut_emoji", path="/products/13/reviews"),
    SavedTest(TEST_STUCK_IN_QUEUE, "Export of all orders", "stuck_in_queue", path="/orders"),
)

REGRESSION_TESTS = (
    SavedTest(TEST_PREPARATION, "A customer account exists", "passes", 6.0, path="/register"),
    SavedTest(TEST_CART, "Cart keeps its items", "passes", 9.0, path="/cart"),
    SavedTest(TEST_LOGIN, "Customer can sign in", "passes", 7.0, path="/login", login=True),
    SavedTest(TEST_PROFILE, "Address can be changed", "passes", 10.0, path="/profile", login=True),
    SavedTest(TEST_ORDER_HISTORY, "Order history lists the last order", "passes", 11.0, path="/orders"),
    SavedTest(TEST_NEWSLETTER, "Newsletter can be subscribed", "passes", 6.5),
    SavedTest(TEST_RETURNS, "Return label can be printed", "passes", 13.5, path="/returns", login=True),
)

BULK_TESTS = tuple(
    SavedTest(
        bulk_test_id(number),
        f"Catalogue page {number}",
        "passes",
        6.0 + number % 14,
        PROJECT_LOAD,
        f"/page/{number}",
    )
    for number in range(1, 1001)
)

NIGHTLY_TEST_IDS = (
    TEST_LOGIN,
    TEST_PASSES,
    TEST_CART,
    TEST_PASSES_WITH_WARNING,
    TEST_PROFILE,
    TEST_ORDER_HISTORY,
    TEST_NEWSLETTER,
    TEST_RETURNS,
)

GROUPS = (
    Group(
        GROUP_ALL,
        "All Tests",
        tuple(test.id for test in SCENARIO_TESTS + REGRESSION_TESTS if test.project_id == PROJECT_SHOP),
        is_default=True,
    ),
    Group(GROUP_NIGHTLY, "Nightly regression", NIGHTLY_TEST_IDS),
    Group(
        GROUP_FAILING,
        "Checkout",
        (TEST_PASSES, TEST_PASSES_WITH_WARNING, TEST_FAILS, TEST_PASSES_WITH_SEVERE_ISSUE, TEST_CART),
    ),
    Group(GROUP_BROKEN, "Comparison", (TEST_PASSES, TEST_BREAKS)),
    Group(GROUP_SKIPPED, "Legal texts", (TEST_SKIPPED,)),
    Group(GROUP_SOME_REJECTED, "Orders", (TEST_PASSES, TEST_REJECTED, TEST_CART)),
    Group(GROUP_ALL_REJECTED, "Bulk orders", (TEST_REJECTED,)),
    Group(GROUP_ENDLESS, "Scrolling", (TEST_PASSES, TEST_ENDLESS)),
    Group(GROUP_EMPTY, "Ideas for next year", ()),
    Group(
        GROUP_SEQUENTIAL,
        "Customer journey",
        (TEST_LOGIN, TEST_CART, TEST_PASSES_WITH_WARNING),
        run_mode="sequential",
        prep_test_id=TEST_PREPARATION,
    ),
    Group(GROUP_FLAKY, "Live widgets", (TEST_PASSES, TEST_FLAKY)),
    Group(GROUP_REFUSES_CANCEL, "Refunds", (TEST_ENDLESS, TEST_REFUSES_CANCEL)),
    Group(GROUP_WITH_DISABLED, "Seasonal pages", (TEST_PASSES, TEST_DISABLED)),
    Group(GROUP_BREAKS_ONCE, "Product filters", (TEST_PASSES, TEST_BREAKS_ONCE)),
    Group(GROUP_HOSTILE, "Reviews", (TEST_PASSES, TEST_HOSTILE)),
    Group(GROUP_UNKNOWN_STATUS, "Support", (TEST_PASSES, TEST_UNKNOWN_STATUS)),
    Group(GROUP_CANCELLED, "Wish lists", (TEST_PASSES, TEST_CANCELLED)),
    Group(
        GROUP_PREPARED,
        "Account pages",
        (TEST_PROFILE, TEST_ORDER_HISTORY),
        prep_test_id=TEST_PREPARATION,
    ),
    Group(GROUP_APP_ALL, "All Tests", (TEST_MOBILE,), PROJECT_APP, is_default=True),
    Group(GROUP_LOAD_ALL, "All Tests", tuple(test.id for test in BULK_TESTS), PROJECT_LOAD, is_default=True),
    Group(GROUP_250, "Catalogue, 250 pages", tuple(test.id for test in BULK_TESTS[:250]), PROJECT_LOAD),
    Group(GROUP_1000, "Catalogue, 1000 pages", tuple(test.id for test in BULK_TESTS), PROJECT_LOAD),
)


class Catalog:
    """Projects, tests and groups by id."""

    def __init__(
        self,
        projects: Iterable[Project] = PROJECTS,
        tests: Iterable[SavedTest] = SCENARIO_TESTS + REGRESSION_TESTS + BULK_TESTS,
        groups: Iterable[Group] = GROUPS,
    ) -> None:
        self._saved_projects = {project.id: project for project in projects}
        self.projects = dict(self._saved_projects)
        self._environments = {environment.id: environment for environment in ENVIRONMENTS}
        self._saved_tests = {test.id: test for test in tests}
        self.tests = dict(self._saved_tests)
        self._saved_groups = {group.id: group for group in groups}
        self.groups = dict(self._saved_groups)

    @cached_property
    def _groups_by_test(self) -> dict[str, list[Group]]:
        found: dict[str, list[Group]] = {}
        for group in self.groups.values():
            for test_id in group.test_ids:
                found.setdefault(test_id, []).append(group)
        return found

    def project(self, id_or_short_id: str) -> Project | None:
        """Return the project with this id or short id."""
        by_short_id = {project.short_id: project for project in self.projects.values()}
        return self.projects.get(id_or_short_id) or by_short_id.get(id_or_short_id)

    def environments(self, project_id: str) -> list[Environment]:
        """Return the deployments of a project."""
        return [each for each in self._environments.values() if each.project_id == project_id]

    def save_environment(self, environment: Environment) -> None:
        """Add an environment, until `restore`."""
        self._environments[environment.id] = environment

    def delete_environment(self, environment_id: str) -> None:
        """Delete an environment, until `restore`."""
        del self._environments[environment_id]

    def save_project(self, project: Project) -> None:
        """Add or replace a project, until `restore`."""
        self.projects[project.id] = project

    def delete_project(self, project_id: str) -> None:
        """Delete a project with its environments, tests and groups, until `restore`."""
        del self.projects[project_id]
        self._environments = {k: v for k, v in self._environments.items() if v.project_id != project_id}
        self.tests = {k: v for k, v in self.tests.items() if v.project_id != project_id}
        self.groups = {k: v for k, v in self.groups.items() if v.project_id != project_id}
        self.__dict__.pop("_groups_by_test", None)

    def save_test(self, test: SavedTest) -> None:
        """Add or replace a test, until `restore`."""
        self.tests[test.id] = test

    def update_group(self, group_id: str, **fields: Any) -> None:
        """Change fields of a group, until `restore`."""
        self.groups[group_id] = replace(self.groups[group_id], **fields)
        self.__dict__.pop("_groups_by_test", None)

    def set_enabled(self, test_id: str, *, enabled: bool) -> None:
        """Enable or disable a test, until `restore`."""
        self.tests[test_id] = replace(self.tests[test_id], enabled=enabled)

    def rename_test(self, test_id: str, title: str) -> None:
        """Give a test another title, until `restore`."""
        self.tests[test_id] = replace(self.tests[test_id], title=title)

    def delete_test(self, test_id: str) -> None:
        """Delete a test and remove it from its groups, until `restore`."""
        for group in list(self.groups_of(test_id)):
            self.change_group(group.id, [member for member in group.test_ids if member != test_id])
        for group in list(self.groups.values()):
            if group.prep_test_id == test_id:
                self.groups[group.id] = replace(group, prep_test_id=None)
        del self.tests[test_id]

    def change_group(self, group_id: str, test_ids: Iterable[str]) -> None:
        """Replace the tests of a group, until `restore`."""
        self.groups[group_id] = replace(self.groups[group_id], test_ids=tuple(test_ids))
        self.__dict__.pop("_groups_by_test", None)

    def create_group(self, group: Group) -> None:
        """Add a group, until `restore`."""
        self.groups[group.id] = group
        self.__dict__.pop("_groups_by_test", None)

    def delete_group(self, group_id: str) -> None:
        """Delete a group, until `restore`. Its runs continue."""
        del self.groups[group_id]
        self.__dict__.pop("_groups_by_test", None)

    def restore(self) -> None:
        """Restore what the account had at first."""
        self.projects = dict(self._saved_projects)
        self._environments = {environment.id: environment for environment in ENVIRONMENTS}
        self.tests = dict(self._saved_tests)
        self.groups = dict(self._saved_groups)
        self.__dict__.pop("_groups_by_test", None)

    def groups_of(self, test_id: str) -> list[Group]:
        """Return the groups that a test belongs to."""
        return self._groups_by_test.get(test_id, [])

    def tests_of(self, project_id: str, group_id: str | None = None) -> list[SavedTest]:
        """Return the tests of a project, or of one of its groups, in the order of their ids."""
        members = self.groups[group_id].test_ids if group_id is not None else tuple(self.tests)
        found = (self.tests[test_id] for test_id in members)
        return sorted((t for t in found if t.project_id == project_id), key=lambda test: test.id)
