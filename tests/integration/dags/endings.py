"""One DAG whose tasks end in every way a task on test runs can end, and one whose tasks all begin wrongly.

The tasks do not depend on one another unless they say so: one DAG run shows all endings.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunPromptOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor

AT_ONCE = {"retries": 2, "retry_delay": timedelta(seconds=0)}
QUICK = {**AT_ONCE, "poll_interval": 0.5, "max_outage": 5}

with DAG("endings", schedule=None, default_args=QUICK, max_active_tasks=3):
    # Judged in the triggerer's stead by the worker, after a deferral.
    TesterArmyRunGroupOperator(task_id="failing", group_id=catalog.GROUP_FAILING, deferrable=True)
    TesterArmyRunGroupOperator(task_id="breaks_once", group_id=catalog.GROUP_BREAKS_ONCE, deferrable=True)
    TesterArmyRunGroupOperator(
        task_id="broken", group_id=catalog.GROUP_BROKEN, deferrable=True, retry_delay=timedelta(hours=1)
    )

    # Judged in the worker.
    TesterArmyRunGroupOperator(
        task_id="passing",
        group_id=catalog.GROUP_SEQUENTIAL,
        report_path="{{ params.reports }}/{{ ti.task_id }}.json",
        params={"reports": "/nowhere"},
    )
    TesterArmyRunTestOperator(task_id="failing_sync", test_id=catalog.TEST_FAILS)
    TesterArmyRunGroupOperator(task_id="skipped", group_id=catalog.GROUP_SKIPPED)
    TesterArmyRunGroupOperator(task_id="rejected", group_id=catalog.GROUP_ALL_REJECTED)
    TesterArmyRunGroupOperator(task_id="empty", group_id=catalog.GROUP_EMPTY)
    TesterArmyRunTestOperator(task_id="cancelled", test_id=catalog.TEST_CANCELLED)
    TesterArmyRunTestOperator(
        task_id="too_severe", test_id=catalog.TEST_PASSES_WITH_SEVERE_ISSUE, gate={"max_severity": 3}
    )
    TesterArmyRunTestOperator(
        task_id="reported", test_id=catalog.TEST_FAILS, gate='{"report_only": {{ true | tojson }}}'
    )
    TesterArmyRunGroupOperator(task_id="flaky", group_id=catalog.GROUP_FLAKY, retry_failed_tests=True)
    TesterArmyRunTestOperator.partial(task_id="mapped", gate={"on_skipped": "pass"}).expand(
        test_id=[catalog.TEST_LOGIN, catalog.TEST_SKIPPED]
    )

    # Started here, awaited there.
    start = TesterArmyRunGroupOperator(
        task_id="start", group_id=catalog.GROUP_WITH_DISABLED, wait_for_completion=False
    )
    TesterArmyRunSensor(task_id="wait_poke", run_ids=start.output["run_ids"])
    TesterArmyRunSensor(task_id="wait_reschedule", run_ids=start.output["run_ids"], mode="reschedule")
    TesterArmyRunSensor(task_id="wait_deferred", run_ids=start.output["run_ids"], deferrable=True)
    start_failing = TesterArmyRunTestOperator(
        task_id="start_failing", test_id=catalog.TEST_FAILS, wait_for_completion=False
    )
    ids = "{{ ti.xcom_pull(task_ids='start_failing', key='run_ids') }}"
    start_failing >> [
        TesterArmyRunSensor(task_id="wait_failing", run_ids=ids),
        TesterArmyRunSensor(task_id="wait_failing_softly", run_ids=ids, deferrable=True, soft_fail=True),
    ]

# What a template makes of this is nothing.
NOTHING = "{{ '' }}"

with DAG("refused", schedule=None, default_args=QUICK, max_active_tasks=3):
    TesterArmyRunGroupOperator(task_id="malformed_id", group_id="{{ 'nightly' }}")
    TesterArmyRunTestOperator(task_id="unknown_id", test_id=catalog.UNKNOWN_ID)
    TesterArmyRunTestOperator(task_id="empty_id", test_id=NOTHING)
    TesterArmyRunTestOperator(
        task_id="unknown_platform", test_id=catalog.TEST_PASSES, platform="{{ 'playstation' }}"
    )
    TesterArmyRunGroupOperator(task_id="no_url", group_id=catalog.GROUP_NIGHTLY, target_url="{{ 'shop' }}")
    TesterArmyRunPromptOperator(task_id="empty_prompt", prompt=NOTHING)
    TesterArmyRunTestOperator(
        task_id="no_report_path",
        test_id=catalog.TEST_PASSES,
        report_path="{{ 'night.pdf' }}",
        deferrable=True,
    )
    TesterArmyRunTestOperator(
        task_id="gate_field", test_id=catalog.TEST_PASSES, gate="{{ {'min_pas_rate': 1} | tojson }}"
    )
    TesterArmyRunTestOperator(
        task_id="gate_rate", test_id=catalog.TEST_PASSES, gate={"min_pass_rate": "{{ 1.5 }}"}
    )
    for conn_id in ("wrong_key", "plain_http", "broken_key", "no_key", "forbidden_key"):
        TesterArmyRunTestOperator(
            task_id=conn_id, test_id=catalog.TEST_PASSES, testerarmy_conn_id=f"ta_{conn_id}"
        )
    TesterArmyRunSensor(task_id="sensor_empty", run_ids=NOTHING, deferrable=True)
    TesterArmyRunSensor(
        task_id="sensor_wrong_key", run_ids=[catalog.UNKNOWN_ID], testerarmy_conn_id="ta_wrong_key"
    )
