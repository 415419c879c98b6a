"""Access control: real requests to a real API server, by users with different permissions."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

from tests.ui.browser.stage import Stage
from tests.ui.test_history_requests import ENDPOINTS as HISTORY

pytestmark = pytest.mark.integration

#: The endpoints on one DAG, and what else they take.
ENDPOINTS = {
    "task": {"task_id": "checkout"},
    "runs": {"task_id": "checkout", "run": "x"},
    "screenshot": {"task_id": "checkout", "name": f"{'0' * 32}.png"},
    "recording": {"task_id": "checkout", "run": "x"},
    "report": {"task_id": "checkout", "index": 1},
    "memory": {"task_id": "checkout"},
    "actions": {"task_id": "checkout"},
    "live": {"task_id": "checkout"},
    "tries": {"task_id": "checkout"},
    "dag-run": {},
}


def status(staged: Stage, user: str | None, path: str, **params: object) -> int:
    with staged.client(user) as client:
        return client.get(path, params=params).status_code


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_nobody_sees_nothing(staged: Stage, runs: dict[str, str], endpoint: str) -> None:
    """Airflow mounts the application without any authentication."""
    assert status(staged, None, f"dags/shop/{endpoint}", run_id=runs["shop"], **ENDPOINTS[endpoint]) == 401


@pytest.mark.parametrize("endpoint", HISTORY)
def test_nobody_sees_no_history(staged: Stage, endpoint: str) -> None:
    assert status(staged, None, endpoint) == 401


def test_every_endpoint_is_tested_here() -> None:
    """One that is new has to be put here first."""
    from airflow_provider_testerarmy.ui.app import app

    paths = {route.path for route in app.routes if route.path.startswith("/api/")}
    # The one that writes is in test_quarantine.py, and the history's are in test_history_requests.py.
    others = {"/api/dags/{dag_id}/quarantine", *(f"/api/{endpoint}" for endpoint in HISTORY)}
    assert paths == {f"/api/dags/{{dag_id}}/{endpoint}" for endpoint in ENDPOINTS} | others


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("user", ["outsider", "blind"])
def test_without_the_right_there_is_nothing(
    staged: Stage, runs: dict[str, str], user: str, endpoint: str
) -> None:
    """Denied to a user without access to the DAG, and to one without access to its XComs."""
    assert status(staged, user, f"dags/shop/{endpoint}", run_id=runs["shop"], **ENDPOINTS[endpoint]) == 403


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_another_dag_is_no_way_in(staged: Stage, runs: dict[str, str], endpoint: str) -> None:
    """The DAG id in the path decides, whatever the query says."""
    params = {"run_id": runs["shop"], **ENDPOINTS[endpoint]}
    for dag_id in ("open_door", "~", "open_door%2F..%2Fshop"):
        with staged.client("outsider") as client:
            answer = client.get(f"dags/{dag_id}/{endpoint}?dag_id=shop", params=params)
        assert answer.status_code in (200, 403, 404)
        assert answer.status_code != 200 or not any(answer.json().get(name) for name in ("tasks", "tests"))


def test_a_viewer_sees_it(staged: Stage, runs: dict[str, str]) -> None:
    """A viewer can read test runs like any XCom of the task."""
    with staged.client("viewer") as client:
        task = client.get("dags/shop/task", params={"run_id": runs["shop"], "task_id": "checkout"}).json()
        listed = client.get("dags/shop/dag-run", params={"run_id": runs["shop"]}).json()
    assert task["summary"]["verdict"] == "failed"
    assert {entry["task_id"] for entry in listed["tasks"]} == {
        "regression",
        "checkout",
        "live",
        "mapped",
        "docket",
    }


def test_the_history_is_that_of_ones_own_dags(staged: Stage, runs: dict[str, str]) -> None:
    """The history does not even name DAGs that the user cannot access."""
    seen = {}
    for user in ("viewer", "outsider", "blind"):
        with staged.client(user) as client:
            seen[user] = client.get("history").json()
    assert {run["dag_id"] for run in seen["viewer"]["runs"]} >= set(runs)
    assert {run["dag_id"] for run in seen["outsider"]["runs"]} == {"open_door"}
    assert seen["outsider"]["choices"]["dags"] == ["open_door"]
    assert (seen["blind"]["runs"], seen["blind"]["tests"], seen["blind"]["choices"]["dags"]) == ([], [], [])


def test_only_runs_of_the_task_are_told(staged: Stage, runs: dict[str, str]) -> None:
    """The connection can read more runs, but the endpoint returns only the task's own."""
    ids = {}
    with staged.client("viewer") as client:
        for task_id in ("live", "regression"):
            params = {"run_id": runs["shop"], "task_id": task_id}
            ids[task_id] = [run["id"] for run in client.get("dags/shop/task", params=params).json()["runs"]]
        params = {"run_id": runs["shop"], "task_id": "live", "run": [*ids["live"], *ids["regression"]]}
        answered = client.get("dags/shop/runs", params=params).json()
    assert set(answered["runs"]) == set(ids["live"])


@pytest.mark.parametrize(
    "name", ["../checkout.json", "..%2Fcheckout.html", "a.png", f"{'0' * 32}.png", "/etc/passwd"]
)
def test_only_copies_are_served(staged: Stage, runs: dict[str, str], name: str) -> None:
    """A name is looked up among the known copies; it never becomes part of a path."""
    params = {"run_id": runs["shop"], "task_id": "checkout", "name": name}
    assert status(staged, "viewer", "dags/shop/screenshot", **params) == 404


def test_a_report_is_a_document_of_its_own(staged: Stage, runs: dict[str, str]) -> None:
    """A report is served in a sandbox, and only if it is one of this provider's HTML reports."""
    params = {"run_id": runs["shop"], "task_id": "checkout"}
    with staged.client("viewer") as client:
        page = client.get("dags/shop/report", params={**params, "index": 1})
        assert page.status_code == 200
        assert page.headers["content-security-policy"].startswith("sandbox")
        assert "Payment button does nothing" in page.text
        for index in (0, 2):
            assert client.get("dags/shop/report", params={**params, "index": index}).status_code == 404


def test_the_pages_policy(staged: Stage) -> None:
    """Scripts, styles, pictures and requests are our own, and nothing is inline."""
    with staged.client() as client:
        page = client.get("../view/history")
        script = client.get("../static/main.js")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert (page.headers["x-content-type-options"], script.status_code) == ("nosniff", 200)
    assert "javascript" in script.headers["content-type"]


def test_an_edited_xcom_is_no_way_to_a_foreign_run(staged: Stage, runs: dict[str, str]) -> None:
    """A user who can edit XComs cannot use the connection's key to read another task's run."""
    foreign = staged.airflow.xcom("shop", runs["shop"], "regression", "run_ids")[0]
    run_id = staged.run("widgets")
    token = staged.token("admin")
    answer = httpx.patch(
        f"{staged.airflow.url}/api/v2/dags/widgets/dagRuns/{quote(run_id)}/taskInstances/widgets/xcomEntries/run_ids",
        json={"value": [foreign]},
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=20,
    )
    assert answer.is_success, answer.text
    before = len(staged.sandbox.control.log)
    with staged.client("viewer") as client:
        params = {"run_id": run_id, "task_id": "widgets"}
        own = [run["id"] for run in client.get("dags/widgets/task", params=params).json()["runs"]]
        answered = client.get("dags/widgets/runs", params={**params, "run": [foreign, *own]}).json()
    assert foreign in own
    assert set(answered["runs"]) == set(own) - {foreign}
    assert "record" in answered["notice"]
    asked = [entry.path for entry in staged.sandbox.control.log.entries("get_run", before)]
    assert not any(foreign in path for path in asked)
