"""XComs in an object store: the tab follows a task's own references and no others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from airflow.providers.common.io.xcom import backend

from airflow_provider_testerarmy.ui import xcoms
from airflow_provider_testerarmy.ui.reader_threads import Readers
from airflow_provider_testerarmy.ui.xcoms import References, is_reference
from tests.reports.cases import NIGHT, summary_of
from tests.ui.test_payloads import stored

BACKEND = backend.XComObjectStorageBackend


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An object store in a local folder, for values of 1,000 bytes or more."""
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", f"file://{tmp_path}/xcoms")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "1000")
    monkeypatch.setattr(xcoms, "_backend", lambda: BACKEND)
    caches = (backend._get_base_path, backend._get_threshold, backend._get_compression)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()


def pushed(value, key="return_value", dag_id="d"):
    """The database value of an XCom that a worker pushed."""
    return BACKEND.serialize_value(value, key=key, task_id="t", dag_id=dag_id, run_id="r", map_index=-1)


def resolved(*tasks):
    return asyncio.run(References(Readers(seconds=2)).resolved(tasks))


def test_a_summary_in_an_object_store(store):
    """The verdict is shown as with the default backend."""
    summary = summary_of(NIGHT)
    reference = pushed(summary)
    ids = pushed([f"{number:036}" for number in range(40)], "run_ids")
    assert reference.startswith("file://")
    task = replace(stored(reference), xcoms={**stored(reference).xcoms, "run_ids": ids})
    (found,) = resolved(task)
    assert (task.summary, found.summary["verdict"]) == ({}, summary["verdict"])
    assert len(found.xcoms["run_ids"]) == 40
    assert found.note == task.note


def test_a_small_value_stays_in_the_database(store):
    """A small value needs no read from the object store."""
    (found,) = resolved(stored({"verdict": "passed", "run_ids": [], "counts": {}}))
    assert found.summary["verdict"] == "passed"


def test_another_tasks_reference_is_not_followed(store):
    """A user who can edit the XComs of one DAG must not read those of another."""
    foreign = pushed(summary_of(NIGHT), dag_id="other")
    (found,) = resolved(stored(foreign))
    assert found.xcoms["return_value"] == foreign


@pytest.mark.parametrize(
    "value",
    [
        "file:///x/d/r/t/../../../other/r/t/y",
        "file:///x/d/r/other/y",
        "https",
        "",
        None,
        7,
        {"a": "file:///x/d/r/t/y"},
        f"file:///x/d/r/t/{'y' * 3000}",
    ],
)
def test_what_is_no_reference_of_this_task(value):
    """Any other value is not treated as a reference."""
    assert not is_reference(stored(None), value)


@pytest.mark.parametrize("way", ["gone", "outside", "garbage"])
def test_a_reference_that_leads_nowhere(store, way):
    """A reference that cannot be read stays, and there is no verdict."""
    reference = pushed(summary_of(NIGHT))
    (file,) = (store / "xcoms").rglob("d/r/t/*")
    if way == "gone":
        file.unlink()
    elif way == "garbage":
        file.write_text("{")
    else:
        reference = f"file://{store}/elsewhere/d/r/t/x"
    (found,) = resolved(stored(reference))
    assert (found.summary, found.xcoms["return_value"]) == ({}, reference)
