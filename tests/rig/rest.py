"""A small client for Airflow's REST API. It signs in, and returns JSON or raises clear errors."""

import json
import time
from typing import Any

import httpx

#: Seconds to wait before each retry after a 5xx answer. Airflow commits each request as a whole, so a failed one
#: has had no effect and can be repeated. SQLite's "database is locked" is such an answer (500).
RETRY_PAUSES = (0.2, 0.5, 1.0)


class RestError(AssertionError):
    """The REST API refused a request. `status` is the HTTP status, 0 if there was no answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotFoundError(RestError):
    """The object does not exist (yet): status 404."""


class UnavailableError(RestError):
    """The API server is down, is restarting, or answers 5xx."""


class RestClient:
    """Requests to `/api/v2` of one Airflow.

    Args:
        base_url: the address of the API server, without a path.
        user: a user name of the simple auth manager.
        password: the password of that user.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, base_url: str, user: str, password: str, *, timeout: float = 30) -> None:
        self._credentials = {"username": user, "password": password}
        self._http = httpx.Client(base_url=base_url, timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **params: object) -> Any:
        """Return the JSON of a GET."""
        return self.request("GET", path, params=params).json()

    def post(self, path: str, body: object) -> Any:
        """Return the JSON of a POST."""
        return self.request("POST", path, body=body).json()

    def patch(self, path: str, body: object) -> Any:
        """Return the JSON of a PATCH."""
        return self.request("PATCH", path, body=body).json()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        """Send one request to `/api/v2{path}`, or, if `path` starts with `//`, to `path` without its first slash.

        Raises:
            NotFoundError: on 404.
            UnavailableError: no connection, no answer in time, or 5xx on every retry.
            RestError: any other refusal, with the server's message.
        """
        url = path[1:] if path.startswith("//") else f"/api/v2{path}"
        query: Any = {k: v for k, v in (params or {}).items() if v is not None}
        request = self._http.build_request(
            method, url, json=body, params=query, headers=headers, timeout=timeout or self._http.timeout
        )
        response = self._send(request)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers["Authorization"] = self._sign_in()
            response = self._send(request)
        for pause in RETRY_PAUSES:
            if not response.is_server_error:
                break
            time.sleep(pause)
            response = self._send(request)
        _raise_for_status(response)
        return response

    def token(self) -> str:
        """Return a fresh token for the `Authorization: Bearer` header."""
        request = self._http.build_request("POST", "/auth/token", json=self._credentials)
        request.headers.pop("Authorization", None)
        response = self._send(request)
        _raise_for_status(response)
        return str(response.json()["access_token"])

    def _sign_in(self) -> str:
        self._http.headers["Authorization"] = f"Bearer {self.token()}"
        return self._http.headers["Authorization"]

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._http.send(request)
        except httpx.TransportError as error:
            raise UnavailableError(f"{request.method} {request.url}: {error!r}", 0) from error


def render_log(ndjson: str) -> str:
    """Return a structured task log as plain lines with time, level, event and all other fields.

    The leading list of source files, which Airflow adds, is omitted.
    """
    events = [json.loads(line) for line in ndjson.splitlines() if line.strip()]
    if events and events[0].get("event") == "::group::Log message source details":
        end = next(i for i, event in enumerate(events) if event.get("event") == "::endgroup::")
        events = events[end + 1 :]
    return "\n".join(_render_event(event) for event in events)


def _render_event(event: dict[str, Any]) -> str:
    head = [str(event.pop(key)) for key in ("timestamp", "level", "event") if event.get(key)]
    shown = {k: v for k, v in event.items() if v is not None and k not in {"logger", "loc", "filename"}}
    rest = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in shown.items()]
    return " ".join(head + rest)


def _raise_for_status(response: httpx.Response) -> None:
    if response.is_success:
        return
    request = response.request
    message = f"{request.method} {request.url} answered {response.status_code}: {response.text[:2000]}"
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NotFoundError(message, response.status_code)
    if response.is_server_error:
        raise UnavailableError(message, response.status_code)
    raise RestError(message, response.status_code)
