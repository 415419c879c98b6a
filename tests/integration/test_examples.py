from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.mailbox import Mailbox
from tests.rig.airflow import LocalAirflow
from tests.rig.sandbox import EXAMPLE_DAGS
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration

EXAMPLES = sorted(EXAMPLE_DAGS.glob("*.py"))


@pytest.fixture(scope="module")
def runs(airflow: LocalAirflow) -> dict[str, dict[str, str]]:
    """The state of the DAG run and of each task, for every example."""
    started = {
        "nightly_regression": airflow.trigger_dag("nightly_regression"),
        "prompt_smoke": airflow.trigger_dag("prompt_smoke"),
        "two_vendors": airflow.trigger_dag("two_vendors"),
        "regression_news": airflow.trigger_dag("regression_news"),
        "promote": airflow.trigger_dag("test_after_deploy"),
        "roll_back": airflow.trigger_dag("test_after_deploy", {"group_id": catalog.GROUP_FAILING}),
    }
    found = {}
    for name, run_id in started.items():
        dag_id = "test_after_deploy" if name in ("promote", "roll_back") else name
        states = {"run": airflow.wait_dag_run(dag_id, run_id), "id": run_id}
        tasks = airflow.task_instances(dag_id, run_id)
        found[name] = states | {task["task_id"]: task["state"] for task in tasks}
    return found


def test_every_example_is_run_here(airflow: LocalAirflow) -> None:
    """And none of them fails to import."""
    assert {path.stem for path in EXAMPLES} == {
        "nightly_regression",
        "prompt_smoke",
        "regression_news",
        "test_after_deploy",
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


def test_a_prompt_and_a_sensor(runs: dict[str, dict[str, str]]) -> None:
    """The sensor takes over what the operator started."""
    states = runs["prompt_smoke"]
    assert (states["run"], states["start"], states["wait"]) == ("success", "success", "success")


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
