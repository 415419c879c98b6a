"""The control API for Docket's runs, below `/_sandbox/docket`, and a placeholder for its videos."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from airflow_provider_testerarmy.sandbox.core.body import Order
from airflow_provider_testerarmy.sandbox.core.http import sandbox_of
from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.docket.store import DocketRun, DocketStore

router = APIRouter()


class DocketRunOrder(Order):
    """The status to set."""

    status: str


class BlueprintOrder(Order):
    """The script that the next runs of a blueprint follow; null restores its own."""

    script: str | None


@router.get("/_sandbox/docket/runs")
async def list_runs(request: Request) -> Response:
    """List all runs; Docket's public API cannot."""
    store = sandbox_of(request).store_of(DocketStore)
    now = store.clock.time()
    return JSONResponse({"runs": [_document(run, now) for run in list(store.runs.values())]})


@router.post("/_sandbox/docket/runs/{run_id}")
async def change_run(request: Request, run_id: int, order: DocketRunOrder) -> Response:
    """Set the status of a run."""
    store = sandbox_of(request).store_of(DocketStore)
    return JSONResponse(_document(store.force(run_id, order.status), store.clock.time()))


@router.post("/_sandbox/docket/blueprints/{blueprint_id}")
async def change_blueprint(request: Request, blueprint_id: int, order: BlueprintOrder) -> Response:
    """Change the script that the next runs of a blueprint follow."""
    sandbox_of(request).store_of(DocketStore).override_script(blueprint_id, order.script)
    return JSONResponse({"testBlueprintId": blueprint_id})


@router.get("/videos/{name}.webm")
async def get_video(name: str) -> Response:
    """Return a page that says that the sandbox records no videos."""
    return HTMLResponse("<!doctype html><title>No video</title><p>The sandbox records no videos.</p>")


def _document(run: DocketRun, now: float) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": run.status(now),
        "testGroupRunId": run.group_run_id,
        "testBlueprintId": run.blueprint.id,
        "createdAt": iso(run.created),
        "visible": run.visible_from <= now,
    }
