"""The commands in Airflow's command line, and without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pkgutil import resolve_name

import pytest
from airflow.providers_manager import ProvidersManager

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.cli import memory
from airflow_provider_testerarmy.cli.definition import MEMORY, get_testerarmy_cli_commands, main, parser
from airflow_provider_testerarmy.get_provider_info import get_provider_info

NAMES = ["export", "forget", "import", "quarantine", "show"]
ARGUMENTS = {
    "show": [],
    "export": [],
    "import": ["file"],
    "forget": [],
    "quarantine": ["--test", "a"],
}


def test_the_provider_info_names_the_commands():
    (path,) = get_provider_info()["cli"]
    assert resolve_name(path) is get_testerarmy_cli_commands


def test_every_command_has_its_function():
    assert sorted(each.name for each in MEMORY) == NAMES
    assert all(callable(getattr(memory, f"{name}_command")) for name in NAMES)


@pytest.mark.skipif(
    not airflow_compat.COMMANDS.available, reason="this Airflow takes no commands of providers"
)
@pytest.mark.parametrize("name", NAMES)
def test_airflow_parses_the_same(name):
    """Its own parser, with everything that providers add."""
    from airflow.cli import cli_parser

    assert get_testerarmy_cli_commands in ProvidersManager().cli_command_functions
    given = ["memory", name, *ARGUMENTS[name]]
    with_airflow = vars(cli_parser.get_parser().parse_args(["testerarmy", *given]))
    alone = vars(parser().parse_args(given))
    names = alone.keys() - {"func"}
    assert {key: with_airflow[key] for key in names} == {key: alone[key] for key in names}


def test_airflow_gets_groups_and_actions():
    """On every version: those before 3.2 do not ask, and would understand it."""
    (group,) = get_testerarmy_cli_commands()
    (commands,) = group.subcommands
    assert (group.name, commands.name) == ("testerarmy", "memory")
    assert sorted(each.name for each in commands.subcommands) == NAMES


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
