"""Hypothesis looks for a sequence of rules after which a promise is broken, instead of only drawing one."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.simulation.judge import judge
from tests.simulation.plan import Incident, Plan, PlannedTask, draw
from tests.simulation.world import Simulation

moments = st.one_of(st.floats(0.0, 12.0), st.floats(0.0, 120.0)).map(lambda value: round(value, 2))
steps = st.integers(1, 40)
roles = st.sampled_from(("worker", "triggerer"))
whiches = st.integers(0, 1)
lasting = st.floats(2.0, 90.0).map(lambda value: round(value, 2))


class Worlds(RuleBasedStateMachine):
    """Rules put incidents into a world; at the end it lives, and is judged."""

    def __init__(self) -> None:
        super().__init__()
        self.plan: Plan = draw(0)

    @initialize(
        deferrable=st.booleans(),
        retries=st.integers(0, 2),
        kind=st.sampled_from(("test", "group")),
        script=st.sampled_from(("passes", "fails", "breaks_once", "endless")),
        twins=st.booleans(),
        lag=st.sampled_from((0.0, 2.0)),
    )
    def begin(self, deferrable: bool, retries: int, kind: str, script: str, twins: bool, lag: float) -> None:
        """A world with one task, or with two that ask for the same."""
        first = PlannedTask(kind, 1, deferrable, retries, 120.0, map_index=0 if twins else -1)
        tasks = (first, replace(first, map_index=1)) if twins else (first,)
        tests = (replace(self.plan.tests[0], script=script, seconds=20.0), *self.plan.tests[1:])
        self.plan = replace(self.plan, tests=tests, tasks=tasks, incidents=(), list_lag=lag)

    def _add(self, what: str, at: float, role: str = "", **details: object) -> None:
        self.plan = replace(
            self.plan, incidents=(*self.plan.incidents, Incident(what, float(at), role, details))
        )

    @rule(
        what=st.sampled_from(("kill_worker", "kill_task", "kill_supervisor", "kill_triggerer", "evict")),
        step=steps,
        role=roles,
    )
    def kill(self, what: str, step: int, role: str) -> None:
        """Between two steps of a process."""
        self._add(what, step, role)

    @rule(
        what=st.sampled_from(("pause_worker", "pause_triggerer", "pause_scheduler")),
        at=moments,
        seconds=lasting,
    )
    def pause(self, what: str, at: float, seconds: float) -> None:
        """For a while, perhaps long enough to be taken for lost."""
        self._add(what, at, seconds=seconds)

    @rule(what=st.sampled_from(("mark_failed", "mark_success", "clear")), at=moments, which=whiches)
    def user(self, what: str, at: float, which: int) -> None:
        """A user does something to a task."""
        self._add(what, at, which=which)

    @rule(at=moments, retries=st.integers(0, 3))
    def edit(self, at: float, retries: int) -> None:
        """The DAG's author changes the number of retries."""
        self._add("edit_retries", at, retries=retries)

    @rule(at=moments, overlap=st.sampled_from((-2.0, 0.0, 10.0)))
    def rotate_key(self, at: float, overlap: float) -> None:
        """Somebody replaces the API key."""
        self._add("rotate_key", at, overlap=overlap)

    @rule(
        kind=st.sampled_from(
            ("reset_before", "reset_after", "refused", "garbage", "cancelled", "slow_after")
        ),
        match=st.sampled_from(("post", "cancel", "get", "list", "all")),
        at=moments,
        times=st.sampled_from((1, 2, 1000)),
        seconds=lasting,
    )
    def fault(self, kind: str, match: str, at: float, times: int, seconds: float) -> None:
        """The network or the service fails for a while."""
        self._add("fault", at, kind=kind, match=match, times=times, lasting=seconds, seconds=12.0)

    @rule(at=moments, source=st.sampled_from(("scheduled", "structured_test")))
    def somebody_else(self, at: float, source: str) -> None:
        """Somebody else starts a run of the same test."""
        self._add("foreign_run", at, source=source)

    def teardown(self) -> None:
        """Let the world live, and judge it."""
        simulation = Simulation(self.plan)
        broken = judge(simulation.run())
        simulation.bury()
        assert broken == [], "\n".join(
            [*map(str, broken), *map(str, self.plan.tasks), *map(str, self.plan.incidents)]
        )


TestWorlds = Worlds.TestCase
TestWorlds.settings = settings(
    max_examples=100, stateful_step_count=4, deadline=None, suppress_health_check=list(HealthCheck)
)
