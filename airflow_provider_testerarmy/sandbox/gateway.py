"""The layer between the socket and the vendors' routes: logs every call and applies faults."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from airflow_provider_testerarmy.sandbox.answers import Answer, edited_answer, faulty_answer, html_answer
from airflow_provider_testerarmy.sandbox.core import wire
from airflow_provider_testerarmy.sandbox.core.faults import WITHOUT_EFFECT, CallFaults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_provider_testerarmy.sandbox.core.faults import Fault, Kind
    from airflow_provider_testerarmy.sandbox.core.requestlog import LogEntry
    from airflow_provider_testerarmy.sandbox.core.service import Service
    from airflow_provider_testerarmy.sandbox.core.vendor import Vendor

CLOCK_POLL_SECONDS = 0.01


class Gateway:
    """An ASGI application that logs the calls below a vendor's prefix and applies faults to them.

    :param rest: serves everything else (control API, screenshots, index page).
    """

    def __init__(self, sandbox: Service, vendors: Sequence[Vendor], rest: ASGIApp) -> None:
        self.sandbox = sandbox
        self.vendors = vendors
        self.rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            await self.rest(scope, receive, send)
            return
        scope["sandbox"] = self.sandbox
        vendor = self._vendor(scope["path"])
        if vendor is None:

            async def send_dated(message: Message) -> None:
                await send(_dated(message, self.sandbox))

            await self.rest(scope, receive, send_dated)
            return
        await _Call(self.sandbox, vendor, scope, receive, send).serve()

    def _vendor(self, path: str) -> Vendor | None:
        for vendor in self.vendors:
            if path == vendor.prefix or path.startswith(vendor.prefix + "/"):
                return vendor
        return None


def _dated(message: Message, sandbox: Service, skew: float = 0.0) -> Message:
    """Add a `Date` header with the sandbox's time, `skew` seconds ahead of it."""
    if message["type"] != "http.response.start":
        return message
    date = format_datetime(sandbox.clock.now() + timedelta(seconds=skew), usegmt=True).encode()
    return {**message, "headers": [*message.get("headers", []), (b"date", date)]}


class _Call:
    """One call of a vendor's API."""

    def __init__(self, sandbox: Service, vendor: Vendor, scope: Scope, receive: Receive, send: Send) -> None:
        self.sandbox, self.vendor, self.scope = sandbox, vendor, scope
        self.receive, self.raw_send = receive, send
        self.path: str = scope["path"][len(vendor.prefix) :] or "/"
        self.operation = vendor.operation(scope["method"], self.path)
        self.entry = self._begin()
        self.faults = CallFaults()

    def _begin(self) -> LogEntry:
        query = self.scope["query_string"].decode("latin-1")
        return self.sandbox.log.begin(
            self.scope["method"], self.path, query, self.operation, self.sandbox.clock.time()
        )

    async def serve(self) -> None:
        """Serve the call with its faults."""
        # A service that is down consumes no scripted faults, so that they apply once it is up again.
        if self.sandbox.down:
            await self._serve_down()
            return
        self.faults = self.sandbox.faults.take(self.scope["method"], self.path, self.operation)
        kinds = [fault.kind for fault in (*self.faults.modifiers, self.faults.answer) if fault]
        self.entry.fault = "+".join(kinds) or None
        await self._wait("delay", self.sandbox.latency)
        self.scope["sandbox.entry"] = self.entry
        self.scope["sandbox.list_lag"] = self.faults.total("list_lag")
        await self._start_foreign_runs()
        if self.faults.answer is not None:
            await self._serve_faulty(self.faults.answer)
        elif self.faults.modifiers:
            answer = await self._serve_silently()
            await self._wait("delay_after")
            await self._answer(answer)
        else:
            await self.vendor.app(self._inner_scope(), self.receive, self._send_and_log)

    async def _serve_down(self) -> None:
        self.entry.fault = f"down:{self.sandbox.down}"
        if self.sandbox.down == "html":
            await self._answer(html_answer(503))
        else:
            await self._reset()

    async def _wait(self, kind: Kind, more: float = 0.0) -> None:
        """Wait as long as the faults of this kind say, plus `more` real seconds."""
        seconds, sandbox_seconds = (
            more + self.faults.total(kind),
            self.faults.total(kind, "sandbox_seconds"),
        )
        if seconds > 0:
            await asyncio.sleep(seconds)
        until = self.sandbox.clock.time() + sandbox_seconds
        # The clock can be advanced by hand or change its speed, so the time to sleep is not known in advance.
        while self.sandbox.clock.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(CLOCK_POLL_SECONDS)

    async def _start_foreign_runs(self) -> None:
        """Make the same call for someone else first; their runs are not in the request log."""
        others = self.faults.of("foreign_run")
        if not others:
            return
        sent = await _read(self.receive)
        for fault in others:
            body = sent if fault.body is None else json.dumps(fault.body).encode()
            headers = [*self.scope["headers"], (b"content-type", b"application/json")]
            theirs = {"sandbox.foreign": fault.source, "sandbox.list_lag": 0.0, "headers": headers}
            await self.vendor.app({**self._inner_scope(), **theirs}, _sending(body), _discard)
        self.receive = _sending(sent, self.receive)

    async def _serve_faulty(self, fault: Fault) -> None:
        true_answer = None if fault.kind in WITHOUT_EFFECT else await self._serve_silently()
        await self._wait("delay_after")
        if fault.kind.startswith("reset"):
            await self._reset()
        elif fault.kind.startswith("timeout"):
            self.entry.answered = "timeout"
            await wire.stall(self.receive, self.raw_send)
        elif fault.kind == "truncated" and true_answer is not None:
            await self._truncate(true_answer)
        else:
            now = self.sandbox.clock.now()
            await self._answer(faulty_answer(fault, true_answer, now, self.vendor.error_body))

    async def _serve_silently(self) -> Answer:
        """Let the vendor serve the call, but hold back its response."""
        answer = Answer(500, [], b"")

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message.get("headers", []))
            else:
                answer.body += message.get("body", b"")

        await self.vendor.app(self._inner_scope(), self.receive, keep)
        return edited_answer(answer, self.faults.of("edit"))

    async def _reset(self) -> None:
        self.entry.answered = "reset"
        await wire.reset(self.receive, self.raw_send)

    async def _truncate(self, answer: Answer) -> None:
        self.entry.answered = "truncated"
        head = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        start = _dated(head, self.sandbox, self.faults.total("date_skew"))
        await wire.truncate(self.receive, self.raw_send, start, answer.body[: len(answer.body) // 2])

    async def _answer(self, answer: Answer) -> None:
        self.entry.answered = answer.status
        await answer.send(self.send)

    async def send(self, message: Message) -> None:
        await self.raw_send(_dated(message, self.sandbox, self.faults.total("date_skew")))

    async def _send_and_log(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.entry.answered = message["status"]
        await self.send(message)

    def _inner_scope(self) -> Scope:
        """Return the scope for the vendor's routes: the path below its prefix, or that of a `misroute` fault."""
        routes = [fault.path for fault in self.faults.of("misroute") if fault.path]
        path = routes[-1] if routes else self.path
        return {**self.scope, "path": path, "raw_path": path.encode(), "root_path": ""}


async def _read(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _sending(body: bytes, rest: Receive | None = None) -> Receive:
    """Return an ASGI `receive` that yields a body, and then what `rest` receives."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        return await rest() if rest is not None else {"type": wire.DISCONNECT}

    return receive


async def _discard(_: Message) -> None:
    """Discard a response."""
