"""The sync and the async sender. They only move bytes; parsing, errors and retries are in shared functions."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, Retrying, retry_if_exception, stop_after_attempt

from airflow_provider_testerarmy.client.http.answer import LARGE, Head, read_answer
from airflow_provider_testerarmy.client.http.body import MAX_BODY_BYTES, MAX_ERROR_BYTES, Body, BodyRefused
from airflow_provider_testerarmy.client.http.endpoint import Endpoint, is_loopback
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    ClientError,
    NotSent,
    ProtocolError,
    RequestInfo,
    RequestInvalid,
)
from airflow_provider_testerarmy.client.http.exchange import Exchange
from airflow_provider_testerarmy.client.http.network import bound
from airflow_provider_testerarmy.client.http.operation import Answer, Content, Operation
from airflow_provider_testerarmy.client.http.retry import RetryPolicy

T = TypeVar("T")

#: Seconds for which an idle connection is kept: longer than a typical poll interval, shorter than the 60 s after
#: which AWS load balancers close it by default. nginx closes it after 75 s.
_KEEP_ALIVE: Final = 50.0
#: The limit for the pages of one list: a million items at 100 a page.
MAX_PAGES: Final = 10_000
#: Bytes of a content that are read and sent at once.
_PIECE: Final = 256 * 1024
#: The errors that httpx raises before it sends a byte of the request. For ProxyError, only the CONNECT was sent.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
#: The errors an exchange may raise; `asyncio.timeout` raises `TimeoutError` at the deadline.
_FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, BodyRefused, TimeoutError)


class SyncSender:
    """Sends operations one after the other, over pooled connections.

    :param policy: when to retry a request.
    :param transport: an in-process transport for tests; by default the network.
    :param sleep: waits for a number of seconds.
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
        self._client = bound(httpx.Client(transport=transport, **_client_options(endpoint)))

    def send(self, operation: Operation[T]) -> Answer[T]:
        """Send one operation and return its parsed response.

        :raises ClientError: see :mod:`airflow_provider_testerarmy.client.http.errors`.
        """
        if self._policy.attempts == 1:
            return self._once(operation)
        retrying = Retrying(sleep=self._sleep, **_retry_options(self._policy, operation))
        return retrying(self._once, operation)

    def _once(self, operation: Operation[T]) -> Answer[T]:
        with Exchange(_total(operation, self.endpoint)).current() as exchange:
            try:
                with self._client.stream(**_request_options(operation, self.endpoint, _pieces)) as response:
                    exchange.head_complete()
                    body = _body(response)
                    for chunk in response.iter_raw():
                        for _ in body.feed(chunk):
                            _check_deadline(exchange)
                        if body.full:
                            break
                    body.finish()
            except _FAILURES as error:
                hiding = _hiding(operation, self.endpoint)
                raise _failed(error, operation, hiding, exchange) from _cause(error, hiding)
        return _read(operation, self.endpoint, response, body)

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()

    def __enter__(self) -> SyncSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncSender:
    """Sends operations from an event loop; has the parameters of :class:`SyncSender`."""

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
        self._client = bound(httpx.AsyncClient(transport=transport, **_client_options(endpoint)))

    async def send(self, operation: Operation[T]) -> Answer[T]:
        """Send one operation and return its parsed response; raises the errors of :meth:`SyncSender.send`."""
        if self._policy.attempts == 1:
            return await self._once(operation)
        retrying = AsyncRetrying(sleep=self._sleep, **_retry_options(self._policy, operation))
        return await retrying(self._once, operation)

    async def _once(self, operation: Operation[T]) -> Answer[T]:
        with Exchange(_total(operation, self.endpoint)).current() as exchange:
            try:
                # Cancels a step in flight at the deadline; the backend's checks run only between steps.
                async with asyncio.timeout(exchange.total):
                    response, body = await self._exchange(operation, exchange)
            except _FAILURES as error:
                hiding = _hiding(operation, self.endpoint)
                raise _failed(error, operation, hiding, exchange) from _cause(error, hiding)
        read = partial(_read, operation, self.endpoint, response, body)
        # A page of 100 runs may take longer to parse than a triggerer's event loop may be blocked.
        return await asyncio.to_thread(read) if len(body.content) > LARGE else read()

    async def _exchange(self, operation: Operation[T], exchange: Exchange) -> tuple[httpx.Response, Body]:
        async with self._client.stream(**_request_options(operation, self.endpoint, _apieces)) as response:
            exchange.head_complete()
            body = _body(response)
            async for chunk in response.aiter_raw():
                for _ in body.feed(chunk):
                    await exchange.yield_to_loop()
                if body.full:
                    break
            body.finish()
        return response, body

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._client.aclose()

    async def __aenter__(self) -> AsyncSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _body(response: httpx.Response) -> Body:
    # An error of a proxy may be a page of any size. Refusing a large one would hide its status.
    limit = MAX_BODY_BYTES if response.is_success else MAX_ERROR_BYTES
    return Body(response.headers.get("content-encoding", ""), limit=limit, cut=not response.is_success)


def _check_deadline(exchange: Exchange) -> None:
    if exchange.expired:
        raise TimeoutError


def tls_context(verify: bool | str = True) -> ssl.SSLContext:
    """The TLS context, cached for each value of ``verify``.

    :param verify: True for the certificate authorities of ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` or certifi; False
        for no verification; or the path of a CA file or folder.
    :raises OSError: for a path that cannot be read or holds no certificate.
    """
    # The path and its modification time are part of the cache key, so that a renewed bundle is loaded.
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    source = named if verify is True else verify
    changed = Path(source).stat().st_mtime if isinstance(source, str) else 0.0
    return _tls_context(verify, source, changed)


@cache
def _tls_context(verify: bool | str, _source: bool | str | None, _changed: float) -> ssl.SSLContext:
    # Loading the certificate store takes tens of milliseconds, which would block the event loop for every client.
    if isinstance(verify, str):
        folder = Path(verify).is_dir()
        return ssl.create_default_context(
            cafile=None if folder else verify, capath=verify if folder else None
        )
    return httpx.create_ssl_context(verify=verify)


def _client_options(endpoint: Endpoint) -> dict[str, Any]:
    limits = endpoint.timeouts
    return {
        "headers": endpoint.headers(authorized=False),
        "timeout": httpx.Timeout(min(limits.read, limits.total), connect=min(limits.connect, limits.total)),
        "limits": httpx.Limits(keepalive_expiry=_KEEP_ALIVE),
        # httpx strips Authorization when a redirect leaves the origin, but not a vendor's own header (X-API-KEY).
        "follow_redirects": False,
        "verify": tls_context(endpoint.verify),
        # HTTP_PROXY may point to a corporate proxy, which cannot reach this machine's loopback interface.
        "trust_env": not endpoint.on_loopback,
    }


def _total(operation: Operation[Any], endpoint: Endpoint) -> float:
    return operation.total or endpoint.timeouts.total


def _request_options(
    operation: Operation[Any], endpoint: Endpoint, pieces: Callable[[Content], Any]
) -> dict[str, Any]:
    options: dict[str, Any] = {"method": operation.method, "url": _url(operation, endpoint)}
    headers = endpoint.headers(authorized=operation.authorized and not operation.is_absolute)
    query = {name: value for name, value in operation.query.items() if value is not None}
    if query:
        options["params"] = query
    if operation.body is not None:
        options["json"] = operation.body
    if operation.content is not None:
        # Object stores refuse chunked uploads, so the length is stated.
        headers |= {
            "Content-Type": operation.content.media_type,
            "Content-Length": str(operation.content.size),
        }
        if operation.content.md5:
            headers["Content-MD5"] = operation.content.md5
        options["content"] = pieces(operation.content)
    return {**options, "headers": headers}


def _url(operation: Operation[Any], endpoint: Endpoint) -> str:
    """The URL of a request.

    :raises RequestInvalid: for an absolute URL that is plain http, where the connection does not allow it.
    """
    if not operation.is_absolute:
        return endpoint.base_url + operation.path
    parts = urlsplit(operation.path)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (
        parts.scheme == "http" and (endpoint.allow_http or is_loopback(host))
    ):
        raise RequestInvalid(
            "The URL is not https, so nothing was sent.", request=describe(operation, endpoint)
        )
    return operation.path


def _pieces(content: Content) -> Iterator[bytes]:
    with content.open() as file:
        while piece := file.read(_PIECE):
            yield piece


async def _apieces(content: Content) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(content.open) as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


def _retry_options(policy: RetryPolicy, operation: Operation[Any]) -> dict[str, Any]:
    return {
        "retry": retry_if_exception(partial(policy.again, operation)),
        "wait": policy.wait,
        "stop": stop_after_attempt(policy.attempts),
        "reraise": True,
    }


def describe(operation: Operation[Any], endpoint: Endpoint) -> RequestInfo:
    """The request as errors show it; without the query and without secrets."""
    base = "" if operation.is_absolute else endpoint.base_url
    return RequestInfo(operation.name, operation.method, base + operation.shown_path)


def map_transport_error(
    error: httpx.HTTPError | httpx.InvalidURL, operation: Operation[Any], endpoint: Endpoint
) -> ClientError:
    """The client error for an httpx error; it distinguishes whether the request may have reached the service."""
    request = describe(operation, endpoint)
    text = _hiding(operation, endpoint).scrub(str(error)) or type(error).__name__
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return RequestInvalid(f"the URL cannot be used: {text}", request=request)
    if isinstance(error, _NOT_SENT):
        return NotSent(f"no connection: {text}", request=request)
    if isinstance(error, httpx.TimeoutException):
        return AnswerLost(f"no response within {endpoint.timeouts.read:g} s", request=request)
    if isinstance(error, httpx.DecodingError):
        return ProtocolError(f"the body cannot be decoded: {text}", request=request)
    return AnswerLost(f"the connection broke: {text}", request=request)


def _failed(
    error: Exception, operation: Operation[Any], endpoint: Endpoint, exchange: Exchange
) -> ClientError:
    """The client error for anything an exchange raises, including its own limits."""
    request = describe(operation, endpoint)
    if isinstance(error, BodyRefused):
        return ProtocolError(str(error), request=request)
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL) and not (
        exchange.expired and isinstance(error, httpx.TimeoutException)
    ):
        return map_transport_error(error, operation, endpoint)
    if exchange.sent:
        return AnswerLost(f"the response took longer than {exchange.total:g} s", request=request)
    return NotSent(f"no connection within {exchange.total:g} s", request=request)


def _cause(error: Exception, endpoint: Endpoint) -> Exception | None:
    """The error as the cause in tracebacks; None if its text contains a secret, which a response may echo."""
    return error if endpoint.scrub(str(error)) == str(error) else None


def _hiding(operation: Operation[Any], endpoint: Endpoint) -> Endpoint:
    """The endpoint that also hides the operation's secrets, and an absolute URL as a whole."""
    secrets = (*operation.secrets, operation.path) if operation.is_absolute else operation.secrets
    return replace(endpoint, hidden=secrets) if secrets else endpoint


def _read(operation: Operation[T], endpoint: Endpoint, response: httpx.Response, body: Body) -> Answer[T]:
    head = Head(response.status_code, response.reason_phrase, response.headers)
    hiding = _hiding(operation, endpoint)
    return read_answer(operation, hiding, describe(operation, endpoint), head, body.content)


def iterate(
    send: Callable[[Operation[T]], Answer[T]], first: Operation[T], following: Following[T]
) -> Iterator[T]:
    """The pages of a cursor-paginated list, fetched on demand.

    :raises ProtocolError: for a list of more than :data:`MAX_PAGES` pages.
    """
    operation: Operation[T] | None = first
    seen: set[str] = set()
    while operation is not None:
        page = send(operation).value
        yield page
        operation = _next_page(page, following, seen)


async def aiterate(
    send: Callable[[Operation[T]], Awaitable[Answer[T]]], first: Operation[T], following: Following[T]
) -> AsyncIterator[T]:
    """The pages of a cursor-paginated list, for an event loop; raises the error of :func:`iterate`."""
    operation: Operation[T] | None = first
    seen: set[str] = set()
    while operation is not None:
        page = (await send(operation)).value
        yield page
        operation = _next_page(page, following, seen)


#: Maps a page to the next cursor and the operation that fetches it, or to None after the last page.
Following = Callable[[T], "tuple[str, Operation[T]] | None"]


class _WithCursor(Protocol):
    @property
    def next_cursor(self) -> str | None: ...


PageT = TypeVar("PageT", bound=_WithCursor)


def by_cursor(first: Operation[PageT]) -> Following[PageT]:
    """How the pages of a list follow its first one, where a page has ``next_cursor``."""

    def following(page: PageT) -> tuple[str, Operation[PageT]] | None:
        if not page.next_cursor:
            return None
        return page.next_cursor, replace(first, query={**first.query, "cursor": page.next_cursor})

    return following


def _next_page(page: T, following: Following[T], seen: set[str]) -> Operation[T] | None:
    """The operation for the next page; a repeated cursor ends the list, which prevents an endless loop."""
    step = following(page)
    if step is None or step[0] in seen:
        return None
    if len(seen) >= MAX_PAGES - 1:
        raise ProtocolError(f"the list has more than {MAX_PAGES} pages")
    seen.add(step[0])
    return step[1]
