"""The two senders, sync and async: they move bytes; what those mean is decided in functions both share."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from functools import cache, partial
from typing import Any, Final, TypeVar

import httpx
from tenacity import AsyncRetrying, Retrying, retry_if_exception, stop_after_attempt

from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    ClientError,
    NotSent,
    ProtocolError,
    RequestInfo,
    RequestInvalid,
    ResponseInfo,
    UnusableSubmission,
    status_error_class,
)
from airflow_provider_testerarmy.client.http.operation import Answer, Operation
from airflow_provider_testerarmy.client.http.retry import RetryPolicy, http_date

T = TypeVar("T")

#: A page of 100 runs with long texts is a few MB; past this the answer is not the API's.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_EXCERPT: Final = 300
#: Seconds for which an idle connection is kept: longer than usual intervals between two polls, shorter than the
#: minute after which many servers close it.
_KEEP_ALIVE: Final = 50.0
#: From this many bytes on an answer is read in a thread: an event loop has others to serve meanwhile.
_LARGE: Final = 256 * 1024
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_KEPT_HEADERS: Final = ("retry-after", "date", "content-type", "location")
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class SyncSender:
    """Sends operations one after the other, over pooled connections.

    :param policy: how single requests are repeated.
    :param transport: for tests in process; the network otherwise.
    :param sleep: waits that many seconds.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        policy: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._client = httpx.Client(transport=transport, **_client_options(endpoint))

    def send(self, operation: Operation[T]) -> Answer[T]:
        """Send one operation and return its parsed answer.

        :raises ClientError: see :mod:`airflow_provider_testerarmy.client.http.errors`.
        """
        if self._policy.attempts == 1:
            return self._once(operation)
        retrying = Retrying(sleep=self._sleep, **_retry_options(self._policy, operation))
        return retrying(self._once, operation)

    def _once(self, operation: Operation[T]) -> Answer[T]:
        body = _Body(operation, self.endpoint)
        try:
            with self._client.stream(**_request_options(operation, self.endpoint)) as response:
                for chunk in response.iter_bytes():
                    body.add(chunk)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise map_transport_error(error, operation, self.endpoint) from _cause(error, self.endpoint)
        return read_answer(operation, self.endpoint, response, bytes(body.content))

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()

    def __enter__(self) -> SyncSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncSender:
    """Sends operations from an event loop, over pooled connections; parameters as :class:`SyncSender`."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        policy: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.endpoint = endpoint
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._client = httpx.AsyncClient(transport=transport, **_client_options(endpoint))

    async def send(self, operation: Operation[T]) -> Answer[T]:
        """Send one operation and return its parsed answer; raises as :meth:`SyncSender.send`."""
        if self._policy.attempts == 1:
            return await self._once(operation)
        retrying = AsyncRetrying(sleep=self._sleep, **_retry_options(self._policy, operation))
        return await retrying(self._once, operation)

    async def _once(self, operation: Operation[T]) -> Answer[T]:
        body = _Body(operation, self.endpoint)
        try:
            async with self._client.stream(**_request_options(operation, self.endpoint)) as response:
                async for chunk in response.aiter_bytes():
                    body.add(chunk)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise map_transport_error(error, operation, self.endpoint) from _cause(error, self.endpoint)
        read = partial(read_answer, operation, self.endpoint, response, bytes(body.content))
        return await asyncio.to_thread(read) if len(body.content) > _LARGE else read()

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._client.aclose()

    async def __aenter__(self) -> AsyncSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Body:
    """The bytes of an answer as they come in, within bounds of size and time.

    httpx's read time-out starts anew with every piece, so a service that drips would hold a caller for ever.
    """

    def __init__(self, operation: Operation[Any], endpoint: Endpoint) -> None:
        self.content = bytearray()
        self._request = describe(operation, endpoint)
        self._limit = endpoint.timeouts.total
        self._deadline = time.monotonic() + self._limit

    def add(self, chunk: bytes) -> None:
        self.content += chunk
        if len(self.content) > MAX_BODY_BYTES:
            raise ProtocolError(f"the answer is larger than {MAX_BODY_BYTES} bytes", request=self._request)
        if time.monotonic() > self._deadline:
            raise AnswerLost(f"the answer took longer than {self._limit:g} s", request=self._request)


@cache
def _tls_context() -> ssl.SSLContext:
    # Loading the certificate store costs tens of milliseconds, too much for every client in an event loop.
    return httpx.create_ssl_context()


def _client_options(endpoint: Endpoint) -> dict[str, Any]:
    limits = endpoint.timeouts
    return {
        "headers": endpoint.headers(),
        "timeout": httpx.Timeout(limits.read, connect=limits.connect),
        "limits": httpx.Limits(keepalive_expiry=_KEEP_ALIVE),
        "follow_redirects": False,
        "verify": _tls_context(),
        # A corporate proxy cannot reach this machine's loopback.
        "trust_env": not endpoint.on_loopback,
    }


def _request_options(operation: Operation[Any], endpoint: Endpoint) -> dict[str, Any]:
    options: dict[str, Any] = {"method": operation.method, "url": endpoint.base_url + operation.path}
    query = {name: value for name, value in operation.query.items() if value is not None}
    if query:
        options["params"] = query
    if operation.body is not None:
        options["json"] = operation.body
    return options


def _retry_options(policy: RetryPolicy, operation: Operation[Any]) -> dict[str, Any]:
    return {
        "retry": retry_if_exception(partial(policy.again, operation)),
        "wait": policy.wait,
        "stop": stop_after_attempt(policy.attempts),
        "reraise": True,
    }


def describe(operation: Operation[Any], endpoint: Endpoint) -> RequestInfo:
    """The request as errors show it."""
    return RequestInfo(operation.name, operation.method, endpoint.base_url + operation.path)


def map_transport_error(
    error: httpx.HTTPError | httpx.InvalidURL, operation: Operation[Any], endpoint: Endpoint
) -> ClientError:
    """What a failed exchange means: whether the request can have reached the service is what counts."""
    request = describe(operation, endpoint)
    text = endpoint.scrub(str(error)) or type(error).__name__
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return RequestInvalid(f"the URL cannot be used: {text}", request=request)
    if isinstance(error, _NOT_SENT):
        return NotSent(f"no connection: {text}", request=request)
    if isinstance(error, httpx.TimeoutException):
        return AnswerLost(f"no answer within {endpoint.timeouts.read:g} s", request=request)
    if isinstance(error, httpx.DecodingError):
        return ProtocolError(f"the body cannot be decoded: {text}", request=request)
    return AnswerLost(f"the connection broke: {text}", request=request)


def _cause(error: Exception, endpoint: Endpoint) -> Exception | None:
    """The error as a cause to show in tracebacks; None when its text quotes an answer that echoed the key."""
    return error if endpoint.scrub(str(error)) == str(error) else None


def read_answer(
    operation: Operation[T], endpoint: Endpoint, response: httpx.Response, content: bytes
) -> Answer[T]:
    """The parsed answer, or the error that it is.

    :raises StatusError: for every status but 2xx; a redirect is refused, because it could carry the key away.
    :raises ProtocolError: for a body that is empty, not JSON, or of another shape.
    """
    request = describe(operation, endpoint)
    info = _response_info(endpoint, response, content)
    if not response.is_success:
        message = _status_message(response, content, endpoint)
        raise status_error_class(response.status_code)(message, request=request, response=info)
    data = _decode(content, request, info)
    try:
        value = operation.parse(data)
    except UnusableSubmission as error:
        raise ProtocolError(
            endpoint.scrub(str(error))[:_EXCERPT],
            request=request,
            response=info,
            candidates=error.candidates,
            batch_id=error.batch_id,
        ) from None
    except ValueError as error:
        # pydantic's own message quotes the input, which is remote text of any length.
        reason = endpoint.scrub(_shape_error(error))
        raise ProtocolError(
            f"the answer has another shape: {reason}", request=request, response=info
        ) from None
    return Answer(value, server_time(info))


def server_time(response: ResponseInfo) -> datetime | None:
    """The service's clock, from the ``Date`` header."""
    return http_date(response.headers.get("date", ""))


def _decode(content: bytes, request: RequestInfo, info: ResponseInfo) -> Any:
    if not content.strip():
        raise ProtocolError("the answer is empty", request=request, response=info)
    try:
        data = json.loads(content)
        # Text that was cut within an emoji: no log and no report could be written with it.
        if _SURROGATE.search(content):
            data = json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        kind = "HTML" if content.lstrip()[:1] == b"<" else "not JSON"
        raise ProtocolError(
            f"the answer is {kind}: {info.excerpt[:80]!r}", request=request, response=info
        ) from None
    return data


def _response_info(endpoint: Endpoint, response: httpx.Response, content: bytes) -> ResponseInfo:
    headers = response.headers
    kept = {name: endpoint.scrub(headers[name]) for name in _KEPT_HEADERS if name in headers}
    # Scrub before cutting, so that a key across the cut does not survive in part. However often it is
    # repeated, this many bytes are no fewer characters than are kept: three for each key.
    begin = content[: _EXCERPT * max(4, len(endpoint.key))]
    excerpt = endpoint.scrub(begin.decode("utf-8", "replace"))[:_EXCERPT]
    return ResponseInfo(response.status_code, kept, excerpt)


def _status_message(response: httpx.Response, content: bytes, endpoint: Endpoint) -> str:
    status = response.status_code
    if response.is_redirect:
        return f"{status}: redirected, which is not followed; check the host of the connection"
    code, text = error_envelope(content)
    if not code and not text:
        return endpoint.scrub(f"{status} {response.reason_phrase}".strip())[:_EXCERPT]
    told = ": ".join(part for part in (code, text) if part)
    return endpoint.scrub(f"{status} {told}")[:_EXCERPT]


def error_envelope(content: bytes) -> tuple[str, str]:
    """``error`` and ``message`` of an error body, each empty when the body is something else."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(data, dict):
        return "", ""
    code = data.get("error")
    told = (_reason(data.get(name)) for name in ("message", "msg", "detail", "errors"))
    return "" if isinstance(code, dict | list) else str(code or ""), next((text for text in told if text), "")


def _reason(value: Any) -> str:
    """A reason as text: as it is, or from a list or an object, e.g. ``[{"loc": [...], "msg": ...}]``."""
    if isinstance(value, dict):
        text = value.get("msg") or value.get("message") or value.get("detail")
        where = value.get("loc")
        place = ".".join(map(str, where)) if isinstance(where, list) else ""
        if isinstance(text, str):
            return f"{place}: {text}" if place else text
        parts = [f"{name}: {_reason(item)}" for name, item in list(value.items())[:5] if item]
        return "; ".join(parts)
    if isinstance(value, list):
        return "; ".join(text for text in map(_reason, value[:5]) if text)
    return str(value or "")


def _shape_error(error: ValueError) -> str:
    details = getattr(error, "errors", None)
    if not callable(details):
        return str(error)[:_EXCERPT]
    found = details(include_url=False, include_input=False, include_context=False)
    places = ["{}: {}".format(".".join(map(str, item["loc"])) or "body", item["msg"]) for item in found]
    return "; ".join(places[:3])


def iterate(
    send: Callable[[Operation[T]], Answer[T]], first: Operation[T], following: Following[T]
) -> Iterator[T]:
    """The pages of a cursor-paginated list, fetched as they are consumed."""
    operation: Operation[T] | None = first
    seen: set[str] = set()
    while operation is not None:
        page = send(operation).value
        yield page
        operation = _next_page(page, following, seen)


async def aiterate(
    send: Callable[[Operation[T]], Awaitable[Answer[T]]], first: Operation[T], following: Following[T]
) -> AsyncIterator[T]:
    """The pages of a cursor-paginated list, for an event loop."""
    operation: Operation[T] | None = first
    seen: set[str] = set()
    while operation is not None:
        page = (await send(operation)).value
        yield page
        operation = _next_page(page, following, seen)


#: From a page, the operation for the next one with its cursor, or None after the last page.
Following = Callable[[T], "tuple[str, Operation[T]] | None"]


def _next_page(page: T, following: Following[T], seen: set[str]) -> Operation[T] | None:
    """The next page's operation; a cursor that comes back a second time ends the list instead of looping."""
    step = following(page)
    if step is None or step[0] in seen:
        return None
    seen.add(step[0])
    return step[1]
