"""A worker that may crash anywhere, against a service that loses answers and whose lists lag."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.single import await_runs
from airflow_provider_testerarmy.runs.awaiting.watchlist import WaitEnd
from airflow_provider_testerarmy.runs.flow import drive
from airflow_provider_testerarmy.runs.results import Outcome, Phase, RunResult
from airflow_provider_testerarmy.runs.service import (
    FaultKind,
    ListedRun,
    Page,
    RunRequest,
    Scope,
    ServiceFault,
    Submission,
    Tests,
)
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.lookup import LOOKS
from airflow_provider_testerarmy.runs.submission.record import Intent, Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.setting import Setting, SubmitEnd
from airflow_provider_testerarmy.runs.submission.stored import from_json, to_json
from airflow_provider_testerarmy.runs.submission.submit import submit
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, VerdictKind
from tests.runs.scripted import START, Answered, Port

#: Seconds within which the lists tell the truth, shorter than the last look.
LAG = 20.0
#: How a service may take a submission: accept it or not, answer or not.
POSTS = (
    "ok",
    "accepted, answer lost",
    "accepted late, answer lost",
    "lost",
    "not sent",
    "limited",
    "refused",
)
TRIES = 12


class Crash(BaseException):
    """The worker is lost at this moment."""


@dataclass
class Service:
    """Accepts submissions and shows them in its list, each a while later.

    :param posts: what becomes of each submission that is sent; the last one of all is answered.
    :param lags: seconds until each run is listed.
    :param hiccups: numbers of reads that fail.
    """

    posts: list[str]
    lags: list[float]
    hiccups: frozenset[int]
    tests: tuple[str, ...]
    ahead: float
    ends: list[Outcome]
    now: float = START
    accepted: list[tuple[str, ...]] = field(default_factory=list)
    runs: list[tuple[RunResult, float]] = field(default_factory=list)
    reads: int = 0

    def time(self, at: float | None = None) -> datetime:
        return datetime.fromtimestamp(round((self.now if at is None else at) + self.ahead, 3), UTC)

    def answer(self, question) -> Answered:
        """Answer a question; the clock of the answer has whole seconds."""
        self.now += 0.05
        if question.name == "submit":
            value = self._post()
        else:
            self.reads += 1
            if self.reads in self.hiccups:
                raise ServiceFault(FaultKind.TRANSIENT, "a hiccup")
            value = getattr(self, f"_{question.name}")(*question.args)
        return Answered(value, self.time().replace(microsecond=0))

    def _post(self) -> Submission:
        kind = self.posts.pop(0) if self.posts else "ok"
        if kind == "refused":
            raise ServiceFault(FaultKind.REFUSED, "400")
        if kind in ("not sent", "limited"):
            raise ServiceFault(FaultKind.TRANSIENT if kind == "not sent" else FaultKind.RATE_LIMITED, kind)
        if kind == "lost":
            raise ServiceFault(FaultKind.TRANSIENT, kind, may_have_effect=True)
        found = self._accept(5.0 if kind.startswith("accepted late") else 0.0)
        if kind == "ok":
            return found
        raise ServiceFault(FaultKind.TRANSIENT, kind, may_have_effect=True)

    def _accept(self, delay: float) -> Submission:
        at = self.now + delay
        ids = []
        for test in self.tests:
            number = len(self.runs)
            ids.append(f"run {number}")
            run = RunResult(ids[-1], "running", Phase.RUNNING, test_id=test, created_at=self.time(at))
            self.runs.append((run, at + self.lags[number % len(self.lags)]))
        self.accepted.append(tuple(ids))
        return Submission(tuple(ids))

    def _prepare(self, _request) -> Scope:
        return Scope("p", "Title")

    def _list_tests(self, _cursor) -> Tests:
        return Tests({}, frozenset(self.tests))

    def _list_newest(self) -> tuple[str, ...]:
        return tuple(one.run.run_id for one in self._list_candidates("").listed_runs[:20])

    def _list_candidates(self, _cursor) -> Page:
        shown = [run for run, visible in self.runs if visible <= self.now]
        newest = sorted(shown, key=lambda run: run.created_at, reverse=True)
        return Page(tuple(ListedRun(run) for run in newest))

    def _list_by_status(self, status, _cursor) -> Page:
        shown = self._list_candidates("").listed_runs if status == "running" else ()
        return Page(tuple(one for one in shown if not self._fetch(one.run.run_id).finished))

    def _fetch(self, run_id) -> RunResult:
        run, visible = next(pair for pair in self.runs if pair[0].run_id == run_id)
        if visible > self.now:
            raise ServiceFault(FaultKind.NOT_FOUND, "404")
        if self.now < visible + 30:
            return run
        outcome = self.ends[self.runs.index((run, visible)) % len(self.ends)]
        return replace(run, status="ended", phase=Phase.FINISHED, outcome=outcome)


class Worker:
    """Tries until it knows what it started; a crash may strike before or after any step.

    :param crashes: numbers of the moments at which it dies.
    :param away: seconds until the next try begins.
    """

    def __init__(self, service: Service, crashes: frozenset[int], away: float, *, group: bool) -> None:
        self._service, self._crashes, self._away = service, crashes, away
        self._port = Port(group=group)
        self._moments = 0
        self.stored: str | None = None

    # What may be the last thing that a worker does.

    def _moment(self) -> None:
        self._moments += 1
        if self._moments in self._crashes:
            raise Crash

    def _put(self, question):
        self._moment()
        try:
            return self._service.answer(question)
        finally:
            self._moment()

    def _sleep(self, seconds: float) -> None:
        self._moment()
        self._service.now += seconds

    def _record(self) -> Record:
        stored = from_json(None if self.stored is None else json.loads(self.stored))
        return stored or Record(Asked("hook", "conn"), Generation(1))

    def _keep(self, part: Part) -> None:
        self._moment()
        self.stored = json.dumps(to_json(self._record().with_part("run", part)))
        self._moment()

    # The journal.

    def intent(self, intent: Intent) -> None:
        self._keep(Part(None, PartState.SENDING, intent.since, intent.known, until=intent.until))

    def not_sent(self) -> None:
        self._keep(Part())

    def submitted(self, submission: Submission) -> None:
        self._keep(replace(self._part, state=PartState.STARTED, submission=submission))

    def nothing_started(self, reason: str = "") -> None:
        self._keep(Part(reason=reason))

    def unclear(self, reason: str, candidates: tuple[str, ...]) -> None:
        self._keep(replace(self._part, state=PartState.UNCLEAR, candidates=candidates))

    @property
    def _part(self) -> Part:
        return self._record().parts.get("run", Part())

    # The work.

    def run(self, work):
        """Try until a try lives to its end."""
        for _ in range(TRIES):
            try:
                return work()
            except Crash:
                self._service.now += self._away
        raise AssertionError("too many crashes")

    def submit(self):
        part = self._part
        if part.submission is not None:
            return SubmitEnd.SUBMITTED
        if part.state is PartState.UNCLEAR:
            return SubmitEnd.UNCLEAR
        setting = Setting(
            self._port, RunRequest("test", "t"), self, 600.0, lambda: self._service.now, lambda _line: None
        )
        return drive(submit(setting, part.intent if part.unknown else None), self._put, self._sleep).end

    def wait(self):
        flow = await_runs(
            self._port,
            self._record().run_ids,
            Pace(10, 600, START + 7200),
            lambda: self._service.now,
            lambda _line: None,
        )
        return drive(flow, self._put, self._sleep)


SERVICES = st.builds(
    Service,
    posts=st.lists(st.sampled_from(POSTS), max_size=5).flatmap(
        # A service may also be down for long before it takes a request.
        lambda posts: st.integers(0, 12).map(lambda down: ["not sent"] * down + posts)
    ),
    lags=st.lists(st.floats(0, LAG), min_size=1, max_size=4),
    hiccups=st.frozensets(st.integers(1, 12), max_size=4),
    tests=st.sampled_from([("t",), ("t1", "t2"), ("t1", "t2", "t3", "t4", "t5")]),
    ahead=st.sampled_from([0.0, -7200.0, 90_000.0]),
    ends=st.lists(st.sampled_from(Outcome), min_size=1, max_size=3),
)
CRASHES = st.frozensets(st.integers(1, 40), max_size=4)
AWAY = st.sampled_from([0.0, 1.0, 30.0, 58.0, 62.0, 600.0])


@settings(max_examples=600)
@given(service=SERVICES, crashes=CRASHES, away=AWAY)
def test_a_submission_is_accepted_at_most_once(service, crashes, away):
    """For every crash and every lost response; the record has what the service accepted."""
    assert sum(LOOKS) > LAG + 5
    worker = Worker(service, crashes, away, group=len(service.tests) > 1)
    end = worker.run(worker.submit)
    assert len(service.accepted) <= 1
    record = worker._record()
    if end is SubmitEnd.SUBMITTED:
        assert [sorted(record.run_ids)] == [sorted(ids) for ids in service.accepted]
    else:
        assert record.run_ids == ()
    if end in (SubmitEnd.REFUSED, SubmitEnd.UNAVAILABLE, SubmitEnd.DENIED):
        assert service.accepted == []


@settings(max_examples=200)
@given(
    service=SERVICES,
    crashes=st.frozensets(st.integers(1, 90), max_size=5),
    away=AWAY,
    rate=st.sampled_from([0.5, 1.0]),
)
def test_a_pass_is_a_pass(service, crashes, away, rate):
    """Through all crashes: only what the service said to have passed, and all of it."""
    worker = Worker(service, crashes, away, group=len(service.tests) > 1)
    if worker.run(worker.submit) is not SubmitEnd.SUBMITTED:
        return
    waited = worker.run(worker.wait)
    if waited.end is not WaitEnd.FINISHED:
        return
    verdict = QualityGate(min_pass_rate=rate).judge(list(waited.results.values()))
    said = [service.ends[number % len(service.ends)] for number in range(len(service.tests))]
    passed = said.count(Outcome.PASSED)
    if verdict.kind is VerdictKind.PASSED:
        assert passed >= rate * (len(said) - said.count(Outcome.SKIPPED))
        assert passed or (rate < 1 and Outcome.FAILED in said)
    assert waited.results.keys() == set(service.accepted[0])


@pytest.mark.parametrize("away", [0.0, 62.0])
@pytest.mark.parametrize("tests", [("t",), ("t1", "t2")])
@pytest.mark.parametrize("down", [0, 8])
@pytest.mark.parametrize("post", POSTS)
def test_every_single_crash(post, down, tests, away):
    """At each moment there is, one after the other, also after an outage between intent and request."""
    for moment in range(1, 50):
        service = Service(["not sent"] * down + [post], [0.0, LAG], frozenset(), tests, 0.0, [Outcome.PASSED])
        worker = Worker(service, frozenset({moment}), away, group=len(tests) > 1)
        end = worker.run(worker.submit)
        assert len(service.accepted) == (0 if end is SubmitEnd.REFUSED else 1)
