"""What the command line reads of a deployment: connections, XComs, the triggerer, the plugin and its listener."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Final

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_testerarmy.airflow_compat.features import DATABASE_EVERYWHERE
from airflow_provider_testerarmy.airflow_compat.tasks import TaskName, get_connection_for, own_session

__all__ = [
    "AirflowNotFoundException",
    "is_listener_registered",
    "is_plugin_installed",
    "is_triggerer_alive",
    "plugin_error",
    "read_connection",
    "stored_xcom",
    "without_logs",
]

_PLUGIN: Final = "testerarmy"


def without_logs(action: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """A command that prints no log lines and warnings, as Airflow's own: they would be in its output."""
    from airflow.utils.cli import suppress_logs_and_warning

    quiet = suppress_logs_and_warning(action)

    def run(options: Namespace) -> None:
        options.verbose = getattr(options, "verbose", False)
        quiet(options)

    return run


def read_connection(conn_id: str, dag_id: str | None = None) -> Any:
    """A connection as Airflow's own commands read it: from secrets backends, the environment and the database.

    :param dag_id: reads the connection of this DAG's team first.
    :raises AirflowNotFoundException: if there is no such connection.
    """
    # Without it, Airflow 3 reads connections as a task does, which has no database.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    if dag_id is not None:
        return get_connection_for(dag_id, conn_id)
    from airflow.models.connection import Connection

    return Connection.get_connection_from_secrets(conn_id)


def stored_xcom(task: TaskName, key: str) -> Any:
    """An XCom of a task instance; None if there is none.

    Of a value that an XCom backend stores elsewhere, Airflow 3 returns the reference.
    """
    if DATABASE_EVERYWHERE:
        from airflow.models.xcom import XCom

        return XCom.get_one(
            key=key, dag_id=task.dag_id, run_id=task.run_id, task_id=task.task_id, map_index=task.map_index
        )
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    query = select(XComModel.value).where(
        XComModel.dag_id == task.dag_id,
        XComModel.run_id == task.run_id,
        XComModel.task_id == task.task_id,
        XComModel.map_index == task.map_index,
        XComModel.key == key,
    )
    with own_session() as session:
        value = session.scalar(query)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def is_triggerer_alive() -> bool:
    """Whether a triggerer has sent a heartbeat recently.

    :raises Exception: if the database cannot be read.
    """
    from airflow.jobs.job import most_recent_job

    with own_session() as session:
        job = most_recent_job("TriggererJob", session=session)
        return job is not None and bool(job.is_alive())


def is_plugin_installed() -> bool:
    """Whether the installed package names its plugin, so that Airflow finds it."""
    return any(each.name == _PLUGIN for each in entry_points(group="airflow.plugins"))


def plugin_error() -> str | None:
    """Why Airflow has not loaded the plugin; None if it has."""
    from airflow import plugins_manager

    plugins_manager.ensure_plugins_loaded()
    # Before 3.2 the manager is a module with variables.
    manager: Any = plugins_manager
    if hasattr(manager, "_get_plugins"):
        loaded, errors = manager._get_plugins()
    else:
        loaded, errors = manager.plugins or [], manager.import_errors
    if any(each.name == _PLUGIN for each in loaded):
        return None
    reasons = [str(why) for where, why in errors.items() if _PLUGIN in f"{where} {why}".lower()]
    return reasons[0] if reasons else "Airflow has not found it"


def is_listener_registered() -> bool:
    """Whether Airflow's processes call the listener of the plugin."""
    from airflow.listeners.listener import get_listener_manager

    registered = get_listener_manager().pm.get_plugins()
    return any(getattr(each, "__name__", "") == "airflow_provider_testerarmy.listener" for each in registered)
