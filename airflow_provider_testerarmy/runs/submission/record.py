"""The record: what a task stores about its submissions from one try to the next.

It contains what the task asked for, not only what was started. Later tries, a killed worker and the listener can
thus decide from the same facts. It holds JSON values without null, which Airflow's task state store refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from airflow_provider_testerarmy.runs.results import Outcome, RunId
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.answer import Answer
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.search import Search
from airflow_provider_testerarmy.runs.temporary import TemporaryTarget

#: The key of the record in the task state store.
KEY: Final = "test_runs"


class Stage(StrEnum):
    """The stage of a generation.

    ``OPEN``: its runs may be active. ``AGAIN``: its round is closed, and the next try starts another one.
    ``CONCLUDED``: no retry should follow, so a later try comes from a user's clear, or from a worker that was lost
    before it reported how the task ended; see :attr:`Record.judged` and :attr:`Record.unknown`.
    """

    OPEN = "open"
    AGAIN = "again"
    CONCLUDED = "concluded"


class PartState(StrEnum):
    """The state of a part.

    ``PLANNED``: nothing has been started yet, so this or another try sends the request. ``SENDING``: the intent is
    stored, and the effect of the request is unknown. ``UNCLEAR``: the lookup could not determine the effect.
    ``REFUSED``: nothing was started, and nothing will be. ``ENDED``: all of its runs have ended.
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
    """What is known before a request is sent; a later lookup finds the request's runs with it.

    :param since: the service's time before the first request.
    :param until: the service's time before the newest request.
    :param known: the newest run ids that the service listed before the first request.
    """

    since: datetime
    until: datetime
    known: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a submission, and its result.

    :param request: the request without its secrets; None in records of version 1.
    :param since: the service's time before the first request.
    :param until: the service's time before the newest request.
    :param known: the newest run ids that the service listed before the request was sent.
    :param submission: the runs that the service started.
    :param candidates: runs that it may have started, if that is unclear.
    :param reason: why it was refused or is unclear.
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
        """The intent of the request; None if none was sent."""
        return None if self.since is None else Intent(self.since, self.until or self.since, self.known)

    @property
    def unknown(self) -> bool:
        """Whether it may have started runs with unknown ids."""
        # A worker that was killed between the POST and storing the run ids leaves SENDING.
        return self.state in (PartState.SENDING, PartState.UNCLEAR)

    @property
    def active(self) -> bool:
        """Whether it started runs that have not been stopped."""
        return self.state is PartState.STARTED

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to look up or to stop."""
        return not self.unknown and not self.active


@dataclass(frozen=True, slots=True)
class Entry:
    """The result of a test in one round.

    :param blocks: whether the run counts against the gate.
    """

    test_id: str
    run_id: RunId
    outcome: Outcome
    blocks: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What a task asked for in one generation, and the results.

    :param parts: the parts of this round, by name.
    :param deadline: the absolute time (seconds since the epoch) at which waiting ends; None for never.
    :param rounds: the earlier rounds; entries are appended and never changed.
    :param again: the tests that this round runs; empty if it runs everything.
    :param carried: runs of earlier rounds whose results still count.
    :param cancels: whether killing the task cancels its runs.
    :param leftovers: parts of earlier generations that are not settled.
    :param confirming: for each confirming round of this try, the tests whose failures it confirms. The last is this
        round. The others, and the round before them, are the last of ``rounds``.
    :param temporary: a temporary target that has to be deleted at the end of the try.
    :param search: the bisecting search of this try, while it runs and after it.
    :param held: while a search runs, the parts of the round that the verdict judges. All of their runs have ended,
        and ``carried`` has them.
    :param inherited: passed runs from before a clear that runs only what had not passed; see ``rerun.py``.
    :param answers: what people have decided about the rounds of this generation.
    :param chosen: the JSON of what a decorated function has returned, empty for a task without one. A later try
        uses it again, because the function may return something else then.
    :param taken: the runs that another task has started for this task, and that it has taken, in this or an earlier
        generation.
    :param title: the title of the whole target at the service; empty if it is unknown. A try that only reconnects,
        or runs a part of the tests, does not read it.
    :param unstopped: whether the task was stopped, and could not stop its runs. The listener does that then,
        whatever state the task is in.
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
    confirming: tuple[tuple[str, ...], ...] = ()
    temporary: TemporaryTarget | None = None
    search: Search | None = None
    held: Mapping[str, Part] = field(default_factory=dict)

    @property
    def searching(self) -> bool:
        """Whether this round is one of a bisecting search."""
        return bool(self.held)

    @property
    def base(self) -> Record:
        """The record as the verdict needs it, without the round of a search."""
        if not self.held:
            return self
        before = replace(self, parts=self.held, held={})
        own = frozenset(before.run_ids)
        return replace(before, carried=tuple(run_id for run_id in self.carried if run_id not in own))

    inherited: tuple[RunId, ...] = ()
    answers: tuple[Answer, ...] = ()
    chosen: str = ""
    taken: tuple[RunId, ...] = ()
    title: str = ""
    unstopped: bool = False

    @property
    def answer(self) -> Answer | None:
        """What a person has decided about this round; None if nobody has."""
        last = self.answers[-1] if self.answers else None
        return last if last is not None and last.rounds == len(self.rounds) else None

    def with_part(self, name: str, part: Part) -> Record:
        """A copy of the record with one part replaced."""
        return replace(self, parts={**self.parts, name: part})

    @property
    def submissions(self) -> tuple[Submission, ...]:
        """The known submissions of this round."""
        return tuple(part.submission for part in self.parts.values() if part.submission)

    @property
    def run_ids(self) -> tuple[RunId, ...]:
        """The known runs of this round."""
        return tuple(run_id for submission in self.submissions for run_id in submission.run_ids)

    @property
    def unsettled(self) -> tuple[Part, ...]:
        """All parts that are or may be active, including those of earlier generations."""
        return tuple(part for part in (*self.leftovers, *self.parts.values()) if not part.settled)

    @property
    def temporary_may_run(self) -> bool:
        """Whether a later lookup may still find runs in the temporary target, from a request without a response."""
        waiting = [part.request for part in self.unsettled if part.state is PartState.SENDING]
        target = self.temporary.target if self.temporary else None
        return any(request is not None and request.target == target for request in waiting)

    @property
    def to_clean_up(self) -> bool:
        """Whether runs may be active, or a temporary target has to be deleted."""
        return bool(self.unsettled) or self.temporary is not None

    @property
    def judged(self) -> bool:
        """Whether a final verdict on finished runs concluded it, and not a kill."""
        ended = all(part.state is PartState.ENDED for part in self.parts.values())
        return self.stage is Stage.CONCLUDED and bool(self.parts) and ended

    @property
    def unknown(self) -> bool:
        """Whether a part of this round may have started runs with unknown ids."""
        return any(part.unknown for part in self.parts.values())

    @property
    def all_run_ids(self) -> tuple[RunId, ...]:
        """The run ids of all rounds and of unsettled parts of earlier generations."""
        others = (*self.leftovers, *self.held.values())
        left = [part.submission.run_ids for part in others if part.submission]
        before = [entry.run_id for entries in self.rounds for entry in entries]
        tried = [trial.run_id for trial in self.search.trials if trial.run_id != ""] if self.search else []
        return tuple(dict.fromkeys([*self.run_ids, *before, *(one for ids in left for one in ids), *tried]))


class RecordUnreadable(Exception):
    """The stored record has a format that this version does not know.

    :param run_ids: the run ids that could be read from it.
    """

    # During a downgrade or an upgrade, a worker may find a record of a newer version.
    def __init__(self, message: str, run_ids: tuple[RunId, ...] = ()) -> None:
        super().__init__(message)
        self.run_ids = run_ids
