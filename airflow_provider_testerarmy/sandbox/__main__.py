"""The command line: `python -m airflow_provider_testerarmy.sandbox --port 8123`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import TYPE_CHECKING

try:
    from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
    from airflow_provider_testerarmy.sandbox.docket import api as docket
    from airflow_provider_testerarmy.sandbox.server import create_server, listen
    from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
    from airflow_provider_testerarmy.sandbox.testerarmy.api import PREFIX
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == __package__.partition(".")[0]:
        raise
    # sys.exit() with a text prints it to stderr and exits with code 1.
    sys.exit(
        f"The sandbox needs {error.name}, which is not installed. "
        'Run: pip install "airflow-provider-testerarmy[sandbox]"'
    )

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    options = argparse.ArgumentParser(
        prog="python -m airflow_provider_testerarmy.sandbox",
        description="A local stand-in for the APIs of TesterArmy (/api/v1) and Docket (/docket). It runs no tests.",
    )
    add = options.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (default %(default)s)")
    add("--port", type=int, default=0, help="the port to listen on; 0 (default) picks a free one")
    add("--speed", type=float, default=1.0, help="sandbox seconds per real second (default %(default)s)")
    add("--manual-clock", action="store_true", help="stop the clock; only the control API advances it")
    add("--clock-skew", type=float, default=0.0, metavar="SECONDS", help="how far the clock runs ahead")
    add("--api-key", action="append", metavar="KEY", help=f"an API key to accept (default {DEFAULT_API_KEY})")
    add("--latency", type=float, default=0.0, metavar="SECONDS", help="minimum duration of each request")
    add("--certfile", help="a certificate; turns on TLS")
    add("--keyfile", help="the private key of the certificate")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    options = parser().parse_args(arguments)
    clock = SandboxClock(options.speed, manual=options.manual_clock, skew=options.clock_skew)
    keys = options.api_key or [DEFAULT_API_KEY]
    sandbox = Sandbox(clock, api_keys=keys, latency=options.latency)
    scheme = "https" if options.certfile else "http"
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    with listen(options.host, options.port) as listener:
        host = f"[{options.host}]" if ":" in options.host else options.host
        origin = f"{scheme}://{host}:{listener.getsockname()[1]}"

        def announce() -> None:
            line = f"Sandbox ready: TesterArmy at {origin}{PREFIX}, Docket at {origin}{docket.PREFIX}"
            print(line, flush=True)  # noqa: T201

        server = create_server(sandbox, announce, certfile=options.certfile, keyfile=options.keyfile)
        asyncio.run(server.serve(sockets=[listener]))


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
