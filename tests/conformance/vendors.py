"""The vendors under test: how to control the sandbox for each, and their few differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.sandbox.docket.catalog import BLUEPRINT_PASSES, bulk_blueprint_id
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import TEST_LOGIN, bulk_test_id
from airflow_provider_testerarmy.sandbox.testerarmy.engine import is_active, status_at
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest
from tests.rig.sandbox import docket_connection, sandbox_connection


class TesterArmyDesk:
    """The sandbox as TesterArmy: one saved test per scene."""

    conn_type = "testerarmy"
    stopped = "cancelled"

    @staticmethod
    def connection(service: SandboxServer) -> Any:
        """The fields of a connection to it."""
        return sandbox_connection(service.url)

    @staticmethod
    def target(number: int) -> str:
        """The test that only one scene uses."""
        return bulk_test_id(number)

    @staticmethod
    def fetch(run_id: RunId) -> str:
        """The request that asks for a run, as faults and the request log have it."""
        return f"GET /runs/{run_id}"

    @staticmethod
    def passed_elsewhere(sandbox: Sandbox) -> RunId:
        """A run that somebody else started, and that has passed."""
        other = sandbox.store.catalog.tests[TEST_LOGIN]
        run = sandbox.store.submit_test(other, RunRequest(foreign="dashboard"))
        sandbox.store.force(run.id, script="passes", status="completed")
        return run.id

    @staticmethod
    def script(sandbox: Sandbox, target: Any, name: str) -> None:
        """Set the script that the next runs of the test follow."""
        sandbox.store.override_script(target, name)

    @staticmethod
    def statuses(sandbox: Sandbox, target: Any) -> dict[RunId, str]:
        """The status of every run of the test, oldest first."""
        runs, now = list(sandbox.store.runs.values()), sandbox.clock.time()
        return {run.id: status_at(run, now) for run in runs if run.test is not None and run.test.id == target}

    @staticmethod
    def active(sandbox: Sandbox, target: Any) -> list[RunId]:
        """The runs of the test that have not ended."""
        runs, now = list(sandbox.store.runs.values()), sandbox.clock.time()
        return [r.id for r in runs if r.test is not None and r.test.id == target and is_active(r, now)]

    @staticmethod
    def finish(sandbox: Sandbox, run_id: Any) -> None:
        """Let the run pass now."""
        sandbox.store.force(run_id, script="passes", status="completed")

    @staticmethod
    def stop(sandbox: Sandbox, run_id: Any) -> None:
        """Let a person stop the run on the dashboard."""
        sandbox.store.force(run_id, status="cancelled")


class DocketDesk:
    """The sandbox as Docket: one test blueprint per scene."""

    conn_type = "docket"
    stopped = "stopped"

    @staticmethod
    def connection(service: SandboxServer) -> Any:
        """The fields of a connection to it."""
        return docket_connection(service.url)

    @staticmethod
    def target(number: int) -> int:
        """The blueprint that only one scene uses."""
        return bulk_blueprint_id(number)

    @staticmethod
    def fetch(run_id: RunId) -> str:
        """The request that asks for a run, as faults and the request log have it."""
        return f"GET /test_run/{run_id}"

    @staticmethod
    def passed_elsewhere(sandbox: Sandbox) -> RunId:
        """A run that somebody else started, and that has passed."""
        (run,) = sandbox.docket.submit([BLUEPRINT_PASSES]).runs
        sandbox.docket.force(run.id, "passed")
        return run.id

    @staticmethod
    def script(sandbox: Sandbox, target: Any, name: str) -> None:
        """Set the script that the next runs of the blueprint follow."""
        sandbox.docket.override_script(target, name)

    @staticmethod
    def statuses(sandbox: Sandbox, target: Any) -> dict[RunId, str]:
        """The status of every run of the blueprint, oldest first."""
        runs, now = list(sandbox.docket.runs.values()), sandbox.clock.time()
        return {run.id: run.status(now) for run in runs if run.blueprint.id == target}

    @staticmethod
    def active(sandbox: Sandbox, target: Any) -> list[RunId]:
        """The runs of the blueprint that have not ended."""
        runs, now = list(sandbox.docket.runs.values()), sandbox.clock.time()
        return [run.id for run in runs if run.blueprint.id == target and not run.ended(now)]

    @staticmethod
    def finish(sandbox: Sandbox, run_id: Any) -> None:
        """Let the run pass now."""
        sandbox.docket.force(run_id, "passed")

    @staticmethod
    def stop(sandbox: Sandbox, run_id: Any) -> None:
        """Let a person stop the run on the dashboard."""
        sandbox.docket.force(run_id, "stopped")


Desk = type[TesterArmyDesk] | type[DocketDesk]


@dataclass(frozen=True)
class Vendor:
    """A vendor, and the outcomes that depend on what its API can do.

    :param left_running: the runs that continue after a kill, and after a time-out on the last try.
    :param cancelled: the calls that cancel the run of a task that is killed or timed out.
    :param at_a_time_out: what the task's log says about the run at a time-out.
    :param at_a_kill: the same at a kill; empty if the line may be in the API server's log instead, because its
        listener may cancel first.
    :param excuse: the end of the error message of a time-out.
    :param at_the_end: the verdict about a run that had not ended.
    :param over_a_time_out: the submissions of a task that succeeds on the try after a time-out. A run that could
        not be cancelled is awaited, and not started a second time.
    """

    name: str
    desk: Desk
    left_running: int
    cancelled: int
    at_a_time_out: str
    at_a_kill: str
    excuse: str
    at_the_end: str
    over_a_time_out: int


GOES_ON = "Docket cannot cancel runs. 1 run ({run_id}) may continue to the end."

VENDORS: Sequence[Vendor] = (
    Vendor(
        "testerarmy",
        TesterArmyDesk,
        left_running=0,
        cancelled=1,
        at_a_time_out="Cancelled 1 run ({run_id})",
        at_a_kill="",
        excuse="The runs that had not ended were cancelled.",
        at_the_end="cancelled",
        over_a_time_out=2,
    ),
    Vendor(
        "docket",
        DocketDesk,
        left_running=1,
        cancelled=0,
        at_a_time_out=GOES_ON,
        at_a_kill=GOES_ON,
        excuse="The runs that had not ended were not cancelled and may still be running.",
        at_the_end="errored",
        over_a_time_out=1,
    ),
)
