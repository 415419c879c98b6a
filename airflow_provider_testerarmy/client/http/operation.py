"""An API call as a value: the request and how to parse its response, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, BinaryIO, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from airflow_provider_testerarmy.client.http.rate_limit import requests_per_second

T = TypeVar("T")
U = TypeVar("U")

Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a request that has no JSON body. They are read piece by piece.

    :param open: opens them at their beginning; a retry calls it again.
    :param size: their number.
    :param media_type: the ``Content-Type`` header.
    :param md5: the ``Content-MD5`` header; empty for none.
    """

    open: Callable[[], BinaryIO]
    size: int
    media_type: str = "application/octet-stream"
    md5: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Operation(Generic[T]):
    """One call of a vendor's API.

    :param name: its name in logs and errors, e.g. ``get run``.
    :param path: relative to the base URL, with a leading slash; ids are already filled in. Or an absolute URL.
    :param parse: converts the decoded JSON body; raises ``ValueError`` for an unexpected shape.
    :param query: query parameters; those that are None are omitted.
    :param body: the JSON body, or None for no body. Not shown in ``repr``: it may hold credentials.
    :param repeatable: whether the call is idempotent. A trigger is not.
    :param parse_text: converts the body's text as `parse` converts its decoded form, but without building what is
        not needed; raises ``ValueError`` for a text that `parse` has to judge. None if there is no such shortcut.
    :param authorized: whether to send the API key. An absolute URL never gets it.
    :param secrets: parts of the request that no error, log or ``repr`` may show, e.g. a password.
    :param content: bytes to send instead of a JSON body.
    :param has_answer: whether a success has a JSON body. Without one, ``parse`` gets None.
    :param total: seconds for the whole exchange; None for the endpoint's own limit.
    """

    name: str
    method: Method
    path: str
    parse: Callable[[Any], T] = field(repr=False)
    query: Mapping[str, str | None] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = True
    parse_text: Callable[[bytearray], T] | None = field(default=None, repr=False)
    authorized: bool = True
    secrets: tuple[str, ...] = ()
    content: Content | None = None
    has_answer: bool = True
    total: float | None = None

    @property
    def is_absolute(self) -> bool:
        """Whether the path is a URL of its own, at any host."""
        return not self.path.startswith("/")

    @property
    def shown_path(self) -> str:
        """The path without secrets; of an absolute URL only scheme and host: the rest may be a signature."""
        if self.is_absolute:
            parts = urlsplit(self.path)
            return f"{parts.scheme}://{parts.hostname}/***"
        return hide(self.path, self.secrets)

    def __repr__(self) -> str:
        return f"Operation({self.name!r}, {self.method} {self.shown_path}, query={dict(self.query)!r})"

    def reading(self, parse: Callable[[Any], U]) -> Operation[U]:
        """The same call, its response read by another function."""
        return replace(self, parse=parse, parse_text=None)  # type: ignore[arg-type, return-value]

    def then(self, convert: Callable[[T], U]) -> Operation[U]:
        """The same call with its parsed response converted by another function."""
        parse, parse_text = self.parse, self.parse_text
        return replace(
            self,
            parse=lambda data: convert(parse(data)),  # type: ignore[arg-type, return-value]
            parse_text=parse_text and (lambda text: convert(parse_text(text))),  # type: ignore[arg-type, return-value]
        )


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """The text with ``***`` in place of each secret."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A parsed response, and the service's time when it sent it.

    :param server_time: the response's ``Date`` header (whole seconds, UTC), or None without one.
    :param rate_limit: the headers of the response that tell of a rate limit, by name in lower case.
    """

    value: T
    server_time: datetime | None = None
    rate_limit: Mapping[str, str] = field(default_factory=dict)

    @property
    def requests_per_second(self) -> float | None:
        """The rate that the service still allows; None if it does not say."""
        return requests_per_second(self.rate_limit, self.server_time) if self.rate_limit else None
