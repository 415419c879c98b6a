"""Asks a person, with Airflow's human-in-the-loop (3.1+): a state of its own in 3.3, a trigger before."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any, Final

from airflow_provider_testerarmy.airflow_compat.features import INSTALLED, VERSION

#: The name of the form field for what a person writes.
WORDS: Final = "words"
#: Airflow parks the task in a state of its own, without a trigger.
_PARKS: Final = INSTALLED >= (3, 3)
_NEEDS_PROVIDER: Final = (
    "On Airflow 3.1 and 3.2, on_failed='ask' needs the package apache-airflow-providers-standard. Install it on "
    "the workers and triggerers."
)


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked.

    :param body: Markdown.
    :param default: the option that counts if nobody answers in time.
    :param users: ids and names of those who may answer; empty for everybody with the right to the DAG.
    :param timeout: None waits without limit.
    """

    subject: str
    body: str
    options: Sequence[str]
    default: str
    users: Sequence[Mapping[str, str]] = ()
    timeout: timedelta | None = None


def asking_hindrance(*, users: bool) -> str:
    """Why this Airflow cannot ask a person; empty if it can.

    :param users: whether the answer is limited to some users.
    """
    if not _PARKS and find_spec("airflow.providers.standard") is None:
        return _NEEDS_PROVIDER
    if users and not _knows_users():
        return "ask_users needs a newer Airflow: this one cannot limit who answers. Remove it."
    return ""


def submit_question(context: Mapping[str, Any], question: Question) -> None:
    """Store the question for the task instance. An answer to an earlier question of it is removed.

    :raises Exception: if Airflow does not store it.
    """
    from airflow.sdk.execution_time.hitl import upsert_hitl_detail

    arguments: dict[str, Any] = {
        "ti_id": context["ti"].id,
        "options": list(question.options),
        "subject": question.subject,
        "body": question.body,
        "defaults": [question.default],
        "multiple": False,
        "params": _form(),
    }
    if question.users and _knows_users():
        arguments["assigned_users"] = [dict(user) for user in question.users]
    upsert_hitl_detail(**arguments)


def wait_for_answer(task: Any, context: Mapping[str, Any], question: Question, method: str) -> None:
    """Leave the worker until the question is answered. Airflow then calls ``method`` with the answer as ``event``.

    :raises BaseException: always; Airflow catches it.
    """
    if _PARKS:
        from airflow.sdk.exceptions import TaskAwaitingInput

        raise TaskAwaitingInput(method_name=method, timeout=question.timeout)
    from airflow.providers.standard.triggers.hitl import HITLTrigger

    task.defer(
        trigger=HITLTrigger(
            ti_id=context["ti"].id,
            options=list(question.options),
            defaults=[question.default],
            params=_form(),
            multiple=False,
            timeout_datetime=None if question.timeout is None else datetime.now(UTC) + question.timeout,
        ),
        method_name=method,
    )


def _form() -> dict[str, Any]:
    """The form beside the options, as the installed Airflow stores it."""
    from airflow.sdk import Param

    if tuple(map(int, re.findall(r"\d+", VERSION)[:3])) < (3, 1, 3):
        return {WORDS: ""}
    field = Param("", type="string", title="Words", description="Why you decide so. The reports show it.")
    return {WORDS: field.serialize()}


def _knows_users() -> bool:
    from airflow.sdk.execution_time.hitl import upsert_hitl_detail

    return "assigned_users" in inspect.signature(upsert_hitl_detail).parameters
