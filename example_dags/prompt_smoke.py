"""Start a run from a prompt, without a saved test, and wait for it with a sensor.

To use it with your account, write your own prompt and put your API key into the connection ``testerarmy_default``.
To let the agent sign in, create a connection with login and password, and name it in ``credentials_conn_id``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunPromptOperator
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["testerarmy"],
    doc_md=__doc__,
)
def prompt_smoke():
    start = TesterArmyRunPromptOperator(
        task_id="start",
        prompt=(
            "Go to https://shop.example/pricing. Click 'Get started' of the Pro plan. "
            "Confirm that the checkout page loads with the Pro plan in the cart."
        ),
        wait_for_completion=False,
    )

    TesterArmyRunSensor(
        task_id="wait",
        run_ids=start.output["run_ids"],
        deferrable=True,
        poll_interval=5,
        timeout=timedelta(minutes=30),
        # No other task waits for this run, so cancel it when the sensor is killed.
        cancel_on_kill=True,
        gate={"fail_on_warnings": True},
    )


prompt_smoke()
