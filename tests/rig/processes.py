"""Child processes of the rig. Each has its own session, and none outlives the rig."""

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tests.rig import procfs
from tests.rig.reaper import Reaper
from tests.rig.waiting import TimedOutError, eventually

Scope = Literal["process", "group", "session"]

_reaper = Reaper()


class ProcessDiedError(RuntimeError):
    """A process of the rig ended unexpectedly. The message contains the end of its log."""


class ManagedProcess:
    """One long-running command that can be killed, paused and restarted.

    Args:
        name: the name of the process in messages.
        command: the program and its arguments.
        env: its whole environment.
        log_path: the file for its output. A restart appends to it.
    """

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log_path: Path) -> None:
        self.name = name
        self.command = list(command)
        self.env = dict(env)
        self.log_path = log_path
        self.started_at = datetime.now(UTC)
        self._popen: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.running else f"ended with {self.returncode}"
        return f"<ManagedProcess {self.name}: {state}>"

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group and session."""
        if self._popen is None:
            raise ProcessDiedError(f"{self.name} was never started")
        return self._popen.pid

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._popen is not None

    @property
    def running(self) -> bool:
        """Whether the main process runs. A paused one counts as running."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs or before it was started."""
        return self._popen.poll() if self._popen else None

    def start(self) -> None:
        """Start the command and return at once. The process does not outlive this Python process."""
        if self.running:
            raise RuntimeError(f"{self.name} is already running")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.started_at = datetime.now(UTC)
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _reaper.watch(self._popen.pid)

    def kill(self, sig: int = signal.SIGKILL, *, scope: Scope = "group") -> None:
        """Send a signal. After SIGKILL, wait until the process has ended.

        Args:
            sig: the signal.
            scope: "process" is only the main process. "group" adds its helpers (a triggerer's runner, the local
                executor's supervisors). "session" adds the tasks that they run.
        """
        if scope == "session":
            _signal_all(procfs.family({self.pid}), sig)
        elif scope == "group":
            _signal_group(self.pid, sig)
        elif self._popen is not None:
            self._popen.send_signal(sig)
        if sig == signal.SIGKILL:
            self.wait(10)

    def wait(self, timeout: float) -> int:
        """Wait until the main process has ended and return its exit status."""
        if self._popen is None:
            raise ProcessDiedError(f"{self.name} was never started")
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimedOutError(f"{self.name} (pid {self.pid}) still runs after {timeout:g} s") from None

    def pause(self) -> None:
        """Freeze the process and its helpers (SIGSTOP)."""
        self.kill(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a paused process (SIGCONT)."""
        self.kill(signal.SIGCONT)

    def restart(self, *, grace: float = 10) -> None:
        """Stop the process if it runs, and start it again, without waiting until it is ready."""
        stop_all([self], grace=grace)
        self.start()

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of the log."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def check_running(self) -> None:
        """Raise `ProcessDiedError` with the end of the log if the process has ended."""
        if not self.running:
            raise ProcessDiedError(
                f"{self.name} ended with status {self.returncode}; end of {self.log_path}:\n{self.log_tail()}"
            )


def stop_all(processes: Iterable[ManagedProcess], *, grace: float = 10) -> None:
    """Stop processes and all their descendants: SIGTERM, then SIGKILL after `grace` seconds."""
    started = [process for process in processes if process.started]
    family = procfs.family({process.pid for process in started})
    for process in started:
        # The main process stops its helpers. Signalling them at the same time can block it.
        process.kill(signal.SIGTERM, scope="process")
        process.resume()  # a paused process handles SIGTERM only after SIGCONT
    try:
        eventually(lambda: not any(p.running for p in started), grace, "stop", interval=0.05)
    except TimedOutError:
        for process in started:
            _signal_group(process.pid, signal.SIGKILL)
    family |= procfs.family({process.pid for process in started})
    _signal_all(family, signal.SIGKILL)
    for process in started:
        process.wait(10)
        _reaper.forget(process.pid)
    # SIGKILL returns at once. On a busy machine, an orphan is still listed for a moment.
    eventually(lambda: not any(_is_alive(member) for member in family), 10, "the end of all descendants")


def _signal_group(group: int, sig: int) -> None:
    try:
        os.killpg(group, sig)
    except ProcessLookupError:
        return  # the whole group has already ended


def _signal_all(members: Iterable[procfs.ProcessInfo], sig: int) -> None:
    for member in members:
        if not _is_alive(member):
            continue
        try:
            os.kill(member.pid, sig)
        except ProcessLookupError:
            continue  # it ended after the check


def _is_alive(member: procfs.ProcessInfo) -> bool:
    now = procfs.process(member.pid)
    return now is not None and now.started == member.started and now.alive
