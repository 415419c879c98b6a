"""The control routes for TesterArmy's runs and tests, below `/_sandbox`."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_testerarmy.sandbox.core.body import Order
from airflow_provider_testerarmy.sandbox.core.errors import bad_request
from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.testerarmy.calls import store_of
from airflow_provider_testerarmy.sandbox.testerarmy.engine import Run, status_at

router = APIRouter(prefix="/_sandbox")


class RunOrder(Order):
    """What becomes of a run."""

    status: str | None = None
    script: str | None = None


class TestOrder(Order):
    """Which script the next runs of a test follow (null: its own again), and whether it is enabled."""

    __test__ = False

    script: str | None = None
    enabled: bool | None = None


@router.get("/runs")
async def list_runs(request: Request) -> Response:
    """List all runs with what the API does not tell."""
    store = store_of(request)
    now = store.clock.time()
    return JSONResponse({"runs": [_run_document(run, now) for run in list(store.runs.values())]})


@router.post("/runs/{run_id}")
async def change_run(request: Request, run_id: str, order: RunOrder) -> Response:
    """Put a run into a status, or give it another script."""
    store = store_of(request)
    run = store.force(run_id, status=order.status, script=order.script)
    return JSONResponse(_run_document(run, store.clock.time()))


@router.post("/tests/{test_id}")
async def change_test(request: Request, test_id: str, order: TestOrder) -> Response:
    """Give the next runs of a test another script; disable or enable it."""
    store = store_of(request)
    if test_id not in store.catalog.tests:
        raise bad_request("BAD_REQUEST", f"The catalog has no test {test_id}")
    if "script" in order.model_fields_set:
        store.override_script(test_id, order.script)
    if order.enabled is not None:
        store.catalog.set_enabled(test_id, enabled=order.enabled)
    return JSONResponse({"testId": test_id})


def _run_document(run: Run, now: float) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": status_at(run, now),
        "script": run.script,
        "batchId": run.batch_id,
        "testId": run.test.id if run.test else None,
        "createdAt": iso(run.created),
        "cancelledAt": iso(run.cancelled) if run.cancelled is not None else None,
        "position": run.position,
        "waitsFor": run.waits_for.id if run.waits_for else None,
        "visible": run.visible_from <= now,
    }
