"""The hook's methods for TesterArmy's saved tests and test groups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.client.http import sender
from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.http.sender import by_cursor
from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.hooks.base import ServiceHook
from airflow_provider_testerarmy.hooks.lazy import lazy_module

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.testerarmy import groups, operations, saved_tests
else:
    groups = lazy_module("airflow_provider_testerarmy.client.testerarmy.groups")
    operations = lazy_module("airflow_provider_testerarmy.client.testerarmy.operations")
    saved_tests = lazy_module("airflow_provider_testerarmy.client.testerarmy.saved_tests")


def _chosen(
    folder: str | Path | None, tag: str | None, owner: str | None, lock_path: str | None
) -> set[str] | None:
    """The ids of the tests that files select; None for all.

    :raises RequestInvalid: for a tag or an owner without a folder.
    """
    if folder is None:
        if tag is not None or owner is not None:
            raise RequestInvalid("tag and owner need a folder, because only test files have them.")
        return None
    from airflow_provider_testerarmy.hooks.catalogue_folder import select_tests

    return {entry.id for _, entry in select_tests(folder, tag=tag, owner=owner, lock_path=lock_path)}


class TestMethods(ServiceHook):
    """Methods for saved tests and groups."""

    __test__ = False

    def list_tests(
        self,
        project_id: str,
        *,
        group_id: str | None = None,
        folder: str | Path | None = None,
        tag: str | None = None,
        owner: str | None = None,
        lock_path: str | None = None,
    ) -> Iterator[saved_tests.SavedTest]:
        """The tests of a project, or of one of its groups; pages are fetched on demand.

        :param folder: only the tests of this folder of test files.
        :param tag, owner: only the tests whose files in ``folder`` have this tag and this owner.
        :param lock_path: the path or URL of the folder's lock; None for ``tests.lock.json`` in the folder.
        :raises CatalogueInvalid: if a file or the lock cannot be used.
        """
        chosen = _chosen(folder, tag, owner, lock_path)
        first = saved_tests.list_saved_tests(project_id, group_id=group_id)
        for page in sender.iterate(self.get_conn().send, first, by_cursor(first)):
            yield from (test for test in page.tests if chosen is None or test.id in chosen)

    async def alist_tests(
        self,
        project_id: str,
        *,
        group_id: str | None = None,
        folder: str | Path | None = None,
        tag: str | None = None,
        owner: str | None = None,
        lock_path: str | None = None,
    ) -> AsyncIterator[saved_tests.SavedTest]:
        """Like :meth:`list_tests`, for an event loop."""
        await self.aload()
        # A folder of 1,000 files, or a lock in an object store, would block every trigger of the process.
        chosen = await asyncio.to_thread(_chosen, folder, tag, owner, lock_path)
        first = saved_tests.list_saved_tests(project_id, group_id=group_id)
        async with self.async_conn() as client:
            async for page in sender.aiterate(client.send, first, by_cursor(first)):
                for test in page.tests:
                    if chosen is None or test.id in chosen:
                        yield test

    def get_test(self, test_id: str) -> saved_tests.SavedTest:
        """A test with its steps and groups."""
        return self.send(saved_tests.get_saved_test(test_id))

    async def aget_test(self, test_id: str) -> saved_tests.SavedTest:
        """Like :meth:`get_test`, for an event loop."""
        return await self.asend(saved_tests.get_saved_test(test_id))

    def create_test(self, **fields: Any) -> saved_tests.SavedTest:
        """Create a test. The fields are those of ``TestRequest``: project_id, title, steps and optional ones."""
        return self.send(saved_tests.create_test(build_request(saved_tests.TestRequest, **fields)))

    async def acreate_test(self, **fields: Any) -> saved_tests.SavedTest:
        """Like :meth:`create_test`, for an event loop."""
        return await self.asend(saved_tests.create_test(build_request(saved_tests.TestRequest, **fields)))

    def update_test(self, test_id: str, **fields: Any) -> saved_tests.SavedTest:
        """Change a test. The fields are those of ``TestChange``: title, description, steps, enabled."""
        return self.send(saved_tests.update_test(test_id, build_request(saved_tests.TestChange, **fields)))

    async def aupdate_test(self, test_id: str, **fields: Any) -> saved_tests.SavedTest:
        """Like :meth:`update_test`, for an event loop."""
        return await self.asend(
            saved_tests.update_test(test_id, build_request(saved_tests.TestChange, **fields))
        )

    def delete_test(self, test_id: str) -> None:
        """Delete a test."""
        self.send(saved_tests.delete_test(test_id))

    async def adelete_test(self, test_id: str) -> None:
        """Like :meth:`delete_test`, for an event loop."""
        await self.asend(saved_tests.delete_test(test_id))

    def list_groups(self, project_id: str) -> tuple[groups.GroupDetail, ...]:
        """The test groups of a project."""
        return self.send(groups.list_group_details(project_id))

    async def alist_groups(self, project_id: str) -> tuple[groups.GroupDetail, ...]:
        """Like :meth:`list_groups`, for an event loop."""
        return await self.asend(groups.list_group_details(project_id))

    def get_group(self, group_id: str) -> groups.GroupDetail:
        """A test group."""
        return self.send(groups.get_group_detail(group_id))

    async def aget_group(self, group_id: str) -> groups.GroupDetail:
        """Like :meth:`get_group`, for an event loop."""
        return await self.asend(groups.get_group_detail(group_id))

    def create_group(self, **fields: Any) -> groups.GroupDetail:
        """Create a group without tests. The fields: project_id, name, run_mode, prep_test_id."""
        return self.send(groups.create_group(build_request(groups.GroupRequest, **fields)))

    async def acreate_group(self, **fields: Any) -> groups.GroupDetail:
        """Like :meth:`create_group`, for an event loop."""
        return await self.asend(groups.create_group(build_request(groups.GroupRequest, **fields)))

    def update_group(
        self, group_id: str, *, without_prep_test: bool = False, **fields: Any
    ) -> groups.GroupDetail:
        """Change a group. The fields are those of ``GroupChange``: name, run_mode, prep_test_id."""
        request = build_request(groups.GroupChange, **fields)
        return self.send(groups.update_group(group_id, request, without_prep_test=without_prep_test))

    async def aupdate_group(
        self, group_id: str, *, without_prep_test: bool = False, **fields: Any
    ) -> groups.GroupDetail:
        """Like :meth:`update_group`, for an event loop."""
        request = build_request(groups.GroupChange, **fields)
        return await self.asend(groups.update_group(group_id, request, without_prep_test=without_prep_test))

    def delete_group(self, group_id: str) -> None:
        """Delete a group that is not the project's default; its tests remain."""
        self.send(operations.delete_group(group_id))

    async def adelete_group(self, group_id: str) -> None:
        """Like :meth:`delete_group`, for an event loop."""
        await self.asend(operations.delete_group(group_id))

    def add_group_test(self, group_id: str, test_id: str) -> groups.Membership:
        """Add a test to a group; idempotent."""
        return self.send(groups.add_group_test(group_id, test_id))

    async def aadd_group_test(self, group_id: str, test_id: str) -> groups.Membership:
        """Like :meth:`add_group_test`, for an event loop."""
        return await self.asend(groups.add_group_test(group_id, test_id))

    def remove_group_test(self, group_id: str, test_id: str) -> groups.Membership:
        """Remove a test from a group; idempotent. The test itself remains."""
        return self.send(groups.remove_group_test(group_id, test_id))

    async def aremove_group_test(self, group_id: str, test_id: str) -> groups.Membership:
        """Like :meth:`remove_group_test`, for an event loop."""
        return await self.asend(groups.remove_group_test(group_id, test_id))
