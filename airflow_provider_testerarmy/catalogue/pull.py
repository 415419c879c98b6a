"""What a pull writes: the service's state as files. Free of I/O."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from airflow_provider_testerarmy.catalogue.lock import PULLING, Entry, Lock
from airflow_provider_testerarmy.catalogue.model import RemoteTest, TestFile
from airflow_provider_testerarmy.catalogue.plan import Conflict, Remote

_NOT_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Pulled:
    """A file to write, and its entry in the lock.

    :param new: whether the test was not owned before.
    """

    file: TestFile
    entry: Entry
    new: bool


def plan_pull(
    files: Mapping[str, TestFile],
    lock: Lock,
    remote: Remote,
    *,
    adopt: Collection[str] = (),
    overwrite: bool = False,
) -> tuple[list[Pulled], list[Conflict]]:
    """Compare the service with the files.

    :param adopt: the ids of tests to take ownership of; all others that no file owns stay alone.
    :param overwrite: write over files that somebody changed since the last sync.
    """
    found, conflicts = [], []
    for key, entry in sorted(lock.tests.items()):
        file, test = files.get(key), remote.tests.get(entry.id)
        if file is None or test is None or test.digest == file.digest or entry.knows(test.digest):
            continue
        if file.digest not in (entry.digest, entry.wrote, entry.writing) and not overwrite:
            conflicts.append(
                Conflict(
                    key,
                    "the file and the test have both changed since the last sync. Merge them, or use overwrite.",
                )
            )
            continue
        pulled = replace(entry, digest=test.digest, wrote=test.digest, writing="")
        found.append(Pulled(_from(test, file), pulled, new=False))
    return [*found, *_adopted(files, lock, remote, adopt)], conflicts


def _adopted(
    files: Mapping[str, TestFile], lock: Lock, remote: Remote, adopt: Collection[str]
) -> Iterator[Pulled]:
    interrupted = {key for key, entry in lock.tests.items() if entry.writing == PULLING and key not in files}
    owned = {entry.id for key, entry in lock.tests.items() if key not in interrupted}
    taken = {*files, *(lock.tests.keys() - interrupted), *lock.creating}
    for test_id in sorted(set(adopt) - owned):
        test = remote.tests[test_id]
        key = _free_name(test, taken)
        taken.add(key)
        file = _from(test, TestFile(key, test.title, test.steps, platform=test.platform))
        yield Pulled(file, Entry(test.id, test.digest, test.digest), new=True)


def _from(test: RemoteTest, file: TestFile) -> TestFile:
    """The file with the service's content. What the service does not store stays as it is."""
    return replace(
        file,
        title=test.title.strip(),
        description=test.description.strip(),
        steps=test.steps,
        enabled=test.enabled,
    )


def _free_name(test: RemoteTest, taken: Collection[str]) -> str:
    name = _NOT_NAME.sub("-", test.title.lower()).strip("-")[:60].strip("-") or "test"
    number, key = 1, f"{name}.md"
    while key in taken:
        number += 1
        key = f"{name}-{number}.md"
    return key
