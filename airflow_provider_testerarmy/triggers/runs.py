"""The trigger that waits for runs of any vendor. It cancels them when the task is killed and at the deadline.

It never raises an error, because Airflow fails a task whose trigger does. If the triggerer cannot wait, its event
says so, and the worker may still be able to.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence, Set
from pkgutil import resolve_name
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited, WaitEnd
from airflow_provider_testerarmy.runs.flow import adrive
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.run_id_codec import Packed, PackingUnknown, pack, unpack
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.submission.cancel import cancel
from airflow_provider_testerarmy.runs.text import name_runs, one_line

EVENT_VERSION: Final = 1

#: The minimum lifetime of a trigger in seconds. If a trigger fires before the scheduler has processed the worker's
#: exit, the scheduler fails the task ("reported ... state success, but the ... state attribute is queued"):
#: https://github.com/apache/airflow/issues/66374
MIN_LIFE: Final = 5.0

#: Seconds before the connection is read a second time after its key was rejected. During a rotation, the old key is
#: often revoked a moment before the new one is stored.
REREAD_AFTER: Final = 5.0

#: The timeout in seconds of one read of the task's state. A triggerer that shuts down may never get a response.
STATE_WITHIN: Final = 10.0

#: Seconds for which :meth:`AwaitRunsTrigger.on_kill` tries the read again, and between two tries. The triggerer's
#: parent process answers it, and did not for 10 seconds on a busy machine (measured on 3.3.2). Nothing repeats
#: that method.
STATE_TRIED_FOR: Final = 300.0
STATE_PAUSE: Final = 5.0

#: Cancellations that outlive their trigger. asyncio keeps only weak references to tasks:
#: https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task
_detached: set[asyncio.Task[Any]] = set()


class AwaitRunsTrigger(BaseTrigger):
    """Waits until all runs are finished, enough failed, the deadline passes, or an outage lasts too long.

    Airflow stores these arguments in its database in plain text, so they contain no secrets. All triggers of a
    process that use the same connection share one poller and its requests.

    :param hook: the import path of the vendor's hook class.
    :param conn_id: the Airflow connection.
    :param run_ids: the run ids, as a list or packed.
    :param rejected_run_ids: those of the runs that the service rejected.
    :param batch_id: the batch of the runs; empty if there is none.
    :param poll_interval: seconds between two polls of a run (shorter at first).
    :param max_outage: seconds without a successful request after which the wait ends.
    :param deadline: the absolute time (seconds since the epoch) at which the wait ends; None for never.
    :param cancel_on_kill: whether a kill and the deadline cancel the runs.
    :param stop_at: the number of failed runs at which the wait ends, although others are active; None for never.
    :param record: the task's signed record as JSON text, which the event returns unread; None for none.
    :param unknown: arguments that a newer version of this package stored; ignored.
    """

    def __init__(
        self,
        hook: str,
        conn_id: str,
        run_ids: Sequence[RunId] | Packed,
        rejected_run_ids: Sequence[RunId] | Packed = (),
        batch_id: str = "",
        poll_interval: float = 10.0,
        max_outage: float = 600.0,
        deadline: float | None = None,
        cancel_on_kill: bool = True,
        stop_at: int | None = None,
        record: str | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if unknown:
            self.log.info("Ignoring arguments of a newer version of the provider: %s.", ", ".join(unknown))
        self.hook = hook
        self.conn_id = conn_id
        self._packed = {"run_ids": run_ids, "rejected_run_ids": rejected_run_ids}
        self._unreadable = ""
        self.run_ids = self._unpack("run_ids")
        self.rejected_run_ids = self._unpack("rejected_run_ids")
        self.batch_id = batch_id
        self.poll_interval = poll_interval
        self.max_outage = max_outage
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.stop_at = stop_at
        self.record = record
        self._hook: Any = None
        self._done = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The import path and the arguments from which a triggerer creates the trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "hook": self.hook,
            "conn_id": self.conn_id,
            **(self._packed if self._unreadable else self._pack()),
            "batch_id": self.batch_id,
            "poll_interval": self.poll_interval,
            "max_outage": self.max_outage,
            "deadline": self.deadline,
            "cancel_on_kill": self.cancel_on_kill,
            **({} if self.stop_at is None else {"stop_at": self.stop_at}),
            **({} if self.record is None else {"record": self.record}),
        }

    def _pack(self) -> dict[str, Any]:
        return {"run_ids": pack(self.run_ids), "rejected_run_ids": pack(self.rejected_run_ids)}

    def _unpack(self, name: str) -> list[RunId]:
        """The unpacked ids. An unknown format is reported by the event, because the worker knows the ids."""
        try:
            return unpack(self._packed[name])
        except PackingUnknown as error:
            self._unreadable = str(error)
            return []

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        began = time.monotonic()
        try:
            waited = await self._wait()
            # In `airflow dags test`, triggers have no task instance, and there is no scheduler to wait for.
            if self.task_instance is not None:
                await asyncio.sleep(max(0.0, began + MIN_LIFE - time.monotonic()))
        except asyncio.CancelledError:
            await self._cancelled()
            raise
        # Airflow may call on_kill() after the event while the trigger is still running (measured on 3.3.2). From
        # here on, the worker is responsible for the runs.
        self._done = True
        yield TriggerEvent(make_event(waited, self.run_ids, self.record))

    async def _wait(self) -> Waited:
        """Wait, and cancel the runs at the deadline."""
        try:
            waited = await self._wait_with_any_key()
            # If the service cannot cancel runs, the worker names the active ones when it judges the results.
            if waited.end is WaitEnd.DEADLINE and self.cancel_on_kill and self._hook.service().can_cancel:
                await self._cancel({run_id for run_id, run in waited.results.items() if run.finished})
        except Exception as error:
            self.log.exception("The triggerer cannot wait for %s.", name_runs(self.run_ids))
            return lost(f"{type(error).__name__}: {error}")
        return waited

    async def _wait_with_any_key(self) -> Waited:
        if self._unreadable:
            return lost(f"the trigger's stored arguments have {self._unreadable}")
        self._hook = await self._load_hook()
        self.log.info("Waiting for %s.", name_runs(self.run_ids))
        pace = Pace(self.poll_interval, self.max_outage, self.deadline, self.stop_at)
        # A worker makes triggers too, and has no use for the watchers.
        from airflow_provider_testerarmy.triggers.watchers import wait_together

        while True:
            waited = await wait_together(self._hook, self.run_ids, pace, self.log.info, self.batch_id)
            if waited.end is not WaitEnd.DENIED or not await self._has_another_key():
                return waited
            self.log.info("The connection has changed since its key was rejected. Waiting continues with it.")

    async def _load_hook(self) -> Any:
        hook = resolve_name(self.hook)(self.conn_id)
        await hook.aload()
        return hook

    async def _has_another_key(self) -> bool:
        """Whether the connection has changed since it was last read, now or within a few seconds."""
        before = self._hook.endpoint
        for pause in (0.0, REREAD_AFTER):
            await asyncio.sleep(pause)
            self._hook = await self._load_hook()
            if self._hook.endpoint != before:
                return True
        return False

    async def _cancelled(self) -> None:
        """Handle a cancellation: a user acted on the task, or the triggerer shuts down or has lost the trigger.

        Airflow 3.3 calls :meth:`on_kill` if a user acted (https://github.com/apache/airflow/pull/65590). Older
        versions, and ``airflow dags test`` after Ctrl-C, only cancel the trigger.
        """
        if self.task_instance is None or not airflow_compat.KILL_WHILE_DEFERRED.available:
            # Further reads would delay the shutdown of a triggerer, whose parent no longer answers.
            await self._kill(tried_for=0.0)

    async def on_kill(self) -> None:
        """Cancel the runs if a user acted on the task (called by Airflow 3.3 and later).

        Airflow also calls this if a triggerer resumes after a pause and another one has taken over the trigger. The
        task is still deferred then. Airflow cancels this method after about one second (both measured on 3.3.2), so
        the work happens in a separate asyncio task.
        """
        await self._kill(tried_for=STATE_TRIED_FOR)

    async def _kill(self, tried_for: float) -> None:
        if self._done or not self.cancel_on_kill:
            return
        await asyncio.shield(_detach(self._cancel_unless_deferred(tried_for)))

    async def _cancel_unless_deferred(self, tried_for: float) -> None:
        if self.task_instance is not None:
            try:
                state = await self._state(tried_for)
            except Exception as error:
                # Nobody knows whether another trigger waits for these runs. The listener cancels them if none does.
                self.log.warning(
                    "Could not read the task's state from Airflow (%s: %s). The triggerer cancels no run.",
                    type(error).__name__,
                    error,
                )
                return
            if state == "deferred":
                self.log.info(
                    "The task is still deferred: another triggerer waits for it, so no run is cancelled."
                )
                return
        try:
            await self._cancel()
        except Exception as error:
            # Nothing awaits this task, so an exception would not be logged. The listener cancels the runs as well.
            self.log.warning(
                "The triggerer cannot cancel %s (%s: %s). Check the dashboard.",
                name_runs(self.run_ids),
                type(error).__name__,
                error,
            )

    async def _cancel(self, ended: Set[RunId] = frozenset()) -> None:
        if self._hook is None:
            self._hook = await self._load_hook()
        put, close = self._hook.async_asker()
        try:
            flow = cancel(self._hook.service(), self._submission(), self.log.info, ended)
            await adrive(flow, put, asyncio.sleep)
        finally:
            await close()

    async def _state(self, tried_for: float) -> str | None:
        """The task's state in Airflow, even if Airflow does not answer at once.

        :param tried_for: seconds for which a failed read is tried again.
        :raises Exception: if it could not be read in that time.
        """
        give_up_at = time.monotonic() + tried_for
        while True:
            try:
                async with asyncio.timeout(STATE_WITHIN):
                    return await airflow_compat.aown_state(self.task_instance)
            except Exception as error:
                if time.monotonic() >= give_up_at:
                    raise
                self.log.info(
                    "Could not read the task's state from Airflow (%s: %s). Trying again in %g s.",
                    type(error).__name__,
                    error,
                    STATE_PAUSE,
                )
            await asyncio.sleep(STATE_PAUSE)

    def _submission(self) -> Submission:
        return Submission(tuple(self.run_ids), tuple(self.rejected_run_ids), self.batch_id)


def make_event(waited: Waited, run_ids: Sequence[RunId] = (), record: str | None = None) -> dict[str, Any]:
    """The event's payload: why the wait ended, and for which runs. It has no results; the worker fetches them.

    :param record: the task's record, which saves the worker that resumes a call to Airflow.
    """
    event: dict[str, Any] = {
        "version": EVENT_VERSION,
        "end": str(waited.end),
        "message": waited.message,
        "run_ids": pack(run_ids),
    }
    if record is not None:
        event["record"] = record
    return event if waited.retry_after is None else {**event, "retry_after": waited.retry_after}


def is_known(event: Any) -> bool:
    """Whether an event has the format of this version."""
    return (
        isinstance(event, Mapping)
        and event.get("version") == EVENT_VERSION
        and event.get("end") in [str(end) for end in WaitEnd]
    )


def runs_of(event: Any) -> tuple[RunId, ...]:
    """The runs for which the trigger has waited; empty if the event of another version does not contain them."""
    given = event.get("run_ids") if isinstance(event, Mapping) else None
    try:
        return tuple(unpack(given or ()))
    except PackingUnknown:
        return ()


def record_of(event: Any) -> Any | None:
    """The record that the event carries; None if it has none, or none that can be read. It is not trusted yet."""
    text = event.get("record") if isinstance(event, Mapping) else None
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def lost(message: str) -> Waited:
    """The end of a wait that the triggerer could not continue; it says nothing about the runs."""
    return Waited(WaitEnd.LOST, {}, one_line(message, 500))


def read_event(event: Any) -> Waited:
    """The end of a wait from an event.

    An event in an unknown format counts as a lost wait, never as a success. During an upgrade, the worker and the
    triggerer may have different versions.
    """
    if not is_known(event):
        return lost(
            f"the trigger sent an event in a format that this version does not know: {str(event)[:200]}"
        )
    asked = event.get("retry_after")
    retry_after = float(asked) if isinstance(asked, int | float) and asked > 0 else None
    return Waited(WaitEnd(event["end"]), {}, one_line(str(event.get("message", "")), 500), retry_after)


def _detach(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run a coroutine in an asyncio task that outlives the current one."""
    task = asyncio.ensure_future(work)
    _detached.add(task)
    task.add_done_callback(_detached.discard)
    return task
