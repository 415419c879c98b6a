"""What belongs to a project beside its tests: credentials, memories, files, apps and uploads; in memory."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request, conflict, not_found
from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

if TYPE_CHECKING:
    from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock

Json = dict[str, Any]

#: The vendor documents that there are limits, but not these numbers.
MOST_MEMORIES = 20
UPLOAD_SECONDS = 900.0
_IMPORTANCE = {"low": 0, "medium": 1, "high": 2}
_SUFFIXES = {".apk": "android", ".aab": "android", ".ipa": "ios", ".zip": "ios", ".tar.gz": "ios"}


@dataclass(slots=True)
class Upload:
    """An upload that was requested: whoever has its token may send the bytes, once.

    :param received: the bytes that arrived, or None before.
    :param url: where to send the bytes; empty for the sandbox's own store.
    """

    project_id: str
    filename: str
    size: int
    remove_after: int | None
    expires: float
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    storage_key: str = field(default_factory=lambda: f"tmp/{uuid.uuid4()}")
    received: int | None = None
    digest: str = ""
    url: str = ""


class ObjectStore(Protocol):
    """Receives the bytes of uploads in place of the sandbox's own store."""

    def upload_url(self, key: str, size: int, seconds: float) -> str:
        """Return a URL that takes so many bytes by PUT, for so many seconds."""

    def size_of(self, key: str) -> int | None:
        """Return the size of an object, or None if there is none."""

    def remove(self, key: str) -> None:
        """Remove an object."""


class Workspace:
    """Credentials, memories, files, apps and uploads by project; only the routes use it, in one thread.

    :param object_store: receives the bytes of uploads; None for the sandbox's own store.
    """

    def __init__(self, clock: SandboxClock, object_store: ObjectStore | None = None) -> None:
        self._clock = clock
        self._object_store = object_store
        self.clear()

    def clear(self) -> None:
        """Restore what the account had at first."""
        self.credentials: dict[str, list[Json]] = {}
        self.memories: dict[str, list[Json]] = {}
        self.files: dict[str, list[Json]] = {catalog.PROJECT_SHOP: [_invoice()]}
        self._apps: dict[str, tuple[str, Json]] = {catalog.MOBILE_APP: (catalog.PROJECT_APP, _first_app())}
        self.uploads: dict[str, Upload] = {}

    def forget(self, project_id: str) -> None:
        """Delete everything of a project."""
        for part in (self.credentials, self.memories, self.files):
            part.pop(project_id, None)
        self._apps = {key: value for key, value in self._apps.items() if value[0] != project_id}
        self.uploads = {key: value for key, value in self.uploads.items() if value.project_id != project_id}

    # Credentials: their secrets are dropped.

    def add_credential(self, project_id: str, fields: Json) -> Json:
        """Add a credential, and return it as the API shows it."""
        kind = fields["kind"]
        inbox = f"{uuid.uuid4().hex[:12]}@inbox.sandbox.example"
        credential = {
            "id": str(uuid.uuid4()),
            "kind": kind,
            "authMethod": fields.get("authMethod") or "password",
            "label": fields["label"],
            "username": inbox if kind == "inbox" else fields.get("username", ""),
            "hasAuthInstructions": "authInstructions" in fields,
            "createdAt": self._now(),
        }
        self.credentials.setdefault(project_id, []).append(credential)
        return credential

    # Memories

    def add_memory(self, project_id: str, fields: Json) -> tuple[Json, int]:
        """Add a memory; return it, and how many less important ones were deleted for it, or raise CONFLICT."""
        kept = self.memories.setdefault(project_id, [])
        pruned = 0
        if len(kept) >= MOST_MEMORIES:
            least = min(kept, key=lambda each: _IMPORTANCE[each["importance"]])
            if _IMPORTANCE[least["importance"]] >= _IMPORTANCE[fields["importance"]]:
                raise conflict(f"The project has {MOST_MEMORIES} memories, none of which is less important")
            kept.remove(least)
            pruned = 1
        memory = {"id": str(uuid.uuid4()), **fields, "createdAt": self._now(), "updatedAt": self._now()}
        kept.append(memory)
        return memory, pruned

    def delete_memory(self, project_id: str, memory_id: str) -> None:
        """Delete a memory, or raise NOT_FOUND."""
        kept = self.memories.get(project_id, [])
        found = [each for each in kept if each["id"] == memory_id.lower()]
        if not found:
            raise not_found(f"Memory {memory_id} not found")
        kept.remove(found[0])

    # Apps

    def apps_of(self, project_id: str) -> list[Json]:
        """Return the apps of a project that have not expired."""
        return [app for owner, app in self._apps.values() if owner == project_id and not self._expired(app)]

    def has_app(self, app_id: str) -> bool:
        """Whether an app exists and has not expired."""
        found = self._apps.get(app_id.lower())
        return found is not None and not self._expired(found[1])

    def delete_app(self, project_id: str, app_id: str) -> None:
        """Delete an app, or raise NOT_FOUND."""
        found = self._apps.get(app_id.lower())
        if found is None or found[0] != project_id or self._expired(found[1]):
            raise not_found(f"Mobile app {app_id} not found")
        del self._apps[app_id.lower()]

    def add_app(self, project_id: str, filename: str, size: int, remove_after: int | None) -> Json:
        """Add an app, or raise BAD_REQUEST for a file that is no app."""
        platform = platform_of(filename)
        now, app_id = self._clock.time(), str(uuid.uuid4())
        app = {
            "id": app_id,
            "platform": platform,
            "filename": filename,
            "bundleId": "com.acme.shop",
            "appVersion": None,
            "buildVersion": None,
            "fileSize": size,
            "source": "api_upload",
            "expiresAt": None if remove_after is None else iso(now + remove_after),
            "removeAfter": remove_after,
            "createdAt": iso(now),
        }
        self._apps[app_id] = (project_id, app)
        return app

    # Uploads

    def open_upload(self, project_id: str, filename: str, size: int, remove_after: int | None) -> Upload:
        """Return an upload that may be made within 15 minutes, once."""
        platform_of(filename)
        expires = self._clock.time() + UPLOAD_SECONDS
        upload = Upload(project_id, filename, size, remove_after, expires)
        if self._object_store is not None:
            upload.url = self._object_store.upload_url(upload.storage_key, size, UPLOAD_SECONDS)
        self.uploads[upload.storage_key] = upload
        return upload

    def upload_by(self, token: str) -> Upload:
        """Return the upload that a token allows, or raise an error of the object store."""
        found = next((each for each in self.uploads.values() if each.token == token), None)
        if found is None:
            raise ApiError(403, "AccessDenied", "The signature is unknown")
        if self._clock.time() > found.expires:
            raise ApiError(403, "AccessDenied", "Request has expired")
        if found.received is not None:
            raise ApiError(403, "AccessDenied", "The upload was already made")
        return found

    def confirm(self, project_id: str, fields: Json) -> Json:
        """Make an app of an uploaded file, or raise BAD_REQUEST."""
        upload = self.uploads.get(fields["storageKey"])
        if upload is None or upload.project_id != project_id or self._received(upload) is None:
            raise bad_request("UPLOAD_NOT_FOUND", "storageKey: nothing was uploaded there")
        if (upload.filename, upload.size) != (fields["filename"], fields["fileSize"]):
            raise bad_request("UPLOAD_MISMATCH", "filename, fileSize: differ from the requested upload")
        if self._received(upload) != upload.size:
            raise bad_request("UPLOAD_MISMATCH", "fileSize: differs from what was uploaded")
        del self.uploads[upload.storage_key]
        if self._object_store is not None:
            self._object_store.remove(upload.storage_key)
        remove_after = fields.get("removeAfter", upload.remove_after)
        return self.add_app(project_id, upload.filename, upload.size, remove_after)

    def _received(self, upload: Upload) -> int | None:
        if self._object_store is not None:
            return self._object_store.size_of(upload.storage_key)
        return upload.received

    def _expired(self, app: Json) -> bool:
        return app["expiresAt"] is not None and app["expiresAt"] <= self._now()

    def _now(self) -> str:
        return iso(self._clock.time())


def platform_of(filename: str) -> str:
    """Return the platform of an app by its file name, or raise BAD_REQUEST."""
    for suffix, platform in _SUFFIXES.items():
        if filename.lower().endswith(suffix):
            return platform
    raise bad_request("UNSUPPORTED_FILE", f"filename: must end with one of {', '.join(_SUFFIXES)}")


def _first_app() -> Json:
    return {
        "id": catalog.MOBILE_APP,
        "platform": "ios",
        "filename": "acme-shop.ipa",
        "bundleId": "com.acme.shop",
        "appVersion": "4.2.0",
        "buildVersion": "1042",
        "fileSize": 48_213_504,
        "source": "manual_upload",
        "expiresAt": None,
        "removeAfter": None,
        "createdAt": catalog.CREATED_AT,
    }


def _invoice() -> Json:
    return {
        "id": catalog.PROJECT_FILE,
        "projectId": catalog.PROJECT_SHOP,
        "filename": "invoice.pdf",
        "mediaType": "application/pdf",
        "fileSize": 18_204,
        "description": "An invoice for the upload form.",
        "summary": None,
        "createdAt": catalog.CREATED_AT,
    }
