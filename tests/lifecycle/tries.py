"""Runs tries of a task without Airflow, with a minimal context, and keeps what Airflow would keep between them."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, TaskDeferred

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog


class Died(BaseException):
    """The worker's process was killed, so none of its code runs any more."""


class Store(dict):
    """The task state store. It calls `on_set` with every record that is written."""

    on_set = staticmethod(lambda record: None)

    def set(self, key, value):
        self[key] = value
        self.on_set(value)


class TaskInstance:
    """The task instance in one try. The service's clock starts as soon as the runs are started."""

    dag_id, task_id, run_id = "dag", "tests", "manual"

    def __init__(
        self, pass_time: Callable[[], None], try_number: int, max_tries: int, map_index: int = -1
    ) -> None:
        self.try_number, self.max_tries, self.map_index = try_number, max_tries, map_index
        self.start_date = datetime.now(UTC)
        self.xcoms = {}
        self._pass_time = pass_time

    def get_first_reschedule_date(self, _context):
        return None

    def xcom_push(self, key, value):
        self.xcoms[key] = value
        if key == "run_ids":
            self._pass_time()

    def xcom_pull(self, task_ids, key, map_indexes):
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.xcoms.get(key)


class Tries:
    """The tries of one task instance, one after the other, with what Airflow keeps between them.

    :param seconds: of the sandbox, that pass once runs are started; enough for a usual run to end.
    :param map_index: of a mapped task.
    """

    def __init__(self, service: SandboxServer, seconds: float = 60, map_index: int = -1) -> None:
        self.service = service
        self.seconds = seconds
        self.map_index = map_index
        #: How often something in the DAG run was cleared; None where the Airflow does not tell.
        self.clear_number = None
        self.store = Store()
        self.ti = None
        self.deferred = None
        self._meanwhile = None

    @property
    def record(self):
        """The stored record."""
        return self.store["test_runs"]

    @property
    def xcoms(self):
        """The XComs of the newest try."""
        return self.ti.xcoms

    @property
    def summary(self):
        """The summary that the newest try has pushed as its return value."""
        return self.xcoms["return_value"]

    def execute(self, task, try_number=1, max_tries=0, meanwhile=None):
        """Run a try, and return what it returned or raised.

        :param meanwhile: done from a signal handler while the task waits, as Airflow does on SIGTERM.
        """
        self.ti = self.task_instance(try_number, max_tries)
        self._meanwhile = meanwhile
        before = signal.signal(signal.SIGALRM, lambda _number, _frame: meanwhile())
        # What a handler raises while the collector finalizes something of the service's thread is swallowed, and
        # pytest takes that for a failure. (A task then stops at its next pause.)
        gc.disable()
        try:
            return self._ending(lambda: task.execute(self.context(task)))
        finally:
            gc.enable()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def task_instance(self, try_number, max_tries):
        return TaskInstance(self._pass_time, try_number, max_tries, self.map_index)

    def through_trigger(self, task):
        """Run the trigger that the newest try deferred to, and resume the task with its event."""
        event = fire(self.deferred.trigger)
        return self._ending(lambda: task.execute_complete(self.context(task), event=event))

    def lose_record(self):
        """Lose the stored record, and what the trigger carries of it."""
        self.store.clear()
        self.deferred.trigger.record = None

    def resume(self, task, method, kwargs):
        """Resume the task as Airflow does."""
        return self._ending(lambda: task.resume_execution(method, kwargs, self.context(task)))

    def context(self, task):
        """Airflow's context of the newest try."""
        store = {} if self.store is None else {"task_state_store": self.store}
        began = self.service.control.clock.now() - timedelta(days=1)
        dag_run = SimpleNamespace(clear_number=self.clear_number, run_after=began)
        return {"ti": self.ti, "task": task, "dag_run": dag_run, **store}

    def _pass_time(self):
        self.service.control.clock.advance(self.seconds)
        if self._meanwhile is not None:
            signal.setitimer(signal.ITIMER_REAL, 0.1)

    def _ending(self, run):
        try:
            return run()
        except TaskDeferred as deferred:
            self.deferred = deferred
            return deferred
        # Airflow's time-out is not an Exception, so that a task's own handlers do not swallow it.
        except (Exception, AirflowTaskTimeout, Died) as error:
            return error


def fire(trigger) -> dict:
    """The payload of a trigger's one event."""

    async def events():
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(events())
    return event.payload


def group(group_id=catalog.GROUP_SEQUENTIAL, **parameters):
    return TesterArmyRunGroupOperator(
        **{"task_id": "tests", "deferrable": False, "poll_interval": 0.05} | parameters, group_id=group_id
    )


def single(test_id=catalog.TEST_PASSES, **parameters):
    return TesterArmyRunTestOperator(
        **{"task_id": "tests", "deferrable": False, "poll_interval": 0.05} | parameters, test_id=test_id
    )


def started(service):
    return service.control.log.submitted_run_ids()


def cancelled(service):
    return service.control.log.cancelled_run_ids()


def posts(service):
    """The number of submissions that the service has accepted."""
    return len(service.control.log.submissions())


def is_active(service, run_id):
    return run_id in service.control.store.active_run_ids()
