"""Runs worlds by the thousand, and makes something of those that fail."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation import plants

#: Worlds that are handed to a process at a time.
CHUNK = 100
#: Worlds between two garbage collections: each leaves its loops and greenlets in circles.
COLLECT_EVERY = 20


@dataclass(slots=True)
class Tally:
    """What some worlds came to.

    :param failures: seeds with what was broken in each.
    :param seconds: of virtual time.
    """

    worlds: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    seconds: float = 0.0
    failures: list[tuple[int, list[str]]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in what others came to."""
        self.worlds += other.worlds
        self.tasks += other.tasks
        self.requests += other.requests
        self.seconds += other.seconds
        self.failures += other.failures

    def __str__(self) -> str:
        """A line for people."""
        tasks = ", ".join(f"{count:,} {state}" for state, count in sorted(self.tasks.items()))
        return (
            f"{self.worlds:,} worlds, {self.seconds / 3600:,.0f} hours of virtual time, "
            f"{self.requests:,} requests to the vendor; tasks: {tasks}; {len(self.failures)} worlds broke a promise"
        )


def run_seeds(seeds: range, planted: str = "") -> Tally:
    """Run some worlds in this process."""
    if planted and not plants.planted:
        plants.plant(planted)
        plants.planted = planted
    from tests.simulation.judge import judge
    from tests.simulation.plan import draw
    from tests.simulation.world import Simulation

    tally = Tally()
    # What is imported stays; a collection that looks at all of it takes a fifth of the time. What the worlds before
    # have left must not stay with it.
    gc.collect()
    gc.freeze()
    gc.disable()
    for seed in seeds:
        if not seed % COLLECT_EVERY:
            gc.collect()
        simulation = Simulation(draw(seed))
        outcome = simulation.run()
        broken = [str(violation) for violation in judge(outcome)]
        simulation.bury()
        tally.worlds += 1
        tally.tasks.update(str(task.state) for task in outcome.database.tasks)
        tally.requests += simulation.network.sent
        tally.seconds += outcome.world.now
        if broken:
            tally.failures.append((seed, broken))
    gc.enable()
    gc.unfreeze()
    return tally


def run_many(
    seeds: range, jobs: int, planted: str = "", is_enough: Callable[[Tally], bool] = lambda _tally: False
) -> Tally:
    """Run worlds in several processes.

    :param is_enough: ends it early.
    """
    tally = Tally()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for part in _results(pool, seeds, jobs, planted):
            tally.add(part)
            if is_enough(tally):
                pool.shutdown(wait=True, cancel_futures=True)
                break
    return tally


def _results(pool: ProcessPoolExecutor, seeds: range, jobs: int, planted: str) -> Iterator[Tally]:
    """The chunks in their order, so that the first failure is the same one each time."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    # Few at a time, so that ending early does not wait for all that is queued.
    running: deque[Future[Tally]] = deque()
    for chunk in chunks:
        running.append(pool.submit(run_seeds, chunk, planted))
        if len(running) == 4 * jobs:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def explain(seed: int, keep: Path | None = None) -> str:
    """Replay a seed: what it broke, the smallest plan that still breaks it, and that one's history.

    :param keep: the file to write that plan into, for `found/`.
    """
    from tests.simulation.judge import judge
    from tests.simulation.plan import Plan
    from tests.simulation.plan import draw as plan_of
    from tests.simulation.sequence import draw as drawing
    from tests.simulation.shrink import shrink
    from tests.simulation.world import Simulation

    def broken(candidate: Plan, *, keep_history: bool = False) -> tuple[set[str], list[str], str]:
        simulation = Simulation(candidate, keep_history=keep_history)
        found = judge(simulation.run())
        simulation.bury()
        history = drawing(simulation.world.history) if keep_history else ""
        return {each.promise for each in found}, [str(each) for each in found], history

    plan = plan_of(seed)
    promises, _, history = broken(plan, keep_history=True)
    if not promises:
        return f"{history}\n\nseed {seed}: every promise was kept."
    smaller = shrink(plan, lambda candidate: bool(broken(candidate)[0] & promises))
    _, said, history = broken(smaller, keep_history=True)
    if keep is not None:
        kept = {"what": "", "broke": said, "plan": smaller.to_json()}
        keep.write_text(json.dumps(kept, indent=1) + "\n")
    incidents = [f"  {incident}" for incident in smaller.incidents] or ["  none"]
    tasks = [f"  {task}" for task in smaller.tasks]
    return "\n".join(
        [
            history,
            "",
            f"seed {seed} breaks a promise; the smallest world that still does:",
            *tasks,
            "incidents:",
            *incidents,
            *(f"  ✗ {each}" for each in said),
        ]
    )


def processes() -> int:
    """How many processes to use."""
    return os.cpu_count() or 1
