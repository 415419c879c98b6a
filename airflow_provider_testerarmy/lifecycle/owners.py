"""Reads who repairs which test from the folder of test files beside a DAG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid
from airflow_provider_testerarmy.hooks.catalogue_folder import owners_of
from airflow_provider_testerarmy.runs.memory.model import test_key
from airflow_provider_testerarmy.runs.text import one_line


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners of tests.

    :param by_test: by the keys of the tests.
    :param fault: why they are unknown, as a sentence; empty if they are known.
    """

    by_test: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


def read_owners(folder: str, dag_file: str) -> Owners:
    """Read the owners. A folder that cannot be used hides no verdict.

    :param folder: relative to the folder of the DAG file.
    :param dag_file: the path of the DAG file.
    """
    try:
        found = owners_of(Path(dag_file).parent / Path(folder).expanduser())
    except (CatalogueInvalid, OSError) as error:
        return Owners(fault=f"The owners of the tests are unknown: {one_line(str(error), 300)}")
    return Owners({test_key(test_id): owner for test_id, owner in found.items()})
