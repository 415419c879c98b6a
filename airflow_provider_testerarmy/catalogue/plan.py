"""The plan: what a sync would do, and what it refuses, from files, lock and service. Free of I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from airflow_provider_testerarmy.catalogue.lock import PULLING, Entry, Intent, Lock
from airflow_provider_testerarmy.catalogue.model import RemoteGroup, RemoteTest, TestFile, digest
from airflow_provider_testerarmy.runs.text import one_line


class Kind(StrEnum):
    """What an action does, in the order in which a sync does it."""

    CREATE_GROUP = "create group"
    ADOPT = "adopt"
    MOVE = "move"
    CREATE = "create"
    CHANGE = "change"
    JOIN = "add to group"
    LEAVE = "remove from group"
    DISABLE = "disable"
    DELETE = "delete"
    FORGET = "forget"
    RECORD = "record"


_ORDER: Final = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a sync.

    :param key: the file; empty for a group.
    :param test_id: empty for a test that is yet to be created.
    :param group: the name or the id of a group.
    :param expects: the digest that the service must still have.
    :param source: the former key of a moved file.
    :param detail: what changes, for people.
    """

    kind: Kind
    key: str = ""
    title: str = ""
    test_id: str = ""
    group: str = ""
    expects: str = ""
    source: str = ""
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The action on one line, for a log."""
        named = f"{self.key} ({one_line(self.title, 120)})" if self.title else self.key
        words = [str(self.kind), named, self.group, self.test_id]
        detail = f": {self.detail}" if self.detail else ""
        return one_line(" ".join(filter(None, words)) + detail, 500)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that a sync refuses to do; then it does nothing at all."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Remote:
    """What the service has.

    :param tests: the project's tests by id.
    :param members: the ids of the tests in each group that a file or the lock names.
    """

    tests: Mapping[str, RemoteTest]
    groups: tuple[RemoteGroup, ...] = ()
    members: Mapping[str, Collection[str]] = field(default_factory=dict)

    def find_group(self, name: str) -> tuple[RemoteGroup, ...]:
        """The groups with an id or a name."""
        by_id = tuple(group for group in self.groups if group.id == name.lower())
        return by_id or tuple(group for group in self.groups if group.name == name)


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions in their order, and the conflicts."""

    actions: tuple[Action, ...]
    conflicts: tuple[Conflict, ...] = ()


def make_plan(
    files: Mapping[str, TestFile],
    lock: Lock,
    remote: Remote,
    *,
    delete: bool = False,
    overwrite: bool = False,
) -> Plan:
    """Compare files, lock and service.

    :param delete: delete the tests whose files are gone, instead of disabling them.
    :param overwrite: write over what somebody changed or deleted at the service since the last sync.
    """
    maker = _Maker(files, lock, remote, delete=delete, overwrite=overwrite)
    maker.settle_intents()
    maker.find_moves()
    maker.plan_groups()
    for key in sorted(files):
        maker.plan_file(files[key])
    for key in sorted(maker.entries.keys() - files.keys()):
        maker.plan_absence(key, maker.entries[key])
    actions = sorted(maker.actions, key=lambda action: (_ORDER[action.kind], action.key, action.group))
    return Plan(tuple(actions), tuple(maker.conflicts))


class _Maker:
    """Collects actions and conflicts."""

    def __init__(
        self, files: Mapping[str, TestFile], lock: Lock, remote: Remote, *, delete: bool, overwrite: bool
    ) -> None:
        self._files, self._lock, self._remote = files, lock, remote
        self._delete, self._overwrite = delete, overwrite
        self.entries: dict[str, Entry] = dict(lock.tests)
        self.actions: list[Action] = []
        self.conflicts: list[Conflict] = []

    def settle_intents(self) -> None:
        """Find the tests whose creation was announced, and whose answer was lost."""
        owned = {entry.id for entry in self._lock.tests.values()}
        for key, intent in sorted(self._lock.creating.items()):
            new = _new_tests(intent, owned, self._remote)
            same = [test for test in new if test.digest == intent.digest]
            if len(same) == 1:
                owned.add(same[0].id)
                self.entries[key] = Entry(same[0].id, same[0].digest, intent.digest)
                self._add(Kind.ADOPT, key, intent.title, same[0].id, detail="an earlier sync created it")
            elif new and not self._overwrite:
                ids = ", ".join(sorted(test.id for test in new))
                self._refuse(
                    key,
                    "an earlier sync was interrupted while it created this test, and the service has new tests "
                    f"with its title ({ids}). Delete them on the dashboard, or use overwrite to create one more.",
                )
            elif key not in self._files:
                self._add(Kind.FORGET, key, intent.title, detail="it was never created")

    def find_moves(self) -> None:
        """A file that is gone and a new one with the same title are one file that was moved."""
        gone = {
            key: self._title(entry)
            for key, entry in self.entries.items()
            if key not in self._files and entry.writing != PULLING
        }
        fresh = [file for key, file in self._files.items() if key not in self.entries]
        for file in fresh:
            sources = [key for key, title in gone.items() if title == file.title]
            if len(sources) == 1 and sum(each.title == file.title for each in fresh) == 1:
                entry = self.entries.pop(sources[0])
                self.entries[file.key] = entry
                self._add(Kind.MOVE, file.key, file.title, entry.id, source=sources[0])

    def plan_groups(self) -> None:
        """The groups that the files name and the service lacks."""
        for name in sorted({name for file in self._files.values() for name in file.groups}):
            users = sorted(key for key, file in self._files.items() if name in file.groups)
            found = self._remote.find_group(name)
            if len(found) > 1:
                self._refuse(
                    users[0], f"{len(found)} groups have the name {name!r}. Name the group by its id."
                )
            elif not found and _is_uuid(name):
                self._refuse(users[0], f"the project has no group {name}.")
            elif not found:
                self._add(Kind.CREATE_GROUP, group=name)

    def plan_file(self, file: TestFile) -> None:
        """A test that a file describes."""
        entry = self.entries.get(file.key)
        if entry is None:
            self._create(file)
            return
        test = self._remote.tests.get(entry.id)
        if test is None:
            if self._overwrite:
                self._create(file)
            else:
                self._refuse(
                    file.key,
                    f"somebody deleted the test {entry.id} since the last sync. Delete the file, or use overwrite "
                    "to create the test again.",
                )
            return
        self._content(file, entry, test)
        self._memberships(file, entry)

    def plan_absence(self, key: str, entry: Entry) -> None:
        """An owned test without a file."""
        test = self._remote.tests.get(entry.id)
        if entry.writing == PULLING:
            self._add(
                Kind.FORGET, key, test_id=entry.id, detail="a pull was interrupted before it wrote the file"
            )
        elif test is None:
            self._add(Kind.FORGET, key, test_id=entry.id, detail="the test does not exist any more")
        elif not self._delete and not test.enabled:
            return
        elif self._is_foreign(entry, test):
            self._refuse(key, _changed(test, "its file is gone"))
        else:
            kind = Kind.DELETE if self._delete else Kind.DISABLE
            self._add(kind, key, test.title, test.id, expects=test.digest, detail="its file is gone")

    def _create(self, file: TestFile) -> None:
        self._add(Kind.CREATE, file.key, file.title, detail="" if file.enabled else "disabled")
        for name in file.groups:
            self._add(Kind.JOIN, file.key, file.title, group=name)

    def _content(self, file: TestFile, entry: Entry, test: RemoteTest) -> None:
        settled = not entry.writing and test.digest == entry.digest
        if file.platform and test.platform and file.platform != test.platform:
            self._refuse(
                file.key,
                f"the test is for {test.platform}, and the service cannot change that. Rename the file and its "
                "title to create a new test.",
            )
        elif settled and file.digest in (entry.wrote, test.digest):
            return
        elif file.digest == test.digest:
            same = "same as the file"
            self._add(Kind.RECORD, file.key, file.title, test.id, expects=test.digest, detail=same)
        elif self._is_foreign(entry, test):
            self._refuse(file.key, _changed(test, "the file differs"))
        else:
            detail = ", ".join(_differences(file, test))
            self._add(Kind.CHANGE, file.key, file.title, test.id, expects=test.digest, detail=detail)

    def _memberships(self, file: TestFile, entry: Entry) -> None:
        wanted = set()
        for name in file.groups:
            group = next(iter(self._remote.find_group(name)), None)
            wanted.add(group.id if group else name)
            if group and entry.id in self._remote.members.get(group.id, ()):
                if group.id not in entry.groups:
                    self._add(
                        Kind.JOIN, file.key, file.title, entry.id, group=name, detail="a member already"
                    )
            elif group and group.id in entry.groups and not self._overwrite:
                self._refuse(
                    file.key,
                    f"somebody removed the test from the group {name!r} since the last sync. Remove the group from "
                    "the file, or use overwrite.",
                )
            else:
                self._add(Kind.JOIN, file.key, file.title, entry.id, group=name)
        for group_id in sorted(set(entry.groups) - wanted):
            self._add(Kind.LEAVE, file.key, file.title, entry.id, group=group_id)

    def _is_foreign(self, entry: Entry, test: RemoteTest) -> bool:
        """Whether somebody else changed the test since the last sync."""
        return not self._overwrite and not entry.knows(test.digest)

    def _title(self, entry: Entry) -> str:
        test = self._remote.tests.get(entry.id)
        return test.title.strip() if test else ""

    def _add(self, kind: Kind, key: str = "", title: str = "", test_id: str = "", **more: str) -> None:
        self.actions.append(Action(kind, key, title, test_id, **more))

    def _refuse(self, key: str, reason: str) -> None:
        self.conflicts.append(Conflict(key, reason))


def is_unsettled(lock: Lock, remote: Remote) -> bool:
    """Whether the service does not show a test whose creation was announced; it may do so a moment later."""
    owned = {entry.id for entry in lock.tests.values()}
    return any(not _new_tests(intent, owned, remote) for intent in lock.creating.values())


def _new_tests(intent: Intent, owned: Collection[str], remote: Remote) -> list[RemoteTest]:
    """The tests that a creation may have made."""
    return [
        test
        for test in remote.tests.values()
        if test.title.strip() == intent.title.strip() and test.id not in {*owned, *intent.known}
    ]


def _changed(test: RemoteTest, why: str) -> str:
    return (
        f"somebody changed the test {test.id} ({one_line(test.title, 80)}) since the last sync, and {why}. Pull "
        "the change, or use overwrite."
    )


def _differences(file: TestFile, test: RemoteTest) -> Iterator[str]:
    if file.title.strip() != test.title.strip():
        yield f"title (was {one_line(test.title, 80)!r})"
    if file.description.strip() != test.description.strip():
        yield "description"
    if file.enabled != test.enabled:
        yield "enable" if file.enabled else "disable"
    if digest("", "", file.steps, enabled=True) != digest("", "", test.steps, enabled=True):
        yield f"steps ({len(test.steps)} before, {len(file.steps)} after)"


def _is_uuid(name: str) -> bool:
    return len(name) == 36 and name.replace("-", "").isalnum() and name.count("-") == 4
