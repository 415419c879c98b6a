"""Folding: a night is added to the memory, and what is too old or too much leaves it."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from airflow_provider_testerarmy.runs.memory.model import (
    ABSENT,
    CONCLUSIVE,
    FAILING,
    JUDGED_FAILING,
    NIGHTS,
    PASSING,
    SHORT_COMMIT,
    TESTS,
    Mark,
    Memory,
    Night,
    NightRef,
    Quarantine,
    Seen,
    Streak,
    TestMemory,
    plain,
    test_key,
)

#: Seconds after its end for which a quarantine that nobody lifted stays in the memory of a test that is gone.
_KEPT: Final = 100 * 86_400


def fold(memory: Memory, night: Night) -> Memory:
    """The memory with a night added.

    A night of the same DAG run is replaced by the one that was judged last. A night before the 20 that are kept
    changes only quarantines. The order in which nights are folded does not matter while none is dropped.
    """
    tests = dict(memory.tests)
    nights = memory.nights
    before = next((at for at, ref in enumerate(nights) if ref.key == night.ref.key), None)
    if night.tests and (before is None or nights[before].judged <= night.ref.judged):
        if before is not None:
            nights = nights[:before] + nights[before + 1 :]
            tests = {key: _without(test, before) for key, test in tests.items()}
        place = bisect_left(nights, night.ref)
        if place or len(nights) < NIGHTS:
            nights, tests = _inserted(nights, tests, night, place)
    for test_id, quarantine in night.quarantines.items():
        test = tests.get(test_id) or TestMemory(ABSENT * len(nights))
        tests[test_id] = replace(test, quarantine=_newer(test.quarantine, quarantine))
    return _bounded(nights, tests, night.ref.judged)


def fold_all(memory: Memory, nights: Iterable[Night]) -> Memory:
    """The memory with nights added, the oldest first."""
    for night in sorted(nights, key=lambda each: each.ref):
        memory = fold(memory, night)
    return memory


def without_night(memory: Memory, key: str) -> Memory:
    """The memory without a DAG run's night: what its own earlier try saw is no earlier night."""
    place = next((at for at, ref in enumerate(memory.nights) if ref.key == key), None)
    if place is None:
        return memory
    tests = {test_id: _without(test, place) for test_id, test in memory.tests.items()}
    return Memory(memory.nights[:place] + memory.nights[place + 1 :], tests)


def without_test(memory: Memory, test_id: str, now: int) -> Memory:
    """The memory without what is known of one test.

    A note of its quarantine may still be in a cell, and be folded in again. A later note that lifts it prevents
    that.

    :param now: seconds since the epoch.
    """
    key = test_key(test_id)
    tests = {each: test for each, test in memory.tests.items() if each != key}
    if (held := memory.test(test_id).quarantine) is not None:
        since = max(now, held.since)
        lifted = Quarantine.of(held.owner, "forgotten", since, since, lifted=True)
        tests[key] = TestMemory(ABSENT * len(memory.nights), quarantine=lifted)
    return Memory(memory.nights, dict(sorted(tests.items())))


def chosen(test_ids: Iterable[str]) -> frozenset[str]:
    """The tests that are remembered of too many: always the same ones, whichever night they come from.

    Were the choice another one each night, a pass could be forgotten where the failures around it are not.
    """
    ids = frozenset(test_ids)
    if len(ids) <= TESTS:
        return ids
    return frozenset(sorted(ids, key=lambda each: hashlib.sha256(each.encode()).digest())[:TESTS])


def _inserted(
    nights: tuple[NightRef, ...], tests: Mapping[str, TestMemory], night: Night, place: int
) -> tuple[tuple[NightRef, ...], dict[str, TestMemory]]:
    found = {}
    for test_id in tests.keys() | night.tests.keys():
        test = tests.get(test_id) or TestMemory(ABSENT * len(nights))
        found[test_id] = _with(test, night.tests.get(test_id) or Seen(ABSENT), place)
    nights = (*nights[:place], night.ref, *nights[place:])
    if len(nights) > NIGHTS:
        oldest, *kept = nights
        return tuple(kept), {key: _aged(test, oldest) for key, test in found.items()}
    return nights, found


def _with(test: TestMemory, seen: Seen, place: int) -> TestMemory:
    letters = test.letters[:place] + seen.letter + test.letters[place:]
    # The fingerprint is that of the last failure, whenever the night arrives.
    newest = seen.letter in FAILING and not any(letter in FAILING for letter in test.letters[place:])
    return replace(test, letters=letters, fingerprint=seen.fingerprint if newest else test.fingerprint)


def _without(test: TestMemory, place: int) -> TestMemory:
    return replace(test, letters=test.letters[:place] + test.letters[place + 1 :])


def _aged(test: TestMemory, oldest: NightRef) -> TestMemory:
    """The test when a night leaves: what that night said goes on in what came before."""
    letter, letters = test.letters[0], test.letters[1:]
    mark = Mark(oldest.at, plain(oldest.commit, SHORT_COMMIT))
    if letter in PASSING:
        return replace(test, letters=letters, passed=mark, failing=None)
    if letter in JUDGED_FAILING:
        before = test.failing
        streak = Streak(before.nights + 1, before.first) if before else Streak(1, mark)
        return replace(test, letters=letters, failing=streak)
    return replace(test, letters=letters, failing=None if letter in CONCLUSIVE else test.failing)


def _newer(one: Quarantine | None, other: Quarantine) -> Quarantine:
    """The one that was noted last; of two in the same second, the one that judges the test."""
    if one is None:
        return other
    return max(one, other, key=lambda each: (each.since, each.lifted, -each.until, each.owner, each.reason))


def _bounded(nights: tuple[NightRef, ...], tests: Mapping[str, TestMemory], now: int) -> Memory:
    wanted = {test_id: test for test_id, test in tests.items() if _worth_keeping(test, now)}
    kept = chosen(wanted)
    return Memory(nights, {test_id: wanted[test_id] for test_id in sorted(kept)})


def _worth_keeping(test: TestMemory, now: int) -> bool:
    """Whether it was among the results of a night that is kept, or its quarantine still means something."""
    return test.letters.strip(ABSENT) != "" or bool(test.quarantine and test.quarantine.until + _KEPT > now)
