"""The Airflow plugin. Every Airflow process loads it by its entry point, so its imports have to be cheap."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_testerarmy import airflow_compat, listener


def _ui() -> tuple[list[Any], list[Any], list[Any]]:
    """The web application, its views, and what wraps Airflow's own requests; empty before Airflow 3.1."""
    if not airflow_compat.UI_TAB.available:
        return [], [], []
    from airflow_provider_testerarmy.ui import registration

    views = [dict(view) for view in registration.EXTERNAL_VIEWS]
    return [*registration.FASTAPI_APPS], views, [*registration.ROOT_MIDDLEWARES]


class TesterArmyPlugin(AirflowPlugin):
    """Registers the listener, the tab that shows test runs, and a fix for the *Test* button of connections.

    The listener stops the runs of ended tasks that neither a worker nor a trigger can stop. The other two need
    Airflow 3.1 or later.
    """

    name = "testerarmy"
    listeners = [listener]  # noqa: RUF012
    fastapi_apps, external_views, fastapi_root_middlewares = _ui()
