"""Everything that can go wrong between this package and a vendor's API, by whose fault it is.

::

    ClientError
    ├── RequestInvalid        the caller's: refused here, nothing was sent
    ├── NotSent               the network's: no connection was made, so nothing can have started
    ├── AnswerLost            the network's: sent, or perhaps sent, and no whole answer came back
    ├── ProtocolError         the service's, or a proxy's: an answer that is not the API's
    └── StatusError           an answer with any other status than 2xx
        ├── BadRequest            400, 413, 422 and every other 4xx; 301 and 308
        ├── CredentialsRejected   401 and 403 in the service's own error format
        ├── NotFound              404
        ├── Conflict              409
        ├── RateLimited           429
        ├── ServerError           5xx; 408, 425, 444, 460 and 499
        └── Intercepted           something in between answered: 302, 303, 307, 407, 511; foreign 401, 403, 451

Every error pickles, because Airflow moves exceptions between processes, and carries its request and
response as plain values. None of them ever holds the key: request headers are not kept, and the text of
an answer is scrubbed before it gets here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


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

    def __init__(
        self, message: str, *, request: RequestInfo | None = None, response: ResponseInfo | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.response = response

    @property
    def may_have_effect(self) -> bool:
        """Whether the request may have taken effect at the service all the same."""
        return False

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

    @property
    def may_have_effect(self) -> bool:
        """Nobody knows how far the service got."""
        return True


class ProtocolError(ClientError):
    """An answer that is not the API's: HTML, empty, not JSON, or JSON of another shape.

    :param candidates: runs that an unusable answer to a trigger names.
    :param batch_id: the group run that it names, empty without one.
    """

    @property
    def may_have_effect(self) -> bool:
        """The status says success."""
        return True

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
    """The answer has an error status."""

    #: Whether the answer is in the service's own error format, for statuses where that matters.
    _own = True

    @property
    def status(self) -> int:
        """The HTTP status, or 0 when the error was built without a response."""
        return self.response.status if self.response else 0

    @property
    def may_have_effect(self) -> bool:
        """As :data:`POST_MAY_HAVE_EFFECT` says; without a status, nobody knows."""
        if not self._own and self.status in FORMAT_MATTERS:
            return True
        return POST_MAY_HAVE_EFFECT.get(self.status, True) if self.status else self._unknown_effect

    _unknown_effect = False


class BadRequest(StatusError):
    """The service refused the request as it is; the same request will be refused again."""


class CredentialsRejected(StatusError):
    """The service says that the key is missing, wrong, revoked (401), or not allowed to do this (403)."""


class NotFound(StatusError):
    """No such object, or none that this key can see. Right after submission: perhaps not yet visible."""


class Conflict(StatusError):
    """The object is not in a state for this, e.g. a finished run that is to be cancelled."""


class RateLimited(StatusError):
    """Too many requests; ``Retry-After`` may say when to come back."""


class ServerError(StatusError):
    """The service, or a gateway before it, failed or gave up; a trigger may have taken effect all the same."""

    _unknown_effect = True


class Intercepted(StatusError):
    """A proxy, firewall or login page answered instead of the service. It may pass."""

    _own = False
    _unknown_effect = True


#: Statuses that are the service's own word only in its own error format; anything else is a proxy's page.
FORMAT_MATTERS: Final = frozenset({401, 403, 451})

_BY_STATUS: Final[Mapping[int, type[StatusError]]] = {
    **dict.fromkeys(range(100, 400), Intercepted),
    # A permanent redirect is a wrong base URL, and stays one.
    301: BadRequest,
    308: BadRequest,
    **dict.fromkeys(range(400, 500), BadRequest),
    401: CredentialsRejected,
    403: CredentialsRejected,
    404: NotFound,
    407: Intercepted,
    # The service or a gateway gave up waiting: 444, 460 and 499 are nginx's and AWS's own.
    **dict.fromkeys((408, 425, 444, 460, 499), ServerError),
    409: Conflict,
    429: RateLimited,
    **dict.fromkeys(range(500, 600), ServerError),
    511: Intercepted,
}

#: For every status, whether a POST that got it may have had an effect.
#:
#: False only where the status itself says that the request was not processed (RFC 9110, 15). 303, and by old habit
#: 302, is what a web application answers after it did what was asked; 301, 307 and 308 send the request elsewhere.
#: 511 is a captive portal's, which answers before the request leaves the network (RFC 6585, 6).
POST_MAY_HAVE_EFFECT: Final[Mapping[int, bool]] = MappingProxyType(
    {
        **dict.fromkeys(range(100, 400), True),
        301: False,
        307: False,
        308: False,
        **dict.fromkeys(range(400, 500), False),
        **dict.fromkeys((408, 425, 444, 460, 499), True),
        **dict.fromkeys(range(500, 600), True),
        511: False,
    }
)


def status_error_class(status: int, *, own: bool = True) -> type[StatusError]:
    """The class for an HTTP status that is not a success.

    :param own: whether the answer is in the service's own error format.
    """
    if status in FORMAT_MATTERS and not own:
        return Intercepted
    return _BY_STATUS.get(status, ServerError)
