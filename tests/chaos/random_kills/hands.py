"""Does what was drawn, to whatever is there at that moment, and writes down what it struck."""

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
from tests.chaos.random_kills.deeds import FAULTS, Deed, Draw, Key
from tests.chaos.random_kills.eye import Eye, key_of
from tests.chaos.random_kills.plan import DAG_ID
from tests.rig import procfs
from tests.rig.airflow import LocalAirflow
from tests.rig.processes import ManagedProcess, Scope
from tests.rig.rest import RestError, UnavailableError
from tests.rig.waiting import TimedOutError, eventually

log = logging.getLogger(__name__)

#: The processes of the rig by the words of a kill.
NAMES: Final = {
    "the triggerer": "triggerer",
    "the scheduler": "scheduler",
    "the API server": "api-server",
    "a Celery worker": "worker",
}
#: Seconds that a process gets to come up before it may be killed again.
GROWN_UP: Final = 20.0
#: Seconds that it takes to come up again: so long its kill lasts.
COMES_UP: Final = 20.0
VICTIM_SECONDS: Final = 20.0
#: Seconds between two attempts of a user to reach Airflow.
INSISTS: Final = 2.0
INSISTS_FOR: Final = 60.0


class Victim(NamedTuple):
    """A task at work: the process that runs the operator, and its supervisor."""

    key: Key
    task: procfs.ProcessInfo
    supervisor: procfs.ProcessInfo | None


class Hands:
    """Kills, users and faults."""

    def __init__(self, airflow: LocalAirflow, eye: Eye, sandbox: Sandbox) -> None:
        self._airflow, self._eye, self._sandbox = airflow, eye, sandbox
        self.deeds: list[Deed] = []
        self._timers: list[threading.Timer] = []

    def do(self, draw: Draw) -> Deed:
        """Do what was drawn."""
        acts: dict[str, Callable[[Draw, Deed], None]] = {
            "kill": self._kill,
            "user": self._use,
            "fault": self._spoil,
        }
        deed = self._begin(draw.kind, draw.name)
        acts[draw.kind](draw, deed)
        deed.until = max(deed.until, time.time())
        log.info("%s", deed)
        return deed

    def calm(self) -> None:
        """Let everything that was stopped go on, and take back what was not used of the faults."""
        for timer in self._timers:
            timer.join()
        for process in self._airflow.processes.values():
            process.resume()
        self._sandbox.faults.clear()

    def _begin(self, kind: Any, name: str) -> Deed:
        now = time.time()
        deed = Deed(len(self.deeds) + 1, kind, name, now, now)
        self.deeds.append(deed)
        return deed

    # kills

    def _kill(self, draw: Draw, deed: Deed) -> None:
        how, _, whom = draw.name.partition(" of ")
        if whom in NAMES:
            process = self._grown_up(NAMES[whom], draw.lot)
            if process is not None:
                self._strike_process(process, how, draw, deed)
                return
            deed.detail = f"(in place of {draw.name})"
            how, whom = "SIGKILL", "a task's process"
            deed.name = f"{how} of {whom}"
        self._strike_task(how, whom, draw, deed)

    def _grown_up(self, kind: str, lot: float) -> ManagedProcess | None:
        now = datetime.now(UTC)
        found = [
            process
            for name, process in sorted(self._airflow.processes.items())
            if name.startswith(kind)
            and process.running
            and (now - process.started_at).total_seconds() > GROWN_UP
        ]
        return found[int(lot * len(found))] if found else None

    def _strike_process(self, process: ManagedProcess, how: str, draw: Draw, deed: Deed) -> None:
        scope: Scope = draw.scope  # type: ignore[assignment]
        if process.name.startswith("worker"):
            scope = "session"
        elif process.name.startswith(("triggerer", "api")):
            scope = "group"
        deed.hit = self._under(process)
        deed.at = time.time()
        if how == "SIGSTOP":
            stopped = [info for info in procfs.family({process.pid}) if _is_meant(info, process.pid, scope)]
            self._pause(stopped, draw.seconds)
            deed.detail = f"{process.name} for {draw.seconds:.0f} s ({scope})"
            deed.until = deed.at + draw.seconds
            return
        process.kill(signal.SIGKILL, scope=scope)
        process.start()
        deed.detail = f"{process.name} ({scope})"
        deed.until = deed.at + COMES_UP

    def _under(self, process: ManagedProcess) -> tuple[Key, ...]:
        """The task instances that a process has a part in now."""
        if process.name.startswith("triggerer"):
            return tuple(key_of(row) for row in self._eye.instances(("deferred",)))
        active = ("queued", "running", "restarting", "scheduled")
        if not process.name.startswith("worker"):
            return tuple(key_of(row) for row in self._eye.instances(active))
        members = {info.pid for info in procfs.family({process.pid})}
        queued = [key_of(row) for row in self._eye.instances(("queued",))]
        return tuple(victim.key for victim in self._victims() if victim.task.pid in members) + tuple(queued)

    def _strike_task(self, how: str, whom: str, draw: Draw, deed: Deed) -> None:
        try:
            found = eventually(self._victims, VICTIM_SECONDS, "a task at work")
        except TimedOutError:
            deed.name, deed.detail = "no task was at work", deed.name
            return
        victim = found[int(draw.lot * len(found))]
        deed.hit, deed.at = (victim.key,), time.time()
        chosen: dict[str, list[procfs.ProcessInfo | None]] = {
            "a task's process": [victim.task],
            "a supervisor": [victim.supervisor],
            "a task and its supervisor": [victim.supervisor, victim.task],
        }
        infos = [info for info in chosen[whom] if info is not None]
        if how == "SIGSTOP":
            self._pause(infos, draw.seconds)
            deed.detail += f"for {draw.seconds:.0f} s"
            deed.until = deed.at + draw.seconds
            return
        for info in infos:
            _signal(info, signal.SIGKILL)

    def _victims(self) -> list[Victim]:
        running = {f"airflow worker -- {row['id']}": key_of(row) for row in self._eye.instances(("running",))}
        table = {info.pid: info for info in procfs.processes() if info.alive}
        titles = {pid: info.command_line for pid, info in table.items()}
        ours = {process.pid for process in self._airflow.processes.values()}
        found = [
            Victim(running[titles[pid]], info, table.get(info.parent))
            for pid, info in table.items()
            if titles[pid] in running and titles.get(info.parent) != titles[pid]
        ]
        # The process of an orphan has the machine's first process for a parent, or one of the rig's.
        usual = [v._replace(supervisor=None) if _is_alien(v.supervisor, ours) else v for v in found]
        return sorted(usual, key=lambda victim: victim.key)

    def _pause(self, infos: list[procfs.ProcessInfo], seconds: float) -> None:
        for info in infos:
            _signal(info, signal.SIGSTOP)

        def go_on() -> None:
            for info in infos:
                _signal(info, signal.SIGCONT)

        timer = threading.Timer(seconds, go_on)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    # users

    def _use(self, draw: Draw, deed: Deed) -> None:
        waiting = ("running", "deferred", "queued", "up_for_retry")
        states = (*waiting, "success", "failed") if draw.name == "user clears" else waiting
        found = self._eye.instances(states)
        if not found:
            deed.detail = "found nothing"
            return
        self.act(deed, key_of(found[int(draw.lot * len(found))]))

    def mark(self, key: Key, state: str) -> None:
        """Let a user mark a task instance."""
        deed = self._begin("user", f"user marks {state}")
        self.act(deed, key)
        deed.until = max(deed.until, time.time())
        log.info("%s", deed)

    def act(self, deed: Deed, key: Key) -> None:
        """Do what a user does, and insist while Airflow cannot be reached; each request is a deed of its own."""
        run_id, task_id, index = key
        deadline = time.monotonic() + INSISTS_FOR
        while True:
            deed.hit, deed.at = (key,), time.time()
            try:
                if deed.name == "user clears":
                    self._airflow.clear_task(DAG_ID, run_id, task_id, index)
                else:
                    self._airflow.set_task_state(DAG_ID, run_id, task_id, deed.name.rpartition(" ")[2], index)
            except UnavailableError:
                # It may have been done all the same.
                deed.certain, deed.until = False, time.time()
                if time.monotonic() > deadline:
                    return
                time.sleep(INSISTS)
                deed = self._begin(deed.kind, deed.name)
            except RestError as error:
                deed.certain, deed.detail = False, f"(refused: {str(error)[-160:]})"
                return
            else:
                deed.until = time.time()
                return

    # faults

    def _spoil(self, draw: Draw, deed: Deed) -> None:
        kind, options, _ = FAULTS[draw.name]
        seconds = {"seconds": min(draw.seconds, 8.0)} if kind.startswith("delay") else {}
        self._sandbox.faults.add(kind, draw.match, times=draw.times, **options, **seconds)  # type: ignore[arg-type]
        deed.detail = f"{draw.match} x{draw.times}"


def _is_meant(info: procfs.ProcessInfo, pid: int, scope: Scope) -> bool:
    """Whether a signal of that scope goes to this process; a scheduler alone leaves its supervisors alone."""
    return scope == "session" or (info.pid == pid if scope == "process" else info.group == pid)


def _is_alien(supervisor: procfs.ProcessInfo | None, ours: set[int]) -> bool:
    return supervisor is None or supervisor.pid == 1 or supervisor.pid in ours


def _signal(info: procfs.ProcessInfo, sig: signal.Signals) -> None:
    """Send a signal, unless the process has ended and its number is another's now."""
    now = procfs.process(info.pid)
    if now is not None and now.started == info.started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(info.pid, sig)
