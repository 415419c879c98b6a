"""An asyncio event loop whose time is the world's, and whose ready callbacks run in a seeded order."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable
from typing import Any

from tests.simulation.kernel import Process


class SimulatedLoop(asyncio.AbstractEventLoop):
    """The event loop of one process: one callback a step, so that anything can happen in between."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._world = process.world
        self._chance = self._world.stream(f"loop {process.name}")
        self._ready: list[asyncio.Handle] = []
        self._stepping = False
        #: What reached the loop's exception handler.
        self.errors: list[dict[str, Any]] = []
        self.tasks: list[asyncio.Task[Any]] = []

    # -- scheduling

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if not handle.cancelled():
                self._enqueue(handle)

        self._world.after(when - self.time(), self.process, due)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def _enqueue(self, handle: asyncio.Handle) -> None:
        self._ready.append(handle)
        if not self._stepping:
            self._stepping = True
            self._world.after(0.0, self.process, self._step)

    def _step(self) -> None:
        self._stepping = False
        if not self._ready:
            return
        handle = self._ready.pop(self._chance.randrange(len(self._ready)) if len(self._ready) > 1 else 0)
        self._run(handle)
        if self._ready and not self._stepping:
            self._stepping = True
            self._world.after(0.0, self.process, self._step)

    def _run(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        self._world.steps[self.process.role] += 1
        before, self._world.current = self._world.current, self.process
        outer = events._get_running_loop()
        events._set_running_loop(self)
        try:
            handle._run()
        finally:
            events._set_running_loop(outer)
            self._world.current = before

    def bury(self) -> None:
        """The process is dead: let its coroutines come to an end, without effect, so that none is left."""
        for task in self.tasks:
            if not task.done():
                task.cancel()
        for _ in range(10_000):
            if not self._ready:
                break
            self._run(self._ready.pop(0))

    # -- what asyncio asks of a loop

    def time(self) -> float:
        return self._world.monotonic()

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self.tasks = [each for each in self.tasks if not each.done()]
        self.tasks.append(task)
        return task

    def get_task_factory(self) -> None:
        return None

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    default_exception_handler = call_exception_handler
