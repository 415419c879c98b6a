"""Quarantines that people declare: in a file beside the DAG, or on the command line. Free of I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from airflow_provider_testerarmy.runs.memory.model import (
    LATEST,
    OWNER,
    REASON,
    TESTS,
    Quarantine,
    plain,
    test_key,
)
from airflow_provider_testerarmy.runs.memory.quarantine import GATE
from airflow_provider_testerarmy.runs.rendered import is_nothing
from airflow_provider_testerarmy.runs.text import one_line

#: The fields of an entry in a file; each is required.
FIELDS: Final = ("test", "owner", "reason", "until")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SPAN: Final = re.compile(r"(\d{1,4}) ?([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


class DeclarationInvalid(ValueError):
    """A quarantine that lacks something, or has something that it must not have."""


def declare(owner: object, reason: object, *, since: int, until: int) -> Quarantine:
    """A quarantine by a person.

    :param since, until: seconds since the epoch.
    :raises DeclarationInvalid: without an owner or a reason, or if one of them is too long.
    """
    who, why = _text("owner", owner, OWNER), _text("reason", reason, REASON)
    if who.casefold() == GATE:
        raise DeclarationInvalid(
            f"owner {who!r} is the gate's own name. Name the person or team that decides."
        )
    return Quarantine(who, why, since, until)


def end_of(text: object, now: float) -> int:
    """The end of a quarantine in seconds since the epoch: a date such as ``2026-12-24``, or a time such as ``14d``.

    :param now: seconds since the epoch.
    :raises DeclarationInvalid: for anything else, and for an end that has passed.
    """
    words = str(text).strip().lower()
    if found := _SPAN.fullmatch(words):
        end = int(now + timedelta(**{_UNITS[found[2]]: int(found[1])}).total_seconds())
    else:
        end = end_of_day(text)
    if end <= now:
        raise DeclarationInvalid(f"until {_shown(text)} has passed. Give a later end.")
    return min(LATEST, end)


def end_of_day(text: object) -> int:
    """The end of a day in UTC, in seconds since the epoch; the quarantine includes that day.

    :raises DeclarationInvalid: for anything but ``YYYY-MM-DD``.
    """
    words = str(text).strip()
    try:
        day = date.fromisoformat(words) if _DAY.fullmatch(words) else None
    except ValueError:
        day = None
    if day is None:
        raise DeclarationInvalid(f"until {_shown(text)} is no date such as 2026-12-24.")
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    return min(LATEST, int(begin) + 86_400)


def read_entries(document: object, owners: Mapping[str, str] = MappingProxyType({})) -> dict[str, Quarantine]:
    """The quarantines of a file by the keys of their tests.

    A file that says something other than what it seems to say must not exclude a test, so this believes all of it
    or nothing.

    :param document: a list of entries, each a mapping with exactly ``FIELDS`` and text as values.
    :param owners: by the keys of their tests; they complete entries without an owner.
    :raises DeclarationInvalid: with the entry and what is wrong with it.
    """
    if not isinstance(document, list):
        raise DeclarationInvalid("It must be a list of entries.")
    if len(document) > TESTS:
        raise DeclarationInvalid(f"It has {len(document)} entries; at most {TESTS} are possible.")
    found: dict[str, Quarantine] = {}
    for number, entry in enumerate(document, 1):
        try:
            test_id, quarantine = _entry(entry, owners)
        except DeclarationInvalid as error:
            raise DeclarationInvalid(f"Entry {number}{_of_test(entry)}: {error}") from None
        if test_id in found:
            raise DeclarationInvalid(f"Entry {number}{_of_test(entry)}: the test has an entry already.")
        found[test_id] = quarantine
    return found


def _entry(entry: object, owners: Mapping[str, str]) -> tuple[str, Quarantine]:
    if not isinstance(entry, Mapping):
        raise DeclarationInvalid(f"it must have the fields {', '.join(FIELDS)}.")
    fields: dict[str, Any] = {str(name): value for name, value in entry.items()}
    if is_nothing(fields.get("owner")) and (owner := owners.get(test_key(str(fields.get("test"))))):
        fields["owner"] = plain(owner, OWNER)
    if missing := [name for name in FIELDS if is_nothing(fields.get(name))]:
        raise DeclarationInvalid(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.")
    if unknown := sorted(fields.keys() - set(FIELDS)):
        raise DeclarationInvalid(f"{_shown(unknown[0])} is no field. The fields are {', '.join(FIELDS)}.")
    for name, value in fields.items():
        # A bare number may be another id than the one that was meant: YAML reads 010 as 8.
        if not isinstance(value, str):
            raise DeclarationInvalid(f"{name} must be text, not {type(value).__name__}. Write it in quotes.")
    quarantine = declare(fields["owner"], fields["reason"], since=0, until=end_of_day(fields["until"]))
    return test_key(fields["test"]), quarantine


def _text(name: str, value: object, limit: int) -> str:
    shown = "" if is_nothing(value) else plain(str(value), 4 * limit)
    if not shown:
        raise DeclarationInvalid(f"{name} is missing.")
    if len(shown.encode()) > limit:
        raise DeclarationInvalid(f"{name} has {len(shown.encode())} bytes; at most {limit} are possible.")
    return shown


def _shown(value: object) -> str:
    return repr(one_line(str(value), 60))


def _of_test(entry: object) -> str:
    test = entry.get("test") if isinstance(entry, Mapping) else None
    return f" (test {one_line(test, 60)})" if isinstance(test, str) and not is_nothing(test) else ""
