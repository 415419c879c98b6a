"""The Airflow plugin. Every Airflow process loads it by its entry point, so its imports have to be cheap."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_testerarmy import airflow_compat, listener


def _ui() -> tuple[list[Any], list[Any]]:
    """The web application and the views that show it; both empty on an Airflow without such views (before 3.1)."""
    if not airflow_compat.UI_TAB.available:
        return [], []
    from airflow_provider_testerarmy.ui import registration

    return [*registration.FASTAPI_APPS], [dict(view) for view in registration.EXTERNAL_VIEWS]


class TesterArmyPlugin(AirflowPlugin):
    """Registers the listener, and the tab that shows test runs.

    The listener stops the runs of ended tasks that neither a worker nor a trigger can stop. The tab needs Airflow
    3.1 or later.
    """

    name = "testerarmy"
    listeners = [listener]  # noqa: RUF012
    fastapi_apps, external_views = _ui()
