"""Who waits for which runs, and which run is due when; monotonic time, and wall-clock time only for deadlines."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from airflow_provider_testerarmy.runs.awaiting.due_queue import DueQueue
from airflow_provider_testerarmy.runs.awaiting.pace import Pace, next_pause
from airflow_provider_testerarmy.runs.results import RunId, RunResult

#: To share a list request with other runs, a run may be polled early: by at most this share of its interval, and at
#: most this many seconds.
EARLY: Final = (0.25, 1.0)
#: One in this many polls goes to the longest overdue run, even while new runs have not been polled yet.
OVERDUE_TURN: Final = 4


@dataclass(slots=True, eq=False)
class Subscription:
    """A waiter and the runs it waits for.

    :param began: when the wait began, in monotonic seconds.
    :param active: the runs that have not ended.
    :param results: the latest result of each run.
    :param troubled: the active runs whose last request failed.
    :param alarm: the earliest time at which an outage of one of its runs may end the wait.
    :param unusable: why one of its ids cannot be a run id; empty if all are usable.
    :param turned_away: one of its runs that the service does not know, or to which it denies access.
    :param failed: the number of its runs that have ended as failed.
    :param overdue_since: when the deadline was found to have passed, in monotonic seconds; infinite before.
    """

    pace: Pace
    began: float
    total: int
    active: dict[RunId, None]
    results: dict[RunId, RunResult] = field(default_factory=dict)
    troubled: dict[RunId, None] = field(default_factory=dict)
    alarm: float = math.inf
    unusable: str = ""
    turned_away: RunId | None = None
    failed: int = 0
    overdue_since: float = math.inf

    @property
    def has_enough(self) -> bool:
        """Whether so many of its runs have failed that the wait ends."""
        return self.pace.stop_at is not None and self.failed >= self.pace.stop_at


@dataclass(slots=True, eq=False)
class Watched:
    """An awaited run; times are in monotonic seconds.

    :param since: when the newest of its waiters began.
    :param interval: the shortest poll interval of its waiters.
    :param due: when its next poll is (or was) due.
    :param polled: when its last completed request was sent, whether it succeeded or failed.
    :param busy: whether a request for it is in flight, or a walk through the lists searches for it.
    :param stale: whether a waiter has left, so that ``since`` and ``interval`` must be computed again.
    :param hinted: when a hint made its poll due; minus infinity if no hint waits for the result of a poll.
    :param ignores_until: the time until which further hints have no effect.
    :param again: whether it must be polled again as soon as the request in flight is answered.
    :param plain: whether its interval is never stretched, because a hint about it was wrong.
    """

    run_id: RunId
    waiters: dict[Subscription, None]
    since: float = -math.inf
    interval: float = math.inf
    due: float = -math.inf
    polled: float = -math.inf
    busy: bool = False
    stale: bool = False
    hinted: float = -math.inf
    ignores_until: float = -math.inf
    again: bool = False
    plain: bool = False

    @property
    def last_poll_due(self) -> bool:
        """Whether a waiter's deadline has passed, and no poll has begun since."""
        return any(self.polled < one.overdue_since < math.inf for one in self.waiters)

    def pause(self, since: float, jitter: float) -> float:
        """Seconds between two polls, for the remaining waiters.

        :param since: the time of the first of the two polls.
        """
        if self.stale:
            # Computed on demand: if thousands of waiters share a run and leave, doing it for each is quadratic.
            self.stale = False
            self.interval = min(one.pace.poll_interval for one in self.waiters)
            self.since = max(one.began for one in self.waiters)
        return next_pause(self.interval, max(0.0, since - self.since), jitter=jitter)


class Schedule:
    """The runs to poll, by due time."""

    def __init__(self) -> None:
        #: Seconds by which the wall clock is ahead of the monotonic one.
        self.wall_ahead = 0.0
        self.runs: dict[RunId, Watched] = {}
        self.subscriptions: dict[Subscription, None] = {}
        self._agenda: DueQueue[Watched] = DueQueue()
        #: The same runs, by the time from which they may be polled together with runs that are due.
        self._early: DueQueue[Watched] = DueQueue()
        self._ready: DueQueue[Watched] = DueQueue()
        #: The ready runs that go first: those that have not been polled yet, and those that a hint names. The
        #: newest waiter or hint comes first.
        self._first: DueQueue[Watched] = DueQueue()
        self._deadlines: DueQueue[Subscription] = DueQueue()
        self._turn = 0
        self._jitter = 0.0
        self._stretch = 1.0

    # -- waiters

    def subscribe(self, run_ids: Iterable[RunId], pace: Pace, now: float) -> Subscription:
        """Add a waiter; the first poll of its runs is due immediately."""
        ids = dict.fromkeys(run_ids)
        subscription = Subscription(pace, now, len(ids), ids)
        self.subscriptions[subscription] = None
        for run_id in ids:
            watched = self.runs.get(run_id)
            if watched is None:
                watched = self.runs[run_id] = Watched(run_id, {})
            watched.waiters[subscription] = None
            watched.since, watched.interval = now, min(watched.interval, pace.poll_interval)
            if not watched.busy and watched not in self._ready:
                self._plan(watched, now)
        if pace.deadline is not None:
            self._deadlines.put(subscription, pace.deadline)
        return subscription

    def drop(self, subscription: Subscription) -> list[RunId]:
        """Remove a waiter; return the runs that nobody waits for any more."""
        self.subscriptions.pop(subscription, None)
        self._deadlines.drop(subscription)
        unawaited = []
        for run_id in subscription.active:
            watched = self.runs.get(run_id)
            if watched is None or watched.waiters.pop(subscription, 0) == 0:
                continue
            watched.stale = True
            if not watched.waiters:
                unawaited.append(run_id)
        subscription.active, subscription.results, subscription.troubled = {}, {}, {}
        return unawaited

    def forget(self, run_id: RunId) -> None:
        """Stop polling a run."""
        watched = self.runs.pop(run_id, None)
        if watched is not None:
            self._agenda.drop(watched)
            self._early.drop(watched)
            self._take(watched)

    # -- due runs

    def poll_again(self, watched: Watched, since: float, *, at_most: float | None = None) -> None:
        """Schedule the next poll of a run one interval after ``since``.

        If a deadline passed while the request was in flight, the next poll is due immediately: a waiter is owed
        one that starts after its deadline. The same applies to a hint.

        :param at_most: after a fault, the maximum of seconds; the interval is not stretched then.
        """
        usual = watched.pause(since, self._jitter)
        pause = usual * self._factor(watched) if at_most is None else min(usual, at_most)
        soon, watched.again = watched.last_poll_due or (watched.again and at_most is None), False
        self._plan(watched, since if soon else since + pause)

    def _factor(self, watched: Watched) -> float:
        return 1.0 if watched.plain else self._stretch

    def _pause(self, watched: Watched, since: float) -> float:
        return watched.pause(since, self._jitter) * self._factor(watched)

    def hasten(self, watched: Watched, now: float) -> None:
        """Make the next poll of a run due now, before other runs; if a request is in flight, after its answer."""
        if watched.busy:
            watched.again = True
        elif watched in self._agenda:
            self._plan(watched, min(watched.due, now))
        elif watched in self._ready:
            self._first.put(watched, -now)

    def set_stretch(self, factor: float) -> None:
        """Multiply the intervals by a factor; if it shrinks, earlier plans are corrected."""
        shrinks, self._stretch = factor < self._stretch, factor
        for watched in list(self._agenda) if shrinks else ():
            due = watched.polled + self._pause(watched, watched.polled)
            if -math.inf < due < watched.due:
                self._plan(watched, due)

    def gather(self, now: float) -> None:
        """Make the due runs ready, and those that may be polled together with them."""
        if self.next_due() > now:
            return
        if not self._ready:
            self._jitter = random.uniform(-1, 1)  # noqa: S311
        while (first := self._early.first()) and first[0] <= now:
            watched = self._early.pop()[1]
            self._agenda.drop(watched)
            if watched.stale and not watched.last_poll_due:
                due = watched.polled + self._pause(watched, watched.polled)
                if due > now:
                    self._plan(watched, due)
                    continue
            self.make_ready(watched)

    def make_ready(self, watched: Watched) -> None:
        """Queue a run for its poll. A run whose request was rate-limited keeps its place in the queue."""
        watched.busy = False
        self._agenda.drop(watched)
        self._early.drop(watched)
        self._ready.put(watched, watched.due)
        if watched.hinted > -math.inf or watched.polled == -math.inf:
            self._first.put(watched, -max(watched.hinted, watched.since))

    @property
    def ready(self) -> Mapping[RunId, Watched]:
        """The runs that are due, except those being fetched or searched for in lists."""
        return {watched.run_id: watched for watched in self._ready}

    def count_ready(self) -> int:
        """The number of ready runs."""
        return len(self._ready)

    def take(self, run_ids: Iterable[RunId]) -> None:
        """Mark runs that a walk through the lists searches for."""
        for run_id in run_ids:
            self._take(self.runs[run_id])
            self.runs[run_id].busy = True

    def pick(self, room: int) -> list[Watched]:
        """The runs to poll now: those that go first, otherwise the longest overdue ones.

        Of four polls, at most three go to the former, so that a stream of new runs does not starve the others.
        """
        picked: list[Watched] = []
        while self._ready and len(picked) < room:
            self._turn = (self._turn + 1) % OVERDUE_TURN
            queue = self._first if self._turn and self._first else self._ready
            watched = queue.pop()[1]
            self._take(watched)
            watched.busy = True
            picked.append(watched)
        return picked

    def next_due(self) -> float:
        """When the first run is due; infinite if there is none."""
        first = self._agenda.first()
        return math.inf if first is None else first[0]

    def _take(self, watched: Watched) -> None:
        self._ready.drop(watched)
        self._first.drop(watched)

    def _plan(self, watched: Watched, due: float) -> None:
        watched.due, watched.busy = due, False
        self._take(watched)
        self._agenda.put(watched, due)
        share, most = EARLY
        pause = due - watched.polled
        self._early.put(watched, due - min(most, share * pause) if math.isfinite(pause) else due)

    # -- deadlines

    def meet_deadlines(self, now: float) -> list[Subscription]:
        """The waiters whose deadline has passed since the last call; their runs are due immediately."""
        met = []
        while (first := self._deadlines.first()) and first[0] <= now + self.wall_ahead:
            subscription = self._deadlines.pop()[1]
            met.append(subscription)
            if subscription.overdue_since == math.inf:
                subscription.overdue_since = now
                for run_id in subscription.active:
                    watched = self.runs.get(run_id)
                    if watched in self._agenda and watched is not None:
                        self._plan(watched, now)
        return met

    def remind(self, subscription: Subscription, when: float) -> None:
        """Return a waiter from :meth:`meet_deadlines` again at this wall-clock time."""
        self._deadlines.put(subscription, when)

    def next_deadline(self) -> float:
        """When the next deadline passes, in monotonic seconds; infinite if there is none."""
        first = self._deadlines.first()
        return math.inf if first is None else first[0] - self.wall_ahead
