"""A bisecting search in a record: the nights between, and what the runs of its rounds have shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_provider_testerarmy.runs.results import Deployment, Outcome, RunId


@dataclass(frozen=True, slots=True)
class Span:
    """Where the cause of a test's failure lies.

    :param good, bad: the last good and the first bad night, as indexes of the search's nights.
    """

    test_id: str
    good: int
    bad: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A run of a test at a night's address.

    :param night: the index of the night.
    :param run_id: an empty text if the service started no run of the test.
    :param shows: what it shows, in the words of the search.
    """

    test_id: str
    night: int
    run_id: RunId
    outcome: Outcome
    shows: str


@dataclass(frozen=True, slots=True)
class Search:
    """A search in a record.

    :param nights: the oldest first.
    :param trials: of the rounds that have ended, in their order.
    :param night: the index of the night that the current round tests.
    :param tests: the tests of the current round.
    :param why_not: why the search ended before it had a result; empty if it did not.
    """

    nights: tuple[Deployment, ...] = ()
    spans: tuple[Span, ...] = ()
    trials: tuple[Trial, ...] = ()
    night: int = 0
    tests: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def deployment(self) -> Deployment:
        """What the current round tests."""
        return self.nights[self.night]

    def places(self, span: Span) -> tuple[int, ...]:
        """The last good night, the nights after it that can be tested, and the first bad night, as indexes."""
        between = (number for number in range(span.good + 1, span.bad) if self.nights[number].usable)
        return (span.good, *between, span.bad)

    def trials_of(self, test_id: str) -> tuple[Trial, ...]:
        """The trials of a test."""
        return tuple(trial for trial in self.trials if trial.test_id == test_id)


def search_of(broken: Mapping[str, tuple[Deployment, ...]]) -> Search:
    """A search that has not begun.

    :param broken: the nights of each test, from its last good to its first bad one.
    """
    nights = tuple(sorted({night for found in broken.values() for night in found}, key=_place))
    spans = tuple(
        Span(test_id, nights.index(found[0]), nights.index(found[-1])) for test_id, found in broken.items()
    )
    return Search(nights, spans)


def stopped(search: Search, why: str) -> Search:
    """The search without a further round."""
    return replace(search, tests=(), why_not=why)


def to_json(search: Search) -> dict[str, Any]:
    """The search as JSON values without null: Airflow's task state store refuses tuples and enumerations too."""
    return {
        "nights": [asdict(night) for night in search.nights],
        "spans": [asdict(span) for span in search.spans],
        "trials": [{**asdict(trial), "outcome": str(trial.outcome)} for trial in search.trials],
        "night": search.night,
        "tests": list(search.tests),
        "why_not": search.why_not,
    }


def from_json(data: Mapping[str, Any]) -> Search:
    """The inverse of :func:`to_json`. A newer version may write further fields.

    :raises KeyError, TypeError, ValueError: for any other data.
    """
    nights = tuple(
        Deployment(int(one["at"]), str(one["commit"]), str(one["address"]), bool(one["usable"]))
        for one in data["nights"]
    )
    spans = tuple(Span(str(one["test_id"]), int(one["good"]), int(one["bad"])) for one in data["spans"])
    trials = tuple(
        Trial(
            str(one["test_id"]),
            int(one["night"]),
            one["run_id"],
            Outcome(one["outcome"]),
            str(one["shows"]),
        )
        for one in data["trials"]
    )
    ends = (number for span in spans for number in (span.good, span.bad))
    numbers = [int(data["night"]), *ends, *(trial.night for trial in trials)]
    if not all(0 <= number < len(nights) for number in numbers):
        raise ValueError("a search names a night that it does not have")
    return Search(nights, spans, trials, numbers[0], tuple(map(str, data["tests"])), str(data["why_not"]))


def _place(night: Deployment) -> tuple[int, str, str]:
    return night.at, night.commit, night.address
