"""A small process that outlives a killed test run just long enough to end what that run had started.

It reads session ids from a pipe: `+ID` when a session was started, `-ID` when it was stopped in order. The
pipe ends when the process that holds its other end does, however that came about.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.rig import procfs

_REPOSITORY = Path(__file__).resolve().parents[2]


class Reaper:
    """The end of the pipe that the rig holds; the process is started with the first session."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[bytes] | None = None

    def watch(self, session: int) -> None:
        """End this session should we die before it."""
        self._tell(f"+{session}\n")

    def forget(self, session: int) -> None:
        """Leave this session alone: it was stopped in order."""
        self._tell(f"-{session}\n")

    def _tell(self, line: str) -> None:
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
    """Read until the pipe ends, then kill what is left."""
    sessions: set[int] = set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        (sessions.add if line.startswith("+") else sessions.discard)(int(line[1:]))
    for info in procfs.family(sessions):
        _kill(info.pid)
    for session in sessions:  # where there is no /proc
        _kill(-session)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # gone, or no longer ours


if __name__ == "__main__":
    main()
