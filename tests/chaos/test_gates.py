"""A commit is promoted once, when all gates have passed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import GROUP_FAILING, GROUP_NIGHTLY
from tests.chaos.stage import Stage, connection
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration

DAG_FILE = Path(__file__).with_name("dags") / "gates.py"


@pytest.fixture(scope="module")
def gates(database_url: str) -> Iterator[Stage]:
    """An Airflow with two gates, each a DAG of its own."""
    with SandboxServer(Sandbox(SandboxClock(speed=30))) as service:
        airflow = LocalAirflow(
            [DAG_FILE],
            database_url=database_url,
            parallelism=2,
            connections={"testerarmy_default": connection(service)},
        )
        with airflow:
            airflow.rest.patch("/dags/promote", {"is_paused": False})
            stage = Stage(airflow, service)
            yield stage
            stage.close()


def promoted(stage: Stage) -> Counter[str]:
    with stage.engine.connect() as link:
        rows = link.execute(
            text("SELECT partition_key FROM dag_run WHERE dag_id = 'promote' AND state = 'success'")
        )
        return Counter(row.partition_key for row in rows)


def judge(stage: Stage, gate: str, commit: str, group_id: str = GROUP_NIGHTLY) -> str:
    conf = {"commit": commit, "group_id": group_id}
    return stage.airflow.wait_dag_run(gate, stage.airflow.trigger_dag(gate, conf), timeout=120)


def test_each_commit_is_promoted_once_when_both_gates_have_passed_it(gates: Stage) -> None:
    """Both orders; a commit that one gate has not tested, and one that it failed, are not promoted."""
    assert judge(gates, "web_gate", "aaa") == "success"
    assert judge(gates, "mobile_gate", "bbb") == "success"
    assert judge(gates, "web_gate", "ccc") == "success"
    assert judge(gates, "web_gate", "ddd") == "success"
    assert judge(gates, "mobile_gate", "ddd", GROUP_FAILING) == "failed"
    assert judge(gates, "mobile_gate", "aaa") == "success"
    assert judge(gates, "web_gate", "bbb") == "success"
    eventually(lambda: promoted(gates) >= Counter(["aaa", "bbb"]), 90, "two promotions")
    assert judge(gates, "web_gate", "") == "failed"
    # The scheduler has had several turns by now, so a second promotion would exist.
    assert promoted(gates) == Counter(["aaa", "bbb"])
    with gates.engine.connect() as link:
        extras = [row.extra for row in link.execute(text("SELECT extra FROM asset_event"))]
    assert {extra["verdict"] for extra in extras} == {"passed"}
    assert Counter(extra["commit"] for extra in extras) == {"aaa": 2, "bbb": 2, "ccc": 1, "ddd": 1}
    assert all(extra["run_ids"] and extra["counts"]["total"] == 8 for extra in extras)
