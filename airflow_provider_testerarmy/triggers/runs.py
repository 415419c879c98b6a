"""The trigger that awaits runs, for any vendor; it cancels them on a kill and keeps their deadline.

It never raises: a task whose trigger raises fails, and its runs with it. What the triggerer cannot do, the worker
may be able to, so the event says that the wait was lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence, Set
from pkgutil import resolve_name
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.flow import adrive
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.run_id_codec import Packed, PackingUnknown, pack, unpack
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.submission.cancel import cancel
from airflow_provider_testerarmy.runs.text import name_runs, one_line
from airflow_provider_testerarmy.triggers.watchers import wait_together

EVENT_VERSION: Final = 1

#: Seconds that a trigger lives at the least. The scheduler takes note of a deferral some time after it happened; on
#: a busy machine a task that is resumed before that is failed ("executor reported success, state is queued").
MIN_LIFE: Final = 5.0

#: Seconds after which a connection whose key was rejected is read again, when the first look found no other key:
#: the key is often revoked a moment before its successor is stored.
REREAD_AFTER: Final = 5.0

#: Seconds within which Airflow has to name the task's state; a triggerer that is shutting down may never get it.
STATE_WITHIN: Final = 10.0

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
    :param unknown: what a newer version of this package added to the row; ignored.
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
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if unknown:
            self.log.info("Ignoring what a newer version of the provider stored: %s.", ", ".join(unknown))
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
        self._hook: Any = None
        self._done = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the trigger is made of again elsewhere."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "hook": self.hook,
            "conn_id": self.conn_id,
            **(self._packed if self._unreadable else self._pack()),
            "batch_id": self.batch_id,
            "poll_interval": self.poll_interval,
            "max_outage": self.max_outage,
            "deadline": self.deadline,
            "cancel_on_kill": self.cancel_on_kill,
        }

    def _pack(self) -> dict[str, Any]:
        return {"run_ids": pack(self.run_ids), "rejected_run_ids": pack(self.rejected_run_ids)}

    def _unpack(self, name: str) -> list[RunId]:
        """The ids as they are; an unknown packing is reported by the event, because the worker has the ids."""
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
            # Without a task instance the trigger runs inside `airflow dags test`, which has no scheduler.
            if self.task_instance is not None:
                await asyncio.sleep(max(0.0, began + MIN_LIFE - time.monotonic()))
        except asyncio.CancelledError:
            await self._cancelled()
            raise
        # From here on the runs belong to the task again; a kill that comes now is its business.
        self._done = True
        yield TriggerEvent(make_event(waited, self.run_ids))

    async def _wait(self) -> Waited:
        """How the wait ended; a deadline stops the runs."""
        try:
            waited = await self._wait_with_any_key()
            # Where runs cannot be cancelled, the worker that judges them names those that go on.
            if waited.end is WaitEnd.DEADLINE and self.cancel_on_kill and self._hook.service().can_cancel:
                await self._cancel({run_id for run_id, run in waited.results.items() if run.finished})
        except Exception as error:
            self.log.exception("The triggerer cannot wait for %s.", name_runs(self.run_ids))
            return lost(f"{type(error).__name__}: {error}")
        return waited

    async def _wait_with_any_key(self) -> Waited:
        if self._unreadable:
            return lost(f"the trigger's row has {self._unreadable}")
        self._hook = await self._load_hook()
        self.log.info("Waiting for %s.", name_runs(self.run_ids))
        pace = Pace(self.poll_interval, self.max_outage, self.deadline)
        while True:
            waited = await wait_together(self._hook, self.run_ids, pace, self.log.info)
            if waited.end is not WaitEnd.DENIED or not await self._has_another_key():
                return waited
            self.log.info("The connection has changed since its key was rejected: waiting on with it.")

    async def _load_hook(self) -> Any:
        hook = resolve_name(self.hook)(self.conn_id)
        await hook.aload()
        return hook

    async def _has_another_key(self) -> bool:
        """Whether the connection says something else by now, or in a moment, than when it was last read."""
        before = self._hook.endpoint
        for pause in (0.0, REREAD_AFTER):
            await asyncio.sleep(pause)
            self._hook = await self._load_hook()
            if self._hook.endpoint != before:
                return True
        return False

    async def _cancelled(self) -> None:
        """The event loop ends the wait: a user acted on the task, or the triggerer stops or lost the trigger.

        Airflow 3.3 calls :meth:`on_kill` for the first of these; older versions, and `airflow dags test` after
        Ctrl-C, do nothing but cancel.
        """
        if self.task_instance is None or not airflow_compat.KILL_WHILE_DEFERRED.available:
            await self.on_kill()

    async def on_kill(self) -> None:
        """Cancel the runs, if it really was a user who acted on the task (called by Airflow 3.3+).

        Airflow also calls this when the trigger moved to another triggerer: the task is still deferred then.
        It leaves about one second, so the work is done in a task of its own that survives.
        """
        if self._done or not self.cancel_on_kill:
            return
        await asyncio.shield(_detach(self._cancel_unless_deferred()))

    async def _cancel_unless_deferred(self) -> None:
        if await self._still_deferred():
            self.log.info("The task is still deferred: another triggerer waits for it, nothing is cancelled.")
            return
        try:
            await self._cancel()
        except Exception as error:
            # Nobody awaits this, so an exception would end in no log. The listener tries as well.
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

    async def _still_deferred(self) -> bool:
        """Whether Airflow has the task as deferred; where it does not say, the runs are left alone."""
        ti = self.task_instance
        if ti is None:
            return False
        try:
            async with asyncio.timeout(STATE_WITHIN):
                return await airflow_compat.aown_state(ti) == "deferred"
        except Exception as error:
            self.log.warning("Airflow does not name the task's state (%s: %s).", type(error).__name__, error)
            return True

    def _submission(self) -> Submission:
        return Submission(tuple(self.run_ids), tuple(self.rejected_run_ids), self.batch_id)


def make_event(waited: Waited, run_ids: Sequence[RunId] = ()) -> dict[str, Any]:
    """The event's payload: why the wait is over, and for which runs. The results are fetched by the worker."""
    return {
        "version": EVENT_VERSION,
        "end": str(waited.end),
        "message": waited.message,
        "run_ids": pack(run_ids),
    }


def is_known(event: Any) -> bool:
    """Whether an event is of the shape that this version writes."""
    return (
        isinstance(event, Mapping)
        and event.get("version") == EVENT_VERSION
        and event.get("end") in [str(end) for end in WaitEnd]
    )


def runs_of(event: Any) -> tuple[RunId, ...]:
    """The runs that the trigger has waited for; none where an older or newer one does not say."""
    given = event.get("run_ids") if isinstance(event, Mapping) else None
    try:
        return tuple(unpack(given or ()))
    except PackingUnknown:
        return ()


def lost(message: str) -> Waited:
    """The end of a wait that says nothing about the runs: whoever waited could not go on."""
    return Waited(WaitEnd.LOST, {}, one_line(message, 500))


def read_event(event: Any) -> Waited:
    """The end of the wait that an event tells of.

    An event of another version or shape is a lost wait: during an upgrade the versions of worker and triggerer
    differ. Nothing falls through to success.
    """
    if not is_known(event):
        return lost(f"the trigger ended with an event that this version does not know: {str(event)[:200]}")
    return Waited(WaitEnd(event["end"]), {}, one_line(str(event.get("message", "")), 500))


def _detach(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run something in a task that outlives the one that began it."""
    task = asyncio.ensure_future(work)
    _detached.add(task)
    task.add_done_callback(_detached.discard)
    return task
