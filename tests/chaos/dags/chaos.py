"""DAGs with one task each: the DAG run's conf says what to run, and the DAG's name says how.

``chaos_KIND_MODE_RETRIES``, ``chaos_limited_MODE`` with an execution_timeout, and ``chaos_mapped``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunPromptOperator,
    TesterArmyRunTestOperator,
)
from tests.chaos.catalog import MAPPED_GROUPS

KINDS: dict[str, tuple[type, str]] = {
    "test": (TesterArmyRunTestOperator, "test_id"),
    "group": (TesterArmyRunGroupOperator, "group_id"),
    "prompt": (TesterArmyRunPromptOperator, "prompt"),
}
DAG_OPTIONS: dict[str, Any] = {
    "schedule": None,
    "catchup": False,
    "max_active_runs": 300,
    "max_active_tasks": 100,
}
COMMON: dict[str, Any] = {
    "task_id": "run",
    "testerarmy_conn_id": "{{ dag_run.conf.get('conn_id', 'testerarmy_default') }}",
    "poll_interval": 1,
    "max_outage": "{{ dag_run.conf.get('max_outage', 600) }}",
    "timeout": "{{ dag_run.conf.get('timeout', 3600) }}",
    "retry_delay": timedelta(seconds=1),
}

for mode in ("deferrable", "sync"):
    for kind, (operator, target) in KINDS.items():
        for retries in (0, 2):
            with DAG(f"chaos_{kind}_{mode}_{retries}", **DAG_OPTIONS):
                what = {target: "{{ dag_run.conf['target'] }}"}
                operator(**COMMON, **what, retries=retries, deferrable=mode == "deferrable")
    with DAG(f"chaos_limited_{mode}", **DAG_OPTIONS):
        TesterArmyRunTestOperator(
            **COMMON,
            test_id="{{ dag_run.conf['target'] }}",
            deferrable=mode == "deferrable",
            execution_timeout=timedelta(seconds=12),
        )

with DAG("chaos_mapped", **DAG_OPTIONS):
    TesterArmyRunGroupOperator.partial(**COMMON, retries=2, deferrable=True).expand(group_id=MAPPED_GROUPS)
