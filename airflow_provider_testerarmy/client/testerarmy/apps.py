"""Mobile apps of a TesterArmy project, and the two ways to upload one.

``POST /projects/{projectId}/mobile`` sends the whole file to the service. For large files there are three steps:
:func:`request_app_upload`, :func:`put_app` at an object store, and :func:`confirm_app_upload`.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.http.operation import Content, Operation
from airflow_provider_testerarmy.client.http.wire import Lenient, Moment, RequestModel, Text, WireModel
from airflow_provider_testerarmy.client.testerarmy.fields import (
    Deleted,
    FileSize,
    RemoveAfter,
    call,
    mobile_path,
)
from airflow_provider_testerarmy.client.testerarmy.operations import check_id

#: The slowest upload that is waited for, in bytes per second, and the time for anything else.
_SLOWEST: Final = 256 * 1024
_OTHERWISE: Final = 120.0
#: What would end a quoted file name in a header.
_UNSAFE: Final = re.compile(r'[\x00-\x1f"\\]')


class MobileApp(WireModel):
    """An uploaded app; ``file_size`` is in bytes, ``remove_after`` in seconds."""

    id: str
    platform: Lenient[str] = None
    filename: Lenient[str] = None
    bundle_id: Lenient[str] = None
    app_version: Lenient[str] = None
    build_version: Lenient[str] = None
    file_size: Lenient[float] = None
    source: Lenient[str] = None
    expires_at: Lenient[Moment] = None
    remove_after: Lenient[int] = None
    created_at: Lenient[Moment] = None


class AppList(WireModel):
    """The response of ``GET /projects/{projectId}/mobile``."""

    apps: tuple[MobileApp, ...]


class AppSaved(WireModel):
    """The response to an uploaded app."""

    app: MobileApp


class AppUpload(WireModel):
    """Where to upload an app. Whoever has ``upload_url`` can upload, so ``repr`` does not show it."""

    upload_url: str
    storage_key: str
    filename: Lenient[str] = None
    file_size: Lenient[int] = None
    remove_after: Lenient[int] = None

    def __repr_args__(self) -> Any:
        return [(name, value) for name, value in super().__repr_args__() if name != "upload_url"]

    def __str__(self) -> str:
        return repr(self)


class AppUploadRequest(RequestModel):
    """Body of ``POST /projects/{projectId}/mobile/upload``."""

    filename: Text
    file_size: FileSize
    remove_after: RemoveAfter | None = None


class AppConfirmation(AppUploadRequest):
    """Body of ``POST /projects/{projectId}/mobile/upload/confirm``."""

    storage_key: Text


class AppOptions(RequestModel):
    """The fields of ``POST /projects/{projectId}/mobile`` beside the file."""

    filename: Text
    remove_after: RemoveAfter | None = None


def list_apps(project_id: str) -> Operation[tuple[MobileApp, ...]]:
    """``GET /projects/{projectId}/mobile``."""
    return call("list apps", "GET", mobile_path(project_id), AppList).then(lambda answer: answer.apps)


def delete_app(project_id: str, app_id: str) -> Operation[Deleted]:
    """``DELETE /projects/{projectId}/mobile/{appId}``: 404 when it does not exist any more."""
    path = mobile_path(project_id, f"/{check_id(app_id, 'app_id')}")
    return call("delete app", "DELETE", path, Deleted)


def upload_app(project_id: str, content: bytes, options: AppOptions) -> Operation[MobileApp]:
    """``POST /projects/{projectId}/mobile``: the whole file in one request, from memory."""
    form = _form(content, options)
    return Operation(
        "upload app",
        "POST",
        mobile_path(project_id),
        AppSaved.model_validate,
        content=form,
        repeatable=False,
        total=_time_for(form.size),
    ).then(lambda saved: saved.app)


def _form(content: bytes, options: AppOptions) -> Content:
    """The file and its options as ``multipart/form-data`` (RFC 7578)."""
    if _UNSAFE.search(options.filename):
        raise RequestInvalid("filename has a quote, a backslash or a control character.")
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{options.filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode(),
        content,
        b"\r\n",
    ]
    if options.remove_after is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="removeAfter"\r\n\r\n'
        parts.append(f"{head}{options.remove_after}\r\n".encode())
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Content(lambda: io.BytesIO(body), len(body), f"multipart/form-data; boundary={boundary}")


def request_app_upload(project_id: str, request: AppUploadRequest) -> Operation[AppUpload]:
    """``POST /projects/{projectId}/mobile/upload``: a URL for one upload. A repeat returns another one."""
    return call("request app upload", "POST", mobile_path(project_id, "/upload"), AppUpload, request.body())


def put_app(
    upload: AppUpload, open_file: Callable[[], BinaryIO], size: int, *, md5: str = ""
) -> Operation[None]:
    """``PUT`` of the file at the object store, without the API key.

    :param open_file: opens the file at its beginning; a retry calls it again.
    :param size: its bytes.
    :param md5: its MD5 in Base64, which the store compares; empty for no comparison.
    """
    if "://" not in upload.upload_url:
        raise RequestInvalid("The service returned an upload URL that is not a URL.")
    return Operation(
        "put app",
        "PUT",
        upload.upload_url,
        lambda _nothing: None,
        content=Content(open_file, size, md5=md5),
        authorized=False,
        has_answer=False,
        total=_time_for(size),
    )


def confirm_app_upload(project_id: str, request: AppConfirmation) -> Operation[MobileApp]:
    """``POST /projects/{projectId}/mobile/upload/confirm``: makes an app of the uploaded file."""
    path = mobile_path(project_id, "/upload/confirm")
    return call("confirm app upload", "POST", path, AppSaved, request.body(), repeatable=False).then(
        lambda saved: saved.app
    )


def _time_for(size: int) -> float:
    return _OTHERWISE + size / _SLOWEST
