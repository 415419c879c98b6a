"""The Docket sensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.lifecycle.task import with_common_fields
from airflow_provider_testerarmy.operators.docket import DocketRunLink
from airflow_provider_testerarmy.runs.rendered import given
from airflow_provider_testerarmy.sensors.base import RunSensor

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.docket import DocketHook
    from airflow_provider_testerarmy.runs.results import RunId


class DocketRunSensor(RunSensor):
    """Waits for Docket test runs and judges them, e.g. runs of an operator with ``wait_for_completion=False``.

    :param docket_conn_id: str; the id of the Airflow connection, of type ``docket``.

    ``run_ids`` takes the ids of test runs, not the id of a group run. All other parameters, and the errors, are
    those of :class:`~airflow_provider_testerarmy.sensors.base.RunSensor`.
    """

    template_fields = with_common_fields("docket_conn_id", "run_ids")
    operator_extra_links = (DocketRunLink(),)

    def __init__(self, *, docket_conn_id: str = "docket_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.docket_conn_id = docket_conn_id

    @property
    def hook(self) -> DocketHook:
        """The hook for the sensor's connection."""
        from airflow_provider_testerarmy.hooks.docket import DocketHook

        return DocketHook(given(self.docket_conn_id) or "docket_default")

    def check_run_id(self, run_id: RunId) -> RunId:
        """The id as an integer.

        :raises RequestInvalid: for anything that is not a positive integer.
        """
        from airflow_provider_testerarmy.client.docket.operations import check_id

        return check_id(run_id, "run_ids")
