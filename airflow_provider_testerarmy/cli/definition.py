"""The commands and their arguments. Airflow lists them at each call of `airflow`, so this imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, Final, NamedTuple

_ACTIONS: Final = "airflow_provider_testerarmy.cli.memory"
_ABOUT: Final = "Commands for TesterArmy and Docket"
_ABOUT_MEMORY: Final = "What gates remember of earlier nights"


class Argument(NamedTuple):
    """An argument of a command, in the words of argparse."""

    flags: tuple[str, ...]
    options: Mapping[str, Any]


class Command(NamedTuple):
    """A command below ``memory``.

    :param name: also the name of its function in ``cli/memory.py``, without the suffix ``_command``.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...]


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


_PLACE: Final = (
    _argument(
        "--memory-path",
        metavar="FOLDER",
        help="the memory_path of the tasks, a folder or an object-store URL (default: Airflow's asset state store)",
    ),
)
_WHICH: Final = (
    *_PLACE,
    _argument("--memory", metavar="ID", help="the memory's id as `show` lists it, or its first characters"),
    _argument("--conn-id", metavar="ID", help="the Airflow connection of the tasks"),
    _argument("--target", "--group", metavar="ID", help="the group or test that the tasks run"),
    _argument(
        "--environment",
        metavar="NAME",
        help="a value of environment, project_environment_id, platform or device_model",
    ),
)
_TEST: Final = {"metavar": "ID", "help": "the id of a test"}
_YES: Final = _argument("--yes", "-y", action="store_true", help="do not ask")

MEMORY: Final = (
    Command(
        "show",
        "List memories; for a single one, list its tests",
        (
            *_WHICH,
            _argument("--test", **_TEST),
            _argument(
                "--output", "-o", choices=("table", "json"), default="table", help="table (default) or json"
            ),
        ),
    ),
    Command(
        "export",
        "Write memories to a JSON file",
        (
            *_WHICH,
            _argument(
                "--file",
                "-f",
                default="-",
                metavar="FILE",
                help="the file to write (default: standard output)",
            ),
        ),
    ),
    Command(
        "import",
        "Read memories from a file that export wrote",
        (*_PLACE, _argument("file", metavar="FILE", help="the file to read, or - for standard input"), _YES),
    ),
    Command(
        "forget",
        "Delete a memory, or what it holds of one test",
        (*_WHICH, _argument("--test", **_TEST), _YES),
    ),
    Command(
        "quarantine",
        "Exclude a test from the verdict until a date, or lift its quarantine",
        (
            *_WHICH,
            _argument("--test", required=True, **_TEST),
            _argument("--owner", metavar="NAME", help="who decides"),
            _argument("--reason", metavar="TEXT", help="why"),
            _argument(
                "--until",
                metavar="WHEN",
                help="a day such as 2026-12-24 (included, UTC), or a time such as 14d",
            ),
            _argument("--lift", action="store_true", help="judge the test again"),
        ),
    ),
)


def get_testerarmy_cli_commands() -> list[Any]:
    """The commands in Airflow's form; Airflow 3.2 and later call it."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    actions = [
        ActionCommand(
            name=command.name,
            help=command.help,
            func=_loaded_later(command.name),
            args=[Arg(flags, **options) for flags, options in command.arguments],
        )
        for command in MEMORY
    ]
    memory = GroupCommand(name="memory", help=_ABOUT_MEMORY, subcommands=actions)
    return [GroupCommand(name="testerarmy", help=_ABOUT, subcommands=[memory])]


def parser() -> argparse.ArgumentParser:
    """The same commands without Airflow's command line."""
    root = argparse.ArgumentParser(prog="python -m airflow_provider_testerarmy", description=_ABOUT)
    groups = root.add_subparsers(metavar="GROUP", required=True)
    memory = groups.add_parser("memory", help=_ABOUT_MEMORY, description=_ABOUT_MEMORY)
    commands = memory.add_subparsers(metavar="COMMAND", required=True)
    for command in MEMORY:
        one = commands.add_parser(command.name, help=command.help, description=command.help)
        for flags, options in command.arguments:
            one.add_argument(*flags, **options)
        one.set_defaults(func=_loaded_later(command.name))
    return root


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    :param arguments: None takes those of the process.
    """
    options = parser().parse_args(arguments)
    options.func(options)


def _loaded_later(name: str) -> Callable[[argparse.Namespace], None]:
    def run(options: argparse.Namespace) -> None:
        resolve_name(f"{_ACTIONS}:{name}_command")(options)

    return run
