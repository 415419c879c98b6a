"""An API call as a value: the request and how to parse its response, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
U = TypeVar("U")

Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call of a vendor's API.

    :param name: its name in logs and errors, e.g. ``get run``.
    :param path: relative to the base URL, with a leading slash; ids are already filled in.
    :param parse: converts the decoded JSON body; raises ``ValueError`` for an unexpected shape.
    :param query: query parameters; those that are None are omitted.
    :param body: the JSON body, or None for no body. Not shown in ``repr``: it may hold credentials.
    :param repeatable: whether the call is idempotent. A trigger is not.
    """

    name: str
    method: Method
    path: str
    parse: Callable[[Any], T] = field(repr=False)
    query: Mapping[str, str | None] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = True

    def then(self, convert: Callable[[T], U]) -> Operation[U]:
        """The same call with its parsed response converted by another function."""
        parse = self.parse
        return replace(self, parse=lambda data: convert(parse(data)))  # type: ignore[arg-type, return-value]


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A parsed response, and the service's time when it sent it.

    :param server_time: the response's ``Date`` header (whole seconds, UTC), or None without one.
    """

    value: T
    server_time: datetime | None = None
