"""A process of a task in Airflow's own task runner, with every message to the supervisor on a list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pkgutil import resolve_name
from typing import Any, TypeVar
from uuid import UUID, uuid4

import structlog
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import (
    DagRun,
    DagRunState,
    DagRunType,
    TaskInstanceState,
    TIRunContext,
)
from airflow.sdk.execution_time import comms, task_runner
from airflow.sdk.serde import deserialize

from tests.lifecycle.tries import fire

Message = TypeVar("Message")

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Channel:
    """The supervisor's end of the channel: it lists the messages, and keeps what Airflow would store.

    A supervisor answers ``MaskSecret`` itself, so it is not on the list of what reaches the API server.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.messages: list[Any] = []
        self.xcoms: dict[str, Any] = {}
        self.stored: dict[str, Any] = {}

    def send(self, msg: Any) -> Any:
        """Answer a message as a supervisor does."""
        self.messages.append(msg)
        key = getattr(msg, "key", "")
        if not isinstance(msg, comms.MaskSecret):
            self.sent.append(f"{type(msg).__name__} {key}".strip())
        if isinstance(msg, comms.SetXCom):
            self.xcoms[key] = msg.value
        elif isinstance(msg, comms.GetXCom):
            return comms.XComResult(key=key, value=self.xcoms.get(key))
        elif isinstance(msg, comms.GetXComSequenceSlice):
            values = [self.xcoms[key]] if key in self.xcoms else []
            return comms.XComSequenceSliceResult(root=values)
        elif isinstance(msg, comms.SetTaskStateStore):
            self.stored[key] = msg.value
        elif isinstance(msg, comms.GetTaskStateStore):
            if key not in self.stored:
                return comms.ErrorResponse(error=comms.ErrorType.TASK_STORE_NOT_FOUND)
            return comms.TaskStateStoreResult(value=self.stored[key])
        elif isinstance(msg, comms.GetTaskStates):
            return comms.TaskStatesResult(task_states={"manual": {"tests": "running"}})
        return comms.OKResponse(ok=True)

    def of_kind(self, kind: type[Message]) -> list[Message]:
        """The messages of one kind."""
        return [one for one in self.messages if isinstance(one, kind)]

    @property
    def records(self) -> list[comms.SetTaskStateStore]:
        """The records that were stored, in order."""
        return [one for one in self.of_kind(comms.SetTaskStateStore) if one.key == "test_runs"]


class TaskProcesses:
    """The processes of one task instance, one after the other.

    :param retries: how many retries Airflow grants it.
    """

    def __init__(self, task: Any, retries: int = 0) -> None:
        self.task = task
        self.try_number = 1
        self._retries = retries
        self.channel = Channel()
        self.state: TaskInstanceState | None = None
        self._id: UUID = uuid4()

    def run(self, next_method: str | None = None, next_kwargs: dict[str, Any] | None = None) -> list[str]:
        """Execute or resume the task in one process.

        :return: the kinds of the messages to the supervisor, each with its key.
        """
        began = len(self.channel.sent)
        with _connected(self.channel):
            ti = self._instance(next_method, next_kwargs)
            context, log = ti.get_template_context(), structlog.get_logger("task")
            self.state, _, error = task_runner.run(ti, context, log)
            task_runner.finalize(ti, self.state, context, log, error)
        return self.channel.sent[began:]

    def resume(self) -> list[str]:
        """Run the trigger of the newest deferral, and resume the task with its event; see :meth:`run`."""
        deferral = self.deferral
        event = fire(resolve_name(deferral.classpath)(**deserialize(deferral.trigger_kwargs)))
        return self.run(deferral.next_method, {**deserialize(deferral.next_kwargs), "event": event})

    @property
    def deferral(self) -> comms.DeferTask:
        """The newest deferral."""
        return self.channel.of_kind(comms.DeferTask)[-1]

    def _instance(self, next_method: str | None, next_kwargs: dict[str, Any] | None) -> Any:
        dag_run = DagRun(
            dag_id="dag",
            run_id="manual",
            logical_date=BEGAN,
            data_interval_start=BEGAN,
            data_interval_end=BEGAN,
            run_after=BEGAN,
            start_date=BEGAN,
            end_date=None,
            run_type=DagRunType.MANUAL,
            state=DagRunState.RUNNING,
            consumed_asset_events=[],
            partition_key=None,
        )
        asked = TIRunContext(
            dag_run=dag_run,
            max_tries=self._retries,
            next_method=next_method,
            next_kwargs=next_kwargs,
            should_retry=self.try_number <= self._retries,
        )
        return task_runner.RuntimeTaskInstance.model_construct(
            id=self._id,
            task_id=self.task.task_id,
            dag_id="dag",
            run_id="manual",
            try_number=self.try_number,
            map_index=-1,
            dag_version_id=uuid4(),
            task=self.task,
            max_tries=self._retries,
            start_date=datetime.now(UTC),
            state=TaskInstanceState.RUNNING,
            _ti_context_from_server=asked,
        )


def task_in_dag(kind: type, **kwargs: Any) -> Any:
    """A task in a DAG of its own."""
    with DAG("dag", schedule=None, start_date=BEGAN):
        return kind(task_id="tests", **kwargs)


@contextmanager
def _connected(channel: Channel) -> Iterator[None]:
    missing = object()
    before = getattr(task_runner, "SUPERVISOR_COMMS", missing)
    task_runner.SUPERVISOR_COMMS = channel  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if before is missing:
            del task_runner.SUPERVISOR_COMMS  # type: ignore[attr-defined]
        else:
            task_runner.SUPERVISOR_COMMS = before  # type: ignore[attr-defined]
