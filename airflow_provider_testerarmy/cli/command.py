"""What all commands share: an error is one line on standard error and exit code 1, never a traceback."""

from __future__ import annotations

import functools
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid
from airflow_provider_testerarmy.client.http.errors import ClientError
from airflow_provider_testerarmy.lifecycle.memory_list import MemoryRefused
from airflow_provider_testerarmy.runs.memory.declared import DeclarationInvalid
from airflow_provider_testerarmy.runs.memory.transfer import ExportInvalid
from airflow_provider_testerarmy.runs.service import ServiceFault
from airflow_provider_testerarmy.runs.text import one_line

#: What a shell returns for a program that Ctrl-C ended: 128 and the number of SIGINT.
INTERRUPTED: Final = 130
#: Errors whose text says what to do.
_SAID: Final = (MemoryRefused, CatalogueInvalid, DeclarationInvalid, ExportInvalid, ClientError, ServiceFault)


class CommandFailed(MemoryRefused):
    """A command that cannot do what it is asked; the text says why, and what to do."""


def command(action: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """A command whose errors are one line."""

    @functools.wraps(action)
    def run(options: Namespace) -> None:
        try:
            airflow_compat.without_logs(action)(options)
        except KeyboardInterrupt:
            sys.stderr.write("Interrupted.\n")
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader, such as `head`, has what it wanted. Closing the stream again would print a warning.
            sys.stderr.close()
            raise SystemExit(1) from None
        except _SAID as error:
            raise SystemExit(f"Error: {one_line(str(error), 1000)}") from error
        # A command must not end in a traceback: the database, a secrets backend or a disk may raise anything.
        except Exception as error:
            # SQLAlchemy adds the statement with its parameters.
            said = one_line(str(error).partition("[SQL")[0], 500)
            raise SystemExit(f"Error: {type(error).__name__}: {said}") from error

    return run


def confirm(question: str, options: Namespace) -> None:
    """Ask the person before a change, unless ``--yes`` is set.

    :raises CommandFailed: for any answer but yes.
    """
    if options.yes:
        return
    try:
        answer = input(f"{question} (y/N) ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandFailed("Nothing is changed. Confirm with y, or use --yes.")


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
