"""The TesterArmy sensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.lifecycle.task import with_common_fields
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunLink
from airflow_provider_testerarmy.runs.rendered import given
from airflow_provider_testerarmy.sensors.base import RunSensor

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
    from airflow_provider_testerarmy.runs.results import RunId


class TesterArmyRunSensor(RunSensor):
    """Waits for TesterArmy runs and judges them, e.g. runs of an operator with ``wait_for_completion=False``.

    :param testerarmy_conn_id: str; the id of the Airflow connection, of type ``testerarmy``.

    All other parameters, and the errors, are those of :class:`~airflow_provider_testerarmy.sensors.base.RunSensor`.
    """

    template_fields = with_common_fields("testerarmy_conn_id", "run_ids")
    operator_extra_links = (TesterArmyRunLink(),)

    def __init__(self, *, testerarmy_conn_id: str = "testerarmy_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.testerarmy_conn_id = testerarmy_conn_id

    @property
    def hook(self) -> TesterArmyHook:
        """The hook for the sensor's connection."""
        from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook

        return TesterArmyHook(given(self.testerarmy_conn_id) or "testerarmy_default")

    def check_run_id(self, run_id: RunId) -> RunId:
        """The id in its canonical form.

        :raises RequestInvalid: for anything that is not a UUID.
        """
        from airflow_provider_testerarmy.client.testerarmy.operations import check_id

        return check_id(run_id, "run_ids")
