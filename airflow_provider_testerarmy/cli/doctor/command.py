"""The command `doctor`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.cli.command import CommandFailed, command
from airflow_provider_testerarmy.cli.doctor.connection import check_fields
from airflow_provider_testerarmy.cli.doctor.findings import Finding, State, ok, problem
from airflow_provider_testerarmy.cli.doctor.installation import check_installation
from airflow_provider_testerarmy.cli.doctor.service import Targets, check_service
from airflow_provider_testerarmy.cli.output import print_rows
from airflow_provider_testerarmy.cli.service import hook_for
from airflow_provider_testerarmy.runs.text import one_line, plural

_USUAL: Final = ("testerarmy_default", "docket_default")


@command
def doctor_command(options: Namespace) -> None:
    """Check the installation, the connections and the service, and say how to fix what is wrong."""
    targets = Targets(options.project, options.group, options.test)
    found = [("Airflow", finding) for finding in check_installation()]
    found += check_connections(options.conn_id, targets, sandbox=options.sandbox)
    rows = [
        {
            "state": str(finding.state),
            "of": name,
            "check": finding.check,
            "found": finding.found,
            "remedy": finding.remedy,
        }
        for name, finding in found
    ]
    print_rows(rows, options.output)
    problems = sum(finding.state is State.PROBLEM for _, finding in found)
    if problems:
        sys.stderr.write(f"Found {plural(problems, 'problem')}.\n")
        sys.exit(1)


def check_connections(
    given: Sequence[str] | None, targets: Targets, *, sandbox: bool
) -> list[tuple[str, Finding]]:
    """Check connections, each with its id.

    :param given: their ids; None for the default ids that exist.
    """
    found = [
        (conn_id, finding)
        for conn_id in dict.fromkeys(given or _USUAL)
        for finding in _check_connection(conn_id, targets, sandbox=sandbox, needed=bool(given))
    ]
    if not found:
        missing = "There is neither a connection testerarmy_default nor docket_default."
        found.append(
            ("", problem("connection", missing, "Create one in Airflow, or name yours with --conn-id."))
        )
    return found


def _check_connection(conn_id: str, targets: Targets, *, sandbox: bool, needed: bool) -> Iterator[Finding]:
    try:
        hook = hook_for(airflow_compat.read_connection(conn_id), conn_id)
    except airflow_compat.AirflowNotFoundException:
        if needed:
            remedy = "Create it in Airflow, or check the id in the DAG."
            yield problem("connection", f"There is no connection {one_line(conn_id, 100)!r}.", remedy)
        return
    except CommandFailed as error:
        yield problem("connection", str(error), "Edit the connection in Airflow.")
        return
    # A secrets backend may raise anything.
    except Exception as error:
        said = f"The connection cannot be read ({type(error).__name__}: {one_line(str(error), 200)})."
        yield problem("connection", said, "Check Airflow's secrets backend, Fernet key and database.")
        return
    fields = list(check_fields(hook, sandbox=sandbox))
    yield ok("connection", f"type {hook.conn_type}")
    yield from fields
    if not any(finding.state is State.PROBLEM and finding.check != "sandbox" for finding in fields):
        yield from check_service(hook, targets)
