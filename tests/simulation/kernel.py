"""Virtual time and processes: everything that happens in a simulated world is an event in one seeded queue.

A process runs either synchronous code, in a greenlet that gives way wherever real code would block, or an event
loop (:mod:`tests.simulation.loop`). Between any two events a process can be killed, paused or sent a signal.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from greenlet import getcurrent, greenlet

#: Seconds since the Unix epoch at which every world begins.
EPOCH = 1_790_000_000.0


class Killed(BaseException):
    """The process is gone. Code that is being unwound can no longer do anything that others see."""


class Process:
    """A process of the simulated machine room.

    :param role: what kind of process it is; incidents name processes by role.
    :param skew: seconds by which its wall clock is ahead.
    """

    def __init__(self, world: World, name: str, role: str, skew: float = 0.0) -> None:
        self.world = world
        self.name = name
        self.role = role
        self.skew = skew
        self.alive = True
        self.paused = False
        self.threads: list[Thread] = []
        self.on_exit: list[Callable[[], None]] = []
        self._held: list[Callable[[], None]] = []
        world.processes.append(self)

    def spawn(self, work: Callable[[], Any], name: str = "") -> Thread:
        """Run synchronous code in this process, beginning now."""
        thread = Thread(self, work, name)
        self.threads.append(thread)
        self.world.after(0.0, self, thread.resume)
        return thread

    def hold(self, event: Callable[[], None]) -> None:
        """Keep an event until the process goes on."""
        self._held.append(event)

    def pause(self) -> None:
        """Stop it where it is, as SIGSTOP does."""
        self.paused = True

    def go_on(self) -> None:
        """Let a paused process go on."""
        if not self.paused:
            return
        self.paused = False
        held, self._held = self._held, []
        for event in held:
            self.world.after(0.0, self, event)

    def kill(self) -> None:
        """End it at once, as SIGKILL does."""
        if not self.alive:
            return
        self.alive = False
        self.world.note(self.name, "is killed")
        self._held.clear()
        for thread in self.threads:
            thread.unwind()
        for callback in self.on_exit:
            callback()

    def exit(self) -> None:
        """End it in peace: its code has come to its end."""
        self.alive = False
        for callback in self.on_exit:
            callback()

    def signal(self, handler: Callable[[], None]) -> None:
        """Run a signal handler inside the process's first thread, wherever that blocks."""
        if self.alive and self.threads:
            self.threads[0].deliver(handler)


class Thread:
    """Synchronous code in a process; it blocks by switching back to the world."""

    def __init__(self, process: Process, work: Callable[[], Any], name: str = "") -> None:
        self.process = process
        self.name = name
        self._greenlet = greenlet(self._run)
        self._work = work
        self._signals: list[Callable[[], None]] = []
        self.done = False

    def _run(self) -> None:
        # A process that was killed leaves no exception to anybody; whoever killed it knows.
        with suppress(Killed):
            self._work()
        self.done = True

    def resume(self) -> None:
        """Go on until it blocks again."""
        if self.done:
            return
        world = self.process.world
        world.steps[self.process.role] += 1
        before, world.current = world.current, self.process
        try:
            self._greenlet.parent = getcurrent()
            self._greenlet.switch()
        finally:
            world.current = before

    def unwind(self) -> None:
        """The process is dead: run what `finally` there is, without effect."""
        if self.done or not self._greenlet:
            self.done = True
            return
        self._greenlet.parent = getcurrent()
        self._greenlet.throw(Killed)

    def deliver(self, handler: Callable[[], None]) -> None:
        """Let the handler run where the thread blocks now."""
        self._signals.append(handler)
        self.process.world.after(0.0, self.process, self.resume)

    def block(self, is_over: Callable[[], bool]) -> None:
        """Called in the thread: give way until something is over; signal handlers run meanwhile."""
        while True:
            if not self.process.alive:
                raise Killed
            while self._signals:
                self._signals.pop(0)()
            if is_over():
                return
            self._greenlet.parent.switch()


class World:
    """Virtual time, the queue of events, and the processes.

    :param seed: of everything that is left to chance.
    :param keep_history: whether to keep a line for everything of note.
    """

    def __init__(self, seed: int, *, keep_history: bool = False) -> None:
        self.seed = seed
        self.now = 0.0
        self.current: Process | None = None
        self.processes: list[Process] = []
        #: How often a process of each role has gone on; incidents count by it.
        self.steps: defaultdict[str, int] = defaultdict(int)
        self.watches: list[tuple[str, int, Callable[[], None]]] = []
        self.history: list[tuple[float, str, str]] = []
        self.keeps_history = keep_history
        self._order = random.Random(f"{seed} order")
        self._streams: dict[str, random.Random] = {}
        self._queue: list[tuple[float, float, int, Process | None, Callable[[], None]]] = []
        self._count = 0

    def stream(self, name: str) -> random.Random:
        """A source of chance of its own, so that dropping one incident leaves the others as they are."""
        if name not in self._streams:
            self._streams[name] = random.Random(f"{self.seed} {name}")
        return self._streams[name]

    def note(self, who: str, what: str) -> None:
        """Keep a line for whoever has to understand a failure."""
        if self.keeps_history:
            self.history.append((self.now, who, what))

    def after(self, seconds: float, process: Process | None, event: Callable[[], None]) -> None:
        """Let something happen in a process, unless that is dead by then."""
        self._count += 1
        entry = (self.now + max(0.0, seconds), self._order.random(), self._count, process, event)
        heapq.heappush(self._queue, entry)

    def run(self, until: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Let events happen in the order of their times; those of one moment in a seeded order."""
        count = 0
        while self._queue and self._queue[0][0] <= until:
            count += 1
            # Asked after each event it would cost as much as the events.
            if not count % 16 and is_over():
                break
            self.now, _, _, process, event = heapq.heappop(self._queue)
            if process is None or (process.alive and not process.paused):
                event()
                if self.watches:
                    self._check_watches()
            elif process.alive:
                process.hold(event)
        self.now = max(self.now, min(until, self._queue[0][0] if self._queue else until))

    def _check_watches(self) -> None:
        for watch in [each for each in self.watches if self.steps[each[0]] >= each[1]]:
            self.watches.remove(watch)
            watch[2]()

    # -- what code in a process calls

    @property
    def process(self) -> Process:
        """The process whose code runs."""
        assert self.current is not None, "called outside of a process"
        return self.current

    def thread(self) -> Thread:
        """The thread whose code runs."""
        running = getcurrent()
        return next(thread for thread in self.process.threads if thread._greenlet is running)

    def wall(self) -> float:
        """The time, as the clock of the running process has it."""
        return EPOCH + self.now + (self.current.skew if self.current else 0.0)

    def monotonic(self) -> float:
        """A clock that is never set."""
        return 1_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass for the running thread."""
        thread, until = self.thread(), self.now + max(0.0, seconds)
        self.after(seconds, thread.process, thread.resume)
        thread.block(lambda: self.now >= until)

    def wait_for(self, start: Callable[[Callable[[Any], None]], None]) -> Any:
        """Begin something that ends by a callback, and block the running thread until then."""
        thread = self.thread()
        box: list[Any] = []

        def done(result: Any) -> None:
            box.append(result)
            self.after(0.0, thread.process, thread.resume)

        start(done)
        thread.block(lambda: bool(box))
        return box[0]
