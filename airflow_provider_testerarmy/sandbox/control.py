"""The routes below `/_sandbox` with which a person or a test plays fate; they need no key."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_testerarmy.sandbox.body import Order
from airflow_provider_testerarmy.sandbox.engine import Run, status_at
from airflow_provider_testerarmy.sandbox.errors import bad_request
from airflow_provider_testerarmy.sandbox.faults import Fault
from airflow_provider_testerarmy.sandbox.http import sandbox_of
from airflow_provider_testerarmy.sandbox.times import iso

router = APIRouter(prefix="/_sandbox")


class ClockOrder(Order):
    """Move the clock: any of the three."""

    advance: float | None = Field(default=None, ge=0)
    speed: float | None = Field(default=None, gt=0, lt=1_000_000)
    manual: bool | None = None


class FaultOrder(Fault):
    """A fault to add; a misspelt field is an error."""

    __pydantic_config__ = ConfigDict(extra="forbid")


class KeyOrder(Order):
    """Keys to accept and to refuse from now on."""

    add: str | None = None
    revoke: str | None = None


class RunOrder(Order):
    """What becomes of a run."""

    status: str | None = None
    script: str | None = None


class TestOrder(Order):
    """Which script the next runs of a test follow (null: its own again), and whether it is enabled."""

    __test__ = False

    script: str | None = None
    enabled: bool | None = None


class LatencyOrder(Order):
    """Real seconds that every API call takes at least."""

    seconds: float = Field(ge=0)


class SwitchOrder(Order):
    """Switches; `down` takes `reset`, `html` or null (up again), and true means `reset`."""

    dedupe: bool | None = None
    down: Literal["reset", "html"] | bool | None = None


@router.get("/state")
async def get_state(request: Request) -> Response:
    """Return a summary of everything."""
    return JSONResponse(sandbox_of(request).state())


@router.post("/clock")
async def move_clock(request: Request, order: ClockOrder) -> Response:
    """Advance, quicken, stop or release the clock."""
    clock = sandbox_of(request).clock
    if order.manual is not None:
        clock.set_manual(order.manual)
    if order.speed is not None:
        clock.set_speed(order.speed)
    if order.advance is not None:
        clock.advance(order.advance)
    return JSONResponse(sandbox_of(request).state()["clock"])


@router.get("/faults")
async def list_faults(request: Request) -> Response:
    """List all faults and how often they struck."""
    return JSONResponse({"faults": [fault.as_dict() for fault in sandbox_of(request).faults.all()]})


@router.post("/faults")
async def add_faults(request: Request, orders: FaultOrder | list[FaultOrder]) -> Response:
    """Add a fault, or several."""
    wanted = orders if isinstance(orders, list) else [orders]
    added = [sandbox_of(request).faults.append(order) for order in wanted]
    return JSONResponse({"faults": [fault.as_dict() for fault in added]}, status_code=201)


@router.delete("/faults")
async def clear_faults(request: Request) -> Response:
    """Remove all faults."""
    sandbox_of(request).faults.clear()
    return JSONResponse({})


@router.get("/requests")
async def list_requests(request: Request, operation: str | None = None, since: int = 0) -> Response:
    """List the API calls so far, oldest first."""
    log = sandbox_of(request).log
    return JSONResponse(
        {
            "requests": [entry.as_dict() for entry in log.entries(operation, since)],
            "submittedRunIds": log.submitted_run_ids(),
            "cancelledRunIds": log.cancelled_run_ids(),
        }
    )


@router.delete("/requests")
async def clear_requests(request: Request) -> Response:
    """Forget the API calls so far."""
    sandbox_of(request).log.clear()
    return JSONResponse({})


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Forget everything but the time."""
    sandbox_of(request).reset()
    return JSONResponse({})


@router.post("/keys")
async def change_keys(request: Request, order: KeyOrder) -> Response:
    """Accept or refuse API keys."""
    if order.add:
        sandbox_of(request).keys.add(order.add)
    if order.revoke:
        sandbox_of(request).keys.revoke(order.revoke)
    return JSONResponse({})


@router.get("/runs")
async def list_runs(request: Request) -> Response:
    """List all runs with what the API does not tell."""
    store = sandbox_of(request).store
    now = store.clock.time()
    return JSONResponse({"runs": [_run_document(run, now) for run in list(store.runs.values())]})


@router.post("/runs/{run_id}")
async def change_run(request: Request, run_id: str, order: RunOrder) -> Response:
    """Put a run into a status, or give it another script."""
    store = sandbox_of(request).store
    run = store.force(run_id, status=order.status, script=order.script)
    return JSONResponse(_run_document(run, store.clock.time()))


@router.post("/tests/{test_id}")
async def change_test(request: Request, test_id: str, order: TestOrder) -> Response:
    """Give the next runs of a test another script; disable or enable it."""
    store = sandbox_of(request).store
    if test_id not in store.catalog.tests:
        raise bad_request("BAD_REQUEST", f"The catalog has no test {test_id}")
    if "script" in order.model_fields_set:
        store.override_script(test_id, order.script)
    if order.enabled is not None:
        store.catalog.set_enabled(test_id, enabled=order.enabled)
    return JSONResponse({"testId": test_id})


@router.post("/latency")
async def change_latency(request: Request, order: LatencyOrder) -> Response:
    """Make every API call slow, or quick again."""
    sandbox_of(request).latency = order.seconds
    return JSONResponse({"seconds": order.seconds})


@router.post("/switches")
async def change_switches(request: Request, order: SwitchOrder) -> Response:
    """Turn duplicate protection or the whole service on and off."""
    sandbox = sandbox_of(request)
    if order.dedupe is not None:
        sandbox.dedupe = order.dedupe
    if "down" in order.model_fields_set:
        sandbox.down = "reset" if order.down is True else (order.down or None)
    return JSONResponse(sandbox.state()["switches"])


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
