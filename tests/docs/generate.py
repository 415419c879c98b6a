"""Writes the generated parts of the documentation: `make docs`. A test fails when they are not up to date.

* `reference.md`: from the docstrings and signatures of what a DAG's author uses, and from `reference_tables.py`;
* the table of features in `versions.md`: from `airflow_compat.FEATURES`, by which the code branches;
* the tables of the decision in `reliability.md`: from the function that decides;
* the table of TesterArmy's operations in `api.md`: from the facts in `tests/contract`;
* the tables of metrics and spans in `metrics.md`: from `metrics.py`, which defines them;
* the table in `configuration.md`: from `configuration.py`, from which Airflow's configuration page comes too;
* the table of faults that simulated worlds found: from those worlds.
"""

from __future__ import annotations

import enum
import inspect
import json
import re
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from airflow_provider_testerarmy import airflow_compat, configuration, metrics
from airflow_provider_testerarmy.runs.submission.decision import Row, table
from tests.contract import document
from tests.docs import reference_tables
from tests.docs.blocks import REPOSITORY
from tests.docs.markers import between

DOCS = REPOSITORY / "docs"
FOUND = REPOSITORY / "tests" / "simulation" / "found"
PACKAGE = "airflow_provider_testerarmy"

#: What the reference describes: a heading, and the classes and functions under it.
PUBLIC = {
    "Operators": (
        "operators.testerarmy.TesterArmyRunTestOperator",
        "operators.testerarmy.TesterArmyRunGroupOperator",
        "operators.testerarmy.TesterArmyRunPromptOperator",
        "operators.testerarmy.TesterArmyRunPullRequestOperator",
        "operators.testerarmy.TesterArmyRerunBatchOperator",
        "operators.testerarmy.TesterArmyTriggerGroupOperator",
        "operators.testerarmy.TesterArmyCreateEnvironmentOperator",
        "operators.testerarmy.TesterArmyDeleteEnvironmentOperator",
        "operators.testerarmy.TesterArmyCreateCredentialOperator",
        "operators.testerarmy.TesterArmyCreateMemoryOperator",
        "operators.testerarmy.TesterArmyDeleteMemoryOperator",
        "operators.testerarmy.TesterArmyUploadAppOperator",
        "operators.testerarmy.TesterArmyDeleteAppOperator",
        "operators.testerarmy.TesterArmySyncTestsOperator",
        "operators.testerarmy.TesterArmyListTestsOperator",
        "operators.docket.DocketRunTestsOperator",
        "operators.base.RunOperator",
    ),
    "Decorators": (
        "decorators.testerarmy.TesterArmyTaskOperator",
        "decorators.testerarmy.TesterArmyGroupTaskOperator",
        "decorators.base.FunctionOperator",
    ),
    "Task groups": (
        "task_groups.testerarmy.TesterArmyGroupTaskGroup",
        "operators.testerarmy_group_tests.TesterArmyStartGroupOperator",
        "operators.testerarmy_group_tests.TesterArmyGroupTestOperator",
    ),
    "Sensors": (
        "sensors.testerarmy.TesterArmyRunSensor",
        "sensors.docket.DocketRunSensor",
        "sensors.base.RunSensor",
    ),
    "Gate": ("runs.gate.QualityGate",),
    "Budget": ("runs.budget.rule.BudgetRule",),
    "Hooks": ("hooks.testerarmy.TesterArmyHook", "hooks.docket.DocketHook", "hooks.base.ServiceHook"),
    "Retry policy": ("retries.TestRetryPolicy",),
    "Trigger": ("triggers.runs.AwaitRunsTrigger",),
    "Notifiers": (
        "notifications.testerarmy.TesterArmyVerdictNotifier",
        "notifications.github.GitHubCommitStatus",
        "notifications.github.GitHubComment",
    ),
    "Event triggers": ("triggers.events.TesterArmyRunFinished", "triggers.events.DocketRunFinished"),
    "Tests as code": ("hooks.catalogue_folder.select_test_ids",),
    "Webhooks": ("client.docket_webhooks.verify",),
    "Deadlines": ("deadlines.log_open_tests", "deadlines.open_tests", "deadlines.open_text"),
}

HEAD = """\
# Reference

`make docs` writes this page from the docstrings. Parameters that every Airflow task has are omitted.
"""

_ROLE = re.compile(r":\w+:`~?([^`<]+)`")
_FIELD = re.compile(r"^:(param|raises|return)s?\s?([^:]*):\s*", re.MULTILINE)


def reference() -> str:
    """The page `reference.md`."""
    parts = [HEAD]
    for heading, names in PUBLIC.items():
        parts.append(f"## {heading}\n")
        parts += [_described(name) for name in names]
    parts.append(reference_tables.sections())
    return "\n".join(parts)


def _described(name: str) -> str:
    module, _, attribute = name.rpartition(".")
    what = resolve_name(f"{PACKAGE}.{module}:{attribute}")
    text, found = _docstring(what)
    lines = [f"### `{name}`", "", text, ""]
    if rows := [row for each in _family(what) for row in _parameters(each)]:
        lines += ["| parameter | default | |", "| --- | --- | --- |", *rows, ""]
    common = getattr(what, "common_template_fields", ())
    if own := [field for field in getattr(what, "template_fields", ()) if field not in common]:
        lines += [
            f"Templated: {_code(', '.join(own))}; and of the common ones {_code(', '.join(common))}.",
            "",
        ]
    elif common:
        lines += [f"Templated: {_code(', '.join(common))}.", ""]
    lines += [f"Raises {_code(names)}: {said}\n" for kind, names, said in found if kind == "raises"]
    return "\n".join(lines)


def _family(what: Any) -> list[Any]:
    """The class, and those above it whose parameters are described with it: the next public one has its own."""
    above = what.__mro__[1:] if isinstance(what, type) else ()
    own = [each for each in above if each.__module__.startswith(PACKAGE)]
    public = {name.rpartition(".")[2] for names in PUBLIC.values() for name in names}
    return [what, *takewhile(lambda each: each.__name__ not in public, own)]


def _parameters(what: Any) -> list[str]:
    defaults = _defaults(what)
    return [
        f"| {_code(names)} | {_default(defaults, names)} | {_cell(said)} |"
        for kind, names, said in _docstring(what)[1]
        if kind == "param"
    ]


def _docstring(what: Any) -> tuple[str, list[tuple[str, str, str]]]:
    """The text of a docstring, and its fields: their kind, the names, what is said."""
    plain = _plain(inspect.getdoc(what) or "")
    text, *rest = re.split(r"^(?=:\w+[^:`]*:)", plain, flags=re.MULTILINE)
    found = []
    tail = ""
    for piece in rest:
        field = _FIELD.match(piece)
        if field is None:
            continue
        said, _, after = piece[field.end() :].partition("\n\n")
        tail += after
        found.append((field[1], field[2], " ".join(said.split())))
    return "\n\n".join(part.strip() for part in (text, tail) if part.strip()), found


def _plain(text: str) -> str:
    """The docstring's markup as Markdown."""
    text = _ROLE.sub(lambda found: _link(found[1].rpartition(".")[2]), text)
    return text.replace("``", "`")


def _link(name: str) -> str:
    known = {each.rpartition(".")[2]: each for names in PUBLIC.values() for each in names}
    return f"[`{name}`](#{_anchor(known[name])})" if name in known else f"`{name}`"


def _anchor(name: str) -> str:
    return name.lower().replace(".", "")


def _defaults(what: Any) -> dict[str, Any]:
    if model := getattr(what, "model_fields", None):
        return {name: field.get_default(call_default_factory=True) for name, field in model.items()}
    # Airflow wraps the method; what it wraps tells the true signature.
    call = inspect.unwrap(what.__init__) if isinstance(what, type) else what
    return {name: each.default for name, each in inspect.signature(call).parameters.items()}


def _default(defaults: dict[str, Any], names: str) -> str:
    value = defaults.get(names.split(",", maxsplit=1)[0].strip(), inspect.Parameter.empty)
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, configuration.Unset):
        built_in = configuration.OPTIONS[names.strip()].built_in
        return f"`[{configuration.SECTION}] {names.strip()}`, else {_value(names, built_in)}"
    return _value(names, value)


def _value(names: str, value: Any) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, enum.Enum):
        return f"`{value.value!r}`"
    if names.strip() == "deferrable":
        return "Airflow's `[operators] default_deferrable`"
    return f"`{value!r}`"


def _code(names: str) -> str:
    return ", ".join(f"`{name.strip()}`" for name in names.split(","))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def features() -> str:
    """The table of what needs which version of Airflow."""
    lines = ["| feature | since Airflow | based on | before |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {each.title} | {each.version} | {each.stands_on} | {each.before} |"
        for each in airflow_compat.FEATURES
    ]
    return "\n".join(lines)


def decision() -> str:
    """The tables of the action on the runs when a try begins, and when it ends."""
    rows = list(table())
    begins = ["| the record says | the task requests | generation | action |", "| --- | --- | --- | --- |"]
    begins += [f"| {row.record} | {row.asked} | {row.generation} | {row.action} |" for row in _begins(rows)]
    ends = ["| end of the try | action if a try follows | action if none follows |", "| --- | --- | --- |"]
    for ending in dict.fromkeys(row.ending for row in rows if row.follows):
        by = {row.follows: row.action for row in rows if row.ending == ending}
        ends.append(f"| {ending} | {by['yes']} | {by['no']} |")
    return "\n".join([*begins, "", *ends])


def _begins(rows: list[Row]) -> list[Row]:
    """The rows of beginnings. Where every difference leads to the same action, they are one row."""
    shown = [row for row in rows if row.ending != "begins" and not row.follows]
    shown = [row for row in rows if row.ending == "begins" and row.record == "none"] + shown
    for record in dict.fromkeys(row.record for row in rows if row.ending == "begins"):
        group = [row for row in rows if row.record == record and row.ending == "begins" and record != "none"]
        same = [row for row in group if (row.asked, row.generation) == ("same", "same")]
        other = [row for row in group if row not in same]
        shown += same
        if len({row.action for row in other}) == 1:
            shown.append(replace(other[0], asked="anything", generation="anything; one of the two differs"))
        else:
            shown += other
    return shown


def found() -> str:
    """The table of the faults that simulated worlds have shown."""
    worlds = [(path.stem, json.loads(path.read_text())) for path in sorted(FOUND.glob("*.json"))]
    rows = [f"| `{name}` | {world['what']} | {_promises(world['broke'])} |" for name, world in worlds]
    return "\n".join(["| world | fault | promise |", "| --- | --- | --- |", *rows])


def _promises(broke: list[str]) -> str:
    return ", ".join(dict.fromkeys(each.partition(":")[0] for each in broke))


#: What else sends an operation, beside the hook's method.
USED_BY = {
    "trigger_test_run": "`TesterArmyRunTestOperator`",
    "trigger_group_run": "`TesterArmyRunGroupOperator`",
    "submit_prompt_run": "`TesterArmyRunPromptOperator`",
    "trigger_group_webhook": "`TesterArmyTriggerGroupOperator`",
    "rerun_batch": "`TesterArmyRerunBatchOperator`",
    **dict.fromkeys(("trigger_pull_request_run", "get_project"), "`TesterArmyRunPullRequestOperator`"),
    **dict.fromkeys(("get_run", "list_runs"), "all operators and sensors, the tab"),
    **dict.fromkeys(("cancel_run", "cancel_batch"), "all operators, the listener"),
    "get_group": "the operators, before they start a run",
    "get_test": "the operators, before they start a run; `TesterArmySyncTestsOperator`",
    "list_tests": "the operators, before they start a run; `TesterArmySyncTestsOperator`, "
    "`TesterArmyListTestsOperator`",
    "delete_group": "`TesterArmyRunGroupOperator`, for temporary groups",
    **dict.fromkeys(
        ("create_group", "add_group_test", "list_groups"),
        "`TesterArmyRunGroupOperator`, for temporary groups; `TesterArmySyncTestsOperator`",
    ),
    **dict.fromkeys(
        ("create_test", "update_test", "delete_test", "remove_group_test"), "`TesterArmySyncTestsOperator`"
    ),
    **dict.fromkeys(
        ("list_environments", "create_environment", "delete_environment"),
        "`TesterArmyCreateEnvironmentOperator`, `TesterArmyDeleteEnvironmentOperator`",
    ),
    **dict.fromkeys(("list_credentials", "create_credential"), "`TesterArmyCreateCredentialOperator`"),
    **dict.fromkeys(
        ("list_apps", "request_app_upload", "confirm_app_upload"), "`TesterArmyUploadAppOperator`"
    ),
    "delete_app": "`TesterArmyDeleteAppOperator`",
    "create_memory": "`TesterArmyCreateMemoryOperator`",
    "delete_memory": "`TesterArmyDeleteMemoryOperator`",
    "list_memories": "`TesterArmyCreateMemoryOperator`, `TesterArmyDeleteMemoryOperator`",
    "list_projects": "the *Test* button of the connection",
}


def operations() -> str:
    """The table of the operations of TesterArmy's API."""
    lines = ["| operation | hook method | used by |", "| --- | --- | --- |"]
    for name, call in document.calls().items():
        lines.append(f"| `{call.method} {call.path}` | `{name}` | {USED_BY.get(name, '')} |")
    return "\n".join(lines)


def metrics_table() -> str:
    """The table of metrics."""
    lines = ["| metric | kind | tags | meaning |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{each.name}` | {each.kind} | {_code(','.join(each.tags))} | {each.meaning} |"
        for each in metrics.ALL
    ]
    return "\n".join(lines)


def configuration_table() -> str:
    """The table of the keys of the configuration."""
    lines = ["| key | default | example | meaning | overridden by |", "| --- | --- | --- | --- | --- |"]
    for name, each in configuration.OPTIONS.items():
        default, example = (f"`{text}`" if text else "none" for text in (each.default, each.example))
        lines.append(f"| `{name}` | {default} | {example} | {each.description} | {each.overridden_by} |")
    return "\n".join(lines)


def spans_table() -> str:
    """The table of spans."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in metrics.SPANS.items()]
    return "\n".join(["| span | covers |", "| --- | --- |", *rows])


def pages() -> dict[Path, str]:
    """Every generated page as it should be."""
    versions, reliability, api = DOCS / "versions.md", DOCS / "reliability.md", DOCS / "api.md"
    measured, configured = DOCS / "metrics.md", DOCS / "configuration.md"
    with_metrics = between(measured.read_text(), "metrics", metrics_table())
    with_decision = between(reliability.read_text(), "decision", decision())
    return {
        DOCS / "reference.md": reference(),
        api: between(api.read_text(), "operations", operations()),
        reliability: between(with_decision, "found table", found()),
        measured: between(with_metrics, "spans", spans_table()),
        versions: between(versions.read_text(), "features", features()),
        configured: between(configured.read_text(), "configuration", configuration_table()),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
