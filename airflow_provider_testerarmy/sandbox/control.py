"""The control API below `/_sandbox`, through which a person or a test scripts the sandbox. It needs no key."""

from typing import Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_testerarmy.sandbox.core.body import Order
from airflow_provider_testerarmy.sandbox.core.faults import Fault
from airflow_provider_testerarmy.sandbox.state import Sandbox

router = APIRouter(prefix="/_sandbox")


class ClockOrder(Order):
    """Changes to the clock."""

    advance: float | None = Field(default=None, ge=0)
    speed: float | None = Field(default=None, gt=0, lt=1_000_000)
    manual: bool | None = None


class FaultOrder(Fault):
    """A fault to add; an unknown field is an error."""

    __pydantic_config__ = ConfigDict(extra="forbid")


class KeyOrder(Order):
    """An API key to add and one to revoke."""

    add: str | None = None
    revoke: str | None = None


class LatencyOrder(Order):
    """The minimum duration of every API call, in real seconds."""

    seconds: float = Field(ge=0)


class SwitchOrder(Order):
    """Switches; `down` takes `reset`, `html` or null (up again), and true means `reset`."""

    dedupe: bool | None = None
    down: Literal["reset", "html"] | bool | None = None


@router.get("/state")
async def get_state(request: Request) -> Response:
    """Return a summary of the sandbox's state."""
    return JSONResponse(_sandbox(request).state())


@router.post("/clock")
async def move_clock(request: Request, order: ClockOrder) -> Response:
    """Advance, stop or start the clock, or change its speed."""
    clock = _sandbox(request).clock
    if order.manual is not None:
        clock.set_manual(order.manual)
    if order.speed is not None:
        clock.set_speed(order.speed)
    if order.advance is not None:
        clock.advance(order.advance)
    return JSONResponse(_sandbox(request).state()["clock"])


@router.get("/faults")
async def list_faults(request: Request) -> Response:
    """List all faults and how often each was applied."""
    return JSONResponse({"faults": [fault.as_dict() for fault in _sandbox(request).faults.all()]})


@router.post("/faults")
async def add_faults(request: Request, orders: FaultOrder | list[FaultOrder]) -> Response:
    """Add one or more faults."""
    wanted = orders if isinstance(orders, list) else [orders]
    added = [_sandbox(request).faults.append(order) for order in wanted]
    return JSONResponse({"faults": [fault.as_dict() for fault in added]}, status_code=201)


@router.delete("/faults")
async def clear_faults(request: Request) -> Response:
    """Remove all faults."""
    _sandbox(request).faults.clear()
    return JSONResponse({})


@router.get("/requests")
async def list_requests(request: Request, operation: str | None = None, since: int = 0) -> Response:
    """List the API calls so far, oldest first."""
    log = _sandbox(request).log
    return JSONResponse(
        {
            "requests": [entry.as_dict() for entry in log.entries(operation, since)],
            "submittedRunIds": log.submitted_run_ids(),
            "cancelledRunIds": log.cancelled_run_ids(),
        }
    )


@router.delete("/requests")
async def clear_requests(request: Request) -> Response:
    """Delete the log of API calls."""
    _sandbox(request).log.clear()
    return JSONResponse({})


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Reset everything but the clock."""
    _sandbox(request).reset()
    return JSONResponse({})


@router.post("/keys")
async def change_keys(request: Request, order: KeyOrder) -> Response:
    """Add and revoke API keys."""
    if order.add:
        _sandbox(request).keys.add(order.add)
    if order.revoke:
        _sandbox(request).keys.revoke(order.revoke)
    return JSONResponse({})


@router.post("/latency")
async def change_latency(request: Request, order: LatencyOrder) -> Response:
    """Set the minimum duration of API calls."""
    _sandbox(request).latency = order.seconds
    return JSONResponse({"seconds": order.seconds})


@router.post("/switches")
async def change_switches(request: Request, order: SwitchOrder) -> Response:
    """Turn duplicate protection or the whole service on and off."""
    sandbox = _sandbox(request)
    if order.dedupe is not None:
        sandbox.dedupe = order.dedupe
    if "down" in order.model_fields_set:
        sandbox.down = "reset" if order.down is True else (order.down or None)
    return JSONResponse(sandbox.state()["switches"])


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.scope["sandbox"]
    return sandbox
