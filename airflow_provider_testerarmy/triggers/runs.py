"""The trigger that awaits runs, for any vendor; it cancels them on a kill and keeps their deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.flow import adrive
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.submission.cancel import cancel
from airflow_provider_testerarmy.runs.text import name_runs
from airflow_provider_testerarmy.triggers.packing import Packed, pack, unpack
from airflow_provider_testerarmy.triggers.watchers import wait_together

EVENT_VERSION: Final = 1

#: Seconds that a trigger lives at the least. The scheduler takes note of a deferral some time after it happened; on
#: a busy machine a task that is resumed before that is failed ("executor reported success, state is queued").
MIN_LIFE: Final = 5.0

#: Cancellations that outlive the trigger that began them; a task without a reference may be collected.
_detached: set[asyncio.Task[Any]] = set()


class AwaitRunsTrigger(BaseTrigger):
    """Waits until runs are finished, their deadline is over, or the service is gone for too long.

    Airflow stores these arguments in plain text, so they name the connection and the runs and nothing else. All
    triggers of a process that use the same connection share one poller, and so its requests.

    :param hook: the import path of the vendor's hook class.
    :param conn_id: the Airflow connection.
    :param run_ids: the runs, as they are or packed.
    :param rejected_run_ids: those of them that never started.
    :param batch_id: the batch they belong to, empty for none.
    :param poll_interval: seconds between two looks.
    :param max_outage: seconds without one good answer after which the wait ends.
    :param deadline: the absolute time (seconds since the epoch) at which the wait ends, None for never.
    :param cancel_on_kill: whether a kill and the deadline cancel the runs.
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
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.hook = hook
        self.conn_id = conn_id
        self.run_ids = unpack(run_ids)
        self.rejected_run_ids = unpack(rejected_run_ids)
        self.batch_id = batch_id
        self.poll_interval = poll_interval
        self.max_outage = max_outage
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self._hook: Any = None
        self._done = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the trigger is made of again elsewhere."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "hook": self.hook,
            "conn_id": self.conn_id,
            "run_ids": pack(self.run_ids),
            "rejected_run_ids": pack(self.rejected_run_ids),
            "batch_id": self.batch_id,
            "poll_interval": self.poll_interval,
            "max_outage": self.max_outage,
            "deadline": self.deadline,
            "cancel_on_kill": self.cancel_on_kill,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        began = time.monotonic()
        self._hook = await self._load_hook()
        self.log.info("Waiting for %s.", name_runs(self.run_ids))
        pace = Pace(self.poll_interval, self.max_outage, self.deadline)
        waited = await self._wait(pace)
        if waited.end is WaitEnd.DENIED and await self._has_another_key():
            self.log.info("The connection has been changed since the wait began: waiting on with it.")
            waited = await self._wait(pace)
        if waited.end is WaitEnd.DEADLINE and self.cancel_on_kill:
            await self._cancel()
        # Without a task instance the trigger runs inside `airflow dags test`, which has no scheduler.
        if self.task_instance is not None:
            await asyncio.sleep(max(0.0, began + MIN_LIFE - time.monotonic()))
        # From here on the runs belong to the task again; a kill that comes now is its business.
        self._done = True
        yield TriggerEvent(make_event(waited))

    async def _load_hook(self) -> Any:
        hook = resolve_name(self.hook)(self.conn_id)
        await hook.aload()
        return hook

    async def _wait(self, pace: Pace) -> Waited:
        return await wait_together(self._hook, self.run_ids, pace, self.log.info)

    async def _has_another_key(self) -> bool:
        """Whether the connection says something else by now than when the wait began."""
        before, self._hook = self._hook.endpoint, await self._load_hook()
        return bool(self._hook.endpoint != before)

    async def on_kill(self) -> None:
        """Cancel the runs, if it really was a user who acted on the task (Airflow 3.3+).

        Airflow also calls this when the trigger moved to another triggerer: the task is still deferred then.
        It leaves about one second, so the work is done in a task of its own that survives.
        """
        if self._done or not self.cancel_on_kill:
            return
        work = asyncio.ensure_future(self._cancel_unless_deferred())
        _detached.add(work)
        work.add_done_callback(_detached.discard)
        await asyncio.shield(work)

    async def _cancel_unless_deferred(self) -> None:
        if await self._still_deferred():
            self.log.info("The task is still deferred: another triggerer waits for it, nothing is cancelled.")
            return
        await self._cancel()

    async def _cancel(self) -> None:
        if self._hook is None:
            self._hook = await self._load_hook()
        put, close = self._hook.async_asker()
        try:
            await adrive(cancel(self._hook.service(), self._submission(), self.log.info), put, asyncio.sleep)
        finally:
            await close()

    async def _still_deferred(self) -> bool:
        ti = self.task_instance
        if ti is None:
            return False
        return await airflow_compat.aown_state(ti) == "deferred"

    def _submission(self) -> Submission:
        return Submission(tuple(self.run_ids), tuple(self.rejected_run_ids), self.batch_id)


def make_event(waited: Waited) -> dict[str, Any]:
    """The event's payload: why the wait is over. The results are fetched by the worker."""
    return {"version": EVENT_VERSION, "end": str(waited.end), "message": waited.message}


class EventInvalid(ValueError):
    """A resume event that this version does not know."""


def read_event(event: Any) -> Waited:
    """The end of the wait that an event tells of.

    :raises EventInvalid: for an event of another shape; nothing falls through to success.
    """
    if not isinstance(event, Mapping) or event.get("version") != EVENT_VERSION:
        raise EventInvalid(f"The trigger ended with an event of an unknown shape: {str(event)[:200]}")
    try:
        end = WaitEnd(event.get("end", ""))
    except ValueError as error:
        raise EventInvalid(f"The trigger ended with an unknown end: {event.get('end')!r}") from error
    return Waited(end, {}, str(event.get("message", "")))
