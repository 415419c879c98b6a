"""The commands of the command line and their arguments, as plain values: Airflow lists them at each call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_CLI: Final = "airflow_provider_testerarmy.cli"


class Argument(NamedTuple):
    """An argument of a command, in the words of argparse."""

    flags: tuple[str, ...]
    options: Mapping[str, Any]


class Command(NamedTuple):
    """A command.

    :param action: its function, as a path that is imported when the command runs.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...]
    action: str


class Group(NamedTuple):
    """Commands below one word."""

    name: str
    help: str
    commands: tuple[Command, ...]


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

_MEMORY: Final = (
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
        f"{_CLI}.memory:show_command",
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
        f"{_CLI}.memory:export_command",
    ),
    Command(
        "import",
        "Read memories from a file that export wrote",
        (*_PLACE, _argument("file", metavar="FILE", help="the file to read, or - for standard input"), _YES),
        f"{_CLI}.memory:import_command",
    ),
    Command(
        "forget",
        "Delete a memory, or what it holds of one test",
        (*_WHICH, _argument("--test", **_TEST), _YES),
        f"{_CLI}.memory:forget_command",
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
        f"{_CLI}.memory:quarantine_command",
    ),
)

_OUTPUT: Final = _argument(
    "--output",
    "-o",
    choices=("table", "json", "yaml", "plain"),
    default="table",
    help="the format: table (default), json, yaml or plain",
)
_CONN: Final = _argument(
    "--conn-id",
    default="testerarmy_default",
    metavar="ID",
    help="the Airflow connection (default: testerarmy_default); its type selects the service",
)
_RUNS: Final = _argument("run_ids", nargs="+", metavar="RUN_ID", help="the id of a run")

_RUNS_COMMANDS: Final = (
    Command(
        "list",
        "List the newest runs of the account",
        (
            _CONN,
            _argument("--status", metavar="STATUS", help="queued, running, completed, failed or cancelled"),
            _argument("--project", metavar="ID", help="only runs of this project"),
            _argument("--test", metavar="ID", help="only runs of this test"),
            _argument(
                "--limit", type=int, default=20, metavar="N", help="at most so many runs (default: 20)"
            ),
            _OUTPUT,
        ),
        f"{_CLI}.runs:list_command",
    ),
    Command(
        "show",
        "Show runs: outcome, issues, failed step and times",
        (_RUNS, _CONN, _OUTPUT),
        f"{_CLI}.runs:show_command",
    ),
    Command("cancel", "Cancel active runs", (_RUNS, _CONN, _YES), f"{_CLI}.runs:cancel_command"),
    Command(
        "watch",
        "Wait for runs, show their progress, and exit by their verdict",
        (
            _RUNS,
            _CONN,
            _argument(
                "--interval",
                type=float,
                default=10.0,
                metavar="SECONDS",
                help="seconds between two polls of a run (default: 10; shorter at first)",
            ),
            _argument(
                "--timeout",
                type=float,
                metavar="SECONDS",
                help="stop watching after so many seconds; the runs go on (default: no limit)",
            ),
            _OUTPUT,
        ),
        f"{_CLI}.watch:watch_command",
    ),
)

_DOCTOR: Final = Command(
    "doctor",
    "Check the installation, the connections and the service, and say how to fix what is wrong",
    (
        _argument(
            "--conn-id",
            action="append",
            metavar="ID",
            help="a connection to check; repeat it for several (default: testerarmy_default and docket_default)",
        ),
        _argument("--project", metavar="ID", help="check that the key can access this project"),
        _argument("--group", metavar="ID", help="check that the key can access this group"),
        _argument("--test", metavar="ID", help="check that the key can access this test"),
        _argument(
            "--sandbox", action="store_true", help="accept a connection to the sandbox, which runs no tests"
        ),
        _OUTPUT,
    ),
    f"{_CLI}.doctor.command:doctor_command",
)
_REPORT: Final = Command(
    "report",
    "Write a report of runs, or of a task that has run",
    (
        _argument("run_ids", nargs="*", metavar="RUN_ID", help="the id of a run; none with --dag-id"),
        _argument("--dag-id", metavar="ID", help="the task's DAG"),
        _argument("--dag-run-id", metavar="ID", help="the task's DAG run"),
        _argument("--task-id", metavar="ID", help="the task"),
        _argument("--map-index", type=int, default=-1, metavar="N", help="of a mapped task"),
        _argument(
            "--conn-id",
            metavar="ID",
            help="the Airflow connection (default: that of the task, or testerarmy_default)",
        ),
        _argument(
            "--format",
            choices=("html", "junit", "markdown", "json"),
            help="the format (default: that of the file's suffix, or markdown)",
        ),
        _argument(
            "--file", "-f", default="-", metavar="FILE", help="the file to write (default: standard output)"
        ),
    ),
    f"{_CLI}.report:report_command",
)
_FOLDER: Final = (
    _argument("folder", metavar="FOLDER", help="the folder of test files"),
    _argument(
        "--lock", metavar="PATH", help="the lock, a path or a URL (default: tests.lock.json in the folder)"
    ),
)
_SYNC: Final = (
    *_FOLDER,
    _CONN,
    _argument("--project", metavar="ID", help="the project (default: that of the lock)"),
)
_CHANGES: Final = (
    *_SYNC,
    _argument(
        "--delete", action="store_true", help="delete tests whose files are gone (default: disable them)"
    ),
    _argument("--overwrite", action="store_true", help="write over what somebody changed on the dashboard"),
)
_TESTS: Final = (
    Command("check", "Check the files, without a request", _FOLDER, f"{_CLI}.catalogue:check_command"),
    Command(
        "plan",
        "Show what apply would create, change and disable",
        (
            *_CHANGES,
            _argument("--exit-code", action="store_true", help="exit with 2 if there is something to do"),
            _OUTPUT,
        ),
        f"{_CLI}.catalogue:plan_command",
    ),
    Command(
        "apply",
        "Show the plan, and bring the service to the state of the files",
        (*_CHANGES, _YES),
        f"{_CLI}.catalogue:apply_command",
    ),
    Command(
        "pull",
        "Write what changed on the dashboard into the files",
        (
            *_SYNC,
            _argument(
                "--test",
                action="append",
                metavar="ID",
                help="a test to own from now on; repeat it for several",
            ),
            _argument("--all", action="store_true", help="own all tests of the project from now on"),
            _argument("--overwrite", action="store_true", help="write over files that changed as well"),
            _YES,
        ),
        f"{_CLI}.catalogue:pull_command",
    ),
    Command(
        "schema", "Print the JSON schema of a test file, for editors", (), f"{_CLI}.catalogue:schema_command"
    ),
)
#: The options of the sandbox's own command line.
SANDBOX_OPTIONS: Final = (
    _argument("--host", metavar="ADDRESS", help="the address to listen on (default: 127.0.0.1)"),
    _argument("--port", type=int, metavar="N", help="the port to listen on (default: a free one)"),
    _argument("--speed", type=float, metavar="N", help="sandbox seconds per real second (default: 1)"),
    _argument("--api-key", action="append", metavar="KEY", help="an API key to accept"),
    _argument("--latency", type=float, metavar="SECONDS", help="minimum duration of each request"),
    _argument("--clock-skew", type=float, metavar="SECONDS", help="how far the clock runs ahead"),
    _argument("--certfile", metavar="FILE", help="a certificate; turns on TLS"),
    _argument("--keyfile", metavar="FILE", help="the private key of the certificate"),
)
_SANDBOX: Final = Command(
    "sandbox",
    "Start the sandbox, a local stand-in for both services that runs no tests",
    SANDBOX_OPTIONS,
    f"{_CLI}.sandbox:sandbox_command",
)

#: All commands, in the order in which help lists them.
COMMANDS: Final[tuple[Group | Command, ...]] = (
    _DOCTOR,
    Group("runs", "Runs at the service", _RUNS_COMMANDS),
    _REPORT,
    Group("memory", "What gates remember of earlier nights", _MEMORY),
    Group("tests", "Tests as files beside the DAGs", _TESTS),
    _SANDBOX,
)
