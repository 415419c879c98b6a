"""DAGs that only one case uses, so that their file can be edited during the case.

A case's DAG file only calls :func:`build`; everything else is here, where workers and triggerers can import it.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.triggers.runs import AwaitRunsTrigger

#: How long reading a slow connection takes.
SLOW_SECONDS: Final = 6.0
#: How long a task goes on after its verdict, where it lingers.
LINGERS_SECONDS: Final = 30.0
_read_slowly: list[str] = []


class RaisingTrigger(AwaitRunsTrigger):
    """A trigger that raises at once."""

    async def run(self) -> Any:
        """Raise."""
        raise RuntimeError("this trigger always raises")
        yield


class MissingTrigger(AwaitRunsTrigger):
    """A trigger that no triggerer can import."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Name a class that does not exist."""
        return "tests.chaos.own.GoneTrigger", super().serialize()[1]


TRIGGERS: Final[dict[str, type[AwaitRunsTrigger]]] = {"raises": RaisingTrigger, "missing": MissingTrigger}


class RunTest(TesterArmyRunTestOperator):
    """The operator, with a trigger and a connection that misbehave as the case asks for.

    :param trigger: the name of the trigger to use instead of the provider's.
    :param slow: whether reading the connection takes `SLOW_SECONDS`, once per process.
    :param lingers: whether the first try goes on for `LINGERS_SECONDS` after its verdict.
    """

    def __init__(
        self, *, trigger: str | None = None, slow: bool = False, lingers: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.trigger, self.slow, self.lingers = trigger, slow, lingers

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Take long before Airflow hears of the verdict, where that is wanted."""
        super().post_execute(context, result)
        if self.lingers and context["ti"].try_number == 1:
            judged(self.dag_id).touch()
            time.sleep(LINGERS_SECONDS)

    @property
    def hook(self) -> Any:
        """The provider's hook, but slow to read its connection if the case asks for that."""
        if self.slow and self.dag_id not in _read_slowly:
            _read_slowly.append(self.dag_id)
            reading(self.dag_id).touch()
            time.sleep(SLOW_SECONDS)
        return super().hook

    def defer(self, *, trigger: Any, **options: Any) -> None:
        """Defer to the trigger that the case asks for."""
        if self.trigger:
            trigger = TRIGGERS[self.trigger](**trigger.serialize()[1])
        super().defer(trigger=trigger, **options)


def reading(dag_id: str, home: str | Path | None = None) -> Path:
    """Return the file that appears when the task begins to read its connection slowly."""
    return Path(home or os.environ["AIRFLOW_HOME"]) / f"{dag_id}.reading"


def judged(dag_id: str, home: str | Path | None = None) -> Path:
    """Return the file that appears when the task has its verdict and lingers."""
    return Path(home or os.environ["AIRFLOW_HOME"]) / f"{dag_id}.judged"


def build(
    dag_id: str,
    *,
    edit: int,
    test_id: str,
    keeper: str | None = None,
    twins: bool = False,
    execution_seconds: float | None = None,
    operator: type[TesterArmyRunTestOperator] = RunTest,
    **options: Any,
) -> DAG:
    """Return the DAG of a case.

    :param edit: the version of the file; Airflow shows it as the task's documentation.
    :param keeper: the test of a second task, which keeps the DAG run active.
    :param twins: whether the task is mapped twice over the same test.
    """
    options = {
        "testerarmy_conn_id": "testerarmy_default",
        "poll_interval": 1,
        "retry_delay": timedelta(seconds=1),
        "doc_md": f"edit {edit}",
        **options,
    }
    if execution_seconds is not None:
        options["execution_timeout"] = timedelta(seconds=execution_seconds)
    with DAG(dag_id, schedule=None, catchup=False) as dag:
        if twins:
            operator.partial(task_id="run", **options).expand(test_id=[test_id, test_id])
        else:
            operator(task_id="run", test_id=test_id, **options)
        if keeper:
            TesterArmyRunTestOperator(
                task_id="keeper", test_id=keeper, testerarmy_conn_id="testerarmy_default", poll_interval=1
            )
    return dag
