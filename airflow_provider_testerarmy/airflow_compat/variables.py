"""Airflow Variables as notes that all tasks of a deployment can read and write."""

from __future__ import annotations

import json
import time
from typing import Any

from airflow_provider_testerarmy.airflow_compat.features import DATABASE_EVERYWHERE
from airflow_provider_testerarmy.airflow_compat.records import ask_supervisor
from airflow_provider_testerarmy.airflow_compat.tasks import own_session


def has_variables() -> bool:
    """Whether this process can read and write Variables, as a task's process can."""
    if DATABASE_EVERYWHERE:
        return True
    from airflow.sdk.execution_time import task_runner

    return getattr(task_runner, "SUPERVISOR_COMMS", None) is not None


def get_variable(key: str) -> str | None:
    """In a worker: a Variable from Airflow's database, not from secrets backends; None if there is none.

    :raises Exception: if Airflow cannot read it.
    """
    if DATABASE_EVERYWHERE:
        return stored_variable(key)
    from airflow.sdk.execution_time.comms import GetVariable

    value = getattr(ask_supervisor(GetVariable(key=key)), "value", None)
    return None if value is None else str(value)


def stored_variable(key: str) -> str | None:
    """In the API server or scheduler: a Variable from the database; None if there is none."""
    from airflow.models.variable import Variable
    from sqlalchemy import select

    with own_session() as session:
        found: Any = session.scalar(select(Variable).where(Variable.key == key))
        return None if found is None else str(found.val)


def set_variable(key: str, value: str, description: str) -> None:
    """In a worker: write a Variable.

    :raises Exception: if Airflow cannot store it.
    """
    if DATABASE_EVERYWHERE:
        from airflow.models.variable import Variable

        Variable.set(key, value, description=description)
    else:
        from airflow.sdk.execution_time.comms import PutVariable

        ask_supervisor(PutVariable(key=key, value=value, description=description))


def prune_variables(prefix: str, older_than: float) -> int:
    """In the scheduler: delete old Variables; the field ``at`` of their JSON is the time when they were written.

    :param prefix: the prefix of their names.
    :param older_than: the minimum age in seconds.
    :return: the number of deleted Variables.
    """
    from airflow.models.variable import Variable
    from sqlalchemy import delete, select

    query = select(Variable).where(Variable.key.startswith(prefix, autoescape=True))
    with own_session() as session:
        old = [each.key for each in session.scalars(query) if time.time() - _written(each.val) > older_than]
        for key in old:
            session.execute(delete(Variable).where(Variable.key == key))
    return len(old)


def _written(value: str | None) -> float:
    """The time when it was written in seconds since the epoch; 0 if unknown."""
    try:
        return float(json.loads(value or "")["at"])
    except (KeyError, TypeError, ValueError):
        return 0.0
