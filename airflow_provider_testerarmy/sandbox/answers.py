"""Faulty responses: what a fault sends instead of the real response."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Send

    from airflow_provider_testerarmy.sandbox.core.faults import Fault

HTML_PAGE = (
    "<html><head><title>{status}</title></head>"
    "<body><center><h1>{status} {title}</h1></center><hr><center>nginx</center></body></html>"
)
TITLES = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Time-out",
}
CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    425: "TOO_EARLY",
    429: "RATE_LIMITED",
    504: "GATEWAY_TIMEOUT",
}
DEFAULT_STATUS = {"status": 500, "status_after": 504, "html": 502}


@dataclass(slots=True)
class Answer:
    """A complete response that has not been sent yet."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def send(self, send: Send) -> None:
        """Send the response."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def edited_answer(answer: Answer, faults: Sequence[Fault]) -> Answer:
    """Return the real response with the edits of these faults applied; an empty response stays empty."""
    if not faults or not answer.body:
        return answer
    document = json.loads(answer.body)
    for fault in faults:
        fault.edit(document)
    body = json.dumps(document).encode("ascii")
    kept = [(name, value) for name, value in answer.headers if name.lower() != b"content-length"]
    length = (b"content-length", str(len(body)).encode())
    return Answer(answer.status, [*kept, length], body)


def html_answer(status: int) -> Answer:
    """Return the HTML page that a proxy shows when its backend is down."""
    page = HTML_PAGE.format(status=status, title=TITLES.get(status, "Error"))
    return _whole(status, page.encode(), "text/html")


def _whole(status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> Answer:
    fields = {"content-type": content_type, "content-length": str(len(body)), **(headers or {})}
    return Answer(
        status, [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in fields.items()], body
    )


def faulty_answer(
    fault: Fault, true_answer: Answer | None, now: datetime, error_body: Callable[[str, str], bytes]
) -> Answer:
    """Return the response that a fault sends instead of the real one.

    :param true_answer: the real response; None if the fault keeps the call from the service.
    :param error_body: builds the body of an error from its code and message.
    """
    true_status = true_answer.status if true_answer is not None else 200
    status = fault.status or DEFAULT_STATUS.get(fault.kind, true_status)
    headers = _fault_headers(fault, now)
    json_type = fault.content_type or "application/json"
    if fault.kind == "empty":
        return _whole(status, b"", json_type, headers)
    if fault.body is not None:
        return _whole(status, _custom_body(fault.body), json_type, headers)
    if fault.kind == "html":
        page = html_answer(status)
        return _whole(status, page.body, "text/html", headers)
    if fault.kind == "garbage":
        return _whole(status, b'{"runs": [{"id": \xff\xfe nul', json_type, headers)
    if fault.kind == "wrong_shape":
        return _whole(status, b'{"data": [1, "two", null], "ok": true}', json_type, headers)
    code = fault.code or CODES.get(status, "INTERNAL_ERROR")
    return _whole(status, error_body(code, fault.message), json_type, headers)


def _custom_body(body: Any) -> bytes:
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else json.dumps(body).encode()


def _fault_headers(fault: Fault, now: datetime) -> dict[str, str]:
    headers = dict(fault.headers or {})
    if fault.retry_after is not None:
        headers["retry-after"] = f"{fault.retry_after:g}"
    if fault.retry_after_date is not None:
        at = now + timedelta(seconds=fault.retry_after_date)
        headers["retry-after"] = format_datetime(at, usegmt=True)
    return headers
