"""The parameters ``on_failed`` and ``ask_…``, checked when the DAG file is parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle.parameters import seconds
from airflow_provider_testerarmy.runs.rendered import is_nothing
from airflow_provider_testerarmy.runs.submission.answer import Choice


@dataclass(frozen=True, slots=True)
class Ask:
    """How a task asks a person.

    :param users: ids and names in Airflow of those who may answer; empty for all with the right to the DAG.
    :param timeout: how long an answer may take; None without limit.
    :param default: what counts if nobody answers in time.
    :param notifiers: called with the context when the question is asked.
    """

    users: tuple[Mapping[str, str], ...] = ()
    timeout: timedelta | None = None
    default: Choice = Choice.REJECT
    notifiers: tuple[Callable[[Any], object], ...] = ()


def read_ask(
    on_failed: Any, users: Any, timeout: Any, default: Any, notifiers: Any, *, waits: bool, durable: bool
) -> Ask | None:
    """The parameters ``on_failed`` and ``ask_…``, when the DAG file is parsed; None for ``on_failed="fail"``.

    :param waits: whether the task waits for its runs.
    :param durable: whether the task keeps a record of its runs.
    :raises ValueError: with the parameter's name.
    """
    if on_failed not in ("fail", "ask"):
        raise ValueError(f"on_failed must be 'fail' or 'ask', not {on_failed!r}.")
    if on_failed == "fail":
        given = {"ask_users": users, "ask_timeout": timeout, "ask_notifiers": notifiers}
        for name, value in given.items():
            if not is_nothing(value):
                raise ValueError(f"{name} needs on_failed='ask'.")
        return None
    if not airflow_compat.ASK.available:
        raise ValueError(f"on_failed='ask' needs Airflow {airflow_compat.ASK.version} or later. Remove it.")
    if not waits or not durable:
        raise ValueError("on_failed='ask' needs wait_for_completion=True and durable=True.")
    if default not in list(Choice):
        raise ValueError(f"ask_default must be one of {', '.join(Choice)}, not {default!r}.")
    ask = Ask(
        tuple(_user(one) for one in _listed(users)),
        None if is_nothing(timeout) else timedelta(seconds=seconds(timeout, "ask_timeout")),
        Choice(default),
        tuple(_listed(notifiers)),
    )
    # Another round for every time-out would never end, and each round starts runs.
    if ask.default is Choice.AGAIN:
        raise ValueError("ask_default='again' could start runs without limit. Use 'accept' or 'reject'.")
    if any(not callable(one) for one in ask.notifiers):
        raise ValueError("ask_notifiers must be a notifier or a list of notifiers.")
    if hindrance := airflow_compat.asking_hindrance(users=bool(ask.users)):
        raise ValueError(hindrance)
    return ask


def _listed(value: Any) -> Sequence[Any]:
    if is_nothing(value):
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _user(given: Any) -> Mapping[str, str]:
    """A user as Airflow expects it: an id alone stands for the name too."""
    if isinstance(given, str) and given.strip():
        return {"id": given.strip(), "name": given.strip()}
    if isinstance(given, Mapping) and set(given) == {"id", "name"} and all(map(str, given.values())):
        return {"id": str(given["id"]), "name": str(given["name"])}
    raise ValueError(f"ask_users must have user ids, or dicts with 'id' and 'name', not {given!r}.")
