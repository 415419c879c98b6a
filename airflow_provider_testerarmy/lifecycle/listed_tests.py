"""The tests of a group that get a task each: from a list in the DAG file, or from a file in its folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from airflow_provider_testerarmy.runs.text import one_line

#: Fields of an entry.
_FIELDS: Final = frozenset({"id", "title", "task_id"})
#: The most characters of a task's name; Airflow allows 250 with the names of all groups around it.
_LONGEST: Final = 100
_TASK_ID: Final = re.compile(r"[\w-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListedTest:
    """A test with a task of its own.

    :param test_id: in canonical form.
    :param title: empty if the list has none.
    :param task_id: the name of its task in the group.
    """

    test_id: str
    title: str
    task_id: str


def listed_tests(tests: Any, files: Sequence[str], reserved: Iterable[str]) -> list[ListedTest]:
    """The tests of a list.

    :param tests: the path of a YAML or JSON file; or its content: a list of ids or of dicts with ``id``, ``title``
        and ``task_id``.
    :param files: the Python files in whose folders the path is looked for, the DAG file first.
    :param reserved: names that other tasks of the group have.
    :raises ValueError: if the list cannot be read or is not valid.
    """
    path = tests if isinstance(tests, str | Path) else None
    name = "The list of tests" if path is None else f"The list of tests {path}"
    entries = tests if path is None else _read(_place(Path(path), files), name)
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise ValueError(f"{name} is not a list of at least one test, each with an id and a title.")
    given = [_entry(entry, name) for entry in entries]
    if len({test_id for test_id, _, _ in given}) < len(given):
        raise ValueError(f"{name} has a test twice.")
    return _with_task_ids(given, name, set(reserved))


def _place(path: Path, files: Sequence[str]) -> Path:
    """Where the file is. If it is nowhere, where the DAG file is."""
    places = [Path(file).parent / path.expanduser() for file in files]
    return next((place for place in places if place.exists()), places[0])


def _read(place: Path, name: str) -> Any:
    from airflow_provider_testerarmy.lifecycle.dag_documents import (
        DocumentInvalid,
        parse_document,
        read_document,
    )

    try:
        return parse_document(read_document(place), place.suffix.lower())
    except OSError as error:
        raise ValueError(
            f"{name} cannot be read ({error.strerror or error}). It was looked for at {place}."
        ) from None
    except DocumentInvalid as error:
        raise ValueError(f"{name} is not valid. {error}") from None


def _entry(entry: Any, name: str) -> tuple[str, str, str]:
    """The id, the title and the task id of an entry."""
    fields = entry if isinstance(entry, Mapping) else {"id": entry}
    if unknown := sorted(map(str, fields.keys() - _FIELDS)):
        raise ValueError(f"{name} has an entry with the unknown field {unknown[0]!r}.")
    text = str(fields.get("id") or "").strip()
    try:
        test_id = str(UUID(text))
    except ValueError:
        raise ValueError(
            f"{name} has an entry whose id is no test id (UUID): {one_line(text, 80)!r}."
        ) from None
    task_id = str(fields.get("task_id") or "")
    if task_id and not _TASK_ID.fullmatch(task_id):
        raise ValueError(
            f"{name} has the task_id {one_line(task_id, 80)!r}. Use at most 100 letters, digits, dashes and "
            "underscores."
        )
    return test_id, one_line(str(fields.get("title") or ""), 200), task_id


def _with_task_ids(given: Sequence[tuple[str, str, str]], name: str, taken: set[str]) -> list[ListedTest]:
    chosen = [task_id for _, _, task_id in given if task_id]
    if len(set(chosen)) < len(chosen) or taken & set(chosen):
        raise ValueError(f"{name} has a task_id twice, or one of {', '.join(sorted(taken))}.")
    slugs = [_slug(title) for _, title, _ in given]
    found = []
    for (test_id, title, task_id), slug in zip(given, slugs, strict=True):
        # Not by the order in the list: a test that is added must not change the names of others.
        plain = bool(slug) and slugs.count(slug) == 1 and slug not in taken and slug not in chosen
        unique = slug if plain else f"{slug or 'test'}_{test_id.replace('-', '')}"
        found.append(ListedTest(test_id, title, task_id or unique))
    return found


def _slug(title: str) -> str:
    """A title as a task id: lower case, of ASCII letters, digits and underscores."""
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:_LONGEST].strip("_")
