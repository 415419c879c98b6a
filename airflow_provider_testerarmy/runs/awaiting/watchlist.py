"""The state of all awaited runs of one connection, and the requests that are due; without I/O.

The watchlist returns the due requests. Its owner sends them, one by one or concurrently, and passes the replies
back. :class:`Schedule` tracks waiters and due times, :class:`Health` the faults, :class:`Lists` the lists of runs.
Callers pass the time: ``now`` is monotonic. ``wall_ahead`` is the offset of the wall clock, in which deadlines are
given.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any, Final

from airflow_provider_testerarmy.runs.awaiting.health import NOT_FOUND_INTERVAL, RECHECK_KEY_AFTER, Health
from airflow_provider_testerarmy.runs.awaiting.hints import Hints
from airflow_provider_testerarmy.runs.awaiting.list_state import Lists
from airflow_provider_testerarmy.runs.awaiting.pace import Pace, Rate
from airflow_provider_testerarmy.runs.awaiting.question import Question
from airflow_provider_testerarmy.runs.awaiting.schedule import Schedule, Subscription, Watched
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited, WaitEnd
from airflow_provider_testerarmy.runs.results import Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.service import FaultKind, RunService, ServiceFault
from airflow_provider_testerarmy.runs.text import name_runs, one_line

__all__ = ["LAST_POLL_WITHIN", "WIDTH", "Question", "Subscription", "WaitEnd", "Waited", "Watchlist"]

#: The maximum number of requests in flight, and so of open connections.
WIDTH: Final = 8
#: The maximum number of requests in flight while it is uncertain whether the key is rejected.
PROBES: Final = 2
#: Seconds past the deadline that the last poll of the runs may take.
LAST_POLL_WITHIN: Final = 30.0
#: The number of requests for the last poll: a single fault must not hide that a run ended in time.
LAST_POLLS: Final = 2
#: Seconds before the second of these requests.
LAST_POLL_AGAIN: Final = 1.0
#: The maximum of seconds until a run is polled again after a fault, by the kind of the fault.
SOON: Final = {FaultKind.DENIED: RECHECK_KEY_AFTER, FaultKind.NOT_FOUND: NOT_FOUND_INTERVAL}
#: The minimum of seconds before a guest's request that was not admitted is tried again.
GUEST_PAUSE: Final = 0.01


class Watchlist:
    """The awaited runs of one connection.

    :param service: the adapter of the service.
    :param rate: limits the requests per second; no cap if None.
    :param whole: whether results need all of their details, as a verdict does. Otherwise only states and outcomes
        are fetched.
    :param held_until: the time until which an earlier ``Retry-After`` holds, in monotonic seconds.
    """

    def __init__(
        self,
        service: RunService,
        *,
        rate: Rate | None = None,
        whole: bool = False,
        held_until: float = -math.inf,
    ) -> None:
        self._service = service
        self._put = service.fetch if whole else service.fetch_state
        self._rate = rate or Rate()
        self._schedule = Schedule()
        #: Takes hints that runs have ended.
        self.hints = Hints(self._schedule)
        self._health = Health(held_until)
        self._lists = Lists(service, whole=whole)
        self._changed: dict[Subscription, None] = {}
        self._page_next = True
        self._under_way = 0

    def set_wall_ahead(self, seconds: float) -> None:
        """Set the offset of the wall clock from the monotonic clock in seconds; the system time may change."""
        self._schedule.wall_ahead = seconds

    @property
    def held_until(self) -> float:
        """The time until which ``Retry-After`` forbids requests, in monotonic seconds."""
        return self._health.held_until

    # -- waiters

    def subscribe(self, run_ids: Iterable[RunId], pace: Pace, now: float) -> Subscription:
        """Add a waiter; the first poll of its runs is due immediately."""
        given = list(run_ids)
        ids = [one for one in given if isinstance(one, str | int) and not isinstance(one, bool)]
        subscription = self._schedule.subscribe(ids, pace, now)
        if len(ids) < len(given):
            odd = next(one for one in given if isinstance(one, bool) or not isinstance(one, str | int))
            subscription.unusable = f"a {type(odd).__name__} is not a run id"
        if subscription.unusable or not ids:
            self._changed[subscription] = None
        for run_id in subscription.active.keys() & self._health.runs.keys():
            self._trouble(subscription, run_id, now)
        return subscription

    def drop(self, subscription: Subscription) -> None:
        """Remove a waiter."""
        self._changed.pop(subscription, None)
        for run_id in self._schedule.drop(subscription):
            self._forget(run_id)

    def _forget(self, run_id: RunId) -> None:
        self._schedule.forget(run_id)
        self._health.recovered(run_id)
        self._lists.forget(run_id)

    # -- requests

    def questions(self, room: int, now: float) -> list[Question]:
        """The due requests. Report each result with :meth:`answered` or :meth:`failed`.

        :param room: the maximum number of requests to return.
        """
        self._meet_deadlines(now)
        self.hints.release(now, self._health.runs)
        self._schedule.gather(now)
        if self._health.denied or now < self._health.on_hold_until():
            return []
        room = max(0, min(room, self._most() - self._under_way))
        self._end_walk()
        self._schedule.take(self._lists.begin(lambda: self._schedule.ready, now))
        page = int(self._lists.wants_page)
        ready = self._schedule.count_ready()
        granted = self._rate.take(now, min(room, page + ready))
        # At a low rate, pages and single runs take turns, so that neither starves the other.
        if granted == 1 and ready and page:
            page, self._page_next = int(self._page_next), not self._page_next
        asking = [Question(self._lists.ask_page(), None, now)] if granted and page else []
        asking += self._about_runs(granted - len(asking), now)
        self._under_way += len(asking)
        return asking

    def _most(self) -> int:
        """The maximum number of requests in flight."""
        return PROBES if self._health.suspected else sys.maxsize

    def _about_runs(self, room: int, now: float) -> list[Question]:
        asking = []
        for watched in self._schedule.pick(room):
            try:
                late = max(0.0, now - watched.due) if math.isfinite(watched.due) else None
                asking.append(Question(self._put(watched.run_id), watched.run_id, now, late))
            except (ValueError, TypeError) as error:
                # The id is invalid, so no request can be built from it. Only its own waiters fail.
                self._give_up(watched, f"{name_runs([watched.run_id])} cannot exist: {error}")
        return asking

    def _give_up(self, watched: Watched, why: str) -> None:
        self._schedule.forget(watched.run_id)
        for subscription in watched.waiters:
            subscription.unusable = one_line(why)
            self._changed[subscription] = None

    def pause(self, now: float) -> float:
        """Seconds until a request is due or a deadline passes; infinite if neither will happen."""
        if self._health.denied:
            return math.inf
        when = min(self._schedule.next_due(), self.hints.next_release(now))
        if self._under_way >= self._most():
            when = math.inf
        elif self._schedule.count_ready() or self._lists.wants_page:
            when = self._rate.ready_at(now)
        if math.isfinite(when):
            when = max(self._health.on_hold_until(), when)
        return max(0.0, min(when, self._schedule.next_deadline()) - now)

    def _meet_deadlines(self, now: float) -> None:
        """Poll runs a last time at their deadline, even during a back-off."""
        for subscription in self._schedule.meet_deadlines(now):
            self._changed[subscription] = None
            if subscription.overdue_since == now:
                self._health.end_backoff()
                self._schedule.remind(subscription, now + self._schedule.wall_ahead + LAST_POLL_WITHIN)

    def _end_walk(self) -> None:
        """After a walk through the lists, fetch the missing runs individually."""
        for run_id in self._lists.over():
            self._schedule.make_ready(self._schedule.runs[run_id])

    # -- guests: requests of others that share the connection

    def admit(self, now: float) -> float:
        """Seconds until a guest may send a request; 0 if it may now, and then it counts as sent.

        :raises ServiceFault: if the key is rejected.
        """
        if self._health.denied:
            raise self._health.denied
        when = max(self._health.on_hold_until(), self._rate.ready_at(now))
        if when <= now and self._rate.take(now, 1):
            return 0.0
        return max(when - now, GUEST_PAUSE)

    def guest_answered(self) -> None:
        """Record a successful request of a guest."""
        self._health.record_success()
        self._rate.accepted()

    def guest_failed(self, fault: ServiceFault, asked: float, now: float) -> None:
        """Record a fault that concerns the connection. A rejected key does not end the waits of others."""
        if fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED):
            self._health.record_fault(fault, None, asked, now, 0.0)
        if fault.kind is FaultKind.RATE_LIMITED:
            self._rate.refused(asked)

    # -- results

    def answered(self, question: Question, value: Any, now: float) -> None:
        """Record the reply to a request."""
        run_id, asked = question.run_id, min(question.asked, now)
        self._under_way -= 1
        self._health.record_success()
        self._rate.accepted()
        if run_id is None:
            seen, began = self._lists.took(value, self._schedule.runs)
            for listed, run in seen.items():
                self._saw(listed, run, asked, began)
            self._end_walk()
        elif run_id in self._schedule.runs:
            self._lists.saw(run_id)
            self._saw(run_id, value, asked, now)

    def failed(self, question: Question, fault: ServiceFault, now: float) -> None:
        """Record the fault of a request."""
        run_id, asked = question.run_id, min(question.asked, now)
        self._under_way -= 1
        waiting = self._schedule.subscriptions if fault.retry_after else ()
        max_outage = max((one.pace.max_outage for one in waiting), default=0.0)
        begins = self._health.record_fault(fault, run_id, asked, now, max_outage)
        if fault.kind is FaultKind.RATE_LIMITED:
            self._rate.refused(question.asked if math.isfinite(question.asked) else None)
        if self._health.denied:
            self._changed.update(self._schedule.subscriptions)
        if run_id is None:
            self._list_failed(fault, now)
        elif watched := self._schedule.runs.get(run_id):
            self._run_failed(watched, fault, asked, now, begins=begins)

    def _list_failed(self, fault: ServiceFault, now: float) -> None:
        if fault.kind is FaultKind.RATE_LIMITED:
            self._lists.repeat_page()
            return
        for run_id in self._lists.give_up(now):
            self._schedule.make_ready(self._schedule.runs[run_id])

    def _run_failed(
        self, watched: Watched, fault: ServiceFault, asked: float, now: float, *, begins: bool
    ) -> None:
        self._changed.update(watched.waiters)
        if begins:
            for subscription in watched.waiters:
                self._trouble(subscription, watched.run_id, now)
        if fault.kind is FaultKind.RATE_LIMITED:
            self._schedule.make_ready(watched)
            return
        watched.polled = asked
        trouble = self._health.runs[watched.run_id]
        if trouble.not_found or trouble.refused:
            for subscription in watched.waiters:
                subscription.turned_away = watched.run_id
        late = any(one.overdue_since < math.inf for one in watched.waiters)
        soon = LAST_POLL_AGAIN if late else SOON.get(fault.kind, math.inf)
        self._schedule.poll_again(watched, now, at_most=soon)

    def _trouble(self, subscription: Subscription, run_id: RunId, now: float) -> None:
        since = max(self._health.runs[run_id].since, subscription.began)
        subscription.troubled[run_id] = None
        subscription.alarm = min(subscription.alarm, since + subscription.pace.max_outage)

    def _saw(self, run_id: RunId, run: RunResult, asked: float, since: float) -> None:
        """Record the state of a run.

        :param asked: when the request was sent.
        :param since: when the interval until the next poll begins.
        """
        watched = self._schedule.runs[run_id]
        first = not any(run_id in one.results for one in watched.waiters)
        self.hints.saw(watched, asked, since, finished=run.finished, first=first)
        watched.polled = asked
        troubled = self._health.recovered(run_id)
        for subscription in watched.waiters:
            before = subscription.results.get(run_id)
            subscription.results[run_id] = run
            if troubled:
                subscription.troubled.pop(run_id, None)
                subscription.turned_away = None
            if before is None or before.status != run.status or subscription.overdue_since < math.inf:
                self._changed[subscription] = None
            if run.finished:
                subscription.active.pop(run_id, None)
                subscription.failed += run.outcome is Outcome.FAILED
                self._changed[subscription] = None
        if run.finished:
            self._forget(run_id)
        else:
            self._schedule.poll_again(watched, since)

    # -- ends of waits

    def take_changed(self) -> list[Subscription]:
        """The waiters with changes since the last call."""
        found, self._changed = list(self._changed), {}
        return found

    @property
    def suspected(self) -> bool:
        """Whether the key was rejected once, and a second request has not confirmed it yet."""
        return self._health.suspected

    @property
    def troubled(self) -> bool:
        """Whether there are faults, so that an outage may end a wait."""
        return bool(self._health.runs) or self._health.trouble is not None

    def fault_of(self, subscription: Subscription) -> ServiceFault | None:
        """The current fault of one of its runs or of the connection; None without one."""
        for run_id in subscription.troubled:
            return self._health.runs[run_id].fault
        return self._health.fault

    def may_be_over(self, subscription: Subscription, now: float) -> bool:
        """Whether an outage may have ended the wait; a quick check that can be called for thousands of waiters."""
        trouble = self._health.trouble
        return now > subscription.alarm or (
            trouble is not None and now - max(trouble, subscription.began) > subscription.pace.max_outage
        )

    def outage_ends(self, subscription: Subscription) -> float:
        """When the current outage ends this wait unless a request succeeds before; infinite without an outage."""
        trouble = self._health.trouble
        if trouble is None:
            return subscription.alarm
        return min(subscription.alarm, max(trouble, subscription.began) + subscription.pace.max_outage)

    def over(self, subscription: Subscription, now: float) -> Waited | None:
        """Why the wait ended; None while it continues."""
        active, results = subscription.active, subscription.results
        if subscription.unusable:
            return Waited(WaitEnd.NOT_FOUND, results, subscription.unusable)
        if not active or subscription.has_enough:
            return Waited(WaitEnd.ENOUGH if active else WaitEnd.FINISHED, results)
        if self._health.denied:
            return Waited(WaitEnd.DENIED, results, self._health.denied.message)
        if subscription.turned_away is not None:
            return self._turned_away(subscription, subscription.turned_away)
        if self._had_last_poll(subscription, now):
            return Waited(WaitEnd.DEADLINE, results, f"{name_runs(active)} did not finish in time")
        return self._outage(subscription, now) if self.may_be_over(subscription, now) else None

    def _turned_away(self, subscription: Subscription, run_id: RunId) -> Waited:
        """The end of a wait for a run that the service does not know, or to which it denies access."""
        trouble = self._health.runs[run_id]
        if trouble.not_found:
            message = f"the service does not know {name_runs([run_id])}: {trouble.fault.message}"
            return Waited(WaitEnd.NOT_FOUND, subscription.results, message)
        message = f"access to {name_runs([run_id])} is denied: {trouble.fault.message}"
        return Waited(WaitEnd.DENIED, subscription.results, message)

    def _had_last_poll(self, subscription: Subscription, now: float) -> bool:
        since = subscription.overdue_since
        if now < since:
            return False
        if now >= since + LAST_POLL_WITHIN or now < self._health.on_hold_until():
            return True
        return all(self._polled_last(self._schedule.runs[run_id], since) for run_id in subscription.active)

    def _polled_last(self, watched: Watched, deadline: float) -> bool:
        trouble = self._health.runs.get(watched.run_id)
        return watched.polled >= deadline and (trouble is None or trouble.count >= LAST_POLLS)

    def _outage(self, subscription: Subscription, now: float) -> Waited | None:
        silent = self._silent(subscription, now)
        if not silent:
            return None
        fault = self.fault_of(subscription)
        why = f": {fault.message}" if fault else ""
        message = f"no successful request for {name_runs(silent)} in {subscription.pace.max_outage:g} s{why}"
        held = self._health.held_until - now
        return Waited(WaitEnd.UNAVAILABLE, subscription.results, message, held if held > 0 else None)

    def _silent(self, subscription: Subscription, now: float) -> list[RunId]:
        """Its active runs without a successful request for longer than ``max_outage``."""
        limit, began, trouble = subscription.pace.max_outage, subscription.began, self._health.trouble
        if trouble is not None and now - max(trouble, began) > limit:
            return list(subscription.active)
        since = {run_id: max(self._health.runs[run_id].since, began) for run_id in subscription.troubled}
        subscription.alarm = min(since.values(), default=math.inf) + limit
        return [run_id for run_id, when in since.items() if now - when > limit]
