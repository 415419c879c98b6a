"""A triggerer: an event loop with the triggers that are assigned to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

from tests.simulation.database import Database, TaskInstance, TriggerRow
from tests.simulation.kernel import Process, World
from tests.simulation.loop import SimulatedLoop

#: Seconds between two rounds, and without a heartbeat after which a triggerer's triggers go to another one.
ROUND = 1.0
LOST_AFTER = 30.0


class Triggerer:
    """One triggerer process. As Airflow's, it calls ``on_kill`` of a trigger that is not its own any more."""

    def __init__(self, world: World, database: Database, name: str) -> None:
        self.world = world
        self.database = database
        self.name = name
        self.process = Process(world, name, "triggerer")
        self.loop = SimulatedLoop(self.process)
        self.running: dict[int, asyncio.Task[None]] = {}
        self._gone: set[int] = set()
        self._chance = world.stream(f"rounds {name}")
        self.process.on_exit.append(self.loop.bury)
        world.after(self._chance.uniform(0.0, ROUND), self.process, self._round)

    def _round(self) -> None:
        self.database.heartbeats[self.name] = self.world.now
        for row in list(self.database.triggers.values()):
            owner = row.triggerer
            if owner is None or (owner != self.name and self._is_lost(owner)):
                row.triggerer = self.name
        mine = {row.id: row for row in self.database.triggers.values() if row.triggerer == self.name}
        for id_, row in mine.items():
            if id_ not in self.running:
                self._start(row)
        for id_, task in list(self.running.items()):
            if task.done():
                del self.running[id_]
            elif id_ not in mine:
                # Airflow repeats it each second until the trigger has ended.
                self._gone.add(id_)
                self.loop.call_soon(task.cancel)
        # Rounds in which there is nothing to do cost a simulation as much as others.
        rest = ROUND if self.running or self.database.triggers else 3 * ROUND
        self.world.after(self._chance.uniform(0.8, 1.2) * rest, self.process, self._round)

    def _is_lost(self, name: str) -> bool:
        return self.world.now - self.database.heartbeats.get(name, -1e9) > LOST_AFTER

    def _start(self, row: TriggerRow) -> None:
        task = next((each for each in self.database.tasks if each.trigger is row), None)
        if task is None:
            return
        self.running[row.id] = self.loop.create_task(self._run(row, task))

    async def _run(self, row: TriggerRow, task: TaskInstance) -> None:
        try:
            trigger = resolve_name(row.classpath)(**row.kwargs)
            trigger.task_instance = SimpleNamespace(
                dag_id="dag",
                run_id=task.dag_run.run_id,
                task_id=task.spec.task_id,
                map_index=task.spec.map_index,
                database_row=task,
            )
        except Exception as error:
            self._resume(row, task, "__fail__", {"error": "Trigger failure", "traceback": [str(error)]})
            return
        try:
            async for event in trigger.run():
                self._resume(row, task, None, {"event": event.payload})
        except asyncio.CancelledError:
            if row.id in self._gone:
                self.world.note(self.name, f"calls on_kill for {task.name}")
                # It gets about a second: the cancellation comes again with the next round.
                with suppress(asyncio.CancelledError):
                    await trigger.on_kill()
            raise
        except Exception as error:
            self._resume(row, task, "__fail__", {"error": "Trigger failure", "traceback": [repr(error)]})
        finally:
            await trigger.cleanup()

    def _resume(
        self, row: TriggerRow, task: TaskInstance, method: str | None, kwargs: dict[str, Any]
    ) -> None:
        """Hand the task back to the scheduler, in a round of this process a moment later."""

        def submit() -> None:
            if task.trigger is not row or task.state != "deferred":
                return
            self.database.leave_deferral(task)
            task.next_method = method or task.next_method
            task.next_kwargs = kwargs
            self.database.set_state(task, "scheduled")

        self.world.after(self._chance.uniform(0.05, ROUND), self.process, submit)
