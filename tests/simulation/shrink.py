"""Makes a failing plan smaller for as long as it still breaks the same promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.plan import Plan


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """The smallest plan that was found which still fails.

    :param fails: runs a plan; whether the promise is still broken.
    """
    found = True
    while found:
        found = False
        for smaller in _smaller(plan):
            if fails(smaller):
                plan, found = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with one thing less, what is worth most first."""
    for index in range(len(plan.incidents)):
        yield replace(plan, incidents=plan.incidents[:index] + plan.incidents[index + 1 :])
    if len(plan.tasks) > 1:
        for index in range(len(plan.tasks)):
            yield replace(plan, tasks=plan.tasks[:index] + plan.tasks[index + 1 :])
    for name in ("vendor_skew", "date_skew", "list_lag", "worker_skew"):
        if getattr(plan, name):
            yield replace(plan, **{name: 0.0})
    if plan.triggerers > 1:
        yield replace(plan, triggerers=1)
    for index, task in enumerate(plan.tasks):
        for simpler in (
            replace(task, retries=0),
            replace(task, kind="test"),
            replace(task, execution_timeout=None),
            replace(task, deferrable=False),
        ):
            if simpler != task:
                yield replace(plan, tasks=(*plan.tasks[:index], simpler, *plan.tasks[index + 1 :]))
