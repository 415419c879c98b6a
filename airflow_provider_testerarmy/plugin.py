"""The Airflow plugin: what Airflow loads by entry point, and as light as that asks for."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_testerarmy import airflow_compat


def _listeners() -> list[Any]:
    if not airflow_compat.LISTENER.available:
        return []
    from airflow_provider_testerarmy import listener

    return [listener]


class TesterArmyPlugin(AirflowPlugin):
    """Registers the listener that stops the runs of tasks that nobody else can stop (Airflow 3.3+)."""

    name = "testerarmy"
    listeners = _listeners()
