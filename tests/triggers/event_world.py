"""A service whose list lags and shifts, a store, and a triggerer that may die between any two steps."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_testerarmy.airflow_compat.event_triggers import CursorStore
from airflow_provider_testerarmy.runs.events.model import ListedEnd, RecentPage
from airflow_provider_testerarmy.runs.events.sweep import sweep
from airflow_provider_testerarmy.runs.flow import drive
from airflow_provider_testerarmy.runs.results import Outcome, Phase, RunResult
from airflow_provider_testerarmy.triggers.event_stream import Delivery, Members
from airflow_provider_testerarmy.triggers.events import TesterArmyRunFinished
from tests.runs.scripted import START, Answered, Question


@dataclass
class WorldRun:
    """A run: when it is created, when lists show it first, and when it ends."""

    run_id: str
    created: float
    visible: float
    ends: float


@dataclass
class World:
    """The service. Its clock is the world's; a new run may appear between two pages of one sweep.

    :param stale: seconds by which its lists lag behind the runs.
    :param empty: whether its lists show nothing.
    :param endless: whether every page names the first one as the next.
    """

    now: float = START
    runs: list[WorldRun] = field(default_factory=list)
    shift: int = 0
    page: int = 3
    stale: float = 0.0
    empty: bool = False
    endless: bool = False
    requests: Counter[str] = field(default_factory=Counter)
    vendor = "TesterArmy"
    active_statuses = ("queued", "running")

    def start(self, seconds: float, lag: float = 0.0) -> str:
        """Start a run."""
        run_id = f"run-{len(self.runs)}"
        self.runs.append(WorldRun(run_id, self.now, self.now + lag, self.now + seconds))
        return run_id

    def list_recent(self, status: str, cursor: str) -> Question:
        return Question("list", (status, cursor))

    def fetch_listed(self, run_id: Any) -> Question:
        return Question("fetch", (run_id,))

    def send(self, question: Question) -> Answered:
        """Answer a request."""
        self.requests[question.name] += 1
        time = datetime.fromtimestamp(self.now, UTC)
        if question.name == "fetch":
            (found,) = (run for run in self.runs if run.run_id == question.args[0])
            return Answered(self._shown(found, self.now), time)
        status, cursor = question.args
        below = int(cursor) if cursor else len(self.runs)
        at = self.now - self.stale
        rows = [
            (number, run)
            for number, run in enumerate(self.runs)
            if number < below and run.visible <= at and not self.empty and (not status or run.ends > at)
        ][::-1]
        if self.shift:
            self.shift -= 1
            self.start(0.0)
        following = str(rows[self.page - 1][0]) if len(rows) > self.page else ""
        if self.endless:
            following = str(len(self.runs))
        return Answered(
            RecentPage(tuple(self._shown(run, at) for _, run in rows[: self.page]), following), time
        )

    def _shown(self, run: WorldRun, at: float) -> ListedEnd:
        over = run.ends <= at
        return ListedEnd(
            RunResult(
                run.run_id,
                "completed" if over else "running",
                Phase.FINISHED if over else Phase.RUNNING,
                Outcome.PASSED if over else None,
                created_at=datetime.fromtimestamp(run.created, UTC),
                finished_at=datetime.fromtimestamp(run.ends, UTC) if over else None,
            )
        )


class Cell:
    """The state store of one asset."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


class Stores:
    """What Airflow gives to a trigger."""

    def __init__(self, cell: Cell) -> None:
        self._by_name = {"asset": cell}
        self._by_uri: dict[str, Cell] = {}


class Triggerer:
    """One life of a triggerer with one trigger.

    :param stored: Airflow's database of events: run ids with their marks.
    """

    def __init__(self, world: World, cell: Cell, stored: list[tuple[str, bool]]) -> None:
        self.world, self.stored = world, stored
        self.trigger = TesterArmyRunFinished()
        self.store = CursorStore(Stores(cell), "name")
        self.members = Members()
        self.member = self.trigger._member
        self.member.cursor = asyncio.run(self.trigger._read_patiently(self.store))
        self.members.join(self.member)
        self.number = self.confirmed = 0

    def sweep(self, *, store_events: bool = True, confirm: bool = True) -> int:
        """Read the service and report; return how many events there were.

        :param store_events: False if the triggerer dies before Airflow has stored the events.
        :param confirm: whether Airflow confirms them.
        """
        found = drive(sweep(self.world, self.members.need(), self.world.now), self.world.send, lambda _: None)
        self.number += 1
        due = asyncio.run(
            self.trigger._take(Delivery(found, self.number, lambda: self.confirmed), self.store)
        )
        if store_events:
            self.stored += [(str(each.run.result.run_id), each.repeat) for each in due]
            if confirm:
                self.confirmed = self.number
        return len(due)
