"""The operator that runs the tests of a TesterArmy batch again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.lifecycle.parameters import Text
from airflow_provider_testerarmy.lifecycle.task import with_common_fields
from airflow_provider_testerarmy.operators.testerarmy_base import TesterArmyOperator

if TYPE_CHECKING:
    from airflow_provider_testerarmy.runs.service import RunRequest


class TesterArmyRerunBatchOperator(TesterArmyOperator):
    """Runs all runnable tests of a finished batch again (``POST /batches/{batchId}/rerun``).

    The service uses the parameters of the earlier batch, and skips tests that are deleted or disabled.

    :param batch_id: UUID or its text; the id of the batch. It is the XCom ``batch_id`` of a task that ran a group.
    :raises RequestRefused: when the task runs, for an invalid parameter, or a batch that the service does not run
        again, e.g. because it is active. No run is started.

    The common parameters and errors are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields(
        "testerarmy_conn_id", "batch_id", "memory_path", "budget", "partition_key"
    )

    def __init__(self, *, batch_id: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def target(self) -> RunRequest:
        """The batch."""
        from airflow_provider_testerarmy.client.testerarmy.operations import check_id
        from airflow_provider_testerarmy.hooks.testerarmy_batches import BATCH
        from airflow_provider_testerarmy.runs.service import RunRequest

        return RunRequest(BATCH, check_id(self.batch_id, "batch_id"))

    def build_request(self) -> RunRequest:
        """The request that runs the batch again.

        :raises RequestInvalid: with the parameter's name.
        """
        return self.target()
