"""The common parameters of operators and sensors, after rendering and checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_testerarmy.lifecycle.ask_options import Ask
from airflow_provider_testerarmy.lifecycle.budget import TaskBudget
from airflow_provider_testerarmy.lifecycle.memory import TaskMemory
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate


@dataclass(frozen=True, slots=True)
class Options:
    """The common parameters.

    :param poll_interval: seconds.
    :param timeout: seconds from the submission to the deadline, None for no deadline.
    :param max_outage: seconds without a successful request that end a wait.
    :param durable: whether the record is kept for the next try.
    :param stop_after_failures: how many tests have to fail for good until the active runs are cancelled, None for
        never.
    :param bisect: whether new failures are bisected.
    :param softened: whether Airflow turns a failure into a skip (``soft_fail``, ``never_fail`` of sensors).
    :param memory: the gate's memory of earlier nights, None if the gate needs none.
    :param budget: the budget of the task's pool, None if the task has none.
    :param ask: how the task asks a person about a failed verdict, None if it does not.
    :param chosen: the JSON of what a decorated function has returned, empty for a task without one.
    :param first: whether nothing of the task instance has run before, so that it has no record yet.
    :param carried: the record that the trigger has carried through a deferral, None without one.
    """

    gate: QualityGate
    poll_interval: float
    timeout: float | None
    max_outage: float
    cancel_on_kill: bool
    durable: bool
    report_path: str | Sequence[str] | None = None
    copy_screenshots: bool = False
    retry_failed_tests: bool = False
    stop_after_failures: int | None = None
    bisect: bool = False
    softened: bool = False
    memory: TaskMemory | None = None
    budget: TaskBudget | None = None
    ask: Ask | None = None
    chosen: str = ""
    first: bool = False
    carried: object = None

    def kept(self) -> dict[str, Any]:
        """The arguments of :class:`~airflow_provider_testerarmy.lifecycle.record_store.RecordStore`."""
        return {
            "cancels": self.cancel_on_kill,
            "durable": self.durable,
            "chosen": self.chosen,
            "first": self.first,
            "carried": self.carried,
        }
