"""What happens in a world: its tasks, its vendor, and its incidents, all drawn from one seed.

A plan is data, so that a failing one can be made smaller: an incident that is left out changes no other.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Group, SavedTest

#: Seconds within which incidents begin.
SPAN = 240.0


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task instance of the world.

    :param kind: ``test``, ``group``, or ``sensor``, which waits for a run that somebody started before.
    :param target: the index of the test or group that it runs.
    :param confirm: whether its gate runs a failed test a second time before the verdict.
    :param stop_after: how many failed tests have it cancel its active runs; None for no number.
    :param address: whether its group has an address, which a single test does not take.
    """

    kind: str
    target: int
    deferrable: bool
    retries: int
    timeout: float
    execution_timeout: float | None = None
    max_outage: float = 120.0
    dag_run: str = "a"
    task_id: str = "tests"
    map_index: int = -1
    retry_delay: float = 5.0
    poll_interval: float | None = None
    retry_failed_tests: bool = False
    confirm: bool = False
    stop_after: int | None = None
    address: bool = False


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong, or that a user does.

    :param at: seconds since the beginning; or, with `role`, after that many steps of processes of that role.
    """

    what: str
    at: float
    role: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """As a person reads it."""
        when = f"after {self.at:g} steps of a {self.role}" if self.role else f"at {self.at:.2f} s"
        shown = ", ".join(f"{name}={value}" for name, value in self.details.items())
        return f"{self.what} {when}" + (f" ({shown})" if shown else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """A world before it begins.

    :param worker_lost_after: seconds without a heartbeat after which a running task's worker is taken for lost.
    :param triggerer_lost_after: seconds after which a triggerer's triggers go to another one.
    """

    seed: int
    tests: tuple[SavedTest, ...]
    groups: tuple[Group, ...]
    tasks: tuple[PlannedTask, ...]
    incidents: tuple[Incident, ...]
    triggerers: int = 2
    schedulers: int = 1
    vendor_skew: float = 0.0
    date_skew: float = 0.0
    list_lag: float = 0.0
    worker_skew: float = 0.0
    worker_lost_after: float = 60.0
    triggerer_lost_after: float = 30.0

    def to_json(self) -> dict[str, Any]:
        """As JSON values, to be kept: what a seed draws may change with the simulation."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan that :meth:`to_json` wrote."""
        return cls(
            **{
                **data,
                "tests": tuple(SavedTest(**each) for each in data["tests"]),
                "groups": tuple(
                    Group(**each | {"test_ids": tuple(each["test_ids"])}) for each in data["groups"]
                ),
                "tasks": tuple(PlannedTask(**each) for each in data["tasks"]),
                "incidents": tuple(Incident(**each) for each in data["incidents"]),
            }
        )


_SCRIPTS = ("passes",) * 12 + ("fails", "breaks", "breaks_once", "endless") * 2
_RARE_SCRIPTS = ("skipped", "cancelled", "rejected", "unknown_status", "unknown_result", "flaky")


def id_of_test(number: int) -> str:
    """The id of a world's test."""
    return f"20000000-0000-4000-8000-{number:012d}"


def id_of_group(number: int) -> str:
    """The id of a world's group."""
    return f"30000000-0000-4000-8000-{number:012d}"


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(f"{seed} plan")
    tests = tuple(
        SavedTest(
            id_of_test(number),
            f"Test {number}",
            chance.choice(_SCRIPTS + _RARE_SCRIPTS),
            chance.choice((3.0, 20.0, 70.0)),
        )
        for number in range(1, 4)
    )
    groups = (Group(id_of_group(1), "Group", tuple(test.id for test in tests[:2])),)
    plan = Plan(
        seed,
        tests,
        groups,
        _tasks(chance),
        tuple(_incident(chance) for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 4)))),
        triggerers=chance.choice((1, 2, 2)),
        schedulers=chance.choice((1, 1, 2)),
        vendor_skew=chance.choice((0.0, 0.0, -40.0, 25.0)),
        date_skew=chance.choice((0.0, 0.0, 0.0, 5.0, -5.0)),
        list_lag=chance.choice((0.0, 0.0, 0.0, 2.0)),
        worker_skew=chance.choice((0.0, 0.0, 30.0, -30.0)),
    )
    return _impatient(_stopping(_confirming(plan)))


def _confirming(plan: Plan) -> Plan:
    """Some worlds have gates that confirm failures, and a test for them to confirm."""
    chance = random.Random(f"{plan.seed} confirm")
    if chance.random() < 0.75:
        return plan
    first, *others = plan.tests
    plan = replace(
        plan,
        tests=(replace(first, script=chance.choice(("flaky", "flaky", "fails"))), *others),
        tasks=tuple(replace(task, confirm=task.kind != "sensor") for task in plan.tasks),
    )
    return _at_an_address(plan)


_WHILE_CONFIRMING = (
    *("kill_worker", "kill_task", "kill_supervisor", "evict", "clear", "clear"),
    *("mark_failed", "mark_success", "fail_dag_run"),
)


def _at_an_address(plan: Plan) -> Plan:
    """Half of these worlds run a group at an address, so that its failed tests run in a temporary group.

    Most of them have another incident, which meets the task while the group exists.
    """
    chance = random.Random(f"{plan.seed} address")
    if chance.random() < 0.5:
        return plan
    if chance.random() < 0.7:
        what = chance.choice(_WHILE_CONFIRMING)
        details = {"which": 0} if what in ("mark_failed", "mark_success", "clear") else {}
        further = Incident(what, float(chance.randrange(15, 70)), "worker", details)
        plan = replace(plan, incidents=(*plan.incidents, further))
    tasks = tuple(
        replace(task, kind="group", target=1, address=True) if task.confirm else task for task in plan.tasks
    )
    return replace(plan, tasks=tasks)


def _stopping(plan: Plan) -> Plan:
    """Some worlds have groups that stop at their first failure, which comes early, while another test runs long."""
    chance = random.Random(f"{plan.seed} stop")
    if chance.random() < 0.8 or all(task.kind != "group" for task in plan.tasks):
        return plan
    first, second, *others = plan.tests
    failing, slow = replace(first, script="fails", seconds=3.0), replace(second, seconds=70.0)
    return replace(
        plan,
        tests=(failing, slow, *others),
        tasks=tuple(replace(task, stop_after=1 if task.kind == "group" else None) for task in plan.tasks),
    )


def _impatient(plan: Plan) -> Plan:
    """Some worlds refuse submissions for longer than their tasks wait, and then accept those of a retry."""
    chance = random.Random(f"{plan.seed} impatient")
    if chance.random() < 0.95:
        return plan
    refusing = {"kind": "status", "match": "post", "times": 1000, "lasting": 20.0, "retry_after": None}
    at = chance.choice((0.0, chance.uniform(0.0, 120.0)))
    return replace(
        plan,
        incidents=(Incident("fault", at, details={**refusing, "status": chance.choice((429, 503))}),),
        tasks=tuple(
            replace(task, max_outage=8.0, retries=max(1, task.retries), retry_delay=30.0)
            for task in plan.tasks
        ),
    )


def _tasks(chance: random.Random) -> tuple[PlannedTask, ...]:
    shape = chance.choice(("one", "one", "one", "mapped", "two_runs", "two"))

    def task(**more: Any) -> PlannedTask:
        return PlannedTask(
            **{
                "kind": chance.choice(("test", "test", "test", "group", "group", "sensor")),
                "target": 1,
                "deferrable": chance.random() < 0.6,
                "retries": chance.choice((0, 1, 2, 2)),
                "timeout": chance.choice((60.0, 60.0, 120.0, 300.0)),
                "execution_timeout": chance.choice((None, None, None, 40.0)),
                "retry_failed_tests": chance.random() < 0.2,
            }
            | more
        )

    first = task()
    if shape == "one":
        return (first,)
    same = {
        name: getattr(first, name)
        for name in (
            "kind",
            "target",
            "deferrable",
            "retries",
            "timeout",
            "execution_timeout",
            "retry_failed_tests",
        )
    }
    if shape == "mapped":
        return (task(**same, map_index=0), task(**same, map_index=1))
    if shape == "two_runs":
        return (first, task(**same, dag_run="b"))
    return (first, task(task_id="others", kind="test", target=3, timeout=300.0))


_KILLS = ("kill_worker", "kill_task", "kill_supervisor", "kill_triggerer", "pause_triggerer", "pause_worker")
_USERS = ("mark_failed", "mark_success", "clear", "fail_dag_run", "edit_retries", "edit_target", "rotate_key")
_OTHERS = (
    "evict",
    "kill_api",
    "pause_scheduler",
    "foreign_run",
    "fault",
    "fault",
    "fault",
    "lose_connection",
)
_MORE = (
    "full_database",
    "slow_api",
    "pause_dag",
    "clear_other",
    "stop_triggerers",
    "kill_scheduler",
    "upgrade",
)
_ALL = _KILLS * 2 + _USERS * 2 + _OTHERS * 2 + _MORE
_FAULTS = ("reset_before", "reset_after", "reset_after", "refused", "slow_before", "slow_after", "cancelled")
_ANSWERS = ("status", "status_after", "html", "garbage")


def _incident(chance: random.Random) -> Incident:
    what = chance.choice(_ALL)
    role, at = "", chance.choice((chance.uniform(0.0, 12.0), chance.uniform(0.0, SPAN)))
    if chance.random() < 0.35:
        role, at = chance.choice(("worker", "worker", "worker", "triggerer")), float(chance.randrange(1, 40))
    details: dict[str, Any] = {}
    if what == "fault":
        details = _fault(chance)
    elif what.startswith("pause") or what == "stop_triggerers":
        details = {"seconds": round(chance.choice((2.0, 8.0, 50.0, 100.0)) * chance.uniform(0.8, 1.2), 2)}
    elif what in ("edit_retries",):
        details = {"retries": chance.choice((0, 1, 2, 3))}
    elif what in ("lose_connection", "full_database", "slow_api"):
        details = {"seconds": round(chance.uniform(2.0, 60.0), 2)}
    elif what == "foreign_run":
        details = {"source": chance.choice(("scheduled", "structured_test"))}
    elif what == "rotate_key":
        details = {"overlap": chance.choice((-2.0, 0.0, 10.0))}
    elif what in ("mark_failed", "mark_success", "clear", "edit_target"):
        details = {"which": chance.randrange(2)}
    return Incident(what, at, role, details)


def _fault(chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(_FAULTS + _ANSWERS)
    details: dict[str, Any] = {
        "kind": kind,
        "match": chance.choice(("post", "post", "cancel", "get", "list", "all")),
        "times": chance.choice((1, 1, 2, 5, 1000)),
        "lasting": round(chance.choice((3.0, 20.0, 80.0)) * chance.uniform(0.8, 1.2), 2),
    }
    if kind in ("status", "status_after"):
        details["status"] = chance.choice((500, 503, 429, 408, 403) if kind == "status" else (500, 504, 408))
        details["retry_after"] = chance.choice((None, 1.0, 20.0, 75.0))
    elif kind == "html":
        details["status"] = chance.choice((403, 502, 503))
    elif kind.startswith("slow"):
        details["seconds"] = round(chance.choice((2.0, 12.0, 40.0)), 2)
    return details
