"""A DAG whose deadline passes while one of its tests is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

if airflow_compat.ASK.available:
    try:
        from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
    except ImportError:  # Airflow 3.1
        from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

    from airflow_provider_testerarmy.deadlines import log_open_tests

    with DAG(
        "deadline",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        deadline=DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(seconds=15),
            callback=AsyncCallback(log_open_tests, kwargs={"task_ids": ["quick", "slow"]}),
        ),
    ):
        TesterArmyRunTestOperator(task_id="quick", test_id=catalog.TEST_PASSES, poll_interval=0.5)
        TesterArmyRunTestOperator(
            task_id="slow", test_id=catalog.TEST_ENDLESS, poll_interval=0.5, deferrable=True
        )
