"""Selects owned tests by what their files say. Free of I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from airflow_provider_testerarmy.catalogue.lock import Entry, Lock
from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid, TestFile


def select(
    files: Mapping[str, TestFile],
    lock: Lock,
    *,
    tag: str | None = None,
    owner: str | None = None,
    group: str | None = None,
) -> Iterator[tuple[TestFile, Entry]]:
    """The tests of files with a tag, an owner and a group, in the order of their files; None selects all.

    :param group: a name or an id, as the files have it.
    :raises CatalogueInvalid: for a selected test that no sync has created yet. To leave it out would report a
        pass without it.
    """
    for key in sorted(files):
        file = files[key]
        if (
            (tag is not None and tag not in file.tags)
            or (owner is not None and owner != file.owner)
            or (group is not None and group not in file.groups)
        ):
            continue
        entry = lock.tests.get(key)
        if entry is None:
            raise CatalogueInvalid(
                f"{key} is not at the service yet. Apply the plan first (`airflow testerarmy tests apply`)."
            )
        yield file, entry
