"""Looks up the runs of a request whose response was lost, without taking the runs of another task.

The ids that the service listed before the request decide which runs are new; times count only with a wide margin.
A new run that differs from the request is neither adopted nor ignored: it makes the submission unclear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import (
    FaultKind,
    ListedRun,
    Match,
    Scope,
    ServiceFault,
    Submission,
)
from airflow_provider_testerarmy.runs.submission.neighbours import is_in_anothers_group
from airflow_provider_testerarmy.runs.submission.record import Intent
from airflow_provider_testerarmy.runs.submission.setting import (
    Claims,
    Setting,
    SubmitEnd,
    Submitted,
    prepare,
    with_retries,
)
from airflow_provider_testerarmy.runs.text import name_runs

#: Seconds before each read of the list. After a gateway's 504, the service may still be processing the request, and
#: a replica may show a new run late. Only the last read can prove that nothing was started.
LOOKS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: The same for a task that is being stopped. Airflow sends SIGKILL 5 s after SIGTERM.
BRIEF_LOOKS: Final = (0.2, 0.8, 1.5)
#: The maximum difference between the clocks of the service's machines, including the one that sets ``Date``.
SKEW: Final = timedelta(seconds=60)
#: How long after it was sent a request may still take effect, e.g. behind a gateway that timed out, or in a queue.
EFFECT_WITHIN: Final = timedelta(minutes=10)
#: Seconds for which a run must stay unclaimed before a task adopts it. A task claims its own runs as soon as it has
#: their ids.
UNCLAIMED_FOR: Final = 4.0
#: Another task stores its record, then its claim. If Airflow is slow, both may take as long as the slowest call
#: of this task did, so the time above grows by as many such calls.
CALLS_UNTIL_CLAIMED: Final = 3
#: Claims are deleted after a day. After that, a run of an older intent may be any task's.
CLAIMS_TELL_FOR: Final = timedelta(hours=23)
#: Seconds between writing a claim and reading it back. If two tasks claim the same run, the later one keeps it.
CLAIM_SETTLES: Final = 2.0


@dataclass(slots=True)
class _Search:
    """What the lookup has found so far.

    :param expected: the tests that a group run starts; None for a request that starts one run.
    :param companions: tests that may run in addition, e.g. a preparation test.
    :param unclaimed_for: seconds, see :data:`UNCLAIMED_FOR`; more if Airflow is slow.
    :param first_seen: when each run was first seen, in seconds since the epoch.
    :param matching: new runs that match the request.
    :param doubtful: new runs of the same target that differ from the request.
    :param contested: whether another task claimed the run at the same time, or Airflow did not tell.
    :param unstored: whether Airflow did not store the claim of the run, and so perhaps not that of another task.
    :param too_early: whether the runs had not been unclaimed for long enough.
    """

    expected: frozenset[str] | None
    companions: frozenset[str]
    unclaimed_for: float
    first_seen: dict[RunId, float] = field(default_factory=dict)
    matching: list[RunResult] = field(default_factory=list)
    doubtful: list[RunResult] = field(default_factory=list)
    contested: bool = False
    unstored: bool = False
    too_early: bool = False


def find(setting: Setting, intent: Intent, looks: Iterable[float] = BRIEF_LOOKS) -> Flow[Submitted | None]:
    """Read the target, then look up what a submission without a response started; see :func:`look_up`."""
    scope_or_end = yield from prepare(setting)
    if isinstance(scope_or_end, Submitted):
        later = scope_or_end.end in (SubmitEnd.UNAVAILABLE, SubmitEnd.DENIED)
        return _unclear(scope_or_end.message, look_again=later)
    scope, server_time = scope_or_end
    return (yield from look_up(setting, scope, intent, looks, now=server_time))


def look_up(
    setting: Setting,
    scope: Scope,
    intent: Intent,
    looks: Iterable[float],
    fault: ServiceFault | None = None,
    *,
    now: datetime | None = None,
) -> Flow[Submitted | None]:
    """Look up what a request started.

    :param looks: seconds before each read of the list.
    :param fault: the fault of the request, if this try sent it; it may name runs.
    :param now: the service's time, for a request of an earlier try.
    :return: None if it started nothing, the adopted submission, or an unclear end.
    """
    named = fault.candidates if fault else ()
    if not setting.service.active_statuses:
        batch = f" (group run {fault.batch_id})" if fault and fault.batch_id else ""
        why = f"{setting.service.vendor}'s API cannot look up what was started{batch}"
        return _unclear(f"{fault.message}; {why}" if fault else why, named)
    expected = yield from expected_tests(setting, scope)
    if isinstance(expected, ServiceFault):
        return _no_look(expected)
    looks = tuple(looks)
    # A task that is being stopped has less time than UNCLAIMED_FOR for all of its reads.
    search = _Search(expected, scope.companions, min(UNCLAIMED_FOR, sum(looks[1:])))
    for seconds in _reads(setting, search, looks):
        yield from pause(seconds)
        seen = yield from with_retries(setting, lambda: _new_runs(setting, scope, intent))
        if isinstance(seen, ServiceFault):
            return _no_look(seen)
        others = yield from _claimed_by_others(setting, scope, seen, alone=expected is None)
        if others is None:
            return _unclear(
                "it could not be read whether the runs that were found belong to another task",
                _ids(run for run, _ in seen),
                look_again=True,
            )
        _sort(setting, search, seen, others)
        if setting.claims is not None and now is not None and now - intent.until > CLAIMS_TELL_FOR:
            search.doubtful, search.matching = [*search.matching, *search.doubtful], []
        settled = reconcile(search.matching, expected, scope.companions)
        if settled and (settled.submission is None or (yield from _is_ours(setting, search, settled))):
            return settled
    return (yield from _last_word(setting, search, named))


def _reads(setting: Setting, search: _Search, looks: tuple[float, ...]) -> Iterator[float]:
    """Seconds before each read of the list; one more read follows if a new run was seen too late to adopt it."""
    yield from looks
    if setting.claims is not None and search.matching and sum(looks) > UNCLAIMED_FOR:
        yield UNCLAIMED_FOR + _slack(setting.claims)


def _last_word(setting: Setting, search: _Search, named: tuple[RunId, ...]) -> Flow[Submitted | None]:
    """The result after the last read of the list."""
    # A companion that is still missing by now was not started.
    settled = reconcile(search.matching, search.expected)
    if settled is not None and not search.contested:
        if settled.submission is None or (yield from _is_ours(setting, search, settled)):
            return settled
    elif settled is None and search.matching and search.expected is not None:
        return _unclear("only some of its runs were found", _ids(search.matching))
    left = (*search.matching, *search.doubtful)
    if left:
        return _unclear(
            "a new run of the same target was found, but it may belong to another task",
            _ids(left),
            look_again=search.unstored or search.too_early,
        )
    return _unclear("the response named runs that the service does not list", named) if named else None


def reconcile(
    found: list[RunResult], expected: frozenset[str] | None, companions: frozenset[str] = frozenset()
) -> Submitted | None:
    """Decide on the runs found so far: adopt them, give up as unclear, or read the list again (None).

    :param expected: the tests that a group run starts; None for a request that starts one run. Part of a group is
        never adopted, because the missing tests would count as tested.
    :param companions: tests that may run in addition; if one is missing, read the list again.
    """
    tests = [run.test_id for run in found]
    if len(found) > 1 and (expected is None or len(set(tests)) < len(tests)):
        return _unclear("more new runs were found than one submission starts", _ids(found))
    if not found or not (expected or frozenset()) | companions <= {*tests}:
        return None
    rejected = tuple(run.run_id for run in found if run.status == "cancelled")
    submission = Submission(tuple(run.run_id for run in found), rejected, adopted=True)
    return Submitted(SubmitEnd.SUBMITTED, submission)


def _claimed_by_others(
    setting: Setting, scope: Scope, seen: list[tuple[RunResult, Match]], *, alone: bool
) -> Flow[frozenset[RunId] | None]:
    """The runs that another task has claimed; None if that cannot be read.

    :param alone: whether the request starts one run, so that the list may show a group's run without the group.
    """
    if setting.claims is None or not seen:
        return frozenset()
    others = setting.claims.of_others(_ids(run for run, _ in seen))
    for run, _ in seen if alone else ():
        if others is None or run.run_id in others:
            continue
        in_group = yield from is_in_anothers_group(setting, scope, run)
        others = None if in_group is None else others | {run.run_id} if in_group else others
    return others


def _sort(
    setting: Setting, search: _Search, seen: list[tuple[RunResult, Match]], others: frozenset[RunId]
) -> None:
    ours = None if search.expected is None else search.expected | search.companions
    free = [(run, match) for run, match in seen if run.run_id not in others]
    free = [(run, match) for run, match in free if ours is None or run.test_id in ours]
    for run, _ in free:
        search.first_seen.setdefault(run.run_id, setting.clock())
    search.matching = [run for run, match in free if match is Match.YES]
    search.doubtful = [run for run, match in free if match is Match.MAYBE]


def _is_ours(setting: Setting, search: _Search, settled: Submitted) -> Flow[bool]:
    """Claim the runs, unless another task may still claim them; return whether they are this task's."""
    submission = settled.submission
    if setting.claims is None or submission is None:
        return True
    search.too_early = not _unclaimed(setting, setting.claims, search, submission)
    if search.too_early:
        return False
    search.unstored = not setting.claims.claim(submission.run_ids)
    if search.unstored:
        return False
    yield from pause(min(CLAIM_SETTLES, search.unclaimed_for) + _slack(setting.claims))
    search.contested = setting.claims.of_others(submission.run_ids) != frozenset()
    return not search.contested


def _unclaimed(setting: Setting, claims: Claims, search: _Search, submission: Submission) -> bool:
    """Whether the runs have been unclaimed for long enough."""
    latest = max(search.first_seen.get(run_id, setting.clock()) for run_id in submission.run_ids)
    return setting.clock() - latest >= search.unclaimed_for + _slack(claims)


def _slack(claims: Claims) -> float:
    """Seconds to add to each wait for the claim of another task."""
    return CALLS_UNTIL_CLAIMED * claims.slowest


def _ids(runs: Iterable[RunResult]) -> tuple[RunId, ...]:
    return tuple(run.run_id for run in runs)


def _unclear(why: str, candidates: tuple[RunId, ...] = (), *, look_again: bool = False) -> Submitted:
    listed = f": {name_runs(candidates, 10)}" if candidates else ""
    return Submitted(
        SubmitEnd.UNCLEAR, message=f"{why}{listed}", candidates=candidates, look_again=look_again
    )


def _no_look(fault: ServiceFault) -> Submitted:
    # A rejected key may be replaced before the next look.
    later = fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.DENIED)
    ended = _unclear(f"what was started could not be looked up: {fault.message}", look_again=later)
    return replace(ended, retry_after=fault.retry_after)


def expected_tests(setting: Setting, scope: Scope) -> Flow[frozenset[str] | ServiceFault | None]:
    """The tests that a run of the target includes; None for a target that starts one run."""
    runnable: frozenset[str] = frozenset()
    cursor = ""
    seen = {cursor}
    while True:
        question = setting.service.list_tests(setting.request, scope, cursor)
        if question is None:
            return None
        reply = yield from with_retries(setting, lambda question=question: ask(question))  # type: ignore[misc]
        if isinstance(reply, ServiceFault):
            return reply
        runnable |= reply.value.runnable
        cursor = reply.value.next_cursor
        if not cursor:
            return runnable
        if cursor in seen:
            return _endless(setting)
        seen.add(cursor)


def _new_runs(setting: Setting, scope: Scope, intent: Intent) -> Flow[list[tuple[RunResult, Match]]]:
    """The runs of the target that the intent may have started; reads the list until its runs are too old."""
    found: dict[RunId, tuple[RunResult, Match]] = {}
    window = _Window(intent)
    cursor = ""
    seen = {cursor}
    while True:
        reply = yield from ask(setting.service.list_candidates(setting.request, scope, cursor))
        for listed_run in reply.value.listed_runs:
            if window.shows(listed_run) and listed_run.run.run_id not in setting.known:
                found[listed_run.run.run_id] = (listed_run.run, listed_run.match)
        cursor = reply.value.next_cursor
        if not cursor or window.passed:
            return list(found.values())
        if cursor in seen:
            raise _endless(setting)
        seen.add(cursor)


class _Window:
    """Decides which runs an intent may have started; call it run by run in the order of the list, newest first."""

    def __init__(self, intent: Intent) -> None:
        self._known = frozenset(intent.known)
        self._earliest = intent.since - SKEW
        self._latest = intent.until + EFFECT_WITHIN + SKEW
        self._newest_known: datetime | None = None
        #: Whether all further runs in the list are older than the intent.
        self.passed = False

    def shows(self, listed_run: ListedRun) -> bool:
        """Whether the intent may have started this run."""
        run = listed_run.run
        created = _with_zone(run.created_at)
        if run.run_id in self._known:
            self.passed = True
            self._newest_known = max(filter(None, (self._newest_known, created)), default=None)
            return False
        if created is not None and created < self._earliest:
            self.passed = True
            return False
        if created is not None and created > self._latest:
            return False
        # Runs created within the same second may be listed in either order.
        behind = self.passed and (
            created is None or self._newest_known is None or created <= self._newest_known
        )
        return not behind and listed_run.match is not Match.NO


def _with_zone(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _endless(setting: Setting) -> ServiceFault:
    # Ending the list here could hide a run, and the task would submit it a second time.
    return ServiceFault(FaultKind.TRANSIENT, f"{setting.service.vendor} repeats a cursor in its list of runs")
