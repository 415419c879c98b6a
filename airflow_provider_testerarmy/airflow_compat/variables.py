"""Airflow Variables as notes that all tasks of an Airflow can read: in workers, in API server and scheduler."""

from __future__ import annotations

from typing import Any

from airflow_provider_testerarmy.airflow_compat.features import DATABASE_EVERYWHERE
from airflow_provider_testerarmy.airflow_compat.records import ask_supervisor
from airflow_provider_testerarmy.airflow_compat.tasks import own_session


def has_variables() -> bool:
    """Whether this process can read and write Variables: a task's process can."""
    if DATABASE_EVERYWHERE:
        return True
    from airflow.sdk.execution_time import task_runner

    return getattr(task_runner, "SUPERVISOR_COMMS", None) is not None


def get_variable(key: str) -> str | None:
    """In a worker: a Variable as Airflow's database has it, None for none; secrets backends are not asked.

    :raises Exception: whatever keeps Airflow from answering.
    """
    if DATABASE_EVERYWHERE:
        return stored_variable(key)
    from airflow.sdk.execution_time.comms import GetVariable

    value = getattr(ask_supervisor(GetVariable(key=key)), "value", None)
    return None if value is None else str(value)


def stored_variable(key: str) -> str | None:
    """In API server and scheduler: a Variable as the database has it, None for none."""
    from airflow.models.variable import Variable
    from sqlalchemy import select

    with own_session() as session:
        found: Any = session.scalar(select(Variable).where(Variable.key == key))
        return None if found is None else str(found.val)


def set_variable(key: str, value: str, description: str) -> None:
    """In a worker: write a Variable.

    :raises Exception: whatever keeps Airflow from storing it.
    """
    if DATABASE_EVERYWHERE:
        from airflow.models.variable import Variable

        Variable.set(key, value, description=description)
    else:
        from airflow.sdk.execution_time.comms import PutVariable

        ask_supervisor(PutVariable(key=key, value=value, description=description))


def delete_variable(key: str) -> None:
    """In a worker: delete a Variable, if there is one.

    :raises Exception: whatever keeps Airflow from it.
    """
    if DATABASE_EVERYWHERE:
        from airflow.models.variable import Variable

        Variable.delete(key)
    else:
        from airflow.sdk.execution_time.comms import DeleteVariable

        ask_supervisor(DeleteVariable(key=key))
