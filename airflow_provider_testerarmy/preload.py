"""Imports what a task needs before Airflow forks the process of the task.

Each task runs in a process of its own, and pays for its imports. A forked process has the modules of the process
that it comes from. `LocalExecutor` forks tasks from the scheduler, and the DAG processor forks the parsing.
With other executors, each task imports its modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import BaseModel

#: The modules from which a task reaches all others. Operators import most of them when the task runs.
ROOTS: Final = (
    "airflow_compat.metrics",
    "airflow_compat.records",
    "airflow_compat.variables",
    "hooks.docket",
    "hooks.testerarmy",
    "lifecycle.attempt",
    "lifecycle.dashboard_link",
    "lifecycle.task_note",
    "operators.docket",
    "operators.testerarmy",
    "reports.markdown",
    "sensors.docket",
    "sensors.testerarmy",
    "triggers.importable",
    "triggers.runs",
)


def preload() -> None:
    """Import the modules of a task, build its models and load the certificate authorities."""
    for name in ROOTS:
        import_module(f"{__package__}.{name}")
    from airflow_provider_testerarmy.client.http.sender import tls_context

    for model in own_models():
        model.model_rebuild()
    # If they cannot be read, the error belongs to the task that needs them.
    with suppress(OSError):
        tls_context()


def own_models() -> list[type[BaseModel]]:
    """The imported models of this package. One that is not built yet is built when it is first used."""
    from pydantic import BaseModel

    # Airflow's own models are subclasses of the same class.
    return [model for model in _below(BaseModel) if model.__module__.startswith(f"{__package__}.")]


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in model.__subclasses__():
        yield each
        yield from _below(each)
