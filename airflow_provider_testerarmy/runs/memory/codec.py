"""The memory as JSON in parts of at most 48 KiB, and back: whole and by the schema, or not at all.

Anyone with write access to the storage may have written a document, so every value is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final, NoReturn, TypeVar

from airflow_provider_testerarmy.runs.memory.model import (
    ADDRESS,
    COMMIT,
    FAILING,
    ID,
    KEY,
    LATEST,
    LETTERS,
    NIGHTS,
    OWNER,
    REASON,
    SHORT_COMMIT,
    TESTS,
    UNRATED,
    Fingerprint,
    Mark,
    Memory,
    Night,
    NightRef,
    Quarantine,
    Seen,
    Streak,
    TestMemory,
    Unreadable,
    plain,
)

VERSION: Final = 1
#: Bytes of one part, and parts of one document.
PART: Final = 48 * 1024
PARTS: Final = 8
#: Bytes that a part's frame takes at the most, without its rows.
_FRAME: Final = 256
_STEP: Final = re.compile(r"[0-9a-f]{8}|")
#: A streak can be older than any calendar of nights; this many is one every minute for two years.
_STREAK: Final = 1_000_000

T = TypeVar("T")


class Mistrust(Exception):
    """A document that the schema does not allow; nothing of it is believed."""


def encode(memory: Memory) -> list[str]:
    """The memory as the parts of a document."""
    rows = [[test_id, *_test_row(test)] for test_id, test in sorted(memory.tests.items())]
    return _parts("memory", [[list(astuple(ref)) for ref in memory.nights]], rows)


def encode_night(night: Night) -> list[str]:
    """One night as the parts of a document."""
    rows: list[list[Any]] = [
        ["t", test_id, seen.letter, _fingerprint_row(seen.fingerprint)]
        for test_id, seen in sorted(night.tests.items())
    ]
    rows += [["q", test_id, list(astuple(one))] for test_id, one in sorted(night.quarantines.items())]
    return _parts("night", [list(astuple(night.ref))], rows)


def decode(parts: Sequence[object]) -> Memory | Unreadable:
    """The memory that :func:`encode` wrote, or why it cannot be read."""
    return _guarded(lambda: _memory(parts))


def decode_night(parts: Sequence[object]) -> Night | Unreadable:
    """The night that :func:`encode_night` wrote, or why it cannot be read."""
    return _guarded(lambda: _night(parts))


def loads(text: object, limit: int = PART) -> Any:
    """A JSON document, strictly: bounded, without repeated names, without what is no JSON number.

    :param limit: the most bytes that it may have.
    :raises Mistrust: for anything else.
    """
    if not isinstance(text, str):
        _wrong(f"a {type(text).__name__} instead of text")
    if len(text) > limit or len(text.encode("utf-8", "surrogatepass")) > limit:
        _wrong(f"a document of more than {limit} bytes")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except Mistrust:
        raise
    except RecursionError:
        raise Mistrust("it is nested too deeply") from None
    except ValueError as error:
        raise Mistrust(f"it is no JSON: {error}") from None


def _guarded(read: Callable[[], T]) -> T | Unreadable:
    try:
        return read()
    except Mistrust as error:
        return Unreadable(plain(str(error), 200))


# -- writing


def _parts(kind: str, head: list[Any], rows: Sequence[list[Any]]) -> list[str]:
    """The rows in as many parts as they need; the head stands in the first."""
    texts = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    head_text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    groups: list[list[str]] = [[]]
    room = PART - _FRAME - len(head_text.encode())
    for text in texts:
        size = len(text.encode()) + 1
        if size > room:
            groups.append([])
            room = PART - _FRAME
        groups[-1].append(text)
        room -= size
    heads = [head_text] + ["[]"] * (len(groups) - 1)
    return [
        f'{{"version":{VERSION},"kind":"{kind}","part":{number},"of":{len(groups)},'
        f'"head":{heads[number]},"rows":[{",".join(group)}]}}'
        for number, group in enumerate(groups)
    ]


def _test_row(test: TestMemory) -> list[Any]:
    return [
        test.letters,
        _fingerprint_row(test.fingerprint),
        list(astuple(test.quarantine)) if test.quarantine else None,
        list(astuple(test.passed)) if test.passed else None,
        [test.failing.nights, *astuple(test.failing.first)] if test.failing else None,
    ]


def _fingerprint_row(fingerprint: Fingerprint | None) -> list[Any] | None:
    return [fingerprint.severity, fingerprint.step] if fingerprint else None


# -- reading


def _memory(parts: Sequence[object]) -> Memory:
    head, rows = _joined("memory", parts)
    (refs,) = _row(head, 1)
    nights = tuple(_ref(each) for each in _list(refs, NIGHTS))
    if list(nights) != sorted(nights) or len({ref.key for ref in nights}) < len(nights):
        _wrong("its nights are not in order")
    tests = dict(_read_tests(_list(rows, TESTS), len(nights)))
    if len(tests) < len(rows):
        _wrong("a test is in it twice")
    return Memory(nights, tests)


def _read_tests(rows: list[Any], nights: int) -> Iterator[tuple[str, TestMemory]]:
    for row in rows:
        test_id, letters, fingerprint, quarantine, passed, failing = _row(row, 6)
        _text(letters, NIGHTS)
        if len(letters) != nights or not LETTERS.issuperset(letters):
            _wrong("outcomes that do not fit its nights")
        yield (
            _text(test_id, ID, least=1),
            TestMemory(
                letters,
                None if fingerprint is None else _fingerprint(fingerprint),
                None if quarantine is None else _quarantine(quarantine),
                None if passed is None else _mark(_row(passed, 2)),
                None if failing is None else _streak(failing),
            ),
        )


def _night(parts: Sequence[object]) -> Night:
    head, rows = _joined("night", parts)
    tests: dict[str, Seen] = {}
    quarantines: dict[str, Quarantine] = {}
    for row in rows:
        match row:
            case ["t", test_id, str() as letter, fingerprint] if letter in LETTERS:
                seen = None if fingerprint is None else _fingerprint(fingerprint)
                if seen and letter not in FAILING:
                    _wrong("an issue of a test that has not failed")
                tests[_text(test_id, ID, least=1)] = Seen(letter, seen)
            case ["q", test_id, quarantine]:
                quarantines[_text(test_id, ID, least=1)] = _quarantine(quarantine)
            case _:
                _wrong("a row of an unknown kind")
    if len(tests) + len(quarantines) < len(rows) or max(len(tests), len(quarantines)) > TESTS:
        _wrong("a test is in it twice, or there are too many")
    return Night(_ref(_row(head, 1)[0]), tests, quarantines)


def _joined(kind: str, parts: Sequence[object]) -> tuple[Any, list[Any]]:
    if not 1 <= len(parts) <= PARTS:
        _wrong(f"{len(parts)} parts")
    head: Any = []
    rows: list[Any] = []
    for number, text in enumerate(parts):
        document = fields(text, {"kind", "part", "of", "head", "rows"})
        placed = (document["kind"], document["part"], document["of"])
        if placed != (kind, number, len(parts)) or isinstance(document["part"], bool | float):
            _wrong("parts that do not belong together")
        if number and document["head"] != []:
            _wrong("a second head")
        head = document["head"] if number == 0 else head
        rows += _list(document["rows"], 2 * TESTS)
    return head, rows


def fields(text: object, names: set[str], absent: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """The document's fields: the version that is known, and exactly these.

    :param absent: names that an older document may lack, each with the field whose value it has then.
    :raises Mistrust: for anything else.
    """
    document = loads(text)
    if not isinstance(document, dict):
        _wrong("a document that is no object")
    version = document.get("version")
    if isinstance(version, bool | float) or version != VERSION:
        shown = version if isinstance(version, int) and 0 <= version < 10**6 else "unknown"
        _wrong(f"it has version {shown}; this package reads {VERSION}")
    for name, source in (absent or {}).items():
        document.setdefault(name, document.get(source))
    if document.keys() != names | {"version"}:
        _wrong("unknown or missing fields")
    return document


def _ref(value: Any) -> NightRef:
    given = _list(value, 5)
    # A memory from before backfills had an order of their own has no time of the judgment.
    at, key, commit, address, judged = _row([*given, *given[:1]] if len(given) == 4 else given, 5)
    return NightRef(
        whole(at, 0, LATEST),
        _text(key, KEY, least=1),
        _text(commit, COMMIT),
        _text(address, ADDRESS),
        whole(judged, 0, LATEST),
    )


def _fingerprint(value: Any) -> Fingerprint:
    severity, step = _row(value, 2)
    if not isinstance(step, str) or not _STEP.fullmatch(step):
        _wrong("a step that is no digest")
    return Fingerprint(whole(severity, 0, UNRATED), step)


def _quarantine(value: Any) -> Quarantine:
    owner, reason, since, until, lifted = _row(value, 5)
    begin = whole(since, 0, LATEST)
    if not isinstance(lifted, bool):
        _wrong("a quarantine that is neither in force nor lifted")
    return Quarantine(_text(owner, OWNER), _text(reason, REASON), begin, whole(until, begin, LATEST), lifted)


def _streak(value: Any) -> Streak:
    nights, *first = _row(value, 3)
    return Streak(whole(nights, 1, _STREAK), _mark(first))


def _mark(value: list[Any]) -> Mark:
    return Mark(whole(value[0], 0, LATEST), _text(value[1], SHORT_COMMIT))


def _text(value: Any, limit: int, *, least: int = 0) -> str:
    """Text as this package writes it: on one line, and without what JSON has to escape."""
    if not isinstance(value, str) or not least <= len(value) <= limit or plain(value, limit) != value:
        _wrong("a text that is too long, or has control characters")
    return value


def whole(value: Any, least: int, most: int) -> int:
    """A whole number within bounds.

    :raises Mistrust: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        _wrong("a number that is out of range, or none")
    return value


def _row(value: Any, length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        _wrong(f"a row that is no list of {length}")
    return value


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        _wrong(f"a list that is none, or longer than {most}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _wrong("a name that is repeated")
    return found


def _no_number(name: str) -> NoReturn:
    _wrong(f"{name} is no number")


def _wrong(why: str) -> NoReturn:
    raise Mistrust(why)
