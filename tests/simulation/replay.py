"""Plays a tape of the real Airflow (`tests/chaos/tape.py`) in the simulation: the same is done to the same task.

What was done is tied to the newest event before it: so many seconds after the task was running for the second time,
or after the service had accepted the first submission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Group, SavedTest
from airflow_provider_testerarmy.sandbox.testerarmy.engine import status_at
from tests.simulation.database import TERMINAL, TaskInstance
from tests.simulation.kernel import Process
from tests.simulation.network import Fault
from tests.simulation.plan import Incident, Plan, PlannedTask, id_of_group, id_of_test
from tests.simulation.vendor import KEY
from tests.simulation.worker import Worker
from tests.simulation.world import Simulation

#: Seconds between two looks at what has changed.
LOOK: Final = 0.02
FOREVER: Final = 1e9
#: Seconds of a triggerer's round: whether one takes a trigger that is wanted for less is left to chance.
BRIEF: Final = 2.0
RUN_SECONDS: Final = 8.0
#: States in which a task waits for the scheduler: how long depends on its rounds, so nothing is tied to them.
PASSING: Final = (None, "scheduled", "queued")

#: What the sandbox's faults are called in the simulated network.
_FAULTS: Final = {"delay": "slow_before", "delay_after": "slow_after", "timeout": "slow_before"} | {
    "timeout_after": "slow_after"
}


def plan_of(tape: dict[str, Any]) -> Plan:
    """The plan that does what a tape says."""
    told = tape["task"]
    planned = PlannedTask(
        told["kind"],
        1,
        told["deferrable"],
        told["retries"],
        told["timeout"],
        told["execution_timeout"],
        max_outage=600.0,
        retry_delay=1.0,
        poll_interval=1.0,
    )
    tests = tuple(SavedTest(id_of_test(number), f"Test {number}", "passes", RUN_SECONDS) for number in (1, 2))
    return Plan(
        0,
        tests,
        (Group(id_of_group(1), "Group", tuple(test.id for test in tests)),),
        (planned,),
        tuple(_incidents(tape)),
        triggerers=1,
        worker_lost_after=tape["airflow"]["worker_lost_after"],
        triggerer_lost_after=tape["airflow"]["triggerer_lost_after"],
    )


def _incidents(tape: dict[str, Any]) -> Iterator[Incident]:
    events = sorted(
        [(at, state) for at, state, *_ in tape["states"] if state not in PASSING]
        + [(at, what) for at, what, _ in tape["service"]]
        + [(at, f"DAG run {state}") for at, state, _ in tape["dag_run"] if state in TERMINAL]
    )
    for at, what, details in tape["deeds"]:
        before = [event for event in events if event[0] <= at]
        if not before:
            yield Incident(what, max(0.0, at), "", details)
            continue
        when, anchor = before[-1]
        count = sum(event[1] == anchor for event in before)
        yield Incident(what, round(at - when, 2), f"{anchor} {count}", details)


class Replay(Simulation):
    """A simulated world in which the same is done as on a tape."""

    def __init__(self, tape: dict[str, Any]) -> None:
        self._waiting: list[Incident] = []
        #: What the world showed: rows as a tape has them, without times.
        self.dag_run_states: list[list[Any]] = []
        self.taken: list[list[Any]] = []
        self._triggers: list[int] = []
        self._names: list[str] = []
        self._brief = brief_triggers(tape)
        self._done_until = 0.0
        self._dag_run_ends: list[tuple[float, str]] = []
        super().__init__(plan_of(tape), keep_history=True)
        if (seconds := tape["task"]["read_timeout"]) is not None:
            fields = self.database.connections["testerarmy_default"]
            fields["extra_dejson"] = {**fields["extra_dejson"], "read_timeout": seconds}
        self.world.after(0.0, None, self._look)

    @property
    def task(self) -> TaskInstance:
        """The task of the tape."""
        return self.database.tasks[0]

    def facts(self) -> dict[str, Any]:
        """What came of it, as :func:`facts_of` has it from a tape."""
        ids: dict[int, int] = {}
        runs = self.vendor.store.runs.values()
        return {
            "states": _distinct(
                [each.state, each.try_number, each.max_tries, ids.setdefault(each.id, len(ids) + 1)]
                for each in self.database.changes
            ),
            "dag_run": self.dag_run_states,
            "triggerers": [row for row in self.taken if row[0] not in self._brief],
            "service": [[entry.effect, len(entry.run_ids)] for entry in self.vendor.log],
            "runs": [status_at(run, self.vendor.clock.time()) for run in runs],
        }

    # -- when something is done

    def _arm(self, incident: Incident) -> None:
        if incident.role:
            self._waiting.append(incident)
        else:
            self._do(incident, incident.at)

    def _pending(self) -> bool:
        return bool(self._waiting)

    def _look(self) -> None:
        self._sample()
        while self._waiting and (when := self._moment(self._waiting[0])) is not None:
            incident = self._waiting.pop(0)
            self._do(incident, when + incident.at - self.world.now)
        self.world.after(LOOK, None, self._look)

    def _sample(self) -> None:
        dag_run = self.task.dag_run
        if [[dag_run.state, dag_run.clear_number]] != self.dag_run_states[-1:]:
            self.dag_run_states.append([dag_run.state, dag_run.clear_number])
            self._dag_run_ends.append((self.world.now, dag_run.state))
        for row in self.database.triggers.values():
            trigger = _number(self._triggers, row.id)
            if row.triggerer is not None:
                taken = [trigger, _number(self._names, row.triggerer)]
                self.taken += [taken] if taken not in self.taken else []

    def _moment(self, incident: Incident) -> float | None:
        name, _, count = incident.role.rpartition(" ")
        times = [change.at for change in self.database.changes if change.state == name]
        times += [entry.at for entry in self.vendor.log if entry.effect == name]
        times += [at for at, what in self._dag_run_ends if f"DAG run {what}" == name]
        if name == "struck":
            times = self.network.struck
        return times[int(count) - 1] if len(times) >= int(count) else None

    def _do(self, incident: Incident, seconds: float) -> None:
        def act() -> None:
            self.world.note("incident", str(incident))
            self._acts()[incident.what](**incident.details)
            self._not_calm_before(self.world.now)

        # What was done in one moment is done in its order.
        self._done_until = max(self.world.now + seconds, self._done_until + 1e-6)
        self.world.after(self._done_until - self.world.now, None, act)

    # -- what is done

    def _acts(self) -> dict[str, Callable[..., None]]:
        return {
            **super()._acts(),
            "script": lambda name: self.vendor.store.override_script(id_of_test(1), name),
            "finish_runs": self._finish_runs,
            "fault": self._tape_fault,
            "edit": self._edit,
            "kill_worker": lambda: Worker.kill_all(self.workers[-1]),
            "kill_task": lambda: Process.kill(self.workers[-1].process),
            "kill_supervisor": lambda: Process.kill(self.workers[-1].supervisor),
            "sigterm": lambda: Worker.terminate(self.workers[-1]),
            "pause_worker": lambda: Worker.pause_all(self.workers[-1]),
            "resume_worker": lambda: [worker.go_on() for worker in self.workers],
            "mark_failed": lambda: self._user("mark_failed", 0),
            "mark_success": lambda: self._user("mark_success", 0),
            "clear": lambda: self._user("clear", 0),
            "stop_triggerers": lambda kill: [each.process.kill() for each in self.triggerers],
            "start_triggerer": self._new_triggerer,
            "pause_triggerer": self.triggerers[0].process.pause,
            "resume_triggerer": self.triggerers[0].process.go_on,
            "stop_service": lambda: self.network.faults.append(Fault("refused", "all", 0.0, FOREVER)),
            "start_service": self.network.faults.clear,
            "revoke_key": lambda: self.vendor.keys.discard(KEY),
        }

    def _finish_runs(self) -> None:
        for run in self.vendor.store.active_run_ids():
            self.vendor.store.force(run, script="passes")

    def _tape_fault(
        self, kind: str, match: str, times: int = 1, seconds: float = FOREVER, **more: Any
    ) -> None:
        if kind == "list_lag":
            self.vendor.hidden = seconds
            return
        name = _FAULTS.get(kind, kind)
        self.network.faults.append(Fault(name, match, 0.0, FOREVER, times, seconds=seconds, **more))

    def _edit(self, retries: int | None = None, test_id: str = "the same") -> None:
        spec = self.task.spec
        spec.retries = self.plan.tasks[0].retries if retries is None else retries
        spec.parameters["test_id"] = self.plan.tests[test_id != "the same"].id


def brief_triggers(tape: dict[str, Any]) -> set[int]:
    """The numbers of the triggers of a task that it needed only for a moment while a triggerer was at work."""
    if any(what == "stop_triggerers" for _, what, _ in tape["deeds"]):
        return set()
    deferrals = [(at, after[0]) for (at, state, *_), after in pairwise(tape["states"]) if state == "deferred"]
    return {number for number, (since, until) in enumerate(deferrals, 1) if until - since < BRIEF}


def facts_of(tape: dict[str, Any]) -> dict[str, Any]:
    """What came of a case on the real Airflow, without times."""
    return {
        "states": [row[1:] for row in tape["states"]],
        "dag_run": [row[1:] for row in tape["dag_run"]],
        "triggerers": [row[1:] for row in tape["triggerers"] if row[1] not in brief_triggers(tape)],
        "service": [row[1:] for row in tape["service"] if row[1] != "struck"],
        "runs": tape["runs"],
    }


def _number(seen: list[Any], each: Any) -> int:
    """The place of something among what was seen before, from 1."""
    if each not in seen:
        seen.append(each)
    return seen.index(each) + 1


def _distinct(rows: Any) -> list[list[Any]]:
    found: list[list[Any]] = []
    for row in rows:
        if not found or found[-1] != row:
            found.append(row)
    return found
