"""Applies a plan. The lock is stored before and after each request, so that a sync can stop anywhere and go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from airflow_provider_testerarmy.catalogue.lock import Entry, Intent, Lock
from airflow_provider_testerarmy.catalogue.model import (
    CatalogueBusy,
    CatalogueInvalid,
    RemoteGroup,
    RemoteTest,
    TestFile,
)
from airflow_provider_testerarmy.catalogue.plan import Action, Kind, Plan, Remote


class Service(Protocol):
    """What a sync requests of a service."""

    def get_test(self, test_id: str) -> RemoteTest:
        """Read a test."""

    def create_test(self, file: TestFile) -> RemoteTest:
        """Create a test; a repeat would create a second one."""

    def change_test(self, test_id: str, file: TestFile) -> RemoteTest:
        """Give a test the content of a file."""

    def disable_test(self, test_id: str) -> RemoteTest:
        """Disable a test."""

    def delete_test(self, test_id: str) -> None:
        """Delete a test."""

    def create_group(self, name: str) -> RemoteGroup:
        """Create a group."""

    def add_to_group(self, group_id: str, test_id: str) -> None:
        """Add a test to a group; idempotent."""

    def remove_from_group(self, group_id: str, test_id: str) -> None:
        """Remove a test from a group; idempotent."""


class Applier:
    """One sync.

    :param lock: the lock that the plan was made with.
    :param save: stores the lock; it returns after the lock is safe.
    """

    def __init__(
        self,
        files: Mapping[str, TestFile],
        lock: Lock,
        remote: Remote,
        service: Service,
        save: Callable[[Lock], None],
    ) -> None:
        self.lock = lock
        self._files, self._remote, self._service, self._save = files, remote, service, save
        self._groups: dict[str, str] = {}

    def apply(self, plan: Plan, done: Callable[[Action], None] = lambda _action: None) -> None:
        """Take all actions in order.

        :param done: called after each action.
        :raises CatalogueInvalid: for a plan with conflicts, before any request.
        :raises CatalogueBusy: for a test that somebody changes during the sync.
        """
        if plan.conflicts:
            raise CatalogueInvalid(
                "Nothing is changed. "
                + " ".join(f"{conflict.key}: {conflict.reason}" for conflict in plan.conflicts)
            )
        takers = {
            Kind.CREATE_GROUP: self._create_group,
            Kind.ADOPT: self._adopt,
            Kind.MOVE: self._move,
            Kind.CREATE: self._create,
            Kind.CHANGE: self._change,
            Kind.JOIN: self._join,
            Kind.LEAVE: self._leave,
            Kind.DISABLE: self._disable,
            Kind.DELETE: self._delete,
            Kind.FORGET: lambda action: self._store(self.lock.without(action.key)),
            Kind.RECORD: self._record,
        }
        for action in plan.actions:
            takers[action.kind](action)
            done(action)

    def _create_group(self, action: Action) -> None:
        self._groups[action.group] = self._service.create_group(action.group).id

    def _adopt(self, action: Action) -> None:
        intent = self.lock.creating[action.key]
        test = self._remote.tests[action.test_id]
        self._store(self.lock.with_entry(action.key, Entry(test.id, test.digest, intent.digest)))

    def _move(self, action: Action) -> None:
        entry = self.lock.tests[action.source]
        self._store(self.lock.without(action.source).with_entry(action.key, entry))

    def _create(self, action: Action) -> None:
        file = self._files[action.key]
        known = tuple(
            sorted(test.id for test in self._remote.tests.values() if test.title.strip() == file.title)
        )
        made = (entry.id for entry in self.lock.tests.values())
        intent = Intent(file.title, file.digest, tuple(sorted({*known, *made})))
        self._store(self.lock.without(action.key).with_intent(action.key, intent))
        test = self._service.create_test(file)
        self._store(self.lock.with_entry(action.key, Entry(test.id, test.digest, file.digest)))

    def _change(self, action: Action) -> None:
        file = self._files[action.key]
        self._announce(action, file.digest)
        self._wrote(action.key, self._service.change_test(action.test_id, file), file.digest)

    def _disable(self, action: Action) -> None:
        self._announce(action, self._remote.tests[action.test_id].disabled_digest())
        self._wrote(action.key, self._service.disable_test(action.test_id), "")

    def _delete(self, action: Action) -> None:
        self._verify(action)
        self._service.delete_test(action.test_id)
        self._store(self.lock.without(action.key))

    def _join(self, action: Action) -> None:
        entry, group_id = self.lock.tests[action.key], self._group_id(action.group)
        self._service.add_to_group(group_id, entry.id)
        groups = tuple(sorted({*entry.groups, group_id}))
        self._store(self.lock.with_entry(action.key, replace(entry, groups=groups)))

    def _leave(self, action: Action) -> None:
        entry = self.lock.tests[action.key]
        if any(group.id == action.group for group in self._remote.groups):
            self._service.remove_from_group(action.group, entry.id)
        groups = tuple(group_id for group_id in entry.groups if group_id != action.group)
        self._store(self.lock.with_entry(action.key, replace(entry, groups=groups)))

    def _record(self, action: Action) -> None:
        entry = self.lock.tests[action.key]
        wrote = self._files[action.key].digest
        self._store(
            self.lock.with_entry(action.key, replace(entry, digest=action.expects, wrote=wrote, writing=""))
        )

    def _group_id(self, name: str) -> str:
        if name not in self._groups:
            self._groups[name] = self._remote.find_group(name)[0].id
        return self._groups[name]

    def _announce(self, action: Action, digest: str) -> None:
        self._verify(action)
        entry = self.lock.tests[action.key]
        # What is there now is known to be nobody else's change, or the person has said to write over it.
        self._store(self.lock.with_entry(action.key, replace(entry, digest=action.expects, writing=digest)))

    def _wrote(self, key: str, test: RemoteTest, wrote: str) -> None:
        entry = self.lock.tests[key]
        self._store(self.lock.with_entry(key, replace(entry, digest=test.digest, wrote=wrote, writing="")))

    def _verify(self, action: Action) -> None:
        if self._service.get_test(action.test_id).digest != action.expects:
            raise CatalogueBusy(
                f"{action.key}: somebody changed the test {action.test_id} during the sync. The actions before "
                "this one are done. Plan again."
            )

    def _store(self, lock: Lock) -> None:
        self._save(lock)
        self.lock = lock
