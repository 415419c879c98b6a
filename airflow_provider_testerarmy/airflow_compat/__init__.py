"""Everything that differs between versions of Airflow, and every use of an Airflow internal.

These internals are used because there is no public API for the purpose:

* ``RuntimeTaskInstance.get_task_states`` (3.0+), in a worker or triggerer: reads the state of its own task. On
  2.11, both read it from the database.
* ``airflow.state`` and its models (3.3+), in the API server and scheduler: reads what tasks have stored. On the
  command line: reads and writes the memories of gates.
* ``SUPERVISOR_COMMS`` (3.0 to 3.2), in a worker: stores records in Airflow Variables. The public ``Variable`` only
  logs a failed write (https://github.com/apache/airflow/issues/68537), and reports a failed read as "not found",
  which would start a second run.
* ``Connection.get_connection_from_secrets``, in the API server and scheduler: reads the connection of a DAG's team.
* ``ensure_secrets_backend_loaded`` (3.0+), in the API server and scheduler: imports in advance what reading a
  connection needs.
* ``__fail__`` as the next method of a deferred task, and ``timeout`` in its error: Airflow ended the deferral.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.airflow_compat.features import (
    ASSET_STATE_STORE,
    ASYNC_CONNECTION,
    COMMANDS,
    FEATURES,
    FORM_FROM_INFO,
    KILL_WHILE_DEFERRED,
    LISTENER,
    TASK_STATE_STORE,
    UI_TAB,
    Feature,
)

if TYPE_CHECKING:
    from airflow_provider_testerarmy.airflow_compat.asset_database import MemoryDatabase, NoMemoryStore
    from airflow_provider_testerarmy.airflow_compat.asset_states import memory_store, with_memory_inlet
    from airflow_provider_testerarmy.airflow_compat.records import (
        delete_record,
        has_own_state_backend,
        prune_records,
        read_record,
        stored_by_failed_tasks,
        stored_task_state,
        task_state_store,
        write_record,
    )
    from airflow_provider_testerarmy.airflow_compat.tasks import (
        GONE,
        TaskName,
        aget_connection,
        aown_state,
        beginning_of,
        dag_folders,
        earliest_of,
        get_connection_for,
        import_ahead,
        is_deferral_timeout,
        is_trigger_failure,
        lost_for_good,
        named,
        own_state,
        rendered_fields,
        retry_follows,
        trigger_failure,
    )
    from airflow_provider_testerarmy.airflow_compat.variables import (
        get_variable,
        has_variables,
        prune_variables,
        set_variable,
        stored_variable,
    )

#: The modules whose names are loaded on first use. A DAG file needs the features only, and is parsed often.
_LATER: Final = {
    "asset_database": (
        "MemoryDatabase",
        "NoMemoryStore",
    ),
    "asset_states": (
        "memory_store",
        "with_memory_inlet",
    ),
    "records": (
        "delete_record",
        "has_own_state_backend",
        "prune_records",
        "read_record",
        "stored_by_failed_tasks",
        "stored_task_state",
        "task_state_store",
        "write_record",
    ),
    "tasks": (
        "GONE",
        "TaskName",
        "aget_connection",
        "aown_state",
        "beginning_of",
        "dag_folders",
        "earliest_of",
        "get_connection_for",
        "import_ahead",
        "is_deferral_timeout",
        "is_trigger_failure",
        "lost_for_good",
        "named",
        "own_state",
        "rendered_fields",
        "retry_follows",
        "trigger_failure",
    ),
    "variables": (
        "get_variable",
        "has_variables",
        "prune_variables",
        "set_variable",
        "stored_variable",
    ),
}
_MODULE_OF: Final = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load the module of a name on its first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


__all__ = [
    "ASSET_STATE_STORE",
    "ASYNC_CONNECTION",
    "COMMANDS",
    "FEATURES",
    "FORM_FROM_INFO",
    "GONE",
    "KILL_WHILE_DEFERRED",
    "LISTENER",
    "TASK_STATE_STORE",
    "UI_TAB",
    "Feature",
    "MemoryDatabase",
    "NoMemoryStore",
    "TaskName",
    "aget_connection",
    "aown_state",
    "beginning_of",
    "dag_folders",
    "delete_record",
    "earliest_of",
    "get_connection_for",
    "get_variable",
    "has_own_state_backend",
    "has_variables",
    "import_ahead",
    "is_deferral_timeout",
    "is_trigger_failure",
    "lost_for_good",
    "memory_store",
    "named",
    "own_state",
    "prune_records",
    "prune_variables",
    "read_record",
    "rendered_fields",
    "retry_follows",
    "set_variable",
    "stored_by_failed_tasks",
    "stored_task_state",
    "stored_variable",
    "task_state_store",
    "trigger_failure",
    "with_memory_inlet",
    "write_record",
]
