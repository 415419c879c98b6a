"""The runs and batches of the sandbox's TesterArmy, in memory; thread-safe."""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request, conflict, not_found
from airflow_provider_testerarmy.sandbox.core.times import to_millis
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Catalog
from airflow_provider_testerarmy.sandbox.testerarmy.engine import Run, ended_at, is_active, status_at
from airflow_provider_testerarmy.sandbox.testerarmy.scripts import SCRIPTS, Outcome, Script
from airflow_provider_testerarmy.sandbox.testerarmy.workspace import Workspace

if TYPE_CHECKING:
    from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
    from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Group, SavedTest
    from airflow_provider_testerarmy.sandbox.testerarmy.workspace import ObjectStore

REJECTED = SCRIPTS["rejected"].outcomes[0]
PROMPT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The options of a submission, without the test or group itself.

    :param list_lag: how long the runs stay hidden, in sandbox seconds.
    :param foreign: who starts the runs; None for the client under test.
    """

    input: dict[str, Any] = field(default_factory=dict)
    platform: str | None = None
    device_model: str | None = None
    mode: str = "fast"
    webhook_url: str | None = None
    target_url: str | None = None
    external_ref: dict[str, Any] | None = None
    list_lag: float = 0.0
    foreign: str | None = None


@dataclass(slots=True)
class Batch:
    """The runs that one trigger of a group started."""

    id: str
    group: Group
    request: RunRequest
    runs: list[Run]
    source_batch_id: str | None = None


Row = tuple[str, str, Run]


class RunStore:
    """Starts, finds and cancels runs.

    :param dedupe: cancel a run at once if its test already has a run in flight. The real service may do this.
    :param object_store: receives the bytes of apps; None for the sandbox's own store.
    """

    def __init__(
        self,
        clock: SandboxClock,
        catalog: Catalog | None = None,
        *,
        dedupe: bool = False,
        object_store: ObjectStore | None = None,
    ) -> None:
        self._object_store = object_store
        self.clock = clock
        self.catalog = catalog or Catalog()
        self.dedupe = dedupe
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Delete all runs and batches, and undo all changes of tests."""
        with self.lock:
            self.runs: dict[str, Run] = {}
            self.batches: dict[str, Batch] = {}
            self.script_overrides: dict[tuple[str, str], str] = {}
            self.catalog.restore()
            self.workspace = Workspace(self.clock, self._object_store)
            self._ordinals: Counter[tuple[str, str]] = Counter()
            self._rows: dict[tuple[str, str], list[Row]] = {}

    # Submitting

    def submit_test(self, test: SavedTest, request: RunRequest) -> Run:
        """Start one run of a test; a rejected run is created as cancelled."""
        with self.lock:
            if not test.enabled:
                raise bad_request("TEST_DISABLED", f"Test {test.id} is disabled")
            return self._start(self._test_run(test, request))

    def submit_prompt(self, script: str, request: RunRequest, project_id: str | None = None) -> Run:
        """Start a run of a prompt, or of a project's pull request."""
        with self.lock:
            outcome = self._next_outcome(script, f"prompt:{script}")
            run = self._run(script, outcome, request, PROMPT_SECONDS)
            run.project_id = project_id
            return self._start(run)

    def submit_group(self, group: Group, request: RunRequest) -> Batch:
        """Start every runnable test of a group, the preparation test first."""
        members = (group.prep_test_id, *group.test_ids) if group.prep_test_id else group.test_ids
        members = tuple(dict.fromkeys(members))
        tests = [self.catalog.tests[test_id] for test_id in members]
        return self._submit_batch(group, [test for test in tests if test.enabled], request)

    def rerun_batch(self, batch_id: str, list_lag: float = 0.0) -> tuple[Batch, list[str]]:
        """Start the tests of a finished batch again; return the new batch and the ids of skipped tests."""
        with self.lock:
            source = self.find_batch(batch_id)
            now = self.clock.time()
            # OpenAPI has a 409 "Batch cannot be re-run" without saying when; active runs are the likely reason.
            if any(is_active(run, now) for run in source.runs):
                raise conflict(f"Batch {batch_id} still has active runs")
            # OpenAPI: "Deleted, disabled, or malformed tests are skipped".
            known = self.catalog.tests
            tests = [known[run.test.id] for run in source.runs if run.test and run.test.id in known]
            request = replace(source.request, list_lag=list_lag)
            batch = self._submit_batch(source.group, [t for t in tests if t.enabled], request)
            batch.source_batch_id = batch_id
            return batch, [test.id for test in tests if not test.enabled]

    def _submit_batch(self, group: Group, tests: list[SavedTest], request: RunRequest) -> Batch:
        # The vendor does not document the response for an empty group. An error is something a client can act on.
        if not tests:
            raise bad_request("NO_RUNNABLE_TESTS", f"Group {group.id} has no runnable tests")
        with self.lock:
            batch = Batch(str(uuid.uuid4()), group, request, [])
            first = before = None
            for position, test in enumerate(tests):
                run = self._test_run(test, request, batch.id)
                if group.run_mode == "sequential":
                    run.waits_for = before
                else:
                    run.position = position
                    run.waits_for = first
                if not run.outcome.is_rejected:
                    before = run
                    first = first or (run if test.id == group.prep_test_id else None)
                batch.runs.append(self._start(run))
            self.batches[batch.id] = batch
            return batch

    def _test_run(self, test: SavedTest, request: RunRequest, batch_id: str | None = None) -> Run:
        scripts, there = self.script_overrides, (test.id, request.target_url or "")
        script = scripts.get(there) or scripts.get((test.id, "")) or test.script
        duplicate = self.dedupe and self._has_active(test.id)
        outcome = REJECTED if duplicate else self._next_outcome(script, test.id)
        run = self._run(script, outcome, request, test.seconds)
        run.test, run.project_id, run.batch_id = test, test.project_id, batch_id
        project = self.catalog.projects[test.project_id]
        run.platform = request.platform or ("ios" if project.kind == "mobile" else "web")
        run.target_url = request.target_url or project.url
        return run

    def _run(self, script: str, outcome: Outcome, request: RunRequest, seconds: float) -> Run:
        created = to_millis(self.clock.time())
        # The API has no idempotency key: the same request twice starts (and bills) two runs.
        run = Run(str(uuid.uuid4()), created, script, outcome, request.input, seconds)
        run.platform = request.platform or "web"
        run.device_model, run.mode = request.device_model, request.mode
        run.webhook_url, run.external_ref = request.webhook_url, request.external_ref
        run.source, run.foreign = request.foreign or "api", request.foreign is not None
        if request.list_lag:
            run.visible_from = created + request.list_lag
        return run

    def _next_outcome(self, script: str, key: str) -> Outcome:
        ordinal = self._ordinals[script, key]
        self._ordinals[script, key] += 1
        return SCRIPTS[script].outcome(ordinal)

    def _has_active(self, test_id: str) -> bool:
        now = self.clock.time()
        return any(is_active(row[2], now) for row in reversed(self._rows.get(("test", test_id), [])))

    def _start(self, run: Run) -> Run:
        self.runs[run.id] = run
        row = (run.created_iso, run.id, run)
        for key in self._row_keys(run):
            insort(self._rows.setdefault(key, []), row)
        return run

    @staticmethod
    def _row_keys(run: Run) -> list[tuple[str, str]]:
        keys = [("all", "")]
        if run.project_id is not None:
            keys.append(("project", run.project_id))
        if run.test is not None:
            keys.append(("test", run.test.id))
        return keys

    # Reading

    def find_run(self, run_id: str) -> Run:
        """Return a run, or raise NOT_FOUND."""
        run = self.runs.get(run_id)
        if run is None:
            raise not_found(f"Run {run_id} not found")
        return run

    def find_batch(self, batch_id: str) -> Batch:
        """Return a batch, or raise NOT_FOUND."""
        batch = self.batches.get(batch_id)
        if batch is None:
            raise not_found(f"Batch {batch_id} not found")
        return batch

    def list_runs(
        self,
        limit: int,
        *,
        status: str | None = None,
        project_id: str | None = None,
        test_id: str | None = None,
        before: tuple[str, str] | None = None,
        now: float | None = None,
    ) -> tuple[list[Run], str | None]:
        """Return one page of visible runs, newest first, and the cursor of the next page."""
        with self.lock:
            now = self.clock.time() if now is None else now
            rows = self._rows_of(project_id, test_id)
            end = bisect_left(rows, before) if before else len(rows)
            page: list[Run] = []
            for index in range(end - 1, -1, -1):
                run = rows[index][2]
                if not _is_listed(run, now, status, project_id):
                    continue
                if len(page) == limit:
                    return page, f"{page[-1].created_iso}::{page[-1].id}"
                page.append(run)
            return page, None

    def _rows_of(self, project_id: str | None, test_id: str | None) -> list[Row]:
        if test_id is not None:
            return self._rows.get(("test", test_id), [])
        if project_id is not None:
            return self._rows.get(("project", project_id), [])
        return self._rows.get(("all", ""), [])

    def active_run_ids(self) -> list[str]:
        """Return the ids of all runs that have not ended, whoever started them."""
        with self.lock:
            now = self.clock.time()
            return [run.id for run in self.runs.values() if is_active(run, now)]

    def foreign_run_ids(self) -> list[str]:
        """Return the ids of all runs that someone else started, oldest first."""
        with self.lock:
            return [run.id for run in self.runs.values() if run.foreign]

    def count_by_status(self) -> dict[str, int]:
        """Return the number of runs per status."""
        with self.lock:
            now = self.clock.time()
            return dict(Counter(status_at(run, now) for run in self.runs.values()))

    # Changing

    def cancel_run(self, run_id: str) -> Run:
        """Cancel a run, or raise CONFLICT if it has ended or its script refuses."""
        with self.lock:
            run, now = self.find_run(run_id), self.clock.time()
            # OpenAPI: 409 "Run is already terminal or cannot be cancelled".
            if not is_active(run, now):
                raise conflict(f"Run {run_id} is already {status_at(run, now)}")
            if not _try_cancel(run, now):
                raise conflict(f"Run {run_id} could not be cancelled")
            return run

    def cancel_batch(self, batch_id: str) -> tuple[list[str], list[str], list[str]]:
        """Cancel the active runs; return the ids of cancelled, finished and refusing runs."""
        with self.lock:
            now = self.clock.time()
            cancelled: list[str] = []
            finished: list[str] = []
            refused: list[str] = []
            for run in self.find_batch(batch_id).runs:
                if not is_active(run, now):
                    finished.append(run.id)
                elif _try_cancel(run, now):
                    cancelled.append(run.id)
                else:
                    refused.append(run.id)
            return cancelled, finished, refused

    def force(self, run_id: str, *, status: str | None = None, script: str | None = None) -> Run:
        """Change the script of a run, or set its status now, whatever its script says."""
        with self.lock:
            run, now = self.find_run(run_id), self.clock.time()
            if script is not None:
                run.script, run.outcome = script, known_script(script).outcome(0)
                run.forced = run.cancelled = None
            if status is not None:
                run.forced, run.cancelled = (status, to_millis(now)), None
            run.settled = None
            run.rendered.clear()
            return run

    def delete_project(self, project_id: str) -> None:
        """Delete a project with everything in it, its runs included."""
        with self.lock:
            self.catalog.delete_project(project_id)
            self.workspace.forget(project_id)
            gone = {run.id for run in self.runs.values() if run.project_id == project_id}
            self.runs = {run_id: run for run_id, run in self.runs.items() if run_id not in gone}
            self._rows = {
                key: [row for row in rows if row[1] not in gone] for key, rows in self._rows.items()
            }
            self.batches = {
                batch_id: batch
                for batch_id, batch in self.batches.items()
                if batch.group.project_id != project_id
            }

    def override_script(self, test_id: str, script: str | None, address: str = "") -> None:
        """Change the script that the next runs of a test follow; None restores its own.

        :param address: the ``targetUrl`` of the runs that follow it; empty for all others.
        """
        with self.lock:
            if script is None:
                self.script_overrides.pop((test_id, address), None)
            else:
                known_script(script)
                self.script_overrides[test_id, address] = script


def known_script(name: str) -> Script:
    """Return the script with this name, or raise BAD_REQUEST."""
    script = SCRIPTS.get(name)
    if script is None:
        raise ApiError(
            400, "BAD_REQUEST", f"Unknown script {name!r}; use one of {', '.join(sorted(SCRIPTS))}"
        )
    return script


def _is_listed(run: Run, now: float, status: str | None, project_id: str | None) -> bool:
    if max(run.visible_from, run.created) > now:
        return False
    if project_id is not None and run.project_id != project_id:
        return False
    return status is None or status_at(run, now) == status


def _try_cancel(run: Run, now: float) -> bool:
    if run.outcome.refuses_cancel:
        return False
    run.cancelled = to_millis(min(now, ended_at(run)))
    run.settled = None
    return True
