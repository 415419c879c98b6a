from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.mailbox import Mailbox
from tests.rig.airflow import LocalAirflow
from tests.rig.api import Json
from tests.rig.sandbox import EXAMPLE_DAGS
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration

EXAMPLES = sorted(EXAMPLE_DAGS.glob("*.py"))


@pytest.fixture(scope="module")
def runs(airflow: LocalAirflow) -> Iterator[dict[str, dict[str, str]]]:
    """The state of the DAG run and of each task, for every example."""
    started = {
        "nightly_regression": airflow.trigger_dag("nightly_regression"),
        "ephemeral_preview": airflow.trigger_dag("ephemeral_preview"),
        "prompt_smoke": airflow.trigger_dag("prompt_smoke"),
        "two_vendors": airflow.trigger_dag("two_vendors"),
        "regression_news": airflow.trigger_dag("regression_news"),
        "test_by_test": airflow.trigger_dag("test_by_test"),
        "promote": airflow.trigger_dag("test_after_deploy"),
        "roll_back": airflow.trigger_dag("test_after_deploy", {"group_id": catalog.GROUP_FAILING}),
    }
    found = {}
    for name, run_id in started.items():
        dag_id = "test_after_deploy" if name in ("promote", "roll_back") else name
        states = {"run": airflow.wait_dag_run(dag_id, run_id), "id": run_id}
        tasks = airflow.task_instances(dag_id, run_id)
        found[name] = states | {task["task_id"]: task["state"] for task in tasks}
    yield found
    # At two and at four o'clock the scheduler starts runs of its own. Later tests would see them at the service.
    for dag_id in {"test_after_deploy", *started} - {"promote", "roll_back"}:
        airflow.pause_dag(dag_id)


def test_every_example_is_run_here(airflow: LocalAirflow) -> None:
    """And none of them fails to import."""
    assert {path.stem for path in EXAMPLES} == {
        "ephemeral_preview",
        "nightly_regression",
        "promote_commit",
        "prompt_smoke",
        "react_to_runs",
        "regression_news",
        "test_after_deploy",
        "test_by_test",
        "two_vendors",
    }
    assert airflow.import_errors() == {}
    assert airflow.rest.get("/dagWarnings")["dag_warnings"] == []


def test_the_examples_warn_of_nothing() -> None:
    """Whoever copies one should not begin with a deprecation."""
    code = """if True:
        import runpy, sys, warnings
        import airflow.sdk, airflow.providers.common.compat.sdk
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for path in sys.argv[1:]:
                runpy.run_path(path)
        ours = ["airflow_provider_testerarmy", *sys.argv[1:]]
        for warning in caught:
            if any(each in warning.filename for each in ours):
                print(warning, file=sys.stderr)
    """
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, EXAMPLES)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_nightly_regression(airflow: LocalAirflow, runs: dict[str, dict[str, str]]) -> None:
    """It passes, and says so in one line."""
    states = runs["nightly_regression"]
    assert (states["run"], states["run_regression"]) == ("success", "success")
    line = airflow.xcom("nightly_regression", states["id"], "summarize")
    assert line == "Regression passed: 8 total, 8 passed."


def test_a_preview_with_what_it_needs(
    airflow: LocalAirflow, sandbox: SandboxServer, runs: dict[str, dict[str, str]]
) -> None:
    """Everything is created, used on web and mobile, and deleted again."""
    states = runs["ephemeral_preview"]
    assert {state for task, state in states.items() if task != "id"} == {"success"}
    said = airflow.xcom("ephemeral_preview", states["id"], "publish")
    assert said == "web: passed, mobile: passed"
    operations = {call.operation for call in sandbox.control.log.entries()}
    assert operations >= {"put_app", "create_environment", "create_credential"}
    left = sandbox.control.store
    assert [
        each.id for each in left.catalog.environments(catalog.PROJECT_SHOP) if "Preview" in each.name
    ] == []
    assert [each["id"] for each in left.workspace.apps_of(catalog.PROJECT_APP)] == [catalog.MOBILE_APP]
    made = airflow.xcom("ephemeral_preview", states["id"], "create_environment")
    assert any(run.input.get("projectEnvironmentId") == made for run in left.runs.values())


def test_a_prompt_and_a_sensor(runs: dict[str, dict[str, str]]) -> None:
    """The sensor takes over what the operator started."""
    states = runs["prompt_smoke"]
    assert (states["run"], states["start"], states["wait"]) == ("success", "success", "success")


def test_a_task_for_each_test(runs: dict[str, dict[str, str]]) -> None:
    """One of the group's tests is not listed: the preparation of the others."""
    states = {task: state for task, state in runs["test_by_test"].items() if task not in ("id", "run")}
    names = [
        "start",
        "customer_can_sign_in",
        "cart_keeps_its_items",
        "checkout_with_a_gift_card",
        "other_tests",
    ]
    assert states == {f"customer_journey.{name}": "success" for name in names}


def test_the_news_of_a_regression(runs: dict[str, dict[str, str]], mailbox: Mailbox) -> None:
    """The e-mail says what broke, and what a site wrote is text in it."""
    assert runs["regression_news"]["run_regression"] == "failed"
    # A schedule that is no longer paused may have started the DAG once more.
    message = eventually(lambda: mailbox.messages, 20, "the e-mail")[0]
    assert message["To"] == "qa@shop.example"
    assert "regression_news" in message["Subject"]
    (part,) = [part for part in message.walk() if part.get_content_type() == "text/html"]
    text = part.get_payload(decode=True).decode()
    assert "Checkout with a credit card" in text
    assert "Payment button does nothing" in text


def test_the_news_without_a_notifier() -> None:
    """The DAG imports, and runs the tests, where that package is not installed."""
    code = """if True:
        import runpy, sys
        sys.modules["airflow.providers.smtp.notifications.smtp"] = None
        found = runpy.run_path(sys.argv[1])
        assert found["SmtpNotifier"] is None and found["notify"] is None
    """
    command = [sys.executable, "-W", "ignore", "-c", code, str(EXAMPLE_DAGS / "regression_news.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_two_vendors(runs: dict[str, dict[str, str]]) -> None:
    """Both have to let it pass."""
    states = runs["two_vendors"]
    assert (states["with_testerarmy"], states["with_docket"], states["promote"]) == ("success",) * 3


def test_a_good_deployment_is_promoted(runs: dict[str, dict[str, str]]) -> None:
    """And not rolled back."""
    states = runs["promote"]
    assert (states["run"], states["promote"], states["roll_back"]) == ("success", "success", "skipped")


def test_a_bad_deployment_is_rolled_back(runs: dict[str, dict[str, str]]) -> None:
    """And not promoted."""
    states = runs["roll_back"]
    assert (states["run_tests"], states["promote"], states["roll_back"]) == (
        "failed",
        "upstream_failed",
        "success",
    )


def test_a_commit_that_both_gates_passed_is_promoted(airflow: LocalAirflow) -> None:
    """Once, after the second gate."""
    airflow.rest.patch("/dags/promote", {"is_paused": False})
    for gate in ("web_gate", "mobile_gate"):
        run_id = airflow.trigger_dag(gate, {"commit": "3f0e8a5"})
        assert airflow.wait_dag_run(gate, run_id) == "success"
    eventually(lambda: airflow.dag_runs("promote"), 60, "a run of promote")
    (run,) = airflow.dag_runs("promote")
    assert airflow.wait_dag_run("promote", run["dag_run_id"]) == "success"
    assert airflow.xcom("promote", run["dag_run_id"], "deploy") == "Promoting 3f0e8a5"


def test_a_failed_run_of_somebody_else_starts_a_dag(airflow: LocalAirflow, sandbox: SandboxServer) -> None:
    """The watcher begins some seconds after the DAG is unpaused, so runs are started until one is noticed."""
    airflow.rest.patch("/dags/react_to_runs", {"is_paused": False})

    def noticed() -> list[Json]:
        order = {"testId": catalog.TEST_FAILS, "source": "scheduled"}
        httpx.post(f"{sandbox.origin}/_sandbox/foreign-runs", json=order).raise_for_status()
        return airflow.dag_runs("react_to_runs")

    (run, *_) = eventually(noticed, 90, "a run of react_to_runs")
    assert airflow.wait_dag_run("react_to_runs", run["dag_run_id"]) == "success"
    assert airflow.xcom("react_to_runs", run["dag_run_id"], "report")
    airflow.rest.patch("/dags/react_to_runs", {"is_paused": True})
