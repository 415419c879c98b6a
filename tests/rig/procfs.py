"""What Linux tells about running processes in /proc."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessInfo:
    """One line of the process table; `started` tells two processes with the same pid apart."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    started: int

    @property
    def alive(self) -> bool:
        """Whether the process still runs: a zombie does not."""
        return self.state not in {"Z", "X"}

    @property
    def command_line(self) -> str:
        """The command line, or the title the process gave itself; empty once it has gone."""
        try:
            raw = (PROC / str(self.pid) / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def process(pid: int) -> ProcessInfo | None:
    """Return what is known of process `pid`, or None when there is no such process."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in parentheses and may itself hold spaces and parentheses.
    fields = stat[stat.rindex(")") + 2 :].split()
    return ProcessInfo(
        pid=pid,
        state=fields[0],
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
    )


def processes() -> Iterator[ProcessInfo]:
    """Yield every process of the machine; none where there is no /proc."""
    if not sys.platform.startswith("linux"):
        return
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (info := process(int(entry.name))):
            yield info


def family(sessions: set[int]) -> set[ProcessInfo]:
    """Return the living members of these sessions and all their descendants.

    Airflow moves each task into a process group of its own, but not out of the session; a task's shell
    command starts a session of its own, but is still a descendant.
    """
    table = [info for info in processes() if info.alive]
    members = {info for info in table if info.session in sessions}
    while True:
        parents = {info.pid for info in members}
        found = {info for info in table if info.parent in parents} - members
        if not found:
            return members
        members |= found
