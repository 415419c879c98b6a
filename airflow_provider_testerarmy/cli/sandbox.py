"""The command `sandbox`: starts the local stand-in for both services."""

from __future__ import annotations

from argparse import Namespace
from pkgutil import resolve_name

from airflow_provider_testerarmy.cli.arguments import SANDBOX_OPTIONS


def sandbox_command(options: Namespace) -> None:
    """Start the sandbox, and serve until Ctrl-C."""
    words: list[str] = []
    for (flag, *_), _ in SANDBOX_OPTIONS:
        given = getattr(options, flag.removeprefix("--").replace("-", "_"))
        for value in given if isinstance(given, list) else [given]:
            if value is not None:
                words += [f"{flag}={value}"]
    # By name: the provider works without the sandbox, whose packages are optional.
    resolve_name("airflow_provider_testerarmy.sandbox.__main__:main")(words)
