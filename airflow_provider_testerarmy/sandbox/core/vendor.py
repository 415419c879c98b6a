"""A vendor's API, as the gateway serves it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_testerarmy.sandbox.core.errors import error_body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Operation:
    """A route of a vendor's API, with its name in faults and in the request log."""

    name: str
    method: str
    template: str

    def matches(self, method: str, path: str) -> bool:
        """Whether a call is this operation; `path` is below the service's root."""
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", self.template)
        return method == self.method and re.fullmatch(pattern, path) is not None


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor's API: its path prefix, its application, and its operations.

    :param error_body: builds the body of an error from its code and message.
    """

    prefix: str
    app: ASGIApp
    operations: Sequence[Operation]
    error_body: Callable[[str, str], bytes] = error_body

    def operation(self, method: str, path: str) -> str | None:
        """Return the name of a call's operation; None if the API has none for it."""
        return next((o.name for o in self.operations if o.matches(method, path)), None)
