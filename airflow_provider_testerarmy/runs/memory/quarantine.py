"""Quarantine: which tests the gate leaves out because they are flaky, and when they come back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from airflow_provider_testerarmy.runs.memory.model import (
    FAILING,
    FLAKY,
    LATEST,
    PASSING,
    Memory,
    Quarantine,
    TestMemory,
)
from airflow_provider_testerarmy.runs.text import plural
from airflow_provider_testerarmy.runs.verdict.flaky import QuarantineRule

#: The owner of what the gate quarantines by itself.
GATE: Final = "gate"
#: Nights in a row after which a test that passes is well again, and one that fails is broken instead of flaky.
IN_A_ROW: Final = 5
#: Seconds before its end at which the gate begins to remind of it.
NEARING: Final = 3 * 86_400


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a test's quarantine means this night.

    :param held: whether the test is left out.
    :param nearing: whether its end is near.
    :param overdue: whether its end has passed and nobody has decided.
    :param change: what is to be remembered of it, None where nothing changes.
    :param note: what is said of it.
    :param in_file: whether a file beside the DAG declares it.
    """

    held: bool = False
    nearing: bool = False
    overdue: bool = False
    change: Quarantine | None = None
    note: str = ""
    in_file: bool = False


def rule_on(
    rule: QuarantineRule | None,
    memory: Memory,
    test: TestMemory,
    letter: str,
    now: int,
    declared: Quarantine | None = None,
) -> Ruling:
    """What a test's quarantine means this night.

    A file's quarantine comes before a person's in the memory, and that one before the gate's.

    :param memory, test: as they were before this night.
    :param letter: the test's outcome of this night, as if it were judged.
    :param declared: the quarantine of a file.
    """
    held = test.quarantine if test.quarantine and not test.quarantine.lifted else None
    if declared is not None:
        return _declared(declared, held, now)
    if held is None:
        return _enter(rule, memory, test, letter, now)
    last = [letter.upper(), *(each.upper() for _, each in memory.conclusive(test))][:IN_A_ROW]
    by_gate, overdue = held.owner == GATE, held.until <= now
    full = len(last) == IN_A_ROW
    if full and set(last) == {"P"} and (by_gate or overdue):
        said = f"left quarantine: it passed {IN_A_ROW} nights in a row"
        return Ruling(change=_lifted(held, said, now), note=said)
    if full and by_gate and FAILING.issuperset(last):
        said = f"left quarantine: it failed {IN_A_ROW} nights in a row, so it is broken and not flaky"
        return Ruling(change=_lifted(held, said, now), note=said)
    return _in_force(held, now)


def _in_force(held: Quarantine, now: int) -> Ruling:
    whose = f"in quarantine by {held.owner or 'nobody'}: {held.reason or 'no reason given'}"
    if held.until <= now:
        return Ruling(overdue=True, note=whose)
    days = -(-(held.until - now) // 86_400)
    nearing = held.until - now <= NEARING
    return Ruling(True, nearing, note=f"{whose}; ends in {plural(days, 'day')}" if nearing else whose)


def _declared(declared: Quarantine, held: Quarantine | None, now: int) -> Ruling:
    """A person has decided, so what the gate decided by itself ends; else it would be overdue after the file's."""
    by_gate = held is not None and held.owner == GATE
    change = _lifted(held, "a file quarantines it", now) if held and by_gate else None
    return replace(_in_force(declared, now), in_file=True, change=change)


def transitions(letters: Iterable[str]) -> int:
    """How often a test changed between passed and failed; one that passed after a failure did so in one night."""
    ends: list[bool] = []
    for letter in letters:
        if letter.upper() == FLAKY:
            ends += [False, True]
        elif letter in PASSING | FAILING:
            ends.append(letter in PASSING)
    return sum(one is not other for one, other in pairwise(ends))


def _enter(rule: QuarantineRule | None, memory: Memory, test: TestMemory, letter: str, now: int) -> Ruling:
    if rule is None or letter not in FAILING | {FLAKY}:
        return Ruling()
    # A quarantine that was lifted covers all nights before that.
    since = test.quarantine.since if test.quarantine else -1
    earlier = [each for night, each in memory.conclusive(test) if night.judged > since][: rule.of - 1]
    # A test that failed the night before as well may simply be broken.
    broken = letter in FAILING and (not earlier or earlier[0] in FAILING)
    changes = transitions([*reversed(earlier), letter])
    if broken or changes < rule.after_transitions:
        return Ruling()
    reason = f"{changes} changes between passed and failed in {plural(len(earlier) + 1, 'night')}"
    until = min(LATEST, now + int(rule.for_.total_seconds()))
    return Ruling(True, change=Quarantine.of(GATE, reason, now, until), note=f"quarantined now: {reason}")


def _lifted(held: Quarantine, why: str, now: int) -> Quarantine:
    return replace(Quarantine.of(held.owner, why, now, max(now, held.until)), lifted=True)
