"""``on_failed="ask"``: a person decides what a failed verdict means for the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.exceptions import TestRunError, TestsFailed, TestsSkipped, TriggerFailed
from airflow_provider_testerarmy.lifecycle.ask_options import Ask
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_backends import StoreUnavailable
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.runs.results import RunResult
from airflow_provider_testerarmy.runs.submission.answer import LABELS, MOST, Answer, Choice
from airflow_provider_testerarmy.runs.submission.record import PartState
from airflow_provider_testerarmy.runs.submission.rounds import closed
from airflow_provider_testerarmy.runs.text import one_line

#: The method of the operator that Airflow calls with the answer.
METHOD: Final = "execute_answered"
_CHOICES: Final = {label: choice for choice, label in LABELS.items()}


class RunsAgain(Exception):
    """A person has ordered another round. The record says so, and the same try starts it."""


class Asker:
    """Asks about the verdict of one try, and applies the answer.

    :param push: pushes the summary, which the tab shows while the task waits.
    """

    def __init__(
        self,
        options: Options,
        store: RecordStore,
        push: Callable[[Mapping[str, Any]], None],
        context: Mapping[str, Any],
        log: Any,
    ) -> None:
        self._ask = None if options.gate.report_only else options.ask
        self._store = store
        self._push = push
        self._context = context
        self._log = log

    def answer(self, event: Any) -> None:
        """Store the answer, so that a later try of this generation does not ask again.

        :raises TriggerFailed: if Airflow gives no answer.
        """
        record = self._store.record
        given = read_answer(event, len(record.rounds))
        self._log.info("%s", given.sentence)
        self._store.keep(replace(record, answers=(*record.answers, given)[-MOST:]))

    def asks(self, error: Exception | None) -> bool:
        """Whether a person decides what an ending means."""
        return self._ask is not None and isinstance(error, TestsFailed)

    def settle(
        self,
        error: TestRunError | TestsSkipped | None,
        results: Sequence[RunResult],
        summary: Mapping[str, Any],
        runs_again: Callable[[RunResult], bool],
    ) -> TestRunError | TestsSkipped | None:
        """The error of the verdict after a person has decided; None if the person has accepted it.

        :param runs_again: whether the test of a run runs again in another round.
        :raises RunsAgain: if the person has ordered another round.
        :raises BaseException: to leave the worker until a person has answered. Airflow catches it.
        """
        record = self._store.record
        answer = record.answer
        if answer is None:
            if self._ask is not None:
                self._wait(self._ask, summary)
            return error
        if answer.choice is Choice.AGAIN:
            try:
                self._store.keep_for_certain(closed(record, results, runs_again))
            except StoreUnavailable as fault:
                self._log.warning("%s Nothing runs again, and the verdict stands.", fault)
                return error
            raise RunsAgain
        return None if answer.choice is Choice.ACCEPT else error

    def _wait(self, ask: Ask, summary: Mapping[str, Any]) -> None:
        """Ask, and leave the worker. Returns only if Airflow does not take the question."""
        self._push(summary)
        record = self._store.record
        ended = {
            name: replace(part, state=PartState.ENDED) if part.active else part
            for name, part in record.parts.items()
        }
        # All runs have ended, so a clear, a kill or a mark has nothing to cancel.
        self._store.keep(replace(record, parts=ended))
        question = airflow_compat.Question(
            f"Tests failed: {self._context['ti'].task_id}. Accept?",
            _body(summary),
            list(LABELS.values()),
            LABELS[ask.default],
            ask.users,
            ask.timeout,
        )
        try:
            airflow_compat.submit_question(self._context, question)
        except Exception as fault:
            self._log.warning("Airflow did not take the question (%s). The verdict stands.", fault)
            return
        self._log.info("Waiting for a person to decide. The task uses no worker meanwhile.")
        for notifier in ask.notifiers:
            # A message that cannot be sent must not end the wait.
            try:
                notifier(self._context)
            except Exception as fault:
                self._log.warning("A notifier failed: %s", fault)
        airflow_compat.wait_for_answer(self._context["task"], self._context, question, METHOD)


def _body(summary: Mapping[str, Any]) -> str:
    """The verdict in Markdown; its reasons if the Markdown did not fit into the summary."""
    reasons = "\n".join(f"* {reason}" for reason in summary.get("reasons") or ())
    return str(summary.get("report_markdown") or reasons)


def read_answer(event: Any, rounds: int) -> Answer:
    """The answer in Airflow's event.

    :param rounds: how many rounds the record has closed.
    :raises TriggerFailed: if there is none.
    """
    given = event if isinstance(event, Mapping) else {}
    chosen = given.get("chosen_options")
    choice = _CHOICES.get(str(chosen[0])) if isinstance(chosen, list | tuple) and len(chosen) == 1 else None
    if choice is None:
        why = one_line(str(given.get("error") or "it names none of the options"), 200)
        raise TriggerFailed(f"Airflow returned no answer of a person: {why}. The next try asks again.")
    person = given.get("responded_by_user")
    person = person if isinstance(person, Mapping) and not given.get("timedout") else {}
    words = given.get("params_input")
    written = words.get(airflow_compat.WORDS) if isinstance(words, Mapping) else ""
    at = given.get("responded_at")
    return Answer.of(
        choice,
        rounds,
        by=str(person.get("name") or ""),
        user=str(person.get("id") or ""),
        at=at.isoformat(timespec="seconds") if isinstance(at, datetime) else str(at or ""),
        words=str(written or "") if person else "",
    )
