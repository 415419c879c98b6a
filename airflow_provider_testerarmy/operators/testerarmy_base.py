"""What all TesterArmy operators share: the connection, and the button that opens the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_testerarmy.lifecycle.dashboard_link import dashboard_address
from airflow_provider_testerarmy.operators.base import RunOperator
from airflow_provider_testerarmy.runs.rendered import given

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook


class TesterArmyRunLink(BaseOperatorLink):
    """The button on the task's page that opens the runs on the TesterArmy dashboard.

    It appears while the task is still running, if the connection's extra has ``workspace`` and
    ``project_short_id``. The API does not return the workspace, which is part of the address.
    """

    # Airflow 2 stores the import path of a link in serialized DAGs, so it stays the documented one.
    __module__ = "airflow_provider_testerarmy.operators.testerarmy"
    name = "TesterArmy dashboard"
    xcom_key = "testerarmy_url"
    is_own = True

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address of the runs, empty if it is unknown."""
        return dashboard_address(operator, ti_key, self.xcom_key)


class TesterArmyOperator(RunOperator):
    """The base of the TesterArmy operators.

    :param testerarmy_conn_id: str; the id of the Airflow connection, of type ``testerarmy``.
    """

    operator_extra_links = (TesterArmyRunLink(),)

    def __init__(self, *, testerarmy_conn_id: str = "testerarmy_default", **kwargs: Any) -> None:
        self.testerarmy_conn_id = testerarmy_conn_id
        super().__init__(**kwargs)

    @property
    def hook(self) -> TesterArmyHook:
        """The hook for the operator's connection."""
        from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook

        return TesterArmyHook(given(self.testerarmy_conn_id) or "testerarmy_default")
