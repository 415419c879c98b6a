"""A service in memory: awaited and other runs, in lists that shift, with a test clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH, Question, Subscription, Watchlist
from airflow_provider_testerarmy.runs.results import Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.service import FaultKind, ListedRun, Page, ServiceFault
from tests.runs.scripted import START, Port, active, finished

PAGE = 100
#: Seconds that each answer takes.
LATENCY = 0.05
#: Seconds after which something may have happened at the service, though nothing was asked.
STEP = 0.25


@dataclass
class Account:
    """Its runs, newest first.

    :param page_of: how a cursor names the next page: by position, so that lists shift while they are read.
    :param trouble: asked before every answer; a fault it returns is raised.
    """

    now: float = START
    runs: dict[RunId, RunResult] = field(default_factory=dict)
    asked: list[tuple[float, str, tuple[Any, ...]]] = field(default_factory=list)
    trouble: Callable[[Any], ServiceFault | None] = lambda _question: None

    def start(self, *run_ids: RunId, status: str = "running") -> None:
        """Start runs, one after the other."""
        for run_id in run_ids:
            self.runs = {run_id: active(run_id, status), **self.runs}

    def start_many(self, run_ids: Iterable[RunId]) -> None:
        """Start runs all at once, the first of them last."""
        self.runs = {run_id: active(run_id) for run_id in run_ids} | self.runs

    def end(self, *run_ids: RunId, outcome: Outcome = Outcome.PASSED) -> None:
        """Let runs come to their end."""
        for run_id in run_ids:
            self.runs[run_id] = finished(run_id, outcome)

    def answer(self, question: Any) -> Any:
        """Respond like a service, or raise a fault."""
        self.asked.append((self.now, question.name, question.args))
        if fault := self.trouble(question):
            raise fault
        if question.name == "list_by_status":
            status, cursor = question.args
            begin = int(cursor or 0)
            found = [run for run in self.runs.values() if run.status == status]
            more = str(begin + PAGE) if begin + PAGE < len(found) else ""
            return Page(tuple(ListedRun(run) for run in found[begin : begin + PAGE]), more)
        (run_id,) = question.args
        if run_id not in self.runs:
            raise ServiceFault(FaultKind.NOT_FOUND, "no such run")
        return self.runs[run_id]

    def count(self, name: str | None = None) -> int:
        """The number of requests."""
        return sum(name in (None, asked) for _, asked, _ in self.asked)


class Watch:
    """A watchlist on an account; time goes on as its questions are answered."""

    def __init__(
        self,
        account: Account,
        *,
        latency: float = 0.05,
        statuses: tuple[str, ...] | None = None,
        **options: Any,
    ) -> None:
        self.account = account
        port = Port() if statuses is None else Port(active_statuses=statuses)
        self.list = Watchlist(port, **options)
        self.seen: dict[RunId, float] = {}
        #: Those of whom there was news in the last step.
        self.news: set[Subscription] = set()
        self._under_way: list[tuple[float, Question]] = []
        self.subscriptions: list[Subscription] = []

    def wait_for(self, run_ids: Iterable[RunId], pace: Pace) -> Subscription:
        """Wait for runs, from now on."""
        self.subscriptions.append(self.list.subscribe(run_ids, pace, self.account.now))
        return self.subscriptions[-1]

    def go_on(self, seconds: float, meanwhile: Callable[[float], None] = lambda _now: None) -> None:
        """Let time pass.

        :param meanwhile: what happens at the service, called each time anything does.
        """
        account, end = self.account, self.account.now + seconds
        while True:
            for question in self.list.questions(WIDTH - len(self._under_way), account.now):
                self._under_way.append((account.now + LATENCY, question))
            room = len(self._under_way) < WIDTH
            times = [when for when, _ in self._under_way]
            times += [account.now + self.list.pause(account.now)] if room else []
            account.now = min([*times, account.now + STEP, end])
            if account.now >= end:
                return
            meanwhile(account.now)
            self._answer_what_is_due()

    def _answer_what_is_due(self) -> None:
        now = self.account.now
        due = [question for when, question in self._under_way if when <= now]
        self._under_way = [(when, question) for when, question in self._under_way if when > now]
        for question in due:
            try:
                value = self.account.answer(question.ask)
            except ServiceFault as fault:
                self.list.failed(question, fault, now)
            else:
                self.list.answered(question, value, now)
        self.news = set(self.list.take_changed())
        for subscription in self.news:
            for run_id, run in subscription.results.items():
                if run.finished:
                    self.seen.setdefault(run_id, now)


def in_some_order(run_ids: Iterable[RunId], seed: int = 7) -> list[RunId]:
    """The ids, shuffled in the same way each time."""
    shuffled = list(run_ids)
    random.Random(seed).shuffle(shuffled)
    return shuffled
