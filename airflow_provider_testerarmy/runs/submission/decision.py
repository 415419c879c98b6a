"""The one decision about an attempt: what to do with what a record says was started.

It replaces guesses in the places where a try begins, ends, is killed or is found dead. It is pure: its inputs are
the record, what the task asks for now, and how a try ends. ``docs/reliability.md`` shows it as a table that is
generated from :func:`table`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record, Stage


class Action(StrEnum):
    """What to do with the runs of a record.

    ``KEEP``: they are this task's, so reconnect, or leave them to the next try. ``LOOK``: find out first what a
    request without an answer has started. ``STOP``: stop what is active, and look first where that is unknown.
    ``REPLACE``: stop it, then submit what is asked for now. ``IGNORE``: they are not this task's, so touch nothing
    and submit as if there were no record.
    """

    KEEP = "keep"
    LOOK = "look"
    STOP = "stop"
    REPLACE = "replace"
    IGNORE = "ignore"


class Ending(StrEnum):
    """Why a try ends."""

    VERDICT = "a final verdict"
    RETRY = "a verdict to retry"
    REFUSED = "a refused request"
    UNCLEAR = "an unclear submission"
    OUTAGE = "an outage"
    DEADLINE = "the deadline"
    EXECUTION_TIMEOUT = "execution_timeout"
    KILLED = "a user"
    TAKEN_AWAY = "a lost worker"
    TRIGGER_LOST = "a lost trigger"
    ERROR = "an error of the task"


#: Endings after which nobody wants the runs of this round any more, whether or not another try follows.
_STOPS: Final = frozenset({Ending.KILLED, Ending.DEADLINE, Ending.EXECUTION_TIMEOUT})


def decide(
    record: Record | None,
    asked: Asked,
    generation: Generation,
    ending: Ending | None = None,
    *,
    follows: bool = False,
    believed: bool = True,
) -> Action:
    """What to do with the runs of a record.

    :param record: what earlier tries, or this one, have started; None for nothing.
    :param asked: what the task wants now.
    :param generation: of this try.
    :param ending: how this try ends; None when it begins.
    :param follows: whether another try of this generation will come and find the record.
    :param believed: whether the record is known to be this task's.
    """
    if record is None:
        return Action.REPLACE
    if not believed:
        return Action.IGNORE
    if ending is not None:
        kept = follows and ending not in _STOPS
        return Action.KEEP if kept else Action.STOP
    another = not record.asked.same_runs(asked) or not record.generation.same(generation)
    # A worker can be lost after the verdict and before Airflow knows of it. The retry then judges the same runs.
    lost_with_verdict = record.judged and record.generation.surely_same(generation)
    if another or (record.stage is Stage.CONCLUDED and not lost_with_verdict):
        return Action.REPLACE
    return Action.LOOK if record.unknown else Action.KEEP


@dataclass(frozen=True, slots=True)
class Row:
    """One combination of inputs, in words, and the action."""

    record: str
    asked: str
    generation: str
    ending: str
    follows: str
    action: Action


_ASKED: Final = Asked("hook", "conn", "test", "t", "body")
_GENERATION: Final = Generation(2, 2, 0)
_STARTED: Final = Part(RunRequest("test", "t"), PartState.STARTED, submission=Submission(("run",)))
_ENDED: Final = Part(RunRequest("test", "t"), PartState.ENDED, submission=Submission(("run",)))
_SENDING: Final = Part(RunRequest("test", "t"), PartState.SENDING)

_RECORDS: Final = {
    "active or ended": (_STARTED, Stage.OPEN),
    "of unknown effect": (_SENDING, Stage.OPEN),
    "to run again": (_STARTED, Stage.AGAIN),
    "judged": (_ENDED, Stage.CONCLUDED),
    "concluded": (_STARTED, Stage.CONCLUDED),
}
_WANTED: Final = {
    "same": _ASKED,
    "another target": Asked("hook", "conn", "test", "u", "body"),
    "another connection": Asked("hook", "other", "test", "t", "body"),
    "another body": Asked("hook", "conn", "test", "t", "changed"),
}
_GENERATIONS: Final = {
    "same": _GENERATION,
    "another max_tries": Generation(3, 2, 0),
    "another retries": Generation(2, 1, 0),
    "another clear_number": Generation(2, 2, 1),
}


def table() -> Iterator[Row]:
    """Every combination of inputs with its action."""
    yield Row("none", "any", "any", "begins", "", decide(None, _ASKED, _GENERATION))
    for (record, (part, stage)), (asked, wanted), (generation, number) in product(
        _RECORDS.items(), _WANTED.items(), _GENERATIONS.items()
    ):
        stored = Record(_ASKED, _GENERATION, {"run": part}, stage)
        yield Row(record, asked, generation, "begins", "", decide(stored, wanted, number))
    stored = Record(_ASKED, _GENERATION, {"run": _STARTED})
    foreign = decide(stored, _ASKED, _GENERATION, believed=False)
    yield Row("not this task's", "any", "any", "begins or ends", "", foreign)
    for ending, follows in product(Ending, (True, False)):
        action = decide(stored, _ASKED, _GENERATION, ending, follows=follows)
        yield Row("any", "any", "any", str(ending), "yes" if follows else "no", action)
