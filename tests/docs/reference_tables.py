"""The tables of `reference.md` that describe no single class: exceptions, XComs, and where the other lists are."""

from __future__ import annotations

import inspect
from pkgutil import resolve_name

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_testerarmy.operators.docket import DocketRunLink
from airflow_provider_testerarmy.operators.testerarmy_base import TesterArmyRunLink
from airflow_provider_testerarmy.operators.testerarmy_group_tests import OTHER_RUNS
from airflow_provider_testerarmy.runs.submission.handover import KEY as GROUP_TESTS
from airflow_provider_testerarmy.runs.verdict.summary import NOTE

MODULE = "airflow_provider_testerarmy.exceptions"

#: The keys of XComs: who pushes them, and what they hold.
XCOMS = {
    "return_value": (
        "operators and sensors that judge",
        "the summary, see [Return value](gate.md#return-value); of [preparing](preparation.md) operators an id",
    ),
    "run_ids": ("operators and sensors, once the runs are started", "list of str; the ids of the runs"),
    "batch_id": ("operators, if the service started a batch", "str; the id of the batch"),
    NOTE: (
        "operators and sensors, once the runs are started",
        "dict; what the tab and the history show. It has no stable form; use the summary instead",
    ),
    TesterArmyRunLink.xcom_key: ("tasks of TesterArmy", "str; the dashboard's address, or empty"),
    DocketRunLink.xcom_key: ("tasks of Docket", "str; the dashboard's address, or empty"),
    GROUP_TESTS: (
        "`TesterArmyStartGroupOperator`",
        "dict; the runs for the tests' tasks, signed. It has no stable form",
    ),
    OTHER_RUNS: (
        "`TesterArmyStartGroupOperator`, if tests have no task of their own",
        "list of str; the ids of their runs",
    ),
    "username": (
        "`TesterArmyCreateCredentialOperator` with `kind='inbox'`",
        "str; the address that the service has created",
    ),
}


def exceptions() -> list[type[Exception]]:
    """The classes of `exceptions.py`, in its order."""
    module = resolve_name(MODULE)
    return [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == MODULE]


def exceptions_table() -> str:
    """The exceptions: their base, what Airflow does, and what they mean."""
    lines = ["| exception | base | Airflow | meaning |", "| --- | --- | --- | --- |"]
    for each in exceptions():
        meaning = (inspect.getdoc(each) or "").partition("\n\n")[0].replace("``", "`")
        lines.append(f"| `{each.__name__}` | {_base(each)} | {_reaction(each)} | {_plain(meaning)} |")
    return "\n".join(lines)


def _base(each: type[Exception]) -> str:
    return f"`{each.__bases__[0].__name__}`"


def _reaction(each: type[Exception]) -> str:
    if issubclass(each, AirflowSkipException):
        return "skips the task"
    return "does not retry" if issubclass(each, AirflowFailException) else "retries"


def _plain(text: str) -> str:
    return " ".join(text.replace(":class:", "").replace("|", "\\|").split())


def xcoms_table() -> str:
    """The XComs that tasks push."""
    lines = ["| key | pushed by | content |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| `{key}` | {who} | {what} |" for key, (who, what) in XCOMS.items())])


def sections() -> str:
    """The sections after the classes."""
    return f"{_EXCEPTIONS}\n{exceptions_table()}\n\n## XComs\n\n{xcoms_table()}\n\n{_OTHERS}"


_EXCEPTIONS = """\
## Exceptions

All are in `exceptions`. Each has `run_ids`, the runs concerned, except `TestsSkipped`. A handler of `TestsFailed`
catches `TestsFailedFinally` too. [Troubleshooting](troubleshooting.md#messages) says what to do about each.
"""

_OTHERS = """\
## Other lists

| subject | page |
| --- | --- |
| metrics and spans | [Metrics and traces](metrics.md#metrics) |
| methods of `TesterArmyHook` | [TesterArmy's API](api.md#operations) |
| methods of `DocketHook` | [Docket](docket.md#api-coverage) |
| fields of a connection | [Connections](connections.md) |
| keys of the configuration | [Configuration](configuration.md#keys) |
| fields of the summary | [Return value](gate.md#return-value) |
| fields of the JSON report | [JSON](reports.md#json) |
| facets of OpenLineage | [Facets](lineage.md#facets) |
| commands | [Commands](commands.md) |
"""
