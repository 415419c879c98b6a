"""The retry policy for single requests, shared by the sync and the async sender.

An idempotent operation is retried after any transient error. Any other is retried only if the request cannot have
had an effect. The rules follow the services' documented errors (429 with an optional ``Retry-After``, 5xx), and
what proxies send.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tenacity import RetryCallState

from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    ClientError,
    Intercepted,
    NotSent,
    ProtocolError,
    RateLimited,
    ServerError,
)
from airflow_provider_testerarmy.client.http.operation import Operation

TRANSIENT = (NotSent, AnswerLost, ProtocolError, RateLimited, ServerError, Intercepted)


def retry_after(error: ClientError, now: datetime) -> float | None:
    """The ``Retry-After`` of a response in seconds; the header has seconds or an HTTP date (RFC 9110, 10.2.3).

    :param now: used only if the response has no ``Date`` header. Comparing the two headers makes an inaccurate
        local clock irrelevant.
    :return: None if the header is absent or malformed.
    """
    headers = error.response.headers if error.response else {}
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    when = http_date(value)
    if when is None:
        return None
    return max(0.0, (when - (http_date(headers.get("date", "")) or now)).total_seconds())


def http_date(value: str) -> datetime | None:
    """An HTTP date header as an aware time, or None when it is absent or malformed."""
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is sent, and how long to back off.

    :param attempts: the maximum number of requests; 1 means no retry.
    :param base: the maximum of the first pause in seconds; it doubles with each further pause.
    :param ceiling: the maximum of any pause in seconds.
    :param retry_after_ceiling: the maximum in seconds for a pause that ``Retry-After`` asks for.
    """

    attempts: int = 4
    base: float = 0.5
    ceiling: float = 15.0
    retry_after_ceiling: float = 60.0

    def again(self, operation: Operation[Any], error: BaseException) -> bool:
        """Whether to retry the operation after this error."""
        if not isinstance(error, TRANSIENT):
            return False
        return operation.repeatable or not error.may_have_effect

    def pause(self, error: BaseException | None, attempt: int, now: datetime | None = None) -> float:
        """Seconds to wait before the next request: ``Retry-After`` if given, otherwise back-off with full jitter.

        See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ for the latter.
        """
        asked = retry_after(error, now or datetime.now(UTC)) if isinstance(error, ClientError) else None
        if asked is not None:
            return min(asked, self.retry_after_ceiling)
        return random.uniform(0, min(self.ceiling, self.base * 2 ** (attempt - 1)))  # noqa: S311

    def wait(self, state: RetryCallState) -> float:
        """The policy as a tenacity ``wait``."""
        error = state.outcome.exception() if state.outcome else None
        return self.pause(error, state.attempt_number)


ONCE = RetryPolicy(attempts=1)
