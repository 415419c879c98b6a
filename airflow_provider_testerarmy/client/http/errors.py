"""Everything that can go wrong between this package and a vendor's API, by whose fault it is.

::

    ClientError
    ├── RequestInvalid        the caller's: refused here, nothing was sent
    ├── NotSent               the network's: no connection was made, so nothing can have started
    ├── AnswerLost            the network's: sent, or perhaps sent, and no whole answer came back
    ├── ProtocolError         the service's, or a proxy's: an answer that is not the API's
    └── StatusError           the API's own refusal, ``{"error": CODE, "message": TEXT}``
        ├── BadRequest            400, 413, 422 and every other 4xx
        ├── CredentialsRejected   401, 403
        ├── NotFound              404
        ├── Conflict              409
        ├── RateLimited           429
        └── ServerError           5xx

Every error pickles, because Airflow moves exceptions between processes, and carries its request and
response as plain values. None of them ever holds the key: request headers are not kept, and the text of
an answer is scrubbed before it gets here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What was asked: the operation's name, the HTTP method and the URL without its query."""

    operation: str
    method: str
    url: str

    def __str__(self) -> str:
        return f"{self.operation} ({self.method} {self.url})"


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """What was answered: the status, the headers that matter and the beginning of the body as text."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    excerpt: str = ""


class ClientError(Exception):
    """Root of the tree.

    :param message: what happened, for a person.
    :param request: what was asked, where it is known.
    :param response: what was answered, where an answer came.
    """

    #: Whether the request may have taken effect at the service all the same.
    may_have_effect: ClassVar[bool] = False

    def __init__(
        self, message: str, *, request: RequestInfo | None = None, response: ResponseInfo | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.response = response

    def __str__(self) -> str:
        return f"{self.request}: {self.message}" if self.request else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.request, self.response)


def _rebuild(
    kind: type[ClientError], message: str, request: RequestInfo | None, response: ResponseInfo | None
) -> ClientError:
    return kind(message, request=request, response=response)


class RequestInvalid(ClientError, ValueError):
    """Refused before anything was sent: a malformed id, an http host, a key with a line break."""


class NotSent(ClientError):
    """No connection was made: refused, unknown host, TLS not verified, connect time-out."""


class AnswerLost(ClientError):
    """The request went out, or may have, and no whole answer came: read time-out, reset, truncation."""

    may_have_effect = True


class ProtocolError(ClientError):
    """An answer that is not the API's: HTML, empty, not JSON, or JSON of another shape.

    :param candidates: runs that an unusable answer to a trigger names.
    :param batch_id: the group run that it names, empty without one.
    """

    may_have_effect = True

    def __init__(
        self,
        message: str,
        *,
        request: RequestInfo | None = None,
        response: ResponseInfo | None = None,
        candidates: tuple[str | int, ...] = (),
        batch_id: str = "",
    ) -> None:
        super().__init__(message, request=request, response=response)
        self.candidates = candidates
        self.batch_id = batch_id

    def __reduce__(self) -> tuple[object, ...]:
        # BaseException restores the attributes from the state that follows.
        state = {"candidates": self.candidates, "batch_id": self.batch_id}
        return *super().__reduce__(), state


class UnusableSubmission(ValueError):
    """Raised by a parser of a trigger's answer; a sender makes a :class:`ProtocolError` of it."""

    def __init__(self, message: str, candidates: tuple[str | int, ...] = (), batch_id: str = "") -> None:
        super().__init__(message)
        self.candidates = candidates
        self.batch_id = batch_id


class StatusError(ClientError):
    """The API answered with an error status."""

    @property
    def status(self) -> int:
        """The HTTP status, or 0 when the error was built without a response."""
        return self.response.status if self.response else 0


class BadRequest(StatusError):
    """The service refused the request as it is; the same request will be refused again."""


class CredentialsRejected(StatusError):
    """The key is missing, wrong, revoked (401), or not allowed to do this (403)."""


class NotFound(StatusError):
    """No such object, or none that this key can see. Right after submission: perhaps not yet visible."""


class Conflict(StatusError):
    """The object is not in a state for this, e.g. a finished run that is to be cancelled."""


class RateLimited(StatusError):
    """Too many requests; ``Retry-After`` may say when to come back."""


class ServerError(StatusError):
    """The service, or a proxy before it, failed; a trigger may have taken effect all the same."""

    may_have_effect = True


_BY_STATUS: dict[int, type[StatusError]] = {
    401: CredentialsRejected,
    403: CredentialsRejected,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def status_error_class(status: int) -> type[StatusError]:
    """The class for an HTTP error status; an unlisted 4xx (or a refused redirect) is a ``BadRequest``."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else BadRequest
