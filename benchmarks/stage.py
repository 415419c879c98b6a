"""The two processes of a measurement: the server and a contender, steered by lines of JSON."""

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
#: What the benchmark leaves behind: logs, profiles and results.
OUTPUT = REPOSITORY / ".local" / "benchmarks"
_CHUNK = 65536
_START_SECONDS = 60.0


class OverdueError(Exception):
    """A process did not answer in time."""


class DiedError(Exception):
    """A process has ended before it answered; the message has the end of its log."""


class Steered:
    """A process that takes orders on its standard input and answers on a pipe, one line of JSON each.

    :param command: the command after the interpreter.
    :param log: where everything else goes that it writes.
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
        """Give an order; some are answered later, by :meth:`answer`."""
        stdin = self.process.stdin
        if stdin is None:
            raise DiedError("no standard input")
        try:
            stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise DiedError(self._obituary()) from None

    def answer(self, seconds: float) -> dict[str, Any]:
        """The next answer.

        :raises OverdueError: when it does not come within so many seconds.
        :raises DiedError: when the process has ended.
        """
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise OverdueError(f"no answer within {seconds:g} s")
                chunk = os.read(self._answers.fileno(), _CHUNK)
                if not chunk:
                    raise DiedError(self._obituary())
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the process, and wait for that."""
        self.process.kill()
        self.process.wait()
        self._answers.close()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _obituary(self) -> str:
        tail = self._log.read_text(errors="replace")[-2000:]
        return f"ended with status {self.process.wait()}; the end of {self._log}:\n{tail}"


class Stage:
    """Starts servers and contenders, all of which trust one authority.

    :param directory: where certificates, logs and the contenders' AIRFLOW_HOME go.
    """

    def __init__(self, directory: Path = OUTPUT) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._certificates: Certificates = certificate.make(directory)

    @contextmanager
    def server(self, vendor: str, count: int) -> Iterator[tuple[Steered, int]]:
        """A server that answers as a vendor about so many runs, and its port."""
        command = ["-m", "benchmarks.server", "--vendor", vendor, "--count", str(count)]
        command += ["--chain", str(self._certificates.chain), "--key", str(self._certificates.key)]
        server = Steered(command, clean_environment(), self._log(f"server-{vendor}-{count}"))
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
    ) -> Iterator[Steered]:
        """A contender's process, its triggers connected to the server at this port."""
        command = ["-m", "benchmarks.contender", contender.name, "--count", str(count)]
        command += ["--interval", str(interval), "--spread", str(spread)]
        command += ["--profile", str(profile)] if profile else []
        environment = (
            clean_environment()
            | self._certificates.environment()
            | contender.environment(port)
            | airflow_environment(self.directory / "airflow")
        )
        process = Steered(command, environment, self._log(f"{contender.name}-{count}"))
        try:
            yield process
        finally:
            process.stop()

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"


def clean_environment() -> dict[str, str]:
    """What a process needs of the caller's environment: no proxies, and nothing that changes Airflow or Python."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"NO_PROXY": "*"}


def airflow_environment(home: Path) -> dict[str, str]:
    """What makes Airflow's code run without its database, as in the process that runs triggers."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "AIRFLOW_HOME": str(home),
        "_AIRFLOW_PROCESS_CONTEXT": "client",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # A triggerer writes log lines to files; here none are written, which spares those who write many.
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "SCARF_ANALYTICS": "false",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
