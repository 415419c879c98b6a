"""Turns the bytes of a response into a value or an error; both senders use it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from json import decoder, scanner
from typing import Any, Final, TypeVar

from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.errors import (
    FORMAT_MATTERS,
    ProtocolError,
    RequestInfo,
    ResponseInfo,
    UnusableSubmission,
    status_error_class,
)
from airflow_provider_testerarmy.client.http.operation import Answer, Operation
from airflow_provider_testerarmy.client.http.retry import http_date

T = TypeVar("T")

#: Responses larger than this many bytes are parsed in a thread, so that the event loop can serve other tasks.
LARGE: Final = 256 * 1024
#: Above this many bytes or values, JSON is parsed in Python. The C parser holds the GIL throughout (20 ms at
#: these sizes); the Python parser lets other threads run.
_HUGE: Final = 1024 * 1024
_MANY_VALUES: Final = 50_000
#: The limit for commas and brackets, an upper bound of the number of values. A parsed value takes far more memory
#: than its bytes, so the limit on bytes alone does not bound the memory.
MAX_VALUES: Final = 200_000
#: The limit for items of one list; pages have 100. pydantic validates a list in one call, which takes 4 µs for
#: each invalid item.
MAX_ITEMS: Final = 5_000
_EXCERPT: Final = 300
_MANY: Final = 1_000
_PIECE: Final = 256 * 1024
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
#: The headers of rate limits: of the IETF's draft (draft-ietf-httpapi-ratelimit-headers), and those before it.
_RATE_LIMITS: Final = tuple(
    f"{prefix}ratelimit{name}"
    for prefix in ("", "x-")
    for name in ("", "-policy", "-limit", "-remaining", "-reset")
)
_KEPT_HEADERS: Final = ("retry-after", "date", "content-type", "location", *_RATE_LIMITS)
#: The fields that may hold an error's text, in order: TesterArmy's ``message``, then those of Docket (FastAPI).
_TEXTS: Final = ("message", "detail", "msg", "errors")


def read_answer(
    operation: Operation[T],
    endpoint: Endpoint,
    request: RequestInfo,
    head: Head,
    content: bytearray,
) -> Answer[T]:
    """Parse a response.

    :raises StatusError: for every status but 2xx. Redirects are not followed: they could send the key elsewhere.
    :raises ProtocolError: for a body that is empty, not JSON, or has an unexpected shape.
    """
    info = _response_info(endpoint, head, content)
    if not 200 <= head.status <= 299:
        error = ErrorBody(content)
        own = error.has_format(endpoint.error_format)
        message = _status_message(head, error, endpoint, own=own)
        raise status_error_class(head.status, own=own)(message, request=request, response=info)
    try:
        value = _shortcut(operation, content) or operation.parse(
            _decode(content, request, info) if operation.has_answer else None
        )
    except UnusableSubmission as error:
        raise ProtocolError(
            endpoint.scrub(str(error))[:_EXCERPT],
            request=request,
            response=info,
            candidates=error.candidates,
            batch_id=error.batch_id,
        ) from None
    except ValueError as error:
        # pydantic's own message quotes the input, which is untrusted text of any length.
        reason = endpoint.scrub(_shape_error(error))
        raise ProtocolError(
            f"the response has an unexpected shape: {reason}", request=request, response=info
        ) from None
    return Answer(value, server_time(info), rate_limit(info))


class Head:
    """The status line and headers of a response; header names are in lower case."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        self.status, self.reason, self.headers = status, reason, headers


def server_time(response: ResponseInfo) -> datetime | None:
    """The service's time, from the ``Date`` header (RFC 9110, 6.6.1)."""
    return http_date(response.headers.get("date", ""))


def _shortcut(operation: Operation[T], content: bytearray) -> T | None:
    """The value, straight from the text; None if the text has to be decoded.

    Decoding a page of 100 runs builds thousands of objects of which a poll needs none, and they make the garbage
    collector look at all objects of a triggerer.
    """
    if operation.parse_text is None or len(content) > _HUGE or _count_values(content) > _MANY_VALUES:
        return None
    if _has_surrogate(content):
        return None
    try:
        return operation.parse_text(content)
    except ValueError:
        return None


def _count_values(content: bytearray) -> int:
    """An upper bound of the number of values."""
    return sum(map(content.count, (b",", b"[", b"{")))


def rate_limit(response: ResponseInfo) -> dict[str, str]:
    """The response's headers of rate limits, each of at most 200 characters."""
    return {name: response.headers[name][:200] for name in _RATE_LIMITS if name in response.headers}


def _decode(content: bytearray, request: RequestInfo, info: ResponseInfo) -> Any:
    if not content or content.isspace():
        raise ProtocolError("the response is empty", request=request, response=info)
    values = _count_values(content)
    if values > MAX_VALUES:
        raise ProtocolError(f"the response has more than {MAX_VALUES} values", request=request, response=info)
    try:
        data: Any = (
            _PARSER_IN_PYTHON.decode(content.decode())
            if len(content) > _HUGE or values > _MANY_VALUES
            else json.loads(content)
        )
        # A service that truncates text in the middle of an emoji sends half a surrogate pair. It cannot be encoded
        # as UTF-8, so writing a log or a report would fail.
        data = _without_surrogates(data) if _has_surrogate(content) else data
    except (ValueError, RecursionError):
        kind = "HTML" if content[:_PIECE].lstrip()[:1] == b"<" else "not JSON"
        raise ProtocolError(
            f"the response is {kind}: {info.excerpt[:80]!r}", request=request, response=info
        ) from None
    # The items of a list are among the counted values, so most responses need no search for their longest list.
    if values > MAX_ITEMS and _longest_list(data) > MAX_ITEMS:
        raise ProtocolError(
            f"the response has a list of more than {MAX_ITEMS} items", request=request, response=info
        )
    return data


def _longest_list(data: Any) -> int:
    longest, pending = 0, [data]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            longest = max(longest, len(value))
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
    return longest


class _ParserInPython(json.JSONDecoder):
    """The standard library's JSON parser without its C accelerator."""

    def __init__(self) -> None:
        super().__init__()
        self.parse_object = decoder.JSONObject  # type: ignore[attr-defined]
        self.parse_array = decoder.JSONArray  # type: ignore[attr-defined]
        self.scan_once = scanner.py_make_scanner(self)  # type: ignore[attr-defined]


_PARSER_IN_PYTHON: Final = _ParserInPython()


def _has_surrogate(content: bytearray) -> bool:
    # `re` holds the GIL during a search, so search in pieces and let other threads run in between. The pieces
    # overlap, because an escape may span two of them.
    starts = range(0, len(content), _PIECE)
    return any(_SURROGATE.search(content, start, start + _PIECE + 8) for start in starts)


def _without_surrogates(value: Any) -> Any:
    """The value with ``?`` in place of each lone surrogate."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value


def _response_info(endpoint: Endpoint, head: Head, content: bytearray) -> ResponseInfo:
    kept = {name: endpoint.scrub(head.headers[name]) for name in _KEPT_HEADERS if name in head.headers}
    if "location" in kept:
        # The query of a redirect may hold a signature or a token.
        kept["location"] = re.split(r"[?#]", kept["location"], maxsplit=1)[0]
    # Scrub before truncating, so that a key across the cut does not survive in part. Scrubbing shortens the
    # text; this many bytes leave enough of it even if the key is repeated throughout.
    begin = content[: _EXCERPT * max(4, len(endpoint.key))]
    excerpt = endpoint.scrub(begin.decode("utf-8", "replace"))[:_EXCERPT]
    return ResponseInfo(head.status, kept, excerpt)


def _status_message(head: Head, error: ErrorBody, endpoint: Endpoint, *, own: bool) -> str:
    status = head.status
    if status in (301, 302, 303, 307, 308):
        return (
            f"{status}: the response is a redirect, which is not followed; check the host of the connection"
        )
    foreign = status in FORMAT_MATTERS and not own
    said = ": ".join(part for part in (error.code, error.text) if part) or head.reason
    message = _line(endpoint.scrub(f"{status} {said}".strip()))[:_EXCERPT]
    hint = " (not in the service's error format: a proxy or firewall may have sent it)"
    return message + hint if foreign else message


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[: 10 * _EXCERPT])


class ErrorBody:
    """The code and text in the body of an error response, in any of the usual formats."""

    def __init__(self, content: bytearray | bytes) -> None:
        self._content = content

    @cached_property
    def _fields(self) -> dict[str, Any]:
        try:
            data = json.loads(self._content)
        except (ValueError, RecursionError):
            return {}
        return data if isinstance(data, dict) else {}

    def has_format(self, wanted: tuple[tuple[str, ...], ...]) -> bool:
        """Whether the body has all fields of one of the alternatives, none of them empty."""
        return any(all(self._fields.get(name) for name in names) for names in wanted)

    @property
    def code(self) -> str:
        """The error code, or an empty string."""
        return _text_of(self._fields.get("error"))

    @property
    def text(self) -> str:
        """The error text, or an empty string."""
        return next((said for name in _TEXTS if (said := _text_of(self._fields.get(name)))), "")


def _text_of(value: Any, depth: int = 3) -> str:
    """The text in a field of an error: a string, or the texts in a list of details."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not depth or not isinstance(value, list | dict):
        return ""
    if isinstance(value, dict):
        return _text_of_object(value, depth)
    return "; ".join(said for item in value[:3] if (said := _text_of(item, depth - 1)))


def _text_of_object(value: dict[Any, Any], depth: int) -> str:
    """The text in an object: its message with its location, or one text for each field."""
    message = next((said for name in _TEXTS if (said := _text_of(value.get(name), depth - 1))), "")
    if message:
        # FastAPI's 422 has a list of {"loc": [...], "msg": ...}: https://fastapi.tiangolo.com/tutorial/handling-errors/
        where = value.get("loc")
        place = ".".join(map(str, where[:5])) if isinstance(where, list) else ""
        return f"{place}: {message}" if place else message
    parts = [(name, _text_of(item, depth - 1)) for name, item in list(value.items())[:3]]
    return "; ".join(f"{name}: {said}" for name, said in parts if said)


def _shape_error(error: ValueError) -> str:
    details = getattr(error, "errors", None)
    if not callable(details):
        return str(error)[:_EXCERPT]
    if getattr(error, "error_count", int)() > _MANY:
        # pydantic would build a dictionary for each of them while it holds the GIL.
        return f"more than {_MANY} fields are wrong"
    found = details(include_url=False, include_input=False, include_context=False)
    places = ["{}: {}".format(".".join(map(str, item["loc"])) or "body", item["msg"]) for item in found[:3]]
    return "; ".join(places)[:_EXCERPT]
