"""React to test runs that this Airflow did not start.

The DAG starts when a scheduled run of the dashboard fails. One DAG run may get several events. An event may come
twice; the second one has ``repeat`` set.

To use it with your account, put your API key into the connection ``testerarmy_default``. It needs Airflow 3.3.
"""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_testerarmy.triggers.events import TesterArmyRunFinished

failed_runs = Asset(
    "failed_runs",
    watchers=[
        AssetWatcher(
            name="failed_runs",
            trigger=TesterArmyRunFinished(source="scheduled", verdict=["failed", "errored"]),
        )
    ],
)


@dag(schedule=[failed_runs], max_active_runs=1, catchup=False, tags=["testerarmy"], doc_md=__doc__)
def react_to_runs():
    @task(inlets=[failed_runs])
    def report(triggering_asset_events=None) -> list[str]:
        payloads = [event.extra["payload"] for event in triggering_asset_events[failed_runs]]
        return [f"{each['title']}: {each['reason']}" for each in payloads if not each["repeat"]]

    report()


react_to_runs()
