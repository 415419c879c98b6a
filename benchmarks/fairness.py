"""`python -m benchmarks.fairness`: measures whether all runs are polled equally often, on a virtual clock.

The simulated service has no list call, so each poll of a run costs a request. It responds after a fixed time, or
with 429 above its limit. No run ends. The benchmark counts the successful polls of each run.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from airflow_provider_testerarmy.runs.awaiting.pace import Pace, Rate
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH, Question, Watchlist
from airflow_provider_testerarmy.runs.results import Phase, RunId, RunResult
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault

#: The hook's default for ``max_requests_per_second``.
PER_SECOND: Final = 20.0
INTERVAL: Final = 10.0
SECONDS: Final = 300.0


@dataclass(frozen=True)
class Case:
    """A service, and the tasks that wait for its runs.

    :param count: the number of runs.
    :param latency: the response time in seconds.
    :param limit: requests per second above which the service responds with 429; None for no limit.
    :param together: one task waits for all runs, instead of one task per run.
    """

    name: str
    count: int
    latency: float = 0.05
    limit: int | None = None
    together: bool = False


CASES: Final = (
    Case("300 tasks, quick answers", 300),
    Case("300 tasks, answers after 2 s", 300, latency=2.0),
    Case("300 tasks, 429 above 5 per second", 300, limit=5),
    Case("1,000 tasks, quick answers", 1000),
    Case("1,000 tasks, answers after 2 s", 1000, latency=2.0),
    Case("1,000 tasks, 429 above 5 per second", 1000, limit=5),
    Case("one task of 300 runs, quick answers", 300, together=True),
    Case("one task of 300 runs, answers after 2 s", 300, latency=2.0, together=True),
    Case("one task of 300 runs, 429 above 5 per second", 300, limit=5, together=True),
)


@dataclass(frozen=True)
class Found:
    """The result of a case.

    :param least: the successful polls of the run with the fewest.
    :param most: the successful polls of the run with the most.
    :param first: the time in seconds until every run was polled once.
    :param gap: the longest time in seconds that any run went without a successful poll.
    :param refused: the requests that got a 429.
    """

    least: int
    most: int
    first: float
    gap: float
    refused: int


@dataclass
class _Service:
    """A service without a list call; a request is just a run id."""

    case: Case
    accepted: deque[float] = field(default_factory=deque)
    polled: dict[RunId, list[float]] = field(default_factory=dict)
    refused: int = 0
    active_statuses: tuple[str, ...] = ()
    ended_statuses: tuple[str, ...] = ()

    def fetch_state(self, run_id: RunId) -> Any:
        """The request for a run: its id."""
        return run_id

    fetch = fetch_state

    def takes(self, now: float) -> bool:
        """Whether a request that arrives now is within the limit."""
        while self.accepted and self.accepted[0] <= now - 1:
            self.accepted.popleft()
        if self.case.limit is not None and len(self.accepted) >= self.case.limit:
            self.refused += 1
            return False
        self.accepted.append(now)
        return True


def fairness(case: Case, seconds: float = SECONDS) -> Found:
    """Simulate a case for this many virtual seconds."""
    random.seed(7)
    service = _Service(case)
    watch = Watchlist(service, rate=Rate(PER_SECOND))  # type: ignore[arg-type]
    ids = [f"run-{number}" for number in range(case.count)]
    for group in [ids] if case.together else [[run_id] for run_id in ids]:
        watch.subscribe(group, Pace(INTERVAL), 0.0)
    _simulate(watch, service, seconds)
    return _found(service, ids, seconds)


def _simulate(watch: Watchlist, service: _Service, seconds: float) -> None:
    now, in_flight = 0.0, deque[tuple[float, Question, bool]]()
    while now < seconds:
        while in_flight and in_flight[0][0] <= now:
            _, question, taken = in_flight.popleft()
            _answer(watch, service, question, now, taken=taken)
        for question in watch.questions(WIDTH - len(in_flight), now):
            in_flight.append((now + service.case.latency, question, service.takes(now)))
        wake = [in_flight[0][0]] if in_flight else []
        if len(in_flight) < WIDTH:
            wake.append(now + max(0.005, watch.pause(now)))
        now = min([*wake, seconds])


def _answer(watch: Watchlist, service: _Service, question: Question, now: float, *, taken: bool) -> None:
    run_id = question.run_id or ""
    if not taken:
        watch.failed(question, ServiceFault(FaultKind.RATE_LIMITED, "429 Too Many Requests"), now)
        return
    service.polled.setdefault(run_id, []).append(now)
    watch.answered(question, RunResult(run_id, "running", Phase.RUNNING), now)


def _found(service: _Service, ids: Sequence[str], seconds: float) -> Found:
    times = [service.polled.get(run_id, []) for run_id in ids]
    return Found(
        least=min(map(len, times)),
        most=max(map(len, times)),
        first=max(one[0] if one else seconds for one in times),
        gap=max(max(_gaps(one, seconds)) for one in times),
        refused=service.refused,
    )


def _gaps(times: Sequence[float], seconds: float) -> Iterator[float]:
    yield from (after - before for before, after in pairwise([0.0, *times, seconds]))


def table() -> list[str]:
    """The table of all cases, as Markdown."""
    lines = [
        "| who waits, and the service | fewest polls | most polls | all polled once | longest gap | refused |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case in CASES:
        found = fairness(case)
        lines.append(
            f"| {case.name} | {found.least} | {found.most} | {found.first:.1f} s | {found.gap:.1f} s "
            f"| {found.refused} |"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
