"""The contenders: each provider's trigger, its connection to the local server, and the meaning of its events."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.server.peers import FIRST_ID
from benchmarks.server.testerarmy import run_id

#: The id of the Airflow connection that every trigger uses.
CONN_ID = "benchmark"
#: A time-out in seconds that no measurement reaches.
_WEEK = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Contender:
    """A provider that can wait for a run in the triggerer.

    :param name: its name in tables and on the command line, and the vendor that the server simulates.
    :param distribution: its Python package.
    :param trigger: the import path of its trigger.
    :param operators: the module that a DAG file imports.
    :param connection: builds the fields of its Airflow connection from the server's port.
    :param arguments: builds the trigger's arguments from a run's number and the poll interval.
    :param succeeded: whether an event's payload says that the run succeeded.
    """

    name: str
    distribution: str
    trigger: str
    operators: str
    connection: Callable[[int], Mapping[str, Any]]
    arguments: Callable[[int, float], dict[str, Any]]
    succeeded: Callable[[Any], bool]

    def environment(self, port: int) -> dict[str, str]:
        """The environment variable that defines its Airflow connection."""
        return {f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps(self.connection(port))}


OURS = Contender(
    name="testerarmy",
    distribution="airflow-provider-testerarmy",
    trigger="airflow_provider_testerarmy.triggers.runs.AwaitRunsTrigger",
    operators="airflow_provider_testerarmy.operators.testerarmy",
    connection=lambda port: {
        "conn_type": "testerarmy",
        "host": f"https://127.0.0.1:{port}/api/v1",
        "password": "sk_benchmark_key",
    },
    arguments=lambda number, interval: {
        "hook": "airflow_provider_testerarmy.hooks.testerarmy.TesterArmyHook",
        "conn_id": CONN_ID,
        "run_ids": [run_id(number)],
        "poll_interval": interval,
        "max_outage": 600.0,
    },
    succeeded=lambda event: event["end"] == "finished",
)

PEERS = (
    Contender(
        name="dbt-cloud",
        distribution="apache-airflow-providers-dbt-cloud",
        trigger="airflow.providers.dbt.cloud.triggers.dbt.DbtCloudRunJobTrigger",
        operators="airflow.providers.dbt.cloud.operators.dbt",
        connection=lambda port: {
            "conn_type": "dbt_cloud",
            "host": f"127.0.0.1:{port}",
            "login": "1",
            "password": "benchmark",
        },
        arguments=lambda number, interval: {
            "conn_id": CONN_ID,
            "run_id": FIRST_ID + number,
            "account_id": 1,
            "end_time": time.time() + _WEEK,
            "poll_interval": interval,
        },
        succeeded=lambda event: event["status"] == "success",
    ),
    Contender(
        name="airbyte",
        distribution="apache-airflow-providers-airbyte",
        trigger="airflow.providers.airbyte.triggers.airbyte.AirbyteSyncTrigger",
        operators="airflow.providers.airbyte.operators.airbyte",
        connection=lambda port: {
            "conn_type": "airbyte",
            "host": f"https://127.0.0.1:{port}/v1",
            "schema": "v1/applications/token",
            "login": "client",
            "password": "benchmark",
        },
        arguments=lambda number, interval: {
            "conn_id": CONN_ID,
            "job_id": FIRST_ID + number,
            "end_time": time.time() + _WEEK,
            "poll_interval": interval,
        },
        succeeded=lambda event: event["status"] == "success",
    ),
    Contender(
        name="databricks",
        distribution="apache-airflow-providers-databricks",
        trigger="airflow.providers.databricks.triggers.databricks.DatabricksExecutionTrigger",
        operators="airflow.providers.databricks.operators.databricks",
        connection=lambda port: {
            "conn_type": "databricks",
            "host": "127.0.0.1",
            "port": port,
            "password": "benchmark",
        },
        arguments=lambda number, interval: {
            "databricks_conn_id": CONN_ID,
            "run_id": FIRST_ID + number,
            "polling_period_seconds": int(interval),
        },
        succeeded=lambda event: json.loads(event["run_state"])["result_state"] == "SUCCESS",
    ),
)

CONTENDERS = {contender.name: contender for contender in (OURS, *PEERS)}
