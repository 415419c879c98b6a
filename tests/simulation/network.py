"""The network between the provider's processes and the vendor, with everything that can go wrong on it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_testerarmy.client.http.answer import Head, read_answer
from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.errors import AnswerLost, NotSent
from airflow_provider_testerarmy.client.http.operation import Answer, Operation
from airflow_provider_testerarmy.client.http.sender import describe
from tests.simulation.kernel import Killed, World
from tests.simulation.vendor import Reply, Vendor

#: Seconds of a usual way there and back.
LATENCY = (0.02, 0.3)


@dataclass(slots=True)
class Fault:
    """What happens to requests of a kind for a while.

    :param kind: ``reset_before``, ``reset_after``, ``slow_before``, ``slow_after``, ``refused``,
        ``status``, ``status_after``, ``html``, ``garbage``, or ``cancelled``: the request's own task is cancelled,
        as a library below it may do.
    :param match: ``post``, ``cancel``, ``get``, ``list`` or ``all``; or a pattern of a method and a path.
    :param times: how many requests it strikes.
    """

    kind: str
    match: str
    since: float
    until: float
    times: int = 1_000_000
    status: int = 503
    seconds: float = 0.0
    retry_after: float | None = None

    def strikes(self, operation: Operation[Any], now: float) -> bool:
        """Whether it strikes a request that is sent now; counts it."""
        fits = self.match in ("all", kind_of(operation)) or (
            " " in self.match and fnmatchcase(f"{operation.method} {operation.path}", self.match)
        )
        if not (self.since <= now < self.until and self.times > 0 and fits):
            return False
        self.times -= 1
        return True


@dataclass(slots=True)
class Sent:
    """A request to start runs, for the judge.

    :param peer: the process that has sent it.
    :param settled: when its process learned that it was accepted, or that it never reached the service.
    """

    peer: str
    at: float
    settled: float = math.inf


def kind_of(operation: Operation[Any]) -> str:
    """What kind of request an operation is."""
    if operation.method == "POST":
        return "cancel" if operation.path.endswith("/cancel") else "post"
    return "list" if operation.path == "/runs" else "get"


class Network:
    """Carries requests to the vendor and answers back."""

    def __init__(self, world: World, vendor: Vendor) -> None:
        self.world = world
        self.vendor = vendor
        self.faults: list[Fault] = []
        #: Requests that were sent.
        self.sent = 0
        #: When faults have struck.
        self.struck: list[float] = []
        #: The requests to start runs.
        self.submissions: list[Sent] = []

    def send(self, operation: Operation[Any], endpoint: Endpoint, done: Callable[[Any], None]) -> None:
        """Send a request; `done` gets a reply, or the error that the client would see."""
        world, process = self.world, self.world.process
        self.sent += 1
        fault = next((one for one in self.faults if one.strikes(operation, world.now)), None)
        chance = world.stream(f"net {process.name}")
        out, back = chance.uniform(*LATENCY), chance.uniform(*LATENCY)
        request = describe(operation, endpoint)
        limit = min(endpoint.timeouts.read, endpoint.timeouts.total)
        answered: list[Any] = []
        sent = Sent(process.name, world.now)
        if operation.method == "POST" and operation.path.endswith("/runs"):
            self.submissions.append(sent)

        def answer(result: Any) -> None:
            if not answered:
                answered.append(result)
                accepted = isinstance(result, Reply) and result.status < 300
                sent.settled = world.now if accepted or isinstance(result, NotSent) else math.inf
                done(result)

        def serve() -> Reply:
            query = {name: value for name, value in operation.query.items() if value is not None}
            body = json.loads(json.dumps(operation.body)) if operation.body is not None else None
            return self.vendor.serve(
                process.name, endpoint.key, operation.method, operation.path, query, body
            )

        def arrive() -> None:
            reply = serve()
            world.after(back, process, lambda: answer(reply))

        if fault is None or (fault.kind == "cancelled" and process.role != "triggerer"):
            world.after(out, None, arrive)
            return
        self.struck.append(world.now)
        world.note("network", f"{fault.kind} strikes {operation.name} of {process.name}")
        lost = AnswerLost("the connection broke: reset", request=request)
        if fault.kind == "refused":
            world.after(out, process, lambda: answer(NotSent("no connection", request=request)))
        elif fault.kind == "cancelled":
            world.after(out, process, lambda: answer(asyncio.CancelledError()))
        elif fault.kind == "reset_before":
            world.after(out, process, lambda: answer(lost))
        elif fault.kind == "reset_after":
            world.after(out, None, serve)
            world.after(out + back, process, lambda: answer(lost))
        elif fault.kind in ("slow_before", "slow_after"):
            late = AnswerLost(f"no answer within {limit:g} s", request=request)
            if fault.kind == "slow_before":
                out += fault.seconds
            else:
                back += fault.seconds
            world.after(out, None, arrive)
            world.after(limit, process, lambda: answer(late))
        else:
            self._wrong_answer(fault, serve, process, out, back, answer)

    def _wrong_answer(
        self, fault: Fault, serve: Callable[[], Reply], process: Any, out: float, back: float, answer: Any
    ) -> None:
        headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
        codes = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 408: "REQUEST_TIMEOUT", 429: "RATE_LIMITED"}

        def reply() -> Reply:
            if fault.kind == "html":
                return self.vendor.html_reply(fault.status)
            if fault.kind == "garbage":
                return Reply(200, b'{"runs": [{"id": nul', {"content-type": "application/json"})
            return self.vendor.error_reply(fault.status, codes.get(fault.status, "INTERNAL_ERROR"), headers)

        if fault.kind in ("status_after", "garbage"):
            self.world.after(out, None, serve)
        self.world.after(out + back, process, lambda: answer(reply()))


def _read(operation: Operation[Any], endpoint: Endpoint, result: Any) -> Answer[Any]:
    if isinstance(result, Exception):
        raise result
    head = Head(result.status, "", result.headers)
    return read_answer(operation, endpoint, describe(operation, endpoint), head, bytearray(result.body))


def senders(network: Network) -> tuple[type, type]:
    """What stands in for the sync and the async sender: the same answers, read by the same code."""

    class Sync:
        def __init__(self, endpoint: Endpoint, **_options: Any) -> None:
            self.endpoint = endpoint

        def send(self, operation: Operation[Any]) -> Answer[Any]:
            def start(done: Callable[[Any], None]) -> None:
                network.send(operation, self.endpoint, done)

            return _read(operation, self.endpoint, network.world.wait_for(start))

        def close(self) -> None:
            pass

    class Async:
        def __init__(self, endpoint: Endpoint, **_options: Any) -> None:
            self.endpoint = endpoint

        async def send(self, operation: Operation[Any]) -> Answer[Any]:
            if not network.world.process.alive:
                raise Killed
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            def done(result: Any) -> None:
                if isinstance(result, asyncio.CancelledError):
                    future.cancel()
                elif not future.done():
                    future.set_result(result)

            network.send(operation, self.endpoint, done)
            return _read(operation, self.endpoint, await future)

        async def aclose(self) -> None:
            pass

    return Sync, Async
