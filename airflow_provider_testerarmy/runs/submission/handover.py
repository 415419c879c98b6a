"""The hand-over of runs: from the task that started a group to one task for each of its tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from airflow_provider_testerarmy.runs.flow import Flow, ask, ask_together
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, RunService, Scope, ServiceFault, Submission
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.rounds import WHOLE
from airflow_provider_testerarmy.runs.text import one_line

#: The key of the XCom with the hand-over.
KEY: Final = "group_tests"
#: Seconds after the start in which a task without a record takes the runs. Airflow keeps records longer. So a task
#: may have taken the runs of an older start before, and starts runs of its own.
OFFERED_FOR: Final = 7 * 24 * 3600.0
#: The most runs that are read from the service at the same time.
_WIDTH: Final = 8
#: The most pages of a list that are read for a hundred runs, because other runs may have started meanwhile.
_PAGES: Final = 3


@dataclass(frozen=True, slots=True)
class HandedTest:
    """A test of a started group.

    :param test_id: empty for a run of which the service names no test.
    :param title: the title of the test, empty if it is unknown.
    :param rejected_run_ids: those of ``run_ids`` that the service rejected immediately.
    """

    test_id: str
    title: str
    run_ids: tuple[RunId, ...]
    rejected_run_ids: tuple[RunId, ...] = ()

    @property
    def name(self) -> str:
        """How messages name the test."""
        return f"{self.title} ({self.test_id})" if self.title else self.test_id or "a run without a test"

    @property
    def submission(self) -> Submission:
        """The runs as a submission. It has no batch, because cancelling it must not cancel other tests."""
        return Submission(self.run_ids, self.rejected_run_ids)


@dataclass(frozen=True, slots=True)
class Handover:
    """What a task has started for others.

    :param at: when, in seconds since the epoch.
    """

    at: float
    tests: tuple[HandedTest, ...]

    def of(self, test_id: str) -> Submission | None:
        """The runs of one test, None if the group did not run it."""
        return next((one.submission for one in self.tests if one.test_id == test_id), None)

    def others(self, test_ids: Collection[str]) -> tuple[HandedTest, ...]:
        """The tests that are not among these."""
        return tuple(one for one in self.tests if one.test_id not in test_ids)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        tests = [
            {
                "test_id": one.test_id,
                "title": one.title,
                "run_ids": list(one.run_ids),
                "rejected_run_ids": list(one.rejected_run_ids),
            }
            for one in self.tests
        ]
        return {"version": 1, "at": self.at, "tests": tests}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Handover:
        """Convert back from the result of :meth:`to_json`.

        :raises KeyError, TypeError, ValueError: for any other data. Users can edit XComs.
        """
        if data["version"] != 1:
            raise ValueError(f"version {data['version']!r}")
        return cls(
            float(data["at"]),
            tuple(
                HandedTest(
                    str(one["test_id"]),
                    str(one["title"]),
                    tuple(one["run_ids"]),
                    tuple(one["rejected_run_ids"]),
                )
                for one in data["tests"]
            ),
        )


def handover_of(
    submission: Submission, runs: Mapping[RunId, RunResult], titles: Mapping[str, str], at: float
) -> Handover:
    """The hand-over of a submission.

    :param runs: what the service says of its runs.
    :param titles: the titles of tests, as far as they are known.
    :param at: when it was submitted, in seconds since the epoch.
    """
    by_test: dict[str, list[RunId]] = {}
    for run_id in submission.run_ids:
        by_test.setdefault(runs[run_id].test_id, []).append(run_id)
    rejected = frozenset(submission.rejected_run_ids)
    return Handover(
        at,
        tuple(
            HandedTest(
                test_id,
                one_line(titles.get(test_id, ""), 200),
                tuple(run_ids),
                tuple(run_id for run_id in run_ids if run_id in rejected),
            )
            for test_id, run_ids in by_test.items()
        ),
    )


def read_runs(
    service: RunService, request: RunRequest, run_ids: Sequence[RunId]
) -> Flow[dict[RunId, RunResult]]:
    """Read runs that a request has just started: from the list of the newest ones, and the others one by one.

    :raises ServiceFault: if a run cannot be read.
    """
    wanted, found, cursor = frozenset(run_ids), dict[RunId, RunResult](), ""
    for _ in range(_PAGES * (1 + len(wanted) // 100)):
        try:
            page = (yield from ask(service.list_candidates(request, Scope(), cursor))).value
        except ServiceFault:
            # The list is only the cheaper way.
            break
        found |= {one.run.run_id: one.run for one in page.listed_runs if one.run.run_id in wanted}
        if len(found) == len(wanted) or not page.next_cursor or page.next_cursor == cursor:
            break
        cursor = page.next_cursor
    # A list may show a new run late.
    missing = [run_id for run_id in run_ids if run_id not in found or not found[run_id].test_id]
    for at in range(0, len(missing), _WIDTH):
        some = missing[at : at + _WIDTH]
        replies = yield from ask_together([service.fetch(run_id) for run_id in some])
        for run_id, reply in zip(some, replies, strict=True):
            if isinstance(reply, ServiceFault):
                raise reply
            found[run_id] = reply.value
    return found


def taken(record: Record, submission: Submission, request: RunRequest) -> Record:
    """The first record of a task that waits for runs which another task has started for it."""
    part = Part(request, PartState.STARTED, submission=submission)
    return replace(record.with_part(WHOLE, part), taken=submission.run_ids)
