"""An API call as a value: what to ask and how to read the answer, without doing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
U = TypeVar("U")

Method = Literal["GET", "POST"]


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call of a vendor's API.

    :param name: what it is called in logs and errors, e.g. ``get run``.
    :param path: relative to the base URL, with a leading slash and its ids already in it.
    :param parse: turns the decoded JSON body into the value; raises ``ValueError`` for another shape.
    :param query: query parameters; those that are None are left out.
    :param body: the JSON body, or None for no body. Not shown in ``repr``: it may hold credentials.
    :param repeatable: whether sending it twice does no more than sending it once. A trigger is not.
    """

    name: str
    method: Method
    path: str
    parse: Callable[[Any], T] = field(repr=False)
    query: Mapping[str, str | None] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = True

    def then(self, convert: Callable[[T], U]) -> Operation[U]:
        """The same call, its answer converted further."""
        parse = self.parse
        return replace(self, parse=lambda data: convert(parse(data)))  # type: ignore[arg-type, return-value]


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A parsed answer, and the service's own clock when it gave it.

    :param server_time: the answer's ``Date`` header (whole seconds, UTC), or None without one.
    """

    value: T
    server_time: datetime | None = None
