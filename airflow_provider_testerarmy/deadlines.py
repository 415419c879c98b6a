"""For Airflow's ``DeadlineAlert`` (3.1+): says which tests of a DAG run are open after a deadline."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.text import one_line, plural

log = logging.getLogger(__name__)

#: The states of a task that has ended. A task in any other state is open.
ENDED: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
#: The most tasks that a message names.
MOST: Final = 50
_STATES: Final = {"awaiting_input": "waits for a person", "deferred": "waits for its runs"}


async def open_tests(context: Mapping[str, Any], task_ids: Sequence[str] | None = None) -> dict[str, str]:
    """The tasks of the DAG run that have not ended, with their states.

    :param context: dict; what Airflow gives to the callback of a deadline.
    :param task_ids: list of str or None; the tasks that test something. None means all tasks of the DAG.
    """
    run = context["dag_run"]
    states = await airflow_compat.atask_states(run["dag_id"], run["dag_run_id"], task_ids)
    return {task_id: state or "not started" for task_id, state in states.items() if state not in ENDED}


def open_text(context: Mapping[str, Any], tests: Mapping[str, str]) -> str:
    """The open tests in a sentence, for a message.

    :param context: dict; what Airflow gives to the callback of a deadline.
    :param tests: dict; the open tasks with their states, of :func:`open_tests`.
    """
    run = context["dag_run"]
    where = one_line(f"{run['dag_id']}, {run['dag_run_id']}", 300)
    if not tests:
        return f"The deadline of {where} has passed. No test is open."
    names = [f"{task_id} ({_STATES.get(state, state)})" for task_id, state in sorted(tests.items())]
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    listed = one_line(", ".join(names[:MOST]), 4000)
    return (
        f"The deadline of {where} has passed. {plural(len(names), 'test').capitalize()} open: {listed}{more}."
    )


async def log_open_tests(context: Mapping[str, Any], task_ids: Sequence[str] | None = None) -> str:
    """Log the open tests as a warning; for ``AsyncCallback``.

    :param context: dict; what Airflow gives to the callback of a deadline.
    :param task_ids: list of str or None; the tasks that test something. None means all tasks of the DAG.
    :return: the message.
    """
    text = open_text(context, await open_tests(context, task_ids))
    log.warning("%s", text)
    return text
