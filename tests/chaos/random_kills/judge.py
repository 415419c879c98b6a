"""Checks the promises against the evidence. It knows nothing of the provider's code."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Final

from tests.chaos.random_kills.events import Event, clock, name_of
from tests.chaos.random_kills.evidence import Evidence, Post, Run, Task, Try, Violation

STARTED: Final = "started once"
CLEARED: Final = "a clear starts anew"
LEFT: Final = "never left behind"
PASSED: Final = "never passed without a pass"
HICCUP: Final = "never failed by a hiccup"

#: Seconds after the end of its DAG run in which a run must have been stopped; a killed process starts again first.
STOPPED_WITHIN: Final = 120.0
#: Seconds after a kill in which Airflow may notice that a try was lost.
NOTICED_WITHIN: Final = 90.0
#: Seconds in which a request is answered and its answer stored, with the longest of the sandbox's delays.
ANSWERED_WITHIN: Final = 12.0
#: By how much the times of Airflow, of the service and of this process may be apart.
SLACK: Final = 0.5

#: Kills that end no try: the next triggerer continues to wait.
HARMLESS: Final = re.compile("triggerer")
#: Processes that every task needs to start and to report its state.
SHARED: Final = re.compile("API server|scheduler")
#: The provider's exceptions for failed runs, and its other ones that a kill does not explain.
_VERDICTS: Final = frozenset({"TestsFailed", "TestsFailedFinally", "RunErrored"})
_OWN_ERRORS: Final = frozenset(
    {
        "RunCancelled",
        "RunRejected",
        "NothingTested",
        "WaitTimedOut",
        "RunNotFound",
        "ServiceUnavailable",
        "TriggerFailed",
        "CredentialsRejected",
        "RequestRefused",
        "RunsForgotten",
    }
)


class Judge:
    """Finds the promises that were broken."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._tasks: dict[str, list[Task]] = defaultdict(list)
        for task in evidence.tasks:
            self._tasks[task.family].append(task)
        self._posts = _by_family(evidence.posts)
        self._runs = _by_family(evidence.runs)

    def violations(self) -> list[Violation]:
        """Return every violation."""
        rules: list[Callable[[Task], Iterable[str]]] = [
            self._started_once,
            self._cleared,
            self._left_behind,
            self._passed,
            self._failed,
        ]
        found = [
            Violation(rule, task.key, text)
            for rule, check in zip((STARTED, CLEARED, LEFT, PASSED, HICCUP), rules, strict=True)
            for task in self._evidence.tasks
            for text in check(task)
        ]
        return found + list(self._shared())

    # user actions

    def _done(self, task: Task, name: str) -> list[Event]:
        return [event for event in self._evidence.events if event.name == name and task.key in event.affected]

    def _clears(self, task: Task, *, neighbours: bool = False) -> list[Event]:
        """The clears of a task; with its neighbours those in its DAG run, after which a retry starts anew."""
        return [
            event
            for event in self._evidence.events
            if event.name == "user clears"
            and (
                task.key in event.affected
                or (neighbours and any(key[0] == task.key[0] for key in event.affected))
            )
        ]

    def _last_clear(self, task: Task) -> float:
        return max((event.at for event in self._clears(task) if event.certain), default=0.0)

    def _marked(self, task: Task, state: str) -> bool:
        """Whether a user has marked the task so, and has not cleared it since."""
        marks = self._done(task, f"user marks {state}")
        return any(event.until >= self._last_clear(task) for event in marks)

    # 1: started once

    def _boundaries(self, task: Task) -> list[float]:
        """When each generation but the first begins: with the first try that starts after a clear."""
        starts = sorted(each.start for each in task.tries if each.start is not None)
        found = set()
        for event in self._clears(task, neighbours=True):
            later = [start for start in starts if start >= event.at]
            found |= set(later[:1])
        return sorted(found)

    def _started_once(self, task: Task) -> Iterator[str]:
        if task.siblings > 1:
            return
        bounds = self._boundaries(task)
        generations: dict[int, list[Post]] = defaultdict(list)
        for post in self._posts[task.family]:
            generations[bisect_right(bounds, post.at)].append(post)
        for number, posts in sorted(generations.items()):
            taken = [post for post in posts if post.accepted]
            for count, (earlier, later) in enumerate(pairwise(taken), 1):
                if not self._round(task, taken[:count], later.at):
                    yield f"generation {number}: {_told(earlier)} and again {_told(later)}"
            for earlier, later in pairwise(posts):
                if earlier.unclear and not self._list_read(task, earlier.at, later.at):
                    yield f"generation {number}: no list read between {_told(earlier)} and {_told(later)}"

    def _round(self, task: Task, earlier: list[Post], at: float) -> bool:
        """Whether the service had ended all that was started before, and not everything had passed."""
        started = {run_id for post in earlier for run_id in post.runs}
        runs = [run for run in self._runs[task.family] if run.id in started]
        ended = all(run.ended is not None and run.ended <= at for run in runs)
        return ended and any(not run.passes for run in _newest(runs))

    def _list_read(self, task: Task, since: float, until: float) -> bool:
        if not task.can_list:
            return False
        return any(
            read.family in (task.family, None) and since < read.at < until for read in self._evidence.reads
        )

    def _shared(self) -> Iterator[Violation]:
        """What holds of task instances with one target together."""
        for family, tasks in self._tasks.items():
            if len(tasks) < 2:
                continue
            clears = [event for task in tasks for event in self._clears(task, neighbours=True)]
            taken = [post for post in self._posts[family] if post.accepted]
            for number, post in enumerate(taken, 1):
                allowed = len(tasks) + sum(event.at <= post.at for event in clears)
                if number > allowed:
                    text = f"{_told(post)} is number {number} of {allowed} for {len(tasks)} siblings"
                    yield Violation(STARTED, tasks[0].key, text)

    # 2: a clear starts anew

    def _cleared(self, task: Task) -> Iterator[str]:
        clears = [event for event in self._clears(task) if event.certain]
        if not clears:
            return
        last = clears[-1]
        others = [*self._done(task, "user marks failed"), *self._done(task, "user marks success")]
        if any(event.until >= last.at for event in others):
            return
        if any(post.accepted and post.at >= last.at - SLACK for post in self._posts[task.family]):
            return
        tries = self._tries_since(task, last.at)
        said = any(each.error for each in tries)
        if task.state == "failed" and (said or self._lost(task, tries)):
            return
        yield f"cleared at {clock(last.at)}, no request to start runs since, and {task.state} without a reason"

    # 3: never left behind

    def _left_behind(self, task: Task) -> Iterator[str]:
        for run in self._runs[task.family]:
            if task.can_cancel:
                ended = self._evidence.read if run.ended is None else run.ended
                if ended - self._over(task) > STOPPED_WITHIN:
                    how = "is still active" if run.ended is None else f"ended at {clock(run.ended)}"
                    yield f"run {run.id} {how}; the task's DAG run ended at {clock(self._over(task))}"
            elif run.ended is None and run.id not in self._evidence.named and self._answer_came(task, run):
                yield f"run {run.id} is still active and no line of a log names it"

    def _answer_came(self, task: Task, run: Run) -> bool:
        """Whether the task can know its run; what nobody was told nobody can name."""
        post = next((post for post in self._posts[task.family] if run.id in post.runs), None)
        if post is None or post.unclear:
            return False
        return not any(
            event.kind == "kill"
            and task.key in event.affected
            and event.at <= post.at + ANSWERED_WITHIN
            and event.until >= post.at - SLACK
            for event in self._evidence.events
        )

    def _over(self, task: Task) -> float:
        return max(each.run_ended for each in self._tasks[task.family])

    # 4: never passed without a pass

    def _passed(self, task: Task) -> Iterator[str]:
        if task.state != "success" or self._marked(task, "success"):
            return
        since = self._last_clear(task) - SLACK
        passed = {run.id for run in self._runs[task.family] if run.passed and run.created >= since}
        if not passed:
            yield f"success, and no run that was started since {clock(since)} has passed"
            return
        if task.own_runs is None:
            yield "success without a summary"
            return
        if not passed & set(task.own_runs):
            yield f"success by {', '.join(task.own_runs)}; passed have {', '.join(sorted(passed))}"
        for other in self._evidence.tasks:
            shared = set(task.own_runs) & set(other.own_runs or ())
            if other.key > task.key and shared and not self._marked(other, "success"):
                yield f"{', '.join(shared)} also serves {name_of(other.key)}"

    # 5: never failed by a hiccup

    def _failed(self, task: Task) -> Iterator[str]:
        if task.state != "failed" or self._marked(task, "failed") or not task.ends:
            return
        tries = self._tries_since(task, self._last_clear(task))
        if not tries or not all(self._explained(task, each) for each in tries):
            what = ", ".join(f"{run.id} {run.status}" for run in self._runs[task.family]) or "none"
            tale = ", ".join(
                f"try {each.number} ended by {each.error or 'nothing it says'}" for each in tries
            )
            yield f"failed without need: {tale}; its runs: {what}"

    def _tries_since(self, task: Task, at: float) -> list[Try]:
        return [
            each for each in task.tries if (each.end or self._evidence.read) >= at and not _before(each, at)
        ]

    def _explained(self, task: Task, each: Try) -> bool:
        """Whether a run that did not pass, a lost answer or a kill has ended the try."""
        if each.error in _VERDICTS:
            end = self._evidence.read if each.end is None else each.end
            newest = _newest(run for run in self._runs[task.family] if run.created <= end)
            return sum(not run.passes for run in newest) > task.tolerates
        if each.error == "SubmissionUnclear":
            lost = any(post.unclear for post in self._posts[task.family]) or self._lost(task, [each])
            return lost and (not task.can_list or task.siblings > 1)
        return each.error not in _OWN_ERRORS and self._lost(task, [each])

    def _lost(self, task: Task, tries: list[Try]) -> bool:
        """Whether each of these tries ended soon after a kill that affected it."""
        return bool(tries) and all(
            any(self._hits(event, task, each) for event in self._evidence.events) for each in tries
        )

    def _hits(self, event: Event, task: Task, each: Try) -> bool:
        affected = task.key in event.affected or SHARED.search(event.name)
        if event.kind != "kill" or HARMLESS.search(event.name) or not affected:
            return False
        end = self._evidence.read if each.end is None else each.end
        return event.at - SLACK <= end <= event.until + NOTICED_WITHIN


def _before(each: Try, at: float) -> bool:
    """Whether a try began before a moment, and so does not belong to what came after it."""
    return each.start is not None and each.start < at


def _newest(runs: Iterable[Run]) -> list[Run]:
    """The newest run of each test."""
    return list({run.test: run for run in sorted(runs, key=lambda run: run.created)}.values())


def _by_family(things: Iterable[Post | Run]) -> dict[str, list]:  # type: ignore[type-arg]
    found: dict[str, list] = defaultdict(list)  # type: ignore[type-arg]
    for thing in things:
        found[thing.family].append(thing)
    return found


def _told(post: Post) -> str:
    return f"{post.text or 'POST'} at {clock(post.at)}"
