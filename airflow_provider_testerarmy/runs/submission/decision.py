"""The single decision about the runs of a record: reconnect, look them up, stop them, replace them or ignore them.

Every place uses it in which a try begins, ends, is killed or is found lost. It is a pure function of the record,
what the task asks for now, and how a try ends. :func:`table` generates its tables in ``docs/reliability.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Final

from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import UNKNOWN, Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record, Stage


class Action(StrEnum):
    """What to do with the runs of a record.

    ``KEEP``: reconnect to the runs, or keep them for the next try. ``LOOK``: first find out what a request without
    a response has started. ``STOP``: stop active runs, and find out first which there are if that is unknown.
    ``REPLACE``: stop them, then submit what the task asks for now. ``IGNORE``: the record is not this task's, so
    touch nothing, and submit as if there were no record.
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
    ENOUGH = "enough failures"
    EXECUTION_TIMEOUT = "execution_timeout"
    KILLED = "a user"
    TAKEN_AWAY = "a lost worker"
    TRIGGER_LOST = "a lost trigger"
    ERROR = "an error of the task"


#: Endings after which the runs of this round are not needed, even if another try follows.
_STOPS: Final = frozenset({Ending.KILLED, Ending.DEADLINE, Ending.ENOUGH, Ending.EXECUTION_TIMEOUT})


def decide(
    record: Record | None,
    asked: Asked,
    generation: Generation,
    ending: Ending | None = None,
    *,
    follows: bool = False,
    believed: bool = True,
) -> Action:
    """Decide what to do with the runs of a record.

    :param record: what earlier tries, or this one, have started; None for nothing.
    :param asked: what the task asks for now.
    :param generation: the generation of this try.
    :param ending: why this try ends; None when it begins.
    :param follows: whether another try of this generation follows and finds the record.
    :param believed: whether the record is verified to be this task's.
    """
    if record is None:
        return Action.REPLACE
    if not believed:
        return Action.IGNORE
    if ending is not None:
        # A try that ends has just written the record, so its generation and its request are current.
        kept = follows and ending not in _STOPS
        return Action.KEEP if kept else Action.STOP
    if not record.asked.same_runs(asked) or not is_retry(record, generation):
        return Action.REPLACE
    return Action.LOOK if record.unknown else Action.KEEP


def is_retry(record: Record, generation: Generation) -> bool:
    """Whether a try that begins is a retry of the record's tries, and not the first one after a clear.

    :param generation: the generation of the try.
    """
    # A concluded record was not followed by a retry, so this try can only come from a clear. The numbers of the
    # generation alone do not always show that; see `Generation`.
    if not record.generation.same(generation):
        return False
    return record.stage is not Stage.CONCLUDED or _was_not_reported(record, generation)


def _was_not_reported(record: Record, generation: Generation) -> bool:
    """Whether the worker was lost after it concluded, before it could report the task's state to Airflow.

    If the DAG run counts its clears, the same generation means a retry. The task then judges its runs again, or
    looks up its unclear request again, instead of starting new runs. Airflow 3.3 does not count a clear with
    ``reset_dag_runs=False``, but that clear changes ``max_tries`` (``clear_task_instances``).
    """
    final = record.judged or record.unknown
    return final and record.generation.counts_clears and generation.counts_clears


@dataclass(frozen=True, slots=True)
class Row:
    """One combination of inputs in words, and the action."""

    record: str
    asked: str
    generation: str
    ending: str
    follows: str
    action: Action


_ASKED: Final = Asked("hook", "conn", "test", "t", "body")
_GENERATION: Final = Generation(2, 2, 0)
_STARTED: Final = Part(RunRequest("test", "t"), PartState.STARTED, submission=Submission(("run",)))
_ENDED: Final = replace(_STARTED, state=PartState.ENDED)
_UNCLEAR: Final = Part(RunRequest("test", "t"), PartState.UNCLEAR)
_SENDING: Final = Part(RunRequest("test", "t"), PartState.SENDING)

_RECORDS: Final = {
    "active or ended": (_STARTED, Stage.OPEN),
    "of unknown effect": (_SENDING, Stage.OPEN),
    "to run again": (_STARTED, Stage.AGAIN),
    "concluded": (_STARTED, Stage.CONCLUDED),
    "judged": (_ENDED, Stage.CONCLUDED),
    "concluded, of unknown effect": (_UNCLEAR, Stage.CONCLUDED),
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
    older = replace(_GENERATION, clear_number=UNKNOWN)
    for name in ("judged", "concluded, of unknown effect"):
        part, stage = _RECORDS[name]
        concluded = Record(_ASKED, older, {"run": part}, stage)
        yield Row(name, "same", "clears not counted", "begins", "", decide(concluded, _ASKED, older))
    stored = Record(_ASKED, _GENERATION, {"run": _STARTED})
    foreign = decide(stored, _ASKED, _GENERATION, believed=False)
    yield Row("not this task's", "any", "any", "begins or ends", "", foreign)
    for ending, follows in product(Ending, (True, False)):
        action = decide(stored, _ASKED, _GENERATION, ending, follows=follows)
        yield Row("any", "any", "any", str(ending), "yes" if follows else "no", action)
