"""Event triggers for ``AssetWatcher``: they fire when runs end, whoever started the runs.

:raises ImportError: on import, before Airflow 3.3.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from airflow.triggers.base import TriggerEvent

from airflow_provider_testerarmy.airflow_compat.event_triggers import (
    BaseEventTrigger,
    CursorStore,
    SharedStreamProducer,
)
from airflow_provider_testerarmy.client.docket.operations import check_id as check_docket_id
from airflow_provider_testerarmy.client.testerarmy.operations import check_id
from airflow_provider_testerarmy.runs.events.cursor import (
    ANNOUNCED,
    Cursor,
    CursorUnreadable,
    Due,
    begin,
)
from airflow_provider_testerarmy.runs.events.model import EventFilter
from airflow_provider_testerarmy.runs.events.payload import make_payload
from airflow_provider_testerarmy.runs.results import Outcome, RunId
from airflow_provider_testerarmy.triggers.event_stream import Delivery, Member, RunStream, members_of

#: Seconds between two writes of a cursor that has only moved.
WRITE_EVERY: Final = 60.0
#: Seconds before Airflow is asked again for a cursor that it could not read.
READ_AGAIN: Final = 5.0
#: The maximum number of runs whose events this process remembers.
SENT: Final = 1_000

Values = str | Sequence[str] | None


class RunFinished(BaseEventTrigger):
    """Base of the event triggers. One stream of runs serves all triggers of a connection.

    Airflow stores the arguments. They contain no secrets.
    """

    #: The import path of the vendor's hook, its connection and the vendor's name.
    hook: ClassVar[str]
    vendor: ClassVar[str]

    def __init__(self, conn_id: str, wanted: EventFilter, poll_interval: float, since: float | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if not isinstance(conn_id, str) or not conn_id:
            raise ValueError("The connection must be the id of an Airflow connection.")
        if isinstance(poll_interval, bool) or not 1 <= float(poll_interval) <= 3600:
            raise ValueError(f"poll_interval must be 1 to 3600 seconds, not {poll_interval!r}.")
        self.conn_id = conn_id
        self.wanted = wanted
        self.poll_interval = float(poll_interval)
        self._member = Member(self.poll_interval, since)
        self._sent: dict[RunId, int] = {}
        self._stamp = uuid.uuid4().hex[:12]
        self._writes = 0
        self._written: tuple[Cursor | None, float] = (None, 0.0)

    # -- the shared stream

    def shared_stream_key(self) -> Hashable:
        """All triggers with the same hook and connection share a stream."""
        return (self.hook, self.conn_id)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """The stream, which Airflow informs when events are stored."""
        return RunStream(cls.hook, cls._conn_id_of(kwargs))

    @classmethod
    def _conn_id_of(cls, kwargs: dict[str, Any]) -> str:
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire without a shared stream; Airflow calls this only if it cannot share one."""
        stream = RunStream(self.hook, self.conn_id)

        async def alone() -> AsyncIterator[Delivery]:
            async for delivery, number in stream.open_stream():
                yield delivery
                stream.confirm(number - 1)

        async for event in self.filter_shared_stream(alone()):
            yield event

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Delivery]
    ) -> AsyncGenerator[TriggerEvent]:
        """Yield an event for each matching run that has ended."""
        store = CursorStore(self.asset_state_store, self._name())
        if not store.durable:
            self.log.warning("This trigger has no asset. After a restart it reports what ends from then on.")
        members = members_of(self.shared_stream_key())
        member = self._member
        member.cursor = await self._read_patiently(store)
        members.join(member)
        try:
            async for delivery in shared_stream:
                for due in await self._take(delivery, store):
                    yield TriggerEvent(make_payload(self.vendor, due))
        finally:
            members.leave(member)

    # -- the cursor

    async def _take(self, delivery: Delivery, store: CursorStore) -> list[Due]:
        """Update the cursor by a sweep; return what to report, after it is announced in the store."""
        member, sweep = self._member, delivery.sweep
        if member.cursor is None and not self._begin(delivery):
            return []
        cursor = member.cursor
        assert cursor is not None  # noqa: S101 - for mypy
        confirmed = delivery.confirmed()
        cursor = cursor.deliver([run_id for run_id, number in self._sent.items() if number <= confirmed])
        due = cursor.due(sweep, self.wanted, self._sent)
        try:
            if due and (stored := await self._newer(store)) is not None:
                self.log.info("Another triggerer has reported runs meanwhile. Its cursor is used.")
                cursor = stored
                due = cursor.due(sweep, self.wanted, self._sent)
            due, late = _portion(due, cursor)
            cursor = cursor.announce(due).advance(sweep, self.wanted, late)
            member.cursor, member.behind = await self._write(store, cursor, bool(due)), bool(due)
            member.late = late < math.inf
        except Exception:
            # Nothing is reported, so the next sweep shows the same runs again.
            self.log.warning("Airflow cannot store the trigger's cursor. Events are late.", exc_info=True)
            return []
        for each in due:
            self._sent[each.run.result.run_id] = delivery.number
        while len(self._sent) > SENT:
            self._sent.pop(next(iter(self._sent)))
        return due

    def _begin(self, delivery: Delivery) -> bool:
        """Create the first cursor, if the sweep was read for a trigger without one."""
        if not delivery.sweep.fresh:
            return False
        self._member.cursor = self._first_cursor(delivery)
        return True

    def _first_cursor(self, delivery: Delivery) -> Cursor:
        return begin(delivery.sweep, self.wanted, self._member.since)

    async def _write(self, store: CursorStore, cursor: Cursor, announcing: bool) -> Cursor:
        """Store the cursor, unless it has only moved a little."""
        before, at = self._written
        now = time.monotonic()
        same = before is not None and (before.delivered.keys(), before.announced.keys()) == (
            cursor.delivered.keys(),
            cursor.announced.keys(),
        )
        if same and not announcing and now - at < WRITE_EVERY:
            return cursor
        self._writes += 1
        cursor = replace(cursor, stamp=f"{self._stamp}:{self._writes}")
        await store.write(cursor.to_json())
        self._written = (cursor, now)
        return cursor

    async def _newer(self, store: CursorStore) -> Cursor | None:
        """The stored cursor, if another triggerer has written it."""
        stored = self._parse(await store.read())
        before = self._written[0]
        if stored is None or before is None or stored.stamp == before.stamp:
            return None
        self._written = (stored, time.monotonic())
        return stored

    async def _read_patiently(self, store: CursorStore) -> Cursor | None:
        while True:
            try:
                stored = self._parse(await store.read())
            except Exception:
                self.log.warning("Airflow cannot read the trigger's cursor. Retrying.", exc_info=True)
                await asyncio.sleep(READ_AGAIN)
            else:
                self._written = (stored, 0.0)
                return stored

    def _parse(self, stored: Any) -> Cursor | None:
        if stored is None:
            return None
        try:
            return Cursor.from_json(stored)
        except CursorUnreadable as error:
            self.log.warning("The stored cursor has an %s. The trigger reports what ends from now on.", error)
            return None

    def _name(self) -> str:
        """A hash of the arguments: triggers with different filters have different cursors."""
        arguments = json.dumps(self.serialize(), sort_keys=True)
        return hashlib.sha256(arguments.encode()).hexdigest()[:16]


class TesterArmyRunFinished(RunFinished):
    """Fires for each TesterArmy run that ends, whoever started it.

    Every filter accepts a value or a list of alternatives; None accepts everything.

    :param project_id: str, list or None; the run's project.
    :param group_id: str, list or None; the group that started the run.
    :param test_id: str, list or None; the run's test.
    :param source: str, list or None; what started the run, e.g. ``scheduled``, ``github_app``, ``api``.
    :param verdict: str, list or None; ``passed``, ``failed``, ``errored``, ``cancelled``, ``skipped``, ``unknown``.
    :param environment: str, list or None; the name or the id of the environment.
    :param since: datetime, ISO 8601 text or None; at the first start, also reports runs that were created since
        then. None reports what ends from the first start on.
    :param poll_interval: float; seconds between two requests, 1 to 3600. The shortest one of a connection applies.
    :param testerarmy_conn_id: str; the Airflow connection.
    :raises ValueError: when the DAG file is parsed, for an invalid argument.
    """

    hook = "airflow_provider_testerarmy.hooks.testerarmy.TesterArmyHook"
    vendor = "TesterArmy"

    def __init__(
        self,
        *,
        project_id: Values = None,
        group_id: Values = None,
        test_id: Values = None,
        source: Values = None,
        verdict: Values = None,
        environment: Values = None,
        since: datetime | str | None = None,
        poll_interval: float = 10.0,
        testerarmy_conn_id: str = "testerarmy_default",
    ) -> None:
        wanted = EventFilter(
            project_id=_ids(project_id, "project_id"),
            group_id=_ids(group_id, "group_id"),
            test_id=_ids(test_id, "test_id"),
            source=_texts(source, "source"),
            environment=_texts(environment, "environment"),
            verdict=_verdicts(verdict),
        )
        self.since = _time(since)
        super().__init__(
            testerarmy_conn_id, wanted, poll_interval, self.since.timestamp() if self.since else None
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The import path and the arguments."""
        wanted = self.wanted
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "project_id": list(wanted.project_id),
            "group_id": list(wanted.group_id),
            "test_id": list(wanted.test_id),
            "source": list(wanted.source),
            "verdict": list(wanted.verdict),
            "environment": list(wanted.environment),
            "since": self.since.isoformat() if self.since else None,
            "poll_interval": self.poll_interval,
            "testerarmy_conn_id": self.conn_id,
        }

    @classmethod
    def _conn_id_of(cls, kwargs: dict[str, Any]) -> str:
        return str(kwargs.get("testerarmy_conn_id", "testerarmy_default"))


class DocketRunFinished(RunFinished):
    """Fires for each of these Docket runs that ends.

    Docket's API has no list of runs, so this trigger cannot find runs by itself.

    :param run_ids: list of int; the runs to watch.
    :param test_id: int, list or None; reports only runs of these blueprints.
    :param verdict: str, list or None; reports only runs with these outcomes.
    :param poll_interval: float; seconds between two requests for a run, 1 to 3600.
    :param docket_conn_id: str; the Airflow connection.
    :raises ValueError: when the DAG file is parsed, for an invalid argument.
    """

    hook = "airflow_provider_testerarmy.hooks.docket.DocketHook"
    vendor = "Docket"

    def __init__(
        self,
        *,
        run_ids: Sequence[int | str],
        test_id: int | str | Sequence[int | str] | None = None,
        verdict: Values = None,
        poll_interval: float = 10.0,
        docket_conn_id: str = "docket_default",
    ) -> None:
        if isinstance(run_ids, str) or not run_ids:
            raise ValueError("run_ids must list the runs to watch: Docket's API cannot list runs.")
        if len(run_ids) > ANNOUNCED:
            raise ValueError(f"run_ids must have at most {ANNOUNCED} runs, not {len(run_ids)}.")
        self.run_ids = sorted({check_docket_id(run_id, "run_ids") for run_id in run_ids})
        given = [test_id] if isinstance(test_id, int | str) else test_id or ()
        tests = tuple(str(check_docket_id(each, "test_id")) for each in given)
        wanted = EventFilter(test_id=tests, verdict=_verdicts(verdict))
        super().__init__(docket_conn_id, wanted, poll_interval, None)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The import path and the arguments."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "run_ids": self.run_ids,
            "test_id": list(self.wanted.test_id),
            "verdict": list(self.wanted.verdict),
            "poll_interval": self.poll_interval,
            "docket_conn_id": self.conn_id,
        }

    async def _read_patiently(self, store: CursorStore) -> Cursor:
        # The ids are known from the start, so that a run that has ended by now is reported as well.
        stored = await super()._read_patiently(store)
        return stored or Cursor(0.0, open=dict.fromkeys(self.run_ids, 0.0))

    @classmethod
    def _conn_id_of(cls, kwargs: dict[str, Any]) -> str:
        return str(kwargs.get("docket_conn_id", "docket_default"))


def _portion(due: list[Due], cursor: Cursor) -> tuple[list[Due], float]:
    """What the cursor has room for, and the creation time of the first run that has to wait."""
    # A run that was announced before a restart has its room already.
    again = [each for each in due if each.run.result.run_id in cursor.announced]
    new = [each for each in due if each.run.result.run_id not in cursor.announced]
    room = max(0, ANNOUNCED - len(cursor.announced))
    if len(new) <= room:
        return again + new, math.inf
    # In the order of their creation, so that the cursor can forget those that are delivered.
    new.sort(key=lambda each: each.created)
    return again + new[:room], new[room].created


def _list(given: Any, name: str) -> list[str]:
    values = [] if given is None else [given] if isinstance(given, str) else list(given)
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{name} must be a text or a list of texts, not {value!r}.")
    return sorted({value.strip() for value in values})


def _texts(given: Any, name: str) -> tuple[str, ...]:
    return tuple(sorted({value.casefold() for value in _list(given, name)}))


def _ids(given: Any, name: str) -> tuple[str, ...]:
    return tuple(check_id(value, name) for value in _list(given, name))


def _verdicts(given: Any) -> tuple[str, ...]:
    values = _texts(given, "verdict")
    if unknown := [value for value in values if value not in list(Outcome)]:
        raise ValueError(f"verdict must be one of {', '.join(Outcome)}, not {unknown[0]!r}.")
    return values


def _time(given: datetime | str | None) -> datetime | None:
    try:
        value = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError:
        raise ValueError(f"since must be a time such as 2026-01-31T06:00:00Z, not {given!r}.") from None
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
