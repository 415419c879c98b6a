"""Who may call the tab's endpoints: a real database and Airflow's own checks, on every Airflow with the tab."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest
from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import Engine, select

from tests.ui.history_database import Night, client, result, store_nights
from tests.ui.test_history_requests import ENDPOINTS as HISTORY
from tests.ui.test_history_requests import stored

__all__ = ["stored"]

#: The endpoints on one DAG that read, and what each takes beside the task.
READ = {
    "task": {},
    "runs": {"run": "x"},
    "screenshot": {"name": f"{'0' * 32}.png"},
    "recording": {"run": "x"},
    "report": {"index": "1"},
    "memory": {},
    "actions": {},
    "live": {},
    "tries": {},
    "dag-run": {},
}
#: Those that write, and a valid request.
WRITE = {
    "quarantine": {"test_id": "id-Checkout", "owner": "ada", "reason": "new", "until": "14d", "seen": None},
    "actions": {"action": "all", "try_number": 1, "state": "failed", "others": 0},
}
JSON = {"content-type": "application/json"}
SAME = {**JSON, "sec-fetch-site": "same-origin"}
#: Headers of requests that no page of this Airflow has sent.
FOREIGN = (
    JSON,
    {**JSON, "sec-fetch-site": "cross-site"},
    {**JSON, "sec-fetch-site": "same-site"},
    {**JSON, "origin": "https://evil.example"},
    {"content-type": "text/plain", "sec-fetch-site": "same-origin"},
)
TASK = {"run_id": "r", "task_id": "nightly"}


@pytest.fixture
def tasks(stored: Engine) -> Engine:
    """A failed task in two DAGs, of which `outsider` can read one."""
    tests = (result("Checkout", "failed"),)
    nights = [Night(datetime.now(UTC), "failed", dag_id, tests=tests) for dag_id in ("shop", "open_door")]
    store_nights(stored, nights)
    return stored


def ask(
    path: str,
    user: str | None = "viewer",
    method: str = "GET",
    *,
    headers: dict[str, str] = SAME,
    content: str | None = None,
    **query: str,
) -> httpx.Response:
    """A request to the tab's application. `admin` may do everything."""

    async def send() -> httpx.Response:
        with client(user, "admin" if user == "admin" else "viewer") as asked:
            async with asked:
                where = {**TASK, **query}
                return await asked.request(
                    method, f"/api/dags/{path}", params=where, headers=headers, content=content
                )

    return asyncio.run(send())


def test_every_endpoint_is_tested_here() -> None:
    """One that is new has to be put here first."""
    from airflow_provider_testerarmy.ui.app import app

    found = {
        (method, route.path)
        for route in app.routes
        if route.path.startswith("/api/")
        for method in route.methods - {"HEAD"}
    }
    reads = {("GET", f"/api/dags/{{dag_id}}/{endpoint}") for endpoint in READ}
    writes = {("POST", f"/api/dags/{{dag_id}}/{endpoint}") for endpoint in WRITE}
    assert found == reads | writes | {("GET", f"/api/{endpoint}") for endpoint in HISTORY}


@pytest.mark.parametrize("endpoint", READ)
def test_who_reads(tasks: Engine, endpoint: str) -> None:
    """Nobody without signing in, no user without the right to the DAG or to its XComs, no other DAG's user."""
    assert ask(f"shop/{endpoint}", None, **READ[endpoint]).status_code == 401
    for user in ("blind", "outsider"):
        assert ask(f"shop/{endpoint}", user, **READ[endpoint]).status_code == 403
    foreign = ask(f"open_door/{endpoint}", "outsider", **READ[endpoint], dag_id="shop")
    assert "shop" not in foreign.text
    # The task has no copy of a screenshot, no recording and no report.
    allowed = 404 if endpoint in ("screenshot", "recording", "report") else 200
    assert ask(f"shop/{endpoint}", **READ[endpoint]).status_code == allowed


@pytest.mark.parametrize("endpoint", READ)
def test_no_other_method(tasks: Engine, endpoint: str) -> None:
    methods = {"POST", "PUT", "DELETE", "PATCH"} - ({"POST"} if endpoint in WRITE else set())
    for method in sorted(methods):
        assert ask(f"shop/{endpoint}", "admin", method, **READ[endpoint]).status_code == 405


@pytest.mark.parametrize("endpoint", WRITE)
def test_who_writes(tasks: Engine, endpoint: str) -> None:
    """No stranger, no reader, no other DAG's user, no other site and no other method changes or logs anything."""
    before = written(tasks)
    path, content = f"shop/{endpoint}", json.dumps(WRITE[endpoint])
    assert ask(path, None, "POST", content=content).status_code == 401
    for user in ("viewer", "blind", "outsider"):
        assert ask(path, user, "POST", content=content).status_code == 403
    for headers in FOREIGN:
        status = 415 if headers["content-type"] == "text/plain" else 403
        assert ask(path, "admin", "POST", headers=headers, content=content).status_code == status
    for method in ("PUT", "DELETE", "PATCH"):
        assert ask(path, "admin", method, content=content).status_code == 405
    assert written(tasks) == before
    # The same request of an editor from Airflow's own page passes all of these checks.
    assert ask(path, "admin", "POST", content="{}").status_code == 400


def written(engine: Engine) -> tuple[list[object], list[object]]:
    """The states of all tasks, and the audit log."""
    with engine.connect() as connection:
        states = connection.execute(select(TaskInstance.dag_id, TaskInstance.state)).all()
        return sorted(map(tuple, states)), list(connection.execute(select(Log.event)))
