"""All metrics and spans of this package, through Airflow's own. ``docs/metrics.md`` has the table.

A metric or span that fails is logged at debug level and fails nothing. Each value of a tag is a time series of its
own, so tags never have ids of runs, tests or groups.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_testerarmy import airflow_compat

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    :param kind: ``counter``, ``timer`` (milliseconds) or ``gauge``.
    :param tags: the names of its tags.
    :param meaning: for the documentation.
    """

    name: str
    kind: str
    tags: tuple[str, ...]
    meaning: str


RUNS_STARTED: Final = Metric(
    "testerarmy.runs_started", "counter", ("service",), "runs that a task has started or adopted"
)
RERUNS: Final = Metric(
    "testerarmy.reruns",
    "counter",
    ("service",),
    "those of them that run tests again, for a retry or to confirm a failure",
)
RUNS_FINISHED: Final = Metric(
    "testerarmy.runs_finished", "counter", ("service", "outcome"), "judged runs, by outcome"
)
RUN_DURATION: Final = Metric(
    "testerarmy.run_duration", "timer", ("service", "outcome"), "how long a judged run took at the service"
)
VERDICTS: Final = Metric(
    "testerarmy.verdicts", "counter", ("service", "verdict", "dag_id", "task_id"), "verdicts of tasks"
)
REQUESTS: Final = Metric(
    "testerarmy.requests",
    "counter",
    ("service", "operation", "status"),
    "requests; `status` is `ok`, the HTTP status, or the kind of error without one",
)
REQUEST_DURATION: Final = Metric(
    "testerarmy.request_duration", "timer", ("service", "operation"), "how long a request took"
)
CANCELS: Final = Metric(
    "testerarmy.cancels",
    "counter",
    ("service", "status"),
    "requests that cancel a run or a batch; `409` means that it had ended",
)
OUTAGE: Final = Metric(
    "testerarmy.outage",
    "timer",
    ("service",),
    "from the first of several failed requests of a client to its next successful one",
)
RUNS_WAITING: Final = Metric(
    "testerarmy.runs_waiting", "gauge", ("service",), "runs that a triggerer waits for, for all tasks"
)
POLL_LAG: Final = Metric(
    "testerarmy.poll_lag",
    "timer",
    ("service",),
    "how late a triggerer polls a run, e.g. because of the rate limit",
)

ALL: Final = (
    RUNS_STARTED,
    RERUNS,
    RUNS_FINISHED,
    RUN_DURATION,
    VERDICTS,
    REQUESTS,
    REQUEST_DURATION,
    CANCELS,
    OUTAGE,
    RUNS_WAITING,
    POLL_LAG,
)
#: The most ids of an attribute of a span.
MOST_IDS: Final = 50
#: The spans, and what each covers.
SPANS: Final = {
    "testerarmy.submit": "the submission of one part, with its reconciliation",
    "testerarmy.wait": "a wait in the worker or in the triggerer",
    "testerarmy.judge": "fetching titles, the gate with its memory, the summary, and the reports",
    "testerarmy.report": "writing the reports",
}


def count(metric: Metric, number: int = 1, **tags: str) -> None:
    """Add to a counter."""
    if number:
        _record("incr", metric, number, tags)


def took(metric: Metric, seconds: float, **tags: str) -> None:
    """Record a duration."""
    # Airflow's timers take milliseconds.
    _record("timing", metric, max(0.0, seconds) * 1000.0, tags)


def set_to(metric: Metric, value: float, **tags: str) -> None:
    """Set a gauge."""
    _record("gauge", metric, value, tags)


def _record(method: str, metric: Metric, value: float, tags: dict[str, str]) -> None:
    # Airflow's client may raise anything, e.g. for a host that it cannot resolve. Nothing may fail for a metric.
    try:
        getattr(airflow_compat.stats(), method)(metric.name, value, tags=_clean(tags))
    except Exception as error:
        log.debug("The metric %s was not recorded: %s", metric.name, error)


def _clean(tags: dict[str, str]) -> dict[str, str]:
    # StatsD separates tags by commas and colons, and Airflow drops a tag with such a value.
    return {name: value.lower().replace(" ", "_").replace(",", "_") for name, value in tags.items()}


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Callable[..., None]]:
    """A span of :data:`SPANS` below that of the task.

    :param attributes: what is known at the start. A list is truncated to :data:`MOST_IDS` texts.
    :return: a function that adds attributes.
    """
    with ExitStack() as stack:
        opened: Any = None
        # A tracer that fails must not keep the block from running.
        try:
            opened = stack.enter_context(airflow_compat.open_span(name, _attributes(attributes)))
        except Exception as error:
            log.debug("The span %s was not opened: %s", name, error)

        def describe(**more: Any) -> None:
            if opened is None:
                return
            try:
                opened.set_attributes(_attributes(more))
            except Exception as error:
                log.debug("The span %s was not described: %s", name, error)

        yield describe


def _attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"testerarmy.{name}": [str(each) for each in value[:MOST_IDS]]
        if isinstance(value, list | tuple)
        else value
        for name, value in given.items()
    }
