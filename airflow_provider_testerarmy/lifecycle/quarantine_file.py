"""Reads the quarantine file beside a DAG: YAML or JSON, whole and by its schema, or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from airflow_provider_testerarmy.runs.memory.declared import DeclarationInvalid, read_entries
from airflow_provider_testerarmy.runs.memory.model import Quarantine
from airflow_provider_testerarmy.runs.text import one_line

#: Bytes of a file; a thousand entries take about half of it.
LIMIT: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Declared:
    """The quarantines of a file.

    :param quarantines: by the keys of their tests; empty if the file cannot be used.
    :param fault: why it cannot be used, as a sentence; empty if it can.
    :param invalid: whether its content is the reason.
    """

    quarantines: Mapping[str, Quarantine] = field(default_factory=dict)
    fault: str = ""
    invalid: bool = False


def read_quarantines(path: str, dag_file: str) -> Declared:
    """Read a file.

    :param path: relative to the folder of the DAG file.
    :param dag_file: the path of the DAG file.
    """
    place = Path(dag_file).parent / Path(path).expanduser()
    try:
        content = _read(place)
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        return Declared(fault=f"The quarantine file {path} cannot be read ({one_line(why, 120)}).")
    try:
        return Declared(read_entries(_parse(content, place.suffix.lower())))
    except DeclarationInvalid as error:
        return Declared(fault=f"The quarantine file {path} is not valid. {error}", invalid=True)


def _read(place: Path) -> bytes:
    # Opening a named pipe would wait for a writer.
    if place.exists() and not place.is_file():
        raise OSError("it is not a file")
    with place.open("rb") as file:
        return file.read(LIMIT + 1)


def _parse(content: bytes, suffix: str) -> Any:
    """The document, every value as text.

    :raises DeclarationInvalid: if it is too large, or no document of its kind.
    """
    if len(content) > LIMIT:
        raise DeclarationInvalid(f"It has more than {LIMIT} bytes.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DeclarationInvalid("It is not UTF-8 text.") from None
    try:
        return json.loads(text, object_pairs_hook=_unique) if suffix == ".json" else _parse_yaml(text)
    except RecursionError:
        raise DeclarationInvalid("It is nested too deeply.") from None
    except ValueError as error:
        if isinstance(error, DeclarationInvalid):
            raise
        raise DeclarationInvalid(f"It is no JSON: {one_line(str(error), 200)}.") from None


def _parse_yaml(text: str) -> Any:
    # Airflow depends on it. Importing it here keeps it out of the tasks that have no such file.
    import yaml  # type: ignore[import-untyped]

    class Loader(yaml.BaseLoader):  # type: ignore[misc]
        """Reads every value as text: a date stays as written, and 010 does not become 8."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            pairs = [(self.construct_object(key, deep=True), value) for key, value in node.value]
            return _unique([(str(name), self.construct_object(value, deep=True)) for name, value in pairs])

    try:
        return yaml.load(text, Loader)  # noqa: S506 - it constructs text, lists and dicts only
    except yaml.YAMLError as error:
        raise DeclarationInvalid(f"It is no YAML: {one_line(str(error), 200)}.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DeclarationInvalid("An entry has a field twice.")
    return found
