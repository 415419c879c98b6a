"""Prints rows as Airflow's own commands do: `--output table|json|yaml|plain`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow_provider_testerarmy.runs.text import one_line

#: The most characters of a cell.
_CELL: Final = 2000


def clean(value: Any, limit: int = _CELL) -> Any:
    """A value without control characters: titles come from other people, and could steer the terminal."""
    if isinstance(value, str):
        return one_line(value, limit)
    if isinstance(value, Mapping):
        return {clean(name): clean(each, limit) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [clean(each, limit) for each in value]
    return value


def print_rows(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print rows in one of Airflow's formats.

    :param rows: JSON values by column; all rows have the same columns.
    :param output: ``table``, ``json``, ``yaml`` or ``plain``.
    """
    cleaned = [clean(row) for row in rows]
    # Airflow's console colours JSON and YAML, and turns numbers into text, so programs get plain documents instead.
    if output == "json":
        sys.stdout.write(json.dumps(cleaned, indent=2) + "\n")
        return
    if output == "yaml":
        import yaml  # type: ignore[import-untyped]

        sys.stdout.write(yaml.safe_dump(cleaned, sort_keys=False, allow_unicode=True))
        return
    from airflow.cli.simple_table import AirflowConsole

    # Without markup and emoji: a title such as "[link=...]" is text.
    console = AirflowConsole(markup=False, emoji=False, highlight=False)
    console.print_as([{name: _cell(value) for name, value in row.items()} for row in cleaned], output)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)
