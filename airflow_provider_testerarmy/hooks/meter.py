"""Measures the requests of one client: their number, duration and status, and outages."""

from __future__ import annotations

import time
from typing import Any

from airflow_provider_testerarmy import metrics
from airflow_provider_testerarmy.client.http.errors import ClientError, StatusError


class Meter:
    """The measurements of one client.

    :param service: the vendor's name.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._down_since: float | None = None

    def begin(self) -> float:
        """The start of a request."""
        return time.monotonic()

    def end(self, operation: str, began: float, error: ClientError | None = None) -> None:
        """The end of a request.

        :param operation: its name, e.g. ``get run``.
        :param began: what :meth:`begin` has returned.
        :param error: None for a success.
        """
        now, service = time.monotonic(), self._service
        status = "ok" if error is None else _status(error)
        metrics.count(metrics.REQUESTS, service=service, operation=operation, status=status)
        metrics.took(metrics.REQUEST_DURATION, now - began, service=service, operation=operation)
        if operation.startswith("cancel "):
            metrics.count(metrics.CANCELS, service=service, status=status)
        self._watch_outage(error, began, now)

    def _watch_outage(self, error: ClientError | None, began: float, now: float) -> None:
        if error is None or _answered(error):
            if self._down_since is not None:
                metrics.took(metrics.OUTAGE, now - self._down_since, service=self._service)
                self._down_since = None
        elif self._down_since is None:
            self._down_since = began


def _status(error: ClientError) -> str:
    status: Any = error.status if isinstance(error, StatusError) else 0
    return str(status) if status else type(error).__name__


def _answered(error: ClientError) -> bool:
    """Whether the service itself has answered, with a refusal."""
    return (
        isinstance(error, StatusError) and 400 <= error.status < 500 and error.status not in (408, 425, 429)
    )
