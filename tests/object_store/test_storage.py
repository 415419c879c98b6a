"""A memory in a bucket: what other processes write is read at once, and no fault hides a verdict."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_testerarmy.exceptions import TestsFailed
from airflow_provider_testerarmy.lifecycle.memory import FolderStorage
from airflow_provider_testerarmy.runs.memory.port import StorageFault
from airflow_provider_testerarmy.runs.memory.ring import load, remember
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.ui import report_files
from tests.lifecycle.test_memory import NEW, Nights, fail
from tests.lifecycle.tries import group
from tests.object_store.conftest import BUCKET
from tests.runs.memory.store import SCOPE, START, keys, night

FOLDER = f"s3://aws_default@{BUCKET}/memory"
A, B = "a" * 32, "b" * 32


@pytest.fixture
def nights(service, connections, monkeypatch):
    return Nights(service, monkeypatch)


def stored(bucket):
    return {each.key: each.get()["Body"].read() for each in bucket.objects.all()}


def test_a_text_is_written_read_and_removed(bucket):
    storage = FolderStorage(FOLDER)
    assert storage.get("a") is None
    storage.set("a", "ü")
    assert (storage.get("a"), stored(bucket)) == ("ü", {"memory/a.json": "ü".encode()})
    storage.delete("a")
    storage.delete("a")
    assert (storage.get("a"), stored(bucket)) == (None, {})


def test_what_another_process_wrote_is_read_after_a_list(bucket):
    """The client of the object store caches lists, with the sizes of all objects."""
    storage = FolderStorage(FOLDER)
    storage.set("a", "old")
    assert list(storage.keys()) == ["a"]
    bucket.put_object(Key="memory/a.json", Body=b"a newer and longer text")
    bucket.put_object(Key="memory/b.json", Body=b"new")
    assert (storage.get("a"), storage.get("b")) == ("a newer and longer text", "new")
    assert sorted(storage.keys()) == ["a", "b"]


def test_what_another_process_removed_is_gone(bucket):
    storage = FolderStorage(FOLDER)
    storage.set("a", "text")
    assert list(storage.keys()) == ["a"]
    bucket.Object("memory/a.json").delete()
    assert (storage.get("a"), list(storage.keys())) == (None, [])


def test_a_bucket_that_is_missing_is_a_fault_and_is_not_created(bucket):
    storage = FolderStorage("s3://aws_default@elsewhere/memory")
    with pytest.raises(StorageFault):
        storage.set("a", "text")
    assert [each["Name"] for each in bucket.meta.client.list_buckets()["Buckets"]] == [BUCKET]


def test_nights_in_a_bucket(bucket, nights, service):
    """The first night fails, the second knows the failure."""
    fail(service, catalog.TEST_CART)
    assert isinstance(nights.night(group(memory_path=FOLDER, gate=NEW)), TestsFailed)
    summary = nights.night(group(memory_path=FOLDER, gate=NEW))
    assert (summary["verdict"], [each["nights"] for each in summary["known"]]) == ("passed", [2])
    assert any(key.endswith("pointer.json") for key in stored(bucket))


def test_a_memory_that_cannot_be_kept_is_said_and_hides_no_verdict(bucket, nights, service):
    fail(service, catalog.TEST_CART)
    ending = nights.night(group(memory_path="s3://aws_default@elsewhere/memory", gate=NEW))
    assert isinstance(ending, TestsFailed)
    (said,) = [each for each in nights.summary["reasons"] if "not remembered" in each]
    assert "The specified bucket does not exist" in said


def test_reports_in_a_bucket(bucket, nights, service):
    paths = [f"s3://aws_default@{BUCKET}/night/report.{kind}" for kind in ("json", "html", "xml", "md")]
    summary = nights.night(group(report_path=paths))
    found = stored(bucket)
    assert sorted(found) == ["night/report.html", "night/report.json", "night/report.md", "night/report.xml"]
    assert json.loads(found["night/report.json"])["summary"]["verdict"] == summary["verdict"]


def test_the_tab_reads_what_a_later_try_wrote(bucket):
    """The API server lives for weeks, and another process writes the files."""
    folder = f"s3://aws_default@{BUCKET}/night"
    bucket.put_object(Key=f"night/report.screenshots/{A}.png", Body=b"first")
    reports = [f"{folder}/report.json"]
    assert list(report_files.list_copies(reports)) == [A]
    bucket.put_object(Key=f"night/report.screenshots/{B}.png", Body=b"second")
    assert list(report_files.list_copies(reports)) == [A, B]
    assert report_files.read_results(reports[0]) is None


def test_writers_at_once_lose_no_night(bucket):
    """Each writes to cells of its own; the pointer is the only object that they share."""

    def write(name):
        remember(FolderStorage(FOLDER), SCOPE, night(0, key=name), now=START, token=f"token of {name}")

    names = [f"run-{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, names))
    assert sorted(keys(load(FolderStorage(FOLDER), SCOPE, now=START))) == names
