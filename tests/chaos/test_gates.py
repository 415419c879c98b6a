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
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import GROUP_FAILING, GROUP_FLAKY, GROUP_NIGHTLY
from tests.chaos.stage import Stage, connection
from tests.rig.airflow import LocalAirflow
from tests.rig.sandbox import docket_connection
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration

DAG_FILE = Path(__file__).with_name("dags") / "gates.py"


@pytest.fixture(scope="module")
def gates(database_url: str) -> Iterator[Stage]:
    """An Airflow with three gates, each a DAG of its own."""
    with SandboxServer(Sandbox(SandboxClock(speed=30))) as service:
        airflow = LocalAirflow(
            [DAG_FILE],
            database_url=database_url,
            parallelism=2,
            connections={
                "testerarmy_default": connection(service),
                "docket_default": docket_connection(service.url),
            },
        )
        with airflow:
            for name in ("promote", "promote_all"):
                airflow.rest.patch(f"/dags/{name}", {"is_paused": False})
            stage = Stage(airflow, service)
            yield stage
            stage.close()


def promoted(stage: Stage, dag_id: str = "promote") -> Counter[str]:
    with stage.engine.connect() as link:
        rows = link.execute(
            text("SELECT partition_key FROM dag_run WHERE dag_id = :dag_id AND state = 'success'"),
            {"dag_id": dag_id},
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


def test_a_gate_that_is_cleared_and_then_passes_promotes_its_commit(gates: Stage) -> None:
    """Once, although the gate has two tries."""
    airflow = gates.airflow
    run_id = airflow.trigger_dag("web_gate", {"commit": "eee", "group_id": GROUP_FLAKY})
    assert airflow.wait_dag_run("web_gate", run_id, timeout=120) == "failed"
    assert judge(gates, "mobile_gate", "eee") == "success"
    assert promoted(gates)["eee"] == 0
    airflow.clear_task("web_gate", run_id, "test")
    eventually(lambda: len(airflow.task_tries("web_gate", run_id, "test")) == 2, 60, "a second try")
    assert airflow.wait_dag_run("web_gate", run_id, timeout=120) == "success"
    eventually(lambda: promoted(gates)["eee"], 90, "the promotion", state=airflow.describe)
    settle(gates, "eee-after")
    assert promoted(gates)["eee"] == 1


def test_two_gates_that_pass_a_commit_twice_promote_it_once_for_each_pair(gates: Stage) -> None:
    """A gate that passes it again starts nothing, until the other one has passed it again too."""
    assert [judge(gates, "web_gate", "fff") for _ in range(2)] == ["success"] * 2
    assert judge(gates, "mobile_gate", "fff") == "success"
    eventually(lambda: promoted(gates)["fff"], 90, "the promotion")
    assert judge(gates, "mobile_gate", "fff") == "success"
    settle(gates, "fff-after")
    assert promoted(gates)["fff"] == 1
    assert judge(gates, "web_gate", "fff") == "success"
    eventually(lambda: promoted(gates)["fff"] == 2, 90, "the second promotion")


def test_two_runs_of_a_gate_at_once_promote_once(gates: Stage) -> None:
    """They add the same partition at about the same moment."""
    conf = {"commit": "ggg", "group_id": GROUP_NIGHTLY}
    runs = [(name, gates.airflow.trigger_dag(name, conf)) for name in ("web_gate", "web_gate", "mobile_gate")]
    assert {gates.airflow.wait_dag_run(name, run_id, timeout=120) for name, run_id in runs} == {"success"}
    eventually(lambda: promoted(gates)["ggg"], 90, "the promotion")
    settle(gates, "ggg-after")
    assert promoted(gates)["ggg"] == 1


def test_gates_of_both_services_promote_a_commit_once(gates: Stage) -> None:
    """Only the commit that both have passed."""
    assert judge(gates, "web_gate", "hhh") == "success"
    assert judge(gates, "docket_gate", "iii") == "success"
    assert judge(gates, "docket_gate", "hhh") == "success"
    eventually(lambda: promoted(gates, "promote_all")["hhh"], 90, "the promotion")
    assert promoted(gates, "promote_all") == Counter(["hhh"])
    assert promoted(gates)["hhh"] == 0


HOSTILE = ["'; DROP TABLE dag_run; --", "{{ 7 * 7 }}/../ü|%2F", "<script>alert(1)</script>", "k" * 250]


def test_a_commit_with_hostile_characters_is_one_text(gates: Stage) -> None:
    """It is a value in the database, and never a template, a path or a statement."""
    for name in ("web_gate", "mobile_gate"):
        assert [judge(gates, name, commit) for commit in HOSTILE] == ["success"] * len(HOSTILE)
    eventually(
        lambda: promoted(gates) >= Counter(HOSTILE), 90, "promotions", state=lambda: str(promoted(gates))
    )
    assert [promoted(gates)[commit] for commit in HOSTILE] == [1] * len(HOSTILE)
    assert [judge(gates, "web_gate", commit) for commit in ("a\nb", "k" * 251, " ")] == ["failed"] * 3


def settle(stage: Stage, commit: str) -> None:
    """Let both gates pass another commit. Once it is promoted, the scheduler has seen all earlier events."""
    for name in ("web_gate", "mobile_gate"):
        assert judge(stage, name, commit) == "success"
    eventually(lambda: promoted(stage)[commit], 90, f"the promotion of {commit}")
