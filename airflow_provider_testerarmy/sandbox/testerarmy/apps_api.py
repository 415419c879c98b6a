"""The routes of the TesterArmy API for mobile apps, and the object store that receives their bytes."""

import base64
import hashlib
from email import message_from_bytes
from typing import Annotated, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import read_body, read_limited
from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request
from airflow_provider_testerarmy.sandbox.core.http import json_answer, origin_of
from airflow_provider_testerarmy.sandbox.testerarmy.calls import find_project, store_of, uuid_path
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Project
from airflow_provider_testerarmy.sandbox.testerarmy.project_bodies import ConfirmBody, UploadBody
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunStore

#: Larger apps need the upload in three steps.
MOST_FORM_BYTES = 20_000_000
UPLOADS = "/app-uploads"

router = APIRouter()
object_store = APIRouter()
ProjectId = Annotated[str, uuid_path("projectId")]


@router.get("/projects/{projectId}/mobile")
async def list_apps(request: Request, project_id: ProjectId) -> Response:
    """List the apps of a mobile project."""
    store = store_of(request)
    return json_answer({"apps": store.workspace.apps_of(_mobile_project(store, project_id).id)})


@router.post("/projects/{projectId}/mobile")
async def upload_app(request: Request, project_id: ProjectId) -> Response:
    """Upload an app in one request."""
    store = store_of(request)
    project = _mobile_project(store, project_id)
    filename, content, remove_after = _form(request, await read_limited(request, MOST_FORM_BYTES))
    app = store.workspace.add_app(project.id, filename, len(content), remove_after)
    return json_answer({"app": app}, 201)


@router.delete("/projects/{projectId}/mobile/{appId}")
async def delete_app(
    request: Request, project_id: ProjectId, app_id: Annotated[str, uuid_path("appId")]
) -> Response:
    """Delete an app."""
    store = store_of(request)
    store.workspace.delete_app(_mobile_project(store, project_id).id, app_id)
    return json_answer({"deleted": True})


@router.post("/projects/{projectId}/mobile/upload")
async def request_upload(request: Request, project_id: ProjectId) -> Response:
    """Return a URL for one upload."""
    body = await read_body(request, UploadBody)
    store = store_of(request)
    project = _mobile_project(store, project_id)
    upload = store.workspace.open_upload(project.id, body.filename, body.file_size, body.remove_after)
    return json_answer(
        {
            "uploadUrl": upload.url or f"{origin_of(request)}{UPLOADS}/{upload.token}",
            "storageKey": upload.storage_key,
            "filename": upload.filename,
            "fileSize": upload.size,
            "removeAfter": upload.remove_after,
        }
    )


@router.post("/projects/{projectId}/mobile/upload/confirm")
async def confirm_upload(request: Request, project_id: ProjectId) -> Response:
    """Make an app of an uploaded file."""
    body = await read_body(request, ConfirmBody)
    store = store_of(request)
    project = _mobile_project(store, project_id)
    return json_answer({"app": store.workspace.confirm(project.id, body.sent())}, 201)


@object_store.put("/{token}")
async def put_app(request: Request, token: str) -> Response:
    """Receive the bytes of an upload: once, all of them, with the checksum that the client states."""
    upload = store_of(request).workspace.upload_by(token)
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise ApiError(411, "MissingContentLength", "The upload needs a Content-Length")
    if int(length) != upload.size:
        raise ApiError(403, "SignatureDoesNotMatch", f"The signed length is {upload.size} bytes")
    size, sha256, md5 = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    async for chunk in request.stream():
        size += len(chunk)
        sha256.update(chunk)
        md5.update(chunk)
    stated = {"content-md5": md5.digest(), "x-amz-checksum-sha256": sha256.digest()}
    for header, digest in stated.items():
        if request.headers.get(header, "") not in ("", base64.b64encode(digest).decode()):
            raise ApiError(400, "BadDigest", f"{header} does not match the bytes")
    if size != upload.size:
        raise ApiError(400, "IncompleteBody", f"{size} of {upload.size} bytes arrived")
    upload.received, upload.digest = size, sha256.hexdigest()
    return Response(headers={"etag": f'"{md5.hexdigest()}"'})


def store_error_body(code: str, message: str) -> bytes:
    """Return an error as object stores send it."""
    text = message.replace("&", "&amp;").replace("<", "&lt;")
    return f"<Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()


def store_error(error: ApiError) -> Response:
    """Return the response for an error of the object store."""
    body = store_error_body(error.code, error.message)
    return Response(body, status_code=error.status, media_type="application/xml")


def _mobile_project(store: RunStore, project_id: str) -> Project:
    project = find_project(store.catalog, project_id.lower())
    if project.kind != "mobile":
        raise bad_request("NOT_A_MOBILE_PROJECT", f"The project {project.name} is not mobile")
    return project


def _form(request: Request, content: bytes) -> tuple[str, bytes, int | None]:
    """The file name, the file and the seconds to keep it, from a multipart body."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise bad_request("BAD_REQUEST", "The body must be sent as multipart/form-data")
    # latin-1 maps each byte to a character; a header with a line break would end the head.
    head = f"Content-Type: {' '.join(kind.split())}\r\n\r\n".encode("latin-1", "replace")
    message = message_from_bytes(head + content)
    parts: list[Any] = message.get_payload() if message.is_multipart() else []  # type: ignore[assignment]
    fields = {part.get_param("name", header="content-disposition"): part for part in parts}
    file = fields.get("file")
    filename = file.get_filename() if file is not None else None
    if file is None or not filename:
        raise bad_request("BAD_REQUEST", "file: a file is required")
    return str(filename), file.get_payload(decode=True) or b"", _seconds(fields.get("removeAfter"))


def _seconds(part: Any) -> int | None:
    if part is None:
        return None
    text = (part.get_payload(decode=True) or b"").decode("ascii", "replace")
    if not text.isdigit() or not 60 <= int(text[:9]) <= 604_800:
        raise bad_request("BAD_REQUEST", "removeAfter: must be from 60 to 604800")
    return int(text)
