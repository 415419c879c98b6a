"""When a single request is repeated, and after how long: one policy for the sync and the async sender.

Only what is safe is repeated: a repeatable operation after any transient fault, any other only where the
request provably had no effect. The rules come from the services' documented answers: 429 with an optional
``Retry-After``, 5xx, and proxies in between.
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
    """Seconds that the answer asked to wait, from ``Retry-After`` as seconds or HTTP date (RFC 9110, 10.2.3).

    :param now: the time to measure a date against; the answer's own ``Date`` wins where it has one, so
        that a wrong clock here does not matter.
    :return: None where the header is absent or not readable.
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
    """How often and how patiently one request is repeated.

    :param attempts: tries in all; 1 means never again.
    :param base: seconds of the first pause at the most; each further one doubles.
    :param ceiling: seconds that no pause exceeds.
    :param retry_after_ceiling: seconds to which a ``Retry-After`` is capped.
    """

    attempts: int = 4
    base: float = 0.5
    ceiling: float = 15.0
    retry_after_ceiling: float = 60.0

    def again(self, operation: Operation[Any], error: BaseException) -> bool:
        """Whether this operation may be sent again after this error."""
        if not isinstance(error, TRANSIENT):
            return False
        return operation.repeatable or not error.may_have_effect

    def pause(self, error: BaseException | None, attempt: int, now: datetime | None = None) -> float:
        """Seconds to wait before the next try: ``Retry-After`` first, else full-jitter back-off."""
        asked = retry_after(error, now or datetime.now(UTC)) if isinstance(error, ClientError) else None
        if asked is not None:
            return min(asked, self.retry_after_ceiling)
        return random.uniform(0, min(self.ceiling, self.base * 2 ** (attempt - 1)))  # noqa: S311

    def wait(self, state: RetryCallState) -> float:
        """The policy as a tenacity ``wait``."""
        error = state.outcome.exception() if state.outcome else None
        return self.pause(error, state.attempt_number)


ONCE = RetryPolicy(attempts=1)
