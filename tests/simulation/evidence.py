"""What a judge may know of a world: what the service accepted and from whom, how its runs ended, and every state
that a task instance had, when, and through whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tests.simulation.database import TERMINAL, TaskInstance
from tests.simulation.network import Sent
from tests.simulation.plan import PlannedTask
from tests.simulation.vendor import Entry
from tests.simulation.world import Outcome

#: Seconds that a test's end may lie before its task's deadline and still count as in time.
MARGIN = 30.0
#: Seconds for which a request may be on its way, and a new run may be missing from lists, to be found by the look.
LOOKS = 40.0
#: The same where a worker was killed: the next try begins to look within seconds.
LOOKS_AFTER_KILL = 31.0
#: Seconds from the list of runs before a request to the request itself.
LISTED = 5.0
#: Seconds for an answer to a request to start runs. Until then, no other task takes its runs.
PROMPT_ANSWER = 2.0


def _task_of(peer: str) -> str:
    """The name of the task whose try a process is; that of the process itself for any other."""
    return peer.partition(" try ")[0]


def is_round_before(entry: Entry, later: Entry) -> bool:
    """Whether one try has sent both, this one first."""
    return entry.peer == later.peer and entry.at < later.at


def _is_unsettled(sent: Sent) -> bool:
    return sent.settled > sent.at + PROMPT_ANSWER


class Evidence:
    """The log of the service and the states of Airflow, with the questions that a judge asks of them."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.vendor = outcome.vendor
        self.changes = outcome.database.changes
        self.began = {worker.process.name: worker.began for worker in outcome.workers}
        self._entries: dict[str, list[Entry]] = {task.name: [] for task in outcome.database.tasks}
        for entry in self.vendor.log:
            if entry.effect == "submitted":
                owned = self._taken_by_twin(entry) or entry
                self._entries[_task_of(owned.peer)].append(owned)

    def submissions(self, task: TaskInstance) -> list[Entry]:
        """What the service accepted of a task, oldest first."""
        return self._entries[task.name]

    def _taken_by_twin(self, entry: Entry) -> Entry | None:
        """The submission as that of a twin which has its runs instead of those of its own request.

        Nothing tells which of two equal requests has started a run, so they may change their runs. Neither of the
        two has a prompt answer, only the twin has read the runs, and it had listed the runs before they began.
        """
        owner = _task_of(entry.peer)
        readers = {
            _task_of(peer)
            for run_id in entry.run_ids
            for peer in self.vendor.readers.get(run_id, ())
            if " try " in peer
        }
        if owner in readers or len(readers) != 1 or not self._lost(entry.peer, entry.at):
            return None
        (reader,) = readers
        twin = self.outcome.database.find(reader)
        if not self._same_request(self.outcome.database.find(owner), twin):
            return None
        requests = [
            sent
            for sent in self.outcome.sent
            if _task_of(sent.peer) == reader and sent.at <= entry.at + LISTED
        ]
        lost = [sent for sent in requests if _is_unsettled(sent)]
        return replace(entry, peer=lost[-1].peer) if lost else None

    def _lost(self, peer: str, when: float) -> bool:
        """Whether the last request that a process sent before a moment has no prompt answer."""
        sent = [each for each in self.outcome.sent if each.peer == peer and each.at <= when]
        return bool(sent) and _is_unsettled(sent[-1])

    def _same_request(self, one: TaskInstance, other: TaskInstance) -> bool:
        mine, yours = (
            self.outcome.plan.tasks[self.outcome.database.tasks.index(task)] for task in (one, other)
        )
        return (mine.kind, mine.target, mine.address) == (yours.kind, yours.target, yours.address)

    def owner_of(self, run_id: str) -> TaskInstance | None:
        return next(
            (
                task
                for task in self.outcome.database.tasks
                if any(run_id in entry.run_ids for entry in self.submissions(task))
            ),
            None,
        )

    def deeds(self, task: TaskInstance, *what: str) -> list[float]:
        """When users did something to a task, or to its DAG run."""
        names = (task.name, task.dag_run.run_id)
        return [deed.at for deed in self.outcome.deeds if deed.task in names and deed.what in what]

    @property
    def _ambiguous(self) -> bool:
        """Whether somebody started runs that the service shows like a task's own."""
        return any(each.details.get("source") == "structured_test" for each in self.outcome.plan.incidents)

    @property
    def _is_late(self) -> bool:
        """Whether a lost request could take effect, and be listed, only after the look for it had ended."""
        kept = max(
            (fault.seconds for fault in self.outcome.faults if fault.kind == "slow_before"), default=0.0
        )
        return kept + self.outcome.plan.list_lag > (LOOKS_AFTER_KILL if self._killed else LOOKS)

    @property
    def _killed(self) -> bool:
        """Whether a worker was killed, so that it could not finish what it did."""
        killed = {"kill_worker", "kill_task", "kill_supervisor", "evict"}
        return any(each.what in killed for each in self.outcome.plan.incidents)

    def state_at(self, task: TaskInstance, when: float) -> str | None:
        """The state that a task had just before a moment."""
        states = [change.state for change in self.changes if change.task == task.name and change.at < when]
        return states[-1] if states else None

    def ended_by(self, run_id: str, when: float) -> str:
        """How a run had ended by then; ``active`` if it had not."""
        return "active" if self.vendor.ended_at(run_id) > when else self.vendor.state_of(run_id)

    def _counted(self, planned: PlannedTask, entries: Sequence[Entry], run_id: str, when: float) -> str:
        """How the last run of a test had ended, or the one that counts for the test.

        Where the whole group runs again to confirm the failure of one test, the results of the others stay.
        """
        end, known = self.ended_by(run_id, when), self.vendor.store.runs
        if not planned.confirm or end != "failed":
            return end
        (last,) = (entry for entry in entries if run_id in entry.run_ids)
        first = [
            self.ended_by(one, when)
            for entry in entries
            if is_round_before(entry, last)
            for one in entry.run_ids
            if known[one].test.id == known[run_id].test.id
        ][:1]
        return "passed" if first == ["passed"] else end

    def _of_the_same_tests(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, set[str], Entry]]:
        """Each submission, with the last one before it that has one of its tests, and their last runs."""
        known = self.vendor.store.runs
        before: dict[str, Entry] = {}
        for entry in entries:
            tests = {known[run_id].test.id for run_id in entry.run_ids}
            earlier = [before[test] for test in tests if test in before]
            if earlier:
                run_ids = {run_id for each in earlier for run_id in each.run_ids}
                yield max(earlier, key=lambda each: each.at), run_ids, entry
            before.update(dict.fromkeys(tests, entry))

    def _has_twin(self, task: TaskInstance) -> bool:
        """Whether another task asks for the same tests."""
        planned = self.outcome.plan.tasks
        mine = planned[self.outcome.database.tasks.index(task)]
        return sum(each.target == mine.target for each in planned) > 1

    def _last_runs(self, entries: Sequence[Entry]) -> Iterable[str]:
        """The last run of each test."""
        known = self.vendor.store.runs
        return {known[run_id].test.id: run_id for entry in entries for run_id in entry.run_ids}.values()

    def _is_silent(self, when: float) -> bool:
        """Whether the service did not answer at a moment, so that nobody could tell what had ended by then."""
        return any(fault.since <= when <= fault.until + MARGIN for fault in self.outcome.faults)

    def _is_stale(self, task: TaskInstance, entry: Entry) -> bool:
        """Whether a try that was paused between its intent and its POST sent it after a later one had begun.

        No service has an idempotency key and no process can look and send in one step, so that gap stays.
        """
        paused = any(incident.what == "pause_worker" for incident in self.outcome.plan.incidents)
        begun = [
            worker for worker in self.outcome.workers if worker.task is task and worker.began <= entry.at
        ]
        return paused and bool(begun) and begun[-1].process.name != entry.peer

    def _is_newest_try(self, task: TaskInstance, entry: Entry) -> bool:
        names = [worker.process.name for worker in self.outcome.workers if worker.task is task]
        return names[-1] == entry.peer

    def _deferred_or_running(self, task: TaskInstance, when: float) -> bool:
        """Whether it has only waited since, without another try."""
        later = [change for change in self.changes if change.task == task.name and change.at > when]
        return all(change.state in ("scheduled", "queued", "running", *TERMINAL) for change in later) and (
            len({change.try_number for change in later}) <= 1
        )
