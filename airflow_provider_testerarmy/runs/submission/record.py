"""What a task remembers about its submissions from one try to the next.

The record says what was asked, not only that something was started, so that every later try, the listener and a
killed worker decide from the same facts. It holds plain JSON values only, none of them null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from airflow_provider_testerarmy.runs.results import Outcome, RunId
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation

#: Where a task keeps its record.
KEY: Final = "test_runs"


class Stage(StrEnum):
    """How far a generation has come.

    ``OPEN``: its runs may be active. ``AGAIN``: its round is closed, and a further try starts the next one.
    ``CONCLUDED``: no retry should follow. What comes after it was asked for by a user, unless the worker was lost
    before Airflow knew of the verdict; see :attr:`Record.judged`.
    """

    OPEN = "open"
    AGAIN = "again"
    CONCLUDED = "concluded"


class PartState(StrEnum):
    """How far a submission has come; it only moves forward.

    ``SENDING``: the intent is stored, and nobody knows yet what the request did. ``UNCLEAR``: somebody looked, and
    it cannot be settled. ``REFUSED``: the service did not start it. ``ENDED``: all of its runs have.
    """

    PLANNED = "planned"
    SENDING = "sending"
    UNCLEAR = "unclear"
    REFUSED = "refused"
    STARTED = "started"
    STOPPED = "stopped"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is known before a request is sent; what it starts is found by it.

    :param since: the service's time before the first request.
    :param until: the service's time before the newest request.
    :param known: the newest run ids that the service listed before the first request.
    """

    since: datetime
    until: datetime
    known: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One submission of a round: its own request, and what came of it.

    :param request: without its secrets; None in records of the version before.
    :param since: the service's time before the first request.
    :param until: the service's time before the newest request.
    :param known: the newest run ids that the service listed before the request was sent.
    :param submission: what was accepted.
    :param candidates: runs that may stem from it, where that cannot be settled.
    :param reason: why it was refused, or is unclear.
    """

    request: RunRequest | None = None
    state: PartState = PartState.PLANNED
    since: datetime | None = None
    known: tuple[RunId, ...] = ()
    submission: Submission | None = None
    candidates: tuple[RunId, ...] = ()
    reason: str = ""
    until: datetime | None = None

    @property
    def intent(self) -> Intent | None:
        """What the request's effect is found by; None where none was sent."""
        return None if self.since is None else Intent(self.since, self.until or self.since, self.known)

    @property
    def unknown(self) -> bool:
        """Whether it may have started something that nobody knows the id of."""
        return self.state in (PartState.SENDING, PartState.UNCLEAR)

    @property
    def active(self) -> bool:
        """Whether it started runs that nobody has stopped."""
        return self.state is PartState.STARTED

    @property
    def settled(self) -> bool:
        """Whether there is nothing to look for and nothing to stop."""
        return not self.unknown and not self.active


@dataclass(frozen=True, slots=True)
class Entry:
    """What a test came to in one round.

    :param blocks: whether it alone keeps the gate from passing.
    """

    test_id: str
    run_id: RunId
    outcome: Outcome
    blocks: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What was asked in one generation, and what came of it.

    :param parts: the submissions of this round, by name.
    :param deadline: the absolute time (seconds since the epoch) at which waiting ends, None for never.
    :param rounds: the rounds before this one; they are appended and never rewritten.
    :param again: the tests that this round runs, empty when it runs everything.
    :param carried: runs of earlier rounds that still count.
    :param cancels: whether a killed task takes its runs along.
    :param leftovers: parts of earlier generations that are not settled.
    """

    asked: Asked
    generation: Generation
    parts: Mapping[str, Part] = field(default_factory=dict)
    stage: Stage = Stage.OPEN
    deadline: float | None = None
    rounds: tuple[tuple[Entry, ...], ...] = ()
    again: tuple[str, ...] = ()
    carried: tuple[RunId, ...] = ()
    cancels: bool = True
    leftovers: tuple[Part, ...] = ()

    def with_part(self, name: str, part: Part) -> Record:
        """The record with one submission changed."""
        return replace(self, parts={**self.parts, name: part})

    @property
    def submissions(self) -> tuple[Submission, ...]:
        """What this round is known to have started."""
        return tuple(part.submission for part in self.parts.values() if part.submission)

    @property
    def run_ids(self) -> tuple[RunId, ...]:
        """Every run that this round is known to have started."""
        return tuple(run_id for submission in self.submissions for run_id in submission.run_ids)

    @property
    def unsettled(self) -> tuple[Part, ...]:
        """Every part that is or may be active, of earlier generations too."""
        return tuple(part for part in (*self.leftovers, *self.parts.values()) if not part.settled)

    @property
    def judged(self) -> bool:
        """Whether it ended by a verdict on finished runs, and not by a kill."""
        ended = all(part.state is PartState.ENDED for part in self.parts.values())
        return self.stage is Stage.CONCLUDED and bool(self.parts) and ended

    @property
    def unknown(self) -> bool:
        """Whether a part of this round may have started something that nobody knows the id of."""
        return any(part.unknown for part in self.parts.values())

    @property
    def all_run_ids(self) -> tuple[RunId, ...]:
        """Every run id in it: of all rounds, and of what earlier generations left."""
        left = [part.submission.run_ids for part in self.leftovers if part.submission]
        before = [entry.run_id for entries in self.rounds for entry in entries]
        return tuple(dict.fromkeys([*self.run_ids, *before, *(one for ids in left for one in ids)]))


class RecordUnreadable(Exception):
    """A stored record that this version does not understand.

    :param run_ids: the runs that it names as far as that can be told.
    """

    def __init__(self, message: str, run_ids: tuple[RunId, ...] = ()) -> None:
        super().__init__(message)
        self.run_ids = run_ids
