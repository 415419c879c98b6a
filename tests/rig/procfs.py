"""Reads the process table of Linux from /proc."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessInfo:
    """One row of the process table. `started` distinguishes two processes that had the same pid."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    started: int

    @property
    def alive(self) -> bool:
        """Whether the process still runs. A zombie does not."""
        return self.state not in {"Z", "X"}

    @property
    def command_line(self) -> str:
        """The command line, or the title that the process has set; empty if it has ended."""
        try:
            raw = (PROC / str(self.pid) / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def process(pid: int) -> ProcessInfo | None:
    """Return the row of process `pid`, or None if there is no such process."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the name in parentheses, which may contain spaces and parentheses (see `man 5 proc`).
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
    """Yield every process of the machine; none on a system without /proc."""
    if not sys.platform.startswith("linux"):
        return
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (info := process(int(entry.name))):
            yield info


def family(sessions: set[int]) -> set[ProcessInfo]:
    """Return the living members of these sessions and all their descendants.

    Airflow starts each task in a new process group, but in the same session. A shell command of a task starts a new
    session, but is still a descendant.
    """
    table = [info for info in processes() if info.alive]
    members = {info for info in table if info.session in sessions}
    while True:
        parents = {info.pid for info in members}
        found = {info for info in table if info.parent in parents} - members
        if not found:
            return members
        members |= found
