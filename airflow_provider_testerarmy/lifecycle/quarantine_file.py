"""Reads the quarantine file beside a DAG: YAML or JSON, whole and by its schema, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from airflow_provider_testerarmy.lifecycle.dag_documents import DocumentInvalid, parse_document, read_document
from airflow_provider_testerarmy.runs.memory.declared import DeclarationInvalid, read_entries
from airflow_provider_testerarmy.runs.memory.model import Quarantine
from airflow_provider_testerarmy.runs.text import one_line


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


def read_quarantines(path: str, dag_file: str, owners: Mapping[str, str] = MappingProxyType({})) -> Declared:
    """Read a file.

    :param path: relative to the folder of the DAG file.
    :param dag_file: the path of the DAG file.
    :param owners: by the keys of their tests, for entries without an owner.
    """
    place = Path(dag_file).parent / Path(path).expanduser()
    try:
        content = read_document(place)
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        return Declared(fault=f"The quarantine file {path} cannot be read ({one_line(why, 120)}).")
    try:
        return Declared(read_entries(parse_document(content, place.suffix.lower()), owners))
    except (DeclarationInvalid, DocumentInvalid) as error:
        return Declared(fault=f"The quarantine file {path} is not valid. {error}", invalid=True)
