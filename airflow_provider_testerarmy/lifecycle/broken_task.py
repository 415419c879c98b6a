"""A try that cannot go on, because its task was broken by an edit: what earlier tries started is stopped."""

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
    """Stop what an earlier try started, with nothing of the task but its connection.

    :param target: what the task names, which may be what is broken.
    :return: what became of it, for a message.
    """
    options = Options(QualityGate(), 10.0, None, 30.0, cancel_on_kill, durable)
    # The task fails for another reason, and that is what its message is about.
    try:
        with Lifecycle(hook(), options, _known_target(target), context, log).guarded() as lifecycle:
            return lifecycle.stop_earlier()
    except Exception as error:
        log.warning("What an earlier try started could not be stopped: %s", error)
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
    return f"Nothing new was started. {name_runs(named)} of an earlier try may still be running."
