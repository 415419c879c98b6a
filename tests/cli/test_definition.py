"""The commands in Airflow's command line, and without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pkgutil import resolve_name

import pytest
from airflow.providers_manager import ProvidersManager

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.cli.arguments import COMMANDS, SANDBOX_OPTIONS, Group
from airflow_provider_testerarmy.cli.definition import get_testerarmy_cli_commands, main, parser
from airflow_provider_testerarmy.get_provider_info import get_provider_info

#: Each command by its words, with the arguments that it needs.
NEEDED = {
    "doctor": [],
    "runs list": [],
    "runs show": ["a"],
    "runs cancel": ["a"],
    "runs watch": ["a"],
    "report": [],
    "memory show": [],
    "memory export": [],
    "memory import": ["file"],
    "memory forget": [],
    "memory quarantine": ["--test", "a"],
    "tests check": ["folder"],
    "tests plan": ["folder"],
    "tests apply": ["folder"],
    "tests pull": ["folder"],
    "tests schema": [],
    "sandbox": [],
}


def words_of(commands, before=""):
    for command in commands:
        if isinstance(command, Group):
            yield from words_of(command.commands, f"{command.name} ")
        else:
            yield f"{before}{command.name}", command


def test_the_provider_info_names_the_commands():
    (path,) = get_provider_info()["cli"]
    assert resolve_name(path) is get_testerarmy_cli_commands


def test_every_command_has_its_function():
    assert [words for words, _ in words_of(COMMANDS)] == list(NEEDED)
    assert all(callable(resolve_name(command.action)) for _, command in words_of(COMMANDS))


@pytest.mark.skipif(
    not airflow_compat.COMMANDS.available, reason="this Airflow takes no commands of providers"
)
@pytest.mark.parametrize("words", NEEDED)
def test_airflow_parses_the_same(words):
    """Its own parser, with everything that providers add."""
    from airflow.cli import cli_parser

    assert get_testerarmy_cli_commands in ProvidersManager().cli_command_functions
    given = [*words.split(), *NEEDED[words]]
    with_airflow = vars(cli_parser.get_parser().parse_args(["testerarmy", *given]))
    alone = vars(parser().parse_args(given))
    names = alone.keys() - {"func"}
    assert {key: with_airflow[key] for key in names} == {key: alone[key] for key in names}


def test_airflow_gets_groups_and_actions():
    """On every version: those before 3.2 do not ask, and would understand it."""
    (group,) = get_testerarmy_cli_commands()
    assert group.name == "testerarmy"
    below = {each.name: each for each in group.subcommands}
    assert list(below) == ["doctor", "runs", "report", "memory", "tests", "sandbox"]
    assert [each.name for each in below["runs"].subcommands] == ["list", "show", "cancel", "watch"]


def test_the_sandbox_has_the_same_options():
    """Each option of the command is one of the sandbox's own."""
    from airflow_provider_testerarmy.sandbox.__main__ import parser as own

    known = {flag for action in own()._actions for flag in action.option_strings}
    assert {flag for flags, _ in SANDBOX_OPTIONS for flag in flags} == known - {
        "-h",
        "--help",
        "--manual-clock",
    }


PROBE = """
import json, sys
import airflow.cli.cli_config
before = set(sys.modules)
from airflow_provider_testerarmy.cli.definition import get_testerarmy_cli_commands
get_testerarmy_cli_commands()
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_listing_the_commands_loads_nothing_heavy():
    """Every call of `airflow` lists them."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = json.loads(ended.stdout.splitlines()[-1])
    own = {name for name in loaded if name.startswith("airflow_provider_testerarmy")}
    assert own <= {
        "airflow_provider_testerarmy",
        "airflow_provider_testerarmy.cli",
        "airflow_provider_testerarmy.cli.arguments",
        "airflow_provider_testerarmy.cli.definition",
    }
    assert {name.partition(".")[0] for name in set(loaded) - own} <= set(sys.stdlib_module_names)


def test_it_runs_without_airflows_command_line(folder):
    """`python -m` does on every Airflow; an error is one line on standard error."""
    folder.nights({"a": "PF"})
    command = [sys.executable, "-W", "ignore", "-m", "airflow_provider_testerarmy", "memory", "show"]
    ended = subprocess.run(
        [*command, *folder.arguments], capture_output=True, text=True, timeout=60, check=True
    )
    assert "TesterArmy ta: group g1" in ended.stdout
    ended = subprocess.run(
        [*command, *folder.arguments, "--group", "other"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith("Error: No matching memories")


@pytest.mark.parametrize("words", [[], ["memory"], ["memory", "show", "--nope"], ["memory", "quarantine"]])
def test_a_mistake_shows_the_usage(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: python -m airflow_provider_testerarmy" in capsys.readouterr().err
