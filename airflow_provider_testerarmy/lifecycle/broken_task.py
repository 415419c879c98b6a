"""Stops the runs of earlier tries when an edit has made the task invalid, so that this try cannot continue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.lifecycle.attempt import Lifecycle
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_backends import open_store
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.stored import runs_named
from airflow_provider_testerarmy.runs.text import name_runs
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook


def stop_earlier(
    hook: Callable[[], ServiceHook],
    target: Callable[[], RunRequest | None],
    context: Mapping[str, Any],
    log: Any,
    *,
    cancel_on_kill: bool,
    durable: bool,
) -> str:
    """Stop the runs of earlier tries. Only the task's connection has to be valid.

    :param hook: returns the hook of the task's connection.
    :param target: returns what the task runs; it may raise, because it may be the invalid part.
    :return: one or two sentences on the runs, for an error message.
    """
    # Only cancelling is left to do, so the parameters that may be invalid get their defaults.
    options = Options(QualityGate(), 10.0, None, 30.0, cancel_on_kill, durable)
    # The caller raises the reason why the task is invalid. An error raised here would hide it.
    try:
        with Lifecycle(hook(), options, _known_target(target), context, log).guarded() as lifecycle:
            return lifecycle.stop_earlier()
    except Exception as error:
        log.warning("The runs of an earlier try could not be stopped: %s", error)
        return _earlier_runs(context) if durable else "Nothing was started."


def _known_target(target: Callable[[], RunRequest | None]) -> RunRequest | None:
    try:
        return target()
    except ValueError:
        return None


def _earlier_runs(context: Mapping[str, Any]) -> str:
    store = open_store(context)
    named = runs_named(store.get()) if store is not None else ()
    if not named:
        return "Nothing was started."
    runs = name_runs(named)
    return f"Nothing new was started. {runs} of an earlier try may still be running: check the dashboard."
