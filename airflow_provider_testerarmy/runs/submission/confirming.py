"""Confirming rounds: a test that failed runs again in the same try before it counts as failed.

A test counts as failed if it fails in ``times`` of at most ``of`` runs, the first one included. It is flaky if it
cannot reach that number any more. A run that errors or is cancelled says nothing about its test.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from airflow_provider_testerarmy.runs.results import Attempt, Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, RunService
from airflow_provider_testerarmy.runs.submission.record import Entry, Part, Record
from airflow_provider_testerarmy.runs.submission.rounds import WHOLE
from airflow_provider_testerarmy.runs.text import plural

#: The rounds on top of ``of``, for confirming runs that say nothing about their test.
SPARE: Final = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """When a failure is confirmed.

    :param times: the failures that make a test failed.
    :param of: the runs that count at most, the first one included.
    :param unless_failing: the share of failed tests (0.0 to 1.0) above which nothing is confirmed.
    :param max_reruns: the confirming runs of one try at most.
    :param blocks: whether a run counts against the gate.
    :param stop_after: the confirmed failures after which nothing more is confirmed; None for no limit.
    """

    times: int
    of: int
    unless_failing: float
    max_reruns: int
    blocks: Callable[[RunResult], bool]
    stop_after: int | None = None

    def failed(self, run: RunResult) -> bool:
        """Whether a run shows that its test fails the gate; an error of the service does not."""
        conclusive = run.finished and run.outcome in (Outcome.FAILED, Outcome.PASSED)
        return conclusive and self.blocks(run)

    def passed(self, run: RunResult) -> bool:
        """Whether a run shows that its test passes the gate."""
        return run.finished and run.outcome is Outcome.PASSED and not self.blocks(run)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next confirming round runs.

    :param tests: ids; empty if there is nothing to confirm.
    :param why_not: why some failures are not confirmed, empty if all are.
    """

    tests: tuple[str, ...] = ()
    why_not: str = ""


def plan(results: Sequence[RunResult], record: Record, rule: Rule, counted: Collection[str]) -> Plan:
    """The tests that need a run, or another run, before the verdict.

    :param results: of all runs of this try, which have ended.
    :param counted: the tests whose failures count, e.g. not the known ones.
    """
    if record.confirming:
        undecided = _undecided(results, record, rule)
        confirmed = _confirmed(results, record, rule)
        if undecided and rule.stop_after is not None and confirmed >= rule.stop_after:
            return Plan((), f"{plural(confirmed, 'test')} failed for good (stop_after_failures)")
        return _within(undecided, record, rule)
    failed = tuple(test for test in _failed(results, rule) if test in counted)
    tests = {run.test_id for run in results}
    # One failure is no sign of an outage, however few tests there are.
    if len(failed) > 1 and len(failed) > rule.unless_failing * len(tests):
        share = f"more than {rule.unless_failing:.0%} of the tests (unless_failing)"
        return Plan((), f"{len(failed)} of {plural(len(tests), 'test')} failed, {share}")
    return _within(failed, record, rule)


def confirming_round(
    service: RunService,
    request: RunRequest,
    record: Record,
    results: Iterable[RunResult],
    tests: tuple[str, ...],
    rule: Rule,
    alone: RunRequest | None = None,
) -> Record | None:
    """The record with another round that runs these tests again.

    If the service cannot run them on their own, everything runs again, and only these tests count.

    :param alone: a request for a temporary target with these tests.
    :return: None if everything would have to run again, and that is more than the rule allows.
    """
    asked = record.confirming[-1] if record.confirming else None
    own = frozenset(record.run_ids)
    entries = tuple(
        Entry(run.test_id, run.run_id, run.outcome or Outcome.UNKNOWN, rule.blocks(run))
        for run in results
        if run.run_id in own and (asked is None or run.test_id in asked)
    )
    requests = service.some_tests(request, tests) if alone is None else (alone,)
    if requests is None and _size(record, entries) > rule.max_reruns - _spent(record):
        return None
    parts = {WHOLE: Part(request)} if requests is None else {one.label[:200]: Part(one) for one in requests}
    return replace(
        record,
        parts=parts,
        rounds=(*record.rounds, entries),
        again=tests,
        carried=tuple(dict.fromkeys((*record.carried, *(entry.run_id for entry in entries)))),
        confirming=(*record.confirming, tests),
    )


def is_part(record: Record, results: Iterable[RunResult], tests: Collection[str]) -> bool:
    """Whether these tests are only some of those that the first round of this try ran."""
    if record.confirming:
        first = record.rounds[-len(record.confirming)]
        return any(entry.test_id not in tests for entry in first)
    own = frozenset(record.run_ids)
    return any(run.test_id not in tests for run in results if run.run_id in own)


def settled(results: Sequence[RunResult], record: Record, rule: Rule | None) -> list[RunResult]:
    """One result for each confirmed test, with its attempts, and all other results as they are."""
    if rule is None or not record.confirming:
        return list(results)
    rounds = _rounds(record)
    histories = _histories(results, record)
    kept: dict[RunId, RunResult] = {}
    for run in results:
        if run.test_id in histories:
            counted = _counted(histories[run.test_id], rounds, rule)
            kept[counted.run_id] = counted
        elif rounds.get(run.run_id, 0) == 0:
            kept[run.run_id] = run
        # All others ran again only because the service cannot run a single test of this request.
    return list(kept.values())


def _within(tests: tuple[str, ...], record: Record, rule: Rule) -> Plan:
    left = max(0, rule.max_reruns - _spent(record))
    if len(tests) <= left:
        return Plan(tests)
    return Plan(tests[:left], f"{plural(len(tests) - left, 'failure')} above max_reruns ({rule.max_reruns})")


def _spent(record: Record) -> int:
    return sum(map(len, record.confirming))


def _size(record: Record, entries: Sequence[Entry]) -> int:
    """The number of tests that run if everything runs again."""
    first = record.rounds[-len(record.confirming)] if record.confirming else entries
    return len(first)


def _failed(results: Sequence[RunResult], rule: Rule) -> tuple[str, ...]:
    failed = dict.fromkeys(run.test_id for run in results if rule.failed(run))
    if len(results) > 1:
        # Several runs without a test, e.g. of prompts, cannot be told apart.
        failed.pop("", None)
    return tuple(failed)


def _undecided(results: Sequence[RunResult], record: Record, rule: Rule) -> tuple[str, ...]:
    if len(record.confirming) >= rule.of - 1 + SPARE:
        return ()
    rounds, histories = _rounds(record), _histories(results, record)
    return tuple(
        test
        for test in record.confirming[-1]
        if test in histories and _is_undecided(histories[test], rounds, rule)
    )


def _confirmed(results: Sequence[RunResult], record: Record, rule: Rule) -> int:
    """How many tests have failed as often as the rule requires."""
    rounds, histories = _rounds(record), _histories(results, record)
    return sum(_count(history, rounds, rule)[0] >= rule.times for history in histories.values())


def _is_undecided(history: Sequence[RunResult], rounds: dict[RunId, int], rule: Rule) -> bool:
    failed, passed = _count(history, rounds, rule)
    return failed < rule.times and passed <= rule.of - rule.times


def _count(history: Sequence[RunResult], rounds: dict[RunId, int], rule: Rule) -> tuple[int, int]:
    """In how many rounds a test failed, and passed. A test that ran several times in a round fails with one."""
    failed = {rounds.get(run.run_id, 0) for run in history if rule.failed(run)}
    passed = {rounds.get(run.run_id, 0) for run in history if rule.passed(run)}
    return len(failed), len(passed - failed)


def _counted(history: Sequence[RunResult], rounds: dict[RunId, int], rule: Rule) -> RunResult:
    """The run that counts for a test."""
    failed, passed = _count(history, rounds, rule)
    attempts = tuple(Attempt(run.run_id, run.outcome if run.finished else None, run.url) for run in history)
    if failed < rule.times and passed > rule.of - rule.times:
        good = next(run for run in reversed(history) if rule.passed(run))
        return replace(good, flaky=True, attempts=attempts)
    # A failure that was not confirmed to the end stands.
    bad = next((run for run in reversed(history) if rule.failed(run)), history[-1])
    return replace(bad, attempts=attempts)


def _rounds(record: Record) -> dict[RunId, int]:
    """The round of each run: 0 is the one whose failures are confirmed."""
    last = len(record.confirming)
    rounds = {
        entry.run_id: number for number, entries in enumerate(record.rounds[-last:]) for entry in entries
    }
    return {**rounds, **dict.fromkeys(record.run_ids, last)}


def _histories(results: Sequence[RunResult], record: Record) -> dict[str, list[RunResult]]:
    """The runs of each confirmed test, in the order of their rounds."""
    rounds, asked = _rounds(record), [frozenset(tests) for tests in record.confirming]
    confirmed = frozenset(chain.from_iterable(asked))
    histories: dict[str, list[RunResult]] = {}
    for run in sorted(results, key=lambda run: rounds.get(run.run_id, 0)):
        number = rounds.get(run.run_id, 0)
        if run.test_id in confirmed and (number == 0 or run.test_id in asked[number - 1]):
            histories.setdefault(run.test_id, []).append(run)
    return histories
