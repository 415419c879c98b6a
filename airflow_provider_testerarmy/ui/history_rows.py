"""One test task in few bytes: what the history's figures, filters and lists of tests need of it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from airflow_provider_testerarmy.reports.text import is_valid_time, line
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.ui.payloads import stamp, verdict_and_times
from airflow_provider_testerarmy.ui.run_ownership import rejected_keys
from airflow_provider_testerarmy.ui.store import StoredTask

#: Outcomes that count in a pass rate.
JUDGED: Final = ("passed", "failed", "errored")
#: The most tests and issues of one task; a summary of this provider has at most 60 and 20.
MAX_TESTS: Final = 200
MAX_ISSUES: Final = 20
_KINDS: Final = tuple(dict.fromkeys((*map(str, Outcome), "rejected")))
_UNKNOWN_TIME: Final = -1.0
#: Titles and issues repeat from night to night, so most are cleaned once.
_line = lru_cache(maxsize=50_000)(line)


@dataclass(frozen=True, slots=True, eq=False)
class NameOfTest:
    """A test's key (its id, or its title where it has none) and title. Equal names are one object."""

    key: str
    title: str


class Place(NamedTuple):
    """Where a test runs. Flakiness is counted per place: a test that fails only in production is not flaky."""

    dag_id: str
    task_id: str
    map_index: int
    group: str
    environment: str


class Names:
    """The names of all tests and places in an index, each once."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], NameOfTest] = {}
        self._places: dict[Place, Place] = {}
        self._lists: dict[tuple[NameOfTest, ...], tuple[NameOfTest, ...]] = {}

    def place(self, place: Place) -> Place:
        """The one object for this place."""
        return self._places.setdefault(place, place)

    def of(self, key: str, title: str) -> NameOfTest:
        """The one object for this name."""
        known = self._names.get((key, title))
        if known is None:
            known = self._names[(key, title)] = NameOfTest(key, title)
        return known

    def all_of(self, names: tuple[NameOfTest, ...]) -> tuple[NameOfTest, ...]:
        """The one object for this list of names: a task runs the same tests night after night."""
        return self._lists.setdefault(names, names)


class Result(NamedTuple):
    """One result of a test in one task; `seconds` is None if unknown."""

    name: NameOfTest
    outcome: str
    flaky: bool
    seconds: float | None


class FoundIssue(NamedTuple):
    """An issue of a task; `name` is None if the summary does not list the test."""

    name: NameOfTest | None
    text: str


#: Sorts the newest first; the rest makes it unique, so a page can start after any row.
Order = tuple[float, str, str, str, int]


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A task. `seconds` is None if unknown, `when` in seconds since the epoch.

    :param unread: whether an XCom backend stores the results elsewhere and they have not been read.
    """

    order: Order
    verdict: str
    place: Place
    label: str
    title: str
    address: str
    commit: str
    passed: int
    judged: int
    seconds: float | None
    names: tuple[NameOfTest, ...]
    outcomes: bytes
    times: array[float]
    issues: tuple[FoundIssue, ...]
    unread: bool

    @property
    def when(self) -> float:
        """When the task started; 0 if it is unknown."""
        return -self.order[0]

    @property
    def dag_id(self) -> str:
        """The task's DAG."""
        return self.order[1]

    @property
    def group(self) -> str:
        """The key of the test or group that the task ran."""
        return self.place.group

    def results(self) -> Iterator[Result]:
        """The tests' results, those that did not pass first."""
        for name, code, seconds in zip(self.names, self.outcomes, self.times, strict=True):
            kind, flaky = divmod(code, 2)
            yield Result(name, _KINDS[kind], bool(flaky), None if seconds < 0 else round(seconds, 1))

    def results_of(self, key: str) -> list[Result]:
        """The results of one test."""
        return [result for result in self.results() if result.name.key == key] if self.ran(key) else []

    def ran(self, key: str) -> bool:
        """Whether the task ran this test."""
        return any(name.key == key for name in self.names)


def row_of(task: StoredTask, names: Names) -> HistoryRow:
    """The task's row.

    :param names: the names of the index that the row belongs to.
    """
    note, summary = task.note, task.summary
    rejected = rejected_keys(task)
    verdict, counts, seconds = verdict_and_times(summary, rejected)
    label, title = _text(note.get("label"), 200), _text(note.get("title"), 120)
    tests = [test for test in _dicts(summary.get("tests"), MAX_TESTS) if _key(test)]
    named = tuple(_name(test, names) for test in tests)
    issues = _dicts(summary.get("issues"), MAX_ISSUES)
    by_run = (
        {str(test.get("run_id")): name for test, name in zip(tests, named, strict=True)} if issues else {}
    )
    return HistoryRow(
        (-(stamp(task.started) or 0.0), task.dag_id, task.run_id, task.task_id, task.map_index),
        verdict,
        names.place(
            Place(
                task.dag_id,
                task.task_id,
                task.map_index,
                label or f"{task.dag_id}.{task.task_id}",
                _text(note.get("environment"), 200),
            )
        ),
        label,
        title or label or task.task_id,
        _text(note.get("address"), 200),
        _text(note.get("commit"), 64),
        counts.get("passed", 0),
        sum(counts.get(kind, 0) for kind in JUDGED),
        seconds,
        names.all_of(named),
        bytes(_code(test, rejected) for test in tests),
        array("f", map(_seconds, tests)),
        tuple(
            FoundIssue(by_run.get(str(issue.get("run_id"))), _text(issue.get("name"), 200))
            for issue in issues
        ),
        any(isinstance(value, str) for value in task.xcoms.values()),
    )


def _name(test: dict[str, Any], names: Names) -> NameOfTest:
    key = _key(test)
    return names.of(key, _text(test.get("title"), 160) or key)


def _key(test: dict[str, Any]) -> str:
    return _text(test.get("test_id"), 200) or _text(test.get("title"), 160)


def _code(test: dict[str, Any], rejected: frozenset[str]) -> int:
    outcome = test.get("outcome")
    if outcome == "cancelled" and rejected and _text(test.get("run_id"), 200) in rejected:
        outcome = "rejected"
    kind = outcome if isinstance(outcome, str) and outcome in _KINDS else "unknown"
    return 2 * _KINDS.index(kind) + (test.get("flaky") is True)


def _seconds(test: dict[str, Any]) -> float:
    seconds = test.get("seconds")
    fits = isinstance(seconds, int | float) and not isinstance(seconds, bool) and is_valid_time(seconds)
    return float(seconds) if fits and seconds is not None else _UNKNOWN_TIME


def _text(value: Any, limit: int) -> str:
    if isinstance(value, str):
        return _line(value, limit) if value else ""
    return "" if value is None else line(value, limit)


def _dicts(value: Any, most: int) -> Sequence[dict[str, Any]]:
    return [each for each in value[:most] if isinstance(each, dict)] if isinstance(value, list) else ()
