"""Uploads of mobile builds against the sandbox and its object store."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_testerarmy.exceptions import RequestRefused, RunInterrupted, ServiceUnavailable
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.lifecycle import upload
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyDeleteAppOperator,
    TesterArmyUploadAppOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.conftest import no_pauses  # noqa: F401
from tests.lifecycle.tries import TaskInstance
from tests.operators.test_testerarmy import own_parameters

pytestmark = pytest.mark.usefixtures("connections", "no_pauses")

APP, BUILD = catalog.PROJECT_APP, b"PK\3\4 a build " * 1000
SHA256 = hashlib.sha256(BUILD).hexdigest()


@pytest.fixture
def build(tmp_path):
    """A build on the worker's disk."""
    path = tmp_path / "shop.ipa"
    path.write_bytes(BUILD)
    return path


def uploading(path, **fields):
    return TesterArmyUploadAppOperator(task_id="upload", project_id=APP, path=path, **fields)


def run(task, try_number=1):
    return task.execute({"ti": TaskInstance(lambda: None, try_number, 1)})


def listed():
    return [each for each in TesterArmyHook().list_apps(APP) if each.id != catalog.MOBILE_APP]


def test_a_build_is_uploaded_and_deleted(service, build):
    """All of its bytes arrive."""
    made = run(uploading(build, sha256=SHA256.upper(), remove_after="600"))
    (app,) = listed()
    assert (app.id, app.platform, app.file_size, app.remove_after) == (made, "ios", len(BUILD), 600)
    assert app.filename.startswith("shop-") and app.filename.endswith(".ipa")  # noqa: PT018
    delete = TesterArmyDeleteAppOperator(task_id="delete", project_id=APP, app_id=made)
    for _ in range(2):
        run(delete)
        assert listed() == []


def test_the_log_tells_the_progress(build, capsys):
    """And not the address, with which anybody could upload."""
    run(uploading(build))
    said = capsys.readouterr().out
    assert "Uploaded 100%" in said
    assert "app-uploads" not in said


def test_a_build_of_an_object_store(service):
    """Any that Airflow can read."""
    try:
        from airflow.sdk.io import attach
    except ImportError:
        from airflow.io.store import attach  # Airflow 2
    attach(protocol="memory", fs=MemoryFileSystem())
    path = ObjectStoragePath("memory://builds/shop.apk")
    path.write_bytes(BUILD)
    run(uploading(path))
    assert [(each.platform, each.file_size) for each in listed()] == [("android", len(BUILD))]


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("reset_after", "put_app"),
        ("status_after", "put_app"),
        ("reset_before", "put_app"),
        ("status", "put_app"),
        ("html", "request_app_upload"),
        ("reset_before", "confirm_app_upload"),
        ("reset_after", "confirm_app_upload"),
        ("status_after", "confirm_app_upload"),
        ("garbage", "confirm_app_upload"),
    ],
)
def test_a_hiccup_makes_one_app(service, build, kind, match):
    """A new address for each upload, and a search before a second confirmation."""
    service.control.faults.add(kind, match)
    made = run(uploading(build))
    assert [each.id for each in listed()] == [made]


def test_a_retry_finds_the_app(service, build):
    """The worker was lost after the confirmation, so nothing is uploaded again."""
    made = run(uploading(build))
    assert run(uploading(build), 2) == made
    assert len(service.control.log.entries("put_app")) == 1


def test_another_content_is_another_app(build):
    """Of the same name and size."""
    made = run(uploading(build))
    build.write_bytes(BUILD[::-1])
    assert run(uploading(build)) != made


def test_a_dead_object_store(service, build):
    """Airflow retries the task, and no app is made."""
    service.control.faults.add("status", "put_app", status=503, times=-1)
    with pytest.raises(ServiceUnavailable):
        run(uploading(build))
    assert listed() == []


@pytest.mark.parametrize("grow", [True, False], ids=["longer", "other bytes"])
def test_a_file_that_changes_is_not_confirmed(build, monkeypatch, grow):
    """It may be written at this moment."""
    checksum = upload.checksum_of

    def then_written(source, check):
        found = checksum(source, check)
        build.write_bytes(BUILD + b"!" if grow else BUILD[::-1])
        return found

    monkeypatch.setattr(upload, "checksum_of", then_written)
    with pytest.raises(ServiceUnavailable, match="changed"):
        run(uploading(build))
    assert listed() == []


@pytest.mark.parametrize("at", ["checksum_of", "Reader"])
def test_a_killed_task_leaves_no_app(build, monkeypatch, at):
    """Neither while it reads, nor while it sends."""
    task, part = uploading(build), getattr(upload, at)

    def killed(*args):
        task.on_kill()
        return part(*args)

    monkeypatch.setattr(upload, at, killed)
    with pytest.raises(RunInterrupted):
        run(task)
    assert listed() == []


def test_a_task_killed_after_the_confirmation_deletes_the_app(service, build, monkeypatch):
    """The signal arrives before the id is an XCom."""
    from airflow_provider_testerarmy.lifecycle.resources import ResourceTry

    task, note = uploading(build), ResourceTry._note_sending

    def killed(one_try):
        note(one_try)
        task.on_kill()

    monkeypatch.setattr(ResourceTry, "_note_sending", killed)
    with pytest.raises(RunInterrupted):
        run(task)
    assert len(service.control.log.entries("confirm_app_upload")) == 1
    assert listed() == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"sha256": "abc"}, "sha256"),
        ({"remove_after": 59}, "remove_after"),
        ({"path": "/no/such.ipa"}, "cannot be read"),
        ({"path": "nothing://bucket/shop.ipa"}, "nothing"),
        ({"path": "{{ none }}"}, "path"),
        ({"project_id": "short-id"}, "project_id"),
        ({"project_id": catalog.PROJECT_SHOP}, "not mobile"),
        ({"filename": "build.txt"}, "must end with"),
    ],
)
def test_bad_input_is_refused(service, build, fields, said):
    """Nothing is uploaded."""
    task = TesterArmyUploadAppOperator(task_id="upload", **{"project_id": APP, "path": build, **fields})
    task.render_template_fields({})
    with pytest.raises(RequestRefused, match=said):
        run(task)
    assert not service.control.log.entries("put_app")


def test_an_empty_file_is_refused(tmp_path):
    """It is no build."""
    (tmp_path / "empty.ipa").touch()
    with pytest.raises(RequestRefused, match="empty"):
        run(uploading(tmp_path / "empty.ipa"))


@pytest.mark.parametrize("kind", [TesterArmyUploadAppOperator, TesterArmyDeleteAppOperator])
def test_every_field_that_is_data_is_templated(kind):
    """A parameter that is not templated would fail this test."""
    assert own_parameters(kind) == set(kind.template_fields)


MEASURED = """if True:
    import resource, sys
    from airflow_provider_testerarmy.operators.testerarmy import TesterArmyUploadAppOperator
    from tests.lifecycle.tries import TaskInstance

    def upload(path):
        task = TesterArmyUploadAppOperator(task_id="upload", project_id=sys.argv[1], path=path)
        task.execute({"ti": TaskInstance(lambda: None, 1, 0)})
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    small, large = map(upload, sys.argv[2:])
    print((large - small) / 1024)
"""


@pytest.mark.integration
def test_two_gigabytes_need_less_than_64_mib(service, build, tmp_path):
    """The peak of the worker's memory grows by less than that over a small upload."""
    large = tmp_path / "large.ipa"
    with large.open("wb") as file:
        file.truncate(2 * 1024**3)
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(MEASURED), APP, str(build), str(large)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout.splitlines()[-1]) < 64
    assert sorted(each.file_size for each in listed()) == [len(BUILD), 2 * 1024**3]


def test_bytes_that_arrive_damaged_are_not_confirmed(service, build, monkeypatch):
    """The store compares the checksum of the worker with that of the bytes."""
    true = upload.checksum_of
    monkeypatch.setattr(
        upload, "checksum_of", lambda *args: replace(true(*args), md5="1B2M2Y8AsgTpgAmY7PhCfg==")
    )
    with pytest.raises(RequestRefused, match=r"put app .*400 Bad Request"):
        run(uploading(build))
    assert listed() == []
    assert len(service.control.log.entries("put_app")) == 4
