"""A DAG whose tasks wait for runs that do not end by themselves."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunPromptOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

with DAG("waiting", schedule=None, default_args={"deferrable": True, "poll_interval": 0.5}):
    TesterArmyRunGroupOperator(task_id="group", group_id=catalog.GROUP_ENDLESS)
    TesterArmyRunPromptOperator(
        task_id="prompt",
        prompt="Sign in at https://shop.acme.example and look for a profile picture. [sandbox:endless]",
        credentials_conn_id=["shop_login"],
    )
