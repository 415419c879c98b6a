"""The group runs and test runs of the sandbox's Docket, and their scripts; thread-safe."""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_testerarmy.sandbox.core.errors import bad_request, not_found
from airflow_provider_testerarmy.sandbox.docket.catalog import BLUEPRINTS, CATEGORIES, Blueprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock

FINAL_STATUSES = frozenset({"passed", "failed", "stopped", "error"})

FIRST_GROUP_RUN_ID = 3_501
FIRST_RUN_ID = 38_001


@dataclass(frozen=True, slots=True)
class Course:
    """The scripted course of one run: its attempts, then its statuses.

    :param attempts: whether each attempt passes; an attempt takes the blueprint's duration.
    :param then: the statuses after the last attempt, with their durations in seconds; the last one stays.
    :param kind: how the results are rendered.
    """

    attempts: tuple[bool, ...]
    then: tuple[tuple[str, float], ...]
    kind: Literal["usual", "sparse", "hostile", "contradictory"] = "usual"


_PASSES = Course((True,), (("passed", math.inf),))
_FAILS = Course((False,), (("failed", math.inf),))

#: The n-th run of a blueprint follows the n-th course of its script; after the last course the first one follows.
SCRIPTS: dict[str, tuple[Course, ...]] = {
    "passes": (_PASSES,),
    "fails": (_FAILS,),
    "stopped": (Course((), (("running", 5.0), ("stopped", math.inf))),),
    "retried": (Course((False, True), (("passed", math.inf),)),),
    "retried_in_vain": (Course((False, False), (("failed", math.inf),)),),
    "endless": (Course((), (("running", math.inf),)),),
    # `archived` never changes: a client cannot know whether an unknown status is final.
    "unknown_status": (Course((True,), (("paused", 6.0), ("archived", math.inf))),),
    "sparse": (Course((True,), (("passed", math.inf),), "sparse"),),
    "hostile": (Course((False,), (("failed", math.inf),), "hostile"),),
    "flaky": (_FAILS, _PASSES),
    # The second-to-last step of a passed run failed.
    "passed_with_failed_step": (Course((True,), (("passed", math.inf),), "contradictory"),),
    "error": (Course((), (("running", 6.0), ("error", math.inf))),),
}


@dataclass(slots=True)
class DocketRun:
    """A test run; times are epoch seconds of the sandbox's clock.

    :param forced: the status that the control API set, and when.
    """

    id: int
    group_run_id: int
    blueprint: Blueprint
    course: Course
    created: float
    visible_from: float = -math.inf
    forced: tuple[str, float] | None = None
    is_login: bool = False

    def status(self, now: float) -> str:
        """Return the status at this time."""
        return self._timeline(now)[0]

    def changed(self, now: float) -> float:
        """Return when the run took the status that it has at this time."""
        return self._timeline(now)[1]

    def ended(self, now: float) -> bool:
        """Whether the run has ended; an unknown status counts as active."""
        return self.status(now) in FINAL_STATUSES

    def finished_attempts(self, now: float) -> tuple[bool, ...]:
        """Return, for each finished attempt, whether it passed."""
        until = self.forced[1] if self.forced else now
        ends = (
            self.created + self.blueprint.seconds * number
            for number in range(1, len(self.course.attempts) + 1)
        )
        return self.course.attempts[: sum(end <= until for end in ends)]

    def _timeline(self, now: float) -> tuple[str, float]:
        if self.forced is not None and self.forced[1] <= now:
            return self.forced
        status, since = "running", self.created
        begins = self.created + self.blueprint.seconds * len(self.course.attempts)
        for following, seconds in self.course.then:
            if begins > now:
                break
            status, since = following, begins
            begins += seconds
        return status, since


@dataclass(frozen=True, slots=True)
class GroupRun:
    """The runs that one trigger started."""

    id: int
    name: str
    created: float
    runs: tuple[DocketRun, ...]
    github_context: dict[str, str] | None = None

    def status(self, now: float) -> str:
        """Return the status of the group run."""
        statuses = {run.status(now) for run in self.runs}
        if not statuses <= FINAL_STATUSES:
            return "running"
        return next((status for status in ("failed", "error", "stopped") if status in statuses), "passed")


class DocketStore:
    """Starts and finds runs. Docket's public API can neither list nor cancel them."""

    def __init__(self, clock: SandboxClock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        # Ids are unique even across resets, so that a client's stale id never names a new run.
        self._group_ids = itertools.count(FIRST_GROUP_RUN_ID)
        self._run_ids = itertools.count(FIRST_RUN_ID)
        self.clear()

    def clear(self) -> None:
        """Delete all runs and all changes of blueprints."""
        with self.lock:
            self.runs: dict[int, DocketRun] = {}
            self.group_runs: dict[int, GroupRun] = {}
            self.script_overrides: dict[int, str] = {}
            self._ordinals: Counter[tuple[str, int]] = Counter()

    def submit(
        self,
        blueprint_ids: Sequence[int],
        github_context: dict[str, str] | None = None,
        list_lag: float = 0.0,
    ) -> GroupRun:
        """Start a run of each blueprint.

        :param list_lag: how long the runs stay hidden, in sandbox seconds.
        :raises ApiError: a blueprint does not exist (404), or there are none (400).
        """
        with self.lock:
            blueprints = [self.find_blueprint(blueprint_id) for blueprint_id in blueprint_ids]
            if not blueprints:
                raise bad_request("BAD_REQUEST", "There are no tests to run")
            now = self.clock.time()
            group_id, kind = next(self._group_ids), "CI" if github_context else "Manual"
            # A blueprint that needs a login adds a run with `is_login_test_run`, so the response may have more runs
            # than the request has blueprints.
            logins = [
                self.find_blueprint(login)
                for login in dict.fromkeys(one.login for one in blueprints)
                if login
            ]
            planned = [(one, True) for one in logins] + [(one, False) for one in blueprints]
            runs = tuple(
                DocketRun(
                    next(self._run_ids),
                    group_id,
                    blueprint,
                    self._course(blueprint),
                    now,
                    now + list_lag,
                    is_login=is_login,
                )
                for blueprint, is_login in planned
            )
            group = GroupRun(group_id, f"{kind} Run {group_id}", now, runs, github_context)
            self.group_runs[group_id] = group
            self.runs |= {run.id: run for run in runs}
            return group

    def _course(self, blueprint: Blueprint) -> Course:
        script = self.script_overrides.get(blueprint.id, blueprint.script)
        ordinal = self._ordinals[script, blueprint.id]
        self._ordinals[script, blueprint.id] += 1
        courses = SCRIPTS[script]
        return courses[ordinal % len(courses)]

    def find_blueprint(self, blueprint_id: int) -> Blueprint:
        """Return a blueprint, or raise NOT_FOUND."""
        blueprint = BLUEPRINTS.get(blueprint_id)
        if blueprint is None:
            raise not_found(f"Test blueprint {blueprint_id} not found")
        return blueprint

    def find_category(self, category_id: int) -> tuple[int, ...]:
        """Return the ids of a category's blueprints, or raise NOT_FOUND."""
        if category_id not in CATEGORIES:
            raise not_found(f"Test blueprint category {category_id} not found")
        return CATEGORIES[category_id]

    def find_run(self, run_id: int) -> DocketRun:
        """Return a run, or raise NOT_FOUND."""
        run = self.runs.get(run_id)
        if run is None:
            raise not_found(f"Test run {run_id} not found")
        return run

    def force(self, run_id: int, status: str) -> DocketRun:
        """Set the status of a run now, whatever its script says."""
        with self.lock:
            run = self.find_run(run_id)
            run.forced = (status, self.clock.time())
            return run

    def override_script(self, blueprint_id: int, script: str | None) -> None:
        """Change the script that the next runs of a blueprint follow; None restores its own."""
        with self.lock:
            self.find_blueprint(blueprint_id)
            if script is None:
                self.script_overrides.pop(blueprint_id, None)
            elif script in SCRIPTS:
                self.script_overrides[blueprint_id] = script
            else:
                raise bad_request(
                    "BAD_REQUEST", f"Unknown script {script!r}; use one of {', '.join(sorted(SCRIPTS))}"
                )

    def active_run_ids(self) -> list[int]:
        """Return the ids of all runs that have not ended."""
        with self.lock:
            now = self.clock.time()
            return [run.id for run in self.runs.values() if not run.ended(now)]

    def count_by_status(self) -> dict[str, int]:
        """Return the number of runs per status."""
        with self.lock:
            now = self.clock.time()
            return dict(Counter(run.status(now) for run in self.runs.values()))
