"""A server with S3's API, whose requests can be held, and the bucket that receives uploads of mobile builds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Self

import boto3
from botocore.config import Config
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from airflow_provider_testerarmy.sandbox.core.faults import WITHOUT_EFFECT, FaultPlan

KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}


class S3Server:
    """A context manager that serves S3's API on a real socket.

    A fault (`timeout` or `timeout_after`) holds a request before or after its effect, until its client is gone.
    """

    def __init__(self) -> None:
        self.faults = FaultPlan()
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._serve, threaded=True, request_handler=MotoRequestHandler
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        #: The path of each object that was written.
        self.written: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        """Forget the faults and the log; objects stay."""
        self.faults.clear()
        self.written.clear()

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        fault = self.faults.take(method, path, None).answer
        if method == "PUT" and (fault is None or fault.kind not in WITHOUT_EFFECT):
            self.written.append(path)
        if fault is None:
            found: Iterable[bytes] = self._app(environ, start_response)
            return found
        if fault.kind not in WITHOUT_EFFECT:
            list(self._app(environ, lambda *_: None))
        while environ["werkzeug.socket"].recv(65_536):
            pass
        raise ConnectionAbortedError


class UploadBucket:
    """A context manager for the bucket that receives the uploads, by URLs that are signed for one object.

    The server checks neither the signature nor the checksum. The sandbox's own store does.
    """

    NAME = "uploads"

    def __init__(self, endpoint: str) -> None:
        config = Config(signature_version="s3v4")
        self.bucket = boto3.resource("s3", endpoint_url=endpoint, config=config, **KEYS).Bucket(self.NAME)

    def __enter__(self) -> Self:
        self.bucket.create()
        return self

    def __exit__(self, *_error: object) -> None:
        self.empty()
        self.bucket.delete()

    def empty(self) -> None:
        """Remove all objects."""
        self.bucket.objects.all().delete()

    def upload_url(self, key: str, size: int, seconds: float) -> str:
        """Return a URL that takes so many bytes by PUT, for so many seconds."""
        signed = {"Bucket": self.NAME, "Key": key, "ContentLength": size}
        client = self.bucket.meta.client
        return str(client.generate_presigned_url("put_object", Params=signed, ExpiresIn=int(seconds)))

    def size_of(self, key: str) -> int | None:
        """Return the size of an object, or None if there is none."""
        return next((each.size for each in self.bucket.objects.filter(Prefix=key)), None)

    def remove(self, key: str) -> None:
        """Remove an object."""
        self.bucket.Object(key).delete()
