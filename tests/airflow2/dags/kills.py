"""One test in both modes; the run's `conf` says which."""

from datetime import UTC, datetime, timedelta

from airflow import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator

for mode in ("deferrable", "sync"):
    with DAG(
        mode,
        schedule=None,
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        is_paused_upon_creation=False,
    ) as dag:
        TesterArmyRunTestOperator(
            task_id="run",
            test_id="{{ dag_run.conf['test_id'] }}",
            poll_interval=1,
            retries=2,
            retry_delay=timedelta(seconds=1),
            deferrable=mode == "deferrable",
        )
    globals()[mode] = dag
