"""Whether a world kept the promises, by the vendor's log and Airflow's states alone.

The judge knows nothing of the provider's code.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulation.database import TERMINAL, TaskInstance
from tests.simulation.evidence import MARGIN, Evidence, is_round_before
from tests.simulation.plan import Incident, PlannedTask
from tests.simulation.vendor import Entry
from tests.simulation.world import Outcome

#: Seconds after the end of a task, and of all disorder, within which its runs have to be over.
PROMISED = 120.0
#: Seconds after which the listener has made its last attempt.
LAST_ATTEMPT = 660.0
#: Seconds from the end of the last run to the end of its task, where nothing was out of order.
PROMPT = 60.0
#: Seconds past its deadline for which a run may go on, where nothing is out of order.
LATE = 45.0
_BRIEF = ("kill_triggerer", "kill_api", "foreign_run", "clear_other", "pause_dag")


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept.

    :param promise: its short name.
    """

    promise: str
    task: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.task}: {self.what}"


def judge(outcome: Outcome) -> list[Violation]:
    """All violations of a world that has come to its end."""
    return list(_Judge(outcome).violations())


class _Judge(Evidence):
    def violations(self) -> Iterator[Violation]:
        for planned, task in zip(self.outcome.plan.tasks, self.outcome.database.tasks, strict=True):
            yield from self._started_once(planned, task)
            yield from self._never_left_behind(task)
            yield from self._leaves_no_group(task)
            yield from self._never_passed_without_a_pass(planned, task)
            yield from self._confirms_once(planned, task)
            yield from self._never_failed_by_a_hiccup(planned, task)
            yield from self._asks_again(planned, task)
            yield from self._ends(planned, task)
            yield from self._keeps_its_deadline(planned, task)
        yield from self._nobody_elses()
        yield from self._orderly()

    def _started_once(self, planned: PlannedTask, task: TaskInstance) -> Iterator[Violation]:
        """A further submission needs a reason: a clear, an edit, a time-out, or a run that came to nothing."""
        siblings = [other for other in self.outcome.database.tasks if other.dag_run is task.dag_run]
        # A clear of anything in the DAG run may cost a run; Airflow does not tell the two apart.
        reasons = [when for other in siblings for when in self.deeds(other, "clear", "clear_other", "edit")]
        entries = [entry for entry in self.submissions(task) if not self._is_stale(task, entry)]
        for before, run_ids, entry in self._of_the_same_tests(entries):
            # A request may take effect long after it was sent, and the clear have come between.
            since = min(before.at, self.began[before.peer]) - 5.0
            asked = any(since <= when <= entry.at for when in reasons)
            ends = {self.ended_by(run_id, entry.at) for run_id in run_ids}
            timed_out = entry.at > before.at + _limit(planned)
            if "active" in ends and self._is_late:
                continue
            worth = {"errored", "cancelled", "unknown"}
            # The verdict counts what a try has run before a confirming round, too.
            rounds = [each for each in entries if planned.confirm and is_round_before(each, before)]
            ends |= worth & {self.ended_by(run_id, entry.at) for each in rounds for run_id in each.run_ids}
            if planned.retry_failed_tests or planned.confirm:
                worth.add("failed")
            if not asked and not timed_out and not ends & worth:
                said = ", ".join(sorted(ends))
                yield Violation(
                    "started once",
                    task.name,
                    f"submitted at {before.at:.2f} and, with those runs {said}, again at {entry.at:.2f}",
                )

    def _confirms_once(self, planned: PlannedTask, task: TaskInstance) -> Iterator[Violation]:
        """A gate that asks for two failures gives each test two runs, unless something else asks for more."""
        known, entries = self.vendor.store.runs, self.submissions(task)
        runs = [known[run_id] for entry in entries for run_id in entry.run_ids]
        ended = {self.vendor.state_of(run.id) for run in runs}
        # The runs of a try that timed out may have ended since. Its next try starts and confirms anew.
        if any(entry.at > entries[0].at + _limit(planned) for entry in entries):
            return
        if not planned.confirm or planned.retry_failed_tests or ended - {"passed", "failed"}:
            return
        if _AGAIN & {each.what for each in self.outcome.plan.incidents}:
            return
        test_id, count = Counter(run.test.id for run in runs).most_common(1)[0] if runs else ("", 0)
        if count > 2:
            yield Violation(
                "started once", task.name, f"test {test_id[-1]} had {count} runs to confirm a failure"
            )

    def _never_left_behind(self, task: TaskInstance) -> Iterator[Violation]:
        if task.state not in TERMINAL or self._nobody_could_cancel(task):
            return
        over = max(task.end_date, self.outcome.calm_since) + PROMISED
        now = self.outcome.world.now
        for entry in self.submissions(task):
            for run_id in entry.run_ids if not self._is_stale(task, entry) else ():
                if self.vendor.ended_at(run_id) > max(over, now - 1.0):
                    yield Violation(
                        "never left behind",
                        task.name,
                        f"run {run_id[:8]}, submitted at {entry.at:.2f}, is active at {now:.0f}; the task is "
                        f"{task.state} since {task.end_date:.2f}",
                    )

    def _leaves_no_group(self, task: TaskInstance) -> Iterator[Violation]:
        """A temporary group is deleted, and by nobody but the task that created it, and the listener."""
        log = self.vendor.group_log
        own = {
            each.group_id: each.at
            for each in log
            if each.effect == "created" and each.peer.startswith(f"{task.name} try")
        }
        for each in log:
            if each.effect == "deleted" and each.group_id in own:
                by = each.peer.partition(" try ")[0] if " try " in each.peer else task.name
                if by != task.name:
                    yield Violation("nobody else's", task.name, f"its group was deleted by {each.peer}")
        if task.state not in TERMINAL or self._nobody_could_cancel(task) or self._cannot_delete(task):
            return
        left = sorted(own.keys() & self.vendor.store.catalog.groups.keys())
        # A worker that is lost during a request may have started runs of the group. The listener searches them, and
        # deletes the group with its last attempt.
        promised = LAST_ATTEMPT if self._killed else PROMISED
        if left and self.outcome.world.now > max(task.end_date, self.outcome.calm_since) + promised:
            what = f"group {left[0][:8]}, created at {own[left[0]]:.2f}, is left; the task is {task.state}"
            yield Violation("never left behind", task.name, f"{what} since {task.end_date:.2f}")

    def _cannot_delete(self, task: TaskInstance) -> bool:
        """Whether the service answered wrongly while a task ended; a later try deletes its group then."""
        return any(
            fault.since <= task.end_date + MARGIN and fault.until >= task.end_date - MARGIN
            for fault in self.outcome.faults
        )

    def _nobody_could_cancel(self, task: TaskInstance) -> bool:
        """Whether a world had one of the limits that docs/reliability.md lists for this promise."""
        incidents = {incident.what for incident in self.outcome.plan.incidents}
        # With two tasks that ask for the same, or runs of somebody else, a lost answer cannot be settled.
        unanswered = any(each.details.get("match") in ("post", "all") for each in self.outcome.plan.incidents)
        deeds = self.deeds(task, "mark_failed", "mark_success")
        if (self._killed or unanswered) and (self._ambiguous or self._has_twin(task)):
            return True
        # A record of the version before names no target, so nobody can look up a request whose worker was lost, or
        # killed because it waited for the answer when a user marked the task.
        if "upgrade" in incidents and (self._killed or (unanswered and deeds)):
            return True
        errors = [worker.error for worker in self.outcome.workers if worker.task is task]
        if errors[-1:] == ["SubmissionUnclear"]:
            # The task says which runs may be its own, and a person decides.
            return True
        # The task has sent such a request again, and waits for the second run only.
        if self._is_late:
            return True
        # A record of another target that the current key has not signed may be forged, so nothing is touched.
        if {"rotate_key", "edit_target"} <= incidents:
            return True
        # A listener that is killed, or a worker that Airflow keeps waiting until SIGKILL, cancels nothing.
        return "kill_scheduler" in incidents or (bool({"kill_api", "slow_api"} & incidents) and bool(deeds))

    def _never_passed_without_a_pass(self, planned: PlannedTask, task: TaskInstance) -> Iterator[Violation]:
        clears = self.deeds(task, "clear")
        for change in self.changes:
            if (change.task, change.state, change.cause) != (task.name, "success", "itself"):
                continue
            since = max((when for when in clears if when <= change.at), default=-math.inf)
            sent = [
                entry
                for entry in self.submissions(task)
                if since <= self.began[entry.peer] and entry.at <= change.at
            ]
            # What a paused try sent late counts only if a later try has found it and sent nothing of its own.
            entries = [entry for entry in sent if not self._is_stale(task, entry)] or sent
            if planned.kind == "sensor":
                run_ids = list(task.spec.parameters["run_ids"])
            else:
                run_ids = [run_id for entry in entries for run_id in entry.run_ids]
            # A record of the version before counts no clears: a retry takes its runs for those of its own.
            upgraded = any(each.what == "upgrade" for each in self.outcome.plan.incidents)
            if not run_ids and not self._ambiguous and not (upgraded and clears):
                what = f"passed at {change.at:.2f}, nothing was submitted"
                yield Violation("never passed without a pass", task.name, what)
            if not run_ids:
                continue
            # The last run of each test counts: an earlier one may have failed, and the test run again. A task that
            # runs one test has another one after an edit.
            known = self.vendor.store.runs
            last = {known[run_id].test.id: run_id for run_id in run_ids}
            if planned.kind == "test":
                last = {known[run_ids[-1]].test.id: run_ids[-1]}
            ends = {self._counted(planned, entries, run_id, change.at) for run_id in last.values()}
            if "passed" not in ends or not ends <= {"passed", "skipped"}:
                what = f"passed at {change.at:.2f} with its runs {', '.join(sorted(ends))}"
                yield Violation("never passed without a pass", task.name, what)

    def _never_failed_by_a_hiccup(self, planned: PlannedTask, task: TaskInstance) -> Iterator[Violation]:
        plan = self.outcome.plan
        ended = [change for change in self.changes if change.task == task.name][-1:]
        if not ended or ended[0].state != "failed" or ended[0].cause != "itself":
            return
        if planned.execution_timeout or not all(_is_tolerable(each) for each in plan.incidents):
            return
        if sum(each.details.get("lasting", 0.0) for each in plan.incidents) > planned.max_outage - 20.0:
            return
        entries = self.submissions(task)
        ends = [self.vendor.ended_at(run_id) for entry in entries[-1:] for run_id in entry.run_ids]
        last = (
            self._last_runs(entries)
            if planned.confirm
            else [one for each in entries[-1:] for one in each.run_ids]
        )
        passed = entries and all(self.vendor.state_of(run_id) == "passed" for run_id in last)
        in_time = ends and max(ends) < entries[-1].at + planned.timeout - MARGIN
        errors = [worker.error for worker in self.outcome.workers if worker.task is task]
        if errors[-1:] == ["WaitTimedOut"] and self._is_silent(entries[-1].at + planned.timeout):
            return
        unclear = errors[-1:] == ["SubmissionUnclear"] and (
            self._ambiguous or self._has_twin(task) or self._is_late
        )
        if passed and in_time and not unclear:
            yield Violation(
                "never failed by a hiccup", task.name, f"its runs passed, it failed: {errors[-1:]}"
            )

    def _asks_again(self, planned: PlannedTask, task: TaskInstance) -> Iterator[Violation]:
        """A retry starts what no earlier try could start, unless the service answers wrongly again."""
        ended = [change for change in self.changes if change.task == task.name][-1:]
        workers = [worker for worker in self.outcome.workers if worker.task is task]
        if planned.kind == "sensor" or not workers or self.submissions(task):
            return
        if not ended or (ended[0].state, ended[0].cause) != ("failed", "itself"):
            return
        if any(each.what != "fault" for each in self.outcome.plan.incidents):
            return
        began = workers[-1].began
        if not any(fault.since <= ended[0].at and fault.until >= began for fault in self.outcome.faults):
            what = f"failed at {ended[0].at:.2f} without a request, though the service answered"
            yield Violation("never failed by a hiccup", task.name, what)

    def _ends(self, planned: PlannedTask, task: TaskInstance) -> Iterator[Violation]:
        if task.state not in TERMINAL:
            yield Violation("every wait ends", task.name, f"is {task.state} at the end")
            return
        ends = [self.vendor.ended_at(run_id) for entry in self.submissions(task) for run_id in entry.run_ids]
        finished = [end for end in ends if end < self.outcome.world.now]
        if not finished or task.state not in ("success", "failed"):
            return
        orderly = max(*finished, self.outcome.calm_since)
        if task.end_date > orderly + PROMPT and self._deferred_or_running(task, orderly):
            yield Violation(
                "every wait ends",
                task.name,
                f"its last run ended at {max(finished):.2f}, all was in order from {orderly:.2f}, "
                f"it ended at {task.end_date:.2f}",
            )

    def _keeps_its_deadline(self, planned: PlannedTask, task: TaskInstance) -> Iterator[Violation]:
        # The time-out begins when the task has the answer to its request.
        incidents = self.outcome.plan.incidents
        paused = sum(each.details["seconds"] for each in incidents if each.what == "pause_worker")
        for entry in self.submissions(task):
            # Without an answer, the task looks its run up. It pauses for up to 30 s between two lookups.
            lost = [fault.until for fault in self.outcome.faults if fault.since <= entry.at <= fault.until]
            answered = max((entry.at, *(until + MARGIN for until in lost)))
            deadline = answered + planned.timeout + paused
            # A run that a later try found has a deadline from then on.
            if deadline < self.outcome.calm_since or not self._is_newest_try(task, entry):
                continue
            late = [run_id for run_id in entry.run_ids if self.vendor.ended_at(run_id) > deadline + LATE]
            waits = self.state_at(task, deadline) in ("deferred", "running")
            if late and waits and entry is self.submissions(task)[-1]:
                yield Violation(
                    "every wait ends",
                    task.name,
                    f"run {late[0][:8]}, submitted at {entry.at:.2f}, goes on past its deadline {deadline:.2f}",
                )

    def _nobody_elses(self) -> Iterator[Violation]:
        for entry in self.vendor.log:
            if entry.effect != "cancelled":
                continue
            for run_id in entry.run_ids:
                owner = self.owner_of(run_id)
                name = owner.name if owner else "nobody of ours"
                wrong = self._wrong_cancel(entry, owner)
                if wrong:
                    yield Violation(
                        "nobody else's",
                        name,
                        f"run {run_id[:8]} is cancelled by {entry.peer} at {entry.at:.2f}, {wrong}",
                    )

    def _wrong_cancel(self, entry: Entry, owner: TaskInstance | None) -> str:
        if owner is None:
            return "" if self._ambiguous else "which no task has submitted"
        if " try " in entry.peer:
            return "" if entry.peer.startswith(f"{owner.name} try") else "the run of another task"
        planned = self.outcome.plan.tasks[self.outcome.database.tasks.index(owner)]
        entries = self.submissions(owner)
        posted = next(each.at for each in entries if set(each.run_ids) & set(entry.run_ids))
        if planned.confirm:
            # The time-out counts for all rounds of a try.
            posted = entries[0].at
        state = self.state_at(owner, entry.at)
        if state == "deferred" and entry.at < posted + planned.timeout - 35.0:
            newest = entries[-1]
            if set(newest.run_ids) & set(entry.run_ids):
                return "while its task waits for it"
        return ""

    def _orderly(self) -> Iterator[Violation]:
        for worker in self.outcome.workers:
            if worker.escaped is not None:
                yield Violation("orderly", worker.task.name, f"{worker.escaped!r} left the operator")
        for triggerer in self.outcome.triggerers:
            if not triggerer.process.alive:
                continue
            pending = [task for task in triggerer.loop.tasks if not task.done()]
            if pending:
                yield Violation(
                    "orderly", triggerer.name, f"{len(pending)} tasks are left in the loop: {pending[:3]}"
                )
            for error in triggerer.loop.errors:
                yield Violation("orderly", triggerer.name, f"an error nobody handled: {error}")


#: Incidents that may cost a run.
_AGAIN = frozenset({"clear", "clear_other", "edit_target", "pause_worker"})


def _is_tolerable(incident: Incident) -> bool:
    """Whether a task has to survive an incident without a retry."""
    if incident.what == "fault":
        details: dict[str, Any] = incident.details
        return not (details["kind"] == "status" and details.get("status") == 403)
    if incident.what == "rotate_key":
        return bool(incident.details["overlap"] >= 0)
    return incident.what in _BRIEF


def _limit(planned: PlannedTask) -> float:
    """Seconds after which a try times out."""
    return min(planned.timeout, planned.execution_timeout or planned.timeout)
