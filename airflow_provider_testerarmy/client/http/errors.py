"""The errors of the vendors' APIs, grouped by who has to act: the caller, the network or the service.

::

    ClientError
    ├── RequestInvalid        caller: the request is invalid and was not sent
    ├── NotSent               network: no connection was made, so nothing was started
    ├── AnswerLost            network: the request may have been sent, and no complete response arrived
    ├── ProtocolError         service or proxy: the response is not one that the API defines
    └── StatusError           a response with any status but 2xx
        ├── BadRequest            400, 413, 422 and every other 4xx; 301 and 308
        ├── CredentialsRejected   401 and 403 in the service's own error format
        ├── NotFound              404
        ├── Conflict              409
        ├── RateLimited           429
        ├── ServerError           5xx; 408, 425, 444, 460 and 499
        └── Intercepted           a proxy or login page: 302, 303, 307, 407, 511; 401, 403, 451 in another format

Every error can be pickled, because Airflow moves exceptions between processes. It carries its request and
response as plain values. No error holds the API key: request headers are not kept, and response text is
scrubbed before it gets here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request as errors show it: the operation's name, the HTTP method and the URL without its query."""

    operation: str
    method: str
    url: str

    def __str__(self) -> str:
        return f"{self.operation} ({self.method} {self.url})"


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """A response as errors show it: the status, some headers and the first 300 characters of the body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    excerpt: str = ""


class ClientError(Exception):
    """Root of the tree.

    :param message: what happened, for a person.
    :param request: the request, where it is known.
    :param response: the response, if one arrived.
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
        """Whether the request may have taken effect at the service despite the error."""
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
    """The request is invalid and was not sent, e.g. a malformed id, an http host, a key with a line break."""


class NotSent(ClientError):
    """No connection was made: connection refused, unknown host, certificate not verified, connect timeout."""


class AnswerLost(ClientError):
    """The request may have been sent, and no complete response arrived: read timeout, reset, truncation."""

    @property
    def may_have_effect(self) -> bool:
        """True: the service may have processed the request."""
        return True


class ProtocolError(ClientError):
    """A 2xx response that the API does not define: HTML, empty, not JSON, or JSON of an unexpected shape.

    :param candidates: the run ids that could be read from an unusable response to a trigger.
    :param batch_id: the group run's id from that response, or an empty string.
    """

    @property
    def may_have_effect(self) -> bool:
        """True: the status is a success, so the service has processed the request."""
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
        # BaseException.__setstate__ restores these attributes.
        state = {"candidates": self.candidates, "batch_id": self.batch_id}
        return *super().__reduce__(), state


class UnusableSubmission(ValueError):
    """Raised by the parser of a trigger's response; the sender converts it to a :class:`ProtocolError`."""

    def __init__(self, message: str, candidates: tuple[str | int, ...] = (), batch_id: str = "") -> None:
        super().__init__(message)
        self.candidates = candidates
        self.batch_id = batch_id


class StatusError(ClientError):
    """The response has an error status."""

    #: Whether the response is in the service's own error format, for statuses where that matters.
    _own = True

    @property
    def status(self) -> int:
        """The HTTP status, or 0 when the error was built without a response."""
        return self.response.status if self.response else 0

    @property
    def may_have_effect(self) -> bool:
        """The entry of :data:`POST_MAY_HAVE_EFFECT` for this status."""
        if not self._own and self.status in FORMAT_MATTERS:
            return True
        return POST_MAY_HAVE_EFFECT.get(self.status, True) if self.status else self._unknown_effect

    _unknown_effect = False


class BadRequest(StatusError):
    """The service refused the request; sending the same request again would not help."""


class CredentialsRejected(StatusError):
    """The key is missing, wrong or revoked (401), or lacks the permission (403)."""


class NotFound(StatusError):
    """The object does not exist or this key cannot access it. A new run may also not be visible yet."""


class Conflict(StatusError):
    """The state of the object does not allow the operation, e.g. cancelling a finished run."""


class RateLimited(StatusError):
    """The service is rate-limiting requests; ``Retry-After`` may say how long to wait."""


class ServerError(StatusError):
    """The service, or a gateway in front of it, failed or timed out; a trigger may have taken effect."""

    _unknown_effect = True


class Intercepted(StatusError):
    """A proxy, firewall or login page responded instead of the service; often temporary."""

    _own = False
    _unknown_effect = True


#: Statuses that count as the service's only in its own error format; otherwise a proxy or firewall sent them.
#: A single 403 page of a web application firewall must not look like a revoked key.
FORMAT_MATTERS: Final = frozenset({401, 403, 451})

_BY_STATUS: Final[Mapping[int, type[StatusError]]] = {
    **dict.fromkeys(range(100, 400), Intercepted),
    # A permanent redirect means that the base URL is wrong; a retry does not help.
    301: BadRequest,
    308: BadRequest,
    **dict.fromkeys(range(400, 500), BadRequest),
    401: CredentialsRejected,
    403: CredentialsRejected,
    404: NotFound,
    407: Intercepted,
    # The service or a gateway timed out. 444 and 499 are specific to nginx, 460 to AWS load balancers:
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
    **dict.fromkeys((408, 425, 444, 460, 499), ServerError),
    409: Conflict,
    429: RateLimited,
    **dict.fromkeys(range(500, 600), ServerError),
    511: Intercepted,
}

#: For every status, whether a POST with this response may have had an effect.
#:
#: False only where the status itself says that the request was not processed (RFC 9110, 15). Web applications send
#: 303 (and traditionally 302) after they have processed a request; 301, 307 and 308 redirect an unprocessed one.
#: 511 comes from a captive portal, before the request leaves the network (RFC 6585, 6).
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

    :param own: whether the response is in the service's own error format.
    """
    if status in FORMAT_MATTERS and not own:
        return Intercepted
    return _BY_STATUS.get(status, ServerError)
