"""The Airflow that runs the preview example, its sandbox, and the kills of its processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_testerarmy.sandbox.core.faults import Fault, FaultPlan, Kind
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.engine import is_active
from tests.object_store.server import S3Server, UploadBucket
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

SHOP, APP = catalog.PROJECT_SHOP, catalog.PROJECT_APP


class Kill(Protocol):
    """A kill that waits for its moment."""

    done: bool

    def attempt(self, dag_id: str, run_id: str) -> None:
        """Kill the process if the moment has come."""


@dataclass
class WorkerKill:
    """SIGKILL of the worker of a task while a fault holds its request."""

    airflow: LocalAirflow
    fault: Fault
    task_id: str
    done: bool = False

    def attempt(self, dag_id: str, run_id: str) -> None:
        """Kill the worker if its request is held."""
        if self.fault.hits and not self.done:
            (worker,) = self.airflow.worker_pids(dag_id, self.task_id, run_id)
            worker.kill()
            self.done = True


class Preview:
    """The Airflow, its sandbox, the object store, and the bucket in it that receives the uploads."""

    def __init__(
        self, airflow: LocalAirflow, sandbox: SandboxServer, store: S3Server, uploads: UploadBucket
    ) -> None:
        self.airflow, self.sandbox, self.store, self.uploads = airflow, sandbox.control, store, uploads

    def reset(self) -> None:
        """Restore the account of the sandbox, and empty the bucket of the uploads."""
        self.sandbox.reset()
        self.store.reset()
        self.uploads.empty()

    def run(self, dag_id: str, kills: Sequence[Kill], **conf: Any) -> tuple[str, str]:
        """Run a DAG with kills; the id of the DAG run and its end."""
        run_id = self.airflow.trigger_dag(dag_id, conf)

        def ended() -> str | None:
            for kill in kills:
                kill.attempt(dag_id, run_id)
            state = self.airflow.dag_run(dag_id, run_id)["state"]
            return str(state) if state in ("success", "failed") else None

        end = eventually(
            ended, 600, f"end of {dag_id}", state=lambda: self.airflow.describe_run(dag_id, run_id)
        )
        return run_id, end

    def kill(self, task_id: str, match: str, moment: Kind, after: int = 0) -> WorkerKill:
        """Plan the kill of a worker at a request to the sandbox, after so many others that match."""
        return self._kill(self.sandbox.faults, task_id, match, moment, after)

    def kill_at_store(self, task_id: str, match: str, moment: Kind) -> WorkerKill:
        """Plan the kill of a worker at a request to the object store."""
        return self._kill(self.store.faults, task_id, match, moment)

    def _kill(self, faults: FaultPlan, task_id: str, match: str, moment: Kind, after: int = 0) -> WorkerKill:
        return WorkerKill(self.airflow, faults.add(moment, match, after=after), task_id)

    def left(self) -> dict[str, list[Any]]:
        """What the service has that it did not have at first; nothing deletes a login."""
        workspace = self.sandbox.store.workspace
        named = [each.name for each in self.sandbox.store.catalog.environments(SHOP)]
        now = self.sandbox.clock.time()
        return {
            "environments": [name for name in named if name not in ("Production", "Staging")],
            "apps": [each["id"] for each in workspace.apps_of(APP) if each["id"] != catalog.MOBILE_APP],
            "runs": [run.id for run in self.sandbox.store.runs.values() if is_active(run, now)],
            "logins": [each["label"] for each in workspace.credentials.get(SHOP, [])],
        }

    def changes(self) -> Counter[str | None]:
        """How often the service has done what a request asked it to change, by the request's name."""
        return Counter(
            entry.operation
            for entry in self.sandbox.log.entries()
            if entry.method != "GET" and entry.answered in range(200, 300)
        )


class TriggererKill:
    """SIGKILL of the triggerer while it polls for all runs, and its replacement.

    The runs of these groups end only when another triggerer polls for them. The killed one never sees their end.
    """

    def __init__(self, preview: Preview, groups: dict[str, str]) -> None:
        self.airflow, self.sandbox, self.groups = preview.airflow, preview.sandbox, groups
        self.done = False
        self._now: dict[int, int] = {}
        self._since = 0
        self._lost: set[int] = set()
        self._script("endless")

    def attempt(self, dag_id: str, run_id: str) -> None:
        """Kill the triggerer if it polls for the runs; let them pass if another one does."""
        if self.done or not self._are_polled(dag_id, run_id):
            return
        if not self._lost:
            self.airflow.processes["triggerer"].kill()
            self.airflow.processes["triggerer"].start()
            self._lost = set(self._now.values())
        elif not self._lost & set(self._now.values()):
            self._script(None)
            for active in self.sandbox.store.active_run_ids():
                self.sandbox.store.force(active, script="passes")
            self.done = True

    def _are_polled(self, dag_id: str, run_id: str) -> bool:
        """Whether all tasks are deferred, and a triggerer has polled since it has their triggers.

        While all tasks are deferred, no worker polls.
        """
        tasks = [self.airflow.task_instance(dag_id, run_id, task_id) for task_id in self.groups]
        found = [each["trigger"] for each in tasks if each["trigger"] and each["trigger"]["triggerer_id"]]
        now = {each["id"]: each["triggerer_id"] for each in found}
        log = self.sandbox.log
        if now != self._now:
            self._now, self._since = now, log.entries()[-1].sequence
        return len(now) == len(tasks) and bool(log.entries("list_runs", since=self._since))

    def _script(self, name: str | None) -> None:
        """Set the script that the next runs of the groups follow; None restores their own."""
        store = self.sandbox.store
        for group_id in self.groups.values():
            for test_id in store.catalog.groups[group_id].test_ids:
                store.override_script(test_id, name)
