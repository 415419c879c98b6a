"""Reads YAML and JSON documents beside a DAG, every value of YAML as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from airflow_provider_testerarmy.runs.text import one_line

#: Bytes of a document; a thousand entries of a quarantine file take about half of it.
LIMIT: Final = 256 * 1024


class DocumentInvalid(ValueError):
    """A file that is too large, or no document of its kind."""


def read_document(place: Path) -> bytes:
    """The first bytes of a file, at most one more than :data:`LIMIT`.

    :raises OSError: if it cannot be read.
    """
    # Opening a named pipe would wait for a writer.
    if place.exists() and not place.is_file():
        raise OSError("it is not a file")
    with place.open("rb") as file:
        return file.read(LIMIT + 1)


def parse_document(content: bytes, suffix: str) -> Any:
    """The document, every value as text.

    :raises DocumentInvalid: if it is too large, or no document of its kind.
    """
    if len(content) > LIMIT:
        raise DocumentInvalid(f"It has more than {LIMIT} bytes.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentInvalid("It is not UTF-8 text.") from None
    try:
        return json.loads(text, object_pairs_hook=_unique) if suffix == ".json" else _parse_yaml(text)
    except RecursionError:
        raise DocumentInvalid("It is nested too deeply.") from None
    except ValueError as error:
        if isinstance(error, DocumentInvalid):
            raise
        raise DocumentInvalid(f"It is no JSON: {one_line(str(error), 200)}.") from None


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
        raise DocumentInvalid(f"It is no YAML: {one_line(str(error), 200)}.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DocumentInvalid("An entry has a field twice.")
    return found
