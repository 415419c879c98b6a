"""The budget of a task: reserves runs before they are started, and counts what was started and how long it took.

A budget protects money. Therefore nothing is started while it cannot be read or stored. A fault after the
start never fails a task: a reservation that cannot be corrected stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import uuid4

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.exceptions import BudgetExhausted, BudgetUnavailable
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupted
from airflow_provider_testerarmy.lifecycle.memory import AirflowStorage, FolderStorage
from airflow_provider_testerarmy.lifecycle.record_store import identity_of
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.budget import ledger
from airflow_provider_testerarmy.runs.budget.entries import ENTRY, LedgerUnreadable, entry_of
from airflow_provider_testerarmy.runs.budget.rule import BudgetRule, period_of, spent
from airflow_provider_testerarmy.runs.flow import Flow, pause
from airflow_provider_testerarmy.runs.memory.cells import Delete, Get, Set, apply
from airflow_provider_testerarmy.runs.memory.port import Storage, StorageFault
from airflow_provider_testerarmy.runs.results import RunResult
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.text import one_line, plural

R = TypeVar("R")

#: Seconds before each repetition of a call that the storage did not answer.
RETRIES: Final = (1.0, 2.0, 4.0)
_DAY: Final = 86_400


def open_budget(task: Any, context: Mapping[str, Any]) -> TaskBudget | None:
    """The budget of a task; None if it has none.

    :param task: the operator, with its rendered fields. Each of its tries starts runs of its own if it is not
        ``durable``.
    :raises RequestInvalid: if the budget is not valid, or if there is no place for its ledger.
    """
    rule = parameters.budget(task.budget)
    if rule is None:
        return None
    path = parameters.memory_path(task.memory_path)
    store = None if path else airflow_compat.memory_store(context)
    if not path and store is None:
        raise RequestInvalid(parameters.NO_LEDGER)
    storage: Storage = FolderStorage(path) if path else AirflowStorage(store)
    ti = context["ti"]
    owner = identity_of(ti) if task.durable else f"{identity_of(ti)}/try {ti.try_number}"
    return TaskBudget(rule, rule.pool or str(ti.dag_id), storage, owner)


class TaskBudget:
    """The budget of one task.

    :param pool: the name of the pool.
    :param task: names the task instance, and its try if each try starts runs of its own.
    """

    def __init__(self, rule: BudgetRule, pool: str, storage: Storage, task: str) -> None:
        self.rule = rule
        self.pool = pool
        self.storage = storage
        self._task = task

    @property
    def skips(self) -> bool:
        """Whether a task that the budget does not admit is skipped."""
        return self.rule.on_exhausted == "skip"

    def book(self, now: float) -> ledger.Book:
        """The ledger at a moment, in seconds since the epoch."""
        return ledger.Book(self.pool, period_of(self.rule.per, now), int(now // _DAY))

    def owner(self, record: Record) -> str:
        """Names the round of a record, the same in every try that continues it."""
        asked = record.asked
        names = [self._task, record.generation.to_json(), asked.hook, asked.conn_id, asked.kind, asked.target]
        round_ = [asked.body, len(record.rounds), sorted(record.parts)]
        return hashlib.sha256(json.dumps([*names, *round_]).encode()).hexdigest()[:32]

    def round(self, record: Record, session: ServiceSession, log: Any) -> RoundAllowance:
        """The allowance for what a round has not sent yet."""
        return RoundAllowance(self, record, session, log)

    def book_time(self, record: Record, results: Iterable[RunResult], now: float, log: Any) -> None:
        """Count how long the runs of a round took. A fault is logged, because the runs have been paid for.

        :param results: of runs that may have ended, also of other rounds.
        :param now: seconds since the epoch.
        """
        own = frozenset(record.run_ids)
        seconds = sum(_seconds(run) for run in results if run.run_id in own and run.finished)
        if not seconds:
            return
        steps = ledger.book_time(self.book(now), self.owner(record), seconds, uuid4().hex)
        if (fault := _attempt(self.storage, steps)) is not None:
            log.warning(
                "The %s of these runs are not counted in the budget of pool %r: %s.",
                plural(math.ceil(seconds / 60), "minute"),
                self.pool,
                fault,
            )


@dataclass(frozen=True, slots=True)
class PartAllowance:
    """The allowance for one part of a round; see :class:`~airflow_provider_testerarmy.runs.submission.setting`."""

    round: RoundAllowance
    name: str

    def reserve(self, runs: int) -> Flow[None]:
        """Reserve all parts of the round.

        :raises BudgetExhausted, BudgetUnavailable: if nothing may be sent.
        """
        return self.round.reserve(self.name, runs)


class RoundAllowance:
    """Reserves the runs that one try starts in one round: all of them, or none."""

    def __init__(self, budget: TaskBudget, record: Record, session: ServiceSession, log: Any) -> None:
        self._budget = budget
        self._owner = budget.owner(record)
        self._clock = session.clock
        self._log = log
        self._labels = {name: part.request.label for name, part in record.parts.items() if part.request}
        #: The runs of each part that this try may send.
        self._sizes = {
            name: (part.request and session.service.known_runs(part.request)) or 1
            for name, part in record.parts.items()
            if part.unknown or part.state is PartState.PLANNED
        }
        self._book = budget.book(self._clock())
        self._reserved: ledger.Reserved | None = None
        self._announced: Set | None = None

    def part(self, name: str) -> PartAllowance:
        """The allowance of one part."""
        return PartAllowance(self, name)

    def reserve(self, name: str, runs: int) -> Flow[None]:
        """Reserve all parts of the round before the first one is sent; see :class:`PartAllowance`."""
        if self._reserved is not None:
            return
        self._sizes[name] = max(1, runs)
        wanted = sum(self._sizes.values())
        self._book = self._budget.book(self._clock())
        steps = ledger.reserve(self._book, self._budget.rule.limits, self._owner, wanted, uuid4().hex)
        try:
            answer = yield from self._on_storage(steps)
        except (StorageFault, LedgerUnreadable) as fault:
            raise self._unavailable(fault) from fault
        if isinstance(answer, ledger.Refused):
            raise self._exhausted(answer, wanted)
        self._reserved = answer
        if ledger.is_first(answer.place):
            self._sweep()

    def _sweep(self) -> None:
        if (failed := _attempt(self._budget.storage, ledger.sweep(self._book))) is not None:
            self._log.info("Old entries of the budget of pool %r are kept: %s.", self._budget.pool, failed)

    @contextmanager
    def settled(self, newest: Callable[[], Record]) -> Iterator[None]:
        """A block that sends the round. Then the reservation is replaced by what was started.

        :param newest: returns the record after the block.
        """
        try:
            yield
        except (Exception, Interrupted, AirflowTaskTimeout):
            self._settle(newest())
            raise
        self._settle(newest())

    def _settle(self, record: Record) -> None:
        if self._reserved is None:
            self._withdraw()
            return
        sent = sum(self._comes_to(name, part) for name, part in record.parts.items() if name in self._sizes)
        whole = sum(self._comes_to(name, part) for name, part in record.parts.items())
        # A worker that was lost may have started parts that no entry counts yet.
        runs = max(sent, whole - self._reserved.started)
        steps = ledger.settle(self._book, self._reserved, self._owner, runs)
        if (fault := _attempt(self._budget.storage, steps)) is not None:
            self._log.warning(
                "The budget of pool %r still counts the %s that were reserved: %s.",
                self._budget.pool,
                plural(self._reserved.runs, "run"),
                fault,
            )

    def _comes_to(self, name: str, part: Part) -> int:
        """The runs of a part that count. A rejected run costs nothing."""
        if part.submission is not None:
            return len(set(part.submission.run_ids) - set(part.submission.rejected_run_ids))
        return self._sizes.get(name, 1) if part.unknown else 0

    def _withdraw(self) -> None:
        """Take back an announcement that was interrupted. It would count until the end of the period."""
        if self._announced is not None and entry_of(self._announced.text).open:
            _attempt(self._budget.storage, ledger.withdraw(self._announced.key, self._owner))

    def _on_storage(self, steps: ledger.Steps[R]) -> Flow[R]:
        answer: str | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                found: R = end.value
                return found
            if isinstance(step, ledger.Wait):
                answer = None
                yield from pause(step.seconds)
                continue
            if isinstance(step, Set) and step.key.endswith(ENTRY):
                self._announced = step
            answer = yield from self._with_retries(step)

    def _with_retries(self, step: Get | Set | Delete) -> Flow[str | None]:
        for seconds in RETRIES:
            try:
                return apply(self._budget.storage, step)
            except StorageFault as fault:
                self._log.info("The budget's storage did not answer (%s); retrying in %g s.", fault, seconds)
            yield from pause(seconds)
        return apply(self._budget.storage, step)

    def _left_out(self, wanted: int) -> str:
        shown = list(self._labels.values())[:3]
        more = f" and {len(self._labels) - len(shown)} more" if len(self._labels) > len(shown) else ""
        return f"{one_line(', '.join(shown), 200)}{more} ({plural(wanted, 'run')})"

    def _unavailable(self, fault: Exception) -> BudgetUnavailable:
        what = "is not valid" if isinstance(fault, LedgerUnreadable) else "could not be read or stored"
        return BudgetUnavailable(
            f"The budget of pool {self._budget.pool!r} {what}: {one_line(str(fault), 200)}. Nothing was started, "
            f"because the number of runs is unknown. Left out: {self._left_out(sum(self._sizes.values()))}. Check "
            "memory_path or Airflow's asset state store. A retry reads the budget again."
        )

    def _exhausted(self, refused: ledger.Refused, wanted: int) -> BudgetExhausted:
        rule, period = self._budget.rule, self._book.period
        used = spent(rule, refused.used.runs, refused.used.seconds)
        return BudgetExhausted(
            f"The budget of pool {self._budget.pool!r} has no room left: {used} are used for {period.name}. Not "
            f"started: {self._left_out(wanted)}. Raise the budget, or clear the task after {period.end}."
        )


def _seconds(run: RunResult) -> int:
    """How long a run took by the service's own times, in whole seconds."""
    took = run.duration or 0.0
    if run.started_at is not None and run.finished_at is not None:
        took = (run.finished_at - run.started_at).total_seconds()
    return max(0, math.ceil(took)) if math.isfinite(took) else 0


def _attempt(storage: Storage, steps: ledger.Steps[None]) -> str | None:
    """Do steps without pauses and repetitions; returns why they failed, None if they did not."""
    answer: str | None = None
    try:
        while True:
            step = steps.send(answer)
            answer = None if isinstance(step, ledger.Wait) else apply(storage, step)
    except StopIteration:
        return None
    # A storage may raise anything, and none of it may hide a verdict.
    except Exception as error:
        return one_line(str(error), 200) or type(error).__name__
