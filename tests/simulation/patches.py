"""Puts a world in the place of what the provider's code calls outside of itself: clocks, network, Airflow."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_testerarmy import airflow_compat, listener
from airflow_provider_testerarmy.airflow_compat import records
from airflow_provider_testerarmy.airflow_compat.tasks import TaskName
from airflow_provider_testerarmy.hooks import base
from airflow_provider_testerarmy.lifecycle import claims, service_session, temporary
from airflow_provider_testerarmy.lifecycle.task import LifecycleTask
from airflow_provider_testerarmy.runs.awaiting import pace, schedule
from airflow_provider_testerarmy.runs.awaiting.watcher import Watcher
from airflow_provider_testerarmy.runs.flow import one_by_one
from airflow_provider_testerarmy.sandbox.testerarmy import store as vendor_store
from airflow_provider_testerarmy.triggers import runs as trigger_runs
from airflow_provider_testerarmy.triggers import watchers
from airflow_provider_testerarmy.triggers.runs import AwaitRunsTrigger
from tests.simulation.apiserver import Refused
from tests.simulation.database import Database, TaskInstance
from tests.simulation.kernel import Killed, World
from tests.simulation.network import Network, senders

_LOGGING = (LifecycleTask, AwaitRunsTrigger, base.ServiceHook)


@contextmanager
def installed(world: World, database: Database, network: Network) -> Iterator[None]:
    """Within it the provider's code lives in the world."""
    sync, asynchronous = senders(network)
    clock = SimpleNamespace(time=world.wall, monotonic=world.monotonic, sleep=world.sleep)
    airflow = _Airflow(world, database)
    log = property(lambda _self: _Log(world))
    seeded = SimpleNamespace(uuid4=network.vendor.uuid4)
    defaults = {**Watcher.__init__.__kwdefaults__, "clock": world.wall, "monotonic": world.monotonic}
    patches = [
        patch.object(base, "SyncSender", sync),
        patch.object(base, "AsyncSender", asynchronous),
        patch.object(base, "datetime", _datetime(world)),
        patch.object(base.ServiceHook, "get_connection", airflow.get_connection),
        patch.object(service_session, "side_by_side", one_by_one),
        patch.object(service_session.ServiceSession, "clock", staticmethod(world.wall)),
        patch.object(service_session.ServiceSession, "sleep", staticmethod(world.sleep)),
        patch.object(Watcher.__init__, "__kwdefaults__", defaults),
        patch.object(vendor_store, "uuid", seeded),
        patch.object(temporary, "uuid4", network.vendor.uuid4),
        *(patch.object(module, "random", world.stream("jitter")) for module in (pace, schedule)),
        *(
            patch.object(each, "log", log, create=True)
            for each in (LifecycleTask, AwaitRunsTrigger, base.ServiceHook)
        ),
        patch.object(listener, "_in_background", airflow.in_background),
        patch.object(listener, "_prune", lambda _hour: None),
        *(patch.object(module, "time", clock) for module in (claims, listener, trigger_runs, watchers)),
        *(patch.object(airflow_compat, name, stand_in) for name, stand_in in airflow.functions().items()),
    ]
    for each in patches:
        each.start()
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for each in reversed(patches):
            each.stop()


def _datetime(world: World) -> type:
    class Simulated(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(world.wall(), tz or UTC)

    return Simulated


class _Log:
    """Takes the lines of a task's log into the world's history."""

    def __init__(self, world: World) -> None:
        self._world = world

    def info(self, message: str, *arguments: Any) -> None:
        """Keep a line, if somebody wants to read it."""
        if self._world.keeps_history:
            self._world.note(self._world.process.name, message % arguments)

    warning = exception = error = debug = info


class _Airflow:
    """What `airflow_compat` asks of Airflow, answered by the simulated one."""

    def __init__(self, world: World, database: Database) -> None:
        self._world = world
        self._database = database

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The stand-ins, by name."""
        return {
            "own_state": self.own_state,
            "aown_state": self.aown_state,
            "aget_connection": self.aget_connection,
            "get_connection_for": lambda _dag_id, conn_id: self._connection(conn_id),
            "has_variables": lambda: hasattr(self._world.process, "worker"),
            "get_variable": self.get_variable,
            "set_variable": self.set_variable,
            "stored_variable": self._database.variables.get,
            "stored_task_state": lambda ti, key: self._stored(self._find(airflow_compat.named(ti)), key),
            "stored_by_failed_tasks": self.stored_by_failed_tasks,
            "rendered_fields": lambda name: self._find(name).rendered,
            "beginning_of": lambda name: self._find(name).dag_run.run_after,
            "has_own_state_backend": lambda: False,
        }

    def _worker(self) -> Any:
        return self._world.process.worker  # type: ignore[attr-defined]

    def _find(self, name: Any) -> TaskInstance:
        return next(
            task
            for task in self._database.tasks
            if (task.dag_run.run_id, task.spec.task_id, task.spec.map_index)
            == (name.run_id, name.task_id, name.map_index)
        )

    @staticmethod
    def _stored(task: TaskInstance, key: str) -> Any:
        value = task.store.get(key)
        return value if isinstance(value, dict) and "version" in value else None

    def _connection(self, conn_id: str) -> Any:
        fields = self._database.connections.get(conn_id)
        if fields is None:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        return SimpleNamespace(**fields)

    def get_connection(self, conn_id: str) -> Any:
        """In a worker, by way of the supervisor; in scheduler and API server from the database."""
        if hasattr(self._world.process, "worker"):
            found = self._worker().ask(lambda: self._database.connections.get(conn_id))
            if found is None:
                raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
            return SimpleNamespace(**found)
        return self._connection(conn_id)

    def own_state(self, _ti: Any) -> str | None:
        """The state of the running worker's task."""
        worker = self._worker()
        return worker.ask(lambda: worker.task.state)  # type: ignore[no-any-return]

    async def aown_state(self, ti: Any) -> str | None:
        """The state of a trigger's task, from the database."""
        await self._turn()
        return ti.database_row.state  # type: ignore[no-any-return]

    async def aget_connection(self, conn_id: str) -> Any:
        """A connection, from an event loop."""
        await self._turn()
        return self._connection(conn_id)

    async def _turn(self) -> None:
        """A triggerer asks its parent, which takes a moment, and answers nothing while the database is slow."""
        if not self._world.process.alive:
            raise Killed
        await asyncio.sleep(self._world.stream(f"parent {self._world.process.name}").uniform(0.01, 0.3))
        while self._database.slow:  # noqa: ASYNC110 - the event would belong to one of several loops
            await asyncio.sleep(0.5)

    def get_variable(self, key: str) -> str | None:
        """A Variable, in a worker."""
        return self._worker().ask(lambda: self._database.variables.get(key))  # type: ignore[no-any-return]

    def set_variable(self, key: str, value: str, _description: str) -> None:
        """Write a Variable, in a worker."""

        def write() -> None:
            if self._database.full:
                raise Refused("the database is full")
            self._database.variables[key] = value

        self._worker().ask(write)

    def stored_by_failed_tasks(self, dag_id: str, run_id: str, key: str) -> list[tuple[Any, Any]]:
        """What ended tasks of a DAG run have left; looked at again once all is committed."""
        self._world.sleep(3.0)
        return [
            (TaskName(dag_id, run_id, task.spec.task_id, task.spec.map_index), stored)
            for task in self._database.tasks
            if task.dag_run.run_id == run_id and task.state in ("failed", "skipped", "success")
            if (stored := self._stored(task, key)) is not None
            if records.is_left(task.state, stored)
        ]

    def in_background(self, work: Callable[..., None], *arguments: Any) -> None:
        """A thread of the process that called the listener."""

        def run() -> None:
            try:
                work(*arguments)
            except Exception as error:
                self._world.note(self._world.process.name, f"cannot stop what a task left: {error!r}")

        self._world.process.spawn(run, "listener")
