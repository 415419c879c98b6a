"""Judging a night with the memory of earlier ones: which failures are new, which are known, which are left out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from airflow_provider_testerarmy.runs.memory.between import between, ends
from airflow_provider_testerarmy.runs.memory.folding import chosen, without_night
from airflow_provider_testerarmy.runs.memory.model import (
    CANCELLED,
    ERRORED,
    FAILED,
    FAILING,
    FLAKY,
    NO_ISSUE,
    PASSED,
    SKIPPED,
    UNKNOWN,
    UNRATED,
    VIOLATED,
    Fingerprint,
    Mark,
    Memory,
    Night,
    NightRef,
    Quarantine,
    Seen,
    TestMemory,
    Unreadable,
    test_key,
)
from airflow_provider_testerarmy.runs.memory.quarantine import IN_A_ROW, Ruling, rule_on
from airflow_provider_testerarmy.runs.results import Deployment, Outcome, RunResult
from airflow_provider_testerarmy.runs.text import one_line, plural
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, Verdict, VerdictKind

#: Which outcome counts for a test that ran several times in a night: the first of these that one of its runs has.
_ORDER: Final = (FAILED, VIOLATED, ERRORED, UNKNOWN, CANCELLED, SKIPPED, FLAKY, PASSED)
_LETTERS: Final = {
    Outcome.FAILED: FAILED,
    Outcome.ERRORED: ERRORED,
    Outcome.CANCELLED: CANCELLED,
    Outcome.SKIPPED: SKIPPED,
}
#: Tests that the line of known failures names.
_SHOWN: Final = 5


class Standing(StrEnum):
    """What a test's failure is beside earlier nights.

    ``CHANGED``: known, but its issue is another one. ``OVERDUE``: known for longer than the gate allows.
    ``BASELINE``: accepted, because no night is remembered. ``UNKNOWN``: there is no memory to compare with.
    """

    NEW = "new"
    KNOWN = "known"
    CHANGED = "changed"
    OVERDUE = "overdue"
    QUARANTINED = "quarantined"
    BASELINE = "baseline"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """A test that failed, or is in quarantine.

    :param judged: whether it counts for the verdict.
    :param text: since when and why, in words.
    :param nights: how many nights in a row it has failed, this one included; 0 if it is new.
    :param first: the first of them.
    :param between: of a new failure, the last good night, those between, and the first bad one; empty if no pass of
        the test is remembered.
    """

    test_id: str
    title: str
    standing: Standing
    judged: bool
    text: str
    nights: int = 0
    first: Mark | None = None
    between: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A night as it was judged.

    :param night: what is to be remembered of it.
    :param findings: in the order of the results.
    """

    verdict: Verdict
    night: Night
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """A test's runs of one night, and their outcome taken together."""

    runs: tuple[RunResult, ...]
    seen: Seen
    blocking: bool
    past: TestMemory
    ruling: Ruling

    @property
    def title(self) -> str:
        return one_line(self.runs[0].label, 120)

    @property
    def failing(self) -> bool:
        return self.blocking and self.seen.letter in FAILING

    @property
    def judged(self) -> bool:
        return self.blocking and not self.ruling.held

    def left_out(self, gate: QualityGate) -> Iterator[RunResult]:
        """The runs that are not judged: in quarantine all of them, else those that failed."""
        return (run for run in self.runs if self.ruling.held or _letter(gate, run) in FAILING)


def judge(
    gate: QualityGate,
    results: Sequence[RunResult],
    memory: Memory | Unreadable,
    tonight: NightRef,
    declared: Mapping[str, Quarantine] = MappingProxyType({}),
) -> Judged:
    """The verdict on a night's results, by what is remembered.

    Without a memory, and for runs without a test's id, it is as strict as ``fail_on="all"``; ``baseline="accept"``
    changes that where there is no memory yet, and not where it cannot be read.

    :param results: of runs that are all finished.
    :param declared: a file's quarantines by the keys of their tests.
    """
    others = None if isinstance(memory, Unreadable) else without_night(memory, tonight.key)
    past = None if others is None else others.before(tonight)
    tests = _by_test(gate, results, past or Memory(), tonight, declared)
    found = {
        key: _finding(gate, past, others, test, tonight)
        for key, test in tests.items()
        if test.failing or test.ruling.held or test.ruling.overdue
    }
    set_aside = {
        run.run_id for key, one in found.items() if not one.judged for run in tests[key].left_out(gate)
    }
    notes = {run.run_id: one.text for key, one in found.items() for run in tests[key].runs if one.text}
    verdict = gate.judge(results, set_aside, notes)
    kind = VerdictKind.FAILED if any(test.ruling.overdue for test in tests.values()) else verdict.kind
    said = (
        *_first_lines(gate, memory, past, found.values()),
        *_quarantine_lines(tests.values()),
        *_unmatched(declared.keys() - tests.keys()),
    )
    verdict = replace(verdict, kind=kind, reasons=(*said, *verdict.reasons))
    return Judged(verdict, _night(tonight, tests), tuple(found.values()))


# -- what the night came to


def _by_test(
    gate: QualityGate,
    results: Sequence[RunResult],
    past: Memory,
    tonight: NightRef,
    declared: Mapping[str, Quarantine],
) -> dict[str, _Test]:
    """The tests that the gate may judge or leave out, and those that it only reports."""
    runs: dict[str, list[RunResult]] = {}
    for run in results:
        if run.test_id:
            runs.setdefault(test_key(run.test_id), []).append(run)
    tests = {}
    for key, own in runs.items():
        seen, before = _seen(gate, own), past.test(key)
        blocking = gate.is_blocking(own[0])
        ruling = Ruling()
        if blocking:
            ruling = rule_on(gate.quarantine, past, before, seen.letter, tonight.judged, declared.get(key))
        tests[key] = _Test(tuple(own), seen, blocking, before, ruling)
    return tests


def _seen(gate: QualityGate, runs: Sequence[RunResult]) -> Seen:
    letters = {_letter(gate, run) for run in runs}
    letter = next(each for each in _ORDER if each in letters)
    if letter not in FAILING:
        return Seen(letter)
    bad = [run for run in runs if _letter(gate, run) in FAILING]
    issues = [issue for run in bad for issue in run.issues if issue.confirmed]
    grave = max((UNRATED if issue.severity is None else issue.severity for issue in issues), default=NO_ISSUE)
    step = next((run.failed_step.key for run in bad if run.failed_step), "")
    return Seen(letter, Fingerprint(max(NO_ISSUE, min(UNRATED, grave)), _digest(step)))


def _letter(gate: QualityGate, run: RunResult) -> str:
    if not run.finished or run.outcome is None:
        return UNKNOWN
    if run.outcome is Outcome.PASSED:
        return VIOLATED if gate.violation(run) else FLAKY if run.flaky else PASSED
    return _LETTERS.get(run.outcome, UNKNOWN)


def _digest(step: str) -> str:
    """Which step it was."""
    return hashlib.sha256(step.encode("utf-8", "surrogatepass")).hexdigest()[:8] if step else ""


def _night(tonight: NightRef, tests: Mapping[str, _Test]) -> Night:
    kept = chosen(tests)
    seen = {
        key: test.seen if test.judged else replace(test.seen, letter=test.seen.letter.lower())
        for key, test in tests.items()
        if key in kept
    }
    changes = {key: test.ruling.change for key, test in tests.items() if test.ruling.change and key in kept}
    return Night(tonight, seen, {key: change for key, change in changes.items() if change})


# -- beside the nights before


def _finding(
    gate: QualityGate, past: Memory | None, others: Memory | None, test: _Test, tonight: NightRef
) -> Finding:
    run, ruling = test.runs[0], test.ruling
    if ruling.held or not test.failing:
        return Finding(run.test_id, test.title, Standing.QUARANTINED, not ruling.held, ruling.note)
    standing, text = _standing(gate, past, test, tonight) if past and not past.empty else _first(gate, others)
    left_out = gate.fail_on == "new" and standing in (Standing.KNOWN, Standing.BASELINE)
    text = "; ".join(filter(None, (text, ruling.note)))
    judged = test.blocking and not left_out
    streak = past.streak(test.past) if past and not past.empty else None
    nights, first = (streak.nights + 1, streak.first) if streak else (0, None)
    after = others.nights[len(past.nights) :] if past and others else ()
    broke = between(past, test.past, tonight, after) if past and standing is Standing.NEW else ()
    return Finding(run.test_id, test.title, standing, judged, text, nights, first, broke)


def _first(gate: QualityGate, others: Memory | None) -> tuple[Standing, str]:
    """A failure without a night before it; a memory that cannot be read, or has later nights, is no first night."""
    if others is not None and others.empty and gate.baseline == "accept" and gate.fail_on == "new":
        return Standing.BASELINE, "accepted: no night before this one is remembered"
    return Standing.UNKNOWN, ""


def _standing(gate: QualityGate, past: Memory, test: _Test, tonight: NightRef) -> tuple[Standing, str]:
    streak = past.streak(test.past)
    if streak is None:
        return Standing.NEW, f"new: {_where(past, test.past, tonight)}"
    on = f", first on commit {streak.first.commit[:7]}" if streak.first.commit else ""
    since = f"since {plural(streak.nights + 1, 'night')}{on}"
    if change := _change(test.past.fingerprint, test.seen.fingerprint):
        return Standing.CHANGED, f"known {since}, but {change}"
    if not 0 <= tonight.at - streak.first.at <= gate.known_for.total_seconds():
        return Standing.OVERDUE, f"known {since}: longer than the gate allows ({gate.known_for})"
    return Standing.KNOWN, since


def _change(before: Fingerprint | None, now: Fingerprint | None) -> str:
    """How the issue of a known failure is another one; empty where it is the same as far as that is known."""
    if before is None or now is None:
        return ""
    if now.severity > before.severity:
        return f"its issue is graver: {_grade(before.severity)} before, {_grade(now.severity)} now"
    return "another step failed" if before.step and now.step and before.step != now.step else ""


def _grade(severity: int) -> str:
    return {NO_ISSUE: "no issue", UNRATED: "no severity given"}.get(severity, f"severity {severity}")


def _where(past: Memory, test: TestMemory, tonight: NightRef) -> str:
    """Where it broke: the last good and the first bad night."""
    good, bad = ends(past, test, tonight)
    before = f"last good {good.deployment.text}" if good else "no pass of it is remembered"
    return f"{before}, first bad {bad.deployment.text}"


# -- in words


def _first_lines(
    gate: QualityGate, memory: Memory | Unreadable, past: Memory | None, found: Collection[Finding]
) -> Iterator[str]:
    if isinstance(memory, Unreadable):
        yield f"{memory}, so every failure counts."
    elif gate.fail_on == "new" and past is not None and past.empty and any(one.judged for one in found):
        yield "No earlier night is remembered, so every failure counts."
    known = [one for one in found if one.standing is Standing.KNOWN]
    if known:
        named = "; ".join(f"{one.title} ({one.text})" for one in known[:_SHOWN])
        more = f"; and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        yield f"{plural(len(known), 'known failure')}: {named}{more}."


def _quarantine_lines(tests: Iterable[_Test]) -> Iterator[str]:
    for test in tests:
        if test.ruling.overdue:
            further = (
                "extend or remove its entry in the quarantine file."
                if test.ruling.in_file
                else "extend or lift the quarantine. The gate fails until then, or until the test has passed "
                f"{IN_A_ROW} nights in a row."
            )
            yield f"{test.title}: the quarantine is past its end ({test.ruling.note}). Fix the test, or {further}"
        elif test.ruling.nearing:
            yield f"Warning: {test.title}: {test.ruling.note}."


def _unmatched(keys: Collection[str]) -> Iterator[str]:
    """Report ids that match no run, because nothing else shows a typo in the file."""
    if keys:
        shown = ", ".join(one_line(each, 60) for each in sorted(keys)[:_SHOWN])
        more = f", and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        yield f"Warning: the quarantine file has tests that match no run: {shown}{more}. Check them."
