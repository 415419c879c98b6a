"""TesterArmy as the service of a sync of test files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_testerarmy.catalogue.model import RemoteGroup, RemoteTest, TestFile
from airflow_provider_testerarmy.catalogue.plan import Remote
from airflow_provider_testerarmy.client.http.errors import NotFound
from airflow_provider_testerarmy.client.http.operation import Answer, Operation
from airflow_provider_testerarmy.client.http.sender import by_cursor, iterate
from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.client.testerarmy import groups, operations
from airflow_provider_testerarmy.client.testerarmy.saved_tests import (
    SavedTest,
    TestChange,
    TestRequest,
    create_test,
    delete_test,
    get_saved_test,
    list_saved_tests,
    update_test,
)

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook

T = TypeVar("T")


class Requests(Protocol):
    """Sends the requests of a sync."""

    @property
    def max_per_second(self) -> float:
        """The rate limit in requests per second."""

    def ask(self, question: Operation[T]) -> T:
        """The response to a request."""

    def remove(self, delete: Operation[Any]) -> bool:
        """Delete an object; return False if it does not exist."""


class HookRequests:
    """Requests through a hook, with its retries."""

    def __init__(self, hook: TesterArmyHook) -> None:
        self._hook = hook

    @property
    def max_per_second(self) -> float:
        """The rate limit of the connection, in requests per second."""
        return self._hook.max_requests_per_second

    def ask(self, question: Operation[T]) -> T:
        """The response to a request."""
        return self._hook.send(question)

    def remove(self, delete: Operation[Any]) -> bool:
        """Delete an object; return False if it does not exist, e.g. because an earlier response was lost."""
        try:
            self._hook.send(delete)
        except NotFound:
            return False
        return True


class TesterArmyCatalogue:
    """The requests of a sync.

    :param project_id: the project whose tests are synced.
    """

    def __init__(self, requests: Requests, project_id: str) -> None:
        self._requests, self._project_id = requests, project_id

    def read(self, group_names: Collection[str], group_ids: Collection[str]) -> Remote:
        """The project's tests, and the members of the groups that files or lock name."""
        tests = {test.id: to_remote(test) for test in self._tests()}
        found = self._requests.ask(groups.list_group_details(self._project_id))
        every = tuple(RemoteGroup(group.id, group.name or "") for group in found)
        wanted = {*group_ids, *(name.lower() for name in group_names)}
        members = {
            group.id: frozenset(test.id for test in self._tests(group.id))
            for group in every
            if group.id in wanted or group.name in group_names
        }
        return Remote(tests, every, members)

    def _tests(self, group_id: str | None = None) -> Iterator[SavedTest]:
        first = list_saved_tests(self._project_id, group_id=group_id)
        for page in iterate(lambda question: Answer(self._requests.ask(question)), first, by_cursor(first)):
            yield from page.tests

    def get_test(self, test_id: str) -> RemoteTest:
        """Read a test."""
        return to_remote(self._requests.ask(get_saved_test(test_id)))

    def create_test(self, file: TestFile) -> RemoteTest:
        """Create a test."""
        fields: dict[str, Any] = {"enabled": file.enabled}
        if file.platform:
            fields["platform"] = file.platform
        if file.description:
            fields["description"] = file.description
        request = build_request(
            TestRequest, project_id=self._project_id, title=file.title, steps=_steps(file), **fields
        )
        return to_remote(self._requests.ask(create_test(request)))

    def change_test(self, test_id: str, file: TestFile) -> RemoteTest:
        """Give a test the content of a file."""
        request = build_request(TestChange, title=file.title, steps=_steps(file), enabled=file.enabled)
        # The request model takes an empty text for a value that was not given. This one is meant.
        body = {**request.body(), "description": file.description}
        return to_remote(self._requests.ask(replace(update_test(test_id, request), body=body)))

    def disable_test(self, test_id: str) -> RemoteTest:
        """Disable a test."""
        return to_remote(self._requests.ask(update_test(test_id, build_request(TestChange, enabled=False))))

    def delete_test(self, test_id: str) -> None:
        """Delete a test, if it still exists."""
        self._requests.remove(delete_test(test_id))

    def create_group(self, name: str) -> RemoteGroup:
        """Create a group."""
        request = build_request(groups.GroupRequest, project_id=self._project_id, name=name)
        made = self._requests.ask(groups.create_group(request))
        return RemoteGroup(made.id, made.name or name)

    def add_to_group(self, group_id: str, test_id: str) -> None:
        """Add a test to a group."""
        self._requests.ask(operations.add_group_test(group_id, test_id))

    def remove_from_group(self, group_id: str, test_id: str) -> None:
        """Remove a test from a group, if group and test still exist."""
        self._requests.remove(groups.remove_group_test(group_id, test_id))


def to_remote(test: SavedTest) -> RemoteTest:
    """A test of the API in the words of the catalogue."""
    return RemoteTest(
        test.id,
        test.title or "",
        tuple(step.model_dump(by_alias=True, exclude_none=True) for step in test.steps),
        test.description or "",
        test.platform or "",
        test.enabled is not False,
    )


def _steps(file: TestFile) -> list[Mapping[str, Any]]:
    return [dict(step) for step in file.steps]
