"""Mobile apps, and the object store that receives their bytes."""

from __future__ import annotations

import base64
import hashlib

import pytest

from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.sandbox.conftest import client_of

APP = f"/projects/{catalog.PROJECT_APP}/mobile"
BYTES = b"PK\3\4 an app"
ASKED = {"filename": "shop.apk", "fileSize": len(BYTES)}


def ask(api, **fields):
    """Request an upload."""
    return api.post(f"{APP}/upload", json=ASKED | fields).json()


def put(api, upload, content=BYTES, **headers):
    """Send the bytes, without an API key."""
    request = api.build_request("PUT", upload["uploadUrl"], content=content, headers=headers)
    del request.headers["authorization"]
    return api.send(request)


def confirm(api, upload, **fields):
    """Confirm an upload."""
    return api.post(f"{APP}/upload/confirm", json=ASKED | {"storageKey": upload["storageKey"]} | fields)


def test_an_app_is_uploaded_in_three_steps(api):
    """It can be run then, and is gone after its deletion."""
    upload = ask(api)
    assert put(api, upload).status_code == 200
    app = confirm(api, upload).json()["app"]
    assert (app["platform"], app["fileSize"], app["expiresAt"]) == ("android", len(BYTES), None)
    assert app in api.get(APP).json()["apps"]
    run = {"platform": "android", "appId": app["id"]}
    assert api.post(f"/tests/{catalog.TEST_MOBILE}/runs", json=run).status_code == 202
    assert [api.delete(f"{APP}/{app['id']}").status_code for _ in range(2)] == [200, 404]
    assert api.post(f"/tests/{catalog.TEST_MOBILE}/runs", json=run).status_code == 404


def test_an_upload_is_made_once(api):
    """Neither its URL nor its confirmation can be used again."""
    upload = ask(api)
    assert confirm(api, upload).status_code == 400
    assert [put(api, upload).status_code for _ in range(2)] == [200, 403]
    assert [confirm(api, upload).status_code for _ in range(2)] == [201, 400]


def test_an_upload_expires(api, sandbox):
    """After 15 minutes."""
    upload = ask(api)
    sandbox.clock.advance(901)
    answer = put(api, upload)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/xml")
    assert "expired" in answer.text


def test_the_size_is_checked(api):
    """Before the bytes are read."""
    upload = ask(api)
    assert put(api, upload, BYTES + b"!").status_code == 403
    assert put(api, upload).status_code == 200
    assert confirm(api, upload, fileSize=1).status_code == 400


@pytest.mark.parametrize(
    ("header", "digest"),
    [("content-md5", hashlib.md5(BYTES)), ("x-amz-checksum-sha256", hashlib.sha256(BYTES))],
)
def test_a_checksum_is_checked(api, header, digest):
    """A wrong one leaves the upload as it was."""
    upload = ask(api)
    assert put(api, upload, **{header: base64.b64encode(b"wrong").decode()}).status_code == 400
    assert put(api, upload, **{header: base64.b64encode(digest.digest()).decode()}).status_code == 200


def test_nobody_guesses_an_upload(api):
    """An unknown token is refused."""
    upload = ask(api) | {"uploadUrl": "http://sandbox/app-uploads/guess"}
    assert put(api, upload).status_code == 403


def test_an_app_goes_after_its_time(api, sandbox):
    """`removeAfter` is in seconds."""
    upload = ask(api, removeAfter=60)
    put(api, upload)
    app = confirm(api, upload).json()["app"]
    assert app["expiresAt"] == "2026-02-11T12:01:00.000Z"
    sandbox.clock.advance(61)
    assert app["id"] not in [each["id"] for each in api.get(APP).json()["apps"]]


def test_an_app_is_uploaded_in_one_request(api):
    """As a form."""
    answer = api.post(APP, files={"file": ("shop.ipa", BYTES)}, data={"removeAfter": "60"})
    app = answer.json()["app"]
    assert (answer.status_code, app["platform"], app["fileSize"], app["removeAfter"]) == (
        201,
        "ios",
        len(BYTES),
        60,
    )


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({"file": ("shop.exe", BYTES)}, {}),
        ({"other": ("shop.ipa", BYTES)}, {}),
        ({"file": ("shop.ipa", BYTES)}, {"removeAfter": "59"}),
        ({"file": ("shop.ipa", BYTES)}, {"removeAfter": "soon"}),
    ],
)
def test_a_wrong_form_is_refused(api, files, data):
    """With the error that says why."""
    assert api.post(APP, files=files, data=data).status_code == 400


def test_only_mobile_projects_have_apps(api):
    """A web project refuses."""
    assert api.get(f"/projects/{catalog.PROJECT_SHOP}/mobile").status_code == 400


def test_faults_apply_to_uploads(api, sandbox):
    """By the operation's name, in the format of object stores."""
    sandbox.faults.add("status", "put_app", status=503)
    upload = ask(api)
    answer = put(api, upload)
    assert (answer.status_code, answer.text[:7]) == (503, "<Error>")
    assert put(api, upload).status_code == 200


class Elsewhere(dict):
    """An object store that is not the sandbox's: sizes by key."""

    size_of, remove = dict.get, dict.pop

    def upload_url(self, key, size, seconds):
        """An address that nobody serves."""
        return f"https://store.example/{key}?size={size}&seconds={seconds:.0f}"


def test_bytes_may_go_to_another_object_store(runner):
    """The sandbox reads there how many have arrived, and removes them when they are an app."""
    store = Elsewhere()
    api = client_of(Sandbox(object_store=store), runner)
    upload = ask(api)
    key = upload["storageKey"]
    assert upload["uploadUrl"] == f"https://store.example/{key}?size={len(BYTES)}&seconds=900"
    assert confirm(api, upload).json()["error"] == "UPLOAD_NOT_FOUND"
    store[key] = len(BYTES) - 1
    assert confirm(api, upload).json()["error"] == "UPLOAD_MISMATCH"
    store[key] = len(BYTES)
    assert confirm(api, upload).status_code == 201
    assert store == {}
