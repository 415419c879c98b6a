"""Checks of the installation: versions, configuration, the database, the triggerer, the plugin and its listener."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from airflow_provider_testerarmy import __version__, airflow_compat
from airflow_provider_testerarmy.cli.doctor.findings import Finding, ok, problem
from airflow_provider_testerarmy.configuration import OPTIONS, ConfigurationInvalid, setting, unknown_keys
from airflow_provider_testerarmy.runs.text import one_line

_REINSTALL: Final = (
    "Install the package again, e.g. with pip install --force-reinstall airflow-provider-testerarmy."
)


def check_installation() -> Iterator[Finding]:
    """All of them."""
    yield _versions()
    yield from _configuration()
    yield _triggerer()
    yield from _plugin()


def _versions() -> Finding:
    return ok(
        "versions",
        f"provider {__version__}, Airflow {airflow_compat.VERSION}, Python {platform.python_version()}, "
        f"httpx {version('httpx')}",
    )


def _configuration() -> Iterator[Finding]:
    valid = True
    for name in OPTIONS:
        try:
            setting(name)
        except ConfigurationInvalid as error:
            valid = False
            yield problem(
                "configuration",
                one_line(str(error), 300),
                f"Correct the key in airflow.cfg, or AIRFLOW__TESTERARMY__{name.upper()} in the environment. Then "
                "restart Airflow's processes.",
            )
    if unknown := unknown_keys():
        names = one_line(", ".join(unknown), 300)
        yield problem(
            "configuration",
            f"The section [testerarmy] of Airflow's configuration has keys that have no effect: {names}.",
            f"Remove or rename them. The keys are {', '.join(OPTIONS)}.",
        )
    elif valid:
        yield ok("configuration", "The section [testerarmy] is valid.")


def _triggerer() -> Finding:
    try:
        alive = airflow_compat.is_triggerer_alive()
    # A driver of a database may raise anything, and the other checks can still be made.
    except Exception as error:
        said = one_line(str(error).partition("[SQL")[0], 200)
        return problem(
            "database",
            f"Airflow's database cannot be read ({type(error).__name__}: {said}).",
            "Run the command where Airflow's scheduler runs, after `airflow db migrate`.",
        )
    if alive:
        return ok("triggerer", "A triggerer is running.")
    return problem(
        "triggerer",
        "No triggerer is running, so a task with deferrable=True waits forever.",
        "Start one with `airflow triggerer`, or use deferrable=False.",
    )


def _plugin() -> Iterator[Finding]:
    if not airflow_compat.is_plugin_installed():
        yield problem("plugin", "The installed package does not name its plugin to Airflow.", _REINSTALL)
        return
    # Importing other plugins may raise anything, too.
    try:
        error = airflow_compat.plugin_error()
        listens = error is None and airflow_compat.is_listener_registered()
    except Exception as fault:
        error, listens = f"{type(fault).__name__}: {fault}", False
    if error is not None:
        yield problem(
            "plugin",
            f"Airflow has not loaded the provider's plugin ({one_line(error, 300)}). There is no tab, and the runs "
            "of tasks that a user ends may stay active.",
            "Run `airflow plugins` to see all import errors, and restart the scheduler and the API server.",
        )
    elif not listens:
        yield problem(
            "listener",
            "The plugin is loaded without its listener. The runs of tasks that a user ends may stay active.",
            "Restart the scheduler and the API server. " + _REINSTALL,
        )
    else:
        yield ok("plugin", "The plugin and its listener are loaded.")
