"""A scripted service and a driver with a test clock, which run flows without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_testerarmy.runs.flow import Flow, drive
from airflow_provider_testerarmy.runs.results import Outcome, Phase, RunId, RunResult
from airflow_provider_testerarmy.runs.service import (
    FaultKind,
    ListedRun,
    Match,
    Page,
    RunRequest,
    Scope,
    ServiceFault,
    Submission,
)
from airflow_provider_testerarmy.runs.submission.record import Intent

START = 1_770_811_200.0  # 2026-02-11T12:00:00Z


@dataclass(frozen=True)
class Question:
    """What a flow asks: the method of the port, and its arguments."""

    name: str
    args: tuple[Any, ...] = ()
    parse: Callable[[Any], Any] = lambda answer: answer


@dataclass(frozen=True)
class Answered:
    """A reply with the service's clock."""

    value: Any
    server_time: datetime | None = None
    requests_per_second: float | None = None


class Port:
    """The service port; every question is a value that tells which it is."""

    vendor = "Vendor"

    def __init__(
        self,
        *,
        active_statuses: tuple[str, ...] = ("queued", "running"),
        can_cancel: bool = True,
        group: bool = False,
        neighbours: bool = False,
    ) -> None:
        self.active_statuses, self.can_cancel = active_statuses, can_cancel
        self.ended_statuses = ("completed", "failed", "cancelled") if active_statuses else ()
        self._group, self._neighbours = group, neighbours

    def prepare(self, request: RunRequest) -> Question:
        return Question("prepare", (request,))

    def submit(self, request: RunRequest) -> Question:
        return Question("submit", (request,))

    def fetch(self, run_id: RunId) -> Question:
        return Question("fetch", (run_id,))

    def fetch_state(self, run_id: RunId) -> Question:
        return Question("fetch_state", (run_id,))

    def list_by_status(self, status: str, cursor: str) -> Question:
        return Question("list_by_status", (status, cursor))

    def list_candidates(self, request: RunRequest, scope: Scope, cursor: str) -> Question:
        return Question("list_candidates", (cursor,))

    def list_neighbours(self, request: RunRequest, scope: Scope, cursor: str) -> Question | None:
        return Question("list_neighbours", (cursor,)) if self._neighbours else None

    def list_newest(self, request: RunRequest, scope: Scope) -> Question:
        return Question("list_newest")

    def examine(self, run_id: RunId, request: RunRequest) -> Question:
        return Question("examine", (run_id,))

    def some_tests(self, request: RunRequest, test_ids: Sequence[str]) -> tuple[RunRequest, ...] | None:
        """Tests of a group, each by itself."""
        if request.kind != "group" or request.body:
            return None
        return tuple(RunRequest("test", test_id) for test_id in test_ids)

    def list_tests(self, request: RunRequest, scope: Scope, cursor: str) -> Question | None:
        return Question("list_tests", (cursor,)) if self._group else None

    def known_runs(self, request: RunRequest) -> int | None:
        return None if self._group else 1

    def cancel_run(self, run_id: RunId) -> Question:
        return Question("cancel_run", (run_id,))

    def cancel_batch(self, batch_id: str) -> Question:
        return Question("cancel_batch", (batch_id,))

    def submission_url(self, submission: Submission) -> str:
        return ""


@dataclass
class World:
    """A service whose every answer is a function of the question, and the time that passes.

    :param answers: by the question's name: a value, a fault, or what returns or raises either.
    :param service_ahead: seconds by which the service's clock is ahead of the worker's.
    :param dated: whether answers carry the service's clock.
    """

    answers: Mapping[str, Any]
    now: float = START
    service_ahead: float = 0.0
    dated: bool = True
    seconds_per_answer: float = 0.0
    asked: list[Question] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def server_time(self) -> datetime:
        return datetime.fromtimestamp(self.now + self.service_ahead, UTC)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds

    def put(self, question: Any) -> Answered:
        self.asked.append(question)
        self.now += self.seconds_per_answer
        answer = self.answers[question.name]
        if callable(answer):
            answer = answer(*question.args)
        if isinstance(answer, BaseException):
            raise answer
        return Answered(answer, self.server_time() if self.dated else None)

    def run(self, flow: Flow[Any]) -> Any:
        return drive(flow, self.put, self.sleep)

    def count(self, name: str) -> int:
        return sum(question.name == name for question in self.asked)


def script(*answers: Any) -> Callable[..., Any]:
    """One answer after the other; the last one stays."""
    left = list(answers)
    return lambda *_: left.pop(0) if len(left) > 1 else left[0]


def transient(message: str = "503 from a proxy", **options: Any) -> ServiceFault:
    """A transient fault."""
    return ServiceFault(FaultKind.TRANSIENT, message, **options)


def ambiguous(message: str = "the connection broke") -> ServiceFault:
    """A lost answer to something that may have happened."""
    return ServiceFault(FaultKind.TRANSIENT, message, may_have_effect=True)


def fault(kind: FaultKind, **options: Any) -> ServiceFault:
    """A fault of a kind."""
    return ServiceFault(kind, f"it is {kind}", **options)


def active(run_id: RunId, status: str = "running", **fields: Any) -> RunResult:
    """An active run."""
    return RunResult(run_id, status, Phase.RUNNING, **fields)


def finished(run_id: RunId, outcome: Outcome = Outcome.PASSED, **fields: Any) -> RunResult:
    """A finished run."""
    status = {Outcome.CANCELLED: "cancelled", Outcome.ERRORED: "failed"}.get(outcome, "completed")
    return RunResult(run_id, fields.pop("status", status), Phase.FINISHED, outcome, **fields)


def page(*runs: RunResult, cursor: str = "", match: Match = Match.YES) -> Page:
    """A page of a list."""
    return Page(tuple(ListedRun(run, match) for run in runs), cursor)


def submission(*run_ids: RunId) -> Submission:
    """An accepted submission."""
    return Submission(run_ids)


class Claims:
    """What other tasks have claimed, and what this one has.

    :param others: by the number of the question from which on they are claimed.
    :param refused: how many claims of this task are not stored at first.
    """

    def __init__(self, others=(), *, answers=True, refused=0):
        self._others = dict(others)
        self._answers = answers
        self._refused = refused
        self.slowest = 0.0
        self.asked = 0
        self.claimed = []

    def of_others(self, run_ids, *, most=50):
        self.asked += 1
        if not self._answers:
            return None
        return frozenset(one for one in run_ids if self._others.get(one, 99) <= self.asked)

    def claim(self, run_ids):
        self._refused -= 1
        if self._refused >= 0:
            return False
        self.claimed.append(run_ids)
        return True


class Notes:
    """A journal that remembers its entries, and in which order they came among the questions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.entries: list[tuple[str, Any]] = []
        self.order: list[str] = []

    def _note(self, entry: str, value: Any = None) -> None:
        self.entries.append((entry, value))
        self.order = [*self.order, f"{entry} after {self._world.count('submit')} sends"]

    def intent(self, intent: Intent) -> None:
        self._note("intent", intent)

    def not_sent(self) -> None:
        self._note("not_sent")

    def submitted(self, submission: Submission) -> None:
        self._note("submitted", submission)

    def nothing_started(self, reason: str = "") -> None:
        self._note("nothing_started", reason)

    def unclear(self, reason: str, candidates: tuple[RunId, ...]) -> None:
        self._note("unclear", candidates)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.entries]
