"""A sync of test files: reads folder, lock and service, and stores the lock while a plan is applied."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from airflow_provider_testerarmy.catalogue.apply import Applier
from airflow_provider_testerarmy.catalogue.files import render
from airflow_provider_testerarmy.catalogue.lock import PULLING, Entry, Lock
from airflow_provider_testerarmy.catalogue.model import CatalogueBusy, CatalogueInvalid, TestFile
from airflow_provider_testerarmy.catalogue.plan import (
    Action,
    Conflict,
    Plan,
    Remote,
    is_unsettled,
    make_plan,
)
from airflow_provider_testerarmy.catalogue.pull import Pulled, plan_pull
from airflow_provider_testerarmy.hooks.catalogue_folder import lock_place, read_lock, read_valid_files
from airflow_provider_testerarmy.hooks.testerarmy_catalogue import Requests, TesterArmyCatalogue
from airflow_provider_testerarmy.lifecycle.reporting import write_file, write_local

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
    ) -> None:
        self._folder, self._place, self._pause = folder, lock_place(folder, lock_path), pause
        self._files, self._stored = read_valid_files(folder), read_lock(self._place)
        known = self._stored.project_id
        if not (project_id or known):
            raise CatalogueInvalid("Name the project: the lock has none yet.")
        if project_id and known and project_id.lower() != known:
            raise CatalogueInvalid(
                f"The lock belongs to the project {known}, not {project_id}. Use another folder or lock."
            )
        self._lock = replace(self._stored, project_id=known or (project_id or "").lower())
        self._service = TesterArmyCatalogue(requests, self._lock.project_id)

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
        with only_one(self._place, self._folder):
            Applier(state.files, state.lock, state.remote, self._service, self._save).apply(plan, done)

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
        with only_one(self._place, self._folder):
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
        self._save(self._lock)

    def _save(self, lock: Lock) -> None:
        # Another machine does not see the lock of the operating system, but it sees and changes this one.
        if read_lock(self._place) != self._stored:
            raise CatalogueBusy(
                f"Another sync has changed the lock {self._place}. The actions before this one are done. Plan "
                "again."
            )
        write_file(self._place, lock.dump().encode())
        self._stored = lock


@contextmanager
def only_one(place: str, folder: str) -> Iterator[None]:
    """Keeps two syncs on one machine apart; the operating system releases it after a kill.

    :param place: the path or URL of the lock.
    :raises CatalogueBusy: if another sync is running.
    """
    beside = Path(folder).expanduser() if "://" in place else Path(place).parent
    beside.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(beside, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CatalogueBusy(f"Another sync of {folder} is running. Try again after it.") from None
        yield
    finally:
        os.close(descriptor)
