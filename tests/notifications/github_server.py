"""The part of GitHub's API that the notifiers use, on a real socket.

As documented at https://docs.github.com/en/rest: comments of issues, statuses of commits, and the user of a token.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: GitHub's limits, in characters.
MAX_COMMENT, MAX_DESCRIPTION = 65_536, 140


class GitHubServer:
    """Comments and statuses of the repository acme/shop."""

    token = "ghp_secret"

    def __init__(self) -> None:
        #: The user of the token; None for the token of an app.
        self.login: str | None = "qa-bot"
        self.comments: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        #: What the next requests are answered with instead: a status and a body.
        self.refuses: list[tuple[int, str]] = []
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> GitHubServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, login: str, body: str, kind: str = "User") -> None:
        """Add a comment of somebody."""
        user = {"login": login, "type": kind}
        self.comments.append({"id": 100 + len(self.comments), "user": user, "body": body})

    def answer(self, method: str, path: str, body: dict[str, Any], token: str) -> tuple[int, Any]:
        """Answer a request."""
        split = urlsplit(path)
        self.requests.append(f"{method} {split.path}")
        if self.refuses:
            return self.refuses.pop(0)
        if token != f"Bearer {self.token}":
            return 401, {"message": "Bad credentials"}
        query = {name: int(values[0]) for name, values in parse_qs(split.query).items()}
        if (method, split.path) == ("GET", "/user"):
            denied = 403, {"message": "Resource not accessible by integration"}
            return (200, {"login": self.login}) if self.login else denied
        if split.path == "/repos/acme/shop/issues/7/comments":
            return self._comments(method, body, query)
        if changed := re.fullmatch(r"/repos/acme/shop/issues/comments/(\d+)", split.path):
            return self._change(int(changed[1]), body)
        if re.fullmatch(r"/repos/acme/shop/statuses/[0-9a-f]{40}", split.path):
            if len(body["description"]) > MAX_DESCRIPTION:
                return 422, {"message": "description is too long"}
            self.statuses.append({**body, "sha": split.path[-40:]})
            return 201, body
        return 404, {"message": "Not Found"}

    def _comments(self, method: str, body: dict[str, Any], query: dict[str, int]) -> tuple[int, Any]:
        if method == "GET":
            at = (query["page"] - 1) * query["per_page"]
            return 200, self.comments[at : at + query["per_page"]]
        if len(body["body"]) > MAX_COMMENT:
            return 422, {"message": "Body is too long (maximum is 65536 characters)"}
        self.add(self.login or "acme-ci[bot]", body["body"], "User" if self.login else "Bot")
        return 201, self.comments[-1]

    def _change(self, number: int, body: dict[str, Any]) -> tuple[int, Any]:
        (comment,) = [each for each in self.comments if each["id"] == number]
        comment["body"] = body["body"]
        return 200, comment


def _handler(github: GitHubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            code, found = github.answer(self.command, self.path, body, self.headers["Authorization"])
            data = found.encode() if isinstance(found, str) else json.dumps(found).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler
