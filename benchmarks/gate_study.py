"""`make gate-study`: quarters of nights on a fake clock, judged by several gates; writes docs/gate-study.md.

Every gate sees the same tests, flakes and breakages: chance is drawn from the seed, the night and the test alone.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyService
from airflow_provider_testerarmy.runs.memory.folding import fold
from airflow_provider_testerarmy.runs.memory.judge import Judged, Standing, judge
from airflow_provider_testerarmy.runs.memory.model import Memory, Night, NightRef
from airflow_provider_testerarmy.runs.memory.quarantine import NEARING
from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.confirming import Rule, confirming_round, plan, settled
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.rounds import WHOLE
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, VerdictKind

DAY: Final = 86_400
START: Final = 20_454 * DAY
NIGHTS: Final = 90
TESTS: Final = 200
#: Google's figures (2016): the share of tests with some flakiness, and of runs that report a flaky result.
FLAKY_TESTS: Final = 0.16
FLAKY_RUNS: Final = 0.015
#: No test is left in a suite that flakes more often than this.
FLAKIEST: Final = 0.5
BREAKAGES: Final = 12
#: Nights from the first red night of a breakage to its repair; one in five is not fixed within `known_for`.
REPAIRS: Final = (1, 2, 3, 4, 12)
QUARTERS: Final = 20
STEPS: Final = ("Open", "Sign in", "Search", "Add to cart", "Pay")


@dataclass(frozen=True)
class Policy:
    """How a night is judged."""

    name: str
    gate: QualityGate


RULE: Final = {"after_transitions": 4, "of": 10, "for": "14d"}
CONFIRM: Final = {"times": 2, "of": 3}
GATES: Final[Mapping[str, Mapping[str, object]]] = {
    "all": {},
    "new": {"fail_on": "new"},
    "new, quarantine": {"fail_on": "new", "quarantine": RULE},
    "new, confirm": {"fail_on": "new", "confirm": CONFIRM},
    "new, confirm, quarantine": {"fail_on": "new", "confirm": CONFIRM, "quarantine": RULE},
}
POLICIES: Final = tuple(Policy(name, QualityGate.of(fields)) for name, fields in GATES.items())


@dataclass
class Breakage:
    """A commit that breaks tests until somebody fixes it.

    :param reported: the first night that was red because of it.
    :param repair: nights from then to its repair.
    """

    night: int
    tests: frozenset[int]
    repair: int
    reported: int | None = None

    def broken(self, night: int) -> bool:
        """Whether it is there on a night. Nobody fixes what was not reported."""
        return night >= self.night and (self.reported is None or night < self.reported + self.repair)


@dataclass(frozen=True)
class Suite:
    """A group's tests, and what chance does to them.

    :param rates: by test, how often it flakes.
    """

    seed: int
    rates: tuple[float, ...]

    @classmethod
    def of(cls, seed: int, *, flaky: bool = True) -> Suite:
        """The suite of a seed. A few tests make most of the flakes: their rates fall exponentially."""
        if not flaky:
            return cls(seed, (0.0,) * TESTS)
        chance = _chance(f"{seed} rates")
        count = round(TESTS * FLAKY_TESTS)
        wanted = FLAKY_RUNS * TESTS / count
        drawn = [chance.expovariate(1) for _ in range(count)]
        rates = [min(FLAKIEST, each * wanted * count / sum(drawn)) for each in drawn]
        return cls(seed, (*rates, *[0.0] * (TESTS - count)))

    def breakages(self) -> list[Breakage]:
        """What is planted: each breaks one to three tests, flaky ones too."""
        chance = _chance(f"{self.seed} breakages")
        nights = sorted(chance.sample(range(5, NIGHTS - 10), BREAKAGES))
        return [
            Breakage(
                night,
                frozenset(chance.sample(range(TESTS), chance.randint(1, 3))),
                REPAIRS[index % len(REPAIRS)],
            )
            for index, night in enumerate(nights)
        ]

    def run(self, test: int, night: int, time: int, breakages: Sequence[Breakage]) -> RunResult:
        """One run of a test; ``time`` counts those of one night."""
        result = RunResult(
            f"{night}-{test}-{time}",
            "completed",
            Phase.FINISHED,
            Outcome.PASSED,
            test_id=f"test-{test}",
            title=f"Test {test}",
        )
        for breakage in breakages:
            if test in breakage.tests and breakage.broken(night):
                return _failed(result, _chance(f"{self.seed} {breakage.night} {test}"))
        chance = _chance(f"{self.seed} {test} {night} {time}") if self.rates[test] else None
        return _failed(result, chance) if chance and chance.random() < self.rates[test] else result


def _chance(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311


def _failed(result: RunResult, chance: random.Random) -> RunResult:
    """The run failed, with the issue that chance gives it: a breakage has the same one every night."""
    issue = Issue("Broken", severity=chance.randint(2, 5))
    step = Step(chance.choice(STEPS), passed=False)
    return replace(result, outcome=Outcome.FAILED, issues=(issue,), steps=(step,))


@dataclass
class Quarter:
    """What came of one suite under one policy.

    :param nights: a letter each: ``r`` red and reports a breakage for the first time, or again; ``k`` red
        only for what an earlier night has reported; ``f`` red for a flake alone; ``.`` not red.
    :param delays: nights until each breakage that was reported.
    :param extra: runs beyond one per test and night.
    :param extended: quarantines that a person extended when the gate reminded of their end.
    """

    nights: str = ""
    delays: list[int] = field(default_factory=list)
    missed: int = 0
    extra: int = 0
    extended: int = 0


def quarter(suite: Suite, policy: Policy) -> Quarter:
    """Ninety nights."""
    found, breakages, memory = Quarter(), suite.breakages(), Memory()
    for night in range(NIGHTS):
        ref = NightRef.of(f"night-{night}", START + night * DAY, f"{night:07x}")
        results = [suite.run(test, night, 0, breakages) for test in range(TESTS)]
        judged = judge(policy.gate, results, memory, ref)
        if policy.gate.confirm:
            results, extra = confirmed(suite, night, policy.gate, results, judged, breakages)
            found.extra += extra
            judged = judge(policy.gate, results, memory, ref)
        found.nights += _night(night, judged, breakages)
        memory = fold(memory, judged.night)
        extended = _extended(memory, ref)
        found.extended += len(extended.quarantines)
        memory = fold(memory, extended)
    found.delays = [each.reported - each.night for each in breakages if each.reported is not None]
    found.missed = sum(each.reported is None for each in breakages)
    return found


def confirmed(
    suite: Suite,
    night: int,
    gate: QualityGate,
    results: Sequence[RunResult],
    judged: Judged,
    breakages: Sequence[Breakage],
) -> tuple[list[RunResult], int]:
    """The results after the gate's confirming rounds, and how many runs these took.

    The provider plans the rounds and settles the results; here are only the runs that the service would start.
    """
    assert gate.confirm is not None  # noqa: S101
    fields = gate.confirm
    rule = Rule(fields.times, fields.of, fields.unless_failing, fields.max_reruns, gate.blocks)
    counted = {one.test_id for one in judged.findings if one.judged}
    service, request = TesterArmyService(), RunRequest("group", "shop")
    record = Record(Asked("", ""), Generation(0), {WHOLE: _ended(Part(request), results)})
    runs = list(results)
    while tests := plan(runs, record, rule, counted).tests:
        planned = confirming_round(service, request, record, runs, tests, rule)
        assert planned is not None  # noqa: S101
        record = planned
        for name, part in planned.parts.items():
            assert part.request is not None  # noqa: S101
            again = suite.run(_number(part.request.target), night, len(record.confirming), breakages)
            record = record.with_part(name, _ended(part, [again]))
            runs.append(again)
    return settled(runs, record, rule), len(runs) - len(results)


def _ended(part: Part, results: Sequence[RunResult]) -> Part:
    return replace(part, state=PartState.ENDED, submission=Submission(tuple(run.run_id for run in results)))


def _night(night: int, judged: Judged, breakages: Sequence[Breakage]) -> str:
    if judged.verdict.kind is not VerdictKind.FAILED:
        return "."
    said = {_number(one.test_id): one.standing for one in judged.findings if one.judged}
    there = [each for each in breakages if each.broken(night) and each.tests & said.keys()]
    new = [each for each in there if each.reported is None]
    for each in new:
        each.reported = night
    broken = {test for each in there for test in each.tests}
    if new or any(said.get(test) in (Standing.CHANGED, Standing.OVERDUE) for test in broken):
        return "r"
    return "k" if said.keys() <= broken else "f"


def _number(test_id: str) -> int:
    return int(test_id.rpartition("-")[2])


def _extended(memory: Memory, ref: NightRef) -> Night:
    """The note of a person who extends every quarantine of whose end the gate has reminded."""
    nearing = {
        test_id: replace(test.quarantine, since=ref.at, until=ref.at + 14 * DAY)
        for test_id, test in memory.tests.items()
        if test.quarantine and not test.quarantine.lifted and test.quarantine.until - ref.at <= NEARING
    }
    return Night(NightRef.of(f"{ref.key} note", ref.at), {}, nearing)


def study(quarters: int = QUARTERS, *, flaky: bool = True) -> dict[str, list[Quarter]]:
    """Every policy on every suite.

    :param flaky: False for the same suites and breakages without any flake.
    """
    suites = [Suite.of(seed, flaky=flaky) for seed in range(quarters)]
    return {policy.name: [quarter(suite, policy) for suite in suites] for policy in POLICIES}


def main(arguments: Sequence[str]) -> None:
    """Simulate, print the table, and write page and chart."""
    from benchmarks import gate_report

    quarters = int(arguments[0]) if arguments else QUARTERS
    found, steady = study(quarters), study(quarters, flaky=False)
    for line in (*gate_report.table(found), "", "Without flaky tests:", *gate_report.table(steady)):
        print(line)
    if not arguments:
        gate_report.write(found, steady)


if __name__ == "__main__":
    main(sys.argv[1:])
