"""Airflow's own metrics and traces, which differ by version and process.

Airflow 3.2 and later have two copies of the module of metrics: one for the task SDK, one for the core. A process
configures one of them: a worker that of the SDK, a triggerer and a scheduler that of the core (read on 3.3.2).
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from typing import Any, Final

log = logging.getLogger(__name__)

_COPIES: Final = (
    "airflow.sdk._shared.observability.metrics.stats",
    "airflow._shared.observability.metrics.stats",
)
#: Where the one object of earlier versions is, which configures itself.
_BEFORE: Final = ("airflow.sdk.observability.stats", "airflow.stats")


def stats() -> Any:
    """What this process records metrics with: it has ``incr``, ``gauge`` and ``timing``."""
    for name in _COPIES:
        module = sys.modules.get(name)
        if module is not None and getattr(module, "_factory", None) is not None:
            return module
    return _stats_of_earlier_versions()


@cache
def _stats_of_earlier_versions() -> Any:
    for name in _BEFORE:
        try:
            return import_module(name).Stats
        except (ImportError, AttributeError) as error:
            log.debug("No metrics in %s: %s", name, error)
    raise LookupError("Airflow has no metrics")


def open_span(name: str, attributes: dict[str, Any]) -> AbstractContextManager[Any]:
    """A span below the current one of Airflow; nothing where Airflow traces nothing.

    :param attributes: text, numbers and booleans, or lists of these.
    """
    # Loaded by Airflow where it traces. Importing it elsewhere would cost time and change nothing.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().get_span_context().is_valid:
        return nullcontext()
    span: AbstractContextManager[Any] = trace.get_tracer("airflow_provider_testerarmy").start_as_current_span(
        name, attributes=attributes
    )
    return span
