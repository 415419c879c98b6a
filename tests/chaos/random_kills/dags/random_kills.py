"""One DAG of every kind of test task; what each runs comes from the DAG run's conf, by the task's id."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from tests.chaos.random_kills.plan import DAG_ID, PROFILES, Profile


def operator_of(profile: Profile) -> tuple[Any, str]:
    """Return the operator, and the parameter that says what it runs."""
    if profile.vendor == "docket":
        return DocketRunTestsOperator, "test_blueprint_ids"
    if profile.second:
        return TesterArmyRunGroupOperator, "group_id"
    return TesterArmyRunTestOperator, "test_id"


with DAG(DAG_ID, schedule=None, catchup=False, max_active_runs=50, max_active_tasks=200):
    for profile in PROFILES:
        operator, parameter = operator_of(profile)
        what = "{{ dag_run.conf['" + profile.task_id + "'] }}"
        options: dict[str, Any] = {
            "task_id": profile.task_id,
            "deferrable": profile.deferrable,
            "retries": profile.retries,
            "retry_delay": timedelta(seconds=2),
            "poll_interval": 2,
            **profile.options,
        }
        if profile.siblings > 1:
            operator.partial(**options).expand(**{parameter: [what] * profile.siblings})
        else:
            operator(**options, **{parameter: what})
