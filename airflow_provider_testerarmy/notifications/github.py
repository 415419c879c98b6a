"""Channels of a verdict at GitHub: the status of a commit, and a comment on a pull request that is updated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import BaseHook, BaseNotifier

from airflow_provider_testerarmy.runs.text import one_line

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    import httpx

    from airflow_provider_testerarmy.reports.message import Message

API: Final = "https://api.github.com"
TIMEOUT: Final = 15.0
#: The most pages of 100 comments that are read.
PAGES: Final = 30

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}")
_STATES: Final = {"passed": "success", "failed": "failure"}


class GitHubError(RuntimeError):
    """GitHub refused a request, or did not answer. The message has no token."""


class VerdictChannel(BaseNotifier):
    """A channel of ``TesterArmyVerdictNotifier`` that takes the whole message."""

    message: Message | None = None

    def notify(self, context: Any) -> None:
        """Send the message.

        :raises ValueError: without a message, or for an unusable parameter.
        :raises GitHubError: if GitHub does not take it.
        """
        if self.message is None:
            raise ValueError(f"Pass {type(self).__name__} to TesterArmyVerdictNotifier as its channel.")
        self.send(self.message, context)

    def send(self, message: Message, context: Any) -> None:
        """Send a message."""
        raise NotImplementedError


class GitHubCommitStatus(VerdictChannel):
    """Sets the status of a commit. GitHub shows the newest status of each ``name``, so none is repeated.

    ``passed`` is a success and ``failed`` a failure. Every other verdict is an error, because nothing was shown.

    :param repository: str; owner and name, e.g. ``acme/shop`` (templated).
    :param commit_sha: str; the full hash of the commit (templated).
    :param name: str or None; the ``context`` of the status (templated). None means ``testerarmy/`` and the DAG's
        id.
    :param github_conn_id: str; the connection of type ``github`` (templated).
    """

    template_fields = ("repository", "commit_sha", "name", "github_conn_id")

    def __init__(
        self,
        *,
        repository: str,
        commit_sha: str,
        name: str | None = None,
        github_conn_id: str = "github_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repository = repository
        self.commit_sha = commit_sha
        self.name = name
        self.github_conn_id = github_conn_id

    def send(self, message: Message, context: Any) -> None:
        """Set the status; errors as of :meth:`notify`."""
        repository = _checked(_REPOSITORY, self.repository, "repository", "owner/name")
        commit = _checked(_COMMIT, self.commit_sha, "commit_sha", "the full hash of a commit")
        body = {
            "state": _STATES.get(message.verdict, "error"),
            "description": message.status,
            "context": one_line(self.name or f"testerarmy/{_dag_id(context)}", 200),
        }
        if message.url:
            body["target_url"] = message.url
        with GitHub(self.github_conn_id) as github:
            github.ask("POST", f"/repos/{repository}/statuses/{commit}", body)


class GitHubComment(VerdictChannel):
    """Comments on a pull request. The next verdict changes this comment instead of adding another one.

    :param repository: str; owner and name, e.g. ``acme/shop`` (templated).
    :param pull_request: int or str; the number of the pull request (templated).
    :param name: str; tells apart the comments of several notifiers of a DAG (templated).
    :param github_conn_id: str; the connection of type ``github`` (templated).
    """

    template_fields = ("repository", "pull_request", "name", "github_conn_id")

    def __init__(
        self,
        *,
        repository: str,
        pull_request: int | str,
        name: str = "",
        github_conn_id: str = "github_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repository = repository
        self.pull_request = pull_request
        self.name = name
        self.github_conn_id = github_conn_id

    def send(self, message: Message, context: Any) -> None:
        """Add or change the comment; errors as of :meth:`notify`."""
        repository = _checked(_REPOSITORY, self.repository, "repository", "owner/name")
        number = _checked(_NUMBER, self.pull_request, "pull_request", "a number")
        key = hashlib.sha256(f"{_dag_id(context)}\n{self.name}".encode()).hexdigest()[:16]
        marker = f"<!-- testerarmy-verdict:{key} -->"
        body = f"{message.markdown}\n\n{marker}"
        issues = f"/repos/{repository}/issues"
        with GitHub(self.github_conn_id) as github:
            for comment in github.own_comments(f"{issues}/{number}/comments", marker):
                if comment.get("body") != body:
                    github.ask("PATCH", f"{issues}/comments/{int(comment['id'])}", {"body": body})
                return
            github.ask("POST", f"{issues}/{number}/comments", {"body": body})


class GitHub:
    """A client with the token of a connection.

    :param conn_id: a connection of type ``github``: its host is the address of GitHub Enterprise, its password an
        access token. An app's key in the extra needs the GitHub provider.
    :raises ValueError: if the connection has neither.
    """

    _client: httpx.Client

    def __init__(self, conn_id: str) -> None:
        import httpx

        from airflow_provider_testerarmy.client.http.endpoint import Endpoint

        connection = BaseHook.get_connection(conn_id)
        token = str(connection.password or "") or _token_of_app(conn_id, connection.extra_dejson or {})
        host = str(connection.host or API).rstrip("/")
        # An unencrypted address would show the token, so Endpoint refuses it except on this machine.
        endpoint = Endpoint(host if "://" in host else f"https://{host}", token)
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._client = httpx.Client(base_url=endpoint.base_url, headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> GitHub:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; returns the decoded response.

        :raises GitHubError: if GitHub refuses it, or does not answer.
        """
        import httpx

        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise GitHubError(f"GitHub did not answer to {method} {path}: {type(error).__name__}.") from None
        if answer.is_success:
            return _decoded(answer)
        found = _decoded(answer)
        said = found.get("message") if isinstance(found, dict) else None
        raise GitHubError(
            f"GitHub answered {answer.status_code} to {method} {path}: {one_line(str(said or 'no reason'), 200)}."
        )

    def own_comments(self, path: str, marker: str) -> Iterator[dict[str, Any]]:
        """The comments with the marker that this token has written, the oldest first.

        Anybody may write the marker into a comment, so the author counts as well.
        """
        own: str | None = None
        for page in range(1, PAGES + 1):
            found = self.ask("GET", f"{path}?per_page=100&page={page}")
            comments = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
            for comment in comments:
                if marker not in str(comment.get("body") or ""):
                    continue
                own = self._login() if own is None else own
                if _is_by(comment.get("user"), own):
                    yield comment
            if len(comments) < 100:
                return

    def _login(self) -> str:
        """The user of the token; empty for the token of an app, which is no user."""
        try:
            user = self.ask("GET", "/user")
        except GitHubError:
            return ""
        return str(user.get("login") or "") if isinstance(user, dict) else ""


def _is_by(user: Any, login: str) -> bool:
    """Whether the author of a comment is the user of the token, or any app if the token is that of an app."""
    if not isinstance(user, dict):
        return False
    return bool(user.get("login") == login if login else user.get("type") == "Bot")


def _decoded(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _token_of_app(conn_id: str, extra: dict[str, Any]) -> str:
    if not extra.get("app_id"):
        raise ValueError(
            f"The connection {conn_id!r} has no token. Put an access token of GitHub into its password."
        )
    try:
        from airflow.providers.github.hooks.github import (  # type: ignore[import-not-found]
            GithubHook,
        )
    except ImportError:
        raise ValueError(
            f"The connection {conn_id!r} belongs to a GitHub app. Install apache-airflow-providers-github, or put "
            "an access token into its password."
        ) from None
    return str(GithubHook(conn_id).get_conn().requester.auth.token)


def _checked(pattern: re.Pattern[str], value: Any, name: str, what: str) -> str:
    text = str(value if value is not None else "").strip()
    if not pattern.fullmatch(text) or ".." in text:
        raise ValueError(f"{name} must be {what}, not {one_line(text, 80)!r}. Nothing was sent to GitHub.")
    return text


def _dag_id(context: Any) -> str:
    ti = context.get("ti") or context.get("task_instance")
    return str(ti.dag_id)
