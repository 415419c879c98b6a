"""The parameters that operators and sensors share, rendered and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_testerarmy.runs.verdict.gate import QualityGate


@dataclass(frozen=True, slots=True)
class Options:
    """The common parameters.

    :param poll_interval: seconds.
    :param timeout: seconds from the submission to the deadline, None for no deadline.
    :param max_outage: seconds.
    :param softened: whether Airflow makes a skip of a failure (``soft_fail``, ``never_fail`` of sensors).
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
    softened: bool = False
