"""What a task remembers about its submissions from one try to the next, and what a new try makes of it.

A *generation* is what tells a retry from a user's *clear*: the same generation reconnects, another one means
that a new run is wanted. A record holds plain JSON values only, none of them null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import Submission

VERSION: Final = 1
#: Where a task keeps its record.
KEY: Final = "test_runs"


class Stage(StrEnum):
    """How far a generation has come.

    ``OPEN``: its runs may be active. ``FINISHED``: they were judged for good. ``AGAIN``: they were judged or
    given up, and a further try is to start new ones.
    """

    OPEN = "open"
    FINISHED = "finished"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Part:
    """One submission: the intent, and what came of it once that is known.

    :param since: the service's time of the intent, None once nothing can have been started by it.
    """

    since: datetime | None = None
    submission: Submission | None = None

    @property
    def lost(self) -> bool:
        """Whether it may have started something that nobody knows the id of."""
        return self.since is not None and self.submission is None


@dataclass(frozen=True, slots=True)
class Owner:
    """Who can stop the runs when the task itself no longer can.

    :param hook: the import path of the vendor's hook class.
    :param conn_id: the Airflow connection.
    :param cancels: whether a killed task is to take its runs along.
    """

    hook: str
    conn_id: str
    cancels: bool


@dataclass(frozen=True, slots=True)
class Record:
    """The submissions of one generation.

    :param parts: by the submission's name, see :func:`airflow_provider_testerarmy.runs.submission.rounds.planned`.
    :param stage: whether its runs have been judged, and what a further try is to make of that.
    :param deadline: the absolute time (seconds since the epoch) at which waiting ends, None for never.
    :param round: 0, and one more with each retry after a verdict.
    :param failed: the tests that did not pass in the round that was judged last.
    :param again: the tests that are run one by one in this round, empty when all are run as at first.
    :param passed: ids of runs of earlier rounds that passed and still count.
    """

    generation: int
    parts: Mapping[str, Part] = field(default_factory=dict)
    stage: Stage = Stage.OPEN
    deadline: float | None = None
    round: int = 0
    failed: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    passed: tuple[RunId, ...] = ()
    owner: Owner | None = None

    def with_part(self, name: str, part: Part) -> Record:
        """The record with one submission changed."""
        return replace(self, parts={**self.parts, name: part})

    @property
    def submissions(self) -> tuple[Submission, ...]:
        """What is known to have been accepted."""
        return tuple(part.submission for part in self.parts.values() if part.submission)

    @property
    def run_ids(self) -> tuple[RunId, ...]:
        """Every run that is known to have been started."""
        return tuple(run_id for submission in self.submissions for run_id in submission.run_ids)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, none of them null."""
        data = {
            "version": VERSION,
            "generation": self.generation,
            "parts": {name: _part_to_json(part) for name, part in self.parts.items()},
            "stage": str(self.stage),
            "round": self.round,
            "failed": list(self.failed),
            "again": list(self.again),
            "passed": list(self.passed),
        }
        if self.deadline is not None:
            data["deadline"] = self.deadline
        if self.owner is not None:
            data["owner"] = asdict(self.owner)
        return data

    @classmethod
    def from_json(cls, data: object) -> Record | None:
        """The record that :meth:`to_json` wrote; None for nothing.

        :raises RecordUnreadable: for anything else. It may name a run that is active, so it is not ignored.
        """
        if data is None:
            return None
        if not isinstance(data, Mapping) or data.get("version") != VERSION:
            raise RecordUnreadable("it was written by another version of this package")
        try:
            return cls(
                int(data["generation"]),
                {str(name): _part_from_json(part) for name, part in data["parts"].items()},
                Stage(data["stage"]),
                data.get("deadline"),
                int(data["round"]),
                tuple(data["failed"]),
                tuple(data["again"]),
                tuple(data["passed"]),
                Owner(**data["owner"]) if "owner" in data else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordUnreadable(f"{type(error).__name__}: {error}") from error


class RecordUnreadable(Exception):
    """A stored record that this version does not understand."""


def _part_to_json(part: Part) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if part.since is not None:
        data["since"] = part.since.isoformat()
    if part.submission is not None:
        data["submission"] = part.submission.to_json()
    return data


def _part_from_json(data: Mapping[str, Any]) -> Part:
    since, submission = data.get("since"), data.get("submission")
    return Part(
        datetime.fromisoformat(since) if since else None,
        Submission.from_json(submission) if submission else None,
    )


class Start(StrEnum):
    """How a try begins."""

    FRESH = "fresh"
    RECONNECT = "reconnect"
    REPLACE = "replace"
    AGAIN = "again"


def how_to_start(record: Record | None, generation: int) -> Start:
    """What a try makes of what is remembered.

    * nothing remembered: submit.
    * the same generation, open or finished: an earlier try was lost, so reconnect to what it submitted. Runs
      that have finished meanwhile are judged; nothing is submitted a second time.
    * the same generation, to be done again: the verdict was to be retried, so submit again.
    * another generation: the user cleared the task, so stop the old runs and submit.
    """
    if record is None:
        return Start.FRESH
    if record.generation != generation:
        return Start.REPLACE
    return Start.AGAIN if record.stage is Stage.AGAIN else Start.RECONNECT
