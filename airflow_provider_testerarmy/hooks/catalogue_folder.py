"""Reads a folder of test files and its lock, which may be in an object store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from airflow_provider_testerarmy.catalogue.files import SUFFIXES, parse
from airflow_provider_testerarmy.catalogue.lock import Entry, Lock, load
from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid, TestFile
from airflow_provider_testerarmy.catalogue.selection import select
from airflow_provider_testerarmy.runs.text import one_line

#: The lock in the folder, unless another place is named.
LOCK_NAME: Final = "tests.lock.json"
_LIMIT: Final = 256 * 1024
_LOCK_LIMIT: Final = 4 * 1024 * 1024


def read_files(folder: str | Path) -> tuple[dict[str, TestFile], list[str]]:
    """The tests of a folder by their keys, and what is wrong with the other files.

    Hidden files and ``README.md`` are no tests.

    :raises CatalogueInvalid: if there is no such folder.
    """
    root = Path(folder).expanduser()
    # A folder that is missing, e.g. because of a typo, must not look like one whose tests are all gone.
    if not root.is_dir():
        raise CatalogueInvalid(f"{folder} is no folder.")
    files: dict[str, TestFile] = {}
    faults: list[str] = []
    for path in sorted(root.rglob("*")):
        key = path.relative_to(root).as_posix()
        if not _is_test(path, key):
            continue
        try:
            _check_inside(path, key, root)
            files[key] = parse(key, _read(path, key))
        except CatalogueInvalid as error:
            faults.append(str(error))
    return files, faults


def read_valid_files(folder: str | Path) -> dict[str, TestFile]:
    """The tests of a folder, if all of its files are valid.

    :raises CatalogueInvalid: with everything that is wrong.
    """
    files, faults = read_files(folder)
    if faults:
        raise CatalogueInvalid(" ".join(faults))
    return files


def lock_place(folder: str | Path, lock_path: str | None) -> str:
    """The path or URL of the lock."""
    if lock_path:
        return lock_path if "://" in lock_path else str(Path(lock_path).expanduser())
    return str(Path(folder).expanduser() / LOCK_NAME)


def read_lock(place: str) -> Lock:
    """The lock; an empty one if there is none yet.

    :raises CatalogueInvalid: if it cannot be read.
    """
    return as_lock(read_lock_file(place))


def as_lock(content: bytes | None) -> Lock:
    """The lock in the content of its file, None for a file that does not exist.

    :raises CatalogueInvalid: if it cannot be used.
    """
    return Lock() if content is None else load(content.decode("utf-8", "replace"))


def read_lock_file(place: str) -> bytes | None:
    """The content of the lock's file; None if there is none yet.

    :raises CatalogueInvalid: if it cannot be read.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(place)
        # fsspec keeps the names and sizes of files in its process, and another one may have written the lock.
        path.fs.invalidate_cache()
        with path.open("rb") as file:
            content: bytes = file.read(_LOCK_LIMIT + 1)
    except FileNotFoundError:
        return None
    except Exception as error:
        why = one_line(str(error) or type(error).__name__, 200)
        raise CatalogueInvalid(f"The lock {place} cannot be read ({why}).") from error
    if len(content) > _LOCK_LIMIT:
        raise CatalogueInvalid(f"The lock {place} has more than {_LOCK_LIMIT} bytes.")
    return content


def select_tests(
    folder: str | Path,
    *,
    tag: str | None = None,
    owner: str | None = None,
    group: str | None = None,
    lock_path: str | None = None,
) -> list[tuple[TestFile, Entry]]:
    """A folder's tests with their entries in the lock.

    :param tag, owner, group: what the files must say; None selects all.
    :raises CatalogueInvalid: if a file or the lock cannot be used.
    """
    lock = read_lock(lock_place(folder, lock_path))
    return list(select(read_valid_files(folder), lock, tag=tag, owner=owner, group=group))


def owners_of(folder: str | Path) -> dict[str, str]:
    """The owners of a folder's tests by the tests' ids.

    :raises CatalogueInvalid: if the folder or its lock cannot be used. A file that is not valid has no owner.
    """
    lock, (files, _) = read_lock(lock_place(folder, None)), read_files(folder)
    owners = ((lock.tests.get(key), file.owner) for key, file in files.items())
    return {entry.id: owner for entry, owner in owners if entry and owner}


def select_test_ids(
    folder: str | Path,
    *,
    tag: str | None = None,
    owner: str | None = None,
    group: str | None = None,
    lock_path: str | None = None,
) -> list[str]:
    """The ids of a folder's enabled tests, from files and lock alone, to use when a DAG file is parsed.

    :param folder: str or Path; the folder.
    :param tag, owner, group: str or None; what the files must say; None selects all.
    :param lock_path: str or None; the path or URL of the lock; None for ``tests.lock.json`` in the folder.
    :raises CatalogueInvalid: if no test matches, or a file or the lock cannot be used.
    """
    found = select_tests(folder, tag=tag, owner=owner, group=group, lock_path=lock_path)
    ids = [entry.id for file, entry in found if file.enabled]
    if not ids:
        raise CatalogueInvalid(f"No enabled test in {folder} matches the selection.")
    return ids


def _is_test(path: Path, key: str) -> bool:
    hidden = any(part.startswith(".") for part in key.split("/"))
    return path.suffix in SUFFIXES and path.name != "README.md" and not hidden and path.is_file()


def _check_inside(path: Path, key: str, root: Path) -> None:
    """Refuse a link to another place: what is there would be sent to the service."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise CatalogueInvalid(f"{key}: It is a link out of the folder. Copy the file instead.")


def _read(path: Path, key: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except OSError as error:
        raise CatalogueInvalid(f"{key}: It cannot be read ({error.strerror or error}).") from error
    if len(content) > _LIMIT:
        raise CatalogueInvalid(f"{key}: It has more than {_LIMIT} bytes.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise CatalogueInvalid(f"{key}: It is not UTF-8 text.") from None
