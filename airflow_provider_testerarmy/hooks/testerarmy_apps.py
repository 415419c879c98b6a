"""The hook's methods for mobile apps of a TesterArmy project."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.hooks.base import ServiceHook
from airflow_provider_testerarmy.hooks.lazy import lazy_module

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.testerarmy import apps
else:
    apps = lazy_module("airflow_provider_testerarmy.client.testerarmy.apps")


class AppMethods(ServiceHook):
    """Methods for mobile apps."""

    def list_apps(self, project_id: str) -> tuple[apps.MobileApp, ...]:
        """The mobile apps of a project."""
        return self.send(apps.list_apps(project_id))

    async def alist_apps(self, project_id: str) -> tuple[apps.MobileApp, ...]:
        """Like :meth:`list_apps`, for an event loop."""
        return await self.asend(apps.list_apps(project_id))

    def delete_app(self, project_id: str, app_id: str) -> None:
        """Delete a mobile app."""
        self.send(apps.delete_app(project_id, app_id))

    async def adelete_app(self, project_id: str, app_id: str) -> None:
        """Like :meth:`delete_app`, for an event loop."""
        await self.asend(apps.delete_app(project_id, app_id))

    def upload_app(
        self, project_id: str, content: bytes, *, filename: str, remove_after: int | None = None
    ) -> apps.MobileApp:
        """Upload a small app in one request."""
        options = build_request(apps.AppOptions, filename=filename, remove_after=remove_after)
        return self.send(apps.upload_app(project_id, content, options))

    async def aupload_app(
        self, project_id: str, content: bytes, *, filename: str, remove_after: int | None = None
    ) -> apps.MobileApp:
        """Like :meth:`upload_app`, for an event loop."""
        options = build_request(apps.AppOptions, filename=filename, remove_after=remove_after)
        return await self.asend(apps.upload_app(project_id, content, options))

    def request_app_upload(
        self, project_id: str, *, filename: str, file_size: int, remove_after: int | None = None
    ) -> apps.AppUpload:
        """A URL for one upload of an app."""
        request = build_request(
            apps.AppUploadRequest, filename=filename, file_size=file_size, remove_after=remove_after
        )
        return self.send(apps.request_app_upload(project_id, request))

    async def arequest_app_upload(
        self, project_id: str, *, filename: str, file_size: int, remove_after: int | None = None
    ) -> apps.AppUpload:
        """Like :meth:`request_app_upload`, for an event loop."""
        request = build_request(
            apps.AppUploadRequest, filename=filename, file_size=file_size, remove_after=remove_after
        )
        return await self.asend(apps.request_app_upload(project_id, request))

    def put_app(self, upload: apps.AppUpload, open_file: Callable[[], BinaryIO], size: int) -> None:
        """Send the file to the URL of an upload, without the API key."""
        self.send(apps.put_app(upload, open_file, size))

    async def aput_app(self, upload: apps.AppUpload, open_file: Callable[[], BinaryIO], size: int) -> None:
        """Like :meth:`put_app`, for an event loop."""
        await self.asend(apps.put_app(upload, open_file, size))

    def confirm_app_upload(self, project_id: str, **fields: Any) -> apps.MobileApp:
        """Make an app of an uploaded file. The fields: storage_key, filename, file_size, remove_after."""
        return self.send(apps.confirm_app_upload(project_id, build_request(apps.AppConfirmation, **fields)))

    async def aconfirm_app_upload(self, project_id: str, **fields: Any) -> apps.MobileApp:
        """Like :meth:`confirm_app_upload`, for an event loop."""
        return await self.asend(
            apps.confirm_app_upload(project_id, build_request(apps.AppConfirmation, **fields))
        )
