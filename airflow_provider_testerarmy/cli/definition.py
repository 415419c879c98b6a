"""The commands in Airflow's form, and in that of argparse. Airflow lists them at each call: nothing heavy here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pkgutil import resolve_name
from typing import Any, Final

from airflow_provider_testerarmy.cli.arguments import COMMANDS, Command, Group

_ABOUT: Final = "Commands for TesterArmy and Docket"


def get_testerarmy_cli_commands() -> list[Any]:
    """The commands in Airflow's form; Airflow 3.2 and later call it."""
    from airflow.cli.cli_config import GroupCommand

    return [GroupCommand(name="testerarmy", help=_ABOUT, subcommands=list(map(_for_airflow, COMMANDS)))]


def _for_airflow(command: Group | Command) -> Any:
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    if isinstance(command, Group):
        below = [_for_airflow(each) for each in command.commands]
        return GroupCommand(name=command.name, help=command.help, subcommands=below)
    return ActionCommand(
        name=command.name,
        help=command.help,
        func=_loaded_later(command.action),
        args=[Arg(flags, **options) for flags, options in command.arguments],
    )


def parser() -> argparse.ArgumentParser:
    """The same commands without Airflow's command line."""
    root = argparse.ArgumentParser(prog="python -m airflow_provider_testerarmy", description=_ABOUT)
    _add(root, COMMANDS, "GROUP_OR_COMMAND")
    return root


def _add(parent: argparse.ArgumentParser, commands: Sequence[Group | Command], metavar: str) -> None:
    below = parent.add_subparsers(metavar=metavar, required=True)
    for command in commands:
        one = below.add_parser(command.name, help=command.help, description=command.help)
        if isinstance(command, Group):
            _add(one, command.commands, "COMMAND")
            continue
        for flags, options in command.arguments:
            one.add_argument(*flags, **options)
        one.set_defaults(func=_loaded_later(command.action))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    :param arguments: None takes those of the process.
    """
    options = parser().parse_args(arguments)
    options.func(options)


def _loaded_later(action: str) -> Callable[[argparse.Namespace], None]:
    def run(options: argparse.Namespace) -> None:
        resolve_name(action)(options)

    return run
