"""A sync of test files: reads folder, lock and service, and stores the lock while a plan is applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from airflow_provider_testerarmy.catalogue.apply import Applier
from airflow_provider_testerarmy.catalogue.files import render
from airflow_provider_testerarmy.catalogue.lock import PULLING, Entry, Lock
from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid, TestFile
from airflow_provider_testerarmy.catalogue.plan import (
    Action,
    Conflict,
    Plan,
    Remote,
    is_unsettled,
    make_plan,
)
from airflow_provider_testerarmy.catalogue.pull import Pulled, plan_pull
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.hooks.catalogue_folder import lock_place, read_valid_files
from airflow_provider_testerarmy.hooks.testerarmy_catalogue import Requests, TesterArmyCatalogue
from airflow_provider_testerarmy.lifecycle.catalogue_lock import LockFile
from airflow_provider_testerarmy.lifecycle.reporting import write_local

T = TypeVar("T")

#: Seconds between looks for a test whose creation was interrupted. The service may still be creating it.
_LOOKS: Final = (1.0, 4.0)


@dataclass(frozen=True, slots=True)
class State:
    """What a plan compares."""

    files: dict[str, TestFile]
    lock: Lock
    remote: Remote


class CatalogueSync:
    """The sync of one folder with one project.

    :param project_id: None takes that of the lock.
    :param lock_path: the path or URL of the lock; None for ``tests.lock.json`` in the folder.
    :param pause: sleeps for a number of seconds.
    :param clock: a clock in seconds that ``pause`` moves on.
    :raises CatalogueInvalid: if a file or the lock cannot be used, or the lock belongs to another project.
    """

    def __init__(
        self,
        requests: Requests,
        folder: str,
        project_id: str | None = None,
        lock_path: str | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._pause = folder, pause
        self._files, self._file = read_valid_files(folder), LockFile(lock_place(folder, lock_path), folder)
        known = self._file.stored.project_id
        if not (project_id or known):
            raise CatalogueInvalid("Name the project: the lock has none yet.")
        if project_id and known and project_id.lower() != known:
            raise CatalogueInvalid(
                f"The lock belongs to the project {known}, not {project_id}. Use another folder or lock."
            )
        self._lock = replace(self._file.stored, project_id=known or (project_id or "").lower())
        self._service = TesterArmyCatalogue(Paced(requests, pause, clock), self._lock.project_id)

    def read(self) -> State:
        """Read the service."""
        names = {name for file in self._files.values() for name in file.groups}
        ids = {group for entry in self._lock.tests.values() for group in entry.groups}
        remote = self._service.read(names, ids)
        for seconds in _LOOKS:
            if not is_unsettled(self._lock, remote):
                break
            self._pause(seconds)
            remote = self._service.read(names, ids)
        return State(self._files, self._lock, remote)

    def plan(self, state: State, *, delete: bool = False, overwrite: bool = False) -> Plan:
        """What a sync would do. Nothing is changed."""
        return make_plan(state.files, state.lock, state.remote, delete=delete, overwrite=overwrite)

    def apply(self, state: State, plan: Plan, done: Callable[[Action], None]) -> None:
        """Apply a plan.

        :param done: called after each action. What it raises ends the sync there, and the next one goes on.
        :raises CatalogueInvalid: for conflicts, before anything is changed.
        :raises CatalogueBusy: if another sync is running.
        """
        if not plan.actions and not plan.conflicts:
            return
        with self._file.held():
            Applier(state.files, state.lock, state.remote, self._service, self._file.save).apply(plan, done)

    def plan_pull(
        self, state: State, *, adopt: Collection[str] = (), overwrite: bool = False
    ) -> tuple[list[Pulled], list[Conflict]]:
        """What a pull would write.

        :raises CatalogueInvalid: for a test that the project does not have, or that no file can describe.
        """
        if unknown := sorted(set(adopt) - state.remote.tests.keys()):
            raise CatalogueInvalid(f"The project has no test {unknown[0]}.")
        pulled, conflicts = plan_pull(state.files, state.lock, state.remote, adopt=adopt, overwrite=overwrite)
        for each in pulled:
            render(each.file)
        return pulled, conflicts

    def pull(self, pulled: Collection[Pulled]) -> None:
        """Write the files, and the lock after each of them.

        :raises CatalogueBusy: if another sync is running.
        """
        with self._file.held():
            for each in pulled:
                path = Path(self._folder).expanduser() / each.file.key
                path.parent.mkdir(parents=True, exist_ok=True)
                # A file without an entry would be created as a second test, and an entry without a file disables
                # its test. So a new entry is marked until its file is there.
                if each.new:
                    self._keep(each.file.key, replace(each.entry, writing=PULLING))
                write_local(path, render(each.file).encode())
                self._keep(each.file.key, each.entry)

    def _keep(self, key: str, entry: Entry) -> None:
        self._lock = self._lock.with_entry(key, entry)
        self._file.save(self._lock)


class Paced:
    """Requests that keep to the rate of their connection, also one after the other and without pauses between.

    :param pause: sleeps for a number of seconds.
    :param clock: a clock in seconds that ``pause`` moves on.
    """

    def __init__(
        self, requests: Requests, pause: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self._requests, self._pause, self._clock = requests, pause, clock
        self.max_per_second = requests.max_per_second
        self._next = clock()

    def ask(self, question: Operation[T]) -> T:
        """The response to a request."""
        self._await_turn()
        return self._requests.ask(question)

    def remove(self, delete: Operation[Any]) -> bool:
        """Delete an object; return False if it does not exist."""
        self._await_turn()
        return self._requests.remove(delete)

    def _await_turn(self) -> None:
        now = self._clock()
        if self._next > now:
            self._pause(self._next - now)
        self._next = max(now, self._next) + 1 / self.max_per_second
