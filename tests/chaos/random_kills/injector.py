"""Executes planned events on what runs at that moment, and records which tasks they affected."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from airflow_provider_testerarmy.sandbox.state import Sandbox
from tests.chaos.random_kills.airflow_tables import AirflowTables, key_of
from tests.chaos.random_kills.events import FAULTS, NOTHING, Draw, Event, Key
from tests.chaos.random_kills.plan import DAG_ID
from tests.rig import procfs
from tests.rig.airflow import LocalAirflow
from tests.rig.processes import ManagedProcess, Scope
from tests.rig.rest import RestError, UnavailableError
from tests.rig.waiting import TimedOutError, eventually

log = logging.getLogger(__name__)

#: The rig's process names, by their names in kills.
NAMES: Final = {
    "the triggerer": "triggerer",
    "the scheduler": "scheduler",
    "the API server": "api-server",
    "a Celery worker": "worker",
}
#: Minimum age in seconds of a process that is killed.
MINIMUM_AGE: Final = 20.0
#: Seconds that a killed process needs to start again; its kill lasts that long.
START_SECONDS: Final = 20.0
VICTIM_SECONDS: Final = 20.0
#: Seconds between two requests of a user while Airflow is down, and for how long they continue.
USER_PAUSE: Final = 2.0
USER_SECONDS: Final = 60.0


class Victim(NamedTuple):
    """A task at work: the process that runs the operator, and its supervisor."""

    key: Key
    task: procfs.ProcessInfo
    supervisor: procfs.ProcessInfo | None


class Injector:
    """Executes kills, user actions and faults."""

    def __init__(self, airflow: LocalAirflow, tables: AirflowTables, sandbox: Sandbox) -> None:
        self._airflow, self._tables, self._sandbox = airflow, tables, sandbox
        self.events: list[Event] = []
        self._timers: list[threading.Timer] = []

    def do(self, draw: Draw) -> Event:
        """Execute a planned event."""
        acts: dict[str, Callable[[Draw, Event], None]] = {
            "kill": self._kill,
            "user": self._act_as_user,
            "fault": self._add_fault,
        }
        event = self._begin(draw.kind, draw.name)
        acts[draw.kind](draw, event)
        event.until = max(event.until, time.time())
        log.info("%s", event)
        return event

    def restore(self) -> None:
        """Resume everything that is paused, and remove unused faults."""
        for timer in self._timers:
            timer.join()
        for process in self._airflow.processes.values():
            process.resume()
        self._sandbox.faults.clear()

    def _begin(self, kind: Any, name: str) -> Event:
        now = time.time()
        event = Event(len(self.events) + 1, kind, name, now, now)
        self.events.append(event)
        return event

    # kills

    def _kill(self, draw: Draw, event: Event) -> None:
        how, _, whom = draw.name.partition(" of ")
        if whom in NAMES:
            process = self._mature(NAMES[whom], draw.choice)
            if process is not None:
                self._kill_process(process, how, draw, event)
                return
            event.detail = f"(in place of {draw.name})"
            how, whom = "SIGKILL", "a task's process"
            event.name = f"{how} of {whom}"
        self._kill_task(how, whom, draw, event)

    def _mature(self, kind: str, choice: float) -> ManagedProcess | None:
        now = datetime.now(UTC)
        found = [
            process
            for name, process in sorted(self._airflow.processes.items())
            if name.startswith(kind)
            and process.running
            and (now - process.started_at).total_seconds() > MINIMUM_AGE
        ]
        return found[int(choice * len(found))] if found else None

    def _kill_process(self, process: ManagedProcess, how: str, draw: Draw, event: Event) -> None:
        scope: Scope = draw.scope  # type: ignore[assignment]
        if process.name.startswith("worker"):
            scope = "session"
        elif process.name.startswith(("triggerer", "api")):
            scope = "group"
        event.affected = self._under(process)
        event.at = time.time()
        if how == "SIGSTOP":
            stopped = [info for info in procfs.family({process.pid}) if _is_meant(info, process.pid, scope)]
            self._pause(stopped, draw.seconds)
            event.detail = f"{process.name} for {draw.seconds:.0f} s ({scope})"
            event.until = event.at + draw.seconds
            return
        process.kill(signal.SIGKILL, scope=scope)
        process.start()
        event.detail = f"{process.name} ({scope})"
        event.until = event.at + START_SECONDS

    def _under(self, process: ManagedProcess) -> tuple[Key, ...]:
        """The task instances that depend on a process now."""
        if process.name.startswith("triggerer"):
            return tuple(key_of(row) for row in self._tables.instances(("deferred",)))
        active = ("queued", "running", "restarting", "scheduled")
        if not process.name.startswith("worker"):
            return tuple(key_of(row) for row in self._tables.instances(active))
        members = {info.pid for info in procfs.family({process.pid})}
        queued = [key_of(row) for row in self._tables.instances(("queued",))]
        return tuple(victim.key for victim in self._victims() if victim.task.pid in members) + tuple(queued)

    def _kill_task(self, how: str, whom: str, draw: Draw, event: Event) -> None:
        try:
            found = eventually(self._victims, VICTIM_SECONDS, "a task at work")
        except TimedOutError:
            event.name, event.detail = NOTHING, event.name
            return
        victim = found[int(draw.choice * len(found))]
        event.affected, event.at = (victim.key,), time.time()
        chosen: dict[str, list[procfs.ProcessInfo | None]] = {
            "a task's process": [victim.task],
            "a supervisor": [victim.supervisor],
            "a task and its supervisor": [victim.supervisor, victim.task],
        }
        infos = [info for info in chosen[whom] if info is not None] or [victim.task]
        if how == "SIGSTOP":
            self._pause(infos, draw.seconds)
            event.detail += f"for {draw.seconds:.0f} s"
            event.until = event.at + draw.seconds
            return
        for info in infos:
            _signal(info, signal.SIGKILL)

    def _victims(self) -> list[Victim]:
        running = {
            f"airflow worker -- {row['id']}": key_of(row) for row in self._tables.instances(("running",))
        }
        table = {info.pid: info for info in procfs.processes() if info.alive}
        titles = {pid: info.command_line for pid, info in table.items()}
        ours = {process.pid for process in self._airflow.processes.values()}
        found = [
            Victim(running[titles[pid]], info, table.get(info.parent))
            for pid, info in table.items()
            if titles[pid] in running and titles.get(info.parent) != titles[pid]
        ]
        # The parent of an orphan is process 1, or a process of the rig.
        usual = [v._replace(supervisor=None) if _is_orphan(v.supervisor, ours) else v for v in found]
        return sorted(usual, key=lambda victim: victim.key)

    def _pause(self, infos: list[procfs.ProcessInfo], seconds: float) -> None:
        for info in infos:
            _signal(info, signal.SIGSTOP)

        def resume() -> None:
            for info in infos:
                _signal(info, signal.SIGCONT)

        timer = threading.Timer(seconds, resume)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    # users

    def _act_as_user(self, draw: Draw, event: Event) -> None:
        waiting = ("running", "deferred", "queued", "up_for_retry")
        states = (*waiting, "success", "failed") if draw.name == "user clears" else waiting
        found = self._tables.instances(states)
        if not found:
            event.name, event.detail = NOTHING, event.name
            return
        self.act(event, key_of(found[int(draw.choice * len(found))]))

    def mark(self, key: Key, state: str) -> None:
        """Mark a task instance as a user does."""
        event = self._begin("user", f"user marks {state}")
        self.act(event, key)
        event.until = max(event.until, time.time())
        log.info("%s", event)

    def act(self, event: Event, key: Key) -> None:
        """Send a user's request, again while Airflow is down; each request is an event of its own."""
        run_id, task_id, index = key
        deadline = time.monotonic() + USER_SECONDS
        while True:
            event.affected, event.at = (key,), time.time()
            try:
                if event.name == "user clears":
                    self._airflow.clear_task(DAG_ID, run_id, task_id, index)
                else:
                    self._airflow.set_task_state(
                        DAG_ID, run_id, task_id, event.name.rpartition(" ")[2], index
                    )
            except UnavailableError:
                # Airflow may have executed it all the same.
                event.certain, event.until = False, time.time()
                if time.monotonic() > deadline:
                    return
                time.sleep(USER_PAUSE)
                event = self._begin(event.kind, event.name)
            except RestError as error:
                event.certain, event.detail = False, f"(refused: {str(error)[-160:]})"
                return
            else:
                event.until = time.time()
                return

    # faults

    def _add_fault(self, draw: Draw, event: Event) -> None:
        kind, options, _ = FAULTS[draw.name]
        seconds = {"seconds": min(draw.seconds, 8.0)} if kind.startswith("delay") else {}
        self._sandbox.faults.add(kind, draw.match, times=draw.times, **options, **seconds)  # type: ignore[arg-type]
        event.detail = f"{draw.match} x{draw.times}"


def _is_meant(info: procfs.ProcessInfo, pid: int, scope: Scope) -> bool:
    """Whether a signal of that scope goes to this process."""
    return scope == "session" or (info.pid == pid if scope == "process" else info.group == pid)


def _is_orphan(supervisor: procfs.ProcessInfo | None, ours: set[int]) -> bool:
    return supervisor is None or supervisor.pid == 1 or supervisor.pid in ours


def _signal(info: procfs.ProcessInfo, sig: signal.Signals) -> None:
    """Send a signal, unless the process has ended and its pid is reused."""
    now = procfs.process(info.pid)
    if now is not None and now.started == info.started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(info.pid, sig)
