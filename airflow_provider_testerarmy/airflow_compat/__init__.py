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
* ``airflow.jobs``, ``plugins_manager`` and the listener manager, on the command line: whether a triggerer is alive,
  and whether the plugin and its listener are loaded.
* ``AssetStateStoreAccessors._by_name`` (3.3+), in a triggerer: stores a cursor for a trigger of several assets.
* The functions behind Airflow's REST API that clear tasks and set their state (3.1+), in the API server: called
  with the task locked, so that two people do not both clear it.
* ``airflow.sdk.execution_time.hitl`` (3.1+), in a worker: asks a person inside an operator of its own.
* ``__fail__`` as the next method of a deferred task, and ``timeout`` in its error: Airflow ended the deferral.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.airflow_compat.features import (
    ASK,
    ASSET_STATE_STORE,
    ASYNC_CONNECTION,
    COMMANDS,
    EVENT_TRIGGERS,
    FEATURES,
    FORM_FROM_INFO,
    KILL_WHILE_DEFERRED,
    LISTENER,
    PARTITIONS,
    PUSHES_LINKS,
    RETRY_POLICY,
    TASK_STATE_STORE,
    UI_TAB,
    VERSION,
    Feature,
)

if TYPE_CHECKING:
    from airflow_provider_testerarmy.airflow_compat.asset_database import MemoryDatabase, NoMemoryStore
    from airflow_provider_testerarmy.airflow_compat.asset_states import memory_store, with_memory_inlet
    from airflow_provider_testerarmy.airflow_compat.deployment import (
        AirflowNotFoundException,
        is_listener_registered,
        is_plugin_installed,
        is_triggerer_alive,
        plugin_error,
        read_connection,
        stored_xcom,
        without_logs,
    )
    from airflow_provider_testerarmy.airflow_compat.metrics import open_span, stats
    from airflow_provider_testerarmy.airflow_compat.people import (
        WORDS,
        Question,
        asking_hindrance,
        submit_question,
        wait_for_answer,
    )
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
    from airflow_provider_testerarmy.airflow_compat.task_actions import (
        Audit,
        Seen,
        TaskChanged,
        clear_task,
        fail_task,
        tasks_to_clear,
    )
    from airflow_provider_testerarmy.airflow_compat.tasks import (
        GONE,
        TaskName,
        aget_connection,
        aown_state,
        atask_states,
        beginning_of,
        dag_folders,
        due_at,
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
    "deployment": (
        "AirflowNotFoundException",
        "is_listener_registered",
        "is_plugin_installed",
        "is_triggerer_alive",
        "plugin_error",
        "read_connection",
        "stored_xcom",
        "without_logs",
    ),
    "metrics": (
        "open_span",
        "stats",
    ),
    "people": (
        "WORDS",
        "Question",
        "asking_hindrance",
        "submit_question",
        "wait_for_answer",
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
    "task_actions": (
        "Audit",
        "Seen",
        "TaskChanged",
        "clear_task",
        "fail_task",
        "tasks_to_clear",
    ),
    "tasks": (
        "GONE",
        "TaskName",
        "aget_connection",
        "aown_state",
        "atask_states",
        "beginning_of",
        "dag_folders",
        "due_at",
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
    "ASK",
    "ASSET_STATE_STORE",
    "ASYNC_CONNECTION",
    "COMMANDS",
    "EVENT_TRIGGERS",
    "FEATURES",
    "FORM_FROM_INFO",
    "GONE",
    "KILL_WHILE_DEFERRED",
    "LISTENER",
    "PARTITIONS",
    "PUSHES_LINKS",
    "RETRY_POLICY",
    "TASK_STATE_STORE",
    "UI_TAB",
    "VERSION",
    "WORDS",
    "AirflowNotFoundException",
    "Audit",
    "Feature",
    "MemoryDatabase",
    "NoMemoryStore",
    "Question",
    "Seen",
    "TaskChanged",
    "TaskName",
    "aget_connection",
    "aown_state",
    "asking_hindrance",
    "atask_states",
    "beginning_of",
    "clear_task",
    "dag_folders",
    "delete_record",
    "due_at",
    "earliest_of",
    "fail_task",
    "get_connection_for",
    "get_variable",
    "has_own_state_backend",
    "has_variables",
    "import_ahead",
    "is_deferral_timeout",
    "is_listener_registered",
    "is_plugin_installed",
    "is_trigger_failure",
    "is_triggerer_alive",
    "lost_for_good",
    "memory_store",
    "named",
    "open_span",
    "own_state",
    "plugin_error",
    "prune_records",
    "prune_variables",
    "read_connection",
    "read_record",
    "rendered_fields",
    "retry_follows",
    "set_variable",
    "stats",
    "stored_by_failed_tasks",
    "stored_task_state",
    "stored_variable",
    "stored_xcom",
    "submit_question",
    "task_state_store",
    "tasks_to_clear",
    "trigger_failure",
    "wait_for_answer",
    "with_memory_inlet",
    "without_logs",
    "write_record",
]
