"""The lock: which tests of a project a folder owns, and what the service had after the last sync. Free of I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid
from airflow_provider_testerarmy.runs.text import one_line

_SCHEMA: Final = 1
_SECTIONS: Final = ("tests", "creating")
#: In ``Entry.writing`` while a pull writes the file of a test that was not owned before.
PULLING: Final = "pull"


@dataclass(frozen=True, slots=True)
class Entry:
    """An owned test.

    :param id: the test's id.
    :param digest: what the service had after the last sync.
    :param wrote: the digest of the file at that time. A service may store a text in another form than it was sent.
    :param writing: the digest that the write under way leads to; empty if none is.
    :param groups: the ids of the groups that the sync put the test into.
    """

    id: str
    digest: str
    wrote: str = ""
    groups: tuple[str, ...] = ()
    writing: str = ""

    def knows(self, digest: str) -> bool:
        """Whether a state of the service is one that a sync left, and nobody else's change."""
        return digest in (self.digest, self.writing)


@dataclass(frozen=True, slots=True)
class Intent:
    """A creation that was announced before it was requested.

    :param title, digest: of the test.
    :param known: the ids of the tests that had the title before.
    """

    title: str
    digest: str
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Holder:
    """The sync that holds the lock at this moment.

    :param by: a random text, which no other sync has.
    :param guard: what keeps syncs of one machine apart. Who owns the guard knows that an earlier owner has ended.
    :param until: seconds since the epoch; without another write until then, the sync counts as killed.
    """

    by: str
    guard: str
    until: int


@dataclass(frozen=True, slots=True)
class Lock:
    """The entries and intents of a folder by the keys of its files.

    :param holder: None while no sync is running.
    """

    project_id: str = ""
    tests: Mapping[str, Entry] = field(default_factory=dict)
    creating: Mapping[str, Intent] = field(default_factory=dict)
    holder: Holder | None = None

    def with_entry(self, key: str, entry: Entry) -> Lock:
        """The lock with an owned test; its intent is settled."""
        creating = {name: intent for name, intent in self.creating.items() if name != key}
        return replace(self, tests={**self.tests, key: entry}, creating=creating)

    def without(self, key: str) -> Lock:
        """The lock without a test."""
        return replace(
            self,
            tests={name: entry for name, entry in self.tests.items() if name != key},
            creating={name: intent for name, intent in self.creating.items() if name != key},
        )

    def with_intent(self, key: str, intent: Intent) -> Lock:
        """The lock with an announced creation."""
        return replace(self, creating={**self.creating, key: intent})

    def dump(self) -> str:
        """The lock as text, sorted and with a line for each test, so that versions compare well."""
        document: dict[str, Any] = {"schema": _SCHEMA, "project_id": self.project_id}
        document["tests"] = {key: _as_json(self.tests[key]) for key in sorted(self.tests)}
        if self.creating:
            document["creating"] = {key: asdict(self.creating[key]) for key in sorted(self.creating)}
        if self.holder:
            document["holder"] = asdict(self.holder)
        return f"{{\n{_lines(document, 1)}\n}}\n"


def _lines(value: Mapping[str, Any], depth: int) -> str:
    # A sync of 1,000 tests writes the lock 2,000 times, and json.dumps is ten times slower with an indent.
    indent = "  " * depth
    parts = []
    for name, each in value.items():
        nested = depth == 1 and name in _SECTIONS and each
        text = f"{{\n{_lines(each, 2)}\n{indent}}}" if nested else json.dumps(each, ensure_ascii=False)
        parts.append(f"{indent}{json.dumps(name, ensure_ascii=False)}: {text}")
    return ",\n".join(parts)


def _as_json(entry: Entry) -> dict[str, Any]:
    fields = {"id": entry.id, "digest": entry.digest, "wrote": entry.wrote, "groups": entry.groups}
    return {**fields, "writing": entry.writing} if entry.writing else fields


def load(text: str) -> Lock:
    """Read a lock.

    :raises CatalogueInvalid: if it cannot be read. A sync without its lock would create every test again.
    """
    try:
        document = json.loads(text)
        _check_schema(document["schema"])
        tests = {key: _entry(value) for key, value in document["tests"].items()}
        _check_owners(tests)
        creating = {key: _intent(value) for key, value in document.get("creating", {}).items()}
        return Lock(_text(document["project_id"]), tests, creating, _holder(document.get("holder")))
    except CatalogueInvalid:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CatalogueInvalid(
            f"The lock cannot be read ({type(error).__name__}). Restore it, e.g. from version control; without it "
            "a sync does not know which tests it owns."
        ) from None


def _check_schema(schema: object) -> None:
    if schema != _SCHEMA:
        raise CatalogueInvalid(
            f"The lock has the schema {one_line(str(schema), 20)}, and this version reads {_SCHEMA}. Upgrade the "
            "provider."
        )


def _check_owners(tests: Mapping[str, Entry]) -> None:
    owners: dict[str, str] = {}
    for key, entry in tests.items():
        if other := owners.get(entry.id):
            raise CatalogueInvalid(
                f"The lock has the test {one_line(entry.id, 60)} twice, for {one_line(other, 200)} and "
                f"{one_line(key, 200)}. Restore it, e.g. from version control."
            )
        owners[entry.id] = key


def _entry(value: Mapping[str, Any]) -> Entry:
    groups = tuple(_text(each) for each in value["groups"])
    writing = _text(value.get("writing", ""))
    return Entry(_text(value["id"]), _text(value["digest"]), _text(value["wrote"]), groups, writing)


def _intent(value: Mapping[str, Any]) -> Intent:
    known = tuple(_text(each) for each in value["known"])
    return Intent(_text(value["title"]), _text(value["digest"]), known)


def _holder(value: Mapping[str, Any] | None) -> Holder | None:
    if value is None:
        return None
    return Holder(_text(value["by"]), _text(value["guard"]), int(value["until"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value
