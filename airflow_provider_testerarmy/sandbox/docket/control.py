"""The control routes for Docket's runs, below `/_sandbox/docket`, and what stands where its videos would be."""

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
    """Which status a run takes now."""

    status: str


class BlueprintOrder(Order):
    """Which script the next runs of a blueprint follow; null: its own again."""

    script: str | None


@router.get("/_sandbox/docket/runs")
async def list_runs(request: Request) -> Response:
    """List all runs, which the API cannot."""
    store = sandbox_of(request).store_of(DocketStore)
    now = store.clock.time()
    return JSONResponse({"runs": [_document(run, now) for run in list(store.runs.values())]})


@router.post("/_sandbox/docket/runs/{run_id}")
async def change_run(request: Request, run_id: int, order: DocketRunOrder) -> Response:
    """Put a run into a status."""
    store = sandbox_of(request).store_of(DocketStore)
    return JSONResponse(_document(store.force(run_id, order.status), store.clock.time()))


@router.post("/_sandbox/docket/blueprints/{blueprint_id}")
async def change_blueprint(request: Request, blueprint_id: int, order: BlueprintOrder) -> Response:
    """Give the next runs of a blueprint another script."""
    sandbox_of(request).store_of(DocketStore).override_script(blueprint_id, order.script)
    return JSONResponse({"testBlueprintId": blueprint_id})


@router.get("/videos/{name}.webm")
async def get_video(name: str) -> Response:
    """Say that there is no video: nothing was recorded, as nothing was tested."""
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
