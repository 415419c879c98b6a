"""DAGs that take a task through what the rig must be able to see and steer."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, task
from airflow.triggers.base import BaseTrigger, TriggerEvent


class NapTrigger(BaseTrigger):
    """Fires after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "tests.rig_tests.rig_dags.NapTrigger", {"seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        self.log.info("napping in the triggerer")
        await asyncio.sleep(self.seconds)
        yield TriggerEvent({"slept": self.seconds})


class NapOperator(BaseOperator):
    """Defers for `seconds` and returns what the trigger said."""

    template_fields = ("seconds",)

    def __init__(self, *, seconds: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seconds = seconds

    def execute(self, context: Any) -> None:
        self.log.info("about to defer")
        self.defer(trigger=NapTrigger(seconds=float(self.seconds)), method_name="wake")

    def wake(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        return event


with DAG("rig_tour", schedule=None):

    @task
    def greet() -> dict[str, Any]:
        print("hello from a task")
        return {"nested": [1, {"none": None}], "text": "ü"}

    @task(retries=1, retry_delay=timedelta(seconds=0))
    def fail_once(ti: Any = None) -> int:
        if ti.try_number == 1:
            raise RuntimeError("the first try fails")
        return int(ti.try_number)

    @task
    def square(number: int) -> int:
        return number * number

    greet() >> NapOperator(task_id="nap", seconds="{{ dag_run.conf.get('nap', 1) }}") >> fail_once()
    square.expand(number=[2, 3])

with DAG("rig_busy", schedule=None):

    @task
    def work() -> None:
        time.sleep(600)

    work()
