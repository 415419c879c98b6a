"""The section ``[testerarmy]`` of Airflow's configuration: a deployment's defaults for parameters.

A parameter that a DAG gives comes first, then this section, then the default that is built in. Airflow calls
``get_provider_info`` while it reads its configuration, so this module reads nothing when it is imported.
"""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any, Final

from airflow_provider_testerarmy.client.http.errors import RequestInvalid

#: The name of the section.
SECTION: Final = "testerarmy"

#: No limit, as a value of ``timeout``. An empty value means that the built-in default applies.
_NO_LIMIT: Final = "none"
#: An address without a user name and without characters that need quoting.
_HTTPS: Final = re.compile(r"https://[^\s@\"'<>\\]+")


class Unset(Enum):
    """The default of a parameter whose value comes from the configuration; None is a value of some of them."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class ConfigurationInvalid(RequestInvalid):
    """A value in the configuration cannot be used. The message has its section, its key and the value."""


@dataclass(frozen=True, slots=True)
class Option:
    """A key of the section.

    :param kind: its type in Airflow's provider info: ``string``, ``boolean`` or ``float``.
    :param built_in: the value without a configuration.
    :param default: the same as text; None if the key has no default.
    :param example: a value as in ``airflow.cfg``; None if the default is one.
    :param description: what it sets, and the unit.
    :param overridden_by: what in a DAG or a connection comes before it.
    :param read: converts the text of the configuration.
    """

    kind: str
    built_in: Any
    default: str | None
    example: str | None
    description: str
    overridden_by: str
    read: Callable[[str], Any]


def _positive(text: str) -> float:
    number = math.nan
    with suppress(ValueError):
        number = float(text)
    if not math.isfinite(number) or number <= 0:
        raise ValueError("must be a positive number")
    return number


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=_positive(text))
    except (ValueError, OverflowError):
        raise ValueError("must be a positive number of seconds") from None


def _limit(text: str) -> timedelta | None:
    if text.lower() == _NO_LIMIT:
        return None
    try:
        return _duration(text)
    except ValueError as error:
        raise ValueError(f"{error}, or none for no limit") from None


def _switch(text: str) -> bool:
    if text.lower() in ("true", "t", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "f", "0", "no", "off"):
        return False
    raise ValueError("must be True or False")


def _repository(text: str) -> str:
    if not _HTTPS.fullmatch(text):
        raise ValueError("must be an https address without a user name")
    return text


OPTIONS: Final[dict[str, Option]] = {
    "poll_interval": Option(
        "float",
        10.0,
        "10",
        "30",
        "Seconds between two status checks of a run. The first checks follow faster.",
        "`poll_interval` of operators and sensors, `poke_interval` of sensors",
        lambda text: _duration(text).total_seconds(),
    ),
    "timeout": Option(
        "string",
        timedelta(hours=3),
        "10800",
        "3600",
        "Seconds from the submission, across all retries, until a task cancels its active runs and fails. "
        "`none` sets no limit.",
        "`timeout` of operators and sensors",
        _limit,
    ),
    "max_outage": Option(
        "float",
        timedelta(minutes=10),
        "600",
        "1800",
        "Seconds without a successful request after which a task fails.",
        "`max_outage` of operators and sensors",
        _duration,
    ),
    "max_requests_per_second": Option(
        "float",
        None,
        None,
        "5",
        "Limit of requests per second for all tasks that wait on one connection in one triggerer, and for each "
        "sync of tests. Without it, the limit is 20; a triggerer makes up to 100 while the service says that it "
        "has room.",
        "`max_requests_per_second` in the extra of a connection",
        _positive,
    ),
    "cancel_on_kill": Option(
        "boolean",
        True,
        "True",
        "False",
        "Whether operators cancel their runs when a task times out, or is killed, cleared or marked. It does not "
        "apply to sensors, which have not started their runs.",
        "`cancel_on_kill` of operators",
        _switch,
    ),
    "report_path": Option(
        "string",
        None,
        None,
        "s3://reports/{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}.html",
        "Where tasks write their reports: a template with a path of its own for each task. The suffix selects the "
        "format: .json, .xml (JUnit), .html or .md.",
        "`report_path` of operators and sensors",
        str,
    ),
    "memory_path": Option(
        "string",
        None,
        None,
        "s3://tests/memory",
        "The folder, a local path or an object-store URL, where gates and budgets keep what they remember. On "
        "Airflow 3.3 and later they need no folder.",
        "`memory_path` of operators",
        str,
    ),
    "repository_url": Option(
        "string",
        None,
        None,
        "https://github.com/acme/shop",
        "The https address of the repository of the product under test. Commits in the tab and in reports become "
        "links. `/commit/` and the hash follow the address, unless it has `{commit}` where the hash belongs.",
        "nothing",
        _repository,
    ),
    "push_hints": Option(
        "boolean",
        False,
        "False",
        "True",
        "Whether API servers accept the webhooks of the services, and triggerers use them. It needs Airflow 3.1.",
        "nothing",
        _switch,
    ),
}


@cache
def setting(name: str) -> Any:
    """The value of a key, or the built-in default if the configuration has none. It is read once in a process.

    :raises ConfigurationInvalid: if the value cannot be used.
    """
    option = OPTIONS[name]
    text = _text(name)
    if not text:
        return option.built_in
    try:
        return option.read(text)
    except ValueError as error:
        raise ConfigurationInvalid(f"{described(name)} {error}, not {text!r}.") from None


def usable(name: str) -> Any:
    """Like :func:`setting`, with the built-in default in place of a value that cannot be used."""
    try:
        return setting(name)
    except ConfigurationInvalid:
        return OPTIONS[name].built_in


def unknown_keys() -> list[str]:
    """The keys that the section has, from ``airflow.cfg`` or the environment, and this provider does not know."""
    from airflow.providers.common.compat.sdk import conf

    return sorted((conf.getsection(SECTION) or {}).keys() - OPTIONS)


def described(name: str) -> str:
    """A key in messages."""
    return f"{name} in the section [{SECTION}] of Airflow's configuration"


def _text(name: str) -> str:
    from airflow.providers.common.compat.sdk import conf

    try:
        return str(conf.get(SECTION, name, fallback=None) or "").strip()
    except configparser.Error as error:
        raise ConfigurationInvalid(f"{described(name)} cannot be read: {error}") from None


def provider_config(version: str) -> dict[str, Any]:
    """The section as Airflow's provider info describes it.

    :param version: the version of this package, the first one with these keys.
    """
    options = {
        name: {
            "description": option.description,
            "version_added": version,
            "type": option.kind,
            "example": option.example,
            "default": option.default,
        }
        for name, option in OPTIONS.items()
    }
    said = "Defaults for the TesterArmy and Docket tasks of this deployment. Parameters of a task come first."
    return {SECTION: {"description": said, "options": options}}
