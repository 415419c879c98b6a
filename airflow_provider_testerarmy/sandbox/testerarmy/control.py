"""The control API for TesterArmy's runs, tests and groups, below `/_sandbox`."""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_testerarmy.sandbox.core.body import Order
from airflow_provider_testerarmy.sandbox.core.errors import bad_request
from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.testerarmy.calls import find_group, find_test, store_of
from airflow_provider_testerarmy.sandbox.testerarmy.engine import Run, status_at
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest

router = APIRouter(prefix="/_sandbox")


class RunOrder(Order):
    """The status to set, or the script to follow."""

    status: str | None = None
    script: str | None = None


class TestOrder(Order):
    """Changes to a test: the script that its next runs follow (null restores its own), title, and `enabled`.

    `deleted` removes the test from the catalog and from its groups.
    """

    __test__ = False

    script: str | None = None
    address: str = ""
    enabled: bool | None = None
    title: str | None = None
    deleted: bool = False


class GroupOrder(Order):
    """The new tests of a group."""

    test_ids: list[str] = Field(alias="testIds")


class ForeignOrder(Order):
    """Runs that someone else starts: of a test, a group or a prompt."""

    test_id: str | None = Field(default=None, alias="testId")
    group_id: str | None = Field(default=None, alias="groupId")
    prompt: str | None = None
    source: str = "dashboard"
    input: dict[str, Any] = Field(default_factory=dict)


@router.get("/runs")
async def list_runs(request: Request) -> Response:
    """List all runs, with fields that the API does not show."""
    store = store_of(request)
    now = store.clock.time()
    return JSONResponse({"runs": [_run_document(run, now) for run in list(store.runs.values())]})


@router.post("/runs/{run_id}")
async def change_run(request: Request, run_id: str, order: RunOrder) -> Response:
    """Set the status of a run, or change its script."""
    store = store_of(request)
    run = store.force(run_id, status=order.status, script=order.script)
    return JSONResponse(_run_document(run, store.clock.time()))


@router.post("/tests/{test_id}")
async def change_test(request: Request, test_id: str, order: TestOrder) -> Response:
    """Change the script that a test's next runs follow; rename, enable, disable or delete the test."""
    store = store_of(request)
    if test_id not in store.catalog.tests:
        raise bad_request("BAD_REQUEST", f"The catalog has no test {test_id}")
    if "script" in order.model_fields_set:
        store.override_script(test_id, order.script, order.address)
    if order.enabled is not None:
        store.catalog.set_enabled(test_id, enabled=order.enabled)
    if order.title is not None:
        store.catalog.rename_test(test_id, order.title)
    if order.deleted:
        store.catalog.delete_test(test_id)
    return JSONResponse({"testId": test_id})


@router.post("/groups/{group_id}")
async def change_group(request: Request, group_id: str, order: GroupOrder) -> Response:
    """Replace the tests of a group."""
    catalog = store_of(request).catalog
    unknown = [test_id for test_id in order.test_ids if test_id not in catalog.tests]
    if group_id not in catalog.groups or unknown:
        raise bad_request("BAD_REQUEST", f"The catalog has no group {group_id}, or no tests {unknown}")
    catalog.change_group(group_id, order.test_ids)
    return JSONResponse({"groupId": group_id, "testIds": order.test_ids})


@router.post("/foreign-runs")
async def start_foreign_runs(request: Request, order: ForeignOrder) -> Response:
    """Start runs on behalf of someone else; the request log does not count them as submitted."""
    store = store_of(request)
    # An account is shared: other people's runs appear in its lists, and a client must not adopt them.
    asked = RunRequest(order.input, foreign=order.source)
    runs: list[Run]
    if order.group_id is not None:
        runs = store.submit_group(find_group(store.catalog, order.group_id), asked).runs
    elif order.test_id is not None:
        runs = [store.submit_test(find_test(store.catalog, order.test_id), asked)]
    else:
        runs = [store.submit_prompt("passes", replace(asked, input={"prompt": order.prompt, **order.input}))]
    return JSONResponse({"runIds": [run.id for run in runs]}, status_code=201)


def _run_document(run: Run, now: float) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": status_at(run, now),
        "script": run.script,
        "batchId": run.batch_id,
        "testId": run.test.id if run.test else None,
        "source": run.source,
        "foreign": run.foreign,
        "createdAt": iso(run.created),
        "cancelledAt": iso(run.cancelled) if run.cancelled is not None else None,
        "position": run.position,
        "waitsFor": run.waits_for.id if run.waits_for else None,
        "visible": run.visible_from <= now,
    }
