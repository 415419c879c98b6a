"""The Airflow plugin: what Airflow loads by entry point, and as light as that asks for."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_testerarmy import airflow_compat, listener


def _ui() -> tuple[list[Any], list[Any]]:
    """The web application, and where it shows; nothing where Airflow has no place for it."""
    if not airflow_compat.UI_TAB.available:
        return [], []
    from airflow_provider_testerarmy.ui import registration

    return [*registration.FASTAPI_APPS], [dict(view) for view in registration.EXTERNAL_VIEWS]


class TesterArmyPlugin(AirflowPlugin):
    """Registers a listener and the tab on test runs.

    The listener stops the runs of tasks that nobody else can stop; the tab needs Airflow 3.1.
    """

    name = "testerarmy"
    listeners = [listener]  # noqa: RUF012
    fastapi_apps, external_views = _ui()
