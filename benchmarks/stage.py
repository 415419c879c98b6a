"""The two processes of a measurement, server and contender, which take commands as lines of JSON."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks.contenders import Contender
from benchmarks.server import certificate
from benchmarks.server.certificate import Certificates

REPOSITORY = Path(__file__).resolve().parents[1]
#: The output directory for logs, profiles and results.
OUTPUT = REPOSITORY / ".local" / "benchmarks"
_CHUNK = 65536
_START_SECONDS = 60.0


class OverdueError(Exception):
    """A process did not reply in time."""


class DiedError(Exception):
    """A process ended before it replied; the message has the end of its log."""


class WorkerProcess:
    """A process that takes commands on standard input and replies on a pipe, one line of JSON each.

    :param command: the arguments of the Python interpreter.
    :param log: the file for the process's standard output and standard error.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        self._answers: BinaryIO = os.fdopen(reading, "rb", buffering=0)
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env={**environment, "BENCHMARK_ANSWERS": str(writing)},
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
                pass_fds=[writing],
                cwd=REPOSITORY,
            )
        os.close(writing)
        self._buffer = b""

    def order(self, do: str, **what: Any) -> None:
        """Send a command; :meth:`answer` returns its reply, if it has one."""
        stdin = self.process.stdin
        if stdin is None:
            raise DiedError("no standard input")
        try:
            stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise DiedError(self._exit_message()) from None

    def answer(self, seconds: float) -> dict[str, Any]:
        """Wait for the next reply.

        :raises OverdueError: there is no reply within this many seconds.
        :raises DiedError: the process has ended.
        """
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise OverdueError(f"no answer within {seconds:g} s")
                chunk = os.read(self._answers.fileno(), _CHUNK)
                if not chunk:
                    raise DiedError(self._exit_message())
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """Kill the process, and wait for its end."""
        self.process.kill()
        self.process.wait()
        self._answers.close()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _exit_message(self) -> str:
        tail = self._log.read_text(errors="replace")[-2000:]
        return f"ended with status {self.process.wait()}; the end of {self._log}:\n{tail}"


class Stage:
    """Starts servers and contenders, which share one certificate authority.

    :param directory: the directory for certificates, logs and the contenders' AIRFLOW_HOME.
    """

    def __init__(self, directory: Path = OUTPUT) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.certificates: Certificates = certificate.make(directory)

    @contextmanager
    def server(self, vendor: str, count: int) -> Iterator[tuple[WorkerProcess, int]]:
        """Start a server that simulates a vendor with this many runs; yields it and its port."""
        command = ["-m", "benchmarks.server", "--vendor", vendor, "--count", str(count)]
        command += ["--chain", str(self.certificates.chain), "--key", str(self.certificates.key)]
        server = WorkerProcess(command, clean_environment(), self._log(f"server-{vendor}-{count}"))
        try:
            yield server, int(server.answer(_START_SECONDS)["port"])
        finally:
            server.stop()

    @contextmanager
    def contender(
        self,
        contender: Contender,
        count: int,
        port: int,
        *,
        interval: float,
        spread: float,
        profile: Path | None = None,
    ) -> Iterator[WorkerProcess]:
        """Start a contender whose triggers connect to the server at this port."""
        command = ["-m", "benchmarks.contender", contender.name, "--count", str(count)]
        command += ["--interval", str(interval), "--spread", str(spread)]
        command += ["--profile", str(profile)] if profile else []
        environment = (
            clean_environment()
            | self.certificates.environment()
            | contender.environment(port)
            | airflow_environment(self.directory / "airflow")
        )
        process = WorkerProcess(command, environment, self._log(f"{contender.name}-{count}"))
        try:
            yield process
        finally:
            process.stop()

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"


def clean_environment() -> dict[str, str]:
    """The part of the environment that a process needs, without proxies and settings of Airflow or Python."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"NO_PROXY": "*"}


def airflow_environment(home: Path) -> dict[str, str]:
    """Settings that let Airflow's code run without a database, as in the process that runs triggers."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "AIRFLOW_HOME": str(home),
        "_AIRFLOW_PROCESS_CONTEXT": "client",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # A triggerer writes logs to files. Here nothing is logged, which favours contenders that log a lot.
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "SCARF_ANALYTICS": "false",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
