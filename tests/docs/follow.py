"""Does what a page of the documentation says, from top to bottom, as a reader with a terminal would.

    python follow.py PAGE

Called with an AIRFLOW_HOME whose database is there. Commands are run, DAG files are put where the page says, and
the sandbox, once started, runs on to the end. Nothing here needs Airflow or the repository on the path.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from blocks import blocks, why_not_run

SANDBOX = "python -m airflow_provider_testerarmy.sandbox"
PORT = "8123"
TIMEOUT = 240  # seconds that a command may take
#: The first line of a block that is a file: a comment with its path below the reader's Airflow home.
_FILE = re.compile(r"^# ~/airflow/(\S+)$", re.MULTILINE)


def main(page: Path) -> None:
    """Follow the page, and raise when a command fails."""
    port = str(_free_port())
    with ExitStack() as running:
        for block in blocks(page):
            if block.language == "python" and (file := _FILE.match(block.text)):
                _save(file[1], block.text)
            for command in block.commands if block.language == "console" else []:
                own = command.replace(PORT, port)
                if why_not_run(command):
                    print(f"not run: {command}", flush=True)
                elif command.startswith(SANDBOX):
                    running.enter_context(_sandbox(own, int(port)))
                else:
                    _run(own)


def _save(name: str, text: str) -> None:
    path = Path(os.environ["AIRFLOW_HOME"]) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _run(command: str) -> None:
    print(f"$ {command}", flush=True)
    # In place of the shell, so that it is the command that a time-out ends.
    words = ["bash", "-c", f"exec {command}"]
    ended = subprocess.run(words, text=True, capture_output=True, check=False, timeout=TIMEOUT)
    print(ended.stdout + ended.stderr, flush=True)
    if ended.returncode:
        raise SystemExit(f"{command!r} ended with {ended.returncode}")
    # Airflow 2 ends with 0 whatever becomes of the DAG.
    if command.startswith("airflow dags test") and "Verdict: passed" not in ended.stdout + ended.stderr:
        raise SystemExit(f"{command!r} came to no good verdict")


@contextmanager
def _sandbox(command: str, port: int) -> Iterator[None]:
    words = command.split()
    process = subprocess.Popen([sys.executable, *words[1:]], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command!r} does not answer")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
