"""A DAG that starts when runs end, and 100 watchers of one connection."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_testerarmy.triggers.events import TesterArmyRunFinished

ended = Asset("ended", watchers=[AssetWatcher(name="ended", trigger=TesterArmyRunFinished(poll_interval=2))])
others = Asset(
    "others",
    watchers=[
        AssetWatcher(
            name=f"other_{number}", trigger=TesterArmyRunFinished(source=f"nobody_{number}", poll_interval=2)
        )
        for number in range(99)
    ],
)

with DAG("on_end", schedule=ended | others, catchup=False, max_active_runs=1):
    EmptyOperator(task_id="seen")
