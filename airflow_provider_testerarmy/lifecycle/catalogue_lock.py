"""The lock of a sync as a file. One sync at a time holds it, among all processes and machines that share it."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from airflow_provider_testerarmy.catalogue.lock import Holder, Lock
from airflow_provider_testerarmy.catalogue.model import CatalogueBusy
from airflow_provider_testerarmy.hooks.catalogue_folder import as_lock, read_lock_file
from airflow_provider_testerarmy.lifecycle.object_paths import ObjectChanged, conditions_now, write_if
from airflow_provider_testerarmy.lifecycle.reporting import write_file

log = logging.getLogger(__name__)

#: Seconds for which another machine respects a sync that writes nothing more. One request, with retries, is between
#: two writes.
HELD: Final = 300
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class LockFile:
    """The lock, and what this process has last read or written there.

    :param place: its path or URL.
    :param folder: the folder of test files.
    :param clock: returns seconds since the epoch.
    :raises CatalogueInvalid: if the lock cannot be read.
    """

    def __init__(self, place: str, folder: str, *, clock: Callable[[], float] = time.time) -> None:
        self._place, self._folder, self._clock = place, folder, clock
        self._holder: Holder | None = None
        self._content = read_lock_file(place)
        self.stored = as_lock(self._content)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep all other syncs away.

        :raises CatalogueBusy: if another sync is running, or has changed the lock.
        """
        with only_one(self._place, self._folder) as guard:
            other = self.stored.holder
            if other and other.guard != guard and other.until > self._clock():
                until = datetime.fromtimestamp(other.until, UTC)
                raise CatalogueBusy(
                    f"Another sync of {self._folder} is running, or was killed on another machine. Try again after "
                    f"it, or after {until:%H:%M:%S} UTC."
                )
            self._holder = Holder(secrets.token_hex(8), guard, 0)
            self.save(self.stored)
            try:
                yield
            finally:
                self._let_go()

    def save(self, lock: Lock) -> None:
        """Write the lock, if nobody else has.

        :raises CatalogueBusy: if another sync has changed it.
        """
        # Taken before the lock is read, so that the store itself refuses what is written in between.
        conditions = conditions_now(self._place)
        if read_lock_file(self._place) != self._content:
            raise self._changed()
        if self._holder:
            self._holder = replace(self._holder, until=int(self._clock()) + HELD)
        lock = replace(lock, holder=self._holder)
        content = lock.dump().encode()
        try:
            if not write_if(self._place, content, conditions):
                write_file(self._place, content)
        except ObjectChanged:
            raise self._changed() from None
        self.stored, self._content = lock, content

    def _changed(self) -> CatalogueBusy:
        return CatalogueBusy(
            f"Another sync has changed the lock {self._place}. The actions before this one are done. Plan again."
        )

    def _let_go(self) -> None:
        self._holder = None
        # What the sync has done is stored already, and what ended it must not be hidden.
        with suppress(CatalogueBusy):
            try:
                self.save(self.stored)
            except OSError as error:
                log.warning("The lock %s still names this sync, for %d s: %s", self._place, HELD, error)


@contextmanager
def only_one(place: str, folder: str) -> Iterator[str]:
    """Keeps two syncs on one machine apart; the operating system releases it after a kill.

    :param place: the path or URL of the lock.
    :return: the guard: equal texts are of one machine, and of the same file there.
    :raises CatalogueBusy: if another sync is running.
    """
    descriptor = _open_beside(place)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CatalogueBusy(f"Another sync of {folder} is running. Try again after it.") from None
        yield _guard(descriptor)
    finally:
        os.close(descriptor)


def _open_beside(place: str) -> int:
    if "://" not in place:
        beside = Path(place).parent
        beside.mkdir(parents=True, exist_ok=True)
        return os.open(beside, os.O_RDONLY)
    # Versions of a folder have paths of their own, so the folder does not keep their syncs apart.
    name = f"testerarmy-{os.getuid()}-{hashlib.sha256(place.encode()).hexdigest()[:16]}.lock"
    path = Path(tempfile.gettempdir()) / name
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _guard(descriptor: int) -> str:
    found = os.fstat(descriptor)
    boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
    text = f"{socket.gethostname()} {boot} {found.st_dev} {found.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
