"""What is known of awaited runs, whoever awaits them, and what to ask about them next; without I/O.

One list serves all who wait through one connection. It says which questions are due; whoever holds it puts them,
one at a time or several side by side, and hands the answers back. A list of the service is a hint that saves
requests: a run that no list of active runs shows is asked for itself, or seen in a list of ended runs, which is
final. The clock is passed in.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from airflow_provider_testerarmy.runs.awaiting.listing import Walk, plan_ended_walk, plan_walk
from airflow_provider_testerarmy.runs.awaiting.pace import Pace, Rate
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, Page, RunService, ServiceFault
from airflow_provider_testerarmy.runs.text import name_runs

#: Questions that are under way at the same time, and so the connections that are open, at the most.
WIDTH: Final = 8
#: After this many faults in a row nothing is asked for a while: the service is down, and asking only takes time.
FAULTS_IN_A_ROW: Final = 3
#: Seconds of that while, doubled each time up to the second number.
REST: Final = (1.0, 15.0)
#: Seconds past the deadline that the last look at the runs may take.
LAST_LOOK: Final = 30.0
#: A run may be looked at earlier by this share of its interval, and this many seconds, to share a list with others.
EARLY: Final = (0.25, 1.0)
#: Seconds for which lists are left alone after one of them could not be had.
WITHOUT_LISTS: Final = 60.0


class WaitEnd(StrEnum):
    """Why a wait is over.

    ``LOST``: whoever waited could not go on; the runs are not concerned, and somebody else may wait for them.
    """

    FINISHED = "finished"
    DEADLINE = "deadline"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Waited:
    """The end of a wait.

    :param results: what was last seen of each run, finished or not.
    :param message: what went wrong, empty when everything finished.
    """

    end: WaitEnd
    results: Mapping[RunId, RunResult]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask now: one run, or a page of a list."""

    ask: Ask[Any]
    run_id: RunId | None = None


@dataclass(slots=True, eq=False)
class Subscription:
    """Somebody who waits for some runs.

    :param active: those that have not ended.
    :param results: what was last seen of each.
    """

    pace: Pace
    began: float
    total: int
    active: dict[RunId, None]
    results: dict[RunId, RunResult] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Watched:
    """A run that somebody waits for; times in seconds since the epoch.

    :param since: when somebody last began to wait for it.
    :param asked: when it was last asked for itself or seen in a list, also in vain.
    :param place: the page of a list where it was last seen.
    :param sought: the lists that have not shown it since it was last seen: none, the active ones, all of them.
    :param trouble: since when there was no good answer about it, None while there are.
    """

    run_id: RunId
    pace: Pace
    since: float
    due: float
    subscriptions: tuple[Subscription, ...]
    asked: float = -math.inf
    place: int = 1
    sought: int = 0
    trouble: float | None = None
    fault: ServiceFault | None = None


class Watchlist:
    """The runs that are waited for through one connection.

    :param service: what is asked.
    :param rate: how many requests per second that may cost; no cap when None.
    :param whole: whether results are wanted with everything in them, as a verdict needs them. Without that, runs
        are asked for, and listed, with as little as tells their outcome.
    """

    def __init__(self, service: RunService, *, rate: Rate | None = None, whole: bool = False) -> None:
        self._service = service
        self._rate = rate or Rate()
        self._whole = whole
        self._subscriptions: dict[Subscription, None] = {}
        self._news: dict[Subscription, None] = {}
        self._runs: dict[RunId, _Watched] = {}
        #: Due now, and neither asked for nor looked for in lists at this moment; the longest overdue first.
        self._ready: dict[RunId, _Watched] = {}
        self._youngest: list[tuple[float, int, _Watched]] = []
        self._agenda: list[tuple[float, int, _Watched]] = []
        self._deadlines: list[tuple[float, int, Subscription]] = []
        self._numbers = itertools.count()
        self._walk: Walk | None = None
        self._jitter = 0.0
        self._turn = False
        self._page_next = True
        self._troubled: dict[RunId, _Watched] = {}
        self._trouble: float | None = None
        self._faults = 0
        self._rests = 0
        self._held_until = -math.inf
        self._rests_until = -math.inf
        self._no_lists_until = -math.inf
        self._denied: ServiceFault | None = None

    # -- who waits

    def subscribe(self, run_ids: Iterable[RunId], pace: Pace, now: float) -> Subscription:
        """Begin to wait for runs; their first look is due at once."""
        ids = dict.fromkeys(run_ids)
        subscription = Subscription(pace, now, len(ids), ids)
        self._subscriptions[subscription] = None
        if not ids:
            self._news[subscription] = None
        timeless = replace(pace, deadline=None)
        for run_id in ids:
            watched = self._runs.get(run_id)
            if watched is None:
                watched = self._runs[run_id] = _Watched(run_id, timeless, now, now, (subscription,))
            else:
                watched.subscriptions += (subscription,)
                watched.pace = min(watched.pace, timeless, key=lambda one: one.poll_interval)
                watched.since = now
            self._schedule(watched, now)
        if pace.deadline is not None:
            heapq.heappush(self._deadlines, (pace.deadline, next(self._numbers), subscription))
        return subscription

    def drop(self, subscription: Subscription) -> None:
        """Nobody waits there any more."""
        self._subscriptions.pop(subscription, None)
        self._news.pop(subscription, None)
        for run_id in subscription.active:
            if watched := self._runs.get(run_id):
                others = tuple(one for one in watched.subscriptions if one is not subscription)
                watched.subscriptions = others
                if not others:
                    self._forget(watched)
        # Its deadline may keep it for hours.
        subscription.active, subscription.results = {}, {}

    def _forget(self, watched: _Watched) -> None:
        for known in (self._runs, self._ready, self._troubled):
            known.pop(watched.run_id, None)
        watched.due = math.inf
        if self._walk is not None:
            self._walk.targets.discard(watched.run_id)

    def _schedule(self, watched: _Watched, due: float) -> None:
        watched.due = due
        heapq.heappush(self._agenda, (due, next(self._numbers), watched))

    # -- what to ask

    def questions(self, room: int, now: float) -> list[Question]:
        """What is to be asked now; each question comes back through :meth:`answered` or :meth:`failed`.

        :param room: how many questions can be put.
        """
        self._gather(now)
        if self._denied or now < self._on_hold_until():
            return []
        if self._walk and self._walk.over and not self._walk.asking:
            self._end_walk(found_out=False)
        walk = self._walk or self._begin_walk(now)
        page = int(walk is not None and not walk.asking)
        granted = self._rate.take(now, min(room, page + len(self._ready)))
        # Where little may be asked, pages and single runs take turns: neither keeps the other waiting for long.
        if granted == 1 and self._ready and page:
            page, self._page_next = int(self._page_next), not self._page_next
        asking: list[Question] = []
        if granted and page and walk is not None:
            walk.asking = True
            asking.append(Question(self._service.list_by_status(walk.statuses[0], walk.cursor)))
        put = self._service.fetch if self._whole else self._service.glance
        picked = self._pick(granted - len(asking))
        return asking + [Question(put(one.run_id), one.run_id) for one in picked]

    def pause(self, now: float) -> float:
        """Seconds until there is something to ask, or until a deadline; infinite when there will be neither."""
        when = [self._deadlines[0][0]] if self._deadlines else []
        self._drop_stale()
        if self._ready or (self._walk and not self._walk.asking):
            when.append(max(self._on_hold_until(), self._rate.ready_at(now)))
        elif self._agenda:
            when.append(max(self._on_hold_until(), self._agenda[0][0]))
        return max(0.0, min(when, default=math.inf) - now)

    def _on_hold_until(self) -> float:
        return max(self._held_until, self._rests_until)

    def _drop_stale(self) -> None:
        while self._agenda and self._agenda[0][2].due != self._agenda[0][0]:
            heapq.heappop(self._agenda)

    def _gather(self, now: float) -> None:
        """Make ready what is due, and what can as well be looked at together with that."""
        self._meet_deadlines(now)
        self._drop_stale()
        if not self._agenda or self._agenda[0][0] > now:
            return
        if not self._ready:
            self._jitter = random.uniform(-1, 1)  # noqa: S311
        share, most = EARLY
        later = []
        while self._agenda and self._agenda[0][0] <= now + most:
            entry = heapq.heappop(self._agenda)
            due, _, watched = entry
            if watched.due != due:
                continue
            if due - now <= share * (due - watched.asked):
                self._make_ready(watched)
            else:
                later.append(entry)
        for entry in later:
            heapq.heappush(self._agenda, entry)

    def _meet_deadlines(self, now: float) -> None:
        """Runs get a last look at the deadline, even while a service that seems down is left alone."""
        while self._deadlines and self._deadlines[0][0] <= now:
            when, _, subscription = heapq.heappop(self._deadlines)
            if subscription not in self._subscriptions:
                continue
            self._news[subscription] = None
            if when == subscription.pace.deadline:
                heapq.heappush(self._deadlines, (when + LAST_LOOK, next(self._numbers), subscription))
                self._rests_until = -math.inf
                for run_id in subscription.active:
                    # Asked at this moment it is neither ready nor on the agenda.
                    if math.isfinite(self._runs[run_id].due):
                        self._schedule(self._runs[run_id], now)

    def _begin_walk(self, now: float) -> Walk | None:
        if now < self._no_lists_until or not self._service.active_statuses:
            return None
        if not self._whole:
            missing = [run_id for run_id, watched in self._ready.items() if watched.sought == 1]
            self._walk = plan_ended_walk(self._service.ended_statuses, missing)
        if self._walk is None:
            places = {run_id: watched.place for run_id, watched in self._ready.items() if not watched.sought}
            self._walk = plan_walk(self._service.active_statuses, places)
        if self._walk is not None:
            self._walk.began = now
            for run_id in self._walk.targets:
                del self._ready[run_id]
        return self._walk

    def _make_ready(self, watched: _Watched) -> None:
        watched.due = -math.inf
        self._ready[watched.run_id] = watched
        heapq.heappush(self._youngest, (-watched.since, next(self._numbers), watched))
        if len(self._youngest) > 2 * len(self._ready) + 64:
            # Those that were picked as overdue left their entries behind.
            self._youngest = [(-one.since, next(self._numbers), one) for one in self._ready.values()]
            heapq.heapify(self._youngest)

    def _pick(self, room: int) -> list[_Watched]:
        """In turn the youngest and the longest overdue: neither has to wait for all of the others."""
        picked: list[_Watched] = []
        while self._ready and len(picked) < room:
            self._turn = not self._turn
            watched = self._pop_youngest() if self._turn else next(iter(self._ready.values()))
            del self._ready[watched.run_id]
            picked.append(watched)
        if not self._ready:
            self._youngest.clear()
        return picked

    def _pop_youngest(self) -> _Watched:
        while True:
            watched = heapq.heappop(self._youngest)[2]
            if self._ready.get(watched.run_id) is watched:
                return watched

    # -- what came of it

    def answered(self, question: Question, value: Any, now: float) -> None:
        """A question got an answer."""
        self._trouble = None
        self._faults = self._rests = 0
        self._rate.accepted()
        if question.run_id is not None:
            self._saw(question.run_id, value, now)
        elif self._walk is not None:
            self._took(self._walk, value, now)

    def failed(self, question: Question, fault: ServiceFault, now: float) -> None:
        """A question got no answer of use."""
        if fault.kind is FaultKind.DENIED:
            self._denied = fault
            self._news.update(self._subscriptions)
            return
        if fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED):
            self._slow_down(fault, now)
        if question.run_id is None:
            self._list_failed(fault, now)
        elif watched := self._runs.get(question.run_id):
            watched.asked, watched.fault = now, fault
            watched.trouble = now if watched.trouble is None else watched.trouble
            self._troubled[watched.run_id] = watched
            self._news.update(dict.fromkeys(watched.subscriptions))
            self._look_again(watched, now)

    def _list_failed(self, fault: ServiceFault, now: float) -> None:
        if fault.kind is FaultKind.RATE_LIMITED and self._walk is not None:
            # To ask for each run instead is what the service can bear least; the same page is asked for again.
            self._walk.asking = False
            return
        self._no_lists_until = now + WITHOUT_LISTS
        self._end_walk(found_out=False)

    def _slow_down(self, fault: ServiceFault, now: float) -> None:
        self._trouble = now if self._trouble is None else self._trouble
        self._faults += 1
        if fault.retry_after:
            most = min((one.pace.max_outage for one in self._subscriptions), default=0.0)
            self._held_until = max(self._held_until, now + min(fault.retry_after, most))
        if fault.kind is FaultKind.RATE_LIMITED:
            self._rate.refused()
        if fault.kind is FaultKind.RATE_LIMITED or self._faults >= FAULTS_IN_A_ROW:
            first, most = REST
            self._rests_until = now + min(most, first * 2.0**self._rests)
            self._rests = min(self._rests + 1, 10)
            self._faults = 0

    def _saw(self, run_id: RunId, run: RunResult, now: float, since: float | None = None) -> None:
        watched = self._runs.get(run_id)
        if watched is None:
            return
        watched.asked, watched.trouble, watched.fault = now, None, None
        watched.sought = 0
        self._troubled.pop(run_id, None)
        self._ready.pop(run_id, None)
        for subscription in watched.subscriptions:
            before = subscription.results.get(run_id)
            subscription.results[run_id] = run
            if before is None or before.status != run.status:
                self._news[subscription] = None
            if run.finished:
                subscription.active.pop(run_id, None)
        if run.finished:
            self._forget(watched)
        else:
            self._look_again(watched, now if since is None else since)

    def _look_again(self, watched: _Watched, now: float) -> None:
        self._schedule(watched, now + watched.pace.next_pause(now - watched.since, now, jitter=self._jitter))

    def _took(self, walk: Walk, page: Page, now: float) -> None:
        # An end is final, however late a list may be; a verdict needs more of the run than a list tells.
        seen = {
            sighting.run.run_id: sighting.run
            for sighting in page.sightings
            if sighting.run.run_id in self._runs and not (self._whole and sighting.run.finished)
        }
        number, ended = walk.page, walk.ended
        walk.took(seen.keys(), page.next_cursor)
        for run_id, run in seen.items():
            if not ended:
                self._runs[run_id].place = number
            self._saw(run_id, run, now, since=walk.began)
        if walk.over:
            self._end_walk(found_out=True)

    def _end_walk(self, *, found_out: bool) -> None:
        """What the lists have not shown is ready to be asked for itself."""
        walk, self._walk = self._walk, None
        if walk is None:
            return
        for run_id in walk.targets:
            watched = self._runs[run_id]
            watched.sought = 2 if walk.ended or not found_out else 1
            if found_out and not walk.ended:
                watched.place = 2 * max(watched.place, walk.deepest)
            self._make_ready(watched)

    # -- who need not wait any more

    def news(self) -> list[Subscription]:
        """Those for whom something has changed since the last call."""
        found, self._news = list(self._news), {}
        return found

    @property
    def troubled(self) -> bool:
        """Whether an outage may be ending somebody's wait."""
        return bool(self._troubled) or self._trouble is not None

    def fault_of(self, subscription: Subscription) -> ServiceFault | None:
        """The newest fault about one of its runs, None while all goes well."""
        faults = (run.fault for run in self._troubled.values() if subscription in run.subscriptions)
        return next(faults, None)

    def over(self, subscription: Subscription, now: float) -> Waited | None:
        """How the wait ended, None while it goes on."""
        pace, active, results = subscription.pace, subscription.active, subscription.results
        if not active:
            return Waited(WaitEnd.FINISHED, results)
        if self._denied:
            return Waited(WaitEnd.DENIED, results, self._denied.message)
        if pace.deadline is not None and now >= pace.deadline and self._had_last_look(subscription, now):
            return Waited(WaitEnd.DEADLINE, results, f"{name_runs(active)} not finished in time")
        if silent := self._silent(subscription, now):
            fault = self.fault_of(subscription)
            why = f": {fault.message}" if fault else ""
            message = f"no good answer about {name_runs(silent)} for {pace.max_outage:g} s{why}"
            return Waited(WaitEnd.UNAVAILABLE, results, message)
        return None

    def _had_last_look(self, subscription: Subscription, now: float) -> bool:
        deadline = subscription.pace.deadline or 0.0
        return (
            now >= deadline + LAST_LOOK
            or now < self._on_hold_until()
            or all(self._runs[run_id].asked >= deadline for run_id in subscription.active)
        )

    def _silent(self, subscription: Subscription, now: float) -> list[RunId]:
        """Its active runs of which nothing was heard for longer than an outage may last."""
        limit, began = subscription.pace.max_outage, subscription.began
        if self._trouble is not None and now - max(self._trouble, began) > limit:
            return list(subscription.active)
        mine = [run for run in self._troubled.values() if subscription in run.subscriptions]
        return [run.run_id for run in mine if now - max(run.trouble or now, began) > limit]
