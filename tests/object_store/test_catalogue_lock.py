"""The lock of a sync in a bucket: the store itself refuses what another machine has overtaken."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.lifecycle import catalogue_lock
from airflow_provider_testerarmy.lifecycle.object_paths import ObjectChanged, conditions_now, write_if
from tests.catalogue.conftest import folder
from tests.catalogue.machines import Machines, count_steps, every_order
from tests.catalogue.test_machines import sync
from tests.object_store.conftest import BUCKET

__all__ = ["folder"]

PLACE = f"s3://aws_default@{BUCKET}/app.json"


def test_a_write_that_somebody_overtook_is_refused(bucket):
    """Somebody has created the object, changed it, or removed it."""
    first = conditions_now(PLACE)
    bucket.put_object(Key="app.json", Body=b"theirs")
    with pytest.raises(ObjectChanged):
        write_if(PLACE, b"ours", first)
    second = conditions_now(PLACE)
    assert write_if(PLACE, b"ours", second)
    with pytest.raises(ObjectChanged):
        write_if(PLACE, b"ours again", second)
    third = conditions_now(PLACE)
    bucket.Object("app.json").delete()
    with pytest.raises(ObjectChanged):
        write_if(PLACE, b"ours", third)


def test_a_bucket_that_is_missing_is_not_somebody_elses_write(bucket):
    place = "s3://aws_default@elsewhere/app.json"
    with pytest.raises(FileNotFoundError):
        write_if(place, b"ours", conditions_now(place))


def test_two_machines_make_each_test_once(bucket, folder, monkeypatch, tmp_path):
    """In every order of their requests, and of the reads and writes of the lock."""
    folder.write("a.md", "Login")
    stepwise = ["conditions_now", "read_lock_file", "write_if"]
    machines = Machines(folder, PLACE, monkeypatch, tmp_path, catalogue_lock, stepwise)
    steps = count_steps(machines)
    assert steps > 12
    for order, _first, _second in every_order(machines, steps):
        sync(folder, PLACE)
        assert len(folder.titled("Login")) == 1, order
        assert sync(folder, PLACE) == [], order
        document = json.loads(bucket.Object("app.json").get()["Body"].read())
        assert [entry["id"] for entry in document["tests"].values()] == [folder.titled("Login")[0].id]
        folder.service.control.reset()
        bucket.Object("app.json").delete()
