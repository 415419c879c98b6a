"""Checks for the common parameters. They accept text as well, because templates render to text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from datetime import timedelta
from os import PathLike
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from uuid import UUID

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.client.http.errors import RequestInvalid

if TYPE_CHECKING:
    from airflow_provider_testerarmy.runs.budget.rule import BudgetRule
    from airflow_provider_testerarmy.runs.verdict.gate import QualityGate

#: The types that a DAG author may pass: the value itself, a template, or another task's output. The protocol
#: ``Deferred`` stands for Airflow's XComArg, so that parsing a DAG file does not import Airflow's class.
Seconds: TypeAlias = "float | int | timedelta | str | Deferred"
Text: TypeAlias = "str | int | UUID | Deferred"
Paths: TypeAlias = "str | PathLike[str] | Sequence[str | PathLike[str]] | Deferred"
Gate: TypeAlias = "QualityGate | Mapping[str, Any] | str | Deferred"
Budget: TypeAlias = "BudgetRule | Mapping[str, Any] | str | Deferred"
Ids: TypeAlias = "Iterable[Any] | str | int | UUID | Deferred"

#: A positive whole number of at most six digits.
_COUNT: Final = re.compile(r"[1-9][0-9]{0,5}")

NO_PLACE: Final = (
    'The gate remembers earlier nights (fail_on "new" or quarantine), and there is no place for its memory. Set '
    f"memory_path. On Airflow {airflow_compat.ASSET_STATE_STORE.version} and later, a gate that is not a template "
    "needs no memory_path."
)
NO_LEDGER: Final = (
    "The budget needs a place where tasks count their runs. Set memory_path. On Airflow "
    f"{airflow_compat.ASSET_STATE_STORE.version} and later, a budget outside of expand() needs no memory_path."
)
NO_TARGET: Final = (
    'A sensor has no memory of earlier nights, so its gate cannot have fail_on "new" or quarantine. Set them on '
    "the operator that starts the runs."
)
NO_BISECT: Final = (
    'bisect needs a gate that remembers earlier nights. Set fail_on to "new" or quarantine in the gate, or set '
    "bisect=False."
)
NO_RERUNS: Final = (
    "A sensor starts no runs, so its gate cannot have confirm. Set it on the operator that starts the runs."
)


class Deferred(Protocol):
    """A value that Airflow resolves when the task runs: ``task.output``, or what a decorated task returns."""

    def resolve(self, context: Any) -> Any:
        """The value."""


def seconds(value: object, name: str) -> float:
    """A duration in seconds, from a number, a timedelta or rendered text.

    :param name: the parameter's name, for the message.
    :raises RequestInvalid: for anything else, and for a duration that is not positive or not finite.
    """
    number = math.nan
    if isinstance(value, timedelta):
        number = value.total_seconds()
    # A bool is an int in Python, but ``timeout=True`` is a mistake.
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)
    if not math.isfinite(number) or number <= 0:
        raise RequestInvalid(f"{name} must be a positive number of seconds or a timedelta, not {value!r}.")
    return number


def count(value: object, name: str) -> int | None:
    """A positive whole number, from a number or rendered text; None for what rendered to nothing.

    :param name: the parameter's name, for the message.
    :raises RequestInvalid: for anything else.
    """
    from airflow_provider_testerarmy.runs.rendered import is_nothing

    if is_nothing(value):
        return None
    text = str(value).strip()
    if isinstance(value, int | str) and not isinstance(value, bool) and _COUNT.fullmatch(text):
        return int(text)
    raise RequestInvalid(f"{name} must be a positive whole number, not {value!r}.")


def flag(value: object, name: str) -> bool:
    """A switch, from a boolean or its text: parameters of ``expand()`` are often text.

    :param name: the parameter's name, for the message.
    :raises ValueError: for anything else. ``bool()`` is no help here, because ``bool("False")`` is True.
    """
    word = str(value).strip().lower()
    if isinstance(value, bool | int | str) and word in ("true", "1", "yes", "on"):
        return True
    if isinstance(value, bool | int | str) and word in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"{name} must be True or False, not {value!r}. It is not a templated field.")


def gate(value: object) -> QualityGate:
    """The gate, from an object, a dict, or rendered text (JSON or a Python dict literal).

    :raises GateInvalid: with the field and what is wrong with it.
    """
    from airflow_provider_testerarmy.runs.rendered import is_nothing, literal
    from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate

    if is_nothing(value):
        return QualityGate()
    if not isinstance(value, str):
        return QualityGate.of(value)  # type: ignore[arg-type]
    fields = literal(value.strip())
    if fields is None:
        raise GateInvalid(
            f"The gate {value[:80]!r} is text, and not the JSON of its fields. In a template, end the expression "
            "with | tojson."
        )
    return QualityGate.of(fields)


def budget(value: object) -> BudgetRule | None:
    """The budget, from an object, a dict, or rendered text; None for no budget.

    :raises RequestInvalid: with the field and what is wrong with it.
    """
    from airflow_provider_testerarmy.runs.budget.rule import BudgetInvalid, budget_rule

    try:
        return budget_rule(value)
    except BudgetInvalid as error:
        raise RequestInvalid(str(error)) from None


def needs_memory(gate: QualityGate) -> bool:
    """Whether the gate judges a night with the memory of earlier ones."""
    return gate.fail_on == "new" or gate.quarantine is not None


def gate_remembers(written: object) -> bool:
    """Whether a gate as written in the DAG file needs a memory; False for a template."""
    read = _written(written)
    return read is not None and needs_memory(read)


def gate_confirms(written: object) -> bool:
    """Whether a gate as written in the DAG file confirms failures; False for a template."""
    read = _written(written)
    return read is not None and read.confirm is not None


def _written(value: object) -> QualityGate | None:
    from airflow_provider_testerarmy.runs.rendered import is_nothing

    if is_nothing(value) or is_template(value):
        return None
    # An invalid gate is reported by the check of the parameter.
    try:
        return gate(value)
    except ValueError:
        return None


def memory_path(value: object) -> str | None:
    """The folder of a gate's memory, a local path or an object-store URL, or None. ``~`` is the home directory.

    :raises RequestInvalid: for anything else.
    """
    from airflow_provider_testerarmy.runs.rendered import is_nothing

    if is_nothing(value):
        return None
    if not isinstance(value, str | PurePath) and not _is_object_path(value):
        raise RequestInvalid(f"memory_path must be the path of a folder, not {value!r}.")
    path = str(value).strip()
    return str(Path(path).expanduser()) if path.startswith("~") else path


def report_path(value: object) -> str | Sequence[str] | None:
    """The paths of the reports: one, several, or None. ``~`` is the home directory.

    :raises RequestInvalid: for an empty path among several, an empty list, or an unknown suffix.
    """
    from airflow_provider_testerarmy.runs.rendered import is_nothing, literal

    if is_nothing(value):
        return None
    if isinstance(value, str) and value.strip().startswith("["):
        value = literal(value.strip()) or value
    if isinstance(value, str) or hasattr(value, "__fspath__") or _is_object_path(value):
        return _path(value)
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise RequestInvalid(f"report_path must be a path or a list of paths, not {value!r}.")
    # A set has no stable order. Sorting makes every try write the reports in the same order.
    paths = sorted(value, key=str) if isinstance(value, Set) else list(value)
    if not paths:
        raise RequestInvalid("report_path is empty; a template may have rendered to nothing.")
    found = [_path(path) for path in paths]
    return tuple(found) if isinstance(value, tuple) else found


def _path(value: object) -> str:
    from airflow_provider_testerarmy.lifecycle.reporting import SUFFIXES, suffix_of

    if not isinstance(value, str | PurePath) and not _is_object_path(value):
        raise RequestInvalid(f"report_path must be a path or a list of paths, not {value!r}.")
    path = str(value)
    if not path.strip():
        raise RequestInvalid("report_path is empty; a template may have rendered to nothing.")
    if suffix_of(path) is None:
        raise RequestInvalid(
            f"report_path {path!r} must end in one of {', '.join(SUFFIXES)}: the suffix selects the format."
        )
    return str(Path(path.strip()).expanduser()) if path.strip().startswith("~") else path


def _is_object_path(value: object) -> bool:
    # ObjectStoragePath is not an os.PathLike on every supported version of Airflow.
    return hasattr(value, "protocol") and hasattr(value, "parts")


def mapping(value: object, name: str) -> Mapping[str, Any]:
    """The fields of a parameter that is a dict, or rendered text of one.

    :param name: the parameter's name, for the message.
    :raises RequestInvalid: for anything else.
    """
    from airflow_provider_testerarmy.runs.rendered import literal

    fields = literal(value.strip()) if isinstance(value, str) else value
    if isinstance(fields, Mapping):
        return fields
    if isinstance(value, str):
        raise RequestInvalid(
            f"{name} {value[:80]!r} is text, and not the JSON of its fields. In a template, end the expression "
            "with | tojson."
        )
    raise RequestInvalid(f"{name} must be a dict of its fields, not {type(value).__name__}.")


def ids(value: object, name: str) -> list[Any]:
    """Ids from a (nested or lazy) list, one id, rendered text, or summaries of tasks that started runs.

    :param name: the parameter's name, e.g. ``run_ids``.
    :raises RequestInvalid: if there is no id, or if a summary is truncated and lacks some ids.
    """
    from airflow_provider_testerarmy.runs.rendered import listed

    if isinstance(value, str) and value.strip().startswith("[") and not value.strip().endswith("]"):
        raise RequestInvalid(f"{name} {value[:80]!r} is not a list of ids.")
    items = listed(value)
    found = [
        each
        for item in items
        for each in (_ids_of_summary(item, name) if isinstance(item, Mapping) else [item])
    ]
    if found:
        return list(dict.fromkeys(found))
    raise RequestInvalid(f"{name} is empty; a template may have rendered to nothing.")


def _ids_of_summary(summary: Mapping[str, Any], name: str) -> list[Any]:
    from airflow_provider_testerarmy.runs.rendered import listed

    if name not in summary:
        raise RequestInvalid(
            f'{name} is a dict without the key {name}. Pass the ids, e.g. task.output["{name}"], or a '
            "task's summary."
        )
    truncated = summary.get("truncated")
    if left_out := isinstance(truncated, Mapping) and truncated.get(name):
        raise RequestInvalid(
            f'{name} is a truncated summary that leaves out {left_out} of its ids: use task.output["{name}"], '
            "which has all of them."
        )
    return listed(summary[name])


def stable(value: Any) -> Any:
    """The value with sets as sorted lists and paths as text.

    Airflow serializes a set in hash order. That order differs from process to process, and each parse would create
    another DAG version.
    """
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: stable(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(stable, value), key=str)
    if isinstance(value, tuple | list):
        return [stable(item) for item in value]
    if isinstance(value, UUID | PurePath) or _is_object_path(value):
        return str(value)
    return value


def is_template(value: object) -> bool:
    """Whether a value is known only after Airflow has rendered it."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(is_template(item) for item in value.values())
    if isinstance(value, Sequence | Set):
        return any(is_template(item) for item in value)
    # An XComArg or another value that Airflow resolves at run time. A path has a method ``resolve`` too.
    return hasattr(value, "resolve") and not isinstance(value, PurePath) and not _is_object_path(value)
