"""A small process that outlives a killed test run and ends the processes that the run has started.

It reads session ids from a pipe: `+ID` for a session that was started, `-ID` for one that was stopped normally.
The operating system closes the pipe when the test run ends, even after SIGKILL.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.rig import procfs

_REPOSITORY = Path(__file__).resolve().parents[2]


class Reaper:
    """The writing end of the pipe, held by the rig. The first session starts the process."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[bytes] | None = None

    def watch(self, session: int) -> None:
        """End this session if this process dies first."""
        self._send(f"+{session}\n")

    def forget(self, session: int) -> None:
        """Forget this session, because it was stopped normally."""
        self._send(f"-{session}\n")

    def _send(self, line: str) -> None:
        if self._popen is None or self._popen.poll() is not None:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "tests.rig.reaper"],
                cwd=_REPOSITORY,
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        if self._popen.stdin is None:
            raise RuntimeError("the reaper has no pipe")
        self._popen.stdin.write(line.encode())
        self._popen.stdin.flush()


def main() -> None:
    """Read until the pipe ends, then kill all remaining sessions."""
    sessions: set[int] = set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        (sessions.add if line.startswith("+") else sessions.discard)(int(line[1:]))
    for info in procfs.family(sessions):
        _kill(info.pid)
    for session in sessions:  # for systems without /proc
        _kill(-session)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # gone, or no longer ours


if __name__ == "__main__":
    main()
