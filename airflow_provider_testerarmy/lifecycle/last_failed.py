"""The tests that failed when they last ran, by what gates remember."""

from __future__ import annotations

from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid
from airflow_provider_testerarmy.lifecycle.memory import FolderStorage
from airflow_provider_testerarmy.lifecycle.memory_list import describe, load
from airflow_provider_testerarmy.runs.memory.directory import entries
from airflow_provider_testerarmy.runs.memory.model import FAILING, Memory
from airflow_provider_testerarmy.runs.memory.port import StorageFault


def last_failed(memory_path: str, conn_id: str, *, now: float) -> set[str]:
    """The ids of the tests whose last outcome in any memory of a connection is a failure, judged or not.

    :param memory_path: the folder of the memories, a local path or an object-store URL.
    :param now: seconds since the epoch.
    :raises CatalogueInvalid: if a memory cannot be read. To leave it out would leave out failed tests.
    """
    storage, failed = FolderStorage(memory_path), set[str]()
    try:
        found = [describe(entry) for entry in entries(storage)]
    except StorageFault as fault:
        raise CatalogueInvalid(f"The memories in {memory_path} cannot be listed ({fault}).") from fault
    for one in found:
        if one.conn_id != conn_id:
            continue
        memory = load(storage, one, now=now)
        if not isinstance(memory, Memory):
            raise CatalogueInvalid(f"{memory}: {one.name}.")
        for test_id, test in memory.tests.items():
            letter = next((letter for _, letter in memory.conclusive(test)), "")
            if letter and letter in FAILING:
                failed.add(test_id)
    return failed
