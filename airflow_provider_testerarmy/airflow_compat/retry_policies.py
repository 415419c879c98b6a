"""Airflow's base class of retry policies.

:raises ImportError: on import, before Airflow 3.3.
"""

from __future__ import annotations

from airflow_provider_testerarmy.airflow_compat.features import INSTALLED, RETRY_POLICY

if not RETRY_POLICY.available:
    raise ImportError(
        f"TestRetryPolicy needs Airflow {RETRY_POLICY.version} or later. This is Airflow "
        f"{'.'.join(map(str, INSTALLED))}. Use retries, retry_delay and retry_failed_tests instead."
    )

from airflow.sdk import RetryDecision, RetryPolicy

__all__ = ["RetryDecision", "RetryPolicy"]
