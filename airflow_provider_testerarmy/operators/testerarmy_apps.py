"""The operators that upload and delete mobile apps of a TesterArmy project."""

from __future__ import annotations

import hashlib
import re
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.lifecycle.parameters import Deferred, Text, count, is_template, stable
from airflow_provider_testerarmy.operators.testerarmy_resource import TesterArmyResourceOperator
from airflow_provider_testerarmy.runs.rendered import given, is_nothing

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.testerarmy.apps import MobileApp
    from airflow_provider_testerarmy.lifecycle.resources import ResourceTry
    from airflow_provider_testerarmy.lifecycle.upload import Checksum, Source

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
#: The suffixes of builds, the longer ones first.
_SUFFIX: Final = re.compile(r"(\.tar)?\.[A-Za-z0-9]{1,8}$")
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")


class TesterArmyUploadAppOperator(TesterArmyResourceOperator):
    """Uploads a mobile build, in pieces of bounded size (``POST /projects/{projectId}/mobile/upload``).

    The XCom is the id of the app, for the parameter ``app_id`` of the operators that start runs.

    The name of the app has eight digits for the task and the content. By them, a retry finds an app whose
    confirmation got no response.

    :param path: str, PathLike or object-store URL; the build: ``.ipa``, ``.apk`` and others. URLs such as
        ``s3://bucket/app.ipa`` need the provider package of the store.
    :param filename: str or None; the name of the app. None uses the name of the file.
    :param remove_after: int, its text or None; seconds, from 60 to 604800, after which the service deletes the app.
    :param sha256: str or None; the SHA-256 of the build in hexadecimal. A build with another one is not uploaded.
    :raises RequestRefused: when the task runs, for an invalid parameter, a file that cannot be read, or a wrong
        ``sha256``. Nothing was uploaded.
    """

    template_fields = (
        *TesterArmyResourceOperator.common_template_fields,
        "path",
        "filename",
        "remove_after",
        "sha256",
    )

    def __init__(
        self,
        *,
        path: str | PathLike[str] | Deferred,
        filename: Text | None = None,
        remove_after: int | str | Deferred | None = None,
        sha256: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path: Any = stable(path)
        self.filename = filename
        self.remove_after = remove_after
        self.sha256 = sha256
        self._required(path=self.path)
        if not is_nothing(remove_after) and not is_template(remove_after):
            count(remove_after, "remove_after")

    def execute(self, context: Any) -> str:
        """Upload the build, and return the app's id.

        :raises TestRunError: see the class.
        """
        with self._opened(context, f"app of {str(self.path)[-100:]!r}") as one_try:
            from airflow_provider_testerarmy.client.http.errors import RequestInvalid
            from airflow_provider_testerarmy.lifecycle.upload import Source, checksum_of

            wanted = str(given(self.sha256) or "").strip().lower()
            if wanted and not _SHA256.fullmatch(wanted):
                raise RequestInvalid("sha256 must have 64 hexadecimal digits.")
            if is_nothing(self.path):
                raise RequestInvalid("path is empty; a template may have rendered to nothing.")
            fields = {"remove_after": count(self.remove_after, "remove_after")}
            source = Source.of(str(self.path).strip())
            checksum = checksum_of(source, one_try.check)
            self.log.info("%s: %d bytes, SHA-256 %s.", source.path, source.size, checksum.sha256)
            if wanted not in ("", checksum.sha256):
                raise RequestInvalid(f"The SHA-256 of {source.path!r} is {checksum.sha256}, not {wanted}.")
            name = self._name(context["ti"], source, checksum)
            app = self._upload(one_try, source, checksum, {"filename": name, **fields})
            self.log.info("The app %s is ready as %r.", app.id, name)
            return app.id

    def _upload(
        self, one_try: ResourceTry, source: Source, checksum: Checksum, fields: dict[str, Any]
    ) -> MobileApp:
        from airflow_provider_testerarmy.client.http.wire import build_request
        from airflow_provider_testerarmy.client.testerarmy import apps
        from airflow_provider_testerarmy.lifecycle.upload import Reader

        project, size, name = str(self.project_id), source.size, fields["filename"]
        find = apps.list_apps(project).then(
            lambda found: next((a for a in found if _is(a, name, size)), None)
        )
        if (app := one_try.ask(find)) is not None:
            return app
        request = build_request(apps.AppUploadRequest, file_size=size, **fields)

        def opened() -> Any:
            return Reader(source, checksum, one_try.check, self.log)

        upload = one_try.send(
            lambda: apps.request_app_upload(project, request),
            lambda target: apps.put_app(target, opened, size, md5=checksum.md5),
        )
        confirmation = build_request(
            apps.AppConfirmation, file_size=size, storage_key=upload.storage_key, **fields
        )
        return one_try.ensure(
            find,
            apps.confirm_app_upload(project, confirmation),
            lambda made: apps.delete_app(project, made.id),
        ).value

    def _name(self, ti: Any, source: Source, checksum: Checksum) -> str:
        from airflow_provider_testerarmy.lifecycle.record_store import identity_of

        name = _ODD.sub("_", str(given(self.filename) or source.name).strip())[-150:]
        digest = hashlib.sha256(f"{identity_of(ti)} {checksum.sha256}".encode("utf-8", "replace"))
        suffix = _SUFFIX.search(name)
        end = suffix.start() if suffix else len(name)
        return f"{name[:end]}-{digest.hexdigest()[:8]}{name[end:]}"


class TesterArmyDeleteAppOperator(TesterArmyResourceOperator):
    """Deletes a mobile app (``DELETE /projects/{projectId}/mobile/{appId}``); succeeds if it does not exist.

    :param app_id: UUID or its text; the id of the app.
    :raises RequestRefused: when the task runs, for an invalid parameter.
    """

    template_fields = (*TesterArmyResourceOperator.common_template_fields, "app_id")

    def __init__(self, *, app_id: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app_id = app_id
        self._required(app_id=app_id)

    def execute(self, context: Any) -> None:
        """Delete the app.

        :raises TestRunError: see the class.
        """
        with self._opened(context, f"app {str(self.app_id)[:50]}") as one_try:
            from airflow_provider_testerarmy.client.testerarmy import apps

            deleted = one_try.remove(apps.delete_app(str(self.project_id), str(self.app_id)))
            self.log.info("The app %s %s.", self.app_id, "was deleted" if deleted else "does not exist")


def _is(app: MobileApp, name: str, size: int) -> bool:
    return app.filename == name and app.file_size in (None, size)
