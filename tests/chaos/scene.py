"""One case: its task, its runs, the actions on them, and what the sandbox recorded."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from airflow_provider_testerarmy.sandbox.core.faults import Fault, Kind
from airflow_provider_testerarmy.sandbox.core.requestlog import LogEntry
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy.engine import Run, is_active
from tests.chaos.cases import Case, Outcome
from tests.chaos.catalog import MAPPED_GROUPS, case_group, case_test
from tests.chaos.stage import TASK, Stage, connection, new_service
from tests.rig.airflow import WorkerProcess
from tests.rig.rest import NotFoundError, RestError
from tests.rig.waiting import TimedOutError, eventually

T = TypeVar("T")

FINAL = frozenset({"success", "failed", "skipped"})
SETTLE_SECONDS = 240.0
#: Airflow fails, and retries, a deferred task that resumes before the scheduler has seen its worker end.
#: After this many polls, the scheduler has seen it.
LOOKS = 4


class Scene:
    """A running case.

    :param number: a unique number, from which its test, group and prompt are derived.
    """

    def __init__(self, stage: Stage, case: Case, number: int) -> None:
        self.stage = stage
        self.case = case
        self.number = number
        self.dag_id = f"chaos_{case.kind}_{case.mode}_{case.retries}"
        if case.kind in ("limited", "mapped"):
            self.dag_id = "chaos_mapped" if case.kind == "mapped" else f"chaos_limited_{case.mode}"
        if case.kind == "own":
            self.dag_id = f"chaos_own_{number}"
        self.run_id = ""
        self.targets: set[str] = {self.target}
        self._edit = 0
        self.service: SandboxServer = new_service().start() if case.own_service else stage.service
        self.outcome = Outcome(case)
        self.since = time.monotonic()

    @property
    def sandbox(self) -> Sandbox:
        """The state of the sandbox that the task uses."""
        return self.service.control

    # starting

    @property
    def target(self) -> str:
        """The test's or group's id, or the prompt."""
        if self.case.kind == "prompt":
            return f"[sandbox:passes] Case {self.number}: look at https://shop.example/{self.number}"
        return case_group(self.number) if self.case.kind == "group" else case_test(self.number)

    @property
    def submission(self) -> str:
        """The request that starts the runs, as faults match it."""
        if self.case.kind == "prompt":
            return "POST /runs"
        return f"POST /{'groups' if self.case.kind == 'group' else 'tests'}/{self.target}/runs"

    def fault(self, kind: Kind, match: str, **options: Any) -> Fault:
        """Add a fault for matching requests."""
        return self.sandbox.faults.add(kind, match, **options)

    def script(self, name: str | None) -> None:
        """Set the script that the next runs of the case's test follow."""
        self.sandbox.store.override_script(case_test(self.number), name)

    def start(self, **conf: object) -> None:
        """Start the DAG run; extra options of its connection are given as ``extra``."""
        extra = conf.pop("extra", None)
        if extra or self.case.own_service:
            conf["conn_id"] = f"chaos_{self.number}"
            fields: Any = connection(self.service, **(extra if isinstance(extra, dict) else {}))
            self.stage.airflow.create_connection(str(conf["conn_id"]), **fields)
        self.moment()
        self.run_id = self.stage.airflow.trigger_dag(self.dag_id, {"target": self.target, **conf})

    def write_dag(self, *, head: str = "", **options: Any) -> None:
        """Write the case's own DAG file, or edit it, and wait until Airflow has parsed it.

        :param head: further lines of the file.
        :param options: as `own.build` takes them.
        """
        self._edit += 1
        deferrable = self.case.mode == "deferrable"
        known = {"edit": self._edit, "test_id": self.target, "retries": self.case.retries}
        arguments = ", ".join(
            f"{name}={value if name == 'operator' else repr(value)}"
            for name, value in {**known, "deferrable": deferrable, **options}.items()
        )
        lines = ["from tests.chaos.own import build  # a DAG of airflow", head]
        path = self.stage.airflow.dags_folder / f"{self.dag_id}.py"
        path.write_text("\n".join([*lines, f"dag = build({self.dag_id!r}, {arguments})", ""]))
        self.until(self._is_parsed, "its DAG file parsed")

    def _is_parsed(self) -> bool:
        try:
            task = self.stage.airflow.rest.get(f"/dags/{self.dag_id}/tasks/{TASK}")
        except NotFoundError:
            return False
        return bool(task["doc_md"] == f"edit {self._edit}")

    def moment(self) -> None:
        """Start the clock for the table's seconds: the fault happens now."""
        self.since = time.monotonic()

    def note_delay(self) -> None:
        """Record how long Airflow took to accept the user's action."""
        self.outcome.note = f"done after {(time.monotonic() - self.since) * 1000:.0f} ms"

    # looking

    def until(self, predicate: Callable[[], T | None], what: str, timeout: float = 60) -> T:
        """Wait for a condition; the message of a time-out names this case."""
        return eventually(predicate, timeout, f"{self.case.name}: {what}", state=self.describe, interval=0.1)

    def state(self) -> str:
        """Return the task's state; of a mapped task, the one that all share or the list of them."""
        rows = self.stage.rows(self.dag_id, self.run_id)
        if self.case.kind == "mapped" and len(rows) < len(MAPPED_GROUPS):
            return "expanding"
        return "/".join(sorted({str(row["state"]) for row in rows})) or "none"

    def max_tries(self) -> int:
        """Return the task's `max_tries`."""
        return max(row["max_tries"] for row in self.stage.rows(self.dag_id, self.run_id))

    def tries(self) -> int:
        """Return the number of the task's current try."""
        return max((row["try_number"] for row in self.stage.rows(self.dag_id, self.run_id)), default=0)

    def wait_state(self, states: str | Collection[str], timeout: float = 60) -> None:
        """Wait until the task is in one of these states."""
        wanted = {states} if isinstance(states, str) else set(states)
        self.until(lambda: self.state() in wanted, f"task in {sorted(wanted)}", timeout)

    def wait_state_closely(self, state: str, timeout: float = 60) -> None:
        """Wait for a state, and return within milliseconds after it is stored."""
        eventually(lambda: self.state() == state, timeout, f"{self.case.name}: {state}", interval=0.005)

    def runs(self) -> list[Run]:
        """Return every run that the service ever started for this case, oldest first."""
        return [run for run in list(self.sandbox.store.runs.values()) if self._is_mine(run)]

    def active(self) -> list[Run]:
        """Return the runs that have not ended."""
        now = self.sandbox.clock.time()
        return [run for run in self.runs() if is_active(run, now)]

    def posts(self) -> list[LogEntry]:
        """Return the submissions that took effect, whatever response was sent."""
        mine = {run.id for run in self.runs()}
        return [entry for entry in self.sandbox.log.submissions() if mine & set(map(str, entry.run_ids))]

    def calls(self, match: str, since: int = 0) -> list[LogEntry]:
        """Return the requests, after number ``since``, whose method and path match."""
        entries = self.sandbox.log.entries(since=since)
        return [entry for entry in entries if fnmatchcase(f"{entry.method} {entry.path}", match)]

    def wait_call(self, match: str, since: int = 0, timeout: float = 60) -> LogEntry:
        """Wait for such a request."""
        found = self.until(lambda: self.calls(match, since), f"a request {match}", timeout)
        return found[0]

    def wait_run(self, timeout: float = 60) -> Run:
        """Wait until the service has started a run."""
        return self.until(self.runs, "a run", timeout)[0]

    def looks(self, since: int = 0) -> list[LogEntry]:
        """Return the polls of the run: single reads or, by the triggerer's poller, lists of active runs."""
        looks = self.calls(f"GET /runs/{self.wait_run().id}", since)
        if self.case.mode == "deferrable":
            looks += [entry for entry in self.calls("GET /runs", since) if "status=" in entry.query]
        return looks

    def wait_polled(self, since: int = 0, timeout: float = 60) -> LogEntry:
        """Wait until the run is polled, so that its id is known and the task waits for it."""
        return self.until(lambda: self.looks(since), "a poll of the run", timeout)[0]

    def wait_deferred(self) -> None:
        """Wait until the task is deferred, its trigger polls, and the scheduler has processed the deferral."""
        self.wait_state("deferred")
        before = self.now()
        self.until(lambda: len(self.looks(before)) >= LOOKS, f"{LOOKS} polls by the trigger")

    def now(self) -> int:
        """Return the number of the newest request, to look for later ones."""
        entries = self.sandbox.log.entries()
        return entries[-1].sequence if entries else 0

    def stays(self, states: Collection[str], seconds: float) -> None:
        """Check for some time that the task stays in these states."""
        with contextlib.suppress(TimedOutError):
            left = eventually(
                lambda: state if (state := self.state()) not in states else None, seconds, "still"
            )
            raise AssertionError(f"{self.case.name}: the task was {left} although nothing had ended yet")

    def log(self, try_number: int = 1) -> str:
        """Return the task's log of one try."""
        return self.stage.airflow.task_log(self.dag_id, self.run_id, TASK, try_number)

    def log_of(self, row: Mapping[str, Any]) -> str:
        """Return the log of the last try of one instance of a mapped task."""
        return self.stage.airflow.task_log(
            self.dag_id, self.run_id, TASK, row["try_number"], map_index=row["map_index"]
        )

    # acting

    def worker(self) -> WorkerProcess:
        """Return the processes of the task, which is running."""
        self.wait_state("running")
        return self.stage.airflow.worker_pids(self.dag_id, TASK, self.run_id)[0]

    def lose_worker(self) -> None:
        """SIGKILL the task together with its supervisor: Airflow only notices that heartbeats stop."""
        worker = self.worker()
        self.moment()
        worker.kill_supervisor(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)

    def signal_worker(self, sig: signal.Signals) -> None:
        """Send a signal to the process that runs the operator."""
        worker = self.worker()
        self.moment()
        worker.kill(sig)

    def act(self, action: str) -> None:
        """Do a user's action: "failed", "success", "clear", or "run failed"."""
        airflow = self.stage.airflow
        self.moment()
        if action == "clear":
            self.clear("passes")
        elif action == "run failed":
            airflow.set_dag_run_state(self.dag_id, self.run_id, "failed")
        else:
            airflow.set_task_state(self.dag_id, self.run_id, TASK, action)

    def clear(self, script: str) -> None:
        """Clear the task; its next run follows this script."""
        self.script(script)
        self.moment()
        self.stage.airflow.clear_task(self.dag_id, self.run_id, TASK)

    def finish_runs(self) -> None:
        """Let every active run pass now."""
        for run in self.active():
            self.sandbox.store.force(run.id, script="passes")

    def settle(self, timeout: float = SETTLE_SECONDS) -> None:
        """Wait until the task has ended and at most the allowed runs are active, and record the duration."""
        self.until(lambda: self.state() in FINAL, "the task's end", timeout)
        self.until(lambda: len(self.active()) <= self.case.active, "the end of its runs", 30)
        self.outcome.seconds = time.monotonic() - self.since

    # judging

    def judge(self) -> Outcome:
        """Fill in the outcome. This happens long after the end, so that late effects are not missed."""
        outcome = self.outcome
        if self.run_id:
            outcome.posts, outcome.active = len(self.posts()), len(self.active())
            outcome.state, outcome.tries = self.state(), self.tries()
        if outcome.problems():
            outcome.details = f"{self.describe(logs=True)}\n{outcome.details}"
        if self.case.own_service:
            self.service.stop()
        return outcome

    def describe(self, *, logs: bool = False) -> str:
        """Describe the current state of the case, for messages."""
        if not self.run_id:
            return "not started"
        lines = [f"{self.dag_id} {self.run_id}: {self.state()}, try {self.tries()}"]
        lines += [f"run {run.id} {run.script} cancelled={run.cancelled}" for run in self.runs()]
        if logs:
            lines += [
                f"{e.at:.1f} {e.method} {e.path} {e.answered} {e.fault or ''}" for e in self._my_calls()
            ]
            for number in range(1, self.tries() + 1):
                with contextlib.suppress(RestError):
                    lines += [f"--- log of try {number}", self.log(number)]
        return "\n".join(lines)

    def _my_calls(self) -> list[LogEntry]:
        ids = {run.id for run in self.runs()} | self.targets
        mine = [e for e in self.sandbox.log.entries() if any(i in e.path + e.query for i in ids)]
        return mine[:30] + mine[-30:] if len(mine) > 60 else mine

    def _is_mine(self, run: Run) -> bool:
        if self.case.kind == "prompt":
            return run.input.get("prompt") == self.target
        if self.case.kind == "mapped":
            batch = self.sandbox.store.batches.get(run.batch_id or "")
            return batch is not None and batch.group.id in MAPPED_GROUPS
        if self.case.kind == "group":
            batch = self.sandbox.store.batches.get(run.batch_id or "")
            return batch is not None and batch.group.id == self.target
        return run.test is not None and run.test.id in self.targets
