"""The arguments of a decorated function: its own, and the entries of Airflow's context that it names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import context_merge

try:
    from airflow.sdk.bases.decorator import determine_kwargs
except ImportError:
    # Before Airflow 3.1.
    from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]


def call_function(
    function: Callable[..., Any],
    positional: Collection[Any],
    named: Mapping[str, Any],
    context: Any,
) -> Any:
    """Call a function as Airflow's own decorators do."""
    context_merge(context, named)
    return function(*positional, **determine_kwargs(function, positional, context))
